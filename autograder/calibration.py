"""How clear of its threshold right answers and mistakes keep, where a check trains a model.

Such a criterion (`autograder.checks.common.Convergence`) compares one number with a threshold. Here
it is measured with one seed after another, as in grading but without the repetition: for right
answers, for known mistakes, and for the reference on real images.
"""

import functools
import hashlib
import importlib
import inspect
import io
import math
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import CodeType, FunctionType
from typing import NamedTuple

import torch
from torch import Tensor

from autograder import kept, misconceptions, variants
from autograder.checks.common import Convergence
from autograder.draw import Draw
from autograder.solved import code_cells
from autograder.student import InProcessStudent, StudentError
from vae_course.authoring.assignment import list_assignments
from vae_course.binarized import load_binarized_mnist
from vae_course.celeba_vae import scale_images
from vae_course.data import ImageData, load_mnist
from vae_course.face_data import load_faces

CONFIDENCE = 0.95
REFERENCE = "reference"
REAL_IMAGES = 2000
"""At most so many are kept in memory; each run takes a few of them by chance."""


@dataclass(frozen=True)
class Run:
    """A training whose number is wanted.

    Attributes:
        exercise: its id.
        kind: "right" for right answers, "real" for the reference on real images, or "mistake".
        answer: "reference", the name of a notebook of variants, or that of a mistake.
        seed: decides everything that is drawn.
    """

    exercise: str
    kind: str
    answer: str
    seed: int

    @property
    def assignment(self) -> str:
        return self.exercise.partition("_")[0]

    @property
    def key(self) -> str:
        """What it is, and a hash of what its number depends on, apart from its seed."""
        return " ".join([self.exercise, self.kind, str(self.seed), _code(self), self.answer])

    @property
    def function(self) -> "Callable[[Run], Found]":
        return measured

    @property
    def arguments(self) -> "tuple[Run]":
        return (self,)


class Found(NamedTuple):
    """What a run gave: the number, or None and why there is none."""

    number: float | None
    said: str = ""


def declared(assignment: str) -> list[Convergence]:
    """The convergence criteria of an assignment's checks."""
    module = importlib.import_module(f"autograder.checks.{assignment}")
    return [value for value in vars(module).values() if isinstance(value, Convergence)]


