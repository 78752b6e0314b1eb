"""Submissions in: zips as Canvas and Moodle write them, and as nobody should."""

import copy
import os
import stat
import subprocess
import sys
import time
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.utils import parse_utc
from typer.testing import CliRunner

from autograder.cli import app
from autograder.collection import System, zips
from autograder.collection.submissions import collect
from autograder.course import Course
from autograder.marks.roster import Person, Roster, name_key
from vae_course.errors import UsageError

OCTOBER, NOVEMBER = (2026, 10, 22, 12, 0, 0), (2026, 11, 22, 12, 0, 0)

ROSTER = """student,name,email,canvas_id
ada,Ada Lovelace,ada@x.org,101
björn,"Müller-Lüdenscheidt, Björn",b@x.org,102
chen,陈伟,c@x.org,103
dana,Dana O'Neill,d@x.org,
"""


class Entry(zipfile.ZipInfo):
    """A name in a zip as bytes, with flags that Python would not write."""

    raw: bytes | None = None
    flags = 0

    def _encodeFilenameFlags(self):
        if self.raw is None:
            name, flags = super()._encodeFilenameFlags()
            return name, flags | self.flags
        return self.raw, (self.flag_bits & ~0x800) | self.flags


def entry(name: str, raw: bytes | None = None, flags: int = 0, date=NOVEMBER) -> Entry:
    made = Entry(name, date)
    made.raw, made.flags = raw, flags
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def as_ruby(name: str, date=NOVEMBER) -> Entry:
    """An entry as Canvas writes it: UTF-8, without saying so."""
    return entry(name, name.encode(), date=date)


def zipped(path: Path, contents: Mapping[str | Entry, str | bytes], date=NOVEMBER) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in contents.items():
            made.writestr(entry(name, date=date) if isinstance(name, str) else name, content)
    return path


@pytest.fixture
def course(tiny_course):
    (tiny_course.root / "students.csv").write_text(ROSTER, encoding="utf-8")
    return tiny_course


def answers(tiny, remark: str) -> str:
    """A right notebook of its own."""
    made = tiny.solved()
    made.cells.append(nbformat.v4.new_markdown_cell(remark))
    made.cells[-1].id = "remark"
    return nbformat.writes(made)


def run(course, *archives: Path, system: str = "canvas", **options):
    return collect(Course(course.root), "tiny", archives, System(system), **options)


def submitted(course) -> dict[str, str]:
    """What is in submitted/: the last cell's words, by student."""
    return {
        path.parents[1].name: nbformat.read(path, 4).cells[-1].source
        for path in course.root.glob("submitted/*/tiny/tiny.ipynb")
    }


def kept(course) -> dict[str, bytes]:
    folder = course.root / "collected" / "tiny"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_zip_of_canvas_is_collected(course, tmp_path):
    archive = zipped(
        tmp_path / "submissions.zip",
        {
            "lovelaceada_101_5001_tiny.ipynb": answers(course, "ada's"),
            as_ruby("müllerlüdenscheidtbjörn_LATE_102_5002_tiny-2.ipynb"): answers(course, "b's"),
            as_ruby("陈伟_103_5003_my homework (1).ipynb"): answers(course, "chen's"),
            as_ruby("oneilldana_104_5004_tiny.ipynb"): answers(course, "dana's"),
        },
    )
    outcome = run(course, archive)
    assert submitted(course) == {"ada": "ada's", "björn": "b's", "chen": "chen's", "dana": "dana's"}
    assert outcome.taken == ["ada: taken", "björn: taken, late", "chen: taken", "dana: taken"]
    assert not outcome.not_understood and not outcome.remarks and not outcome.absent
    assert not kept(course)
    again = run(course, archive)
    assert again.taken == [f"{name}: as before" for name in ("ada", "björn", "chen", "dana")]


@pytest.mark.parametrize(
    "form", ["{}/tiny.ipynb", "{}_/tiny.ipynb", "{}/work/a.ipynb", "{}_tiny.ipynb"]
)
def test_a_zip_of_moodle_is_collected(course, tmp_path, form):
    people = {
        "Ada Lovelace": "a",
        "Björn Müller-Lüdenscheidt": "b",
        "陈伟": "c",
        "Dana ONeill": "d",
    }
    names = {
        form.format(f"{name}_{number}_assignsubmission_file"): answers(course, words)
        for number, (name, words) in enumerate(people.items(), 3001)
    }
    text = {"Ada Lovelace_3001_assignsubmission_onlinetext/onlinetext.html": "<p>hello</p>"}
    outcome = run(course, zipped(tmp_path / "VAE-tiny-77.zip", names | text), system="moodle")
    assert submitted(course) == {"ada": "a", "björn": "b", "chen": "c", "dana": "d"}
    (line,) = outcome.not_understood
    assert "onlinetext.html: its name is none that Moodle makes" in line


