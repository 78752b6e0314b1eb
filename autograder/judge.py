"""From a check and a student to a verdict."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autograder.checks import Check, find_check
from autograder.criterion import Criterion
from autograder.diagnosis import diagnose
from autograder.draw import Draw
from autograder.misconceptions import Misconception
from autograder.record import JUDGE_FAILED
from autograder.student import Student, StudentError, printable
from autograder.transcript import Answer, Heard

_NOT_WRITTEN = ("missing", "blank", "timeout", "memory")
"""Kinds of errors that leave nothing to diagnose."""

MAX_SHOWN = 2
"""How many different problems a message tells in full; further ones are only named."""


class Exercise(Protocol):
    """What the judge needs to know of an exercise; the assignment's text says it."""

    id: str
    points: float
    solutions: Sequence[str]


@dataclass(frozen=True)
class CriterionVerdict:
    """What one criterion earned; `message` is empty where it is met."""

    name: str
    score: float
    max_score: float
    passed: bool
    message: str = ""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one exercise.

    Attributes:
        id: the exercise.
        score, max_score: points, rounded to hundredths.
        verdict: pass, partial, fail, blank, error or grader_error; other words (timeout, memory,
            tampered, manual) are given by those who run the judge.
        message: a short paragraph for the student.
        seed: what the inputs were drawn from; the same seed gives the same verdict.
        misconception: the name of the known mistake that the answer matches, if any.
        followed_through: judged with the reference in place of an earlier answer.
        criteria: the parts of the score.
        detail: for the instructor, when the check itself failed.
    """

    id: str
    score: float
    max_score: float
    verdict: str
    message: str
    seed: int
    misconception: str | None = None
    followed_through: bool = False
    criteria: tuple[CriterionVerdict, ...] = ()
    detail: str = field(default="", repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON objects, the form that is recorded."""
        record = {
            "id": self.id,
            "score": self.score,
            "max_score": self.max_score,
            "verdict": self.verdict,
            "message": self.message,
            "misconception": self.misconception,
            "followed_through": self.followed_through,
            "criteria": [vars(part).copy() for part in self.criteria],
            "seed": self.seed,
        }
        return record | {"detail": self.detail} if self.detail else record


def judge(
    exercise: Exercise,
    student: Student,
    seed: int,
    check: Check | None = None,
    name_mistakes: bool = True,
) -> Verdict:
    """Judge one exercise.

    Args:
        exercise: its id, points and the names of its solutions.
        student: the handle of the student's code.
        seed: decides every input.
        check: used in place of the one that belongs to the id.
        name_mistakes: look for the known mistake that a wrong answer is, with its own check.

    Returns:
        A verdict, always: a failure of the check itself is the verdict grader_error.
    """
    outcomes: list[_Outcome] = []
    answers: list[Answer] = []
    mistake = None
    name_mistakes = name_mistakes and check is None
    try:
        check = check or find_check(exercise.id)
        for criterion in check(Heard(student, answers.append), Draw(seed, exercise.id)):
            outcomes.append(_try(criterion))
        if name_mistakes and any(outcome.is_wrong for outcome in outcomes):
            mistake = diagnose(exercise.id, check, seed, answers)
    except Exception as error:
        return _grader_error(exercise, seed, error)
    return _verdict(exercise, seed, outcomes, mistake)


@dataclass(frozen=True)
class _Outcome:
    criterion: Criterion
    message: str | None
    error: StudentError | None = None

    @property
    def passed(self) -> bool:
        return self.message is None and self.error is None

    @property
    def is_wrong(self) -> bool:
        """Whether something was written here, and it is not right."""
        return not self.passed and (self.error is None or self.error.kind not in _NOT_WRITTEN)


def _try(criterion: Criterion) -> _Outcome:
    try:
        return _Outcome(criterion, criterion.test())
    except StudentError as error:
        return _Outcome(criterion, None, error)


