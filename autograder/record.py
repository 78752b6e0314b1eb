"""What is recorded of a submission: one verdict an exercise, in a form that is only ever added to.

A verdict is what the judge published in the grade cell. Where it published none, because the cell
timed out, the kernel died, or the cell is a plain nbgrader one, it is made from what is there.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autograder.notebooks import (
    Cell,
    asks_judge,
    errors,
    has_hidden_tests,
    nbgrader_metadata,
    plain,
)

Verdict = dict[str, Any]

SCHEMA = 1
VERDICT_MIME = "application/vnd.vae-course.verdict+json"
"""Under which a grade cell shows its verdict, and by which it is found among the outputs."""

SEED_VARIABLE = "AUTOGRADER_SEED"
"""In the environment: what inputs are drawn from, in place of a fresh seed each time."""

WORDS = (
    "pass",
    "partial",
    "fail",
    "blank",
    "error",
    "timeout",
    "memory",
    "tampered",
    "manual",
    "grader_error",
)
STATUSES = {
    "graded": "every cell ran to an end, right or wrong",
    "crashed": "the kernel died; the cells from there on were not run",
    "timed_out": "at least one cell was stopped at the time limit",
    "unreadable": "the file is no notebook, so there is no score",
    "grader_error": "the grader failed, not the student; a person has to look",
}
NOT_GRADED = ("unreadable", "grader_error")

TIMEOUT_ERROR = "CellTimeoutError"
DEAD_KERNEL_ERROR = "DeadKernelError"
NOT_RUN_ERROR = "CellNotRunError"
IMPOSSIBLE_SCORE_ERROR = "ImpossibleScoreError"
MEMORY_ERROR = "MemoryError"
RUNNER_ERRORS = (
    *(TIMEOUT_ERROR, DEAD_KERNEL_ERROR, NOT_RUN_ERROR, IMPOSSIBLE_SCORE_ERROR),
    MEMORY_ERROR,
)
"""What those who run a notebook write into a cell that they had to stop."""

JUDGE_FAILED = (
    "The grading program itself failed here. That is no fault of yours and costs you nothing: a "
    "person will look at this exercise."
)


def verdict(
    id: str,
    score: float,
    max_score: float,
    word: str,
    message: str,
    criteria: Sequence[Mapping[str, Any]] = (),
    misconception: str | None = None,
    followed_through: bool = False,
    seed: int | None = None,
) -> Verdict:
    """A verdict in the form that is recorded."""
    return {
        "id": id,
        "score": score,
        "max_score": max_score,
        "verdict": word,
        "message": message,
        "misconception": misconception,
        "followed_through": followed_through,
        "criteria": [dict(criterion) for criterion in criteria],
        "seed": seed,
    }


def machine_verdict(cell: Cell, score: float, max_score: float) -> Verdict:
    """The verdict of a cell that a machine graded.

    Args:
        cell: the grade cell as it was run, with its outputs.
        score: what nbgrader made of them.
        max_score: the cell's points.

    Returns:
        What the judge published, if it agrees with the score; else what the outputs tell.
    """
    id = nbgrader_metadata(cell)["grade_id"]
    published = _published(cell, id, max_score)
    if published and published["verdict"] == "grader_error":
        return published
    if published and math.isclose(published["score"], score, abs_tol=1e-6):
        return published
    if published and not _stopped(cell):
        message = "The score that was shown and the one that counts differ: a person has to look."
        return verdict(id, score, max_score, "tampered", message)
    if failure := _judge_failure(cell):
        made = verdict(id, score, max_score, "grader_error", JUDGE_FAILED)
        return made | {"detail": failure}
    word, message = _from_outputs(cell, score, max_score)
    return verdict(id, score, max_score, word, message)


def _published(cell: Cell, id: str, max_score: float) -> Verdict | None:
    """The last verdict on this exercise among the outputs, if it has the form of one."""
    for output in reversed(cell.get("outputs", ())):
        found = output.get("data", {}).get(VERDICT_MIME)
        if isinstance(found, dict) and found.get("id") == id:
            return _checked(found, max_score)
    return None


def _checked(found: Mapping[str, Any], max_score: float) -> Verdict | None:
    try:
        checked = verdict(
            str(found["id"]),
            float(found["score"]),
            max_score,
            str(found["verdict"]),
            plain(found["message"]),
            [_criterion(criterion) for criterion in found.get("criteria", ())],
            found.get("misconception") and plain(found["misconception"], 200),
            bool(found.get("followed_through")),
            int(found["seed"]) if found.get("seed") is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None
    known = checked["verdict"] in WORDS and 0 <= checked["score"] <= max_score + 1e-6
    if found.get("detail"):
        checked["detail"] = plain(found["detail"])
    return checked if known else None


def _criterion(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": plain(found["name"], 200),
        "score": float(found["score"]),
        "max_score": float(found["max_score"]),
        "passed": bool(found["passed"]),
        "message": plain(found.get("message", "")),
    }


def _judge_failure(cell: Cell) -> str:
    """What stopped a cell that asks our judge; "" if nothing did, or the student's own code.

    The judge catches whatever a wrong answer raises, so an error that comes out of such a cell is
    ours, say a package that the kernel lacks. Only an interrupt passes through it.
    """
    error = next(errors(cell), None)
    name = plain(error.get("ename", ""), 100) if error else ""
    if not asks_judge(cell.source) or name in ("", "KeyboardInterrupt", *RUNNER_ERRORS):
        return ""
    return f"{name}: {plain(error.get('evalue', ''), 500)}"


def _stopped(cell: Cell) -> bool:
    return any(True for _ in errors(cell))


def _from_outputs(cell: Cell, score: float, max_score: float) -> tuple[str, str]:
    # A cell that is stopped shows its own interruption first, and why it was stopped after it.
    error = min(errors(cell), key=lambda error: error.get("ename") != TIMEOUT_ERROR, default=None)
    if error is None:
        word = "pass" if score >= max_score else "partial" if score > 0 else "fail"
        return word, plain(_printed(cell)) or _scored(score, max_score)
    name, text = plain(error.get("ename", ""), 100), plain(error.get("evalue", ""))
    if name == TIMEOUT_ERROR:
        return "timeout", f"Stopped: this did not come to an end in time. {text}".strip()
    if name in (DEAD_KERNEL_ERROR, NOT_RUN_ERROR, IMPOSSIBLE_SCORE_ERROR):
        return "error", text
    word = {"AssertionError": "fail", MEMORY_ERROR: "memory"}.get(name, "error")
    if has_hidden_tests(cell.source):  # the text of an error may hold the hidden test's values
        return word, f"A test stopped with {name}."
    return word, f"{name}: {text}" if text else f"A test stopped with {name}."


def _printed(cell: Cell) -> str:
    texts = [
        output.text
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and isinstance(output.get("text"), str)
    ]
    return "".join(texts).strip()


def _scored(score: float, max_score: float) -> str:
    return "All tests passed." if score >= max_score else f"{points(score)} of {points(max_score)}."


def human_verdict(
    id: str, score: float | None, max_score: float, blank: bool, comment: str | None
) -> Verdict:
    """The verdict of an answer that a person grades.

    Args:
        id: the exercise.
        score: what the person gave, or None if none has yet.
        max_score: its points.
        blank: whether the answer is as it was released.
        comment: what the person wrote.
    """
    if score is not None:
        return verdict(id, score, max_score, "manual", plain(comment or "Graded by a person."))
    if blank:
        return verdict(id, 0.0, max_score, "blank", "There is no answer here.")
    return verdict(id, 0.0, max_score, "manual", "A person will read and grade this answer.")


def status_of(cells: Iterable[Cell], exercises: Sequence[Verdict]) -> str:
    """How the run of a submission went: a word of STATUSES."""
    if any(exercise["verdict"] == "grader_error" for exercise in exercises):
        return "grader_error"
    names = {error.get("ename") for cell in cells for error in errors(cell)}
    if DEAD_KERNEL_ERROR in names:
        return "crashed"
    late = any(exercise["verdict"] == "timeout" for exercise in exercises)
    return "timed_out" if late or TIMEOUT_ERROR in names else "graded"


def submission(
    assignment: str,
    student: str,
    status: str,
    exercises: Sequence[Verdict],
    engine: str,
    tampered: Sequence[str] = (),
    message: str = "",
) -> dict[str, Any]:
    """The record of a submission, as it stands in verdicts.json."""
    seeds = {exercise["seed"] for exercise in exercises} - {None}
    return {
        "schema": SCHEMA,
        "assignment": assignment,
        "student": student,
        "status": status,
        "score": round(sum(exercise["score"] for exercise in exercises), 6),
        "max_score": round(sum(exercise["max_score"] for exercise in exercises), 6),
        "seed": seeds.pop() if len(seeds) == 1 else None,
        "engine": engine,
        "tampered": list(tampered),
        "message": message,
        "exercises": list(exercises),
    }


def machine_total(record: Mapping[str, Any]) -> tuple[float, float]:
    """Points earned and to be earned in what a machine grades."""
    machine = [exercise for exercise in record["exercises"] if exercise.get("kind") == "machine"]
    earned = sum(exercise["score"] for exercise in machine)
    return round(earned, 6), sum(exercise["max_score"] for exercise in machine)


def points(score: float) -> str:
    """A number of points as people write it: 3, 1.5, 0.67."""
    return f"{score:.2f}".rstrip("0").rstrip(".")
