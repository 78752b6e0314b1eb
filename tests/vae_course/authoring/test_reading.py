"""Notebooks as they are read: on a phone, with the keyboard alone, in a real browser."""

import ast
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from PIL import Image, ImageDraw
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from vae_course.authoring import imports
from vae_course.authoring.assignment import list_assignments, load_assignment
from vae_course.authoring.build import build_assignment
from vae_course.authoring.notebook import Json, loads
from vae_course.authoring.pictures import picture_path, write_picture
from vae_course.authoring.reference import find_object, needs

ROOT = Path(__file__).parents[3]
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}

# What stands out of the page to the right. Tables and code scroll in a box of their own, and
# formulas too where they are set; the words around them must not have to.
OVERFLOWING = """
return [...document.querySelectorAll('.jp-RenderedMarkdown *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !e.closest('table, pre, mjx-container');
}).map(e => e.tagName + ': ' + e.textContent.slice(0, 60));
"""


def page_of(release: str, folder: Path) -> str:
    """The release as nbconvert's HTML; returns its address."""
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(nbformat.reads(release, as_version=4))
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


def folds_of(release: Json) -> int:
    return sum(cell["source"].count("<summary>") for cell in release["cells"])


def as_phone(browser) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)


def check_phone(browser) -> None:
    """No prose needs to be scrolled sideways, and the page as a whole does not move either."""
    browser.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
    assert browser.execute_script(OVERFLOWING) == []


def tab_through(browser, done: Callable[[], bool], most: int) -> None:
    """Press Tab until all is done, or so often that it never will be."""
    for _ in range(most):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if done():
            return


@pytest.fixture
def shown(tiny, browser, tmp_path) -> str:
    """The address of a page with hints, a picture, a wide table and a long line of code."""
    tiny.change(
        "ps1.md",
        "```{code-cell}\nvalue = area(2.0)\n",
        f"| {' | '.join(['a wide column'] * 9)} |\n{'|---' * 9}|\n{'| x ' * 9}|\n\n"
        "```{code-cell}\n---\npicture: ps1_disc\n---\nvalue = area(2.0)\n"
        f"many = [{', '.join(map(str, range(60)))}]\n",
    )
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).ellipse((300, 0, 600, 300), fill="black")
    image.save(tmp_path / "disc.png")
    path = picture_path(load_assignment("ps1"), "ps1_disc")
    write_picture(path, (tmp_path / "disc.png").read_bytes(), "A black disc", "Our own run.")
    return page_of(tiny.build().release, tmp_path)


def test_hints_and_pictures_open_from_the_keyboard_and_fit_a_phone(shown, browser):
    as_phone(browser)
    browser.get(shown)
    folds = browser.find_elements(By.TAG_NAME, "summary")
    assert [fold.text for fold in folds] == ["Hint 1: a number", "What you should see"]
    picture = browser.find_element(By.CSS_SELECTOR, "details img")
    assert not picture.is_displayed()
    reached = []

    def open_what_is_reached() -> bool:
        here = browser.switch_to.active_element
        if here.tag_name == "summary":
            reached.append(here.text)
            here.send_keys(Keys.ENTER)
        return len(reached) == 2

    tab_through(browser, open_what_is_reached, 80)
    assert reached == ["Hint 1: a number", "What you should see"]
    assert picture.is_displayed() and picture.accessible_name == "A black disc"
    assert picture.get_property("naturalWidth") == 480 > picture.size["width"] > 200
    check_phone(browser)


def test_prose_that_is_too_wide_for_a_phone_would_be_noticed(tiny, browser, tmp_path):
    as_phone(browser)
    browser.get(page_of(tiny.build().release, tmp_path))
    check_phone(browser)
    browser.execute_script("document.querySelectorAll('p').forEach(e => e.style.width = '900px')")
    with pytest.raises(AssertionError):
        check_phone(browser)


@pytest.mark.long
@pytest.mark.parametrize("name", list_assignments())
def test_a_real_release_is_read_on_a_phone_and_with_the_keyboard(name, browser, tmp_path):
    built = build_assignment(name)
    as_phone(browser)
    browser.get(page_of(built.release, tmp_path))
    number = folds_of(loads(built.release))
    assert len(browser.find_elements(By.TAG_NAME, "summary")) == number > 0
    seen = set()

    def all_seen() -> bool:
        here = browser.switch_to.active_element
        if here.tag_name == "summary":
            seen.add(here.id)
        return len(seen) == number

    tab_through(browser, all_seen, 1500)
    assert len(seen) == number
    check_phone(browser)


# ---- JupyterLab -------------------------------------------------------------------------------


