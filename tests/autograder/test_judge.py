"""From criteria to a verdict, and from a verdict to what a grade cell does."""

import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import autograder
from autograder.checks import find_check, reference
from autograder.criterion import Criterion
from autograder.judge import judge
from autograder.kernel import GraderError, grade_here
from autograder.student import InProcessStudent, StudentError
from vae_course.errors import UsageError

EXERCISE = SimpleNamespace(
    id="ps2_kl", points=3.0, solutions=("vae_course.probability.gaussian_kl",)
)


def raises(error):
    def test():
        raise error

    return test


def verdict_of(*criteria, exercise=EXERCISE):
    def check(student, draw):
        yield from (
            Criterion(f"part {i}", weight, test) for i, (weight, test) in enumerate(criteria)
        )

    return judge(exercise, InProcessStudent({}), 5, check)


def ok():
    return None


BLANK = StudentError("blank", "NotImplementedError", "", "gaussian_kl", "raise NotImplementedError")
CRASH = StudentError("error", "ValueError", "no.", "gaussian_kl", "raise ValueError('no.')")


def test_all_met_is_a_pass():
    verdict = verdict_of((1, ok), (2, ok))
    assert (verdict.verdict, verdict.score, verdict.max_score) == ("pass", 3.0, 3.0)
    assert [part.passed for part in verdict.criteria] == [True, True]
    assert verdict.message.startswith("Right")


def test_weights_share_the_points():
    verdict = verdict_of((1, ok), (2, lambda: "Half is missing."), (4, ok))
    assert (verdict.verdict, verdict.score) == ("partial", round(3 * 5 / 7, 2))
    assert [part.score for part in verdict.criteria] == [0.43, 0.0, 1.71]
    assert verdict.message == "Partly right. Half is missing."
    assert verdict.criteria[1].message == "Half is missing."


def test_none_met_is_a_fail():
    verdict = verdict_of((1, lambda: "No."), (2, raises(CRASH)))
    assert (verdict.verdict, verdict.score) == ("fail", 0.0)


def test_a_message_tells_two_problems_and_names_the_rest():
    tests = [lambda: "One.", lambda: "Two.", lambda: "One.", lambda: "Three.", lambda: "Four."]
    message = verdict_of(*((1, test) for test in tests)).message
    assert message == "One. Two. Look also at: part 3; part 4."


def test_one_exception_is_told_once():
    other = StudentError("error", "ValueError", "no 2", CRASH.where, CRASH.line)
    verdict = verdict_of((1, raises(CRASH)), (1, raises(other)))
    assert verdict.verdict == "error"
    assert verdict.message == (
        "Your code stopped in `gaussian_kl` with ValueError: no, at the line "
        "`raise ValueError('no.')`."
    )


def test_a_stub_is_blank():
    verdict = verdict_of((1, raises(BLANK)), (1, raises(BLANK)))
    assert (verdict.verdict, verdict.score) == ("blank", 0.0)
    assert "Nothing is written here yet" in verdict.message


def test_another_exercises_stub_is_not_this_ones_blank():
    exercise = SimpleNamespace(id="ps2_elbo", points=3, solutions=("a.elbo_terms",))
    verdict = verdict_of((1, raises(BLANK)), exercise=exercise)
    assert verdict.verdict == "error"
    assert "`gaussian_kl`, which this exercise uses, is not written yet" in verdict.message


def test_a_method_of_the_own_class_is_blank():
    exercise = SimpleNamespace(id="ps2_model", points=3, solutions=("vae_course.vae.VAE",))
    blank = StudentError("blank", "NotImplementedError", "", "VAE.sample")
    assert verdict_of((1, raises(blank)), exercise=exercise).verdict == "blank"
    partial = verdict_of((1, ok), (1, raises(blank)), exercise=exercise)
    assert partial.verdict == "partial" and "`VAE.sample` is not written yet" in partial.message


def test_a_missing_name_is_an_error_that_asks_about_the_cell():
    def check(student, draw):
        yield Criterion("value", 1, lambda: student.call("gaussian_kl"))

    verdict = judge(EXERCISE, InProcessStudent({}), 0, check)
    assert verdict.verdict == "error" and "Did its cell stop with an error" in verdict.message


