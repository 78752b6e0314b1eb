"""Feedback pages on their way back: read as Canvas and Moodle read the zips that they are given."""

import re
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import cli
from autograder.collection import System
from autograder.collection.handback import handback, write_zip
from autograder.course import Course
from vae_course.errors import CourseError, UsageError

ROSTER = """student,name,email,canvas_id
ada,Ada Lovelace,ada@x.org,101
björn,"Müller-Lüdenscheidt, Björn",b@x.org,102
chen,陈伟,c@x.org,103
"""

CANVAS = [
    "lovelaceada_101_5001_tiny.ipynb",
    "lovelaceada_101_5009_tiny-1.ipynb",
    "lovelaceada_101_5010_notes.txt",
    "müllerlüdenscheidtbjörn_LATE_102_5002_tiny.ipynb",
    "陈伟_103_5003_my homework (1).ipynb",
]


def for_canvas(name: str) -> tuple[int, int, str]:
    """Of a file that is uploaded: its user, the submitted file that it answers, its own name.

    As Canvas's `infer_comment_context_from_filename` has it: the first two parts that are numbers.
    """
    *_, last = name.split("/")
    parts = last.split("_")
    first, second = [place for place, part in enumerate(parts) if part.isdigit()][:2]
    return int(parts[first]), int(parts[second]), "_".join(parts[second + 1 :])


def for_moodle(name: str) -> tuple[int, str, str]:
    """Of a file that is uploaded: its participant, the plugin that takes it, its own name.

    As Moodle's `is_valid_filename_for_import` has it: the first part of the path that is
    fullname_participant_plugintype_pluginname, with or without a rest.
    """
    parts = name.split("/")
    while parts:
        info = parts.pop(0).split("_", 4)
        if len(info) >= 4 and info[1].isdigit():
            return int(info[1]), f"{info[2]}_{info[3]}", "/".join([*info[4:], *parts])
    raise AssertionError(f"Moodle ignores {name}")


@pytest.fixture
def course(tiny_course) -> Path:
    (tiny_course.root / "students.csv").write_text(ROSTER, encoding="utf-8")
    for student in ("ada", "björn", "chen"):
        page = tiny_course.root / "feedback" / student / "tiny" / "tiny.html"
        page.parent.mkdir(parents=True)
        page.write_text(f"for {student}")
    return tiny_course.root


def zipped(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name in names:
            made.writestr(name, "as it was handed in")
    return path


def returned(course: Path, archive: Path, system: System) -> dict[str, str]:
    """The pages that go back, by their names in the zip."""
    write_zip(handback(Course(course), "tiny", archive, system), course / "back.zip")
    with zipfile.ZipFile(course / "back.zip") as made:
        assert made.testzip() is None
        return {name: made.read(name).decode() for name in made.namelist()}


def test_canvas_gives_each_page_to_its_student_beside_the_last_attempt(course, tmp_path):
    pages = returned(course, zipped(tmp_path / "submissions.zip", CANVAS), System.canvas)
    assert {for_canvas(name): page for name, page in pages.items()} == {
        (101, 5009, "tiny.html"): "for ada",
        (102, 5002, "tiny.html"): "for björn",
        (103, 5003, "tiny.html"): "for chen",
    }


@pytest.mark.parametrize(
    "form", ["{}/tiny.ipynb", "{}_/tiny.ipynb", "{}/work/a.ipynb", "{}_tiny.ipynb"]
)
def test_moodle_gives_each_page_to_its_student(course, tmp_path, form):
    people = {3001: "Ada Lovelace", 3002: "Björn Müller-Lüdenscheidt", 3003: "陈伟"}
    names = [form.format(f"{name}_{n}_assignsubmission_file") for n, name in people.items()]
    pages = returned(course, zipped(tmp_path / "VAE-tiny-77.zip", names), System.moodle)
    assert {for_moodle(name): page for name, page in pages.items()} == {
        (3001, "assignfeedback_file", "tiny.html"): "for ada",
        (3002, "assignfeedback_file", "tiny.html"): "for björn",
        (3003, "assignfeedback_file", "tiny.html"): "for chen",
    }


def test_a_folder_that_a_browser_unpacked_will_do(course, tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in CANVAS:
        (folder / name).write_text("as it was handed in")
    assert len(returned(course, folder, System.canvas)) == 3


def test_nobody_gets_another_s_page(course, tmp_path):
    """Of a name that nobody knows, or that leads elsewhere, it is not guessed whose it is."""
    strange = ["doejohn_999_5004_tiny.ipynb", "../lovelaceada_101_5005_tiny.ipynb", "readme.txt"]
    archive = zipped(tmp_path / "submissions.zip", strange)
    found = handback(Course(course), "tiny", archive, System.canvas)
    assert found.pages == {} and found.without == []
    first, second = found.not_understood
    assert "999" in first and "readme.txt: its name is none that Canvas makes" in second


def test_only_pages_that_were_written_go_back(course, tmp_path):
    page = course / "feedback" / "ada" / "tiny" / "tiny.html"
    page.unlink()
    page.symlink_to(course / "feedback" / "chen" / "tiny" / "tiny.html")
    archive = zipped(tmp_path / "submissions.zip", CANVAS)
    found = handback(Course(course), "tiny", archive, System.canvas)
    assert found.without == ["ada"] and set(found.pages) == {"björn", "chen"}


def test_what_is_no_zip_is_named_and_an_old_zip_stays(course, tmp_path):
    (tmp_path / "page.html").write_text("log in, please")
    with pytest.raises(CourseError, match="page.html: cannot be read as a zip"):
        handback(Course(course), "tiny", tmp_path / "page.html", System.canvas)
    with pytest.raises(UsageError, match="no such file"):
        handback(Course(course), "tiny", tmp_path / "gone.zip", System.canvas)
    out = course / "back.zip"
    out.write_text("the last one")
    found = handback(
        Course(course), "tiny", zipped(tmp_path / "submissions.zip", CANVAS), System.canvas
    )
    found.pages["ada"] = {"x": course / "gone.html"}
    with pytest.raises(CourseError, match="cannot be written"):
        write_zip(found, out)
    assert out.read_text() == "the last one" and not [*course.glob(".back*")]


def test_the_command_says_who_gets_nothing(course, tmp_path, capsys, monkeypatch):
    def run(*arguments: str) -> int:
        given = ["autograder", "return", "tiny", *arguments, "--course", str(course)]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    archive = zipped(tmp_path / "submissions.zip", CANVAS)
    assert run(str(archive), "--from", "canvas") == 0
    assert re.search(r"marks/tiny-feedback.zip: pages of 3 students\n", capsys.readouterr().out)
    (course / "feedback" / "chen" / "tiny" / "tiny.html").unlink()
    assert run(str(archive), "--from", "canvas", "--out", str(tmp_path / "out.zip")) == 1
    assert "No page for: chen" in capsys.readouterr().out
    assert len(zipfile.ZipFile(tmp_path / "out.zip").namelist()) == 2
