"""What each exercise must show: one module an assignment, one function an exercise.

The exercise `ps2_kl` is judged by `autograder.checks.ps2.kl(student, draw)`, found by name. A check
yields criteria. It reaches the student's code through the handle (`autograder.student`) and nothing
else, and only from inside a criterion's test; right values come from the reference or a closed
form.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator

import vae_course
from autograder.criterion import Criterion
from autograder.draw import Draw
from autograder.student import InProcessStudent, Student
from vae_course.errors import UsageError

Check = Callable[[Student, Draw], Iterator[Criterion]]

NO_ANSWERS = {
    *("binarized", "capstone", "cli", "data", "errors", "experiments", "face_data", "files"),
    *("handin", "plots", "storage"),
}
"""Modules of the reference that hold no exercise, and need not be imported to grade one."""


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


def reference() -> InProcessStudent:
    """The right answers behind the same verbs as a student's, so that both are asked alike.

    Each call gives a handle of its own, with which go the objects that it made.
    """
    return InProcessStudent(_reference_names(), guarded=False)


@functools.cache
def _reference_names() -> dict[str, object]:
    names: dict[str, object] = {}
    for info in pkgutil.iter_modules(vae_course.__path__):
        if info.ispkg or info.name in NO_ANSWERS:
            continue
        module = importlib.import_module(f"vae_course.{info.name}")
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) == module.__name__ and name[0] != "_":
                if name in names:
                    raise LookupError(f"{name} stands in two modules of the reference")
                names[name] = value
    return names
