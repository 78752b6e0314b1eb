"""Many submissions at once: the same grades as one by one, whatever happens to the workers."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from plain import OURS, answer, checks, given, gradebook, hidden, notebook, write, write_course

from autograder.course import Course
from autograder.grading import Grading
from autograder.sandbox.outside import problem
from autograder.workers import Job, Ran, Workers, cluster
from vae_course.errors import UsageError

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

ANSWERS = {
    "ada": "def double(x):\n    return 2 * x",
    "bo": "def double(x):\n    return x + 2",
    "cy": "def double(x):\n    raise NotImplementedError()",
    "di": "import os\nos._exit(3)",
    "ed": "def double(x):\n    return 2.0 * x",
}
SCORES = {"ada": 3, "bo": 1, "cy": 0, "di": 0, "ed": 3}


def _notebook(answered: str) -> NotebookNode:
    return notebook(
        answer("double_answer", answered),
        given("not_this_year", "double = None", tags=("skip-execution",)),
        checks("shown", 1, "assert double(2) == 4"),
        checks("hidden", 2, hidden("assert double(-3) == -6")),
    )


@pytest.fixture
def course(tmp_path) -> Path:
    """A plain nbgrader course that five handed in."""
    source = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    submissions = {student: _notebook(text) for student, text in ANSWERS.items()}
    return write_course(tmp_path, _notebook(source), submissions)


def scores(course: Path, workers: Workers | None = None, **chosen) -> dict[str, float]:
    grading = Grading(Course(course), "plain", force=True, workers=workers, **chosen)
    return {entry["student"]: entry["score"] for entry in grading.run()}


@pytest.mark.long
def test_workers_one_process_and_a_kernel_agree(course):
    assert scores(course, Workers(2)) == SCORES
    by_workers = gradebook(course)
    assert len(by_workers) == 2 * len(ANSWERS)
    assert scores(course) == SCORES and gradebook(course) == by_workers
    assert scores(course, isolation="process") == SCORES and gradebook(course) == by_workers


@pytest.mark.long
def test_what_workers_ran_is_not_run_again(course, monkeypatch):
    def never(job: Job) -> dict[str, Ran]:
        raise AssertionError("run a second time")

    monkeypatch.setattr("autograder.nbgrader_plugin.run_submission", never)
    assert scores(course, Workers(2)) == SCORES


def test_any_executor_will_do(course):
    with ThreadPoolExecutor(1) as executor:
        assert scores(course, Workers(1, executor)) == SCORES


@pytest.mark.long
def test_a_cluster_will_do(course):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as workers:
        assert scores(course, cluster(workers.scheduler_address)) == SCORES


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="tcp://127.0.0.1:9: no Dask scheduler answers there"):
        cluster("tcp://127.0.0.1:9")


@pytest.mark.long
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


def test_outputs_that_a_notebook_was_handed_in_with_are_not_taken_for_its_own(course):
    """Not even where the cell is not run, because the process ended before it."""
    path = course / "submitted" / "di" / "plain" / "plain.ipynb"
    submitted = nbformat.read(path, as_version=4)
    script = nbformat.v4.new_output("display_data", data={"text/html": "<script>1</script>"})
    submitted.cells.append(nbformat.v4.new_code_cell("1", outputs=[script], execution_count=3))
    nbformat.write(submitted, path)
    with ThreadPoolExecutor(1) as executor:
        assert scores(course, Workers(1, executor)) == SCORES
    executed = (course / "autograded" / "di" / "plain" / "plain.ipynb").read_text()
    assert "CellNotRunError" in executed and "script" not in executed


def test_what_running_took_is_told_and_kept(course):
    def spent() -> dict[str, tuple[float, float]]:
        records = Grading(Course(course), "plain", workers=Workers(1, executor)).run()
        return {entry["student"]: (entry["cpu_seconds"], entry["seconds"]) for entry in records}

    with ThreadPoolExecutor(1) as executor:
        first = spent()
        assert all(0 < cpu_seconds and 0 < seconds < 60 for cpu_seconds, seconds in first.values())
        assert spent() == first


@pytest.mark.parametrize("many", [False, True])
def test_a_notebook_finds_what_the_one_before_it_left(tmp_path, many):
    """As in nbgrader, where they share a folder; but what the instructor gave is as it was."""
    begins = "print(open('given.txt').read()); open('a.txt', 'w').write('from the first')"
    begins += "\nopen('given.txt', 'w').write('spoilt'); import os; os.symlink('/etc', 'link')"
    sources = {
        "part-2.ipynb": notebook(answer("a", "import sys")),  # nbgrader takes it for the first
        "part.ipynb": notebook(
            checks("left", 1, "assert open('a.txt').read() == 'from the first'"),
            checks("kept", 1, "assert open('given.txt').read() == 'as given'"),
        ),
    }
    write(tmp_path, {"nbgrader_config.py": OURS})
    write(tmp_path / "source" / "plain", sources | {"given.txt": "as given"})
    lies = "import torch\nfrom autograder.sandbox.serve import Desk\n"
    lies += "zeros = {'./given.txt': torch.zeros(3, dtype=torch.uint8)}\n"
    lies += "Desk._do_files = lambda *_: zeros"
    texts = {"ada": begins, "ben": "pass", "cy": "import os\nos._exit(1)", "di": lies}
    for student, text in texts.items():
        handed_in = sources | {"part-2.ipynb": notebook(answer("a", text)), "a.txt": "of old"}
        write(tmp_path / "submitted" / student / "plain", handed_in)
    with ThreadPoolExecutor(1) as executor:
        for _ in range(2):
            found = scores(tmp_path, Workers(1, executor) if many else None)
            assert found == {"ada": 2, "ben": 1, "cy": 1, "di": 1}
