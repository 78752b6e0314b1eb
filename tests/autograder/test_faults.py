"""A run that is killed again and again ends as one that nobody disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.course import Course
from autograder.sandbox.outside import problem

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

CONFIG = "from autograder import nbgrader_plugin\nnbgrader_plugin.configure(get_config())\n"
STUDENTS, KILLS = 40, 20


def _course(folder: Path) -> Path:
    """A plain nbgrader course; every third answer is wrong, every tenth ends its process."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(CONFIG)
    right = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    answers = {folder / "source" / "plain": right}
    for number in range(STUDENTS):
        answer = f"def double(x):\n    return {'x' if number % 3 == 0 else '2 * x'}  # {number}"
        answer = "import os\nos._exit(1)" if number % 10 == 9 else answer
        answers[folder / "submitted" / f"student{number:02}" / "plain"] = answer
    flags = {"schema_version": 3, "task": False}
    answered = flags | {"grade_id": "a", "grade": False, "solution": True, "locked": False}
    tested = flags | {"grade_id": "t", "grade": True, "solution": False, "locked": True}
    for place, answer in answers.items():
        cells = [
            new_code_cell(answer, metadata={"nbgrader": answered}),
            new_code_cell("assert double(2) == 4", metadata={"nbgrader": tested | {"points": 2}}),
        ]
        for number, cell in enumerate(cells):
            cell.id = f"cell-{number}"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        place.mkdir(parents=True)
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, place / "plain.ipynb")
    return folder


def _start(course: Path) -> subprocess.Popen:
    code = "from autograder.cli import main; main()"
    command = [sys.executable, "-c", code, "grade", "plain", "--jobs", "2"]
    return subprocess.Popen(
        command, cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _workers_of(process: int) -> list[int]:
    """The processes below one, as /proc has them."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, rest = [], [process]
    while rest:
        below = children.get(rest.pop(), [])
        found += below
        rest += below
    return found


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _gradebook(course: Path) -> dict:
    with Course(course).gradebook() as found:
        return {
            (one.student.id, grade.name): (grade.auto_score, grade.needs_manual_grade)
            for one in found.assignment_submissions("plain")
            for notebook in one.notebooks
            for grade in notebook.grades
        }


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_a_run_that_is_killed_ends_as_one_that_is_not(tmp_path):
    draw = random.Random(0)
    disturbed, calm = _course(tmp_path / "disturbed"), _course(tmp_path / "calm")
    run = _start(disturbed)
    for number in range(KILLS):
        time.sleep(draw.uniform(0.5, 8.0))
        workers = _workers_of(run.pid)
        if number % 2 and workers:
            _kill(draw.choice(workers))  # a worker, a warm parent, a child: the run goes on
            if run.poll() is None:
                continue
        _kill(run.pid)
        run.wait()
        end = time.monotonic() + 10
        while left := [one for one in workers if _is_running(one)]:
            assert time.monotonic() < end, f"left running: {left}"
            time.sleep(0.1)
        run = _start(disturbed)
    assert run.wait(600) in (0, 1)
    assert _start(disturbed).wait(600) == 0
    assert _start(calm).wait(600) == 0
    assert _gradebook(disturbed) == _gradebook(calm)
    wanted = {0.0: 16, 2.0: 24}
    scores = [score for score, _ in _gradebook(calm).values()]
    assert {score: scores.count(score) for score in wanted} == wanted and len(scores) == STUDENTS
