"""What stands in the modules that are found by an assignment's name."""

import importlib
from typing import Any


def constant(package: str, assignment: str, name: str) -> Any:
    """A constant of the assignment's module in a package, such as `KNOWN` of misconceptions.ps2.

    Returns:
        Its value; None where there is no such module, or no such constant in it.
    """
    if not assignment.isidentifier():  # in another course's ids anything may stand
        return None
    path = f"{package}.{assignment}"
    try:
        return getattr(importlib.import_module(path), name, None)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None
