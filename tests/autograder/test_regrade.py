"""A check is broken on purpose and mended: exactly the marks that it cost come back."""

import dataclasses
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import Course
from autograder.grading import Grading
from autograder.regrade import Regrade
from vae_course.errors import UsageError

BROKEN = ("(2, 1), (6, 3)", "(2, 1), (6, 4)")
STUDENTS = ("ada", "ben", "cleo", "dan")


def break_check(root: Path, broken: bool = True) -> None:
    """Let the check of `half` want 4 as the half of 6; or mend it."""
    path = root / "source" / "tiny" / "tiny_judge.py"
    old, new = BROKEN if broken else BROKEN[::-1]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def grade(root: Path) -> None:
    assert list(Grading(Course(root), "tiny").run())


def scores(root: Path) -> dict[tuple[str, str], tuple[float | None, float | None, bool]]:
    """By student and exercise: what the machine gave, what a person gave, whether one is needed."""
    with Course(root).gradebook() as gradebook:
        return {
            (entry.student.id, grade.name): (
                grade.auto_score,
                grade.manual_score,
                grade.needs_manual_grade,
            )
            for entry in gradebook.assignment_submissions("tiny")
            for notebook in entry.notebooks
            for grade in notebook.grades
        }


def by_hand(root: Path, student: str, exercise: str, points: float, comment: str) -> None:
    """What a person does in the formgrader."""
    with Course(root).gradebook() as gradebook:
        grade = gradebook.find_grade(exercise, "tiny", "tiny", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        note = gradebook.find_comment("tiny_half_answer", "tiny", "tiny", student)
        note.manual_comment = comment
        gradebook.db.commit()


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".autograder" not in path.parts and path.suffix != ".db"
    }


def run(root: Path, *options: str):
    return CliRunner().invoke(
        app, ["regrade", "tiny", "--jobs", "1", "--course", str(root), *options]
    )


@pytest.fixture(scope="module")
def graded_wrongly(make_tiny_course):
    """A class whose check of `half` was wrong: ada, cleo and dan lost a point by it."""
    tiny = make_tiny_course()
    tiny.hand_in("ada", tiny.solved())
    tiny.hand_in("ben", tiny.blank)
    tiny.hand_in("cleo", tiny.solved(tiny_double="def double(x):\n    return x"))
    tiny.hand_in("dan", tiny.solved())
    (tiny.root / "submitted/cleo/tiny/timestamp.txt").write_text("2026-02-02 12:00:00 UTC")
    break_check(tiny.root)
    grade(tiny.root)
    by_hand(tiny.root, "ada", "tiny_q", 1.5, "Nearly.")
    by_hand(tiny.root, "dan", "tiny_half", 0.5, "Not your own work.")
    break_check(tiny.root, broken=False)
    return tiny


@pytest.fixture
def wronged(graded_wrongly, tmp_path):
    """The same class, for one test."""
    root = shutil.copytree(graded_wrongly.root, tmp_path / "course")
    return dataclasses.replace(graded_wrongly, root=root)


def test_it_shows_who_moves_and_writes_nothing(wronged):
    before, files = scores(wronged.root), contents(wronged.root)
    with Regrade(Course(wronged.root), "tiny") as again:
        assert [entry["student"] for entry in again.run()] == list(STUDENTS)
    found = {(move.student, move.exercise): (move.before, move.after) for move in again.moves}
    moved = (1.0, 2.0)
    assert found == {(name, "tiny_half"): moved for name in ("ada", "cleo", "dan")}
    assert {move.student: move.by_hand for move in again.moves} == {
        "ada": None,
        "cleo": None,
        "dan": 0.5,
    }
    assert again.marks == {"ada": (9.5, 10.5), "cleo": (5, 6), "dan": (7.5, 7.5)}
    assert {(move.said, move.says) for move in again.moves} == {("`half(6)` gave 3.0", "Right.")}
    assert (scores(wronged.root), contents(wronged.root)) == (before, files)


def test_it_writes_exactly_the_marks_that_change(wronged):
    before = scores(wronged.root)
    with Regrade(Course(wronged.root), "tiny") as again:
        list(again.run())
        again.write()
    after = scores(wronged.root)
    changed = {place for place in before if before[place] != after[place]}
    assert changed == {(name, "tiny_half") for name in ("ada", "cleo", "dan")}
    assert after["ada", "tiny_half"] == (2.0, None, False)
    assert after["dan", "tiny_half"] == (2.0, 0.5, False)
    assert after["ada", "tiny_q"] == before["ada", "tiny_q"]
    records = {e["student"]: e for e in json.loads((wronged.root / "verdicts.json").read_text())}
    half = {name: entry["exercises"][1] for name, entry in records.items()}
    assert half["ada"]["message"] == "Right." and half["ada"]["score"] == 2
    assert half["dan"]["score"] == 0.5 and half["dan"]["changed_by_hand"]
    (mended,) = records["ada"]["regraded"]
    assert mended["moved"] == [{"id": "tiny_half", "before": 1.0, "after": 2.0}]
    assert "regraded" not in records["ben"]
    assert [entry["score"] for entry in records.values()] == [10.5, 0, 6, 7.5]
    with Regrade(Course(wronged.root), "tiny") as once_more:
        list(once_more.run())
    assert once_more.moves == []


