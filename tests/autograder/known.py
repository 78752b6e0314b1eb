"""The bank of known mistakes as tests: each is named, and described by what the check observes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from autograder.judge import Verdict
from autograder.misconceptions import Misconception, of_assignment


def mistakes(assignment: str, quick: int = 1000) -> Iterator[Any]:
    """Parameters of a test: all of an assignment's, those beyond an exercise's first ones `long`.

    Args:
        assignment: its name.
        quick: how many an exercise, where judging each takes seconds.
    """
    seen = Counter()
    for one in of_assignment(assignment):
        seen[one.exercise] += 1
        marks = [pytest.mark.long] if seen[one.exercise] > quick else []
        yield pytest.param(one, id=f"{one.exercise}-{one.name}", marks=marks)


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
    verdict = judged(exercise, one.source)
    assert verdict.score < verdict.max_score
    assert verdict.misconception == one.name, verdict.message
    assert one.message in verdict.message
    words = observed.get((one.exercise.partition("_")[2], one.name), "")
    assert words in " ".join(part.message for part in verdict.criteria)
    return verdict
