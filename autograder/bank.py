"""Notebooks for the self-test: an assignment's definitions, with chosen answers, and their judging.

They go through the sandbox and the judge as a student's do. What a notebook only shows or trains
for its reader to see is left out, for no exercise depends on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import nbformat

from autograder import execution
from autograder.exercises import exercise_of
from autograder.notebooks import ANSWER
from autograder.record import VERDICT_MIME
from autograder.sandbox.jail import Limits
from autograder.sandbox.outside import Lost, Session, shared_warm_parent
from autograder.solved import answer, source
from autograder.workers import Job, run_submission
from vae_course.authoring.assignment import load_assignment

SEED = 1
LIMITS = Limits(cell_seconds=120.0)


def exercises(assignment: str) -> list[str]:
    """The exercises that a machine grades, in their order."""
    return [one.id for one in load_assignment(assignment).exercises if one.kind == "machine"]


def verdicts(assignment: str, answers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What becomes of a submission with some answers of its own and the right ones elsewhere.

    Args:
        assignment: its name.
        answers: answer cells, by exercise.

    Returns:
        The recorded verdict of each exercise.
    """
    text = nbformat.writes(submission(assignment, answers))
    ran = run_submission(Job({assignment: text}, None, (), vars(LIMITS), SEED))[assignment]
    shown = [output.get("data", {}).get(VERDICT_MIME) for cell in ran.outputs for output in cell]
    return {verdict["id"]: verdict for verdict in shown if verdict}


def submission(assignment: str, answers: Mapping[str, str]) -> nbformat.NotebookNode:
    """A notebook of the definitions, the answers and what grades them."""
    notebook = nbformat.reads(source(assignment), as_version=4)
    graded = exercises(assignment)
    kept = {*graded, *(id + ANSWER for id in graded), "setup"}
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and (cell.id in kept or cell.id.startswith("given-"))
    ]
    for cell in notebook.cells:
        if cell.id.endswith(ANSWER):
            cell.source = answers.get(cell.id.removesuffix(ANSWER), cell.source)
    return notebook


def judged(exercise: str, text: str) -> dict[str, Any]:
    """The verdict on an answer cell, as it stands when the notebook has run so far.

    Args:
        exercise: its id.
        text: the answer cell; the answers before it are the right ones.
    """
    cells = _ungraded(exercise, {exercise: text})
    last = [cell.id for cell in cells].index(exercise + ANSWER)
    with shared_warm_parent().session(LIMITS) as session:
        _begin(session, cells[: last + 1])
        return execution.judged(exercise_of(exercise), session, SEED).to_dict()


def full_marks(exercise: str, answers: Sequence[str]) -> list[bool]:
    """Whether each of some answers to an exercise gets full marks, one after another.

    They share a process, and each is put in the place of the right answer.
    """
    cells = _ungraded(exercise, {})
    found: list[bool] = []
    while len(found) < len(answers):
        with shared_warm_parent().session(LIMITS) as session:
            _begin(session, cells)
            for text in answers[len(found) :]:
                found.append(_has_full_marks(exercise, text, session))
                if session.lost:  # the next one needs another process
                    break
    return found


def _ungraded(exercise: str, answers: Mapping[str, str]) -> list[nbformat.NotebookNode]:
    assignment = exercise.partition("_")[0]
    graded = exercises(assignment)
    return [cell for cell in submission(assignment, answers).cells if cell.id not in graded]


def _begin(session: Session, cells: Sequence[nbformat.NotebookNode]) -> None:
    execution.start(session, SEED)
    for cell in cells:
        session.run_cell(cell.source)


def _has_full_marks(exercise: str, text: str, session: Session) -> bool:
    try:
        session.run_cell(answer(exercise))
        session.run_cell(text)
        verdict = execution.judged(exercise_of(exercise), session, SEED, name_mistakes=False)
    except Lost:
        return False
    return verdict.score >= verdict.max_score
