"""From a solved object to a blank one: where the solution regions begin and end."""

import ast

from vae_course.authoring.reference import CLASS, CONSTANT, Object, extent
from vae_course.errors import CourseError

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"

# Text that nbgrader acts upon. It may stand in no reference source and in no assignment's prose.
MARKERS = (
    "BEGIN SOLUTION",
    "END SOLUTION",
    "BEGIN HIDDEN TESTS",
    "END HIDDEN TESTS",
    "BEGIN MARK SCHEME",
    "END MARK SCHEME",
    "AUTOTEST",
)


def mark(one: Object) -> str:
    """The object's source with a marked solution region in every function that has a body to write.

    Decorators, signature, docstring and a leading `super().__init__()` stay outside the markers.

    Raises:
        CourseError: the object cannot be blanked; the line says why, and what to do.
    """
    for marker in MARKERS:
        if marker in one.source:
            raise _refuse(one, one.line, f"holds nbgrader's own text {marker!r}", "reword it")
    if one.kind == CONSTANT:
        raise _refuse(one, one.line, "is no function or class", "an exercise asks for one of these")
    regions = _class_regions(one) if one.kind == CLASS else [_region(one, one.node)]
    found = [region for region in regions if region]
    if not found:
        raise _refuse(one, one.line, "has no body to blank", "give it one, or give the whole of it")
    lines = one.source.splitlines()
    for first, last, indent in reversed(found):
        lines.insert(last, indent + END)
        lines.insert(first - 1, indent + BEGIN)
    return "\n".join(lines)


def unmark(source: str) -> str:
    """The solved source again: the same text without its marker lines."""
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


def _class_regions(one: Object) -> list[tuple[int, int, str] | None]:
    regions = []
    for member in one.node.body:
        match member:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                regions.append(_region(one, member))
            case ast.ClassDef(name=name):
                raise _refuse(one, _line(one, member), f"holds a class {name}", "move it out")
            case ast.Expr(value=ast.Constant()) | ast.Assign() | ast.AnnAssign() | ast.Pass():
                pass
            case _:
                raise _refuse(
                    one,
                    _line(one, member),
                    f"holds a {type(member).__name__} statement between its methods",
                    "keep to methods and attributes",
                )
    return regions


def _region(one: Object, function: ast.stmt) -> tuple[int, int, str] | None:
    """First and last line of what the student writes, with its indentation; None if nothing."""
    line = _line(one, function)
    called = function.name if function is one.node else f"{one.name}.{function.name}"
    if isinstance(function, ast.AsyncFunctionDef):
        raise _refuse(one, line, f"has an async function {called}", "make it a plain `def`")
    if ast.get_docstring(function) is None:
        raise _refuse(
            one,
            line,
            f"has a blank without a docstring, {called}",
            "say in one what it returns, with shapes and units",
        )
    outside = 1
    if function.name == "__init__" and len(function.body) > 1 and is_super_init(function.body[1]):
        outside = 2
    if len(function.body) == outside:
        return None
    lines = one.source.splitlines()
    before, start = function.body[outside - 1], function.body[outside]
    if before.end_lineno >= start.lineno or function.lineno >= before.lineno:
        raise _refuse(one, line, f"has two statements on one line in {called}", "split the line")
    return before.end_lineno + 1, extent(function, lines)[1], " " * start.col_offset


def is_super_init(statement: ast.stmt) -> bool:
    """Whether a statement is `super().__init__(...)`."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")
            )
        ):
            return True
    return False


def _line(one: Object, node: ast.stmt) -> int:
    """The line in the reference's file of a node of the object's own source."""
    return one.line + node.lineno - one.node.lineno


def _refuse(one: Object, line: int, cause: str, cure: str) -> CourseError:
    where = one.where.rpartition(":")[0]
    return CourseError(f"{where}:{line}: {one.name} {cause}; {cure}")