@contextlib.contextmanager
def jupyterlab(folder: Path, home: Path) -> Iterator[str]:
    """Serve a folder with JupyterLab, as a student would; gives its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    home.mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
        *("--LabApp.news_url=", f"--ServerApp.root_dir={folder}"),
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NBGRADER_EXECUTION"},
        **{"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")},
    }
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.mark.long
@pytest.mark.parametrize("name", list_assignments()[:1])
def test_in_jupyterlab_the_keyboard_reaches_every_hint(name, browser, tmp_path):
    built = build_assignment(name)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / f"{name}.ipynb").write_text(built.release, encoding="utf-8")
    number = folds_of(loads(built.release))
    seen = set()

    def all_seen() -> bool:
        here = browser.execute_script(
            "const e = document.activeElement;"
            "return e.tagName == 'SUMMARY' ? e.closest('.jp-Cell').textContent : '';"
        )
        if here:
            seen.add((here, browser.switch_to.active_element.text))
        return len(seen) == number

    with jupyterlab(folder, tmp_path / "home") as address:
        browser.get(f"{address}/doc/tree/{name}.ipynb?reset")
        WebDriverWait(browser, 120).until(lambda b: b.find_elements(By.TAG_NAME, "summary"))
        time.sleep(5)  # until the first cells no longer move
        tab_through(browser, all_seen, 1500)
        assert len(seen) == number
        fold = next(e for e in browser.find_elements(By.TAG_NAME, "summary") if e.is_displayed())
        browser.execute_script("arguments[0].focus()", fold)
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert fold.find_element(By.XPATH, "..").get_property("open")
        as_phone(browser)
        browser.get(f"{address}/doc/tree/{name}.ipynb?reset")
        WebDriverWait(browser, 120).until(lambda b: b.find_elements(By.TAG_NAME, "h1"))
        time.sleep(5)
        check_phone(browser)


def explorer_notebook() -> Json:
    """A notebook with sliders over a decoder that anyone can check, and the last cell of ps1."""
    closure = needs([find_object("vae_course.plots.explore_latents")])
    given = [imports.render(closure.imports), *(one.source for one in closure.objects)]
    play = (
        "def decode(z):\n    return torch.sigmoid(z[:, :1]).reshape(-1, 1, 1, 1).repeat(1, 1, 8, 8)"
        "\n\n\nexplore_latents(decode, torch.zeros(3), 'Grey', dims=2)"
    )
    last = loads(build_assignment("ps1").release)["cells"][-1]
    tree = ast.parse(last["source"])
    call = ast.get_source_segment(last["source"], tree.body[-1])
    last["source"] = last["source"].replace(call, "look_over('ps1', [])")
    cells = [
        nbformat.v4.new_code_cell("\n\n\n".join(given)),
        nbformat.v4.new_code_cell(play),
        nbformat.from_dict(last),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.long
def test_in_jupyterlab_sliders_and_the_last_cell_work_from_the_keyboard(browser, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    nbformat.write(explorer_notebook(), folder / "ps1.ipynb")
    wait = WebDriverWait(browser, 120)

    def press(*keys: str) -> None:
        browser.switch_to.active_element.send_keys(*keys)

    def words() -> str:
        # In one step: the picture is put in anew at each move.
        return browser.execute_script("return document.querySelector('.widget-html img')?.alt")

    def said() -> str:
        found = browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output")
        return found[-1].text if found else ""

    with jupyterlab(folder, tmp_path / "home") as address:
        browser.get(f"{address}/doc/tree/ps1.ipynb?reset")
        wait.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")) == 3)
        time.sleep(5)
        browser.find_element(By.CSS_SELECTOR, ".jp-CodeCell .cm-content").click()
        for _ in range(3):
            press(Keys.SHIFT + Keys.ENTER)
        wait.until(lambda _: "not in the saved file" in said())
        press(Keys.CONTROL + "s")
        counts = [1, 2, 3]
        wait.until(lambda _: saved_counts(folder / "ps1.ipynb")[:3] == counts)
        browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-InputPrompt")[2].click()
        press(Keys.CONTROL + Keys.ENTER)
        wait.until(lambda _: said().startswith("Complete: all 0 exercises"))

        before = words()
        assert "z[0] = 0.0, z[1] = 0.0" in before
        on_handle = (
            "return document.activeElement.classList.contains('noUi-handle') ||"
            "document.activeElement.getAttribute('role') == 'slider'"
        )
        browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-InputPrompt")[1].click()
        tab_through(browser, lambda: browser.execute_script(on_handle), 40)
        assert browser.execute_script(on_handle)
        press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        wait.until(lambda _: "z[0] = 0.2, z[1] = 0.0" in (words() or ""))


def saved_counts(path: Path) -> list:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell.get("execution_count") for cell in cells]