def test_the_feedback_says_what_is_right_now(wronged):
    with Regrade(Course(wronged.root), "tiny") as again:
        list(again.run())
        again.write()
    command = ["feedback", "tiny", "--student", "ada", "--course", str(wronged.root)]
    assert CliRunner().invoke(app, command).exit_code == 0
    page = (wronged.root / "feedback" / "ada" / "tiny" / "tiny.html").read_text()
    assert "gave 3.0" not in page and "10.5" in page


@pytest.mark.parametrize("chosen", [(), ("tiny_half",)])
def test_nobody_is_run_again_after_it(wronged, chosen):
    with Regrade(Course(wronged.root), "tiny", chosen) as again:
        list(again.run())
        again.write()
    grading = Grading(Course(wronged.root), "tiny")
    records = list(grading.run())
    assert set(grading.reasons.values()) == {""}
    assert {part["score"] for part in records[0]["exercises"]} == {3, 2, 4, 1.5, 0}


def test_only_the_exercise_that_is_named_may_change(wronged):
    path = wronged.root / "source" / "tiny" / "tiny_judge.py"
    path.write_text(path.read_text().replace("(5, 10)", "(5, 11)"))
    with Regrade(Course(wronged.root), "tiny", ["tiny_half"]) as again:
        list(again.run())
        again.write()
    assert {move.exercise for move in again.moves} == {"tiny_half"}
    assert scores(wronged.root)["ada", "tiny_double"][0] == 3
    with Regrade(Course(wronged.root), "tiny") as rest:
        list(rest.run())
    assert {(move.student, move.exercise) for move in rest.moves} == {
        (name, "tiny_double") for name in ("ada", "dan")
    }
    grading = Grading(Course(wronged.root), "tiny")
    list(grading.run())
    assert set(grading.reasons.values()) == {"the assignment changed"}


def test_late_days_are_counted_anew(wronged):
    with (wronged.root / "nbgrader_config.py").open("a") as config:
        config.write("c.AssignLatePenalties.plugin_class = 'autograder.late_days.LateDays'\n")
    with Course(wronged.root).gradebook() as gradebook:
        gradebook.update_or_create_assignment("tiny", duedate="2026-02-01 12:00:00 UTC")
    with Regrade(Course(wronged.root), "tiny") as again:
        list(again.run())
        again.write()
    assert again.marks["cleo"] == (pytest.approx(4.5), pytest.approx(5.4))  # a tenth for a day


@pytest.mark.long
def test_the_command_asks_before_it_writes(wronged):
    before = scores(wronged.root)
    shown = run(wronged.root)
    assert shown.exit_code == 0, shown.output
    for told in ("ada", "tiny_half", "9.5", "10.5", "`half(6)` gave 3.0", "Right.", "by hand"):
        assert told in shown.output
    assert "Nothing was written" in shown.output
    assert scores(wronged.root) == before
    written = run(wronged.root, "--yes")
    assert written.exit_code == 0 and "Written" in written.output
    assert scores(wronged.root)["ada", "tiny_half"][0] == 2
    assert "Nobody's mark changes" in run(wronged.root, "--yes").output


def test_who_handed_in_again_is_named_and_left_alone(wronged):
    wronged.hand_in("ada", wronged.solved(tiny_half="def half(x):\n    return x"))
    wronged.hand_in("eve", wronged.solved())
    with Regrade(Course(wronged.root), "tiny") as again:
        list(again.run())
        again.write()
    assert set(again.left_out) == {"ada", "eve"}
    assert "handed in again" in again.left_out["ada"]
    assert {move.student for move in again.moves} == {"cleo", "dan"}


def test_wrong_words_are_refused(wronged):
    with pytest.raises(UsageError, match="tiny_double, tiny_half, tiny_plain"):
        Regrade(Course(wronged.root), "tiny", ["tiny_q"])
    with pytest.raises(UsageError, match="no such assignment"):
        Regrade(Course(wronged.root), "other")


def test_records_keep_what_they_depend_on(wronged):
    entry = json.loads((wronged.root / "verdicts.json").read_text())[0]
    assert set(entry["inputs"]) == {"submission", "assignment"}
    assert entry["seed"] == 7 and "torch" in entry["engine"]
    notebook = wronged.solved(tiny_half="def half(x):\n    return x")
    wronged.hand_in("ada", nbformat.writes(notebook))
    grade(wronged.root)
    again = json.loads((wronged.root / "verdicts.json").read_text())[0]
    assert again["inputs"]["submission"] != entry["inputs"]["submission"]
