"""What a student's code answered while it was judged, and whether other code answers alike.

A check puts the same questions to whatever it judges, as long as the answers are the same. So two
answers to an exercise behave alike, as far as the check looks, if and only if their transcripts are
alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograder import expect
from autograder.student import Gradients, Ref, Student, StudentError

RTOL, ATOL = 1e-3, 1e-4
"""Between two ways to compute the same. Mistakes are larger; see `autograder.expect.RTOL`."""


@dataclass(frozen=True)
class Answer:
    """What one verb of the handle gave.

    Attributes:
        verb: a method of `autograder.student.Student`.
        value: its result, a wire value or `Gradients`; None if it failed.
        error: why it failed.
    """

    verb: str
    value: Any = None
    error: StudentError | None = None


class Heard:
    """A `Student` that answers as another one does, and tells what it answers.

    Args:
        student: who is asked.
        hear: told each answer before the check gets it.
    """

    def __init__(self, student: Student, hear: Callable[[Answer], None]) -> None:
        self._student, self._hear = student, hear

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        ask = getattr(self._student, verb)

        def asked(*args: Any, **kwargs: Any) -> Any:
            try:
                value = ask(*args, **kwargs)
            except StudentError as error:
                self._hear(Answer(verb, error=error))
                raise
            self._hear(Answer(verb, value))
            return value

        return asked


def alike(one: Answer, other: Answer) -> bool:
    """Whether two answers are the same, but for the last digits and a student's own words."""
    if one.verb != other.verb or (one.error is None) != (other.error is None):
        return False
    if one.error is not None and other.error is not None:
        return _told(one.error) == _told(other.error)
    return _same(one.value, other.value)


def _told(error: StudentError) -> tuple[str, str, str]:
    """What is the same where the same is wrong: PyTorch's words are, those of one's own are not."""
    own_words = error.line.startswith(("raise", "assert"))
    return error.kind, error.type, "" if own_words else error.message


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Gradients) and isinstance(other, Gradients):
        return all(_same(mine, vars(other)[name]) for name, mine in vars(one).items())
    if isinstance(one, Ref) and isinstance(other, Ref):
        return True  # what is behind it shows when it is asked
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return expect.alike(one, other, rtol=RTOL, atol=ATOL, nan=True)
