"""Release and solved notebooks: nbgrader's own work, and a starter where one belongs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae_course.authoring.assignment import load_assignment
from vae_course.authoring.build import write
from vae_course.authoring.notebook import KEY, dumps, loads, source_notebook
from vae_course.authoring.outline import outline
from vae_course.authoring.release import release_notebook
from vae_course.errors import CourseError


def released(built):
    return {cell["id"]: cell for cell in loads(built.release)["cells"]}


def test_solutions_hidden_tests_and_schemes_are_gone_and_prompts_stay(tiny):
    cells = released(tiny.build("ps1"))
    area = cells["ps1_area_answer"]["source"]
    assert area.endswith('    """\n    # YOUR CODE HERE\n    raise NotImplementedError()')
    assert cells["ps1_area"]["source"] == (
        "# Graded: areas of several discs (2 points)\n"
        "# Nothing to do here: the tests come in when your notebook is graded."
    )
    assert cells["ps1_why"]["source"] == "*Your answer (at most 50 words):*\n\nYOUR ANSWER HERE"
    assert cells["ps1_explore"]["source"].strip() == "Draw some discs in cells of your own below."
    assert "radius" not in cells["ps1_explore"]["source"]


def test_flags_and_points_are_nbgraders(tiny):
    cells = released(tiny.build("ps1"))
    flags = {id_: cell["metadata"].get("nbgrader", {}) for id_, cell in cells.items()}

    def of(id_):
        keys = ("grade", "solution", "locked", "task", "points")
        return tuple(flags[id_].get(key) for key in keys)

    assert of("ps1_area_answer") == (False, True, False, False, None)
    assert of("ps1_area_check") == (False, False, True, False, None)
    assert of("ps1_area") == (True, False, True, False, 2)
    assert of("ps1_why") == (True, True, False, False, 2)
    assert of("ps1_explore") == (False, False, True, True, 3)
    assert of("given-twice") == of("setup") == (False, False, True, False, None)


def test_a_starter_takes_the_place_of_its_solution(tiny):
    built = tiny.build("ps2")
    source = {cell["id"]: cell for cell in loads(built.source)["cells"]}
    answer = released(built)["ps2_halve_answer"]
    assert "partial(_scale" in source["ps2_halve_answer"]["source"]
    assert answer["source"].endswith("return x - 1  # something is wrong here")
    assert "partial" not in str(answer)
    assert "starter" not in answer["metadata"][KEY]


def test_solved_notebook_runs_and_holds_no_hidden_test(tiny):
    solved = tiny.build("ps2").solved
    code = "\n".join(c["source"] for c in solved["cells"] if c["cell_type"] == "code")
    assert "autograder" not in code and "SOLUTION" not in code
    namespace: dict = {}
    exec(code, namespace)
    assert namespace["halve"](10.0) == 5.0
    assert namespace["Shape"](2.0).area == pytest.approx(12.566, abs=1e-3)


def test_nbgraders_refusal_is_one_line(tiny):
    source = source_notebook(outline(load_assignment("ps1")))
    source["cells"][-1]["source"] += "\n### BEGIN SOLUTION"
    with pytest.raises(CourseError, match=r"nbgrader refuses.*no end solution") as caught:
        release_notebook("ps1", dumps(source))
    assert "\n" not in str(caught.value)


CONFIG = """
from vae_course.authoring import release
release.configure(get_config())
"""


def generate_assignment(course: Path, name: str) -> None:
    """Plain nbgrader on a real course, as an instructor runs it."""
    beside = str(Path(sys.executable).parent)
    root = str(Path(__file__).parents[3])
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([beside, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", name],
        cwd=course,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["ps1", "ps2"])
def test_plain_nbgrader_releases_the_same_bytes(tiny, name):
    built = tiny.build(name)
    write(tiny.course, built)
    release = tiny.course / "release" / name / f"{name}.ipynb"
    release.unlink()
    release.parent.rmdir()
    (tiny.course / "nbgrader_config.py").write_text(CONFIG)
    generate_assignment(tiny.course, name)
    assert release.read_text() == built.release
