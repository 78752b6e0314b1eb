"""A class in bad company: who hangs, hoards or multiplies is stopped, and nobody else notices."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from nbformat import NotebookNode
from plain import OURS, answer, checks, notebook, write_course

from autograder.course import Course
from autograder.grading import Grading
from autograder.sandbox.outside import problem
from autograder.workers import Workers

pytestmark = [
    pytest.mark.long,
    pytest.mark.alone,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

CELL_SECONDS = 12
CONFIG = f"""{OURS}
c.Execute.timeout = {CELL_SECONDS}
c.ExecuteInSandbox.memory_mb = 512
c.ExecuteInSandbox.disk_mb = 64
"""
TRIES = 3
"""Whatever else this machine does makes times longer and never shorter, so the least of a few
measurements tells. What hostile submissions do to the others, they do each time."""

HONEST = """
import time

def work():
    begin, total = time.process_time(), 0
    while time.process_time() - begin < 3:
        total += sum(range(1000)) % 7
    return 42
"""
"""Three seconds of a processor, however fast it is: what it has to wait for others comes on top."""

HOSTILE = {
    "a_loop": ("while True:\n        pass", {"timeout"}),
    "b_memory": ("bytearray(100 * 2**30)", {"memory"}),
    "c_hoard": ("hoard = []\n    while True:\n        hoard.append(bytearray(2**24))", {"memory"}),
    "d_bomb": (
        "import os\n    while True:\n        try:\n            os.fork()\n"
        "        except OSError:\n            pass",
        {"timeout", "error"},
    ),
    "e_crowd": (
        "import os\n    for _ in range(5):\n        os.fork()\n    while True:\n        pass",
        {"timeout"},
    ),
    "f_disk": (
        "file = open('big', 'wb')\n    while True:\n        file.write(bytes(2**20))",
        {"error"},
    ),
    "g_prints": ("for _ in range(2**10):\n        print('x' * 2**20)", {"fail"}),
    "h_sleep": ("import time\n    time.sleep(3600)", {"timeout"}),
    "i_deadlock": (
        "import threading\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
        {"timeout"},
    ),
}
"""What they do in place of work, and the verdict on it. A bomb is stopped when its time is up, or
earlier for how many processes it has."""


def test_bad_company_costs_nobody_a_point_or_a_second(tmp_path):
    honest = {f"{name}_honest": _notebook(f"{HONEST}# {name}") for name in HOSTILE}
    hostile = {name: _notebook(f"def work():\n    {what}") for name, (what, _) in HOSTILE.items()}
    alone: dict[str, float] = {}
    among: dict[str, float] = {}
    for number in range(TRIES):
        records = _grade(tmp_path / f"alone{number}", honest)
        _assert_right(records, honest)
        _keep_least(alone, records)
        records = _grade(tmp_path / f"among{number}", honest | hostile)
        _assert_right(records, honest)
        _assert_stopped(records)
        _keep_least(among, records)
        allowed = {name: 1.2 * seconds + 1 for name, seconds in alone.items()}
        allowed |= dict.fromkeys(HOSTILE, CELL_SECONDS + 2.0)
        late = {name: seconds for name, seconds in among.items() if seconds > allowed[name]}
        if not late:
            return
    raise AssertionError(f"too late: {late}; alone: {alone}")


def _notebook(work: str) -> NotebookNode:
    return notebook(
        answer("work", work),
        checks("begun", 1, "assert callable(work)"),
        checks("worked", 2, "assert work() == 42"),
    )


def _grade(folder: Path, submissions: Mapping[str, NotebookNode]) -> dict[str, dict]:
    source = _notebook(f"### BEGIN SOLUTION{HONEST}### END SOLUTION")
    course = Course(write_course(folder, source, submissions, CONFIG))
    grading = Grading(course, "plain", workers=Workers(2))
    return {entry["student"]: entry for entry in grading.run()}


def _keep_least(found: dict[str, float], records: Mapping[str, dict]) -> None:
    for name, entry in records.items():
        found[name] = min(found.get(name, entry["seconds"]), entry["seconds"])


def _assert_right(records: Mapping[str, dict], honest: Mapping[str, NotebookNode]) -> None:
    assert {name: records[name]["score"] for name in honest} == dict.fromkeys(honest, 3)


def _assert_stopped(records: Mapping[str, dict]) -> None:
    """Each has its verdict, and keeps what it earned before."""
    found = {name: [part["verdict"] for part in records[name]["exercises"]] for name in HOSTILE}
    for name, (_, verdicts) in HOSTILE.items():
        begun, worked = found[name]
        assert begun == "pass" and worked in verdicts, name
    assert {records[name]["score"] for name in HOSTILE} == {1}