def test_a_worksheet_of_moodle_tells_namesakes_apart_and_knows_when(course, tmp_path):
    worksheet = tmp_path / "worksheet.csv"
    worksheet.write_text(
        'Identifier,"Full name","Username","Last modified (submission)"\n'
        'Participant 11,"Kim Lee",kim1,"Tuesday, 10 November 2026, 3:54 PM"\n'
        'Participant 12,"Kim Lee",kim2,-\n'
    )
    names = {
        f"Kim Lee_{number}_assignsubmission_file/tiny.ipynb": answers(course, f"of {number}")
        for number in (11, 12, 13)
    }
    archive = zipped(tmp_path / "m.zip", names)
    outcome = run(course, archive, system="moodle", roster=worksheet)
    assert submitted(course) == {"kim1": "of 11", "kim2": "of 12"}
    stamp = course.root / "submitted" / "kim1" / "tiny" / "timestamp.txt"
    said = parse_utc(stamp.read_text())
    expected = time.gmtime(time.mktime((2026, 11, 10, 15, 54, 0, 0, 0, -1)))
    assert said.timetuple()[:5] == expected[:5]
    (line,) = outcome.not_understood
    assert "nobody in worksheet.csv has the participant 13" in line
    # Without it, nobody knows which.
    (course.root / "students.csv").write_text("student,name\nkim1,Kim Lee\nkim2,Kim Lee\n")
    lines = run(course, archive, system="moodle").not_understood
    assert len(lines) == 3 and all("may be kim1 or kim2" in line for line in lines)


def test_of_two_files_the_last_is_taken_and_the_other_kept(course, tmp_path):
    first, second = answers(course, "first"), answers(course, "second")
    archive = zipped(
        tmp_path / "c.zip",
        {
            "lovelaceada_101_6002_tiny.ipynb": second,
            "lovelaceada_101_6001_tiny-1.ipynb": first,
            "lovelaceada_101_6000_tiny-7.ipynb": second,  # the same once more
        },
    )
    outcome = run(course, archive)
    assert submitted(course) == {"ada": "second"}
    assert kept(course) == {"other_attempts/ada/lovelaceada_101_6001_tiny-1.ipynb": first.encode()}
    (line,) = outcome.attempts
    assert "lovelaceada_101_6002_tiny.ipynb is the last" in line
    assert "collected/tiny/other_attempts/ada/lovelaceada_101_6001_tiny-1.ipynb is kept" in line
    # Moodle does not number files: their dates tell, else the numbers behind their names.
    names = "Ada Lovelace_1_assignsubmission_file/"
    parts = {
        entry(names + "z.ipynb", date=OCTOBER): answers(course, "old"),
        entry(names + "tiny.ipynb"): answers(course, "new"),
        entry(names + "tiny (2).ipynb"): answers(course, "newest"),
    }
    run(course, zipped(tmp_path / "m.zip", parts), system="moodle", force=True)
    assert submitted(course) == {"ada": "newest"}


def test_a_submission_is_replaced_by_a_newer_one_only(course, tmp_path):
    name = "lovelaceada_101_5001_tiny.ipynb"
    october = zipped(tmp_path / "o.zip", {name: answers(course, "October")}, OCTOBER)
    november = zipped(tmp_path / "n.zip", {name: answers(course, "November")}, NOVEMBER)
    assert run(course, october).taken == ["ada: taken"]
    (course.root / "submitted" / "ada" / "tiny" / "data.csv").write_text("1")
    assert run(course, november).taken == [
        "ada: replaced; the earlier one is kept in collected/tiny/replaced/ada/1"
    ]
    assert submitted(course) == {"ada": "November"}
    assert {"replaced/ada/1/tiny.ipynb", "replaced/ada/1/data.csv"} <= set(kept(course))
    (line,) = run(course, october).taken
    assert line.startswith("ada: not newer than what is in submitted/, which stays")
    assert submitted(course) == {"ada": "November"}
    assert f"other_attempts/ada/{name}" in kept(course)
    assert run(course, october, force=True).taken[0].startswith("ada: replaced")
    assert submitted(course) == {"ada": "October"}


