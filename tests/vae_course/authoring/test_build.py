"""Notebooks on disk: the same bytes anywhere, named when stale, frozen when handed out."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from vae_course.authoring.build import (
    check,
    find_course,
    frozen_changes,
    orphans,
    write,
)
from vae_course.authoring.release import configure
from vae_course.errors import CourseError, UsageError

ROOT = Path(__file__).parents[3]

BUILD = """
import hashlib
from vae_course.authoring.build import build_assignment
from vae_course.authoring.assignment import list_assignments
for name in list_assignments():
    for text in build_assignment(name).files.values():
        print(hashlib.sha256(text.encode()).hexdigest())
"""


def built_elsewhere(folder: Path, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.long
def test_the_real_notebooks_have_the_same_bytes_in_another_process_place_and_time_zone(tmp_path):
    one = built_elsewhere(ROOT, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    other = built_elsewhere(tmp_path, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert one == other
    assert len(one) >= 4


def test_write_then_check(tiny):
    built = tiny.build()
    assert [path.name for path in write(tiny.course, built)] == ["ps1.ipynb", "ps1.ipynb"]
    assert write(tiny.course, built) == []
    assert check(tiny.course, built) == []


def test_check_names_what_is_missing_and_what_is_stale_and_writes_nothing(tiny):
    write(tiny.course, tiny.build())
    (tiny.course / "release/ps1/ps1.ipynb").unlink()
    tiny.change("tinyref/maths.py", "The area of a disc.", "How large a disc is.")
    before = sorted(tiny.course.rglob("*"))
    stale, missing = check(tiny.course, tiny.build())
    assert "source/ps1/ps1.ipynb: stale" in stale
    assert "release/ps1/ps1.ipynb: missing" in missing
    assert sorted(tiny.course.rglob("*")) == before


def test_orphans_are_named_and_other_files_are_not(tiny):
    write(tiny.course, tiny.build())
    for path in ("source/ps1/extra.ipynb", "release/old/old.ipynb", "source/ps1/data.csv"):
        (tiny.course / path).parent.mkdir(parents=True, exist_ok=True)
        (tiny.course / path).write_text("x")
    extra, old = orphans(tiny.course)
    assert "extra.ipynb: orphaned" in extra and "old/old.ipynb: orphaned" in old
    assert len(orphans(tiny.course, ["ps1"])) == 1
    assert orphans(tiny.course, ["ps2"]) == []


def test_a_folder_that_can_not_be_written_keeps_what_it_has(tiny):
    (tiny.course / "source").write_text("in the way")
    with pytest.raises(CourseError, match=r"ps1.*cannot be"):
        write(tiny.course, tiny.build())
    assert (tiny.course / "source").read_text() == "in the way"


def test_the_course_is_the_nearest_folder_with_a_configuration(tiny, monkeypatch):
    (tiny.course / "nbgrader_config.py").write_text("")
    below = tiny.course / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_course() == tiny.course
    monkeypatch.chdir(tiny.assignments)
    assert find_course() == Path.cwd()
    with pytest.raises(UsageError, match="no such folder"):
        find_course(tiny.course / "nowhere")


# ---- what is out ------------------------------------------------------------------------------


def nbgrader_generate(course: Path) -> None:
    """nbgrader's own release, with the course's own gradebook."""
    config = Config()
    configure(config)
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.assignment_id = "ps1"
    config.BaseConverter.force = True
    GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()


@pytest.fixture(scope="module")
def empty_gradebook(tmp_path_factory) -> Path:
    """nbgrader asks a program for the version of a new gradebook: once is enough."""
    path = tmp_path_factory.mktemp("gradebook") / "gradebook.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        Gradebook(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def out(tiny, empty_gradebook):
    """ps1, released and handed in by one student."""
    write(tiny.course, tiny.build())
    shutil.copy(empty_gradebook, tiny.course / "gradebook.db")
    nbgrader_generate(tiny.course)
    with Gradebook(f"sqlite:///{tiny.course / 'gradebook.db'}") as gradebook:
        gradebook.add_student("ada")
        with warnings.catch_warnings():  # nbgrader's own, from SQLAlchemy
            warnings.simplefilter("ignore")
            gradebook.add_submission("ps1", "ada")
    return tiny


def test_without_submissions_nothing_is_frozen(tiny, empty_gradebook):
    write(tiny.course, tiny.build())
    shutil.copy(empty_gradebook, tiny.course / "gradebook.db")
    nbgrader_generate(tiny.course)
    tiny.change("ps1.md", "exercise: ps1_area\npoints: 2", "exercise: ps1_area\npoints: 20")
    assert frozen_changes(tiny.course, tiny.build()) == []


def test_text_may_change_when_ids_and_points_do_not(out):
    out.change("ps1.md", "Goals.", "Other goals.")
    out.change("tinyref/maths.py", "The area of a disc.", "How large a disc is.")
    assert frozen_changes(out.course, out.build()) == []
    assert len(write(out.course, out.build())) == 2
    nbgrader_generate(out.course)


@pytest.mark.parametrize(
    ("old", "new", "words", "nbgrader_refuses"),
    [
        ("exercise: ps1_why", "exercise: ps1_how", ["ps1_why is gone", "ps1_how is new"], True),
        (
            "```{code-cell}\nvalue",
            "```{code-cell}\n---\ncheck: ps1_area\nname: b\n---\nassert 1\n```\n\n"
            "```{code-cell}\nvalue",
            ["the nbgrader cell ps1_area_check_b is new"],
            True,
        ),
        ("question: task", "question: manual", ["the task cell ps1_explore is gone"], True),
        ("ps1_area\npoints: 2", "ps1_area\npoints: 5", ["worth 2 points and is worth 5"], False),
        (
            "task\npoints: 3\nlevels:\n  - points: 3",
            "task\npoints: 4\nlevels:\n  - points: 4",
            ["ps1_explore was worth 3 points"],
            False,
        ),
    ],
)
def test_what_nbgrader_refuses_or_what_alters_marks_is_named(
    out, old, new, words, nbgrader_refuses
):
    out.change("ps1.md", old, new)
    built = out.build()
    found = "; ".join(frozen_changes(out.course, built))
    for word in words:
        assert word in found
    before = (out.course / "source/ps1/ps1.ipynb").read_bytes()
    with pytest.raises(CourseError, match="ps1 is out and has submissions"):
        write(out.course, built)
    assert (out.course / "source/ps1/ps1.ipynb").read_bytes() == before
    assert any("is out" in line for line in check(out.course, built))

    (out.course / "source/ps1/ps1.ipynb").write_text(built.source)
    if nbgrader_refuses:
        with pytest.raises(NbGraderException):
            nbgrader_generate(out.course)
    else:
        nbgrader_generate(out.course)


def test_the_gradebook_is_only_read(out):
    path = out.course / "gradebook.db"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    built = out.build()
    check(out.course, built)
    write(out.course, built)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_a_gradebook_that_is_none_is_one_line(tiny):
    (tiny.course / "gradebook.db").write_text("not a database" * 100)
    with pytest.raises(CourseError, match=r"gradebook.db: cannot be read") as caught:
        frozen_changes(tiny.course, tiny.build())
    assert "\n" not in str(caught.value)


def test_an_empty_database_has_nothing_out(tiny):
    sqlite3.connect(tiny.course / "gradebook.db").close()
    assert frozen_changes(tiny.course, tiny.build()) == []
