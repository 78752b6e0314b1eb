"""Thresholds of training: one repetition in grading, and the table that says how clear they are."""

from pathlib import Path

import pytest
import torch

from autograder import calibration, cli
from autograder.calibration import Found, Row, Run
from autograder.checks import ps1, ps3
from autograder.checks.common import Convergence, converged
from autograder.draw import Draw
from autograder.student import InProcessStudent, unfit

PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"


def trains_to(*numbers: float) -> Convergence:
    """A convergence whose trainings end with these numbers, one after another."""
    left = iter(numbers)

    def measure(student, images, draw):
        number = next(left)
        return number, f"It is {number}, on {len(images)} images."

    return Convergence("ps9_model", "a number", 0.5, lambda draw: draw.uniform(3), measure)


def row(right: list[float | None], **mistakes: list[float | None]) -> Row:
    by_name = {name: list(map(Found, numbers)) for name, numbers in mistakes.items()}
    return Row(trains_to(), list(map(Found, right)), [], by_name)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.4,), None),
        ((0.6, 0.4), None),
        ((float("nan"), 0.4), None),
        ((0.6, 0.7, 0.1), "It is 0.7, on 3 images."),
        ((0.5, 0.5), "It is 0.5, on 3 images."),
    ],
)
def test_training_that_fails_is_repeated_once(numbers, said):
    assert converged(InProcessStudent({}), trains_to(*numbers), Draw(1)) == said


def test_the_repetition_has_another_seed_and_the_same_verdict_seed_the_same_two():
    seen = []

    def measure(student, images, draw):
        seen.append((float(images), draw.seed()))
        return 1.0, "no"

    one = Convergence("ps9_model", "a number", 0.5, lambda draw: draw.uniform(1), measure)
    for _ in range(2):
        converged(InProcessStudent({}), one, Draw(1))
    assert seen[:2] == seen[2:] and len(set(seen)) == 2


def test_what_cannot_be_measured_is_not_tried_again():
    calls = []

    def measure(student, images, draw):
        calls.append(1)
        raise unfit("There is no number.")

    one = Convergence("ps9_model", "a number", 0.5, lambda draw: draw.uniform(1), measure)
    with pytest.raises(Exception, match="There is no number"):
        converged(InProcessStudent({}), one, Draw(1))
    assert len(calls) == 1


def test_the_bound_is_the_exact_one():
    assert calibration.bound(0, 299) == pytest.approx(0.00997, abs=1e-5)
    assert calibration.bound(0, 10) == pytest.approx(1 - 0.05**0.1)
    # With one failure: the chance of at most one in 300 is then 5 %.
    p = calibration.bound(1, 300)
    assert (1 - p) ** 300 + 300 * p * (1 - p) ** 299 == pytest.approx(0.05)
    assert calibration.bound(10, 10) == 1.0


def test_a_right_answer_that_fails_is_a_problem():
    assert row([0.1, 0.2], far=[0.9, None], lucky=[0.9, 0.4]).problems == []
    assert row([0.1, 0.5, None], far=[0.9]).problems == [
        "ps9_model: 2 of 3 runs of right answers fail"
    ]


def test_mistakes_that_fail_by_chance_are_counted():
    found = row([0.1], far=[0.9, None], lucky=[0.9, 0.4, None], rarely=[0.1, 0.2, 0.6], well=[0.1])
    assert list(found.seen) == ["far"]
    assert found.by_chance == {"lucky": 2, "rarely": 1}


def test_the_nearest_mistake_is_of_those_that_fail():
    found = row([0.1], far=[0.9, 0.8], stopped=[None], unseen=[0.1], at_times=[0.1, 0.6])
    assert found.nearest == ("far", 0.8) and list(found.seen) == ["far", "stopped"]
    assert row([0.1], stopped=[None], unseen=[0.1]).nearest is None


def found_by_seed(run: Run) -> Found:
    return Found(run.seed / 100, "said")


