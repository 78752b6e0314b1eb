"""Mutants are small, many, always the same, and leave alone what students are given."""

import ast

import pytest

from autograder.mutants import mutants

ANSWER = '''
def f(x: Tensor, k: int = 1, *, scale: float = 0.5) -> Tensor:
    """Adds 2 + 2."""
    if x.ndim > 1 and k == 0:
        optimizer.zero_grad()
        x += 1
    y = F.softplus(x).sum(dim=1, keepdim=True)
    return mix(y, -x ** 2), 0.5 * torch.exp(k)


class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer = nn.Linear(width, 4, bias=False)
'''
PLAIN = ast.unparse(ast.parse(ANSWER))


@pytest.fixture(scope="module")
def made():
    return mutants("tiny_f", ANSWER, 1000)


def test_each_is_another_program(made):
    sources = [one.source for one in made]
    assert len(set(sources)) == len(sources) > 20
    assert PLAIN not in sources
    for one in made:
        ast.parse(one.source)
        assert one.original == PLAIN


def test_each_changes_one_statement(made):
    for one in made:
        assert one.change.count("\n") == 0 and 1 <= len(one.change.split("; ")) <= 4, one.change


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("operator", "0.5 / torch.exp(k)"),
        ("operator", "x -= 1"),
        ("sign", "+x ** 2"),
        ("comparison", "x.ndim >= 1"),
        ("comparison", "or k == 0"),
        ("condition", "if not (x.ndim > 1 and k == 0)"),
        ("constant", "dim=2"),
        ("constant", "1.0 * torch.exp(k)"),
        ("constant", "bias=True"),
        ("reduction", ".mean(dim=1"),
        ("call", "y = x.sum("),
        ("call", "0.5 * k"),
        ("order", "mix(-x ** 2, y)"),
        ("order", "nn.Linear(4, width"),
        ("keyword", "sum(dim=1)"),
        ("statement", "        x += 1\n    y"),
    ],
)
def test_every_kind_of_slip_is_made(made, kind, part):
    assert [one for one in made if one.kind == kind and part in one.source]


def test_what_students_are_given_stays(made):
    for one in made:
        for given in (
            "k: int=1",
            "scale: float=0.5",
            "width=3",
            "Adds 2 + 2",
            "super().__init__()",
        ):
            assert given in one.source


def test_a_few_are_of_many_kinds_and_always_the_same(made):
    few = mutants("tiny_f", ANSWER, 8)
    assert few == made[:8] == mutants("tiny_f", ANSWER, 8)
    assert len({one.kind for one in few}) == 8
