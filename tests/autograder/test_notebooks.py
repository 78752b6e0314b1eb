"""Cells are read and restored whatever a student made of them."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder import notebooks
from autograder.notebooks import ReleasedCell, altered, inert_markdown, plain, restore, shown

GIVEN = ReleasedCell("given", "code", "import math", locked=True, tags=("given",))
ANSWER = ReleasedCell("a_answer", "code", "def f(): ...", solution=True)
CHECK = ReleasedCell("a_check", "code", "assert f", locked=True)
TEST_SOURCE = "# seen\n### BEGIN HIDDEN TESTS\nsecret\n### END HIDDEN TESTS"
TEST = ReleasedCell("a", "code", TEST_SOURCE, grade=True, locked=True, points=3.0)
ASKED = ReleasedCell("q", "markdown", "*Answer:*", grade=True, solution=True, points=2.0)
RELEASED = [GIVEN, ANSWER, CHECK, TEST, ASKED]


def cell_of(released: ReleasedCell):
    make = new_code_cell if released.cell_type == "code" else new_markdown_cell
    metadata = {"nbgrader": released.metadata()}
    if released.tags:
        metadata["tags"] = list(released.tags)
    return make(shown(released.source), metadata=metadata)


def untouched() -> list:
    return [cell_of(cell) for cell in RELEASED]


def ids(cells) -> list[str]:
    return [notebooks.grade_id(cell) for cell in cells]


def test_an_untouched_submission_is_not_altered_and_gets_its_hidden_tests_back():
    cells = untouched()
    assert altered(RELEASED, cells) == []
    restored = restore(cells, RELEASED)
    assert ids(restored) == [cell.id for cell in RELEASED]
    assert restored[3].source == TEST_SOURCE


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, lambda cell: cell.update(source="import cheat")),
        (0, lambda cell: cell.metadata.pop("tags")),
        (3, lambda cell: cell.metadata.update(tags=["skip-execution"])),
        (3, lambda cell: cell.metadata.nbgrader.update(points=100)),
        (3, lambda cell: cell.metadata.nbgrader.update(points="many")),
        (3, lambda cell: cell.metadata.nbgrader.update(solution=True)),
        (3, lambda cell: cell.metadata.nbgrader.update(grade=False)),
        (3, lambda cell: cell.metadata.update(tags="no list")),
        (3, lambda cell: cell.update(cell_type="markdown")),
        (2, lambda cell: cell.metadata.pop("nbgrader")),
        (2, lambda cell: cell.metadata.update(nbgrader="nonsense")),
    ],
)
def test_each_change_of_a_locked_cell_is_undone(place, change):
    cells = untouched()
    change(cells[place])
    # A tag that is no list is none; all else is reported.
    reported = [] if cells[place].metadata.get("tags") == "no list" else [RELEASED[place].id]
    assert altered(RELEASED, cells) == reported
    restored = [cell for cell in restore(cells, RELEASED) if notebooks.grade_id(cell)]
    for cell, released in zip(restored, RELEASED, strict=True):
        assert cell.cell_type == released.cell_type
        assert cell.metadata.nbgrader == released.metadata()
        if released.locked:
            assert cell.source == released.source
            assert tuple(cell.metadata.get("tags", ())) == released.tags


def test_what_students_may_change_is_left_alone():
    cells = untouched()
    cells[1].source = "def f(): return 1"
    cells[1].metadata.tags = ["mine"]
    cells.insert(2, new_code_cell("x = f()"))
    cells[3].source += "\n\n"  # Colab and Jupyter differ in this
    assert altered(RELEASED, cells) == []
    restored = restore(cells, RELEASED)
    assert restored[1].source == "def f(): return 1"
    assert restored[1].metadata.tags == ["mine"]
    assert restored[2].source == "x = f()"


def test_the_last_of_several_copies_counts_and_the_others_become_plain_cells():
    cells = untouched()
    again = copy.deepcopy(cells[3])
    cells.append(again)
    assert altered(RELEASED, cells) == ["a"]
    restored = restore(cells, RELEASED)
    assert [id for id in ids(restored) if id] == ["given", "a_answer", "a_check", "q", "a"]
    assert "secret" not in restored[3].source
    assert "secret" in restored[-1].source


def test_missing_cells_come_back_where_they_serve_but_an_answer_may_have_moved():
    cells = untouched()
    moved = new_code_cell("def f(): return 1")
    kept = [cells[0], moved, cells[4]]  # answer, check and grade cell are gone
    assert altered(RELEASED, kept) == ["a_check", "a"]
    restored = restore(kept, RELEASED)
    assert ids(restored).count("a_answer") == 0
    assert restored.index(moved) < ids(restored).index("a") < ids(restored).index("q")


@pytest.mark.parametrize("kept", [[], [0], [1], [2], [3], [4], [1, 3], [0, 4]])
def test_whatever_is_deleted_what_is_locked_or_graded_is_there_once(kept):
    cells = untouched()
    restored = ids(restore([cells[place] for place in kept], RELEASED))
    for released in RELEASED:
        if released.locked or released.kind:
            assert restored.count(released.id) == 1


def test_cells_with_unknown_ids_become_plain():
    stranger = cell_of(ReleasedCell("stranger", "code", "1", grade=True, locked=True, points=9.0))
    restored = restore([*untouched(), stranger], RELEASED)
    assert "nbgrader" not in restored[-1].metadata


def test_hidden_regions_are_cut_even_if_they_are_never_closed():
    assert shown("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc") == "a\nc"
    assert shown("a\n### BEGIN HIDDEN TESTS\nb") == "a"
    assert shown("a\n=== BEGIN MARK SCHEME ===\nb\n=== END MARK SCHEME ===\nc") == "a\nc"


def test_a_heading_is_found_above_a_cell_and_not_below():
    above, below = new_markdown_cell("# One\n\ntext\n\n## Two"), new_markdown_cell("# Three")
    cells = [above, new_code_cell(), below]
    assert notebooks.heading_above(cells, 1) == "Two"
    assert notebooks.heading_above(cells, 0) == ""


@given(st.text())
def test_plain_text_moves_no_cursor_and_is_not_changed_twice(text):
    once = plain(text)
    assert plain(once) == once
    assert not any(letter < " " and letter not in "\t\n" for letter in once)
    assert "\x1b" not in once and "\x7f" not in once


def test_plain_drops_colours_titles_and_reversed_writing_and_is_short():
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07\u202eevil\r!") == "red evil!"
    assert len(plain("x" * 9000)) == 2000


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</td></table><b>",
        "<!-- ",
        "[x](javascript:alert(1))",
        "![x](http:evil)",
        "[x]: javascript:alert(1)\n\n[x]",
        "<JavaScript:alert(1)>",
    ],
)
def test_markdown_from_a_student_brings_no_tag_and_no_foreign_link(evil):
    from nbconvert.filters import markdown2html

    html = markdown2html(inert_markdown(evil))
    assert "<script" not in html and "<img" not in html and "<b>" not in html
    assert "href" not in html and "<!--" not in html


def test_markdown_keeps_what_is_harmless():
    for text in ("a < b", "shape [3, 5]", "`x[0](y)`"[:5], "[paper](https://arxiv.org)", "*a*"):
        assert inert_markdown(text) == text
