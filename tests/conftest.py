"""A small nbgrader course, whose kernels start in a second without torch; and a browser."""

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from hypothesis import settings
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

# How long an example takes is the machine's affair, and no test's: it may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Stands beside the notebook, where nbgrader copies it next to each submission. It publishes its
# verdicts in the form of the course's own judge.
JUDGE = """
from IPython.display import display

POINTS = {"tiny_double": 3.0, "tiny_half": 2.0}
TESTS = {"tiny_double": [(2, 4), (5, 10), (-1, -2)], "tiny_half": [(2, 1), (6, 3)]}


def grade(id, namespace):
    name, most, tests = id.removeprefix("tiny_"), POINTS[id], TESTS[id]
    each = most / len(tests)
    criteria = []
    for given, wanted in tests:
        try:
            got = namespace[name](given)
        except NotImplementedError:
            got = "nothing"
        except KeyError:
            got = "no such function"
        right = got == wanted
        criteria.append({
            "name": f"{name}({given})", "score": each * right, "max_score": each, "passed": right,
            "message": "" if right else f"`{name}({given})` gave {got}",
        })
    score = sum(part["score"] for part in criteria)
    message = next((part["message"] for part in criteria if not part["passed"]), "Right.")
    word = "pass" if score == most else "partial" if score else "fail"
    if message.endswith("nothing"):
        word = "blank"
    print(message)
    display({"application/vnd.vae-course.verdict+json": {
        "id": id, "score": score, "max_score": most, "verdict": word, "message": message,
        "misconception": None, "followed_through": False, "criteria": criteria, "seed": 7,
    }}, raw=True)
    return score
"""

CONFIG = """
from autograder import nbgrader_plugin

c = get_config()
nbgrader_plugin.configure(c, isolation="process")
c.SturdyExecute.warm_up = ""  # the kernels need no torch
"""

SOLUTIONS = {
    "tiny_double": "def double(x):\n    return 2 * x",
    "tiny_half": "def half(x):\n    return x / 2",
    "tiny_plain": "def plain(x):\n    return x + 1",
}


