"""A plain nbgrader course is graded cell for cell as by nbgrader itself, apart from its loopholes.

The course has never heard of this one: thirteen notebooks of every kind of cell, and what forty
students made of them. Each submission is graded by stock nbgrader and by `autograder grade`.
"""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import nbgrader
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell
from plain import (
    OURS,
    STOCK,
    answer,
    answered,
    checks,
    find,
    given,
    gradebook,
    hidden,
    notebook,
    question,
    scheme,
    solution,
    solved,
    task,
    write,
)

from autograder.sandbox.outside import problem

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

CELL_SECONDS = 6
SETTINGS = f"""
c.Execute.timeout = {CELL_SECONDS}
c.Autograde.exclude_overwriting = {{"files": ["own.py"]}}
"""
PIXEL = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="

# The course.

FUNCTIONS = notebook(
    new_markdown_cell("# Functions\n\nWrite what is asked for."),
    given("setup", "import math"),
    answer("area", solution("def area(r):\n    return math.pi * r**2")),
    checks("area_shown", 1, "assert area(1) == math.pi"),
    checks(
        "area_hidden",
        2,
        "assert area(0) == 0\n"
        + hidden("assert math.isclose(area(2), 4 * math.pi), f'area(2) is {area(2)}'"),
    ),
    new_markdown_cell("## The numbers of Fibonacci"),
    answer(
        "fib",
        "def fib(n):\n    ### BEGIN SOLUTION\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "    ### END SOLUTION",
    ),
    checks(
        "fib_tests",
        3,
        "assert fib(1) == 1\ntry:\n    fib('x')\nexcept TypeError:\n    pass\nelse:\n"
        "    raise AssertionError('a word has no number')\n"
        "assert [fib(n) for n in (2, 3, 9)] == [1, 2, 34]",
    ),
)

PARTIAL = notebook(
    answer("total", solution("def total(numbers):\n    return sum(numbers)")),
    checks(
        "total_credit",
        4,
        "credit = 0.0\nfor wanted, numbers in ((3, [1, 2]), (0, []), (-1, [-1]), (6, (1, 2, 3))):\n"
        "    try:\n        credit += total(numbers) == wanted\n    except Exception as error:\n"
        "        print(type(error).__name__)\ncredit",
    ),
    checks("total_words", 2, "assert total([2, 2]) == 4\n'well done'"),
    checks("total_list", 2, "assert total([2]) == 2\n[0.5, 0.5]"),
    checks("total_nothing", 1, "assert total([]) == 0\n0.25;"),
    answer("value", solution("value = 2.5")),
    checks("value_credit", 3, "print('what you have'); display('here')\nvalue"),
)

SHOWN = notebook(
    given("plotting", "%matplotlib inline\nimport warnings\nimport matplotlib.pyplot as plt"),
    answer("noisy", solution("def noisy():\n    return 3")),
    checks("noisy_quiet", 2, "print('listen')\nassert noisy() == 3"),
    checks("noisy_numbered", 2, "noisy() / 2"),
    answer(
        "plot",
        solution("def plot():\n    plt.figure(figsize=(1, 1))\n    plt.plot([1, 2, 4])"),
    ),
    checks("plot_tests", 1, "plot()\nassert plt.get_fignums()"),
    checks("own_warning", 1, "warnings.warn('the instructor asked for it')"),
)

ESSAY = notebook(
    new_raw_cell("raw words, for no one"),
    given("reading", "# Why?\n\nRead this, and leave it: “größer” *als* 3 → ∞.", code=False),
    question("why", 4, "YOUR ANSWER HERE"),
    question("why_not", 2, "*Your words:*\n\n" + scheme("1 for each reason")),
    question("sketch", 3, solution("sketch = 'a house'"), code=True),
    question("sketch_stub", 3, "# Draw.\n" + solution("sketch = sketch + ', a tree'"), code=True),
)

TASKS = notebook(
    task("build", 5, "Build something below.\n\n" + scheme("5: it stands")),
    task("tell", 1, "And tell how."),
    given("end", "That is all.", code=False),
)

MIXED = notebook(
    given("start", "count = 1", code=True),
    answer("more", solution("count = count + 1")),
    given("middle", "assert count, 'nothing'\nseen = [count]"),
    checks("more_tests", 1, "assert seen == [2], seen"),
    question("explain", 2, "Say what `seen` holds."),
    question("again", 1, solution("seen.append(3)"), code=True),
    checks("again_tests", 0.5, "assert seen[-1] == 3"),
    checks("nothing_to_gain", 0, "assert seen == [2, 3]"),
)

