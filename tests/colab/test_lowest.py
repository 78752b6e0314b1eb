"""The quick tests on the lowest versions that pyproject.toml declares."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def same(version: str) -> list[str]:
    """A version's parts; "2.6" and "2.6.0" are one, and so are 2.6.0 and 2.6.0+cpu."""
    parts = version.partition("+")[0].split(".")
    return parts + ["0"] * (4 - len(parts))


@pytest.mark.long
def test_every_lower_bound_is_installed_exactly(lowest_python, lowest_pins, tmp_path):
    command = [lowest_python, "-I", "-c", ASK, *lowest_pins]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    there = {name: same(version) for name, version in json.loads(said).items()}
    assert there == {name: same(version) for name, version in lowest_pins.items()}


@pytest.mark.long
def test_the_quick_tests_pass_on_the_lowest_versions(lowest_python, outside):
    pytest_ = [lowest_python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*pytest_, "-n", "2", "--dist", "worksteal", "-m", "not long", "tests"],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100


def test_the_lowest_versions_are_read_from_the_bounds(lowest_pins):
    assert lowest_pins["torch"] == "2.6" and lowest_pins["nbgrader"] == "0.9.5"
    assert {"numpy", "pytest", "ipykernel"} <= set(lowest_pins)
