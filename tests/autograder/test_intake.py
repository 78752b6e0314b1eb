"""Whatever a student hands in, it is taken in as plain notebooks and files, or left out."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbformat.validator import isvalid
from nbgrader.coursedir import CourseDirectory

from autograder import grading, intake
from autograder.course import Course
from autograder.grading import Grading
from autograder.intake import beside, plain_files, rebuilt, taken_in
from vae_course.errors import CourseError

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook():
    flags = {"schema_version": 3, "grade_id": "a", "locked": False, "points": 1.5}
    made = new_notebook(
        metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}, "colab": {"x": [1]}},
        cells=[
            new_markdown_cell("# ä $x$ 😀", attachments={"a.png": {"image/png": "aGk="}}),
            new_code_cell("x = 1\n", metadata={"nbgrader": flags, "tags": ["b", "a"], "id": "x"}),
            new_markdown_cell("", metadata={"collapsed": True}),
        ],
    )
    for number, cell in enumerate(made.cells):
        cell.id = f"an-id-{number}"
    return made


@pytest.mark.parametrize("minor", [0, 2, 4, 5])
def test_an_honest_notebook_stays_as_it_is(minor):
    given = notebook()
    given.nbformat_minor = minor
    for cell in given.cells if minor < 5 else ():
        del cell["id"]
    before = copy.deepcopy(given)
    assert rebuilt(given) == before == given
    assert rebuilt(rebuilt(given)) == before


def test_the_course_s_own_notebooks_stay_as_they_are_but_for_their_outputs():
    found = sorted(Path(__file__).parents[2].glob("release/*/*.ipynb"))
    assert found
    for path in found:
        given = nbformat.read(path, as_version=4)
        for cell in given.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        assert rebuilt(given) == given


def _nested(depth: int):
    return [_nested(depth - 1)] if depth else 1


FORGED = {
    "half a character": lambda nb: nb.cells[0].update(source="half \ud800 a character"),
    "half a tag": lambda nb: nb.cells[1].metadata.update(tags=["\udfff"]),
    "half a key": lambda nb: nb.metadata.update({"\ud800": 1}),
    "an id that is none": lambda nb: nb.cells[0].update(id='x"><script>'),
    "an id that is no text": lambda nb: nb.cells[0].update(id=["x"]),
    "no id": lambda nb: nb.cells[0].pop("id"),
    "an id twice": lambda nb: nb.cells[0].update(id=nb.cells[1]["id"]),
    "an id that is given away": lambda nb: (
        nb.cells[0].update(id="cell-0"),
        nb.cells[1].update(id="cell-0"),
    ),
    "a kernel of another form": lambda nb: nb.metadata.update(kernelspec={"argv": ["/bin/sh"]}),
    "a kernel that is text": lambda nb: nb.metadata.update(kernelspec="bash"),
    "a language that is a list": lambda nb: nb.metadata.update(language_info=["python"]),
    "authors that are none": lambda nb: nb.metadata.update(authors=1),
    "metadata that are text": lambda nb: nb.update(metadata="x"),
    "metadata of a cell that are text": lambda nb: nb.cells[1].update(metadata="x"),
    "tags that are no texts": lambda nb: nb.cells[1].metadata.update(tags=[1, "a,b", "c", "c"]),
    "tags that are no list": lambda nb: nb.cells[1].metadata.update(tags={"a": 1}),
    "a name that is none": lambda nb: nb.cells[1].metadata.update(name=["x"]),
    "something collapsed": lambda nb: nb.cells[1].metadata.update(collapsed="very", jupyter=[]),
    "metadata without end": lambda nb: nb.metadata.update(x=_nested(900)),
    "no number": lambda nb: nb.metadata.update(x=[float("nan"), float("inf")]),
    "an attachment that is text": lambda nb: nb.cells[0].update(attachments={"a": "b"}),
    "attachments that are a list": lambda nb: nb.cells[0].update(attachments=["a"]),
    "an attachment of numbers": lambda nb: nb.cells[0].update(attachments={"a": {"b": 1}}),
    "outputs that are none": lambda nb: nb.cells[1].update(outputs=[{"output_type": "?"}, 1]),
    "a count that is none": lambda nb: nb.cells[1].update(execution_count="<script>"),
    "keys of a cell that are not its own": lambda nb: nb.cells[1].update(evil=1, attachments={}),
    "a version of the future": lambda nb: nb.update(nbformat_minor=99),
    "a version that is none": lambda nb: nb.update(nbformat_minor="x"),
    "widgets": lambda nb: nb.metadata.update(widgets={"application/x": {"state": 1}}),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_notebook_can_be_written_and_keeps_its_answers(name):
    given = notebook()
    FORGED[name](given)
    made = rebuilt(given)
    assert isvalid(made)
    json.loads(nbformat.writes(made).encode("utf-8"))
    assert made.cells[1].source == "x = 1\n" and made.cells[0].source
    assert len({cell.id for cell in made.cells}) == 3
    if "metadata of a cell" not in name:
        assert made.cells[1].metadata.nbgrader.grade_id == "a"
    assert "widgets" not in made.metadata
    assert rebuilt(given) == made  # each time the same


def test_forged_notebooks_are_graded(tiny_course):
    """By what the student answered: no form that a notebook has can make the grader fail."""
    names = ("half a character", "an id that is none", "a kernel of another form",
             "tags that are no texts", "a count that is none")  # fmt: skip
    for name in names:
        answered = tiny_course.solved()
        FORGED[name](answered)
        text = json.dumps(answered)
        path = tiny_course.hand_in(name.replace(" ", "-"), text)
        (path.parent / "memory").symlink_to("/proc/self/mem")
    graded = list(Grading(Course(tiny_course.root), "tiny").run())
    assert [(entry["status"], entry["score"]) for entry in graded] == [("graded", 9)] * len(names)


def make(folder: Path, *names: str | bytes) -> Path:
    for name in names:
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return folder


def test_links_pipes_and_names_that_cannot_be_written_are_left_out(tmp_path):
    folder = make(tmp_path, "b/c.txt", "a.txt", "ä 1.png", "a\nb", "\x1b[2J", "\u202ea", b"\xff")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "to_a_file").symlink_to("a.txt")
    os.mkfifo(folder / "pipe")
    assert [name for name, _ in plain_files(folder)] == ["a.txt", "ä 1.png", "b/c.txt"]


def test_of_many_or_large_files_the_first_are_taken(tmp_path, monkeypatch):
    make(tmp_path, *(f"{number}.txt" for number in range(9)))
    monkeypatch.setattr(intake, "MAX_FILES", 4)
    assert list(beside(tmp_path)) == [f"{number}.txt" for number in range(4)]
    monkeypatch.setattr(intake, "MAX_FILES_MB", 2)
    (tmp_path / "2.txt").write_bytes(bytes(3 * 2**20))
    assert list(beside(tmp_path)) == ["0.txt", "1.txt"]


def test_a_fingerprint_tells_names_and_contents_and_follows_no_link(tmp_path):
    one = intake.fingerprint(make(tmp_path / "one", "a/b", "c"))
    assert intake.fingerprint(make(tmp_path / "two", "a/b", "c")) == one
    assert intake.fingerprint(make(tmp_path / "other", "a/b", "d")) != one
    (tmp_path / "one" / "memory").symlink_to("/proc/self/mem")  # which cannot be read
    assert intake.fingerprint(tmp_path / "one") == one
    (tmp_path / "one" / "c").write_text("y")
    assert intake.fingerprint(tmp_path / "one") != one


def test_notebooks_and_what_nbgrader_ignores_are_not_beside(tmp_path):
    make(tmp_path, "a.py", "other.ipynb", "b/x.ipynb", "__pycache__/a.pyc", "b/c.pyc", "b/c.py")
    assert list(beside(tmp_path, ["__pycache__", "*.pyc"])) == ["a.py", "b/c.py"]


def test_no_file_is_in_the_way_of_the_instructor_s(tmp_path):
    given = make(tmp_path / "given", "helper.py", "data/a.csv", "data/deep/b.csv")
    names = ("helper.py/x", "helper.py/y/z", "mine.py", "data/mine.csv")
    submitted = make(tmp_path / "submitted", *names)
    assert sorted(taken_in(submitted, given)) == ["data/mine.csv", "mine.py"]
    other = make(tmp_path / "other", "data", "helper.py")
    assert list(taken_in(other, given)) == ["helper.py"]


@pytest.mark.parametrize(
    "content", [b"the day before yesterday", b"\xff\xfe", b"9" * 5000, b"99999-01-01 00:00"]
)
def test_a_timestamp_that_is_none_is_none(tiny_course, tmp_path, content):
    Course(tiny_course.root)  # which configures nbgrader
    (tmp_path / "timestamp.txt").write_bytes(content)
    assert CourseDirectory().get_existing_timestamp(str(tmp_path)) is None
    (tmp_path / "timestamp.txt").write_text("2030-02-01 12:00:00 UTC")
    assert CourseDirectory().get_existing_timestamp(str(tmp_path)).year == 2030
    (tmp_path / "timestamp.txt").unlink()
    (tmp_path / "timestamp.txt").symlink_to("/dev/zero")
    assert CourseDirectory().get_existing_timestamp(str(tmp_path)) is None


def test_nbgrader_s_own_command_bears_it_all(tiny_course):
    """Files that are none, a timestamp that is none and a notebook that is forged."""
    forged = tiny_course.solved()
    FORGED["a kernel of another form"](forged)
    path = tiny_course.hand_in("mallory", forged)
    (path.parent / "zero").symlink_to("/dev/zero")
    (path.parent / "up").symlink_to("..")
    make(path.parent, "timestamp.txt", "tiny_judge.py/x", b"\xff", "mine.txt")
    tiny_course.hand_in("ada", tiny_course.solved())
    thief = tiny_course.root / "submitted" / "thief" / "tiny" / "tiny.ipynb"
    thief.parent.mkdir(parents=True)
    thief.symlink_to("../../ada/tiny/tiny.ipynb")
    command = [str(Path(sys.executable).with_name("nbgrader")), "autograde", "tiny"]
    done = subprocess.run(
        command, cwd=tiny_course.root, capture_output=True, text=True, timeout=120
    )
    assert "'thief'" in done.stderr and "for student 'mallory'" not in done.stderr
    autograded = tiny_course.root / "autograded"
    kept = sorted(path.name for path in (autograded / "mallory" / "tiny").iterdir())
    assert kept == ["mine.txt", "timestamp.txt", "tiny.ipynb", "tiny_judge.py"]
    assert not (autograded / "thief" / "tiny").exists()
    with Course(tiny_course.root).gradebook() as gradebook:
        for student in ("ada", "mallory"):
            entry = gradebook.find_submission("tiny", student)
            assert entry.score == 9, student


def test_what_nobody_could_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.ipynb"
    path.write_text(nbformat.writes(notebook()))
    monkeypatch.setattr(grading, "MAX_CELLS", 2)
    with pytest.raises(CourseError, match="damaged"):
        grading.read_notebook(path)
    monkeypatch.setattr(grading, "MAX_CELLS", 3)
    assert len(grading.read_notebook(path).cells) == 3
    with path.open("ab") as file:
        file.truncate((grading.MAX_NOTEBOOK_MB + 1) * 2**20)
    with pytest.raises(CourseError, match="larger than 32 MB"):
        grading.read_notebook(path)
