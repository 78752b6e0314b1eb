"""The notebooks on Colab's own versions, without nbgrader and without the course's packages."""

import json
import subprocess

import pytest

from vae_course.authoring.assignment import list_assignments
from vae_course.authoring.build import build_assignment
from vae_course.authoring.kernel import Surroundings, run
from vae_course.authoring.subject import subject_of
from vae_course.authoring.verify import blocked_packages, judge_first_blank, judge_solved

pytestmark = pytest.mark.long

CELL_SECONDS = 300
ASK = """
import importlib.metadata, importlib.util, json, sys
found = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
ours = [name for name in ("vae_course", "autograder", "nbgrader") if importlib.util.find_spec(name)]
print(json.dumps([found, ours]))
"""


def test_the_versions_are_colabs_and_nothing_of_ours_is_there(colab_python, colab_pins, tmp_path):
    command = [colab_python, "-I", "-c", ASK, *colab_pins]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [colab_pins, []]


@pytest.mark.parametrize("name", list_assignments())
def test_a_release_opens_and_runs_to_the_first_blank(colab_python, name):
    subject = subject_of(build_assignment(name))
    result = run(subject.release, (), CELL_SECONDS, Surroundings(python=colab_python))
    assert [str(found) for found in judge_first_blank(subject, result)] == []


@pytest.mark.parametrize("name", list_assignments())
def test_a_solved_notebook_runs_to_its_end(colab_python, name):
    subject = subject_of(build_assignment(name))
    blocked = blocked_packages(subject) | {"nbgrader"}
    around = Surroundings(python=colab_python)
    result = run(subject.built.solved, blocked, CELL_SECONDS, around)
    assert [str(found) for found in judge_solved(subject, result)] == []
    code = [cell for cell in subject.built.solved["cells"] if cell["cell_type"] == "code"]
    assert result.ran == len(code)
