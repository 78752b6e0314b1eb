"""The steps of README and handbook, followed to the letter in a scratch copy of the course."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("vae_course", "autograder", "nbgrader_config.py", "pyproject.toml")


def files_in(section: str) -> dict[str, str]:
    """The files that a section of docs/adding.md tells its reader to write: path to content."""
    page = (ROOT / "docs" / "adding.md").read_text()
    body = page.split(f"## {section}\n")[1].split("\n## ")[0]
    step = r"\*\*[^*]+\*\*, `(?P<path>[^`]+)`.*?^ *(?P<fence>`{3,})\w+\n(?P<text>.*?)^ *(?P=fence)$"
    return {
        found["path"]: re.sub(r"^   ", "", found["text"], flags=re.MULTILINE)
        for found in re.finditer(step, body, flags=re.MULTILINE | re.DOTALL)
    }


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A scratch course with the sixth assignment in it, and nothing of this checkout's state."""
    folder = tmp_path_factory.mktemp("sixth") / "course"
    folder.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for path, text in files_in("Add an assignment").items():
        assert not (folder / path).exists(), f"the page's {path} stands in the way of a real one"
        (folder / path).write_text(text)
    return folder


def command(course: Path, program: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run `vae-course` or `autograder` from the scratch copy, as its reader would."""
    module = {"vae-course": "vae_course.cli", "autograder": "autograder.cli"}[program]
    return subprocess.run(
        [sys.executable, "-c", f"from {module} import main; main()", *arguments],
        cwd=course,
        env=os.environ | {"PYTHONPATH": str(course)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_handbook_lists_three_files():
    assert [Path(path).name for path in files_in("Add an assignment")] == [
        "averages.py",
        "ps6.md",
        "ps6.py",
    ]


@pytest.mark.long
def test_a_sixth_assignment_builds_releases_and_grades(course):
    built = command(course, "vae-course", "build", "ps6")
    assert built.returncode == 0, built.stderr
    release = nbformat.read(course / "release/ps6/ps6.ipynb", as_version=4)
    blank = next(cell for cell in release.cells if "def batch_mean" in cell.source)
    assert "NotImplementedError" in blank.source and "x.mean" not in blank.source

    verified = command(course, "vae-course", "verify", "ps6")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    right = blank.source.replace("# YOUR CODE HERE", "").replace(
        "raise NotImplementedError()", "return x.sum(0) / len(x)"
    )
    wrong = right.replace("sum(0) / len(x)", "sum(0)")
    for student, answer in {"ada": right, "bo": wrong, "cy": blank.source}.items():
        blank.source = answer
        folder = course / "submitted" / student / "ps6"
        folder.mkdir(parents=True)
        nbformat.write(release, folder / "ps6.ipynb")

    graded = command(course, "autograder", "grade", "ps6")
    assert graded.returncode == 0, graded.stdout + graded.stderr
    verdicts = json.loads((course / "verdicts.json").read_text())
    scores = {verdict["student"]: verdict["score"] for verdict in verdicts}
    assert scores == {"ada": 2, "bo": 0, "cy": 0}

    answered = command(course, "autograder", "feedback", "ps6")
    assert answered.returncode == 0, answered.stdout + answered.stderr
    pages = sorted(course.glob("feedback/*/ps6/ps6.html"))
    assert [page.parts[-3] for page in pages] == ["ada", "bo", "cy"]
    assert all("from autograder import" not in page.read_text() for page in pages)


def systems() -> list[tuple[list[str], list[str]]]:
    """The rows of the table of systems: names in the reference, and exercises."""
    table = (ROOT / "README.md").read_text().split("## What the course grew from\n")[1]
    rows = [
        line.split("|")[1:-1] for line in table.split("\n## ")[0].splitlines() if line[:1] == "|"
    ]
    return [
        (re.findall(r"`([\w.]+)`", row[1]), re.findall(r"`(ps\d_\w+)`", row[2]))
        for row in rows[2:]
        if not row[0].strip().startswith("**")
    ]


def test_every_system_of_the_seeds_is_where_the_readme_says():
    import importlib

    from vae_course.authoring.assignment import list_assignments, load_assignment

    exercises = {
        exercise.id for name in list_assignments() for exercise in load_assignment(name).exercises
    }
    assert len(systems()) > 35
    for names, taught_by in systems():
        assert names
        for name in names:
            module, _, attribute = name.partition(".")
            assert hasattr(importlib.import_module(f"vae_course.{module}"), attribute), name
        assert set(taught_by) <= exercises
