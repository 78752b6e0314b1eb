"""How alike a class's submissions are, on one page: pairs ranked, drawn, and side by side.

The page is a template with nothing in it to load or run. It tells what is alike, and never why.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.notebooks import line, plain
from autograder.pages import charts
from autograder.pages.charts import Bin
from autograder.pages.standalone import counted, standalone
from autograder.similarity import comparison as compare
from autograder.similarity.comparison import Comparison, Pair
from autograder.similarity.fingerprints import LENGTH, OWN_CELLS, Piece
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from autograder.course import Course

MARKED, MOST_MARKED = 3, 9
"""Pairs that are marked in the picture: as many at least, if there are; at most; in between, all
that stand apart."""

LEAST_SHARE = 0.05
"""Of an exercise's code, that must stand in both for it to be shown."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of a cell: "own", "shared" with the other of a pair, or "given" to everyone."""

    kind: str
    text: str


@dataclass(frozen=True)
class Column:
    """What one of a pair wrote in a place: cells, and how much of them the other wrote, too."""

    cells: tuple[tuple[Stretch, ...], ...]
    share: float


@dataclass(frozen=True)
class Beside:
    """An exercise, as both of a pair answered it."""

    place: str
    first: Column
    second: Column


@dataclass(frozen=True)
class Bar:
    """A bar of the picture, and where it is drawn."""

    bin: Bin
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Mark:
    """A pair in the picture, by its rank, and where that is drawn."""

    rank: int
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """How all pairs are spread, and where the first ones lie.

    Attributes:
        bars: pairs by score; their heights grow with the logarithm, so that one pair shows.
        lines: numbers of pairs, and their heights.
        ticks: scores in percent, and their places.
        marks: the first pairs.
        apart: the place from which on a pair stands apart, if there is one.
        top, bottom, left, right, height: of the plot, and of the picture.
    """

    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, float], ...]
    ticks: tuple[tuple[int, float], ...]
    marks: tuple[Mark, ...]
    apart: float | None
    top: float
    bottom: float
    left: float
    right: float
    height: float


def picture(comparison: Comparison) -> Picture:
    """Lay out the picture of a class's pairs."""
    bins = charts.binned((100 * score for score in comparison.scores), 100.0, 20)
    left, right = charts.PLOT_LEFT + 10, charts.WIDTH - charts.GAP
    highest = max(found.count for found in bins)
    steps = max(1, math.ceil(math.log10(highest + 1)))

    def x(percent: float) -> float:
        return round(left + (right - left) * min(percent, 100.0) / 100, 2)

    marked = [pair for pair in comparison.pairs if pair.rank <= MARKED or pair.is_apart]
    marks = _stacked([(pair.rank, x(100 * pair.score)) for pair in marked[:MOST_MARKED]])
    top = 30.0 + charts.LINE * max((level for _, _, level in marks), default=0)
    bottom = top + 14 + charts.PLOT_HEIGHT

    def y(count: float) -> float:
        return round(bottom - charts.PLOT_HEIGHT * math.log10(count + 1) / steps, 2)

    apart = comparison.apart
    return Picture(
        bars=tuple(
            Bar(
                one,
                x(one.low) + 1,
                y(one.count),
                x(one.high) - x(one.low) - 2,
                bottom - y(one.count),
            )
            for one in bins
        ),
        lines=tuple((10**step, y(10**step)) for step in range(steps + 1) if 10**step <= highest),
        ticks=tuple((percent, x(percent)) for percent in range(0, 101, 20)),
        marks=tuple(Mark(rank, at, top - charts.LINE * level) for rank, at, level in marks),
        apart=x(100 * apart) if apart is not None and apart <= 1 else None,
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        height=bottom + 24 + charts.LINE,
    )


def _stacked(places: Iterable[tuple[int, float]]) -> list[tuple[int, float, int]]:
    """Marks at their places, each on the lowest level at which it touches no other."""
    found: list[tuple[int, float, int]] = []
    for rank, x in places:
        taken = {level for _, other, level in found if abs(other - x) < charts.LINE}
        found.append(
            (rank, x, next(level for level in range(len(taken) + 1) if level not in taken))
        )
    return found


def side_by_side(pair: Pair, places: Sequence[str]) -> Iterator[Beside]:
    """The exercises in which two submissions share something, in their order.

    Args:
        pair: the two.
        places: the order.
    """
    for place in places:
        first, second = (
            _column([piece for piece in work.pieces if piece.place == place], pair.shared)
            for work in (pair.first, pair.second)
        )
        if max(first.share, second.share) >= LEAST_SHARE:
            yield Beside(place, first, second)