def planned(assignments: Iterable[str], runs: int) -> list[Run]:
    """All runs, seed by seed, so that whoever stops half-way has something of everything.

    Mistakes get a tenth of the seeds, and three at least: they lie far from the threshold.
    """
    names = list(assignments)
    known = [one for name in names for one in declared(name)]
    return [
        run
        for seed in range(runs)
        for one in known
        for run in _of_seed(one, seed, with_mistakes=seed < max(3, runs // 10))
    ]


def _of_seed(one: Convergence, seed: int, with_mistakes: bool) -> Iterator[Run]:
    assignment = one.exercise.partition("_")[0]
    right = list(right_answers(assignment))
    yield Run(one.exercise, "right", right[seed % len(right)], seed)
    if real_images(assignment) is not None:
        yield Run(one.exercise, "real", REFERENCE, seed)
    if with_mistakes:
        for mistake in misconceptions.known(one.exercise):
            yield Run(one.exercise, "mistake", mistake.name, seed)


@functools.cache
def right_answers(assignment: str) -> dict[str, tuple[str, ...]]:
    """Notebooks of right answers, by name: cells that stand in place of the reference's.

    A model is made of the answers to several exercises, so each notebook takes a variant of each.
    """
    together = enumerate(variants.rows(variants.of_assignment(assignment)), 1)
    made = {f"variants {n}": tuple(one.source for one in row) for n, row in together}
    return {REFERENCE: ()} | made


@functools.cache
def real_images(assignment: str) -> Tensor | None:
    """The images that students train on, as the model sees them; None for a stand-in."""
    if assignment == "ps2":
        return real_images("ps1")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        match assignment:
            case "ps1":
                data = load_mnist(download=False)
            case "ps3":
                data = load_binarized_mnist(download=False)
            case "ps5":
                data = load_faces(limit=200)
            case _:
                return None
    if "in place of" in data.name:
        return None
    images = data.test_images if isinstance(data, ImageData) else scale_images(data.images)
    return images[:REAL_IMAGES].clone()


def measured(run: Run) -> Found:
    """Train once, as the check does."""
    against, images = _convergence(run.exercise), None
    if run.kind == "real":
        chosen = torch.randperm(
            len(real_images(run.assignment)), generator=torch.Generator().manual_seed(run.seed)
        )
        count = len(against.images(Draw(run.seed, run.exercise)))
        images = real_images(run.assignment)[chosen[:count]]
    student = InProcessStudent(misconceptions.namespace(run.assignment, *_cells(run)))
    try:
        number, said = against.once(student, run.seed, images)
    except StudentError as error:
        return Found(None, error.message)
    return Found(number, said) if math.isfinite(number) else Found(None, said)


@functools.cache
def _convergence(exercise: str) -> Convergence:
    found = declared(exercise.partition("_")[0])
    return next(one for one in found if one.exercise == exercise)


def _cells(run: Run) -> tuple[str, ...]:
    """The answers that stand in place of the reference's."""
    if run.kind != "mistake":
        return right_answers(run.assignment)[run.answer]
    known = misconceptions.known(run.exercise)
    return (next(one.source for one in known if one.name == run.answer),)


# ---- runs that are kept ------------------------------------------------------------------------


def run(todo: Sequence[Run], jobs: int, keep: Path) -> Iterator[tuple[Run, Found]]:
    """Do runs side by side, and give each with what it found.

    Args:
        todo: the runs.
        jobs: how many processes.
        keep: a file of what earlier runs found, which is added to; what comes from the same code
            is not run again.

    Returns:
        An iterator: first what was kept, then the others as they end.
    """
    return ((one, Found(*found)) for one, found, _ in kept.run(todo, jobs, keep))


def found_before(todo: Iterable[Run], keep: Path) -> dict[Run, Found]:
    """What earlier runs found with the code as it is now."""
    before = kept.kept(keep)
    return {one: Found(*before[one.key]) for one in todo if one.key in before}


def _code(run: Run) -> str:
    """A hash of what a run's number depends on, apart from its seed."""
    return _hash(run.exercise, _cells(run))


@functools.cache
def _hash(exercise: str, cells: tuple[str, ...]) -> str:
    one = _convergence(exercise)
    notebook = code_cells(exercise.partition("_")[0]).values()
    parts = [torch.__version__, _source(one.measure), _source(one.images), *notebook, *cells]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _source(function: Callable) -> str:
    """The source of a function and, in turn, of those that it uses and of their probes.

    Not that of a whole module: a threshold, or another criterion, changes no number.
    """
    found: dict[str, str] = {}
    todo = [(function.__name__, function)]
    for name, value in todo:  # which grows on the way
        if isinstance(value, str):
            found[name] = value
        elif isinstance(value, FunctionType) and name not in found:
            if value.__module__.startswith("autograder."):
                found[name] = inspect.getsource(value)
                todo += [(one, value.__globals__.get(one)) for one in _names(value.__code__)]
    return "\n".join(found[name] for name in sorted(found))


def _names(code: CodeType) -> set[str]:
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


# ---- the table ---------------------------------------------------------------------------------


def bound(failures: int, runs: int) -> float:
    """The chance of a failure that CONFIDENCE leaves possible after some runs, by the exact method.

    Without a failure it is 1 - 0.05 ** (1 / runs). (Clopper and Pearson 1934, one-sided.)
    """
    from scipy.stats import beta  # it takes a second to import

    return float(beta.ppf(CONFIDENCE, failures + 1, runs - failures)) if failures < runs else 1.0


@dataclass(frozen=True)
class Row:
    """What was found about one convergence.

    Attributes:
        one: what is declared.
        right, real: what right answers and the reference on real images gave; none of the latter
            where there are no real images.
        mistakes: what each known mistake gave, seed by seed.
    """

    one: Convergence
    right: list[Found]
    real: list[Found]
    mistakes: dict[str, list[Found]]

    def passes(self, found: Found) -> bool:
        return found.number is not None and found.number < self.one.threshold

    def failures(self, found: Iterable[Found]) -> int:
        return sum(not self.passes(one) for one in found)

    @property
    def seen(self) -> dict[str, list[Found]]:
        """Mistakes that fail with every seed. The others are for other criteria to see."""
        return {name: found for name, found in self.mistakes.items() if self._all_fail(found)}

    @property
    def by_chance(self) -> dict[str, int]:
        """Mistakes that fail with some seeds, and with how many."""
        failed = {name: self.failures(found) for name, found in self.mistakes.items()}
        return {name: count for name, count in failed.items() if count and name not in self.seen}

    def _all_fail(self, found: Sequence[Found]) -> bool:
        return self.failures(found) == len(found)

    @property
    def nearest(self) -> tuple[str, float] | None:
        """Of the mistakes that are seen, the one with the least number."""
        numbers = [
            (one.number, name)
            for name, found in self.seen.items()
            for one in found
            if one.number is not None
        ]
        return min(numbers)[::-1] if numbers else None

    @property
    def problems(self) -> list[str]:
        """A line for right answers that fail."""
        return [
            f"{self.one.exercise}: {failed} of {len(found)} runs of {what} fail"
            for what, found in (("right answers", self.right), ("real images", self.real))
            if (failed := self.failures(found))
        ]


def rows(found: Mapping[Run, Found]) -> list[Row]:
    """A row for each convergence of which right answers were measured, in the course's order."""
    made = []
    for name in list_assignments():
        for one in declared(name):
            own = {run: value for run, value in found.items() if run.exercise == one.exercise}
            mistakes: dict[str, list[Found]] = {}
            for run, value in own.items():
                if run.kind == "mistake":
                    mistakes.setdefault(run.answer, []).append(value)
            right, real = (
                [value for run, value in own.items() if run.kind == kind]
                for kind in ("right", "real")
            )
            if right:
                made.append(Row(one, right, real, dict(sorted(mistakes.items()))))
    return made


TITLES = (
    *("exercise", "what is measured", "threshold", "runs", "failures", "median", "worst"),
    *("one run fails: at most", "both fail: at most", "nearest mistake"),
    *("real images: runs", "median", "worst"),
)

TEXT = """# Calibration

Some criteria train a student's model for a moment and compare one number with a threshold: it must
be less. What a training brings about depends on chance, so each of them is repeated once, with an
independent seed, before it costs points. This table says how far their thresholds lie from what
right answers reach and from what known mistakes reach. Everything else about training is compared
with the judge's own steps, and has no such threshold.

It is what `autograder calibrate --runs {runs}` writes (Python {python}, PyTorch {torch}). A *run*
is one training as in grading, with a seed of its own and without the repetition; the runs take in
turn the reference and notebooks made of the variants of right answers. *One run fails*: with 95 %
confidence a right answer fails one training less often than that (the exact bound of Clopper and
Pearson). *Both fail*: the square of it, which is how often it loses the points. From 299 runs
without a failure on, the two are 1 % and 1 in 10,000. The *nearest mistake* is the one with the
least number in any run, of those in the bank that fail here with every seed. The last columns are
of the reference on the images that students train on, a few at random for each run; they are empty
where those are not at hand.

{table}

Of the known mistakes in these exercises, those that train well, or fail here only by chance, are
for other criteria to see, as `autograder selftest` proves:

{mistakes}
"""


def document(found: Mapping[Run, Found], runs: int) -> str:
    """The page: words, a table with a row a convergence, and what the mistakes come to."""
    made = rows(found)
    lines = [_line(TITLES), _line("---" for _ in TITLES), *(_line(_entries(row)) for row in made)]
    return TEXT.format(
        runs=runs,
        python=platform.python_version(),
        torch=torch.__version__,
        table="\n".join(lines),
        mistakes="\n".join(map(_on_mistakes, made)),
    )


def _line(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _entries(row: Row) -> list[str]:
    failed, runs = row.failures(row.right), len(row.right)
    once = bound(failed, runs)
    return [
        row.one.exercise,
        row.one.what,
        f"{row.one.threshold:g}",
        *(str(runs), str(failed)),
        *_middle_and_worst(row.right),
        f"{100 * once:.2g} %",
        f"1 in {math.floor(once**-2):,}",
        "none with a number" if row.nearest is None else f"{row.nearest[0]}: {row.nearest[1]:.3g}",
        *(str(len(row.real)) if row.real else "", *_middle_and_worst(row.real)),
    ]


def _middle_and_worst(found: Sequence[Found]) -> tuple[str, str]:
    numbers = [math.inf if one.number is None else one.number for one in found]
    return (f"{median(numbers):.3g}", f"{max(numbers):.3g}") if numbers else ("", "")


def _on_mistakes(row: Row) -> str:
    others = [name for name in row.mistakes if name not in row.seen | row.by_chance]
    text = f"- {row.one.exercise}: {len(row.seen)} of {len(row.mistakes)} fail"
    text += f" ({', '.join(row.seen)})." if row.seen else "."
    for name, failed in row.by_chance.items():
        text += f" With {failed} of {len(row.mistakes[name])} seeds: {name}."
    return text + (f" These train well: {', '.join(others)}." if others else "")


def differences(page: str) -> list[str]:
    """What thresholds a page gives that are not those declared, a line each."""
    cells = (re.split(r"\s*\|\s*", line)[1:4] for line in page.splitlines() if line[:4] == "| ps")
    given = {(exercise, what): threshold for exercise, what, threshold in cells}
    wanted = {
        (one.exercise, one.what): f"{one.threshold:g}"
        for name in list_assignments()
        for one in declared(name)
    }
    return [
        f"{exercise}: {what}: the table says {given.get((exercise, what), 'nothing')}, "
        f"the check {wanted.get((exercise, what), 'nothing')}"
        for exercise, what in sorted(given.keys() | wanted.keys())
        if given.get((exercise, what)) != wanted.get((exercise, what))
    ]
