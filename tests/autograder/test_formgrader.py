"""nbgrader's formgrader in a real browser, on a course that this program graded."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat.v4 import new_raw_cell
from nbgrader.api import MissingEntry

from autograder.course import Course
from autograder.grading import Grading
from autograder.sandbox.outside import problem


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def formgrader(root: Path, home: Path) -> Iterator[str]:
    """Serve the formgrader on a course; gives its address."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("jupyter")),
        "server",
        "--allow-root",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}",
    ]
    environment = os.environ | {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        address = f"http://127.0.0.1:{port}/formgrader"
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            except OSError:
                running = server.poll() is None and time.monotonic() < deadline
                assert running, log.read_text()
                time.sleep(0.3)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.mark.long
def test_the_class_is_shown_and_an_answer_can_be_scored(tiny_course, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    answered = tiny_course.solved(tiny_half="half = abs")
    tiny_course.find(answered, "tiny_q").source = "An answer in words."
    tiny_course.hand_in("ada", answered)
    tiny_course.hand_in("ben", tiny_course.blank)
    course = Course(tiny_course.root)
    list(Grading(course, "tiny").run())
    wait = WebDriverWait(browser, 60)

    def rows() -> list[str]:
        return [row.text for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr")]

    def score_in_gradebook() -> float | None:
        with course.gradebook() as gradebook:
            return gradebook.find_grade("tiny_q", "tiny", "tiny", "ada").manual_score

    with formgrader(tiny_course.root, tmp_path) as address:
        browser.get(f"{address}/manage_submissions/tiny")
        wait.until(lambda _: len(rows()) == 2)
        (ada,), (ben,) = ([row for row in rows() if name in row] for name in ("ada", "ben"))
        assert "7 / 12" in ada and "needs manual grading" in ada
        assert "0 / 12" in ben

        browser.get(f"{address}/gradebook/tiny/tiny")
        wait.until(lambda _: len(rows()) == 2)
        place = next(index for index, row in enumerate(rows()) if "7 / 12" in row)
        row = browser.find_elements(By.CSS_SELECTOR, "tbody tr")[place]
        row.find_element(By.PARTIAL_LINK_TEXT, "Submission #").click()

        wait.until(lambda _: browser.find_elements(By.ID, "tiny_q"))
        page = browser.find_element(By.TAG_NAME, "body").text
        assert "An answer in words." in page
        machine = browser.find_element(By.ID, "tiny_half")
        wait.until(lambda _: machine.get_attribute("placeholder") == "0")
        # The message of the check stands at the answer, where a person may write over it.
        assert browser.find_elements(By.CSS_SELECTOR, "textarea[placeholder*='half(2)']")

        field = browser.find_element(By.ID, "tiny_q")
        field.send_keys("1.5", Keys.TAB)
        wait.until(lambda _: score_in_gradebook() == 1.5)

        browser.get(f"{address}/manage_submissions/tiny")
        wait.until(lambda _: any("8.5 / 12" in row for row in rows()))
    graded = {entry["student"]: entry for entry in Grading(course, "tiny").run()}
    asked = graded["ada"]["exercises"][3]
    assert (asked["score"], asked["pending"]) == (1.5, False)


RUNS = "document.title='mine'"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUNS}"><script>{RUNS}</script></svg>'
ANSWER = f"""# tiny_q

A *worded* answer, with $\\frac{{a}}{{b}}$:

- one point
- another

| a | b |
|---|---|
| 1 | 2 |

<script>{RUNS}</script> <img src="x" onerror="{RUNS}"> <input class="score" id="tiny_q">

[a link](javascript:{RUNS}) and <a id="mine" href="java&#115;cript:{RUNS}" onclick="{RUNS}">more</a>

{SVG}

![attached](attachment:a.png) ![no picture](attachment:b.png) [paper](https://arxiv.org/abs/1)
"""
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
DISPLAYS = f"""from IPython.display import HTML, Javascript, display
display(HTML({SVG!r}), Javascript({RUNS!r}))
display({{"text/html": "<script>{RUNS}</script>", "text/plain": "shown as text"}}, raw=True)
def double(x):
    return 2 * x"""


def test_nothing_that_a_student_wrote_runs_there_and_all_can_be_read(
    tiny_course, browser, tmp_path
):
    """On the page on which an instructor, logged in, grades: without the sandbox, which takes away
    much of that before."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    answered = tiny_course.solved(tiny_double=DISPLAYS)
    asked = tiny_course.find(answered, "tiny_q")
    asked.source = ANSWER
    asked["attachments"] = {
        "a.png": {"image/gif": PIXEL},
        "b.png": {f'image/png" onerror="{RUNS}': PIXEL},
    }
    answered.cells.append(new_raw_cell(f"<script>{RUNS}</script>"))
    tiny_course.hand_in("ada", answered)
    course = Course(tiny_course.root)
    list(Grading(course, "tiny").run())
    assert RUNS in course.folder("autograded", "tiny", "ada").joinpath("tiny.ipynb").read_text()
    with course.gradebook() as gradebook:
        page = gradebook.find_submission_notebook("tiny", "tiny", "ada").id

    def found(css: str) -> list:
        return browser.find_elements(By.CSS_SELECTOR, css)

    with formgrader(tiny_course.root, tmp_path) as address:
        browser.get(f"{address}/submissions/{page}/")
        score = WebDriverWait(browser, 60).until(lambda _: found("#tiny_q")[0])
        WebDriverWait(browser, 60).until(lambda _: score.get_attribute("placeholder") is not None)
        for link in found(".rendered_html a"):
            if link.text in ("a link", "more"):
                link.click()
        assert browser.title == "tiny"
        assert len(found("#tiny_q")) == 1 and score.tag_name == "input"
        assert not found("#notebook script, #notebook svg, [onerror], [onclick*=mine], #mine")
        answer = score.find_element(By.XPATH, "./ancestor::div[contains(@class,'nbgrader_cell')]")
        for text in ("A worded answer", r"$\frac{a}{b}$", "<script>", "a link"):
            assert text in answer.text
        assert [item.text for item in answer.find_elements(By.TAG_NAME, "li")] == [
            "one point",
            "another",
        ]
        assert len(answer.find_elements(By.CSS_SELECTOR, "td")) == 2
        picture = answer.find_element(By.CSS_SELECTOR, "img[alt=attached]")
        assert picture.get_property("naturalWidth") == 1
        hrefs = {link.get_attribute("href") for link in answer.find_elements(By.TAG_NAME, "a")}
        assert hrefs - {None, ""} == {"https://arxiv.org/abs/1"}
        assert "shown as text" in browser.find_element(By.ID, "notebook").text


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
@pytest.mark.long
def test_the_autograde_button_grades_in_the_sandbox(tiny_course, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    config = tiny_course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace('isolation="process"', 'isolation="sandbox"'))
    outside = tmp_path / "outside"
    writes = f"open({str(outside)!r}, 'w').write('x')"
    answer = f"try:\n    {writes}\nexcept OSError:\n    pass\n\n\ndef double(x):\n    return 2 * x"
    tiny_course.hand_in("ada", tiny_course.solved(tiny_double=answer))
    course = Course(tiny_course.root)
    course.enter("tiny", tmp_path / "release")
    wait = WebDriverWait(browser, 180)

    def score() -> float | None:
        with course.gradebook() as gradebook:
            try:
                return gradebook.find_grade("tiny_double", "tiny", "tiny", "ada").auto_score
            except MissingEntry:
                return None

    with formgrader(tiny_course.root, tmp_path) as address:
        browser.get(f"{address}/manage_submissions/tiny")
        wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "td.autograde a"))
        browser.find_element(By.CSS_SELECTOR, "td.autograde a").click()
        wait.until(lambda _: score() is not None)
    assert score() == 3 and not outside.exists()
