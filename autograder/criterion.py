"""One thing that an exercise must show: a name, a weight, and a test."""

from collections.abc import Callable
from dataclasses import dataclass

Test = Callable[[], str | None]
"""Returns None when the criterion is met, else what was observed and where to look.

A test may raise `autograder.student.StudentError`: then the criterion is not met. Any other
exception is a fault of the check, and never counts against the student.
"""


@dataclass(frozen=True)
class Criterion:
    """A weighted part of an exercise.

    Attributes:
        name: what is looked at, in a few words that complete the sentence "This was checked: ...".
        weight: its share of the exercise's points, relative to the other criteria.
        test: runs when the judge gets to it, apart from the other criteria.
    """

    name: str
    weight: float
    test: Test


def criterion(name: str, weight: float = 1) -> Callable[[Test], Criterion]:
    """Decorator that makes a criterion of a test.

    A check reads as a list of them:

        def kl(student, draw):
            mu = draw.normal(3, 5)

            @criterion("one number for each example", 1)
            def shape():
                return expect.shape(student.call("gaussian_kl", mu, mu), (3,), "your KL")

            yield shape
    """

    def make(test: Test) -> Criterion:
        return Criterion(name, weight, test)

    return make
