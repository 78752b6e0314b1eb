"""The autograder's proof of itself: mistakes it must name, answers it must accept, mutants.

Each known mistake is handed in, alone in a right notebook: it must lose points on its own exercise,
under its own name, and after follow-through on no other. Each variant of a right answer must get
full marks. Each mutant of the reference must lose points, or be known to change nothing.

A second bank, whose authors saw the students' notebooks and never the checks, shows what the first
one's authors did not think of.
"""

import functools
import hashlib
import json
import runpy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from autograder import bank, kept, misconceptions, variants
from autograder.course import hash_of
from autograder.misconceptions import Misconception
from autograder.mutants import Mutant, mutants
from autograder.solved import answer
from vae_course import files as course_files
from vae_course.authoring.assignment import list_assignments

MUTANTS_EACH = 12
"""Of an exercise, at most."""

NAMED_SHARE = 0.95
"""Of the known mistakes, the least share that must be named by their own message."""


@dataclass
class Tally:
    """What came of an assignment's bank.

    Attributes:
        misconceptions, caught, named, misnamed: known mistakes; those that lost points on their own
            exercise; that got their own name; that got another's.
        elsewhere: those that lost points on another exercise too.
        variants, accepted: right answers, and those that got full marks.
        mutants, killed, equivalent, survived: changed answers; those that lost points; those that
            are known to change nothing; the others.
        seconds: that it took a process; nothing for what was known from an earlier run.
        problems: a line for each thing that is not as it must be.
    """

    misconceptions: int = 0
    caught: int = 0
    named: int = 0
    misnamed: int = 0
    elsewhere: int = 0
    variants: int = 0
    accepted: int = 0
    mutants: int = 0
    killed: int = 0
    equivalent: int = 0
    survived: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was missed, misnamed or refused, and enough was named."""
        enough = self.named >= NAMED_SHARE * self.misconceptions
        unproved = self.misnamed + self.elsewhere + self.survived
        return (
            self.caught == self.misconceptions
            and self.accepted == self.variants
            and not unproved
            and enough
        )


LINES = (
    *("misconceptions", "caught", "named", "misnamed", "variants", "accepted"),
    *("mutants", "killed", "equivalent", "survived"),
)
"""Counts of a `Tally` that are printed at the end, in this order."""

SECOND_LINES = ("misconceptions", "caught", "named", "variants", "accepted")
"""Of the second bank."""


@dataclass(frozen=True)
class Task:
    """A part of the self-test that a process can do by itself.

    Attributes:
        assignment: its name.
        what: for the progress line.
        function: a function at the top of `autograder.bank`.
        arguments: of the function, as JSON could hold them.
        judge: makes a tally of the function's result.
    """

    assignment: str
    what: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    judge: Callable[[Any], Tally] = field(compare=False)

    @property
    def key(self) -> str:
        """By which its result is known again: all that it depends on."""
        said = json.dumps([self.function.__name__, *self.arguments])
        return hashlib.sha256(f"{_code_of(self.assignment)} {said}".encode()).hexdigest()


@functools.cache
def _code_of(assignment: str) -> str:
    """A hash of the code that results on an assignment depend on: not of the other assignments'."""
    here, course = Path(__file__).parent, Path(course_files.__file__).parent
    banks = {here / "misconceptions", here / "variants"}
    others = {
        folder / f"{name}{end}"
        for name in list_assignments()
        if name != assignment
        for folder, end in ((here / "checks", ".py"), (course / "authoring/assignments", ".md"))
    }
    paths = [path for root in (here, course) for path in sorted(root.rglob("*"))]
    mine = here / "misconceptions" / f"{assignment}.py"  # by which mistakes are named
    wanted = [
        path
        for path in paths
        if path.suffix in (".py", ".md")
        and path not in others
        and (path.parent not in banks or path == mine or path.name == "__init__.py")
    ]
    return hash_of(*wanted)


def tasks(assignment: str, sample: bool = False) -> list[Task]:
    """All parts of the self-test of an assignment, or a sample of them.

    Of each exercise, a sample has a right answer and a mutant, and of every other one a mistake.
    """
    known = list(misconceptions.of_assignment(assignment))
    right = list(variants.of_assignment(assignment))
    changed = [
        mutants(exercise, answer(exercise), 1 if sample else MUTANTS_EACH)
        for exercise in bank.exercises(assignment)
    ]
    if sample:
        known = list({one.exercise: one for one in known}.values())[::2]
        right = list({one.exercise: one for one in right}.values())
    made = [
        Task(
            assignment,
            f"{one.exercise}: {one.name}",
            bank.verdicts,
            (assignment, {one.exercise: one.source}),
            functools.partial(of_mistake, one),
        )
        for one in known
    ]
    made += [
        Task(
            assignment,
            f"{assignment}: right answers, {number}",
            bank.verdicts,
            (assignment, {one.exercise: one.source for one in together}),
            functools.partial(of_variants, together),
        )
        for number, together in enumerate(variants.rows(right), 1)
    ]
    made += [
        Task(
            assignment,
            f"{group[0].exercise}: mutants",
            bank.full_marks,
            (group[0].exercise, [one.source for one in group]),
            functools.partial(of_mutants, group, misconceptions.equivalent(assignment)),
        )
        for group in changed
        if group
    ]
    return made


