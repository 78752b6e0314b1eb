"""Code compared by what it does, not by how it looks: normal forms of syntax trees.

Two pieces of code have one normal form if they differ only in layout, comments, docstrings,
annotations, and in how they call their own variables. Names that mean something outside (imports,
the reference's objects, attributes, keywords) are kept: `torch.exp(a)` is not `torch.log(a)`.
"""

import ast
import re
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Form:
    """A normal form: its text, and how many nodes of syntax it has."""

    text: str
    size: int


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method in a tree, at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def own_body(function: Function) -> list[ast.stmt]:
    """A function's statements without its docstring."""
    has_doc = ast.get_docstring(function, clean=False) is not None
    return function.body[1:] if has_doc else function.body


def body_form(function: Function, kept: Collection[str]) -> Form:
    """The normal form of what a function does: its signature's names count as its variables.

    Args:
        function: the function.
        kept: names that mean something outside, and so are not renamed.
    """
    parameters = [arg.arg for arg in _parameters(function.args)]
    return normal_form(ast.Module(own_body(function), []), kept, parameters)


def normal_form(tree: ast.AST, kept: Collection[str], first: Collection[str] = ()) -> Form:
    """The normal form of a tree: variables renamed in order of appearance, `first` before all."""
    copied = _copy(tree)
    renaming = _Renaming(kept)
    for name in first:
        renaming.rename(name)
    done = renaming.visit(copied)
    return Form(ast.dump(done), size(done))


def size(tree: ast.AST) -> int:
    """How many nodes a tree has: names, constants, calls, operators...; `load` marks do not count.

    Operators count, so formulas weigh more than chains of calls of the same length.
    """
    return sum(not isinstance(node, ast.expr_context) for node in ast.walk(tree))


def expressions(tree: ast.AST | list[ast.stmt]) -> Iterator[ast.expr]:
    """Every expression in a tree, parts of others included; annotations are none."""
    if isinstance(tree, list):
        for node in tree:
            yield from expressions(node)
        return
    if isinstance(tree, ast.expr):
        yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from expressions(child)


def python_in_markdown(text: str) -> Iterator[str]:
    """Whatever in a piece of prose might be Python: its fences, and its code spans."""
    for _, fenced in _FENCE.findall(text):
        yield textwrap.dedent(fenced)
    for _, span in re.findall(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", _FENCE.sub("", text), re.S):
        yield span.strip()


_FENCE = re.compile(r"^ *(```+|~~~+)[^\n]*\n(.*?)^ *\1`*~* *$", re.M | re.S)


def parse_or_none(source: str) -> ast.Module | None:
    """The syntax tree of what may be Python, or None when it is not."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [arg for arg in (arguments.vararg, arguments.kwarg) if arg]


def _copy(tree: ast.AST) -> ast.AST:
    """A deep copy without positions; nothing of the original is touched."""
    if isinstance(tree, ast.AST):
        return type(tree)(**{name: _copy(value) for name, value in ast.iter_fields(tree)})
    if isinstance(tree, list):
        return [_copy(item) for item in tree]
    return tree


class _Renaming(ast.NodeTransformer):
    """Renames variables in order of appearance; drops annotations, docstrings and type comments."""

    def __init__(self, kept: Collection[str]):
        self.kept = kept
        self.names: dict[str, str] = {}

    def rename(self, name: str) -> str:
        if name in self.kept:
            return name
        return self.names.setdefault(name, f"_{len(self.names)}")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.rename(node.id), ast.Load())

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self.rename(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.visit(ast.Assign([node.target], node.value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        body = own_body(node) or [ast.Pass()]
        new = ast.FunctionDef(self.rename(node.name), node.args, body, node.decorator_list)
        return self.generic_visit(new)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Attribute(self.visit(node.value), node.attr, ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return ast.Subscript(self.visit(node.value), self.visit(node.slice), ast.Load())