def _verdict(
    exercise: Exercise, seed: int, outcomes: Sequence[_Outcome], mistake: Misconception | None
) -> Verdict:
    own = {solution.rpartition(".")[2] for solution in exercise.solutions}
    total = sum(outcome.criterion.weight for outcome in outcomes)
    earned = sum(outcome.criterion.weight for outcome in outcomes if outcome.passed)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    word = _word(outcomes, failed, own)
    return Verdict(
        id=exercise.id,
        score=round(exercise.points * earned / total, 2),
        max_score=exercise.points,
        verdict=word,
        message=_message(word, failed, own, mistake),
        seed=seed,
        misconception=mistake and mistake.name,
        criteria=tuple(
            CriterionVerdict(
                outcome.criterion.name,
                round(exercise.points * outcome.criterion.weight / total, 2) * outcome.passed,
                round(exercise.points * outcome.criterion.weight / total, 2),
                outcome.passed,
                "" if outcome.passed else _explain(outcome, own),
            )
            for outcome in outcomes
        ),
    )


def _word(outcomes: Sequence[_Outcome], failed: Sequence[_Outcome], own: set[str]) -> str:
    if not failed:
        return "pass"
    if len(failed) < len(outcomes):
        return "partial"
    if all(outcome.error and _is_blank(outcome.error, own) for outcome in failed):
        return "blank"
    for word in ("timeout", "memory"):  # of what was tried, and then of all that came after
        if any(outcome.error and outcome.error.kind == word for outcome in failed):
            return word
    if all(outcome.error and outcome.error.kind != "result" for outcome in failed):
        return "error"
    return "fail"


def _is_blank(error: StudentError, own: set[str]) -> bool:
    """Whether it is this exercise that is not written, and not another that it builds on."""
    return error.kind == "blank" and (not own or error.where.partition(".")[0] in own)


def _message(
    word: str, failed: Sequence[_Outcome], own: set[str], mistake: Misconception | None
) -> str:
    if word == "pass":
        return "Right: everything that was looked at behaves as it should."
    if word == "blank":
        return "Nothing is written here yet, so there was nothing to look at."
    problems: dict[object, _Outcome] = {}
    for outcome in failed:
        problems.setdefault(_cause(outcome), outcome)
    distinct = list(problems.values())
    opening = "Partly right. " if word == "partial" else ""
    opening += f"{mistake.message} " if mistake else ""
    shown = " ".join(_explain(outcome, own) for outcome in distinct[:MAX_SHOWN])
    rest = "; ".join(outcome.criterion.name for outcome in distinct[MAX_SHOWN:])
    return f"{opening}{shown}" + (f" Look also at: {rest}." if rest else "")


def _cause(outcome: _Outcome) -> object:
    """What is the same for outcomes that are one problem: an exception at one line is one."""
    error = outcome.error
    if error is None or not error.line:
        return outcome.message or (error.message if error else "")
    return (error.type, error.where, error.line)


def _explain(outcome: _Outcome, own: set[str]) -> str:
    error = outcome.error
    if error is None:
        return outcome.message or ""
    if error.kind in ("result", "timeout", "memory"):
        return error.message
    if error.kind == "missing":
        return (
            f"{error.message}, so it could not be looked at. Did its cell stop with an error, "
            "or was the name changed?"
        )
    if error.kind == "blank":
        if _is_blank(error, own):
            return f"`{error.where}` is not written yet."
        return f"`{error.where}`, which this exercise uses, is not written yet."
    text = f"{error.type}: {error.message}" if error.message else error.type
    place = f", at the line `{error.line}`" if error.line else ""
    inside = f" in `{error.where}`" if error.where else ""
    return f"Your code stopped{inside} with {text.rstrip('.')}{place}."


def _grader_error(exercise: Exercise, seed: int, error: Exception) -> Verdict:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}"
    return Verdict(
        id=exercise.id,
        score=0.0,
        max_score=exercise.points,
        verdict="grader_error",
        message=JUDGE_FAILED,
        seed=seed,
        detail=printable(f"{type(error).__name__} at {place}: {error}", limit=1000),
    )