def _column(pieces: Sequence[Piece], shared: frozenset[int]) -> Column:
    lengths = [len(piece.own_words) for piece in pieces]
    inside = (length * piece.share(shared) for length, piece in zip(lengths, pieces, strict=True))
    cells = tuple(tuple(stretches(piece, shared)) for piece in pieces)
    return Column(cells, sum(inside) / max(sum(lengths), 1))


def stretches(piece: Piece, shared: frozenset[int]) -> Iterator[Stretch]:
    """A cell, cut where what two share begins and ends, docstrings that were given cut short."""
    kinds = ["own"] * len(piece.source)
    for kind, spans in (
        ("shared", piece.spans(shared)),
        ("given", piece.given),
        ("given text", piece.given_texts),
    ):
        for start, end in spans:
            kinds[start:end] = [kind] * (end - start)
    for blank in re.finditer(r"\n\s*", piece.source):  # a line is marked from its first word on
        start, end = blank.span()
        kinds[start:end] = [kind if kind == "given text" else "own" for kind in kinds[start:end]]
    at = 0
    for kind, run in groupby(kinds):
        end = at + len(list(run))
        text = plain(piece.source[at:end], compare.MOST_CHARACTERS)
        yield Stretch("given", '"""…"""') if kind == "given text" else Stretch(kind, text)
        at = end


def in_words(pair: Pair) -> str:
    """How unusual a pair is, in words."""
    if pair.expected is None:
        return "the class is too small to tell"
    if pair.expected >= 1:
        return "nothing unusual"
    if not pair.is_apart:
        return "a little more alike than others"
    classes = min(10 ** math.floor(math.log10(1 / max(pair.expected, 1e-9))), 1000)
    more = "more than " if classes == 1000 else "about "
    return f"stands apart: one such pair in {more}{classes:,} such classes"


def percent(value: float) -> str:
    """A share as people read it; only all of it is 100 %."""
    return f"{math.floor(100 * value + 1e-9)} %"


def page(comparison: Comparison) -> str:
    """The comparison as one HTML file that needs nothing else."""
    return standalone(
        "similar.html.j2",
        ["similar.css"],
        {"percent": percent, "line": line},
        comparison=comparison,
        picture=picture(comparison),
        beside=lambda pair: list(side_by_side(pair, comparison.places)),
        in_words=in_words,
        place_name=lambda place: _place_name(comparison.assignment, place),
        length=LENGTH,
        common=compare.COMMON,
        rare=compare.RARE,
        shown=compare.SHOWN,
        chart=charts,
    )


def _place_name(assignment: str, place: str) -> str:
    if place == OWN_CELLS:
        return place.capitalize()
    return line(place.removeprefix(f"{assignment}_"), 80)


def write(
    course: "Course",
    assignment: str,
    out: Path | None,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> tuple[Path, Comparison]:
    """Compare a class's submissions and write the page.

    Args:
        course: the course.
        assignment: of which.
        out: where the page goes; by default reports/ in the course's folder.
        progress: shows how far the reading has come.

    Returns:
        Where the page is, and what is on it.

    Raises:
        UsageError: no such assignment, or nobody handed it in.
        CourseError: too few can be compared, records cannot be read, or the page not be written.
    """
    from autograder.grading import VERDICTS_FILE, VerdictsFile

    records = VerdictsFile(course.root / VERDICTS_FILE).of(assignment)
    comparison = compare.of_course(course, assignment, records, progress)
    path = out or course.root / "reports" / f"{assignment}-similar.html"
    write_atomically(path, page(comparison))
    return path, comparison


def lines(path: Path, comparison: Comparison) -> Iterator[str]:
    """What the terminal tells of a comparison: no names, but of those who were left out."""
    compared, pairs = len(comparison.works), len(comparison.scores)
    apart = comparison.standing_apart
    stands = "1 stands" if apart == 1 else f"{apart or 'none'} stand{'' if apart else 's'}"
    if comparison.apart is None:
        stands = "too few to say which is unusual"
    else:
        stands += " apart from the others"
    yield f"{counted(compared, 'submission')} compared, {counted(pairs, 'pair')}: {stands}"
    yield _printable(f"Page: {path}")
    yield from (_printable(f"not compared: {who}: {why}") for who, why in comparison.left_out)
    yield from (_printable(f"in part: {who}: {why}") for who, why in comparison.remarks)


def _printable(text: str) -> str:
    return line(text).encode(errors="replace").decode()