DATA = notebook(
    given("load", "import csv\nwith open('data.csv') as file:\n    rows = list(csv.reader(file))"),
    answer("most", solution("most = max(int(number) for _, number in rows)")),
    checks("most_tests", 2, "assert most == 42"),
    answer("saved", solution("with open('most.txt', 'w') as file:\n    file.write(str(most))")),
    checks("saved_tests", 1, "assert open('most.txt').read() == '42'"),
    checks("below_tests", 1, "assert open('more/deep.txt').read().strip() == 'deep'"),
)

HELPER = notebook(
    new_code_cell("import helper"),
    answer("helped", solution("def helped(x):\n    return helper.double(x)")),
    checks("helped_tests", 2, "assert helped(2) == 4 and helper.double(3) == 6"),
    answer("own", solution("import own\n\nmine = own.NAME")),
    checks("own_tests", 1, "assert mine == 'theirs'"),
    # What the notebook `data` wrote, for it is the one before.
    checks("found_tests", 1, "assert open('most.txt').read() == '42'"),
)

AUTOTESTS = notebook(
    answer("numbers", solution("x = 5\ny = 0.25\nz = {'a': [1, 2]}")),
    checks("numbers_shown", 3, "### AUTOTEST x; y\n### AUTOTEST z"),
    answer("secret", solution("word = 'swordfish'\nlucky = (3, 4)")),
    checks("secret_hashed", 2, "### HASHED AUTOTEST word; lucky"),
    checks("both", 1, hidden("### HASHED AUTOTEST word.upper()") + "\nassert x == 5"),
)

SKIPPED = notebook(
    given(
        "long_ago", "raise RuntimeError('nobody has run this for years')", tags=("skip-execution",)
    ),
    answer("kept", solution("kept = 1")),
    checks("kept_tests", 2, "assert kept == 1"),
    given("spoils", "kept = None", tags=("skip-execution", "slow")),
    checks("kept_still", 1, "assert kept == 1"),
    checks("not_this_year", 4, "assert False, 'it asked for too much'"),
    new_code_cell("print('a demonstration')", metadata={"tags": ["skip-execution"]}),
)
find(SKIPPED, "not_this_year").metadata.tags = ["skip-execution"]

SLOW = notebook(
    answer("first", solution("first = 1")),
    checks("first_tests", 1, "assert first == 1"),
    answer("second", solution("def second():\n    return 2")),
    checks("second_tests", 2, "assert second() == 2"),
    checks("third_tests", 3, "assert first == 1, 'this is graded whatever came before'"),
)

AWAITED = notebook(
    given("loop", "import asyncio"),
    answer("later", solution("async def later(x):\n    await asyncio.sleep(0)\n    return x + 1")),
    checks("later_tests", 2, "assert await later(1) == 2"),
    checks("later_credit", 2, "await later(0.5)"),
)

WORDS = notebook(
    new_markdown_cell("# Äpfel und Übung"),
    answer("greeting", solution("gruß = 'Grüße, 世界 🙂'")),
    checks(
        "words_tests", 1, "assert gruß.endswith('世界 🙂'), 'dafür gibt es nichts: ✗'\nprint(gruß)"
    ),
    checks("words_credit", 1, "print('½')\nlen(gruß) / 20"),
)

COURSE: dict[str, dict[str, NotebookNode]] = {
    "basics": {"functions": FUNCTIONS, "partial": PARTIAL, "shown": SHOWN},
    "words": {"essay": ESSAY, "tasks": TASKS, "mixed": MIXED, "übung": WORDS},
    "files": {"data": DATA, "helper": HELPER, "autotests": AUTOTESTS},
    "odd": {"skipped": SKIPPED, "slow": SLOW, "awaited": AWAITED},
}
AUTOTEST_TEMPLATES = Path(nbgrader.__file__).parent / "docs/source/user_guide/autotests.yml"
FILES = {
    "files": {
        "data.csv": "ada,7\nben,42\n",
        "helper.py": "def double(x):\n    return 2 * x\n",
        "own.py": "NAME = 'the instructor'\n",
        "more/deep.txt": "deep\n",
        "autotests.yml": AUTOTEST_TEMPLATES.read_text(),
    }
}


# What students made of it.

Change = Callable[[NotebookNode], None]


