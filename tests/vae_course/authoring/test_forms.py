"""Normal forms: what counts as the same code, and what does not."""

import ast

import pytest

from vae_course.authoring import forms

KEPT = {"torch", "sum"}


def body(source: str) -> forms.Form:
    return forms.body_form(ast.parse(source).body[0], KEPT)


BASE = "def f(mu, log_var):\n    std = torch.exp(0.5 * log_var)\n    return mu + std"


@pytest.mark.parametrize(
    "same",
    [
        "def g(m, lv):\n    s = torch.exp(0.5 * lv)\n    return m + s",
        "def f(mu: T, x: T = 3) -> T:\n    std: T = torch.exp(0.5 * x)\n    return mu + std",
        "def f(a, b):\n    'Doc.'\n    c = torch.exp(0.5*b)  # why\n    return (a\n + c)",
    ],
)
def test_names_annotations_docstrings_and_layout_do_not_matter(same):
    assert body(same).text == body(BASE).text


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("torch.exp", "torch.log"),
        BASE.replace("0.5", "0.25"),
        BASE.replace("mu + std", "std + mu"),
        BASE.replace("torch", "math"),
        BASE.replace("return mu + std", "return mu - std"),
        BASE.replace("(mu, log_var)", "(log_var, mu)"),
        BASE + "\n    return 1",
    ],
)
def test_what_code_does_matters(other):
    assert body(other).text != body(BASE).text


def test_a_nested_function_and_an_unannotated_declaration():
    one = body(
        "def f(a):\n    def g(b: T) -> T:\n        '''Doc.'''\n        return b\n    return g(a)"
    )
    two = body("def h(x):\n    y: T\n    def k(z):\n        return z\n    return k(x)")
    assert one == two


def test_size_counts_operators_and_no_load_marks():
    # Expression, BinOp, Name, Add, Constant
    assert forms.size(ast.parse("a + 1", mode="eval")) == 5


def test_expressions_leave_annotations_out():
    found = [ast.unparse(e) for e in forms.expressions(ast.parse("x: A[B] = f(1)"))]
    assert found == ["x", "f(1)", "f", "1"]


def test_python_in_markdown_finds_fences_and_spans():
    text = (
        "Say `a + b`:\n\n```python\nx = 1\ny = 2\n```\n\n- item\n\n  ~~~\n  z = 3\n  ~~~\n\n``c`d``"
    )
    assert list(forms.python_in_markdown(text)) == ["x = 1\ny = 2\n", "z = 3\n", "a + b", "c`d"]


def test_the_original_tree_is_not_changed():
    tree = ast.parse(BASE)
    before = ast.dump(tree)
    forms.body_form(tree.body[0], KEPT)
    assert ast.dump(tree) == before
