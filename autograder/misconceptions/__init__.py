"""Known wrong answers, each with the message it earns: one module an assignment.

A misconception is written once and used twice. In grading, an answer that behaves like it, and like
no other, gets its message (`autograder.diagnosis`). In `autograder selftest` it is a submission,
which must lose points on its own exercise and on no other.
"""

import ast
import functools
import linecache
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType
from typing import Any

from autograder import solved
from autograder.per_assignment import constant


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that students are known to give.

    Attributes:
        exercise: its id, such as "ps2_kl".
        name: a few words for instructors, once an exercise, such as "factor 1/2 missing".
        source: the answer cell. It may use whatever stands in the notebook before it.
        message: for the student: what is wrong and where to look, and not what is right.
    """

    exercise: str
    name: str
    source: str
    message: str


def known(exercise_id: str) -> tuple[Misconception, ...]:
    """The misconceptions of an exercise."""
    assignment = exercise_id.partition("_")[0]
    return tuple(one for one in of_assignment(assignment) if one.exercise == exercise_id)


def of_assignment(assignment: str) -> tuple[Misconception, ...]:
    """All misconceptions of an assignment: `KNOWN` in the module of its name; none without one."""
    return tuple(constant(__name__, assignment, "KNOWN") or ())


def equivalent(assignment: str) -> dict[str, str]:
    """The mutants of an assignment that change nothing, and why: `EQUIVALENT` in its module."""
    return constant(__name__, assignment, "EQUIVALENT") or {}


def swapped(source: str, *pairs: tuple[str, str]) -> str:
    """A source with parts replaced, each of which must stand there: `(old, new)`, all of them.

    Raises:
        ValueError: a part does not stand in the source.
    """
    for old, new in pairs:
        if old not in source:
            raise ValueError(f"{old!r} does not stand in {source!r}")
        source = source.replace(old, new)
    return source


def namespace(assignment: str, *cells: str) -> dict[str, Any]:
    """The names of a solved notebook, with some answer cells written over the right ones.

    What a notebook computes, draws or trains is left out: only what it defines is there.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for code in _definitions(assignment):
        with suppress(NameError):  # it is made from what was computed
            exec(code, names)
    for source in cells:
        for code in _compiled(source):
            exec(code, names)
    return names


@functools.cache
def _definitions(assignment: str) -> tuple[CodeType, ...]:
    sources = solved.code_cells(assignment).values()
    return tuple(code for source in sources for code in _compiled(source, _defines))


def _compiled(
    source: str, wanted: Callable[[ast.stmt], bool] = lambda statement: True
) -> list[CodeType]:
    """The statements of a cell, one by one."""
    name = f"<answer {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return [
        compile(ast.Module([statement], []), name, "exec")
        for statement in ast.parse(source, name).body
        if wanted(statement)
    ]


def _defines(statement: ast.stmt) -> bool:
    """Whether a statement makes a name and computes next to nothing."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef():
            return True
        case ast.Assign(targets=[ast.Name()], value=value):
            return not any(isinstance(part, ast.Call) for part in ast.walk(value))
    return False