@pytest.mark.parametrize("error", [RuntimeError("boom"), AssertionError(), KeyError("x")])
def test_a_fault_of_the_check_is_never_the_students(error):
    verdict = verdict_of((1, ok), (1, raises(error)))
    assert verdict.verdict == "grader_error"
    assert type(error).__name__ in verdict.detail and "test_judge.py" in verdict.detail
    assert "no fault of yours" in verdict.message
    assert verdict.to_dict()["detail"] == verdict.detail


def test_a_fault_between_the_criteria_is_a_grader_error_too():
    def check(student, draw):
        yield Criterion("a", 1, ok)
        raise ZeroDivisionError

    assert judge(EXERCISE, InProcessStudent({}), 0, check).verdict == "grader_error"


def test_criteria_fail_each_for_itself():
    ran = []
    verdict = verdict_of(
        (1, raises(CRASH)),
        (1, lambda: ran.append(1)),
        (1, lambda: "no"),
        (1, lambda: ran.append(2)),
    )
    assert ran == [1, 2] and verdict.score == 1.5


def test_the_record_has_the_agreed_fields(judged):
    record = judged(
        "ps2_kl", "def gaussian_kl(mu, log_var):\n    return mu.sum(-1)", seed=8
    ).to_dict()
    assert list(record) == [
        "id", "score", "max_score", "verdict", "message", "misconception", "followed_through",
        "criteria", "seed",
    ]  # fmt: skip
    assert record["seed"] == 8 and record["misconception"] is None
    assert set(record["criteria"][0]) == {"name", "score", "max_score", "passed", "message"}
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_same_seed_gives_the_same_verdict(judged):
    wrong = "def gaussian_kl(mu, log_var):\n    return (mu ** 2).sum(-1) + log_var.std()"
    first, again, other = (judged("ps2_kl", wrong, seed=s).to_dict() for s in (3, 3, 4))
    assert first == again and first["criteria"] != other["criteria"]


def test_checks_are_found_by_name():
    assert find_check("ps1_train_epoch").__name__ == "train_epoch"
    for unknown in ("ps2_nothing", "ps9_kl", "ps2", "ps2_", "ps2__explain_loss", "ps2_is_raw"):
        with pytest.raises(UsageError, match="no check for the exercise"):
            find_check(unknown)
    assert judge(SimpleNamespace(id="ps9_x", points=1, solutions=()), None, 0).verdict == (
        "grader_error"
    )


def test_the_reference_answers_through_the_same_verbs():
    zero = torch.zeros(2, 3)
    assert reference().call("gaussian_kl", zero, zero).tolist() == [0, 0]
    assert not reference().has("Normal")


# In a kernel.


RIGHT = """
def gaussian_kl(mu, log_var):
    return 0.5 * (mu ** 2 + log_var.exp() - 1 - log_var).sum(-1)
"""


def test_grade_prints_and_returns_points(notebook, capfd):
    score = grade_here("ps2_kl", notebook(RIGHT), EXERCISE, seed=1)
    out, err = capfd.readouterr()
    assert type(score) is float and score == 3.0
    assert out.startswith("Right") and err == ""


def test_grade_stays_quiet_whatever_the_student_does(notebook, capfd):
    noisy = """
    import os, sys, warnings
    def gaussian_kl(mu, log_var):
        print("out"); print("err", file=sys.stderr); warnings.warn("w")
        os.write(1, b"one"); os.write(2, b"two")
        return mu.sum(-1) + torch.complex(mu, mu).to(torch.float32).sum(-1)
    """
    score = grade_here("ps2_kl", notebook(noisy), EXERCISE, seed=1)
    out, err = capfd.readouterr()
    assert 0 < score < 3 and err == "" and out.count("\n") == 1


def test_grade_never_returns_nan_or_raises_for_a_wrong_answer(notebook, capfd):
    for body in ("return mu.sum(-1) * float('nan')", "return float('nan')", "raise SystemExit"):
        score = grade_here(
            "ps2_kl", notebook(f"def gaussian_kl(mu, log_var):\n    {body}"), EXERCISE
        )
        assert math.isfinite(score) and 0 <= score < 3


