"""Other environments: virtual ones with versions of their own, made once and kept in build/."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What Colab's runtime has of what the notebooks import, and what runs them there. The list as of
# today: https://github.com/googlecolab/backend-info/blob/main/pip-freeze.txt
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "scikit-learn": "1.6.1",
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "ipykernel": "6.17.1",
    "ipython": "7.34.0",
    "ipywidgets": "7.7.1",
}
# Of these Colab's version moves with every release.
COLAB_TOO = ("tqdm", "scipy")


def lowest(lines: Sequence[str]) -> dict[str, str]:
    """The lower bound of each requirement."""
    return dict(re.match(r"([\w.-]+) *>= *([\w.]+)", line).groups() for line in lines)


def lowest_declared() -> dict[str, str]:
    """The lower bounds of pyproject.toml, those of the tests included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return lowest(project["dependencies"] + project["optional-dependencies"]["test"])


def pins(versions: dict[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in versions.items()]


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory) -> Callable[[str, list[str]], Path]:
    """Makes a virtual environment of this Python, or finds the one that an earlier run made."""

    def make(name: str, requirements: list[str]) -> Path:
        wanted = "\n".join(sorted([*requirements, sys.version]))
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
        folder = ROOT / "build" / "environments" / f"{name}-{digest}"
        python, ready = folder / "bin" / "python", folder / "ready"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two workers of one run want the same
            if ready.is_file():
                return python
            probe_index(tmp_path_factory.mktemp("probe"))
            for old in folder.parent.glob(f"{name}-*"):  # each holds gigabytes
                shutil.rmtree(old)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
            done = subprocess.run(
                [*pip, "install", *requirements], capture_output=True, text=True, timeout=3600
            )
            assert done.returncode == 0, done.stderr[-3000:]
            ready.write_text(wanted)  # last: without it, the folder is made anew
        return python

    return make


def probe_index(folder: Path) -> None:
    """Skip where there is no package index; what fails afterwards is a failure of the pins."""
    pip = [sys.executable, "-m", "pip", "--retries", "1", "--timeout", "15"]
    command = [*pip, "download", "--no-deps", "--no-cache-dir", "-d", folder, "tqdm==4.67.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"no package index is in reach, so no other versions to try ({said})")


@pytest.fixture(scope="session")
def colab_pins() -> dict[str, str]:
    """By name, the versions that Colab has."""
    return COLAB


@pytest.fixture(scope="session")
def lowest_pins() -> dict[str, str]:
    """By name, the lowest versions that the course declares."""
    return lowest_declared()


@pytest.fixture(scope="session")
def colab_python(make_environment) -> Path:
    """A Python with what Colab has, and nothing of the course."""
    return make_environment("colab", [*pins(COLAB), *COLAB_TOO])


@pytest.fixture(scope="session")
def lowest_python(make_environment) -> Path:
    """A Python with the lowest versions that the course declares, and with the course itself."""
    return make_environment("lowest", [*pins(lowest_declared()), "--editable", f"{ROOT}[test]"])


@pytest.fixture
def outside() -> dict[str, str]:
    """The variables for a program that is to know nothing of the run that starts it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return kept | {"PYTHONPATH": str(ROOT)}
