"""The demo: its mistakes fit the reference, its own check can fail, and the whole of it holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from autograder import demo, record
from autograder.demo import CLASS, PS2, Mistake, Submission, surprises, with_mistake
from vae_course.authoring.build import build_assignment
from vae_course.errors import CourseError, UsageError


@pytest.fixture(scope="module")
def built() -> dict:
    return {name: build_assignment(name) for name in CLASS}


def test_the_class_is_one_of_ten_with_every_kind_of_trouble():
    assert len({submission.student for submission in PS2}) == 10
    assert {submission.status for submission in PS2} == {
        "graded",
        "crashed",
        "timed_out",
        "unreadable",
    }
    wrong = [one.mistake.exercise for one in PS2 if one.mistake and one.status == "graded"]
    assert len(wrong) == len(set(wrong)) == 5


@pytest.mark.parametrize(
    ("assignment", "submission"),
    [(name, one) for name, submissions in CLASS.items() for one in submissions if one.mistake],
    ids=lambda value: value if isinstance(value, str) else value.student,
)
def test_each_mistake_changes_its_own_answer_and_nothing_else(built, assignment, submission):
    solved = built[assignment].solved
    changed = json.loads(submission.notebook(solved, ""))
    differ = [
        after["metadata"]["nbgrader"]["grade_id"]
        for before, after in zip(solved["cells"], changed["cells"], strict=True)
        if before != after
    ]
    assert differ == [f"{submission.mistake.exercise}_answer"]
    for cell in changed["cells"]:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "cell", "exec")


@pytest.mark.parametrize(
    "mistake", [Mistake("ps2_kl", "no such text", ""), Mistake("ps2_nothing", "", "")]
)
def test_a_mistake_that_does_not_fit_is_told(built, mistake):
    with pytest.raises(CourseError, match="does not fit this answer any more"):
        with_mistake(built["ps2"].solved, mistake)


def entry(status: str = "graded", **scores: float) -> dict:
    exercises = [
        record.verdict(id, score, 1.0, "pass", "why") | {"kind": "machine"}
        for id, score in scores.items()
    ]
    return record.submission("ps2", "x", status, exercises, "engine")


WRONG = Submission("X", "story", Mistake("b", "", ""))
CRASH = Submission("X", "story", Mistake("b", "", ""), status="crashed", loses_after=True)
BLANK = Submission("X", "story", content="released")


@pytest.mark.parametrize(
    ("submission", "found", "count"),
    [
        (Submission("X", "right"), entry(a=1, b=1, c=1), 0),
        (Submission("X", "right"), entry(a=1, b=0.9, c=1), 1),
        (WRONG, entry(a=1, b=0.9, c=1), 0),
        (WRONG, entry(a=1, b=1, c=1), 1),
        (WRONG, entry(a=0.5, b=0, c=1), 1),
        (WRONG, entry("timed_out", a=1, b=0, c=1), 1),
        (CRASH, entry("crashed", a=1, b=0, c=0), 0),
        (CRASH, entry("crashed", a=1, b=0, c=1), 1),
        (BLANK, entry(a=0, b=0, c=0), 0),
        (BLANK, entry(a=0, b=0.5, c=0), 1),
    ],
)
def test_the_demo_s_own_check_tells_what_is_not_as_it_must_be(submission, found, count):
    assert len(list(surprises(submission, found))) == count


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="new or empty"):
        demo.run(Console(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_demo_s_configuration_is_the_course_s():
    ours = (Path(__file__).parents[2] / "nbgrader_config.py").read_text()
    assert [line.split("  #")[0] for line in ours.splitlines()] == demo.CONFIG.splitlines()


@pytest.mark.long
def test_the_whole_demo_and_stock_nbgrader_agree(tmp_path, monkeypatch):
    """Every submission gets what it must, and the same from nbgrader without us."""
    monkeypatch.setenv(demo.SEED_VARIABLE, demo.SEED)
    monkeypatch.delenv("VAE_COURSE_DATA", raising=False)
    root = tmp_path / "course"
    assert demo.run(Console(), root)
    ours = {
        entry["student"]: {part["id"]: part["score"] for part in entry["exercises"]}
        for entry in json.loads((root / "verdicts.json").read_text())
        if entry["assignment"] == "ps2" and entry["status"] in ("graded", "timed_out")
    }
    assert len(ours) == 8
    (root / "nbgrader_config.py").write_text("c = get_config()\nc.Execute.timeout = 30\n")
    for student in ours:
        done = subprocess.run(
            [Path(sys.executable).with_name("nbgrader"), "autograde", "ps2"]
            + ["--force", "--student", student],
            cwd=root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    from autograder.course import Course

    with Course(root).gradebook() as gradebook:
        for student, scores in ours.items():
            grades = gradebook.find_submission_notebook("ps2", "ps2", student).grades
            assert {grade.name: grade.score for grade in grades} == scores
