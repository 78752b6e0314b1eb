"""Many submissions at once: the same grades as one by one, whatever happens to the workers."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.course import Course
from autograder.grading import Grading
from autograder.sandbox.outside import problem
from autograder.workers import Job, Ran, Workers, cluster
from vae_course.errors import UsageError

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

CONFIG = """
from autograder import nbgrader_plugin

c = get_config()
nbgrader_plugin.configure(c)
"""
ANSWERS = {
    "ada": "def double(x):\n    return 2 * x",
    "bo": "def double(x):\n    return x + 2",
    "cy": "def double(x):\n    raise NotImplementedError()",
    "di": "import os\nos._exit(3)",
    "ed": "def double(x):\n    return 2.0 * x",
}
SCORES = {"ada": 3, "bo": 1, "cy": 0, "di": 0, "ed": 3}


def _flags(id: str, points: float | None = None, **given: bool) -> dict:
    found = {"schema_version": 3, "grade_id": id, "grade": False, "solution": False, "task": False}
    found |= {"locked": False} | given
    return {"nbgrader": found if points is None else found | {"points": points}}


def _notebook(answer: str) -> nbformat.NotebookNode:
    tested = {"grade": True, "locked": True}
    cells = [
        new_code_cell(answer, metadata=_flags("double_answer", solution=True)),
        new_code_cell("assert double(2) == 4", metadata=_flags("shown", 1, **tested)),
        new_code_cell(
            "### BEGIN HIDDEN TESTS\nassert double(-3) == -6\n### END HIDDEN TESTS",
            metadata=_flags("hidden", 2, **tested),
        ),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def course(tmp_path) -> Path:
    """A plain nbgrader course that five handed in."""
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    folders = {tmp_path / "source" / "plain": source}
    folders |= {tmp_path / "submitted" / who / "plain": text for who, text in ANSWERS.items()}
    for folder, text in folders.items():
        folder.mkdir(parents=True)
        nbformat.write(_notebook(text), folder / "plain.ipynb")
    return tmp_path


def scores(course: Path, workers: Workers | None = None, **chosen) -> dict[str, float]:
    grading = Grading(Course(course), "plain", force=True, workers=workers, **chosen)
    return {entry["student"]: entry["score"] for entry in grading.run()}


def gradebook(course: Path) -> dict[tuple[str, str], tuple[float | None, bool]]:
    with Course(course).gradebook() as found:
        return {
            (submission.student.id, grade.name): (grade.auto_score, grade.needs_manual_grade)
            for submission in found.assignment_submissions("plain")
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def test_workers_one_process_and_a_kernel_agree(course):
    assert scores(course, Workers(2)) == SCORES
    by_workers = gradebook(course)
    assert len(by_workers) == 2 * len(ANSWERS)
    assert scores(course) == SCORES and gradebook(course) == by_workers
    assert scores(course, isolation="process") == SCORES and gradebook(course) == by_workers


def test_what_workers_ran_is_not_run_again(course, monkeypatch):
    def never(job: Job) -> dict[str, Ran]:
        raise AssertionError("run a second time")

    monkeypatch.setattr("autograder.nbgrader_plugin.run_submission", never)
    assert scores(course, Workers(2)) == SCORES


def test_any_executor_will_do(course):
    with ThreadPoolExecutor(1) as executor:
        assert scores(course, Workers(1, executor)) == SCORES


def test_a_cluster_will_do(course):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as workers:
        assert scores(course, cluster(workers.scheduler_address)) == SCORES


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="tcp://127.0.0.1:9: no Dask scheduler answers there"):
        cluster("tcp://127.0.0.1:9")


def test_dead_workers_cost_nobody_anything(course):
    with_deaths, killed = {}, 0
    for entry in Grading(Course(course), "plain", workers=Workers(2)).run():
        with_deaths[entry["student"]] = entry["score"]
        if len(with_deaths) in (1, 3):
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, signal.SIGKILL)
                killed += 1
    assert killed and with_deaths == SCORES


def test_a_grader_that_fails_is_nobodys_zero(course, monkeypatch):
    def fails(job: Job) -> dict[str, Ran]:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("autograder.workers.run_submission", fails)
    with ThreadPoolExecutor(1) as executor:
        workers = Workers(1, executor)
        records = list(Grading(Course(course), "plain", workers=workers).run())
    assert {entry["status"] for entry in records} == {"grader_error"}
    assert all("ZeroDivisionError" in entry["message"] for entry in records)
