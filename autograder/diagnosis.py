"""Which known mistake a wrong answer is: the one that answers every question of the check alike.

Nothing is compared with a list of values: the wrong implementation itself is put through the same
check with the same inputs, until it answers otherwise than the student's code did.
"""

from collections.abc import Sequence

from autograder.checks import Check
from autograder.draw import Draw
from autograder.misconceptions import Misconception, known, namespace
from autograder.student import InProcessStudent, StudentError
from autograder.transcript import Answer, Heard, alike


class Different(Exception):
    """The two do not behave alike."""


def diagnose(
    exercise_id: str, check: Check, seed: int, answers: Sequence[Answer]
) -> Misconception | None:
    """The known mistake that behaves as an answer does, if exactly one does.

    Args:
        exercise_id: of the exercise.
        check: of the exercise.
        seed: with which the answer was judged.
        answers: all that the student's code answered then.
    """
    found = [one for one in known(exercise_id) if behaves(one, check, seed, answers)]
    return found[0] if len({one.message for one in found}) == 1 else None


def behaves(one: Misconception, check: Check, seed: int, answers: Sequence[Answer]) -> bool:
    """Whether a misconception, put through the check, gives these answers and no others."""
    expected = iter(answers)

    def compare(answer: Answer) -> None:
        if (same := next(expected, None)) is None or not alike(answer, same):
            raise Different

    names = namespace(one.exercise.partition("_")[0], one.source)
    student = Heard(InProcessStudent(names), compare)
    try:
        for criterion in check(student, Draw(seed, one.exercise)):
            try:
                criterion.test()
            except StudentError:
                pass  # so it was for the student's, or the answers would differ
    except Different:
        return False
    return next(expected, None) is None