@dataclass(frozen=True)
class Submission:
    """What a student handed in of an assignment.

    Attributes:
        assignment, student: whose it is.
        notebooks: what became of each; those that are not named are missing.
        files: what stands beside them.
    """

    assignment: str
    student: str
    notebooks: Mapping[str, Change]
    files: Mapping[str, str] = field(default_factory=dict)


def right(made: NotebookNode) -> None:
    """All answers are the instructor's."""


def wrote(**sources: str) -> Change:
    """All is right but for these cells."""

    def change(made: NotebookNode) -> None:
        for id, source in sources.items():
            find(made, id).source = source

    return change


def deleted(*ids: str) -> Change:
    def change(made: NotebookNode) -> None:
        for id in ids:
            made.cells.remove(find(made, id))

    return change


def told(id: str, **metadata: Any) -> Change:
    """A cell's metadata for nbgrader were changed."""

    def change(made: NotebookNode) -> None:
        find(made, id).metadata.nbgrader.update(metadata)

    return change


def tagged(*ids: str) -> Change:
    def change(made: NotebookNode) -> None:
        for id in ids:
            find(made, id).metadata.tags = ["skip-execution"]

    return change


def repeated(id: str, source: str) -> Change:
    """A cell stands there a second time, at the end."""

    def change(made: NotebookNode) -> None:
        cell = copy.deepcopy(find(made, id))
        cell.id, cell.source = f"{id}-again", source
        made.cells.append(cell)

    return change


def added(place: int, *cells: NotebookNode) -> Change:
    def change(made: NotebookNode) -> None:
        made.cells[place:place] = copy.deepcopy(cells)

    return change


def all_of(*changes: Change) -> Change:
    def change(made: NotebookNode) -> None:
        for one in changes:
            one(made)

    return change


def as_released(made: NotebookNode) -> None:
    """Nothing was written at all."""
    for id, stub in made.metadata.pop("stubs").items():
        find(made, id).source = stub


def moved(made: NotebookNode) -> None:
    """The tests stand first, so that nothing is defined when they are run."""
    made.cells.sort(key=lambda cell: not cell.metadata.get("nbgrader", {}).get("grade"))


def retyped(made: NotebookNode) -> None:
    """The tests were turned into Markdown, the question into code."""
    for id, kind in (("more_tests", "markdown"), ("explain", "code")):
        cell = find(made, id)
        cell.cell_type = kind
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
        if kind == "code":
            cell.update(outputs=[], execution_count=None)


def other_kernel(made: NotebookNode) -> None:
    made.metadata.kernelspec = {"name": "conda-root-py", "display_name": "Anaconda"}


def old_format(made: NotebookNode) -> None:
    """As Jupyter wrote it in 2019: no cell has an id."""
    made.nbformat_minor = 4
    for cell in made.cells:
        cell.pop("id", None)


def attached(made: NotebookNode) -> None:
    """A picture was dropped into the answer."""
    find(made, "why").source = "See ![the picture](attachment:picture.gif) — it shows why."
    find(made, "why").attachments = {"picture.gif": {"image/gif": PIXEL}}


def executed(made: NotebookNode) -> None:
    """Handed in with outputs, one of them an error, and numbers at the cells."""
    for count, cell in enumerate(made.cells):
        if cell.cell_type == "code":
            cell.execution_count = 100 + count
            cell.outputs = [nbformat.v4.new_output("error", ename="Old", evalue="x", traceback=[])]


MAGICS = added(
    1,
    new_code_cell("!echo from the shell\n%precision 3\n3.14159"),
    new_code_cell("%%capture kept\nprint('not shown')"),
    new_code_cell("print(len(kept.stdout))\n%pdoc len\nname = !echo a b\nname"),
    new_code_cell("%%writefile note.txt\nwritten by a magic"),
    new_code_cell("%%bash\ncat note.txt"),
    new_code_cell(
        "from IPython.display import HTML, Latex, display\n"
        "display(HTML('<b>bold</b>'), Latex('$x$'), {'a': 1})\nlen?"
    ),
    new_code_cell("import sys\nprint('one', file=sys.stderr)\n[1, 2, 3]"),
    new_code_cell(""),
    new_code_cell("for n in range(1500): print(n)"),
)

