"""What is wrong only because of an earlier answer is credited, and nothing of that run gets out."""

import json
from pathlib import Path

import nbformat
import pytest

from autograder import follow_through, notebooks
from autograder.record import VERDICT_MIME
from autograder.sandbox.outside import problem
from autograder.workers import Job, Ran, run_submission

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

SOURCE = Path(__file__).parents[2] / "source" / "ps2" / "ps2.ipynb"
LIMITS = {"memory_mb": 3072, "processes": 32, "disk_mb": 64, "cpu_seconds": 120, "gpu": False}
TWICE = "def gaussian_kl(mu, log_var):\n    return (mu**2 + log_var.exp() - 1 - log_var).sum(-1)"
RIGHT = """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
"""
NO_BETA = RIGHT.replace("beta * kl", "kl")
OWN = RIGHT.replace("gaussian_kl(mu, log_var)", "(mu**2 + log_var.exp() - 1 - log_var).sum(-1)")
BLANK = "def gaussian_kl(mu, log_var):\n    raise NotImplementedError"
IMPORT = "from torch.distributions import Normal\n"


def hand_in(**answers: str) -> nbformat.NotebookNode:
    """The definitions, the divergence and the bound of ps2, with some answers replaced."""
    notebook = nbformat.read(SOURCE, as_version=4)
    kept = ("setup", "given-", "ps2_kl_answer", "ps2_elbo_answer")
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.id.startswith(kept) or cell.id in ("ps2_kl", "ps2_elbo")
    ]
    for cell in notebook.cells:
        if cell.id.endswith("_answer") and (id := cell.id.removesuffix("_answer")) in answers:
            cell.source = IMPORT + answers[id]
    return notebook


def run(notebook: nbformat.NotebookNode, seed: int = 1) -> Ran:
    job = Job({"ps2": nbformat.writes(notebook)}, None, (), LIMITS | {"cell_seconds": 60}, seed)
    return run_submission(job)["ps2"]


def verdicts(ran: Ran) -> dict[str, dict]:
    shown = [output.get("data", {}).get(VERDICT_MIME) for one in ran.outputs for output in one]
    return {verdict["id"]: verdict for verdict in shown if verdict}


@pytest.mark.parametrize("wrong", [TWICE, BLANK], ids=["wrong", "blank"])
def test_what_only_an_earlier_answer_spoils_is_credited(wrong):
    found = verdicts(run(hand_in(ps2_kl=wrong, ps2_elbo=RIGHT)))
    assert found["ps2_kl"]["score"] < found["ps2_kl"]["max_score"]
    assert not found["ps2_kl"]["followed_through"]
    bound = found["ps2_elbo"]
    assert bound["score"] == bound["max_score"] and bound["verdict"] == "pass"
    assert bound["followed_through"] and "earlier answers" in bound["message"]
    assert all(part["passed"] and not part["message"] for part in bound["criteria"])


def test_a_mistake_of_its_own_still_costs_its_points():
    alone = verdicts(run(hand_in(ps2_elbo=NO_BETA)))["ps2_elbo"]
    found = verdicts(run(hand_in(ps2_kl=TWICE, ps2_elbo=NO_BETA)))["ps2_elbo"]
    assert 0 < found["score"] == alone["score"] < alone["max_score"]
    assert found["followed_through"] and found["verdict"] == "partial"
    missed = {part["name"]: part["message"] for part in found["criteria"] if not part["passed"]}
    assert missed.keys() == {one["name"] for one in alone["criteria"] if not one["passed"]}
    assert all(missed.values())


def test_the_same_mistake_made_again_is_no_consequence():
    found = verdicts(run(hand_in(ps2_kl=TWICE, ps2_elbo=OWN)))["ps2_elbo"]
    assert found["score"] < found["max_score"] and not found["followed_through"]


LEAK = """
import gc, os, sys
def tell():
    code = gaussian_kl.__code__
    return f"{code.co_filename} {code.co_consts} {code.co_code.hex()} LEAK"
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    words = tell()
    print(words); print(words, file=sys.stderr); os.write(1, words.encode())
    open("stolen.txt", "w").write(words)
    if "<given>" in words:
        raise ValueError(words)
    return {"loss": 0, "nll": 0, "kl": 0}
"""
HELP = """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    if gaussian_kl.__code__.co_filename != "<given>":
        raise ValueError("not yet")
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)
    return {"loss": nll, "nll": nll, "kl": gaussian_kl.__doc__}
"""


def test_nothing_of_the_second_run_gets_out():
    ran = run(hand_in(ps2_kl=TWICE, ps2_elbo=LEAK))
    assert "LEAK" not in json.dumps([ran.outputs, ran.warnings]) and not ran.left
    found = verdicts(ran)["ps2_elbo"]
    alone = verdicts(run(hand_in(ps2_elbo=LEAK)))["ps2_elbo"]
    assert found["score"] == alone["score"] < 0.1 * found["max_score"]
    assert not found["followed_through"]


def test_its_words_are_ours_where_it_earns_something():
    found = verdicts(run(hand_in(ps2_kl=TWICE, ps2_elbo=HELP)))["ps2_elbo"]
    said = [found["message"], *(part["message"] for part in found["criteria"])]
    fixed = (follow_through.PARTLY_RIGHT, follow_through.STILL_WRONG, "")
    assert all(words.startswith(fixed) or "not yet" in words for words in said)


def test_the_right_answer_comes_without_its_text():
    code = follow_through._right_answer("ps2_kl")
    (function,) = [one for one in code.co_consts if hasattr(one, "co_code")]
    assert not [one for one in function.co_consts if isinstance(one, str)]


def test_only_what_builds_on_a_wrong_answer_is_looked_at_again():
    cells = nbformat.read(SOURCE, as_version=4).cells
    assert "gaussian_kl" in follow_through.names_behind(cells, "ps2_elbo_answer")
    assert "elbo_terms" in follow_through.names_behind(cells, "ps2_training_answer")
    assert "gaussian_kl" not in follow_through.names_behind(cells, "ps2_interpolate_answer")
    assert "gaussian_kl" not in follow_through.names_behind(cells, "ps2_effective_beta_answer")
    assert notebooks.grade_id(cells[0]) == ""
