"""How alike the submissions of a class are, pair by pair, and how unusual that is in this class.

Right answers to a short exercise resemble each other whoever wrote them. So what most of a class
wrote counts for nothing, what few wrote counts for more, and a pair is compared with all the other
pairs. Nothing here knows why two are alike.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from nbformat import NotebookNode
from scipy.sparse import csr_array

from autograder import variants
from autograder.notebooks import shown
from autograder.similarity.fingerprints import MOST_CHARACTERS, Handout, Wording, Work
from vae_course.authoring.blanks import unmark
from vae_course.errors import CourseError

if TYPE_CHECKING:
    from autograder.course import Course

FEWEST = 3
"""Submissions that can be compared: of two nobody can say whether they are unusually alike."""

COMMON = 0.5
"""Share of a class beyond which a fingerprint counts for nothing: that is how one writes this."""

LEAST = 0.5
"""Of the median of what is counted in a submission: one that holds less is taken to hold so much.
Else a submission of three lines, which somebody else has too, would be the most alike of all."""

RARE = 3
"""Students at most who share a wording or a name that is worth telling."""

TELLING = 2
"""Comments and texts that two must share to be shown for these alone."""

TAIL = 0.1
"""Share of the pairs, the most alike ones, from which it is read how far such a class spreads."""

NARROWEST = 0.02
"""Of a class's scale: pairs that all share next to nothing make no small likeness unusual."""

ENOUGH = 45
"""Pairs, those of ten students, below which a class does not tell what is unusual."""

APART = 0.01
"""Pairs as alike as this one, expected in such a class, below which a pair stands apart."""

SHOWN, MOST_SHOWN = 20, 100
"""Pairs on the page: as many at least, if there are; at most; in between, all that stand apart."""


@dataclass(frozen=True)
class Mistake:
    """A known mistake that both made.

    Attributes:
        exercise, name: of the mistake.
        students: of the class who made it, these two among them.
    """

    exercise: str
    name: str
    students: int


@dataclass(frozen=True)
class Pair:
    """Two submissions beside each other.

    Attributes:
        rank: from the most alike on, 1 for the first.
        first, second: the two.
        score: from 0 to 1; the share of what counts in the one that holds less, which the other
            holds too.
        shared: the fingerprints that count and that both hold.
        expected: how many pairs as alike would be expected in a class of this size and spread; None
            where the class is too small to tell.
        wording: what both wrote in the same words, and next to nobody else; the rarest first.
        mistakes: known mistakes that both made; the rarest first.
    """

    rank: int
    first: Work
    second: Work
    score: float
    shared: frozenset[int]
    expected: float | None
    wording: tuple[tuple[Wording, int], ...]
    mistakes: tuple[Mistake, ...]

    @property
    def is_apart(self) -> bool:
        return self.expected is not None and self.expected < APART