def test_what_is_not_understood_is_named_kept_and_stops_nobody(course, tmp_path):
    foreign = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    other = course.root / "source" / "other"
    other.mkdir()
    theirs = copy.deepcopy(course.blank)
    for cell in theirs.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.grade_id = "other_" + cell.metadata.nbgrader.grade_id
    nbformat.write(theirs, other / "other.ipynb")
    contents = {
        "lovelaceada_101_1_tiny.ipynb": answers(course, "fine"),
        "müller_102_2_tiny.ipynb": nbformat.writes(foreign),
        "chen_103_3_tiny.ipynb": nbformat.writes(theirs),
        "nobody_999_4_tiny.ipynb": answers(course, "whose?"),
        "o_103_5_essay.pdf": b"%PDF",
        "o_103_6_broken.ipynb": b"{",
        "o_103_7_text.html": b"<script>alert(1)</script>",
        "readme.txt": b"hello",
        "__MACOSX/._lovelaceada_101_1_tiny.ipynb": b"\0",
    }
    outcome = run(course, zipped(tmp_path / "c.zip", contents))
    assert submitted(course) == {"ada": "fine"}
    reasons = {
        line.split(": ")[1]: line.partition(": ")[2].partition(": ")[2]
        for line in outcome.not_understood
    }
    assert "holds no cell of tiny" in reasons["müller_102_2_tiny.ipynb"]
    assert "is a notebook of other, not of tiny" in reasons["chen_103_3_tiny.ipynb"]
    assert "nobody in students.csv has the canvas_id 999" in reasons["nobody_999_4_tiny.ipynb"]
    assert "is no notebook" in reasons["o_103_5_essay.pdf"]
    assert "is not a notebook (it is not JSON)" in reasons["o_103_6_broken.ipynb"]
    assert "its name is none that Canvas makes" in reasons["readme.txt"]
    assert len(reasons) == len(contents) - 2
    assert outcome.absent == ["björn", "chen", "dana"]
    there = kept(course)
    for name in reasons:
        content = contents[name]
        content = content.encode() if isinstance(content, str) else content
        assert there[f"not_understood/c/{name}"] == content
    run(course, tmp_path / "c.zip")
    assert kept(course) == there  # nothing is kept twice


def test_a_zip_that_means_harm_writes_nothing_outside(course, tmp_path):
    link = entry("lovelaceada_101_9_link.ipynb")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    bad = zipped(
        tmp_path / "bad.zip",
        {
            "../../../outside.ipynb": b"up",
            "/absolute.ipynb": b"root",
            "..\\..\\windows_101_1_tiny.ipynb": b"back",
            link: "/etc/passwd",
            entry("lovelaceada_101_8_secret.ipynb", flags=1): b"secret",
            "lovelaceada_101_7_tiny.ipynb": answers(course, "fine"),
            "x/" * 300 + "deep_101_3_tiny.ipynb": b"deep",
            "y" * 5000 + "_101_3_tiny.ipynb": b"long",
        },
    )
    before = {path for path in tmp_path.parent.rglob("*") if "course" not in path.name}
    outcome = run(course, bad)
    assert submitted(course) == {"ada": "fine"}
    told = "\n".join(outcome.not_understood)
    assert told.count("leads out of the zip; it is kept as collected/tiny/not_understood/bad") == 3
    assert "link.ipynb: is a link or a device, not a file" in told
    assert "secret.ipynb: is encrypted" in told
    assert {b"up", b"root", b"back", b"long"} <= set(kept(course).values())
    for path in course.root.rglob("*"):
        assert not path.is_symlink()
    assert not {path for path in tmp_path.parent.rglob("outside*")} - before
    assert not [path for path in course.root.rglob(".unpacked-*")]


