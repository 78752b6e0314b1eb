"""Mutants: the right answer with one small change made mechanically, as a slip would make it.

A check that does not notice a change has a hole there, or the change changes nothing.
"""

import ast
import copy
import difflib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

LONG = 120
"""Characters, from which on a line is not told whole."""

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_REDUCTIONS = {"sum": "mean", "mean": "sum", "max": "min", "min": "max", "std": "var", "var": "std"}
_UNDONE = (
    *("exp", "log", "sqrt", "square", "sigmoid", "softplus", "tanh", "relu", "logsumexp"),
    *("detach", "clone", "flatten", "abs", "cpu", "flip", "clamp", "round", "leaky_relu"),
)
"""Calls that a slip may leave out, so that what they are called on is left."""


@dataclass(frozen=True)
class Mutant:
    """A changed answer.

    Attributes:
        exercise: its id.
        kind: what sort of change: "operator", "constant", "reduction", ...
        source: the answer cell.
        original: the answer cell before, written in the same style.
    """

    exercise: str
    kind: str
    source: str
    original: str

    @property
    def change(self) -> str:
        """The lines that differ, the old ones before the new ones, by which it is known.

        Of a pair of long lines only the place where they differ is told.
        """
        lines = difflib.ndiff(self.original.splitlines(), self.source.splitlines())
        told = [(line[0], line[2:].strip()) for line in lines if line[0] in "-+"]
        if [sign for sign, _ in told] == ["-", "+"] and len(told[0][1]) > LONG:
            told = list(zip("-+", _around(told[0][1], told[1][1]), strict=True))
        return "; ".join(f"{sign} {line}" for sign, line in told)


def _around(old: str, new: str) -> tuple[str, str]:
    """Where two lines differ, with a little of what stands around it."""
    start = len(os.path.commonprefix([old, new]))
    end = len(os.path.commonprefix([old[start:][::-1], new[start:][::-1]]))
    before, after = max(0, start - LONG // 3), max(0, end - LONG // 3)
    return old[before : len(old) - after], new[before : len(new) - after]


def mutants(exercise: str, answer: str, most: int) -> list[Mutant]:
    """Mutants of an answer, in an order that mixes their kinds.

    Args:
        exercise: its id.
        answer: the right answer cell.
        most: how many; of more, some of each kind are taken, always the same.
    """
    tree = ast.parse(answer)
    original = ast.unparse(tree)
    found = {ast.unparse(changed): kind for kind, changed in _changes(tree)}
    found.pop(original, None)
    made = [Mutant(exercise, kind, source, original) for source, kind in found.items()]
    return _mixed(made)[:most]


def _mixed(made: list[Mutant]) -> list[Mutant]:
    """One of each kind, then a second one of each kind, and so on."""
    ranks: dict[str, int] = {}
    order = []
    for one in sorted(made, key=lambda one: hashlib.sha256(one.source.encode()).digest()):
        ranks[one.kind] = ranks.get(one.kind, 0) + 1
        order.append((ranks[one.kind], one.kind, one))
    return [one for _, _, one in sorted(order, key=lambda entry: entry[:2])]


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    """Each change that can be made in a function's body, in a copy of the tree."""
    places = [index for index, node in enumerate(ast.walk(tree)) if id(node) in _bodies(tree)]
    for place in places:
        count = len(list(_variants(_nth(tree, place))))
        for number in range(count):
            changed = copy.deepcopy(tree)
            kind, change = list(_variants(_nth(changed, place)))[number]
            change()
            yield kind, ast.fix_missing_locations(changed)


def _nth(tree: ast.Module, place: int) -> ast.AST:
    return list(ast.walk(tree))[place]


def _bodies(tree: ast.Module) -> set[int]:
    """The nodes in functions' bodies: names, defaults and annotations are given to students."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = [node for one in functions for part in one.body for node in ast.walk(part)]
    given = [node for one in functions for node in ast.walk(one.args)]
    given += [node for one in functions if one.returns for node in ast.walk(one.returns)]
    return {id(node) for node in inside} - {id(node) for node in given}


def _variants(node: ast.AST) -> Iterator[tuple[str, "_Change"]]:
    match node:
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            yield "operator", _Set(node, "op", _OPERATORS[type(op)]())
        case ast.AugAssign(op=op) if type(op) in _OPERATORS:
            yield "operator", _Set(node, "op", _OPERATORS[type(op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", _Set(node, "op", ast.UAdd())
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield "comparison", _Set(node, "ops", [_COMPARISONS[type(op)]()])
        case ast.BoolOp(op=op):
            yield "comparison", _Set(node, "op", ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield "condition", _Set(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool(value)):
            yield "constant", _Set(node, "value", not value)
        case ast.Constant(value=int(value)):
            yield "constant", _Set(node, "value", value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", _Set(node, "value", 2 * value if value else 1.0)
        case ast.Return(value=ast.Tuple(elts=[first, second, *rest])):
            yield "order", _Set(node.value, "elts", [second, first, *rest])
        case ast.Call():
            yield from _calls(node)
    for block in ("body", "orelse"):
        statements = getattr(node, block, None)
        for index, statement in enumerate(statements if isinstance(statements, list) else ()):
            if isinstance(statement, ast.Expr | ast.AugAssign) and not _is_text(statement):
                yield "statement", _Set(node, block, _without(statements, index))


def _calls(node: ast.Call) -> Iterator[tuple[str, "_Change"]]:
    match node.func:
        case ast.Attribute(attr=name) if name in _REDUCTIONS:
            yield "reduction", _Set(node.func, "attr", _REDUCTIONS[name])
        case ast.Attribute(value=ast.Name(id="torch" | "F"), attr=name) if name in _UNDONE:
            if node.args:
                yield "call", _Become(node, node.args[0])
        case ast.Attribute(value=value, attr=name) if name in _UNDONE:
            yield "call", _Become(node, value)
    if len(node.args) > 1 and not any(isinstance(one, ast.Starred) for one in node.args):
        first, second, *rest = node.args
        yield "order", _Set(node, "args", [second, first, *rest])
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield "keyword", _Set(node, "keywords", _without(node.keywords, index))


def _without(items: list, index: int) -> list:
    left = items[:index] + items[index + 1 :]
    return left or ([ast.Pass()] if isinstance(items[0], ast.stmt) else [])


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or the call of the base class that students are given."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name("super"))))):
            return True
    return False


@dataclass
class _Set:
    """Puts another value in a field."""

    node: ast.AST
    field: str
    value: object

    def __call__(self) -> None:
        setattr(self.node, self.field, self.value)


@dataclass
class _Become:
    """Puts another expression in the place of one."""

    node: ast.expr
    other: ast.expr

    def __call__(self) -> None:
        self.node.__class__ = type(self.other)
        self.node.__dict__ = dict(vars(self.other))


_Change = _Set | _Become