SUBMISSIONS = [
    Submission("basics", "right", {"functions": right, "partial": right, "shown": right}),
    Submission(
        "basics", "blank", {"functions": as_released, "partial": as_released, "shown": as_released}
    ),
    Submission(
        "basics",
        "wrong",
        {
            "functions": wrote(area="def area(r):\n    return math.pi * r", fib="fib = abs"),
            "partial": wrote(
                total="def total(numbers):\n    return numbers[0] + numbers[1]", value="value = 0.0"
            ),
            "shown": wrote(
                noisy="def noisy():\n    warnings.warn('loud')\n    return 3",
                plot="def plot():\n    pass",
            ),
        },
    ),
    Submission(
        "basics",
        "half",
        {
            "functions": wrote(
                area="def area(r):\n    return math.pi if r == 1 else r",
                fib="def fib(n):\n    return int(n)",
            ),
            "partial": wrote(total="def total(numbers):\n    return sum(numbers) or 1"),
            "shown": wrote(noisy="def noisy():\n    print('¿?')\n    return 3.0"),
        },
    ),
    Submission(
        "basics",
        "errors",
        {
            "functions": wrote(
                area="def area(r):\n    raise SystemExit(r)", fib="def fib(n)\n    return n"
            ),
            "partial": wrote(
                total="def total(numbers):\n    return input('the total? ')", value="1 / 0"
            ),
            "shown": wrote(
                noisy="import sys\ndef noisy():\n    print('x', file=sys.stderr)\n    return 3",
                plot="def plot():\n    plt.figure()\n    raise KeyboardInterrupt",
            ),
        },
    ),
    Submission("basics", "none", {"partial": wrote(value="value = None")}),
    Submission("basics", "word", {"partial": wrote(value="value = 'full marks, please'")}),
    Submission("basics", "list", {"partial": wrote(value="value = [1, 2]")}),
    Submission("basics", "number_as_word", {"partial": wrote(value="value = '1.5'")}),
    Submission("basics", "truth", {"partial": wrote(value="value = True")}),
    Submission(
        "basics", "own_number", {"partial": wrote(value="import numpy\nvalue = numpy.float64(1)")}
    ),
    Submission("basics", "negative", {"partial": wrote(value="value = -1.0")}),
    Submission("basics", "nan", {"partial": wrote(value="value = float('nan')")}),
    Submission("basics", "above", {"partial": wrote(value="value = 3.5")}),
    Submission("basics", "magics", {"shown": MAGICS}),
    Submission(
        "basics",
        "tests_gone",
        {"functions": all_of(deleted("area_hidden"), wrote(fib="fib = abs"))},
    ),
    Submission("basics", "given_gone", {"functions": deleted("setup")}),
    Submission(
        "basics",
        "answer_gone",
        {"functions": all_of(deleted("area"), added(0, new_code_cell(solved(FUNCTIONS)["area"])))},
    ),
    Submission(
        "basics",
        "twice",
        {"functions": all_of(repeated("fib", "fib = abs"), repeated("fib_tests", "pass"))},
    ),
    Submission(
        "basics",
        "altered",
        {
            "functions": all_of(
                wrote(area_shown="pass", area_hidden="", fib="fib = abs", setup="import math, os"),
                told("fib_tests", points=100),
                told("area_hidden", points=0, locked=False),
            )
        },
    ),
    Submission(
        "basics",
        "skips",
        {"functions": all_of(wrote(fib="fib = abs"), tagged("fib_tests", "area_hidden"))},
    ),
    Submission("basics", "skips_own", {"functions": tagged("fib")}),
    Submission("basics", "claims", {"functions": told("fib_tests", solution=True, locked=False)}),
    Submission("basics", "moved", {"functions": moved, "partial": other_kernel}),
    Submission("words", "right", {"essay": right, "tasks": right, "mixed": right, "übung": right}),
    Submission(
        "words", "blank", {"essay": as_released, "tasks": as_released, "mixed": as_released}
    ),
    Submission(
        "words",
        "answered",
        {
            "essay": all_of(attached, wrote(why_not="Es ist größer — 世界 <b>x</b>")),
            "tasks": added(1, new_markdown_cell("I built a house."), new_code_cell("print('🏠')")),
            "mixed": wrote(explain="It holds `[2]`.", more="count = 7"),
            "übung": wrote(greeting="gruß = 'Grüße'"),
        },
    ),
    Submission(
        "words",
        "gone",
        {"essay": deleted("why", "sketch"), "tasks": deleted("build"), "mixed": deleted("explain")},
    ),
    Submission(
        "words",
        "altered",
        {"tasks": wrote(build="Build nothing.", end="More to come."), "mixed": retyped},
    ),
    Submission("words", "twice", {"essay": repeated("why", "My second thoughts.")}),
    Submission(
        "files",
        "right",
        {"data": right, "helper": right, "autotests": right},
        {"own.py": "NAME = 'theirs'\n"},
    ),
    Submission("files", "blank", {"data": as_released, "helper": as_released}),
    Submission(
        "files",
        "cheats",
        {"data": wrote(most="most = rows[0][1]"), "helper": wrote(own="mine = 'mine'")},
        {
            "data.csv": "eve,42\n",
            "helper.py": "def double(x):\n    raise ValueError\n",
            "more/deep.txt": "shallow",
            "most.txt": "42",
        },
    ),
    Submission(
        "files",
        "other_values",
        {
            "autotests": wrote(
                numbers="x = 5\ny = 0.251\nz = {'a': [1, 2]}", secret="word = 'Swordfish'"
            ),
            "data": executed,
        },
    ),
    Submission(
        "files",
        "other_types",
        {
            "autotests": wrote(
                numbers="x = 5.0\ny = 0\nz = []", secret="word = 'swordfish'\nlucky = [3, 4]"
            )
        },
    ),
    Submission("files", "more_than_asked", {"data": old_format, "scratch": right}),
    Submission("odd", "right", {"skipped": right, "slow": right, "awaited": right}),
    Submission(
        "odd", "blank", {"skipped": as_released, "slow": as_released, "awaited": as_released}
    ),
    Submission(
        "odd", "endless", {"slow": wrote(second="def second():\n    while True:\n        pass")}
    ),
    Submission(
        "odd",
        "asleep",
        {
            "slow": wrote(first="import time\nfirst = 1\ntime.sleep(100)"),
            "awaited": wrote(later="async def later(x):\n    return x"),
        },
    ),
    Submission("odd", "dies", {"slow": wrote(second="import os\nos._exit(1)"), "awaited": right}),
]