def test_a_run_that_was_kept_is_not_run_again(tmp_path, monkeypatch):
    keep = tmp_path / "kept" / "runs.jsonl"
    todo = [Run("ps3_model", "right", "reference", seed) for seed in range(3)]
    monkeypatch.setattr(calibration, "measured", found_by_seed)
    assert dict(calibration.run(todo[:2], 1, keep)) == {one: found_by_seed(one) for one in todo[:2]}
    with keep.open("a") as file:
        file.write('\n{"key": "ps3_mo')  # killed while it wrote
    monkeypatch.setattr(calibration, "measured", other_found)
    assert [found.said for _, found in calibration.run(todo, 1, keep)] == ["said", "said", "other"]
    monkeypatch.setattr(calibration, "_code", lambda run: "another")
    assert calibration.found_before(todo, keep) == {}


def other_found(run: Run) -> Found:
    return Found(0.0, "other")


def test_a_number_depends_on_probes_and_helpers_and_not_on_the_threshold():
    source = calibration._source(ps1.LEARNT.measure)
    assert "def _error(" in source and "def fit(model" in source
    assert f"threshold={ps1.LEARNT.threshold}" not in source


def test_a_right_answer_and_a_mistake_are_measured_and_come_out_alike_again():
    torch.set_num_threads(1)
    right = Run("ps3_model", "right", "reference", 4)
    number = calibration.measured(right).number
    assert 1 < number < ps3.SCATTER.threshold
    assert calibration.measured(right).number == number
    wrong = calibration.measured(Run("ps3_model", "mistake", "noise times std squared", 4))
    assert wrong.number > ps3.SCATTER.threshold


def test_seeds_go_through_the_reference_and_the_variants_by_turns(monkeypatch):
    monkeypatch.setattr(calibration, "right_answers", lambda name: {"reference": (), "other": ()})
    monkeypatch.setattr(calibration, "real_images", lambda name: None)
    todo = calibration.planned(["ps3", "ps4"], 5)
    assert {one.kind for one in todo} == {"right", "mistake"}
    right = [one for one in todo if one.kind == "right"]
    assert [one.answer for one in right] == ["reference", "other"] * 2 + ["reference"]
    assert [one.seed for one in right] == list(range(5))
    assert {one.seed for one in todo if one.kind == "mistake"} == {0, 1, 2}


def test_the_page_tells_all_of_it():
    found = {Run("ps3_model", "right", "reference", s): Found(1.1 + s / 100) for s in range(300)}
    found[Run("ps3_model", "mistake", "draw without gradients", 0)] = Found(1.2)
    found[Run("ps3_model", "mistake", "noise times std squared", 0)] = Found(30.0)
    page = calibration.document(found, 300)
    line = next(line for line in page.splitlines() if line.startswith("| ps3_model"))
    assert "| 300 | 210 |" in line and "noise times std squared: 30" in line
    clean = {run: Found(1.1) for run in found if run.kind == "right"}
    line = calibration.document(clean, 300).splitlines()
    line = next(one for one in line if one.startswith("| ps3_model"))
    assert "| 300 | 0 | 1.1 | 1.1 | 0.99 % | 1 in 10,129 |" in line
    assert "draw without gradients" in page.rpartition("\n- ps3_model")[2]


def test_the_thresholds_in_the_table_are_those_declared():
    page = PAGE.read_text()
    assert calibration.differences(page) == []
    wrong = page.replace(f"| {ps3.SCATTER.threshold:g} |", "| 17 |")
    assert any("the table says 17" in line for line in calibration.differences(wrong))
    assert len(calibration.differences("")) == page.count("\n| ps")


def test_the_command_compares_them_too(monkeypatch, tmp_path, capsys):
    page = tmp_path / "calibration.md"
    page.write_text(PAGE.read_text().replace("| ps1_autoencoder", "| ps1_encoder"))
    for path, code in ((PAGE, 0), (page, 1)):
        monkeypatch.setattr("sys.argv", ["autograder", "calibrate", "--check", "--out", str(path)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert int(ended.value.code or 0) == code
    assert "ps1_encoder" in capsys.readouterr().out
