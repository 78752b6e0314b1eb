"""Assignment texts: read as they are meant, and refused with a line that helps."""

import textwrap
from pathlib import Path

import jupytext
import pytest

from vae_course.authoring import assignment
from vae_course.authoring.assignment import (
    MACHINE,
    MANUAL,
    TASK,
    Check,
    Exercise,
    Given,
    Plain,
    Prose,
    Setup,
    choose_assignments,
    list_assignments,
    load_assignment,
    read_assignment,
)
from vae_course.errors import CourseError, UsageError


def test_every_cell_is_read_with_its_kind_and_its_line(tiny):
    found = load_assignment("ps1")
    kinds = [type(cell) for cell in found.cells]
    assert kinds == [
        *(Prose, Setup, Prose, Given, Exercise, Check, Plain, Prose, Exercise, Exercise)
    ]
    assert found.title == "Tiny one"
    for cell, text in (
        (found.cells[0], "# Tiny one"),
        (found.cells[1], "import os"),
        (found.cells[2], "## Discs"),
        (found.cells[5], "assert abs"),
        (found.cells[6], "value = area"),
    ):
        assert cell.line == tiny.line("ps1.md", text)


def test_exercises_have_what_the_grader_asks_for(tiny):
    area, why, explore = load_assignment("ps1").exercises
    assert (area.id, area.points, area.kind) == ("ps1_area", 2, MACHINE)
    assert area.solutions == ("tinyref.maths.area",)
    assert area.graded == "areas of several discs"
    assert (area.answer_id, why.answer_id) == ("ps1_area_answer", "ps1_why")
    assert (why.kind, explore.kind) == (MANUAL, TASK)
    assert area.rubric is None
    assert why.rubric.marks == (
        "1 point: names the square of the radius",
        "1 point: says why it is not the circumference",
    )
    found = load_assignment("ps1")
    assert (found.max_score, found.points(MACHINE), found.points(MANUAL, TASK)) == (7, 2, 5)


def test_plain_jupytext_reads_the_same_cells(tiny):
    text = tiny.path("ps1.md").read_text()
    cells = jupytext.reads(text, fmt="md:myst").cells
    ours = load_assignment("ps1").cells
    assert [cell.body for cell in ours] == [cell.source for cell in cells]


def test_assignments_are_the_files_of_the_folder_in_the_order_of_the_course(tiny):
    for name in ("ps10.md", "_draft.md", "ps3.md"):
        tiny.write(name, "# x")
    (tiny.assignments / "notes.txt").write_text("x")
    assert list_assignments() == ["ps1", "ps2", "ps3", "ps10"]
    assert choose_assignments(["ps10", "ps2"]) == ["ps2", "ps10"]


def test_an_unknown_assignment_is_a_usage_error_that_names_the_known_ones(tiny):
    for ask in (load_assignment, lambda name: choose_assignments([name])):
        with pytest.raises(UsageError, match=r"no assignment ps3.*known: ps1, ps2") as caught:
            ask("ps3")
        assert caught.value.exit_code == 2


def test_a_changed_text_is_read_again(tiny):
    assert load_assignment("ps1").exercises[0].points == 2
    tiny.change("ps1.md", "exercise: ps1_area\npoints: 2", "exercise: ps1_area\npoints: 20")
    assert load_assignment("ps1").exercises[0].points == 20


HEAD = """# Title

```{code-cell}
---
setup: true
---
```
"""


def cell(directive: str, body: str = "") -> str:
    parts = ["```{code-cell}", "---", textwrap.dedent(directive).strip(), "---", body, "```"]
    return "\n" + "\n".join(part for part in parts if part) + "\n"