def test_grade_leaves_the_notebook_as_it_was(notebook):
    namespace = notebook(
        """
        net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
        net[1].train()
        broken = nn.Module.__new__(nn.Module)
        counter = 0
        def gaussian_kl(mu, log_var):
            global counter, fresh
            counter += 1
            fresh = 1
            net.train()
            torch.set_num_threads(3)
            return mu.sum(-1)
        """
    )
    threads = torch.get_num_threads()
    names = {key: id(value) for key, value in namespace.items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    grade_here("ps2_kl", namespace, EXERCISE, seed=1)
    assert {key: id(value) for key, value in namespace.items()} == names
    assert [part.training for part in namespace["net"].modules()] == [False, False, True]
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_seed_comes_from_the_environment(notebook, monkeypatch, capfd):
    wrong = notebook("def gaussian_kl(mu, log_var):\n    return (mu ** 2).sum(-1) + log_var.std()")
    said = []
    for seed in ("12", "12", "13"):
        monkeypatch.setenv("AUTOGRADER_SEED", seed)
        grade_here("ps2_kl", wrong, EXERCISE)
        said.append(capfd.readouterr().out)
    assert said[0] == said[1] != said[2]
    monkeypatch.setenv("AUTOGRADER_SEED", "twelve")
    with pytest.raises(GraderError, match="AUTOGRADER_SEED=twelve"):
        grade_here("ps2_kl", wrong, EXERCISE)


def test_a_grader_error_is_raised_and_shows_one_line(notebook, monkeypatch):
    unknown = SimpleNamespace(id="ps2_nothing", points=2, solutions=())
    with pytest.raises(GraderError) as caught:
        grade_here("ps2_nothing", notebook(), unknown, seed=1)
    assert caught.value._render_traceback_() == [f"GraderError: {caught.value}"]
    assert caught.value.__cause__ is None
    with pytest.raises(GraderError, match="no such exercise"):
        grade_here("ps2_nothing", notebook())


KERNEL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
shell.run_cell("import torch\\nfrom IPython.display import display\\n" + {answer!r})
cell = 'from autograder import grade\\ngrade("ps2_kl")'
with capture_output() as captured:
    result = shell.run_cell(cell)
shown = [output.data for output in captured.outputs]
print(json.dumps({{
    "result": result.result, "shown": shown, "out": captured.stdout, "err": captured.stderr,
    "names": sorted(n for n in shell.user_ns if n in ("grade", "gaussian_kl", "leak")),
}}))
"""


def in_ipython(answer: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", KERNEL.format(answer=answer)],
        capture_output=True,
        text=True,
        env={**os.environ, "AUTOGRADER_SEED": "4", "OMP_NUM_THREADS": "1"},
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_in_ipython_the_verdict_is_displayed_beside_the_message():
    seen = in_ipython(
        "def gaussian_kl(mu, log_var):\n    global leak\n    leak = 1\n    display('me')\n"
        "    return (mu ** 2 + log_var.exp() - 1 - log_var).sum(-1)"
    )
    mime = "application/vnd.vae-course.verdict+json"
    verdicts = [data[mime] for data in seen["shown"] if mime in data]
    assert len(verdicts) == 1 and list(verdicts[0]) and verdicts[0]["seed"] == 4
    assert verdicts[0]["id"] == "ps2_kl" and verdicts[0]["verdict"] == "partial"
    assert seen["result"] == verdicts[0]["score"] and 0 < seen["result"] < 3
    assert verdicts[0]["message"] in seen["out"] and "twice" in seen["out"]
    assert seen["err"] == "" and not any("'me'" in str(data) for data in seen["shown"])
    assert seen["names"] == ["gaussian_kl", "grade"]


def test_importing_the_package_is_light():
    code = "import autograder, sys; print('torch' in sys.modules, autograder.grade.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "grade"]
    assert autograder.grade.__doc__ and issubclass(GraderError, Exception) and nn
