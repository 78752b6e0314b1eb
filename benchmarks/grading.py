"""What grading costs: stock nbgrader, Otter and this grader on the same submissions, in one run.

    python benchmarks/grading.py [--submissions N]

Ends in lines `name: value`. Seconds are of wall time unless the name says cpu.

- nbgrader_s, ours_s, ratio: a submission of ps2 by `nbgrader autograde` with nbgrader's own steps,
  and by `autograder grade --jobs 2`, whole commands. The scores are compared first.
- checks_s: processor time of the same notebooks' cells and checks, in processes that are warm: two
  at a time, as there are two workers, for two busy cores slow each other down.
- overhead_cpu_s: processor time of a submission by `autograder grade` beyond that, start-up apart.
- overhead_ratio: (nbgrader_s - checks_s) / overhead_cpu_s.
- empty_nbgrader_s, empty_otter_s, empty_ours_s: the same for a notebook with one trivial test that
  imports torch. Otter is left out where it is not installed.
- private_mb: the most memory that a submission's processes had beyond the warm parent.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
STOCK = "c = get_config()\nc.Execute.timeout = 300\n"
OURS = "from autograder import nbgrader_plugin\nc = get_config()\nnbgrader_plugin.configure(c)\n"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=12)
    count = parser.parse_args().submissions
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # nbgrader starts alembic
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "AUTOGRADER_SEED": "1"}
    source = nbformat.read(ROOT / "source" / "ps2" / "ps2.ipynb", as_version=4)
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        figures |= compare(folder, "ps2", source, [solved(source, n) for n in range(count)])
        figures |= in_process(solved(source, 0))
        figures |= overhead(folder, "ps2", source, count, figures["checks_s"])
        beyond = figures["nbgrader_s"] - figures["checks_s"]
        figures["overhead_ratio"] = beyond / figures["overhead_cpu_s"]
        figures |= empty(folder, count)
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")


def solved(source: nbformat.NotebookNode, number: int) -> nbformat.NotebookNode:
    """The right answers, as the n-th student hands them in."""
    made = nbformat.from_dict(json.loads(json.dumps(source)))
    made.cells.append(new_code_cell(f"# student number {number}"))
    return made


def course(folder: Path, config: str, name: str, source, submissions: Sequence) -> Path:
    """A course folder in which a class has handed an assignment in."""
    if folder.exists():
        shutil.rmtree(folder)
    places = {folder / "source" / name: source}
    for number, notebook in enumerate(submissions):
        places[folder / "submitted" / f"student{number:03}" / name] = notebook
    for place, notebook in places.items():
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{name}.ipynb")
    (folder / "nbgrader_config.py").write_text(config)
    return folder


def compare(folder: Path, name: str, source, submissions: Sequence) -> dict[str, float]:
    """Both graders on the same class; their scores have to be equal."""
    count = len(submissions)
    stock = course(folder / "stock", STOCK, name, source, submissions)
    run(stock, "nbgrader", "generate_assignment", name, "--force")
    nbgrader_s = timed(lambda: run(stock, "nbgrader", "autograde", name, "--create"))
    ours = course(folder / "ours", OURS, name, source, submissions)
    ours_s = timed(lambda: run(ours, "autograder", "grade", name, "--jobs", "2"))
    theirs, mine = scores(stock, name), scores(ours, name)
    if theirs != mine or len(mine) != count:
        raise SystemExit(f"the scores differ: {theirs} and {mine}")
    figures = {"nbgrader_s": nbgrader_s / count, "ours_s": ours_s / count}
    return figures | {"ratio": nbgrader_s / ours_s}


def scores(folder: Path, name: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        found = gradebook.assignment_submissions(name)
        return {one.student.id: round(one.score, 4) for one in found}


def run(folder: Path, program: str, *arguments: str) -> None:
    module = {"nbgrader": "nbgrader.apps.nbgraderapp", "autograder": "autograder.cli"}[program]
    code = f"from {module} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(
            f"{program} {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def timed(what: Callable[[], None]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def in_process(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """The cells and the checks themselves, in two warm processes side by side."""
    code = """
import json, os, sys, nbformat
from autograder.sandbox import serve
from autograder.sandbox.inside import _warm_up
from autograder.sandbox.shell import run_cell
from autograder import notebooks
from autograder.exercises import exercise_of
from autograder.judge import judge
from autograder.student import InProcessStudent, isolated
os.environ["NBGRADER_EXECUTION"] = "autograde"
_warm_up()
cells = nbformat.reads(sys.stdin.read(), as_version=4).cells
spent = []
for _ in range(5):
    begin = os.times()
    serve._shell.reset(new_session=True)
    for cell in cells:
        if notebooks.is_machine_graded(cell):
            with isolated():
                verdict = judge(exercise_of(notebooks.grade_id(cell)),
                                InProcessStudent(serve._shell.user_ns), 1)
            assert verdict.verdict == "pass", verdict
        elif cell.cell_type == "code":
            run_cell(serve._shell, cell.source)
    end = os.times()
    spent.append(end.user + end.system - begin.user - begin.system)