@dataclass
class TinyCourse:
    """A course in a folder, and ways to hand something in.

    Attributes:
        root: the folder.
        blank: what students get.
    """

    root: Path
    blank: NotebookNode

    def solved(self, **answers: str) -> NotebookNode:
        """The released notebook with right answers, or other ones by exercise."""
        notebook = copy.deepcopy(self.blank)
        for id, source in (SOLUTIONS | answers).items():
            self.find(notebook, f"{id}_answer").source = source
        return notebook

    def hand_in(self, student: str, content: NotebookNode | str | bytes) -> Path:
        """Put a file where a student's notebook is expected."""
        path = self.root / "submitted" / student / "tiny" / "tiny.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, NotebookNode):
            content = nbformat.writes(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @staticmethod
    def find(notebook: NotebookNode, id: str) -> NotebookNode:
        """The cell with an nbgrader id."""
        (found,) = (
            cell
            for cell in notebook.cells
            if cell.metadata.get("nbgrader", {}).get("grade_id") == id
        )
        return found


def _flags(id: str, points: float | None = None, **given: bool) -> dict:
    found = {"schema_version": 3, "grade_id": id, "grade": False, "solution": False, "task": False}
    found |= {"locked": False} | given
    return {"nbgrader": found if points is None else found | {"points": points}}


def _answer(id: str) -> NotebookNode:
    first, rest = SOLUTIONS[id].split("\n")
    source = f"{first}\n    ### BEGIN SOLUTION\n{rest}\n    ### END SOLUTION"
    return new_code_cell(source, metadata=_flags(f"{id}_answer", solution=True))


def _hidden(*lines: str) -> str:
    return "\n".join(["### BEGIN HIDDEN TESTS", *lines, "### END HIDDEN TESTS"])


def _judged(id: str, points: float) -> NotebookNode:
    call = f'grade("{id}", globals())'
    source = f"# Graded: some values\n{_hidden('from tiny_judge import grade', call)}"
    return new_code_cell(source, metadata=_flags(id, points, grade=True, locked=True))


def _source_notebook() -> NotebookNode:
    given = new_code_cell("import math", metadata=_flags("tiny_given", locked=True))
    given.metadata.tags = ["given"]
    check = new_code_cell("assert math.pi", metadata=_flags("tiny_check", locked=True))
    plain = "assert plain(1) == 2\n" + _hidden("assert plain(41) == 42, 'not forty-two'")
    cells = [
        new_markdown_cell("# A tiny assignment"),
        given,
        new_markdown_cell("## Twice as much\n\nFor every number."),
        _answer("tiny_double"),
        check,
        _judged("tiny_double", 3),
        new_markdown_cell("## Half as much"),
        _answer("tiny_half"),
        _judged("tiny_half", 2),
        new_markdown_cell("## One more"),
        _answer("tiny_plain"),
        new_code_cell(plain, metadata=_flags("tiny_plain", 4, grade=True, locked=True)),
        new_markdown_cell("## In words"),
        new_markdown_cell(
            "*Your answer:*\n\n### BEGIN MARK SCHEME\n1 point: it is secret\n### END MARK SCHEME",
            metadata=_flags("tiny_q", 2, grade=True, solution=True),
        ),
        new_markdown_cell(
            "## A drawing\n\nDraw something below.\n\n"
            "### BEGIN MARK SCHEME\n1: secret\n### END MARK SCHEME",
            metadata=_flags("tiny_task", 1, task=True, locked=True),
        ),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"tiny-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _make_source(root: Path) -> Path:
    folder = root / "source" / "tiny"
    folder.mkdir(parents=True)
    nbformat.write(_source_notebook(), folder / "tiny.ipynb")
    (folder / "tiny_judge.py").write_text(JUDGE)
    (root / "nbgrader_config.py").write_text(CONFIG)
    return root


SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1200,1600",
    # What a page wants from elsewhere is missing at once, with a network and without.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator:
    """A real browser without a window, driven by selenium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(switch)
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driven
    driven.quit()


@pytest.fixture(params=[1200, 390], ids=["screen", "phone"])
def fits(browser, request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Opens a page on a screen, and on a phone, and asserts that nothing is wider than that."""

    def check(page: Path) -> None:
        width = request.param
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(page.as_uri())
        for is_open in ("one.open", "true"):  # no table makes the page wider once it is shown
            browser.execute_script(
                f"document.querySelectorAll('details').forEach(one => one.open = {is_open})"
            )
            seen = browser.execute_script("""const page = document.documentElement;
                return [window.innerWidth, page.scrollWidth - page.clientWidth]""")
            assert seen == [width, 0]

    return check


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which nbgrader has released the assignment."""
    from nbgrader.converters import GenerateAssignment

    from autograder.course import Course

    root = _make_source(tmp_path_factory.mktemp("release"))
    Course(root).convert(GenerateAssignment, "tiny")
    return root


@pytest.fixture(scope="session")
def make_tiny_course(
    tmp_path_factory: pytest.TempPathFactory, tiny_release: Path
) -> Callable[[], TinyCourse]:
    """Makes courses that nobody handed anything in to yet; the gradebook knows the assignment."""

    def make() -> TinyCourse:
        root = _make_source(tmp_path_factory.mktemp("course"))
        shutil.copy(tiny_release / "gradebook.db", root)  # made anew, it takes seconds
        path = tiny_release / "release" / "tiny" / "tiny.ipynb"
        return TinyCourse(root, nbformat.read(path, as_version=4))

    return make


@pytest.fixture
def tiny_course(make_tiny_course: Callable[[], TinyCourse]) -> TinyCourse:
    """A course of its own for one test."""
    return make_tiny_course()
