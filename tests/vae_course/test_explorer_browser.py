"""The latent-space explorer in JupyterLab in a real browser, with the keyboard alone."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
JUPYTER = Path(sys.executable).with_name("jupyter-lab")
ROOT = Path(__file__).parents[2]
NOTEBOOK = """
import torch
from vae_course.plots import explore_latents

explore_latents(lambda z: torch.sigmoid(z[:, :4]).view(-1, 1, 2, 2), torch.zeros(5), "Lamps")
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER and JUPYTER.exists()),
        reason="chromium, chromedriver or JupyterLab is not installed",
    ),
]


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serve a folder; gives the address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [str(JUPYTER), "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token="]
    environment = os.environ | {"HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    environment["PYTHONPATH"] = str(ROOT)
    environment.pop("NBGRADER_EXECUTION", None)
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                running = server.poll() is None and time.monotonic() < deadline
                assert running, (folder / "server.log").read_text()
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def test_sliders_are_reached_moved_and_reset_from_the_keyboard(tmp_path: Path) -> None:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    cell = nbformat.v4.new_code_cell(NOTEBOOK.strip())
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "lamps.ipynb")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,900"):
        options.add_argument(switch)

    with jupyter_lab(tmp_path) as address:
        browser = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:

            def until(what: Callable[[], object], message: str, seconds: float = 90) -> None:
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    # The page redraws itself under our hands: what is gone is looked for again.
                    with contextlib.suppress(WebDriverException):
                        if what():
                            return
                    time.sleep(0.5)
                raise AssertionError(message)

            def press(*keys: str) -> None:
                browser.switch_to.active_element.send_keys(*keys)

            def focused() -> tuple[str, str]:
                element = browser.switch_to.active_element
                return element.get_attribute("role") or element.tag_name, element.text

            def alt() -> str:
                picture = browser.find_element(By.CSS_SELECTOR, "img[alt^='Lamps: the image']")
                return picture.get_attribute("alt")

            def run_the_cell() -> bool:
                if not browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea [role=slider]"):
                    browser.find_element(By.CSS_SELECTOR, ".jp-CodeCell .cm-content").click()
                    press(Keys.CONTROL, Keys.ENTER)
                    time.sleep(10)
                return bool(browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea [role=slider]"))

            browser.get(f"{address}/lab/tree/lamps.ipynb?reset")
            until(run_the_cell, "no sliders", seconds=150)
            until(lambda: "z[0] = 0.0" in alt(), "no picture")
            # Of all that the front end is offered it shows the sliders, and only them.
            assert not browser.find_elements(By.CSS_SELECTOR, "img[alt*='a row of']")

            press(Keys.ESCAPE)
            for _ in range(20):
                press(Keys.TAB)
                if focused()[0] == "slider":
                    break
            assert focused()[0] == "slider"
            for _ in range(5):
                press(Keys.ARROW_RIGHT)
            until(lambda: "z[0] = 0.5, z[1] = 0.0" in alt(), "the arrow keys move nothing")
            for _ in range(20):
                press(Keys.TAB)
                if focused() == ("button", "Reset"):
                    break
            assert focused() == ("button", "Reset")
            press(Keys.ENTER)
            until(lambda: "z[0] = 0.0, z[1] = 0.0" in alt(), "Reset does not put it back")
        finally:
            browser.quit()