def handed_in(source: NotebookNode, released: NotebookNode, change: Change) -> NotebookNode:
    made = answered(released, **solved(source))
    made.metadata.stubs = {id: find(released, id).source for id in solved(source)}
    change(made)
    made.metadata.pop("stubs", None)
    return made


# Both graders.

GENERATE = """
import sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import PyFileConfigLoader

api = NbGraderAPI(config=PyFileConfigLoader("nbgrader_config.py").load_config())
for assignment in sys.argv[1:]:
    assert api.generate_assignment(assignment)["success"]
"""
AUTOGRADE = """
import sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import PyFileConfigLoader

api = NbGraderAPI(config=PyFileConfigLoader("nbgrader_config.py").load_config())
for place in sys.argv[1:]:  # one by one, for nbgrader gives up a class for a cell that came twice
    print(place, api.autograde(*place.split("/"))["success"])
"""


def make_course(folder: Path, config: str) -> Path:
    """The course as its instructor wrote it."""
    write(folder, {"nbgrader_config.py": config + SETTINGS})
    for assignment, sources in COURSE.items():
        made = {f"{name}.ipynb": source for name, source in sources.items()}
        write(folder / "source" / assignment, made | FILES.get(assignment, {}))
    return folder


def hand_in(folder: Path, released: Path) -> None:
    """Put into a course what forty students made of a release."""
    for one in SUBMISSIONS:
        place = folder / "submitted" / one.student / one.assignment
        for name, change in one.notebooks.items():
            source = COURSE[one.assignment].get(name, FUNCTIONS)
            path = released / one.assignment / f"{name}.ipynb"
            blank = nbformat.read(path, as_version=4) if path.exists() else source
            write(place, {f"{name}.ipynb": handed_in(source, blank, change)})
        write(place, one.files)


def run_python(folder: Path, code: str, *arguments: str) -> str:
    """Run a program in a course, and give what it printed."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": programs},  # nbgrader starts alembic by its name
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grade_with_stock(folder: Path) -> set[str]:
    """nbgrader's own steps. Gives the submissions that it gave up."""
    places = [f"{one.assignment}/{one.student}" for one in SUBMISSIONS]
    lines = run_python(folder, AUTOGRADE, *places).splitlines()
    return {line.split()[0] for line in lines if line.endswith("False")}


def grade_with_ours(folder: Path) -> None:
    code = "from autograder.cli import main; main()"
    for assignment in COURSE:
        run_python(folder, code, "grade", assignment, "--jobs", "2")


Shown = list[tuple[str, Any, list[tuple]]]


def shown(path: Path) -> Shown:
    """The code cells of an executed notebook: sources, numbers, and outputs as a reader sees them.

    Of a picture it is only compared that there is one, of an error its name and its words.
    """
    return [
        (cell.source, cell.execution_count, [_look(output) for output in cell.outputs])
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]


