"""Answers are alike if their values are, up to the last digits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.student import Gradients, InProcessStudent, Ref, StudentError, unfit
from autograder.transcript import Answer, Heard, alike

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32) | st.integers(-9, 9)
VALUES = st.recursive(
    NUMBERS | st.text(max_size=3) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(VALUES)
def test_an_answer_is_like_itself(value):
    assert alike(Answer("call", value), Answer("call", value))


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_only_the_last_digits_may_differ(first, second):
    far = abs(first - second) > 2e-3 * max(first, second) + 1e-3
    near = abs(first - second) < 5e-4 * min(first, second)
    same = alike(Answer("call", torch.tensor(first)), Answer("call", torch.tensor(second)))
    assert not (far and same) and not (near and not same)


def failed(type: str, words: str = "no", line: str = "x = layer(x)") -> StudentError:
    return StudentError("error", type, words, "forward", line)


ZEROS, ONES = torch.zeros(2), torch.ones(2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Answer("call", ZEROS), Answer("call", ONES)),
        (Answer("call", ZEROS), Answer("call", torch.zeros(2, 1))),
        (Answer("call", ZEROS), Answer("fetch", ZEROS)),
        (Answer("call", ZEROS), Answer("call", error=unfit("no"))),
        (Answer("call", error=failed("ValueError")), Answer("call", error=failed("TypeError"))),
        (Answer("call", error=failed("ValueError")), Answer("call", error=unfit("no"))),
        (Answer("call", [ZEROS]), Answer("call", [ZEROS, ZEROS])),
        (Answer("call", {"a": 1}), Answer("call", {"b": 1})),
        (Answer("call", Gradients(1, [ZEROS], [])), Answer("call", Gradients(1, [None], []))),
        (Answer("call", Gradients(1, [], [ZEROS])), Answer("call", Gradients(1, [], [ONES]))),
    ],
)
def test_what_differs_is_seen(one, other):
    assert not alike(one, other)
    assert alike(one, one) and alike(other, other)


def test_everybody_words_an_error_otherwise_but_for_pytorch():
    words = ("too small", "expected 64 x 64")
    own = [
        Answer("call", error=failed("ValueError", one, f"raise ValueError({one})")) for one in words
    ]
    assert alike(*own)
    assert not alike(*(Answer("call", error=failed("ValueError", one)) for one in words))


def test_the_number_of_a_ticket_means_nothing():
    assert alike(Answer("ref", Ref(1, "VAE")), Answer("ref", Ref(7, "VAE")))


def test_the_check_gets_what_is_heard():
    heard = []
    student = Heard(InProcessStudent({"double": lambda x: 2 * x}), heard.append)
    assert student.has("double")
    assert student.call("double", 3) == 6
    with pytest.raises(StudentError):
        student.call("triple", 3)
    assert [(one.verb, one.value) for one in heard] == [("has", True), ("call", 6), ("call", None)]
    assert heard[2].error.kind == "missing"
