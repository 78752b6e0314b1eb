"""Grading inside a notebook's own kernel: what `grade("ps2_kl")` does.

nbgrader gives the cell zero if anything reaches stderr, and full marks for a NaN, a negative
number or no number at all. So this is careful to be quiet, and to end in a plain float.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any

from autograder.draw import submission_seed
from autograder.judge import Exercise, Verdict, judge
from autograder.record import VERDICT_MIME
from autograder.student import InProcessStudent, isolated, unchanged
from vae_course.errors import CourseError


class GraderError(CourseError):
    """The grader failed, so there is no score. In a notebook it shows as one line."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this. Its own traceback would print the source of the checks.
        return [f"GraderError: {self}"]


def grade_here(
    exercise_id: str,
    namespace: MutableMapping[str, Any],
    exercise: Exercise | None = None,
    seed: int | None = None,
) -> float:
    """Judge an exercise on the names in `namespace`, print the message, publish the verdict.

    Args:
        exercise_id: the id of the exercise.
        namespace: the caller's globals; under IPython, the notebook's names are used instead.
        exercise: its points and solutions; by default the assignment's text is asked.
        seed: for the inputs; by default from the environment (AUTOGRADER_SEED), else fresh.

    Returns:
        The points, a finite float.

    Raises:
        GraderError: see `autograder.grade`.
    """
    shell = _shell()
    if shell is not None:
        namespace = shell.user_ns
    exercise = exercise or _look_up(exercise_id)
    with _quiet(shell), unchanged(namespace):
        verdict = judge(exercise, InProcessStudent(namespace), _seed() if seed is None else seed)
    print(verdict.message)
    if shell is not None:
        from IPython.display import display

        display({VERDICT_MIME: verdict.to_dict()}, raw=True)
    return _points(verdict)


def _points(verdict: Verdict) -> float:
    if verdict.verdict == "grader_error":
        raise GraderError(f"{verdict.id} has no score: {verdict.detail}")
    return float(min(max(verdict.score, 0.0), verdict.max_score))


def _shell() -> Any:
    """The IPython shell that runs this, if one does."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _look_up(exercise_id: str) -> Exercise:
    from autograder.exercises import exercise_of

    try:
        return exercise_of(exercise_id)
    except CourseError as error:
        raise GraderError(str(error)) from None


def _seed() -> int:
    try:
        return submission_seed()
    except CourseError as error:
        raise GraderError(str(error)) from None


@contextlib.contextmanager
def _quiet(shell: Any) -> Iterator[None]:
    """Let nothing out: not pictures, and not what C++ code writes to the process's own stderr."""
    with contextlib.ExitStack() as stack:
        if shell is not None:
            from IPython.utils.capture import capture_output

            stack.enter_context(capture_output())
        stack.enter_context(isolated())  # what the judge itself draws, prints or warns of
        for descriptor in (1, 2):
            stack.enter_context(_silenced(descriptor))
        yield


@contextlib.contextmanager
def _silenced(descriptor: int) -> Iterator[None]:
    try:
        saved = os.dup(descriptor)
    except OSError:  # closed, as under a service without a terminal: nothing can get out
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(nowhere)
