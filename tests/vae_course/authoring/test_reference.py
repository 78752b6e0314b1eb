"""Objects of the reference: found, cut, and followed to all that they need."""

import ast
import inspect

import pytest
import torch

from vae_course import probability, training
from vae_course.authoring.reference import (
    Import,
    find_object,
    free_names,
    imports_of,
    load_module,
    needs,
)
from vae_course.errors import CourseError


def test_cut_holds_decorators_comments_above_and_remarks_inside(tiny):
    one = find_object("tinyref.maths.area")
    lines = one.source.splitlines()
    assert lines[0] == "# How round things are."
    assert lines[-1] == "    # a closing remark"
    assert one.line == tiny.line("tinyref/maths.py", "def area")


@pytest.mark.parametrize("module", [probability, training])
def test_cut_agrees_with_inspect_on_the_real_reference(module):
    found = load_module(module.__name__)
    assert found.names
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__:
            source = find_object(f"{module.__name__}.{name}").source
            assert ast.dump(ast.parse(source)) == ast.dump(ast.parse(inspect.getsource(value)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = x", {"x"}),
        ("x = 1\ny = x", set()),
        ("[i for i in range(n)]", {"n"}),
        ("def f(a, b=c):\n    return a + b + d", {"c", "d"}),
        ("def f():\n    def g():\n        return h\n    return g", {"h"}),
        ("class A(B):\n    k = 1\n    def f(self):\n        return k, self.k", {"B", "k"}),
        ("def f(x: T) -> U:\n    return super().f(x)", {"T", "U"}),
        ("f = lambda x: x + y", {"y"}),
        ("import os.path\nos.sep", set()),
        ("for i in items:\n    total += i", {"items"}),
        ("with a as b:\n    print(b, __name__)", {"a"}),
        ("try:\n    pass\nexcept E as e:\n    raise e", {"E"}),
        ("{k: v for k, v in d.items() if k not in seen}", {"d", "seen"}),
        ("def f():\n    global g\n    g = 1\nf()\ng", set()),
        ("display(get_ipython())", set()),
    ],
)
def test_free_names(source, expected):
    assert free_names(source) == expected


def test_needs_puts_dependencies_first_and_each_once(tiny):
    closure = needs([find_object("tinyref.shapes.Shape"), find_object("tinyref.maths.area")])
    names = [one.name for one in closure.objects]
    assert names == ["LEFT", "twice", "area", "Shape"]
    assert closure.imports == {Import("math"), Import("abc")}


def test_closure_of_the_real_reference_runs_alone_and_gives_the_same_values():
    closure = needs([find_object("vae_course.probability.elbo_terms")])
    lines = [str(one) for one in closure.imports]
    namespace: dict = {}
    exec("\n".join([*lines, *(one.source for one in closure.objects)]), namespace)
    x, x_hat = torch.rand(2, 3, 1, 4, 4).unbind()
    mu, log_var = torch.randn(2, 3, 5).unbind()
    ours = namespace["elbo_terms"](x, x_hat, mu, log_var, beta=2.0)
    theirs = probability.elbo_terms(x, x_hat, mu, log_var, beta=2.0)
    assert {k: v.tolist() for k, v in ours.items()} == {k: v.tolist() for k, v in theirs.items()}


def test_functions_that_call_each_other_are_both_there(tiny):
    tiny.write(
        "tinyref/loops.py",
        """
        def even(n):
            return n == 0 or odd(n - 1)


        def odd(n):
            return n != 0 and even(n - 1)
        """,
    )
    closure = needs([find_object("tinyref.loops.odd")])
    assert {one.name for one in closure.objects} == {"even", "odd"}


def test_two_names_of_one_statement_are_one_object(tiny):
    assert find_object("tinyref.maths.RIGHT").name == "LEFT"
    assert find_object("tinyref.maths.RIGHT").names == ("LEFT", "RIGHT")


@pytest.mark.parametrize(
    ("dotted", "words"),
    [
        ("tinyref.maths.twise", ["no twise", "maths.py", "did you mean twice?"]),
        ("tinyref.math.twice", ["no module tinyref.math", "did you mean maths?"]),
        ("nowhere.at.all", ["no module nowhere.at"]),
        ("tinyref.shapes.area", ["no area", "write tinyref.maths.area"]),
        ("area", ["not a dotted name"]),
    ],
)
def test_what_does_not_exist_is_one_clear_line(tiny, dotted, words):
    with pytest.raises(CourseError) as caught:
        find_object(dotted)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f():\n    return missing\n", ["bad.py:1", "f uses missing", "does not define"]),
        (
            "def f():\n    return maths\nfrom tinyref import maths\n",
            ["f needs tinyref.maths", "no maths"],
        ),
        ("def f():\n    from tinyref.maths import area\n    return area\n", ["inside its body"]),
        ("from tinyref.maths import area as a\ndef f():\n    return a\n", ["no other name"]),
        ("from .maths import area\ndef f():\n    return area\n", ["`from .maths import area`"]),
        ("import tinyref.maths\ndef f():\n    return tinyref\n", ["one by one"]),
        ("if True:\n    k = 1\ndef f():\n    return k\n", ["uses k", "another statement"]),
        (
            "def f():\n    return 1\ndef f():\n    return 2\n",
            ["bad.py:3", "defined twice", "1 and"],
        ),
        ("from tinyref.maths import gone\ndef f():\n    return gone\n", ["there is no gone"]),
        ("def f(:\n", ["bad.py:1", "not valid Python"]),
    ],
)
def test_a_reference_that_can_not_be_copied_is_one_clear_line(tiny, text, words):
    tiny.write("tinyref/bad.py", text)
    with pytest.raises(CourseError) as caught:
        needs([find_object("tinyref.bad.f")])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_two_objects_of_one_name_are_refused(tiny):
    tiny.write("tinyref/other.py", "def area():\n    return 1\n")
    with pytest.raises(CourseError, match=r"both define area.*flat namespace"):
        needs([find_object("tinyref.maths.area"), find_object("tinyref.other.area")])


def test_a_changed_module_is_read_again(tiny):
    assert "2.0, 3.0" in find_object("tinyref.maths.LEFT").source
    tiny.change("tinyref/maths.py", "2.0, 3.0", "2.0, 30.0")
    assert "2.0, 30.0" in find_object("tinyref.maths.LEFT").source


def test_imports_of_finds_every_depth():
    code = "import a.b as c\ndef f():\n    from d import e\n    from . import g\n"
    assert {str(one) for one in imports_of(code)} == {
        "import a.b as c",
        "from d import e",
        "from . import g",
    }


def test_nothing_of_the_reference_is_imported(tiny):
    tiny.write("tinyref/heavy.py", "raise SystemExit\ndef f():\n    return 1\n")
    assert find_object("tinyref.heavy.f").source == "def f():\n    return 1"
