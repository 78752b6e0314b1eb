"""Right answers in other words than the reference's: one module an assignment.

Each must get full marks. They are what students write who know what they do: other formulas,
`F.` or `nn.`, loops, float64, torch.distributions, helpers in the same cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from autograder.per_assignment import constant


@dataclass(frozen=True)
class Variant:
    """A right answer.

    Attributes:
        exercise: its id, such as "ps2_kl".
        name: a few words, once an exercise.
        source: the answer cell.
    """

    exercise: str
    name: str
    source: str


def of_assignment(assignment: str) -> tuple[Variant, ...]:
    """All variants of an assignment: `VARIANTS` in the module of its name; none without one."""
    return tuple(constant(__name__, assignment, "VARIANTS") or ())


def rows(right: Iterable[Variant]) -> list[list[Variant]]:
    """Variants that can stand in one notebook, at most one an exercise, until all have stood."""
    columns: dict[str, list[Variant]] = {}
    for one in right:
        columns.setdefault(one.exercise, []).append(one)
    return [[one for one in row if one] for row in zip_longest(*columns.values())]
