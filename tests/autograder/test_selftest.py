"""The self-test tells what was caught, named, refused and survived."""

import pytest

from autograder import bank, selftest
from autograder.misconceptions import Misconception
from autograder.mutants import Mutant
from autograder.sandbox.outside import problem
from autograder.selftest import Tally, Task
from autograder.variants import Variant
from autograder.variants import rows as rows_of
from vae_course.authoring.assignment import list_assignments

ONE = Misconception("ps2_kl", "twice", "def gaussian_kl(mu, log_var): ...", "The half is missing.")


def verdict(score: float, name: str | None = None) -> dict:
    return {"score": score, "max_score": 2.0, "misconception": name, "message": "said"}


@pytest.mark.parametrize(
    ("found", "caught", "named", "misnamed", "elsewhere", "problems"),
    [
        ({"ps2_kl": verdict(1, "twice")}, 1, 1, 0, 0, 0),
        ({"ps2_kl": verdict(1)}, 1, 0, 0, 0, 1),
        ({"ps2_kl": verdict(1, "no mu")}, 1, 0, 1, 0, 2),
        ({"ps2_kl": verdict(2)}, 0, 0, 0, 0, 1),
        ({}, 0, 0, 0, 0, 1),
        ({"ps2_kl": verdict(1, "twice"), "ps2_elbo": verdict(1)}, 1, 1, 0, 1, 1),
        ({"ps2_kl": verdict(1, "twice"), "ps2_elbo": verdict(1, "twice")}, 1, 1, 1, 1, 2),
    ],
)
def test_a_mistake_is_counted(found, caught, named, misnamed, elsewhere, problems):
    tally = selftest.of_mistake(ONE, found)
    assert (tally.misconceptions, tally.caught, tally.named) == (1, caught, named)
    assert (tally.misnamed, tally.elsewhere) == (misnamed, elsewhere)
    assert len(tally.problems) == problems
    assert tally.is_sound == (not problems)


def test_a_right_answer_that_loses_points_is_refused():
    right = [Variant("ps2_kl", "loop", ""), Variant("ps2_elbo", "einsum", "")]
    tally = selftest.of_variants(right, {"ps2_kl": verdict(2), "ps2_elbo": verdict(1.5)})
    assert (tally.variants, tally.accepted) == (2, 1)
    assert tally.problems == ["ps2_elbo: einsum: refused: said"] and not tally.is_sound
    assert selftest.of_variants(right, {"ps2_kl": verdict(2)}).accepted == 1


def test_a_mutant_is_killed_or_explained_or_survives():
    group = [Mutant("ps2_kl", "sign", source, "a") for source in ("b", "c", "d")]
    known = {f"ps2_kl: {group[1].change}": "It changes nothing."}
    tally = selftest.of_mutants(group, known, [False, True, True])
    assert (tally.mutants, tally.killed, tally.equivalent, tally.survived) == (3, 1, 1, 1)
    assert tally.problems == [f"ps2_kl: {group[2].change}: survived"]
    assert group[2].change == "- a; + d"


def test_one_in_twenty_may_go_unnamed():
    assert Tally(misconceptions=20, caught=20, named=19).is_sound
    assert not Tally(misconceptions=20, caught=20, named=18).is_sound


def count(letters: str) -> dict[str, int]:
    return {"length": len(letters)}


def tally_of(found: dict[str, int]) -> Tally:
    return Tally(mutants=found["length"], killed=found["length"])


def test_a_result_is_used_again_where_nothing_changed(tmp_path):
    cache = tmp_path / "selftest.json"
    todo = [Task("ps2", "", count, (letters,), tally_of) for letters in ("abc", "d")]
    assert [tally.mutants for _, tally in selftest.run(todo, 1, cache)] == [3, 1]
    again = [Task("ps2", "", count, (letters,), tally_of) for letters in ("abc", "ef")]
    assert {
        task.arguments[0]: tally.seconds > 0 for task, tally in selftest.run(again, 1, cache)
    } == {
        "abc": False,
        "ef": True,
    }
    cache.write_text("no JSON")
    assert [tally.mutants for _, tally in selftest.run(again[1:], 1, cache)] == [2]


def test_right_answers_are_handed_in_together_one_an_exercise():
    right = [Variant(f"ps2_{name}", str(n), "") for name in ("kl", "elbo") for n in range(3)]
    rows = rows_of([*right, Variant("ps2_model", "0", "")])
    assert [len(row) for row in rows] == [3, 2, 2]
    assert all(len({one.exercise for one in row}) == len(row) for row in rows)


def test_a_second_bank_is_read_from_its_folder_and_counted(tmp_path):
    (tmp_path / "ps2.py").write_text(
        'WRONG = {("ps2_kl", "no half"): "twice", ("ps2_kl", "no mu"): "none"}\n'
        'RIGHT = {("ps2_kl", "loop"): "loop"}\n'
    )
    todo = selftest.second_tasks("ps2", tmp_path)
    assert [task.arguments for task in todo] == [
        ("ps2_kl", "twice"),
        ("ps2_kl", "none"),
        ("ps2_kl", "loop"),
    ]
    found = [verdict(1, "twice"), verdict(2), verdict(1)]
    tally = selftest.total(task.judge(one) for task, one in zip(todo, found, strict=True))
    assert (tally.misconceptions, tally.caught, tally.named) == (2, 1, 1)
    assert (tally.variants, tally.accepted) == (1, 0)
    assert tally.problems == ["ps2_kl: no mu: not caught", "ps2_kl: loop: refused: said"]
    assert selftest.second_tasks("ps1", tmp_path) == []


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
def test_answers_go_through_the_sandbox_and_the_judge():
    wrong = "def gaussian_kl(mu, log_var):\n    return (mu**2 + log_var.exp() - 1 - log_var).sum()"
    endless = "def gaussian_kl(mu, log_var):\n    import os\n    os._exit(1)"
    loop = "def gaussian_kl(mu, log_var):\n    k = mu**2 + log_var.exp() - 1 - log_var\n"
    right = loop + "    return sum(k.unbind(-1)) / 2"
    assert bank.full_marks("ps2_kl", [wrong, right, endless, right]) == [False, True, False, True]
    assert "shape" in bank.judged("ps2_kl", wrong)["message"]
    assert bank.judged("ps2_kl", "unknown" + right)["score"] == 0


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
@pytest.mark.parametrize("assignment", list_assignments())
def test_a_sample_of_the_self_test_holds(assignment):
    tally = selftest.total(
        tally for _, tally in selftest.run(selftest.tasks(assignment, sample=True), jobs=1)
    )
    assert tally.is_sound, tally.problems
    assert tally.misconceptions >= 5 and tally.variants >= 10 and tally.mutants >= 9
