"""What each exercise must show: one module an assignment, one function an exercise.

The exercise `ps2_kl` is judged by `autograder.checks.ps2.kl(student, draw)`, found by name. A check
yields criteria. It reaches the student's code through the handle (`autograder.student`) and nothing
else, and only from inside a criterion's test; right values come from the reference or a closed
form.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator

from autograder.criterion import Criterion
from autograder.draw import Draw
from autograder.student import InProcessStudent, Student
from vae_course.errors import UsageError

Check = Callable[[Student, Draw], Iterator[Criterion]]

REFERENCE_MODULES = ("probability", "data", "training", "autoencoder", "vae")


def find_check(exercise_id: str) -> Check:
    """The check of an exercise, by its id.

    Raises:
        UsageError: there is none; the message says where it belongs.
    """
    assignment, _, name = exercise_id.partition("_")
    path = f"autograder.checks.{assignment}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        module = None
    check = getattr(module, name, None) if name and not name.startswith("_") else None
    if not inspect.isgeneratorfunction(check):
        raise UsageError(
            f"autograder/checks/{assignment}.py: no check for the exercise {exercise_id}; "
            f"it is a function `{name or '<name>'}(student, draw)` there that yields criteria"
        )
    return check


@functools.cache
def reference() -> InProcessStudent:
    """The right answers behind the same verbs as a student's, so that both are asked alike."""
    names: dict[str, object] = {}
    for module_name in REFERENCE_MODULES:
        module = importlib.import_module(f"vae_course.{module_name}")
        names |= {
            name: value
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        }
    return InProcessStudent(names, guarded=False)