def second_tasks(assignment: str, folder: Path) -> list[Task]:
    """A part for each answer of the second bank.

    Args:
        assignment: its name.
        folder: holds a Python file of the assignment's name with two dictionaries of answer cells,
            WRONG and RIGHT, by exercise and a few words for what is wrong or different; and perhaps
            a third, ARGUABLE, of those in WRONG that may well be right, with the reason.
    """
    path = folder / f"{assignment}.py"
    answers = runpy.run_path(str(path)) if path.is_file() else {"WRONG": {}, "RIGHT": {}}
    arguable = answers.get("ARGUABLE", {})
    return [
        Task(
            assignment,
            f"{exercise}: {name}",
            bank.judged,
            (exercise, source),
            functools.partial(judge, f"{exercise}: {name}", arguable.get((exercise, name))),
        )
        for kind, judge in (("WRONG", of_second_mistake), ("RIGHT", of_second_right))
        for (exercise, name), source in answers[kind].items()
    ]


def of_second_mistake(place: str, arguable: str | None, verdict: dict[str, Any]) -> Tally:
    """The tally of a wrong answer. Whether a name fits it is for a person to say."""
    tally = Tally(misconceptions=1)
    if verdict["score"] >= verdict["max_score"]:
        reason = f" (arguable: {arguable})" if arguable else ""
        tally.problems.append(f"{place}: not caught{reason}")
    else:
        tally.caught = 1
        tally.named = int(verdict["misconception"] is not None)
    return tally


def of_second_right(place: str, _: str | None, verdict: dict[str, Any]) -> Tally:
    """The tally of a right answer."""
    tally = Tally(variants=1, accepted=int(verdict["score"] >= verdict["max_score"]))
    if not tally.accepted:
        tally.problems.append(f"{place}: refused: {verdict['message']}")
    return tally


def of_mistake(one: Misconception, found: dict[str, dict[str, Any]]) -> Tally:
    """The tally of a known mistake, from the verdicts on its submission."""
    place, tally = f"{one.exercise}: {one.name}", Tally(misconceptions=1)
    own = found.get(one.exercise)
    if own is None or own["score"] >= own["max_score"]:
        tally.problems.append(f"{place}: not caught")
    else:
        tally.caught = 1
        tally.named = int(own["misconception"] == one.name)
        if not tally.named:
            tally.problems.append(f"{place}: not named, but told: {own['message']}")
    names = {(id, verdict["misconception"]) for id, verdict in found.items()}
    wrong = {(id, name) for id, name in names if name and (id, name) != (one.exercise, one.name)}
    if wrong:
        tally.misnamed = 1
        tally.problems += [f"{place}: named {name!r} at {id}" for id, name in sorted(wrong)]
    lost = [
        id
        for id, verdict in found.items()
        if id != one.exercise and verdict["score"] < verdict["max_score"]
    ]
    if lost:
        tally.elsewhere = 1
        tally.problems += [f"{place}: loses at {id}: {found[id]['message']}" for id in lost]
    return tally


def of_variants(together: Sequence[variants.Variant], found: dict[str, dict[str, Any]]) -> Tally:
    """The tally of right answers that were handed in together."""
    tally = Tally(variants=len(together))
    for one in together:
        verdict = found.get(one.exercise)
        if verdict is not None and verdict["score"] >= verdict["max_score"]:
            tally.accepted += 1
            continue
        told = verdict["message"] if verdict else "it was not judged"
        tally.problems.append(f"{one.exercise}: {one.name}: refused: {told}")
    return tally


def of_mutants(group: Sequence[Mutant], known: dict[str, str], survived: Sequence[bool]) -> Tally:
    """The tally of an exercise's mutants, from whether each got full marks."""
    tally = Tally(mutants=len(group))
    for one, alive in zip(group, survived, strict=True):
        place = f"{one.exercise}: {one.change}"
        if not alive:
            tally.killed += 1
        elif place in known:
            tally.equivalent += 1
        else:
            tally.survived += 1
            tally.problems.append(f"{place}: survived")
    return tally


def run(todo: Sequence[Task], jobs: int, cache: Path | None = None) -> Iterator[tuple[Task, Tally]]:
    """Do tasks side by side, and give each with its tally as soon as it is done.

    Args:
        todo: what to do.
        jobs: how many processes.
        cache: a file of earlier results; one is used again where nothing that matters changed.

    Returns:
        An iterator of tasks and tallies.
    """
    for task, result, seconds in kept.run(todo, jobs, cache):
        tally = task.judge(result)
        tally.seconds = seconds
        yield task, tally


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    return whole


def table(tallies: Iterable[tuple[str, Tally]]) -> Table:
    """A column for each tally."""
    named = list(tallies)
    grid = Table(box=None, header_style="bold", pad_edge=False)
    grid.add_column("")
    for name, _ in named:
        grid.add_column(name, justify="right")
    for line in (*LINES, "elsewhere", "seconds"):
        grid.add_row(line, *(f"{getattr(tally, line):.0f}" for _, tally in named))
    return grid
