"""A mistake is named where an answer behaves like it, and like no other."""

from functools import partial

import pytest

from autograder import diagnosis
from autograder.misconceptions import Misconception

TWICE = "def gaussian_kl(mu, log_var):\n    return (mu**2 + log_var.exp() - 1 - log_var).sum(-1)"
IN_OTHER_WORDS = """
def gaussian_kl(mu, log_var):
    total = 0
    for i in range(mu.shape[-1]):
        m, v = mu[..., i], torch.exp(log_var[..., i])
        total = total + m * m + v - torch.log(v.clamp(min=1e-30)) - 1.0
    return total
"""
NO_MU = "def gaussian_kl(mu, log_var):\n    return 0.5 * (log_var.exp() - 1 - log_var).sum(-1)"
BOTH = "def gaussian_kl(mu, log_var):\n    return (log_var.exp() - 1 - log_var).sum(-1)"
KNOWN = (
    Misconception("ps2_kl", "twice", TWICE, "The half is missing."),
    Misconception("ps2_kl", "no mu", NO_MU, "The mean plays no part."),
)


@pytest.fixture(name="judged")
def judged_by_name(judged):
    return partial(judged, name_mistakes=True)


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    monkeypatch.setattr(diagnosis, "known", lambda exercise: KNOWN)


def test_a_known_mistake_is_named_in_the_verdict(judged):
    verdict = judged("ps2_kl", TWICE)
    assert verdict.misconception == "twice"
    assert verdict.message.startswith(("The half is missing.", "Partly right. The half"))
    assert verdict.to_dict()["misconception"] == "twice"


def test_it_is_known_in_other_words(judged):
    assert judged("ps2_kl", IN_OTHER_WORDS, seed=3).misconception == "twice"


@pytest.mark.parametrize(
    "answer",
    [
        BOTH,
        TWICE.replace("1 -", "2 -"),
        TWICE.replace("sum(-1)", "sum()"),
        "def gaussian_kl(mu, log_var):\n    raise NotImplementedError",
        "def gaussian_kl(mu, log_var):\n    raise ValueError(mu)",
        "gaussian_kl = 3",
    ],
    ids=["two at once", "another", "another shape", "blank", "an error", "no function"],
)
def test_nothing_else_is_named(judged, answer):
    verdict = judged("ps2_kl", answer)
    assert verdict.score < verdict.max_score
    assert verdict.misconception is None


def test_a_right_answer_is_not_looked_at(judged, monkeypatch):
    monkeypatch.setattr(diagnosis, "known", lambda exercise: pytest.fail("it was"))
    assert judged("ps2_kl").misconception is None


def test_two_that_behave_alike_and_say_otherwise_are_not_named(judged, monkeypatch):
    other = Misconception("ps2_kl", "again", IN_OTHER_WORDS, "Something else.")
    monkeypatch.setattr(diagnosis, "known", lambda exercise: (*KNOWN, other))
    assert judged("ps2_kl", TWICE).misconception is None
    same = Misconception("ps2_kl", "again", IN_OTHER_WORDS, "The half is missing.")
    monkeypatch.setattr(diagnosis, "known", lambda exercise: (*KNOWN, same))
    assert judged("ps2_kl", TWICE).misconception == "twice"
