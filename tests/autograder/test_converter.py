"""Autograding in one pass comes to what nbgrader's two come to."""

import copy
import json
from pathlib import Path
from typing import ClassVar

from nbgrader.converters import Autograde
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.converter import AutogradeInOnePass
from autograder.course import Course


def hand_in(course) -> None:
    """What is right, what was tampered with, and what reads a file beside it."""
    deleted, doubled = course.solved(), course.solved()
    deleted.cells.remove(course.find(deleted, "tiny_double"))
    doubled.cells.append(copy.deepcopy(course.find(doubled, "tiny_double")))
    read = "def double(x):\n    return 2 * x\nprint(open('notes.txt').read())"
    course.hand_in("deleted", deleted)
    course.hand_in("doubled", doubled)
    course.hand_in("old", course.solved(tiny_double="def double(x):\n    return 2"))
    course.hand_in("reads", course.solved(tiny_double=read))
    folder = course.root / "submitted" / "reads" / "tiny"
    (folder / "notes.txt").write_text("what I noted")
    path = course.root / "submitted" / "old" / "tiny" / "tiny.ipynb"
    notebook = json.loads(path.read_text()) | {"nbformat_minor": 2}
    for cell in notebook["cells"]:
        del cell["id"]
    path.write_text(json.dumps(notebook))


def outcome(course, converter) -> dict:
    """What was written and recorded of each student."""
    graded, found = Course(course.root), {}
    for student in graded.students("tiny"):
        graded.convert(converter, "tiny", student)
        folder = graded.folder("autograded", "tiny", student)
        notebook = json.loads((folder / "tiny.ipynb").read_text())
        ids = [cell.pop("id", None) for cell in notebook["cells"]]  # new cells' are drawn
        for cell in notebook["cells"]:
            cell["metadata"].pop("execution", None)  # at what time
        files = sorted(path.name for path in folder.iterdir())
        with graded.gradebook() as gradebook:
            entry = gradebook.find_submission_notebook("tiny", "tiny", student)
            grades = {one.name: (one.auto_score, one.needs_manual_grade) for one in entry.grades}
            notes = {one.name: one.auto_comment for one in entry.comments}
        found[student] = (notebook, len(set(ids)), files, grades, notes)
    return found


def test_one_pass_writes_and_records_what_two_do(make_tiny_course, monkeypatch):
    monkeypatch.setenv("AUTOGRADER_SEED", "3")
    outcomes = []
    for converter in (Autograde, AutogradeInOnePass):
        course = make_tiny_course()
        hand_in(course)
        outcomes.append(outcome(course, converter))
    assert outcomes[0] == outcomes[1]
    assert "what I noted" in json.dumps(outcomes[1]["reads"][0])


class Look(NbGraderPreprocessor):
    """Notes which notebooks lie in the folder in which one is about to be run."""

    seen: ClassVar[list[list[str]]] = []

    def preprocess(self, nb, resources):
        folder = Path(resources["metadata"]["path"])
        self.seen.append([path.name for path in folder.glob("*.ipynb")])
        return nb, resources


def test_no_notebook_lies_in_autograded_before_it_was_run(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    course = Course(tiny_course.root)
    course.config.Autograde.autograde_preprocessors = [Look]
    course.convert(Autograde, "tiny", "ada")
    course.convert(AutogradeInOnePass, "tiny", "ada")
    assert Look.seen == [["tiny.ipynb"], []]
