"""Solution regions: what stays outside them, and that taking the markers out gives all back."""

import ast
import configparser
import fractions
import inspect
import pathlib
import random
import statistics
import textwrap
from pathlib import Path

import pytest

from vae_course.authoring.blanks import BEGIN, END, mark, unmark
from vae_course.authoring.reference import CLASS, FUNCTION, Object, find_object
from vae_course.errors import CourseError


def outside(marked: str) -> str:
    """What nbgrader leaves: regions cut, a `raise` in the place of each."""
    kept, inside = [], False
    for line in marked.splitlines():
        if line.strip() == BEGIN:
            inside = True
            kept.append(line.replace(BEGIN, "raise NotImplementedError()"))
        elif line.strip() == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def made(source: str) -> Object:
    source = textwrap.dedent(source).strip("\n")
    node = ast.parse(source).body[0]
    kind = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
    name = getattr(node, "name", "it")
    return Object("tiny.module", name, kind, Path("module.py"), 10, source)


def test_function_keeps_signature_docstring_and_comments_above(tiny):
    marked = mark(find_object("tinyref.maths.area"))
    assert outside(marked) == textwrap.dedent('''\
        # How round things are.
        def area(radius: float) -> float:
            """The area of a disc.

            Args:
                radius: in metres.
            """
            raise NotImplementedError()''')


def test_class_gets_a_region_a_method_and_keeps_super_init(tiny):
    one = find_object("tinyref.shapes.Shape")
    marked = mark(one)
    assert marked.count(BEGIN) == marked.count(END) == 3
    left = outside(marked)
    for kept in ("super().__init__()", "corners: int = 0", "@property", '"""In square metres."""'):
        assert kept in left
    for gone in ("self.size", "self.scaled", "return", "len("):
        assert gone not in left


def test_an_init_that_only_calls_super_has_no_blank():
    one = made('''
        class A(B):
            """A."""

            def __init__(self):
                """Make it."""
                super().__init__()

            @staticmethod
            def f(x):
                """F."""

                return x
    ''')
    assert mark(one).count(BEGIN) == 1
    assert "@staticmethod" in outside(mark(one))


def test_remarks_belong_to_the_body_they_stand_in():
    one = made('''
        class A:
            """A."""

            def f(self):
                """F."""
                # the trick
                return 1
                # and the reason

            # what g is for
            def g(self):
                """G."""
                return 2
    ''')
    left = outside(mark(one))
    assert "trick" not in left and "reason" not in left
    assert "# what g is for" in left


@pytest.mark.parametrize("module", [configparser, fractions, pathlib, random, statistics])
def test_standard_library_comes_back_whole_and_blanks_parse(module):
    """Real code by other people: what can be blanked keeps its skeleton, and loses its body."""
    text = inspect.getsource(module)
    tried = 0
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
        one = made("\n".join(lines))
        try:
            marked = mark(one)
        except CourseError as error:
            assert "\n" not in str(error)
            continue
        tried += 1
        assert unmark(marked) == one.source
        stub = ast.parse(outside(marked)).body[0]
        for there, whole in zip(_functions(stub), _functions(one.node), strict=True):
            assert ast.dump(there.args) == ast.dump(whole.args)
            assert ast.get_docstring(there) == ast.get_docstring(whole)
            rest = there.body[1:]
            assert len(rest) <= 2 and (not rest or isinstance(rest[-1], ast.Raise | ast.Expr))
    assert tried >= 5


def _functions(node: ast.stmt) -> list[ast.FunctionDef]:
    """The functions that are blanked: the object itself or its methods, no inner ones."""
    members = node.body if isinstance(node, ast.ClassDef) else [node]
    return [member for member in members if isinstance(member, ast.FunctionDef)]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(x):\n    return x", ["module.py:10", "without a docstring, f"]),
        ("class A:\n    '''A.'''\n\n    def f(self):\n        return 1", ["py:13", "A.f"]),
        ("async def f():\n    '''F.'''\n    return 1", ["async function f"]),
        ("def f():\n    '''F.'''", ["no body to blank"]),
        ("def f(): '''F.'''; return 1", ["two statements on one line"]),
        ("def f():\n    '''F.'''; return 1", ["two statements on one line"]),
        ("class A:\n    class B:\n        pass", ["py:11", "holds a class B"]),
        ("class A:\n    if True:\n        x = 1", ["py:11", "If statement"]),
        ("def f():\n    '''F.'''\n    return 'END SOLUTION'", ["nbgrader's own text"]),
    ],
)
def test_what_can_not_be_blanked_says_where_and_why(source, words):
    with pytest.raises(CourseError) as caught:
        mark(made(source))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_constant_is_no_exercise(tiny):
    with pytest.raises(CourseError, match="no function or class"):
        mark(find_object("tinyref.maths.LEFT"))
