"""Solutions by people who saw the release notebooks and nothing else, graded from end to end.

`students/psN.py` holds the answers of one of them, a cell after each `# %% id`. They are right, and
written in another hand than the reference: the grader must give them every point, and the release
notebook as it is handed out none.
"""

import json
import re
from pathlib import Path

import pytest

from autograder.course import Course
from autograder.demo import CONFIG
from autograder.grading import Grading
from vae_course.authoring.assignment import MACHINE
from vae_course.authoring.build import build_assignment, write

ANSWERS = sorted(Path(__file__).with_name("students").glob("ps*.py"))


def solved_by(path: Path, release: str) -> str:
    """The release notebook with a student's answers in its blanks."""
    _, *parts = re.split(r"^# %% (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    answers = dict(zip(parts[::2], parts[1::2], strict=True))
    notebook = json.loads(release)
    for cell in notebook["cells"]:
        id_ = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if id_ in answers:
            cell["source"] = answers.pop(id_).strip()
    assert not answers, f"{path}: the notebook has no cell for {', '.join(answers)}"
    return json.dumps(notebook)


@pytest.mark.long
@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_students_own_solution_earns_every_point_and_the_blank_none(path, tmp_path):
    name = path.stem
    built = build_assignment(name)
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    write(tmp_path, built)
    for student, notebook in (
        ("diligent", solved_by(path, built.release)),
        ("absent", built.release),
        ("reference", json.dumps(built.solved)),
    ):
        file = tmp_path / "submitted" / student / name / f"{name}.ipynb"
        file.parent.mkdir(parents=True)
        file.write_text(notebook)
    records = {entry["student"]: entry for entry in Grading(Course(tmp_path), name).run()}

    def lost(student: str) -> dict[str, str]:
        return {
            part["id"]: part["message"]
            for part in records[student]["exercises"]
            if part["kind"] == MACHINE and part["score"] < part["max_score"]
        }

    assert {entry["status"] for entry in records.values()} == {"graded"}
    assert lost("reference") == {}
    assert lost("diligent") == {}
    assert all(
        part["score"] == 0 for part in records["absent"]["exercises"] if part["kind"] == MACHINE
    )
