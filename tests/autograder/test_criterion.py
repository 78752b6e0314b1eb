"""Criteria and their expectations: each says what it saw, and only when it is wrong."""

import math

import pytest
import torch

from autograder import expect
from autograder.criterion import Criterion, criterion
from autograder.draw import Draw
from autograder.student import Ref, StudentError

WANT = torch.tensor([1.5, -2.0, 4.0])


def test_the_decorator_makes_a_criterion_of_a_test():
    @criterion("the value", 2)
    def value() -> str | None:
        return "off"

    assert value == Criterion("the value", 2, value.test)
    assert value.test() == "off"


@pytest.mark.parametrize(
    ("value", "want", "words"),
    [
        (torch.zeros(3), (3,), None),
        (torch.zeros(()), (3,), "the shape (), a single number"),
        (torch.zeros(3, 5), (3,), "still has to be reduced"),
        (torch.zeros(5), (3,), "over the right dimension"),
        (torch.zeros(5, 3), (3, 5), "swapped"),
        (torch.zeros(7), (1, 7), "squeezed away"),
        (torch.zeros(784), (1, 28, 28), None or "(784,)"),
        (3.0, (), "a plain number (float), where a tensor"),
        (None, (3,), "return"),
        (Ref(0, "Linear"), (3,), "an object of type Linear"),
        ([1, 2], (2,), "a list of 2"),
    ],
)
def test_shape(value, want, words):
    message = expect.shape(value, want, "your loss")
    assert (message is None) == (words is None)
    assert words is None or (words in message and message.startswith("Your loss "))


def test_a_shape_is_told_in_words():
    message = expect.shape(torch.zeros(()), (3,), "the KL", "one number for each example")
    assert message == (
        "The KL has the shape (), a single number, where (3,), one number for each example, was "
        "expected. Reduce over the dimensions of one example only, not over the batch."
    )


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (WANT, None),
        (WANT.double() + 1e-7, None),
        (2 * WANT, "is twice the right value, everywhere"),
        (WANT / 2, "is half the right value"),
        (-WANT, "right size and the wrong sign"),
        (-2 * WANT, "minus twice"),
        (1.7 * WANT, "1.7 times the right value"),
        (WANT / 5, "5 latent dimensions here: is a mean taken where a sum"),
        (WANT * 5, "5 latent dimensions here: is a sum taken where a mean"),
        (WANT + 0.5, "too large by the same amount everywhere"),
        (WANT - 0.5, "too small by the same amount everywhere"),
        (torch.zeros(3), "zero everywhere"),
        (torch.ones(3), "the same for every example"),
        (torch.tensor([1.5, -2.0, 4.4]), "wrong in 1 of 3 places"),
        (WANT**2 + 5, "too large everywhere"),
        (torch.tensor([0.1, 3.0, 1.0]), "too large in some places and too small in others"),
        (torch.tensor([1.5, math.nan, 4.0]), "NaN in 1 of 3 places"),
        (torch.tensor([1.5, math.inf, 4.0]), "infinite in 1 of 3 places"),
        (WANT * (1 + 3e-4), "only, less than float32 allows"),
    ],
)
def test_close_says_how_wrong_values_relate_to_the_right_ones(got, words):
    message = expect.close(got, WANT, "the KL", sizes={"latent dimensions": 5})
    assert (message is None) == (words is None)
    assert words is None or words in message


def test_close_finds_the_row_or_column():
    want = torch.arange(12.0).view(3, 4)
    row, column = want.clone(), want.clone()
    row[1] += torch.tensor([1.0, 2, 3, 4])
    column[:, 2] *= 3
    assert "row 1 " in expect.close(row, want, "z")
    assert "column 2 " in expect.close(column, want, "z")


def test_a_message_never_holds_a_right_value():
    want = torch.tensor([1.23456, 7.65432])
    for got in (2 * want, want + 1, torch.zeros(2), torch.tensor([9.0, 1.0]), torch.zeros(3)):
        message = expect.close(got, want, "the KL")
        assert "1.23" not in message and "7.65" not in message


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (2.0, None),
        (torch.tensor([2.0]), None),
        (-2.0, "wrong sign"),
        (4.0, "twice"),
        (0, "too small"),
        (math.nan, "nan"),
        (True, "where a number was expected"),
        ("2", "a string"),
        (torch.zeros(2), "shape (2,)"),
    ],
)
def test_number(got, words):
    message = expect.number(got, 2.0, "beta")
    assert (message is None) == (words is None)
    assert words is None or words in message


def test_needed_gives_floats_or_refuses():
    assert expect.needed(torch.ones(2, dtype=torch.int64), (2,), "z").dtype == torch.float32
    for value in (torch.ones(3), torch.tensor([1.0, math.nan]), None):
        with pytest.raises(StudentError) as caught:
            expect.needed(value, (2,), "z")
        assert caught.value.kind == "result"


