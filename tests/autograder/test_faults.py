"""A run that is killed again and again ends as one that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nbformat import NotebookNode
from plain import answer, checks, gradebook, notebook, write_course
from processes import below, is_running

from autograder.sandbox.outside import problem

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

STUDENTS, KILLS = 40, 20


def _course(folder: Path) -> Path:
    """A plain nbgrader course; every third answer is wrong, every tenth ends its process."""
    submissions = {}
    for number in range(STUDENTS):
        text = f"def double(x):\n    return {'x' if number % 3 == 0 else '2 * x'}  # {number}"
        text = "import os\nos._exit(1)" if number % 10 == 9 else text
        submissions[f"student{number:02}"] = _notebook(text)
    right = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    return write_course(folder, _notebook(right), submissions)


def _notebook(text: str) -> NotebookNode:
    return notebook(answer("a", text), checks("t", 2, "assert double(2) == 4"))


def _start(course: Path) -> subprocess.Popen:
    code = "from autograder.cli import main; main()"
    command = [sys.executable, "-c", code, "grade", "plain", "--jobs", "2"]
    return subprocess.Popen(
        command,
        cwd=course,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a terminal tells a whole group that somebody pressed Ctrl-C
        # A shell lets its background jobs ignore it, and what a test starts may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _assert_end(processes: list[int]) -> None:
    end = time.monotonic() + 10
    while left := [one for one in processes if is_running(one)]:
        assert time.monotonic() < end, f"left running: {left}"
        time.sleep(0.1)


def _records(course: Path) -> dict[str, dict]:
    path = course / "verdicts.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    return {entry["student"]: entry for entry in entries}


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
        workers = below(run.pid)
        if number % 2 and workers:
            _kill(draw.choice(workers))  # a worker, a warm parent, a child: the run goes on
            if run.poll() is None:
                continue
        _kill(run.pid)
        run.wait()
        _assert_end(workers)
        run = _start(disturbed)
    assert run.wait(600) in (0, 1)
    assert _start(disturbed).wait(600) == 0
    assert _start(calm).wait(600) == 0
    assert gradebook(disturbed) == gradebook(calm)
    wanted = {0.0: 16, 2.0: 24}
    scores = [score for score, _, _ in gradebook(calm).values()]
    assert {score: scores.count(score) for score in wanted} == wanted and len(scores) == STUDENTS


def test_ctrl_c_stops_a_class_at_once_and_the_next_run_goes_on(tmp_path):
    disturbed, calm = _course(tmp_path / "disturbed"), _course(tmp_path / "calm")
    run = _start(disturbed)
    end = time.monotonic() + 120
    while len(_records(disturbed)) < 5:
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    workers = below(run.pid)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(10) == 130
    _assert_end(workers)
    done = _records(disturbed)
    assert 5 <= len(done) < STUDENTS
    assert _start(disturbed).wait(600) == 0
    assert _start(calm).wait(600) == 0
    assert gradebook(disturbed) == gradebook(calm)
    after = _records(disturbed)
    assert len(after) == STUDENTS
    assert {student: after[student] for student in done} == done  # with the seconds that each took