def _look(output: NotebookNode) -> tuple:
    match output.output_type:
        case "stream":
            # A cell has one name in a kernel, and another in our shell.
            text = re.sub(r"\S*ipy(thon-input|kernel_)\S*:(?=\d+:)", "CELL:", output.text)
            return output.output_type, output.name, text
        case "error" if output.ename == "CellTimeoutError":
            return output.output_type, output.ename  # ours says how long a cell may take
        case "error":
            return output.output_type, output.ename, re.sub(r"\(\S+, line", "(line", output.evalue)
    kinds = set(output.data) & {"text/plain", "image/png"}
    return output.output_type, output.data.get("text/plain"), sorted(kinds)


# Where they differ.

GIVEN_UP = {"basics/above", "basics/claims", "basics/twice", "odd/dies", "words/twice"}
"""What stock nbgrader stops at, so that a person has to repair it: a number above the points, a
test that says it is an answer, a cell that came twice, a process that ends."""

LOOPHOLES = {
    "a number below zero, or none at all, is full marks": {
        ("basics", "negative", "partial", "value_credit"): (3.0, 0.0),
        ("basics", "nan", "partial", "value_credit"): (3.0, 0.0),
    },
    "a student's tag keeps tests from being run": {
        ("basics", "skips", "functions", "fib_tests"): (3.0, 0.0),
    },
    "a submission that cannot be graded stops the grader": {
        ("basics", "above", "partial", "value_credit"): (None, 0.0),
        ("basics", "claims", "functions", "area_shown"): (None, 1.0),
        ("basics", "claims", "functions", "area_hidden"): (None, 2.0),
        ("basics", "claims", "functions", "fib_tests"): (None, 3.0),
        ("basics", "twice", "functions", "area_shown"): (None, 1.0),
        ("basics", "twice", "functions", "area_hidden"): (None, 2.0),
        ("basics", "twice", "functions", "fib_tests"): (None, 0.0),
        ("words", "twice", "essay", "why_not"): (None, 0.0),
        ("odd", "dies", "slow", "first_tests"): (None, 1.0),
        ("odd", "dies", "slow", "second_tests"): (None, 0.0),
        ("odd", "dies", "slow", "third_tests"): (None, 0.0),
    },
    "cells that a student deleted are not put back": {
        ("basics", "tests_gone", "functions", "area_hidden"): (None, 2.0),
        ("basics", "given_gone", "functions", "area_shown"): (0.0, 1.0),
        ("basics", "given_gone", "functions", "area_hidden"): (0.0, 2.0),
        ("words", "gone", "essay", "why"): (None, 0.0),
        ("words", "gone", "essay", "sketch"): (None, 0.0),
        ("words", "gone", "mixed", "explain"): (None, 0.0),
    },
}
"""Cells whose automatic scores differ, by what nbgrader lets happen: its score and ours. None is
no score: the cell waits for a person."""

DIFFERENT = {cell: scores for cells in LOOPHOLES.values() for cell, scores in cells.items()}


def test_forty_submissions_score_cell_for_cell_as_in_stock_nbgrader(tmp_path):
    assert len(SUBMISSIONS) >= 40 and sum(map(len, COURSE.values())) >= 12
    stock, ours = make_course(tmp_path / "stock", STOCK), make_course(tmp_path / "ours", OURS)
    run_python(stock, GENERATE, *COURSE)
    for course in (stock, ours):
        hand_in(course, stock / "release")
    assert grade_with_stock(stock) == GIVEN_UP
    grade_with_ours(ours)
    theirs, mine = all_scores(stock), all_scores(ours)
    assert len(theirs) > 400 and theirs.keys() == mine.keys()
    assert {place for place in theirs if theirs[place] != mine[place]} == DIFFERENT.keys()
    for place, (before, after) in DIFFERENT.items():
        points = theirs[place][2]
        assert (theirs[place], mine[place]) == (
            (before, before is None, points),
            (after, False, points),
        )
    touched = {place[:2] for place in DIFFERENT}
    for one in SUBMISSIONS:
        for name in COURSE[one.assignment].keys() & one.notebooks.keys():
            if (one.assignment, one.student) not in touched:
                path = Path("autograded", one.student, one.assignment, f"{name}.ipynb")
                assert shown(ours / path) == shown(stock / path), path


def all_scores(folder: Path) -> dict[tuple[str, ...], tuple[float | None, bool, float]]:
    return {
        (assignment, *place): scores
        for assignment in COURSE
        for place, scores in gradebook(folder, assignment).items()
    }
