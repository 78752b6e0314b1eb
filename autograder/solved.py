"""The right answers, as they stand in a notebook. They are for the judge's own process."""

import functools

from autograder.notebooks import ANSWER
from vae_course.authoring.assignment import load_assignment
from vae_course.authoring.notebook import dumps, loads, source_notebook
from vae_course.authoring.outline import outline


@functools.cache
def source(assignment: str) -> str:
    """An assignment's source notebook, made from its text: answers and what grades them.

    Raises:
        CourseError: there is no such assignment, or its text is wrong.
    """
    return dumps(source_notebook(outline(load_assignment(assignment))))


@functools.cache
def code_cells(assignment: str) -> dict[str, str]:
    """The code of an assignment's solved notebook, by the cells' ids, but for what grades it.

    Raises:
        CourseError: there is no such assignment, or its text is wrong.
    """
    graded = {exercise.id for exercise in load_assignment(assignment).exercises}
    return {
        cell["id"]: "".join(cell["source"])
        for cell in loads(source(assignment))["cells"]
        if cell["cell_type"] == "code" and cell["id"] not in graded
    }


def answer(exercise: str) -> str:
    """The right answer to an exercise: its answer cell.

    Raises:
        CourseError: there is no such exercise, or its text is wrong.
    """
    return code_cells(exercise.partition("_")[0])[exercise + ANSWER]