print(sum(spent[1:]) / len(spent[1:]))  # the first time imports the checks
"""
    with tempfile.TemporaryDirectory() as scratch:
        running = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=scratch,
            )
            for _ in range(2)
        ]
        for process in running:
            process.stdin.write(nbformat.writes(notebook))
            process.stdin.close()
        said = [process.stdout.read() for process in running]
    if any(process.wait() for process in running):
        raise SystemExit("the checks failed in process")
    return {"checks_s": sum(float(text.split()[-1]) for text in said) / len(said)}


def overhead(folder: Path, name: str, source, count: int, checks_s: float) -> dict[str, float]:
    """What `autograder grade` spends on a submission: a class of n against one of 2n."""
    spent = []
    for size in (count, 2 * count):
        place = course(folder / "cpu", OURS, name, source, [solved(source, n) for n in range(size)])
        before = processor_time()
        run(place, "autograder", "grade", name, "--jobs", "2")
        records = json.loads((place / "verdicts.json").read_text())
        # bubblewrap does not wait for its children, so their time is counted apart.
        inside = sum(record["cpu_seconds"] for record in records)
        spent.append(processor_time() - before + inside)
    each = (spent[1] - spent[0]) / count
    return {"ours_cpu_s": each, "overhead_cpu_s": each - checks_s, "private_mb": private_mb(source)}


def processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def private_mb(source) -> float:
    """The most memory of a submission's processes beyond the warm parent."""
    from autograder import execution
    from autograder.exercises import exercise_of
    from autograder.sandbox.outside import WarmParent

    with WarmParent() as warm, warm.session() as session:
        execution.run_cells(solved(source, 0).cells, session, exercise_of, 1)
        session.close()
        return float(session.report["memory_mb"])


def empty(folder: Path, count: int) -> dict[str, float]:
    """A notebook with one trivial test."""
    graded = {"schema_version": 3, "grade_id": "t", "grade": True, "solution": False}
    graded |= {"locked": True, "task": False, "points": 1}
    test = new_code_cell("import torch\nassert torch.ones(2).sum() == 2")
    test.metadata.nbgrader = graded
    notebook = new_notebook(cells=[test], metadata=KERNEL)
    found = compare(folder, "empty", notebook, [solved(notebook, n) for n in range(count)])
    figures = {"empty_nbgrader_s": found["nbgrader_s"]}
    if find_spec("otter") is not None:
        figures["empty_otter_s"] = otter(folder / "otter")
    sizes, spent = (count, 3 * count), []
    for size in sizes:
        place = course(
            folder / "warm", OURS, "empty", notebook, [solved(notebook, n) for n in range(size)]
        )
        spent.append(timed(lambda at=place: run(at, "autograder", "grade", "empty", "--jobs", "2")))
    return figures | {"empty_ours_s": (spent[1] - spent[0]) / (sizes[1] - sizes[0])}


def otter(folder: Path) -> float:
    """One submission by `otter run`, with the same test."""
    folder.mkdir()
    text = "# ASSIGNMENT CONFIG\nname: empty\ngenerate: true\n"
    begin, end = "# BEGIN QUESTION\nname: q1\npoints: 1\n", "# END QUESTION"
    test = "import torch\nassert torch.ones(2).sum() == 2"
    cells = [nbformat.v4.new_raw_cell(text), nbformat.v4.new_raw_cell(begin)]
    cells += [nbformat.v4.new_raw_cell("# BEGIN SOLUTION"), new_code_cell("x = 1 # SOLUTION")]
    cells += [nbformat.v4.new_raw_cell("# END SOLUTION"), nbformat.v4.new_raw_cell("# BEGIN TESTS")]
    cells += [new_code_cell(test), nbformat.v4.new_raw_cell("# END TESTS")]
    cells += [nbformat.v4.new_raw_cell(end)]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), folder / "empty.ipynb")
    call = [BIN / "otter", "assign", "empty.ipynb", "dist", "--no-run-tests"]
    subprocess.run(call, cwd=folder, check=True, capture_output=True)
    (archive,) = (folder / "dist" / "autograder").glob("*.zip")
    notebook = folder / "dist" / "autograder" / "empty.ipynb"
    call = [BIN / "otter", "run", "-a", archive, notebook]
    return timed(lambda: subprocess.run(call, cwd=folder, check=True, capture_output=True))


if __name__ == "__main__":
    main()