@dataclass(frozen=True)
class Comparison:
    """A class, pair by pair.

    Attributes:
        assignment: its name.
        works: what was compared.
        scores: of all pairs, the most alike first.
        apart: the score from which on a pair stands apart; None where the class is too small.
        pairs: those that are shown, the most alike first.
        left_out: students whose submissions were not compared, and why.
        remarks: students whose submissions were compared as far as they go, and what is wrong.
        places: where code may stand, in the order of the assignment.
        has_verdicts: whether there were records to tell known mistakes.
    """

    assignment: str
    works: tuple[Work, ...]
    scores: tuple[float, ...]
    apart: float | None
    pairs: tuple[Pair, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    places: tuple[str, ...] = ()
    has_verdicts: bool = False

    @property
    def standing_apart(self) -> int:
        """How many pairs stand apart."""
        return sum(pair.is_apart for pair in self.pairs)


@dataclass(frozen=True)
class Scale:
    """How alike the pairs of a class are, as far as that tells what is unusual.

    A pair is measured by what it does *not* share, on a scale of logarithms: there the number of
    pairs falls off about exponentially beyond a high quantile. How fast is read from the median
    there, which a few pairs that stand apart do not move.
    """

    pairs: int
    start: float
    spread: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "Scale | None":
        """The scale of a class; None of one that is too small."""
        if len(scores) < ENOUGH:
            return None
        found = np.array([_distance(score) for score in scores])
        start = float(np.quantile(found, 1 - TAIL))
        above = found[found > start]
        spread = float(np.median(above) - start) / math.log(2) if len(above) else 0.0
        return cls(round(TAIL * len(scores)), start, max(spread, NARROWEST))

    def expected(self, score: float) -> float:
        """How many pairs are to be expected that are at least as alike."""
        return self.pairs * math.exp(-max(_distance(score) - self.start, 0.0) / self.spread)

    @property
    def apart(self) -> float:
        """The score beyond which fewer than `APART` pairs are expected."""
        return 1 - math.exp(-self.start - self.spread * math.log(self.pairs / APART))


def _distance(score: float) -> float:
    return -math.log(max(1 - score, 1e-3))


def compared(
    assignment: str,
    works: Sequence[Work],
    background: Sequence[Work] = (),
    records: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> Comparison:
    """Compare each with each.

    Args:
        assignment: its name.
        works: of the class, three at least.
        background: right answers that nobody here wrote: what stands in them, too, is less rare.
        records: of the students, by name, where they were graded.
        more: what else a `Comparison` holds.
    """
    counted = _counted(works)
    rows, columns = np.triu_indices(len(works), 1)
    scores = _scores(works, background, counted)[rows, columns]
    order = np.argsort(-scores, kind="stable")
    scale = Scale.of(scores)
    rarities = Counter(one for work in works for one in work.wording)
    for work in background:
        rarities.update({one: RARE for one in work.wording})
    mistakes = {student: _mistakes(entry) for student, entry in (records or {}).items()}
    frequencies = Counter(one for work in works for one in mistakes.get(work.author, ()))

    def pair(rank: int, place: int) -> Pair:
        first, second = works[rows[place]], works[columns[place]]
        made = mistakes.get(first.author, set()) & mistakes.get(second.author, set())
        score = float(scores[place])
        return Pair(
            rank,
            first,
            second,
            score,
            first.fingerprints & second.fingerprints & counted.keys(),
            scale.expected(score) if scale else None,
            _same_wording(first, second, rarities),
            tuple(
                Mistake(*one, frequencies[one])
                for one in sorted(made, key=lambda one: (frequencies[one], one))
            ),
        )

    ranked = [pair(rank, place) for rank, place in enumerate(order[:MOST_SHOWN], 1)]
    shown_pairs = [one for one in ranked if one.rank <= SHOWN or one.is_apart]
    places = {(int(rows[place]), int(columns[place])): rank for rank, place in enumerate(order, 1)}
    alike = [ends for ends in _telling(works, rarities) if places[ends] > len(shown_pairs)]
    for ends in alike[:SHOWN]:
        shown_pairs.append(pair(places[ends], int(order[places[ends] - 1])))
    return Comparison(
        assignment,
        tuple(works),
        tuple(np.sort(scores)[::-1].tolist()),
        scale.apart if scale else None,
        tuple(sorted(filter(_share_something, shown_pairs), key=lambda one: one.rank)),
        has_verdicts=bool(records),
        **more,
    )


def _share_something(pair: Pair) -> bool:
    return bool(pair.score or pair.wording or pair.mistakes)


def _counted(works: Sequence[Work]) -> dict[int, int]:
    """The fingerprints that count, and how many of the class hold each."""
    counts = Counter(one for work in works for one in work.fingerprints)
    most = max(COMMON * len(works), FEWEST)
    return {one: count for one, count in counts.items() if count <= most}


def _scores(
    works: Sequence[Work], background: Sequence[Work], counts: Mapping[int, int]
) -> np.ndarray:
    """How alike any two are, from 0 to 1.

    Args:
        works: of the class.
        background: right answers that nobody here wrote.
        counts: the fingerprints that count, and how many hold each.
    """
    also = Counter(one for work in background for one in work.fingerprints)
    column = {one: place for place, one in enumerate(counts)}
    total = len(works) + len(background)
    weights = np.array([math.log(total / (count + also[one])) for one, count in counts.items()])
    held = [[column[one] for one in work.fingerprints if one in column] for work in works]
    rows = np.repeat(np.arange(len(works)), [len(one) for one in held])
    columns = np.concatenate([np.array(one, dtype=int) for one in held])
    shape = len(works), len(counts)
    holds = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    common = ((holds * weights) @ holds.T).toarray()
    sizes = common.diagonal()
    least = LEAST * float(np.median(sizes)) or 1.0
    smaller = np.maximum(np.minimum.outer(sizes, sizes), least)
    return (common / smaller).round(9)  # what is added up comes in no certain order


def _same_wording(
    first: Work, second: Work, rarities: Mapping[Wording, int]
) -> tuple[tuple[Wording, int], ...]:
    found = [(one, rarities[one]) for one in first.wording & second.wording]
    rare = [(one, count) for one, count in found if count <= RARE]
    return tuple(sorted(rare, key=lambda one: (one[1], one[0].kind, one[0].text)))


def _telling(works: Sequence[Work], rarities: Mapping[Wording, int]) -> list[tuple[int, int]]:
    """Pairs that share comments or texts which are rare, those that share the most first."""
    holders: dict[Wording, list[int]] = {}
    for place, work in enumerate(works):
        for one in work.wording:
            if rarities[one] <= RARE and one.kind != "name":
                holders.setdefault(one, []).append(place)
    counts = Counter(ends for places in holders.values() for ends in combinations(places, 2))
    telling = [ends for ends, count in counts.items() if count >= TELLING]
    return sorted(telling, key=lambda ends: (-counts[ends], ends))


def _mistakes(entry: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The known mistakes that a record tells: exercise and name."""
    return {
        (part["id"], part["misconception"])
        for part in entry["exercises"]
        if part.get("misconception")
    }


# Of a course's folder.


def of_course(
    course: "Course",
    assignment: str,
    records: Mapping[str, Mapping[str, Any]],
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Comparison:
    """Compare what a class handed in.

    Args:
        course: the course.
        assignment: of which.
        records: of the students, by name.
        progress: shows how far the reading has come.

    Raises:
        UsageError: no such assignment, or nobody handed it in.
        CourseError: too few submissions can be compared.
    """
    from autograder.grading import chosen, read_submission

    students = chosen(course, assignment, None)
    sources = course.source_notebooks(assignment)
    handout = Handout(_released(course, assignment, sources))
    works, left_out, remarks = [], [], []
    for student in progress(students):
        try:
            folder = course.folder("submitted", assignment, student)
            notebooks = read_submission(folder, sorted(sources))
        except CourseError as error:
            left_out.append((student, course.relative(str(error))))
            continue
        cells = handout.own_cells(notebooks.values())
        length = sum(len(source) for _, source in cells)
        if length > MOST_CHARACTERS:
            why = f"it holds {length:,} characters of code, more than anybody writes"
            left_out.append((student, f"{why}; look at it yourself"))
            continue
        work = handout.written(student, cells)
        if not work.fingerprints:
            left_out.append((student, "it holds too little code of the student's own to compare"))
            continue
        if work.unparsed:
            cells_are = "1 cell is" if work.unparsed == 1 else f"{work.unparsed} cells are"
            remarks.append((student, f"{cells_are} no Python, and compared word by word"))
        works.append(work)
    if len(works) < FEWEST:
        why = "; ".join(f"{student}: {reason}" for student, reason in left_out)
        raise CourseError(
            f"{assignment}: {len(works)} of {len(students)} submissions can be compared, and how "
            f"unusual it is that two are alike shows only beside others: {FEWEST} are needed"
            + (f" ({why})" if why else "")
        )
    return compared(
        assignment,
        works,
        background(handout, assignment, sources.values()),
        records,
        left_out=tuple(left_out),
        remarks=tuple(remarks),
        places=handout.places,
    )


def _released(course: "Course", assignment: str, sources: Mapping[str, NotebookNode]) -> list:
    """What students got: the release, or where there is none what nbgrader would make of it."""
    from nbgrader.preprocessors import ClearSolutions

    from autograder.grading import read_notebook
    from vae_course.authoring.release import starter_preprocessor

    folder = course.folder("release", assignment)
    found = [read_notebook(path) for path in sorted(folder.glob("*.ipynb"))]
    if found:
        return found
    made = [_changed(source, shown) for source in sources.values()]
    for step in (ClearSolutions, starter_preprocessor()):
        made = [step(parent=None, config=course.config).preprocess(one, {})[0] for one in made]
    return made


def background(handout: Handout, assignment: str, sources: Iterable[NotebookNode]) -> list[Work]:
    """Right answers that nobody of the class wrote: the course's own, and those in other words.

    Args:
        handout: what everyone was given.
        assignment: its name.
        sources: the notebooks with the solutions.
    """
    solved = handout.own_cells(_changed(source, _solved) for source in sources)
    rows = variants.rows(variants.of_assignment(assignment))
    others = [[(one.exercise, one.source) for one in row] for row in rows]
    return [handout.written("", cells) for cells in (solved, *others) if cells]


def _changed(notebook: NotebookNode, change: Callable[[str], str]) -> NotebookNode:
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        cell.source = change(cell.source)
    return made


def _solved(source: str) -> str:
    return unmark(shown(source))