BLANK = "exercise: ps1_f\npoints: 1\nsolution: m.f\ngraded: all"
LEVEL = "{{points: {}, name: n, description: d, sample: s}}"
LEVELS = f"levels: [{LEVEL.format(1)}, {LEVEL.format(0)}]"
QUESTION = f"exercise: ps1_q\npoints: 1\nquestion: manual\n{LEVELS}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Just prose.", 1, ["must open with a heading"]),
        ("", 1, ["must open with a heading"]),
        ("# T\n\n```{code-cell}\nx = 1\n```\n", 4, ["first code cell must be the setup"]),
        (HEAD + cell("setup: true"), 9, ["second setup cell", "line 7"]),
        (HEAD + cell("givn: m.f"), 9, ["unknown directive 'givn'", "did you mean given?"]),
        (HEAD + cell("given: m.f\ncheck: x"), 9, ["given and check", "split"]),
        (HEAD + cell("points: 2"), 9, ["'points' stands without"]),
        (HEAD + cell("given: m.f\npoints: 2"), 9, ["'points' has no place beside 'given'"]),
        (HEAD + cell("given: m.f", "x = 1"), 13, ["a given cell has no body"]),
        (HEAD + cell("given: [m.f, m.f]"), 9, ["one object twice"]),
        (HEAD + cell("given: 3"), 9, ["given must be a dotted name"]),
        (HEAD + cell("exercise: PS1\npoints: 1"), 9, ["id is made of"]),
        (HEAD + cell("exercise: ps2_f\npoints: 1"), 9, ["must begin with ps1_"]),
        (HEAD + cell(f"exercise: ps1_{'f' * 50}\npoints: 1"), 9, ["at most 40"]),
        (HEAD + cell("exercise: ps1_f_answer\npoints: 1"), 9, ["_answer and _check"]),
        (HEAD + cell("exercise: ps1_f"), 9, ["points must be a number above 0"]),
        (HEAD + cell("exercise: ps1_f\npoints: true"), 9, ["points must be a number"]),
        (HEAD + cell("exercise: ps1_f\npoints: -1"), 9, ["points must be a number above 0"]),
        (HEAD + cell("exercise: ps1_f\npoints: 1"), 9, ["`solution:` must name"]),
        (HEAD + cell("exercise: ps1_f\npoints: 1\nsolution: m.f"), 9, ["`graded:` must say"]),
        (HEAD + cell(BLANK + "\nstart: true"), 9, ["no starter in the body"]),
        (HEAD + cell(BLANK, "x = 1"), 16, ["the blank comes from the reference"]),
        (HEAD + cell(BLANK + "\nmarks: [a]"), 9, ["'marks' is for a question"]),
        (HEAD + cell(BLANK) + cell(BLANK), 18, ["ps1_f is taken (line 9)"]),
        (HEAD + cell(QUESTION), 9, ["write in the body"]),
        (HEAD + cell(QUESTION.replace("manual", "oral"), "Why?"), 9, ["`manual` or `task`"]),
        (HEAD + cell(QUESTION.replace("name: n", "name: ''"), "Why?"), 9, ["level 1: name must"]),
        (HEAD + cell(QUESTION + "\nsolution: m.f", "Why?"), 9, ["a question has no 'solution'"]),
        (HEAD + cell("check: ps1_f", "assert 1"), 9, ["no exercise of that id"]),
        (HEAD + cell(BLANK) + cell("check: ps1_f"), 18, ["an empty check"]),
        (
            HEAD + cell(BLANK) + cell("check: ps1_f", "assert 1") * 2,
            25,
            ["second check of ps1_f", "`name:`"],
        ),
        (
            HEAD
            + cell(BLANK)
            + cell(BLANK.replace("ps1_f", "ps1_g"))
            + cell("check: ps1_f", "assert 1"),
            27,
            ["after another exercise"],
        ),
        (HEAD + cell("picture: Ps1", "x"), 9, ["picture 'Ps1'", "a name is made of"]),
        (HEAD + cell("picture: ps2_a", "x"), 9, ["must begin with ps1_"]),
        (HEAD + cell(f"picture: ps1_{'f' * 50}", "x"), 9, ["at most 40"]),
        (HEAD + cell("picture: ps1_a"), 9, ["write the code that draws it"]),
        (HEAD + cell("picture: ps1_a\nfold: true", "x"), 9, ["no place beside 'picture'"]),
        (HEAD + cell("picture: ps1_a", "x") * 2, 16, ["ps1_a_picture is taken (line 9)"]),
        (HEAD + "\n```{code-cell}\n```\n", 9, ["an empty code cell"]),
        (HEAD + "\n```{raw-cell}\nx\n```\n", 9, ["raw cells"]),
        (HEAD + '\n+++ {"tags": ["x"]}\n\nx\n', 11, ["takes no metadata"]),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_line(text, line, words):
    with pytest.raises(CourseError) as caught:
        read_assignment("ps1", Path("/course/ps1.md"), text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"/course/ps1.md:{line}: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("yaml", ["given: [m.f", "given: :\n  - : x"])
def test_broken_yaml_is_one_line_with_file(yaml):
    with pytest.raises(CourseError) as caught:
        read_assignment("ps1", Path("/course/ps1.md"), HEAD + cell(yaml))
    assert str(caught.value).startswith("/course/ps1.md: ")
    assert "\n" not in str(caught.value)


def test_the_course_keeps_the_points_of_the_assignment_it_grew_from():
    """course.md's figures: 17 points of ps1 and 28 of ps2 are the older assignment's."""
    points = {
        exercise.id: exercise.points
        for name in ("ps1", "ps2")
        for exercise in load_assignment(name, assignment.assignments_folder()).exercises
    }
    first = "encoder decoder autoencoder train_epoch evaluate sample_prior q_sampling"
    second = "model training q_beta_zero q_beta_ten q_good tuning interpolate q_interpolation"
    assert sum(points[f"ps1_{id_}"] for id_ in first.split()) == 17
    assert sum(points[f"ps2_{id_}"] for id_ in second.split()) == 28
