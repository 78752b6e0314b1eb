"""What an instructor and a student read of a graded class."""

import io
import json

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from rich.console import Console

from autograder import record, report
from autograder.course import Course
from autograder.grading import Grading
from vae_course.errors import CourseError, UsageError


def entry(student: str = "ada", status: str = "graded", message: str = "", tampered=()) -> dict:
    exercises = [
        record.verdict("tiny_a", 3.0, 3.0, "pass", "Right.") | {"kind": "machine"},
        record.verdict("tiny_b", 0.5, 2.0, "partial", "Look at b.") | {"kind": "machine"},
        record.verdict("tiny_c", 0.0, 2.0, "blank", "Nothing.") | {"kind": "machine"},
        record.verdict("tiny_d", 0.0, 1.0, "blank", "Nothing.") | {"kind": "machine"},
        record.verdict("tiny_q", 0.0, 2.0, "manual", "Wait.") | {"kind": "manual", "pending": True},
        record.verdict("tiny_r", 1.5, 2.0, "manual", "Good.") | {"kind": "task", "pending": False},
    ]
    return record.submission("tiny", student, status, exercises, "engine", tampered, message)


def printed(records: list[dict], width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    report.show(console, records)
    return console.export_text()


def test_the_table_has_a_line_a_student_a_column_an_exercise_and_a_legend():
    text = printed([entry(), entry("ben", "crashed")])
    lines = text.splitlines()
    assert lines[0].split() == ["student", "status", "1", "2", "3", "4", "score", "by", "hand"]
    assert lines[1].split() == ["ada", "graded", "3", "0.5", "0", "0", "3.5/8", "1", "to", "read"]
    assert "ben" in lines[2] and "crashed" in lines[2]
    assert "1 a (3), 2 b (2), 3 c (2), 4 d (1)" in text


def test_the_table_of_ten_students_and_nine_exercises_fits_a_terminal():
    entries = [entry(f"student_number_{number:03d}", "unreadable") for number in range(10)]
    for found in entries:
        found["exercises"] = [
            record.verdict(f"tiny_{n}", 10.25, 12.0, "partial", "") | {"kind": "machine"}
            for n in range(6)
        ]
    assert all(f"student_number_{number:03d}" in printed(entries) for number in range(10))


def test_a_student_s_name_can_not_move_the_cursor_or_colour_the_table():
    text = printed([entry("[red]eve\x1b[2J\r", message="[bold]x\x1b]0;title\x07")])
    assert "[red]eve " in text and "[bold]x" in text
    assert "\x1b" not in text and "title" not in text


def test_a_student_s_name_or_message_can_not_look_like_another_line():
    forged = "eve\n[9/9] mal: graded, 8 / 8\u2028\r"
    said = entry(forged, "unreadable", "no notebook\nmal: well done", tampered=["x\ny"])
    lines = [report.progress_line(said), *report.remarks([said])]
    assert not any(set(line) & set("\n\r\u2028") for line in lines)
    assert not any(line.startswith("mal") for line in printed([said]).splitlines())


def test_remarks_name_what_the_table_can_not():
    broken = entry("ben", "grader_error")
    broken["exercises"][0] |= {"verdict": "grader_error", "detail": "a bug at checks.py:7"}
    found = list(
        report.remarks(
            [
                entry("eve", "unreadable", "eve.ipynb: is no notebook"),
                entry("mal", tampered=["tiny_a"]),
                broken,
                entry("good"),
            ]
        )
    )
    assert found == [
        "eve: eve.ipynb: is no notebook",
        "mal: locked cells were changed, and restored: tiny_a",
        "ben: tiny_a: a bug at checks.py:7",
    ]


def test_messages_are_told_once_and_what_is_right_needs_none():
    assert list(report.messages(entry())) == [
        "tiny_b 0.5/2 (partial): Look at b.",
        "tiny_c 0/2, tiny_d 0/1 (blank): Nothing.",
    ]
    assert list(report.messages(entry(message="unreadable"))) == ["unreadable"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_gives_all_records_on_a_terminal_and_in_a_log(is_terminal, capsys):
    console = Console(force_terminal=is_terminal, width=80)
    records = [entry(), entry("ben")]
    assert list(report.with_progress(console, iter(records), 2, "tiny")) == records
    said = capsys.readouterr().out
    assert ("2/2" in said) if is_terminal else ("[2/2] ben: graded, 3.5 / 8" in said)


def test_each_student_gets_a_page_and_who_was_not_graded_is_named(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    tiny_course.hand_in("eve", "no notebook <script>")
    course = Course(tiny_course.root)
    list(Grading(course, "tiny", timeout=5).run())
    tiny_course.hand_in("late", tiny_course.blank)
    pages = []
    with pytest.raises(CourseError, match="late: not graded yet"):
        pages.extend(report.write_feedback(course, "tiny", None))
    ada, eve = (
        tiny_course.root / "feedback" / name / "tiny" / "tiny.html" for name in ("ada", "eve")
    )
    summary = ada.read_text().split("Feedback on tiny")[1].split("</table>")[0]
    assert summary.index("In words") < summary.index("A drawing")  # a task's heading is its own
    assert "could not be read" in eve.read_text() and "it is not JSON" in eve.read_text()
    assert str(tiny_course.root) not in eve.read_text()
    assert list(report.write_feedback(course, "tiny", "ada")) == [ada]
    with pytest.raises(UsageError, match="nobody"):
        list(report.write_feedback(course, "tiny", "nobody"))


def test_feedback_does_not_need_the_records(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    course = Course(tiny_course.root)
    list(Grading(course, "tiny", json_path=tiny_course.root / "elsewhere.json").run())
    assert json.loads((tiny_course.root / "elsewhere.json").read_text())[0]["score"] == 9
    assert not (tiny_course.root / "verdicts.json").exists()
    assert len(list(report.write_feedback(course, "tiny", None))) == 1


@pytest.mark.long
def test_a_page_fits_a_screen_and_a_phone(fits, tiny_course):
    answers = tiny_course.solved()
    answers.cells.append(new_code_cell(f"print('{'x' * 3000}')"))
    answers.cells.append(new_markdown_cell("| wide " * 40 + "|\n" + "|---" * 40 + "|\n"))
    tiny_course.hand_in("ada", answers)
    course = Course(tiny_course.root)
    list(Grading(course, "tiny").run())
    (page,) = report.write_feedback(course, "tiny", None)
    fits(page)