def test_gradient_and_range_and_sameness():
    assert "No gradient reaches mu" in expect.gradient(None, WANT, "mu")
    assert "with respect to mu is twice" in expect.gradient(2 * WANT, WANT, "mu")
    assert expect.gradient(WANT, WANT, "mu") is None
    assert expect.within(torch.tensor([0.0, 1.0]), 0, 1, "a pixel") is None
    assert "from -0.5 to 1" in expect.within(torch.tensor([-0.5, 1.0]), 0, 1, "a pixel")
    assert "empty" in expect.within(torch.zeros(0), 0, 1, "a pixel")
    assert expect.same(WANT, WANT.clone(), "no") is None
    assert expect.same(WANT, WANT + 1, "no") == "no"
    assert expect.different(WANT, WANT + 1e-6, "no") is None
    assert expect.different(WANT, WANT.clone(), "no") == "no"


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (1, 1.0, True),
        (math.nan, math.nan, False),
        (torch.tensor([math.nan]), torch.tensor([math.nan]), False),
        (10**400, 10**400, True),
        ([1, torch.ones(2)], (1, torch.ones(2)), True),
        ({"a": torch.ones(2)}, {"a": torch.ones(2)}, True),
        ({"a": 1}, {"b": 1}, False),
        (torch.ones(2), torch.ones(3), False),
        (torch.ones(1), 1.0, False),
        (None, None, True),
        (Ref(1, "x"), Ref(1, "x"), False),
        ("a", "b", False),
    ],
)
def test_alike(first, second, equal):
    assert expect.alike(first, second) is equal


def test_nan_is_a_value_of_no_one_s_unless_it_is_asked_for():
    bad = torch.tensor([math.nan])
    assert expect.alike(bad, bad, nan=True) and expect.alike(math.nan, math.nan, nan=True)
    assert expect.same(bad, bad, "no") == "no"
    assert expect.different(bad, bad, "no") == "no"


def noise(count=4000, width=3, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_standard_normal_accepts_the_real_thing():
    for seed in range(200):
        assert expect.standard_normal(noise(seed=seed), "the noise") is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (noise()[:1].expand(4000, 3), "one and the same for every example"),
        (noise()[:, :1].expand(4000, 3), "one number for a whole row"),
        (noise() + 0.2, "mean 0."),
        (noise() * 0.9, "standard deviation 0.9"),
        ((torch.rand(4000, 3) - 0.5) * 12**0.5, "not the shape of a normal"),
        (noise() @ torch.tensor([[1.0, 0.6, 0], [0, 0.8, 0], [0, 0, 1]]), "correlated"),
        (noise().sign(), "not the shape of a normal"),
    ],
)
def test_standard_normal_tells_what_is_wrong(wrong, words):
    assert words in expect.standard_normal(wrong, "the noise")


def test_an_estimate_may_stray_six_standard_errors():
    error = torch.full((3,), 0.1)
    assert expect.estimate(WANT + 0.5, WANT, error, "the estimate") is None
    assert "on average" in expect.estimate(WANT + 0.7, WANT, error, "the estimate")
    assert "wrong sign" in expect.estimate(-WANT + 0.1, WANT, error, "the estimate")
    assert "twice" in expect.estimate(2 * WANT + 0.1, WANT, error, "the estimate")


def test_kinks_at_zero():
    line = torch.linspace(-1, 1, 201)[:, None]
    straight = line * torch.tensor([3.0, -2.0, 1.0]) + torch.tensor([0.5, 0.1, -0.3])
    bent = torch.nn.functional.leaky_relu(straight, 0.2)
    elsewhere = straight + torch.relu(straight - 0.7)
    assert expect.kinks_at_zero(straight) == pytest.approx(1, rel=1e-3)
    assert expect.kinks_at_zero(elsewhere) == pytest.approx(1, rel=1e-3)
    assert expect.kinks_at_zero(bent) == pytest.approx(5, rel=1e-3)
    assert expect.kinks_at_zero(line.expand(-1, 2) + 5) == 1.0


def test_draws_depend_on_seed_and_topic_alone():
    first, again, other, elsewhere = Draw(1, "a"), Draw(1, "a"), Draw(2, "a"), Draw(1, "b")
    x = first.normal(3, 5)
    torch.manual_seed(0)
    assert torch.equal(x, again.normal(3, 5))
    assert not torch.equal(x, other.normal(3, 5)) and not torch.equal(x, elsewhere.normal(3, 5))
    assert {first.integer(2, 4) for _ in range(60)} == {2, 3, 4}
    wide = first.uniform(1000, low=-3, high=5)
    assert -3 <= wide.min() < -2.9 and 4.9 < wide.max() <= 5
    images = first.images(4)
    assert images.shape == (4, 1, 28, 28) and 0 <= images.min() and 0.9 < images.max() <= 1
    assert images.flatten(1).std(0).max() > 0.1
