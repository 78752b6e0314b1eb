"""The banks as tests: known mistakes, each to be named and described, and right answers."""

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import pytest

from autograder import variants
from autograder.judge import Verdict
from autograder.misconceptions import Misconception, of_assignment


def right(exercise: str, name: str) -> str:
    """The source of a right answer, of which wrong ones are made."""
    assignment = exercise.partition("_")[0]
    (found,) = (
        one.source
        for one in variants.of_assignment(assignment)
        if (one.exercise, one.name) == (exercise, name)
    )
    return found


def right_answers(assignment: str, slow: Container[str]) -> list[Any]:
    """Parameters of a test: variants, those beyond a slow exercise's first three `long`.

    Args:
        assignment: its name.
        slow: exercises, without the assignment's name, whose checks take long.
    """
    rows = [
        (one.exercise.partition("_")[2], one.name, one.source)
        for one in variants.of_assignment(assignment)
    ]
    return [
        pytest.param(row[0], row[2], id="-".join(row[:2]), marks=marks)
        for row, marks in _marked(rows, slow, quick=3)
    ]


def wrong_answers(rows: Sequence[tuple[Any, ...]], slow: Container[str]) -> list[Any]:
    """Parameters of a test: rows, those beyond a slow exercise's first five `long`.

    Args:
        rows: each begins with the exercise and a name.
        slow: exercises whose checks take long.
    """
    return [
        pytest.param(*row, id="-".join(row[:2]), marks=marks)
        for row, marks in _marked(rows, slow, quick=5)
    ]


def mistakes(assignment: str, quick: int = 1000) -> list[Any]:
    """Parameters of a test: all of an assignment's, those beyond an exercise's first ones `long`.

    Args:
        assignment: its name.
        quick: how many an exercise, where judging each takes seconds.
    """
    rows = [(one.exercise, one.name, one) for one in of_assignment(assignment)]
    return [
        pytest.param(row[2], id="-".join(row[:2]), marks=marks)
        for row, marks in _marked(rows, {row[0] for row in rows}, quick)
    ]


def _marked(
    rows: Sequence[tuple[Any, ...]], slow: Container[str], quick: int
) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Each row, and its marks: `long` beyond the first ones of a slow exercise."""
    seen: Counter[str] = Counter()
    for row in rows:
        seen[row[0]] += 1
        yield row, [pytest.mark.long] if row[0] in slow and seen[row[0]] > quick else []


def assert_named(
    judged: Callable[[str, str], Verdict],
    exercise: str,
    one: Misconception,
    observed: Mapping[tuple[str, str], str],
) -> Verdict:
    """A mistake loses points under its own name, and what the check itself observes is told too.

    Args:
        judged: judges an answer to an exercise.
        exercise: by which `judged` knows it.
        one: the mistake.
        observed: by exercise, without its assignment, and name: words of the check's own.
    """
    verdict = judged(exercise, one.source, name_mistakes=True)
    assert verdict.score < verdict.max_score
    assert verdict.misconception == one.name, verdict.message
    assert one.message in verdict.message
    words = observed.get((one.exercise.partition("_")[2], one.name), "")
    assert words in " ".join(part.message for part in verdict.criteria)
    return verdict
