"""Plain nbgrader notebooks: of a course that has never heard of this one.

What is built here is what an instructor writes and nbgrader's own documentation describes: answers
with their solutions marked, cells of tests, questions and tasks for a person, cells to be read.
"""

import copy
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.course import Course

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

STOCK = "c = get_config()\n"
OURS = "from autograder import nbgrader_plugin\nc = get_config()\nnbgrader_plugin.configure(c)\n"
"""The beginnings of an nbgrader_config.py: nbgrader as it comes, and with our steps in it."""

Scores = dict[tuple[str, str, str], tuple[float | None, bool, float]]
"""By student, notebook and cell: the automatic score, whether a person must look, the points."""


def flags(id: str, points: float | None = None, **given: bool) -> dict:
    """A cell's metadata for nbgrader."""
    found = {"schema_version": 3, "grade_id": id, "grade": False, "solution": False, "task": False}
    found |= {"locked": False} | given
    return {"nbgrader": found if points is None else found | {"points": points}}


def solution(source: str) -> str:
    """A region that students get a stub in place of."""
    return f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"


def hidden(source: str) -> str:
    """A region that students do not get."""
    return f"### BEGIN HIDDEN TESTS\n{source}\n### END HIDDEN TESTS"


def scheme(source: str) -> str:
    """A region for whoever grades by hand."""
    return f"### BEGIN MARK SCHEME\n{source}\n### END MARK SCHEME"


def answer(id: str, source: str) -> NotebookNode:
    """Code that cells of tests grade."""
    return new_code_cell(source, metadata=flags(id, solution=True))


def checks(id: str, points: float, source: str) -> NotebookNode:
    """A cell of tests."""
    return new_code_cell(source, metadata=flags(id, points, grade=True, locked=True))


def question(id: str, points: float, source: str, code: bool = False) -> NotebookNode:
    """Words or code that a person grades."""
    make = new_code_cell if code else new_markdown_cell
    return make(source, metadata=flags(id, points, grade=True, solution=True))


def task(id: str, points: float, source: str) -> NotebookNode:
    """What students answer in cells of their own, and a person grades."""
    return new_markdown_cell(source, metadata=flags(id, points, task=True, locked=True))


def given(id: str, source: str, code: bool = True, tags: tuple[str, ...] = ()) -> NotebookNode:
    """A cell that is to be read, and left as it is."""
    cell = (new_code_cell if code else new_markdown_cell)(source, metadata=flags(id, locked=True))
    if tags:
        cell.metadata.tags = list(tags)
    return cell


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook of these cells, the same each time it is built."""
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=list(cells), metadata={"kernelspec": dict(KERNEL)})


def find(made: NotebookNode, id: str) -> NotebookNode:
    """The cell with an nbgrader id."""
    (found,) = (
        cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == id
    )
    return found


def answered(released: NotebookNode, **sources: str) -> NotebookNode:
    """A copy in which a student wrote these cells."""
    made = copy.deepcopy(released)
    for id, source in sources.items():
        find(made, id).source = source
    return made


def solved(source: NotebookNode) -> dict[str, str]:
    """The instructor's own answers, by cell, as a student would write them."""
    marks = ("### BEGIN SOLUTION", "### END SOLUTION")
    return {
        cell.metadata.nbgrader.grade_id: "\n".join(
            line for line in cell.source.split("\n") if line.strip() not in marks
        )
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("solution") and marks[0] in cell.source
    }


def write(folder: Path, contents: Mapping[str, NotebookNode | str]) -> None:
    """Write notebooks and other files into a folder, by their names there."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else nbformat.writes(content))


def write_course(
    folder: Path,
    source: NotebookNode,
    submissions: Mapping[str, NotebookNode],
    config: str = OURS,
    assignment: str = "plain",
) -> Path:
    """A course with one assignment of one notebook, and what a class handed in."""
    write(folder, {"nbgrader_config.py": config})
    write(folder / "source" / assignment, {f"{assignment}.ipynb": source})
    for student, content in submissions.items():
        place = folder / "submitted" / student / assignment
        write(place, {f"{assignment}.ipynb": content})
    return folder


def gradebook(folder: Path, assignment: str = "plain") -> Scores:
    """What nbgrader's gradebook says of each graded cell of each submission."""
    with Course(folder).gradebook() as found:
        return {
            (submission.student.id, one.name, grade.name): (
                grade.auto_score,
                grade.needs_manual_grade,
                grade.max_score,
            )
            for submission in found.assignment_submissions(assignment)
            for one in submission.notebooks
            for grade in one.grades
        }
