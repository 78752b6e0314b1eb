"""What a user installs from says the same thing everywhere."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "jupyter-client": "jupyter_client"}
# conda installs these from its own channel; pip has no such package or does not need one.
ONLY_CONDA = {"python", "pip", "bubblewrap"}


def requirement(line: str) -> tuple[str, str]:
    """Split "name>=1,<2" into its name and its bounds."""
    name, bounds = re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", line.replace(" ", "")).groups()
    return name.lower(), bounds


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (by_pip,) = (part["pip"] for part in listed if isinstance(part, dict))
    by_conda = [part for part in listed if isinstance(part, str)]
    packages = [*by_conda, *(line for line in by_pip if not line.startswith("--"))]
    return dict(map(requirement, packages))


def test_environment_repeats_the_names_and_bounds_of_pyproject(project, environment):
    wanted = dict(map(requirement, project["dependencies"]))
    wanted |= dict(map(requirement, project["optional-dependencies"]["test"]))
    wanted = {CONDA_NAMES.get(name, name): bounds for name, bounds in wanted.items()}
    listed = {name: bounds for name, bounds in environment.items() if name not in ONLY_CONDA}
    assert listed == wanted


def test_environment_asks_for_the_same_python_and_for_the_sandbox(project, environment):
    assert environment["python"] == project["requires-python"]
    assert "bubblewrap" in environment


def test_every_dependency_has_a_lower_bound(project):
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    assert [line for line in lines if ">=" not in line] == []


def test_every_third_party_import_is_declared(project):
    """A module that imports what nobody declared works only on its author's machine."""
    module_of = {"scikit-learn": "sklearn", "ipython": "IPython"}
    module_of |= {"jupyter-client": "jupyter_client", "pillow": "PIL"}
    module_of |= {"matplotlib-inline": "matplotlib_inline"}
    lines = project["dependencies"] + project["optional-dependencies"]["cluster"]
    declared = {requirement(line)[0] for line in lines}
    known = {module_of.get(name, name) for name in declared} | {"vae_course", "autograder"}
    known |= {"google"}  # Colab's own: imported there, and nowhere else
    undeclared = set()
    for package in ("vae_course", "autograder"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                else:
                    continue
                for name in names:
                    top = name.split(".")[0]
                    if top not in sys.stdlib_module_names and top not in known:
                        undeclared.add(f"{path.relative_to(ROOT)}: {top}")
    assert sorted(undeclared) == []