def test_a_zip_that_grows_or_is_broken_is_named_and_the_next_is_read(course, tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_FILE_MB", 1)
    zipped(tmp_path / "huge.zip", {"lovelaceada_101_1_tiny.ipynb": b"\0" * 2**21})
    whole = zipped(tmp_path / "whole.zip", {"müller_102_1_tiny.ipynb": answers(course, "b")})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:-30])
    torn = bytearray(whole.read_bytes())
    torn[200] ^= 0xFF
    (tmp_path / "torn.zip").write_bytes(torn)
    (tmp_path / "none.zip").write_text("not found")
    names = ("huge", "cut", "torn", "none", "whole")
    outcome = run(course, *(tmp_path / f"{name}.zip" for name in names))
    assert submitted(course) == {"björn": "b"}
    told = dict(line.split(":", 1) for line in outcome.not_understood)
    assert "unpacks to more than 1 MB" in told["huge.zip"]
    assert "cannot be read as a zip" in told["cut.zip"]
    assert "is broken" in told["torn.zip"]
    assert "cannot be read as a zip" in told["none.zip"]
    monkeypatch.setattr(zips, "MAX_ZIP_MB", 0)
    (line,) = run(course, whole).not_understood
    assert "the zip unpacks to more than 0 MB" in line
    monkeypatch.setattr(zips, "MAX_MEMBERS", 0)
    (line,) = run(course, whole).not_understood
    assert "it holds more than 0 files" in line


def test_a_name_that_is_not_utf_8_is_named_and_still_found_by_its_number(course, tmp_path):
    name = "müllerlüdenscheidtbjörn_102_1_tiny.ipynb"
    made = {entry(name, name.encode("latin-1")): answers(course, "b")}
    outcome = run(course, zipped(tmp_path / "c.zip", made))
    assert submitted(course) == {"björn": "b"}
    (line,) = outcome.remarks
    assert "the name is not UTF-8" in line


def test_a_folder_that_a_browser_unpacked_will_do(course, tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    path = folder / "lovelaceada_101_5001_tiny.ipynb.txt"  # Safari's ending
    path.write_text(answers(course, "ada's"))
    os.symlink("/etc/passwd", folder / "müller_102_2_tiny.ipynb")
    assert run(course, folder).taken == ["ada: taken"]
    assert submitted(course) == {"ada": "ada's"}


def test_nbgrader_collects_with_the_same_plugin(course, tmp_path):
    archive = course.root / "downloaded" / "tiny" / "archive"
    archive.mkdir(parents=True)
    zipped(archive / "c.zip", {"lovelaceada_101_5001_tiny-1.ipynb": answers(course, "ada's")})
    command = [sys.executable, "-m", "nbgrader", "zip_collect", "tiny"]
    command += ["--collector=autograder.collection.plugins.CanvasCollector"]
    done = subprocess.run(command, cwd=course.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert submitted(course) == {"ada": "ada's"}


def test_the_command_lists_what_it_did_and_ends_with_1_if_something_is_left(course, tmp_path):
    def call(*arguments: object):
        given = ["collect", *map(str, arguments), "--course", str(course.root)]
        return CliRunner().invoke(app, given)

    good = zipped(tmp_path / "g.zip", {"lovelaceada_101_1_tiny.ipynb": answers(course, "a")})
    shown = call("tiny", good, "--from", "canvas")
    assert shown.exit_code == 0
    assert shown.output.splitlines() == ["ada: taken", "Nothing from: björn, chen, dana"]
    evil = zipped(tmp_path / "e.zip", {"\x1b[2Jx\u202e_999_1_tiny.ipynb": b"{"})
    shown = call("tiny", evil, "--from", "canvas")
    assert shown.exit_code == 1 and "Not understood:" in shown.output
    assert "\x1b" not in shown.output and "\u202e" not in shown.output
    assert isinstance(call("ps9", good, "--from", "canvas").exception, UsageError)
    assert isinstance(call("tiny", "no.zip", "--from", "canvas").exception, UsageError)
    assert call("tiny", good, "--from", "blackboard").exit_code == 2
    (course.root / "students.csv").unlink()
    refused = call("tiny", good, "--from", "canvas").exception
    assert isinstance(refused, UsageError) and "name a roster with --roster" in str(refused)


WORDS = st.lists(
    st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
)


@given(WORDS)
def test_a_name_is_known_whichever_part_comes_first(words):
    person = Person("x", " ".join(words))
    sortable = f"{words[-1]}, {' '.join(words[:-1])}"
    in_canvas = "".join(filter(str.isalnum, sortable.lower()))
    if name_key(in_canvas):
        assert Roster("", (person,)).called(in_canvas) == [person]
        assert Roster("", (person,)).called(unicodedata.normalize("NFD", in_canvas)) == [person]
