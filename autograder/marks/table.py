"""The marks of a class, read from nbgrader's gradebook, which is the truth once a person graded."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbgrader.api import (
    Assignment,
    Grade,
    Gradebook,
    MissingEntry,
    SubmittedAssignment,
    SubmittedNotebook,
)

from autograder.grading import VERDICTS_FILE, VerdictsFile
from autograder.marks.roster import Roster
from vae_course.errors import CourseError

if TYPE_CHECKING:
    from autograder.course import Course

MISSING = "missing"
"""The status of who did not hand in."""

NOT_YET = "not_yet_graded"
"""The status of who handed in, and is not in the gradebook."""


@dataclass(frozen=True)
class Mark:
    """What a student has for an assignment.

    Attributes:
        assignment: its name.
        student: whose.
        max_score: the assignment's points.
        status: one of `autograder.record.STATUSES`, `MISSING` or `NOT_YET`.
        raw_score: points, before anything is taken off; None if the gradebook has none.
        machine: those of them that a machine gave.
        penalty: points that are taken off for lateness.
        needs_person: whether a person has to grade something yet.
        timestamp: when it was handed in, in UTC; "" if nobody knows.
    """

    assignment: str
    student: str
    max_score: float
    status: str
    raw_score: float | None = None
    machine: float = 0.0
    penalty: float = 0.0
    needs_person: bool = False
    timestamp: str = ""

    @property
    def score(self) -> float | None:
        """What counts, as nbgrader's own export has it; None if there is nothing."""
        return None if self.raw_score is None else max(0.0, self.raw_score - self.penalty)

    @property
    def by_hand(self) -> float:
        """Points that a person gave."""
        return (self.raw_score or 0.0) - self.machine

    @property
    def waits(self) -> str:
        """Why the mark is not final; "" if it is, or if nobody handed in."""
        if self.status == NOT_YET:
            return "is not graded yet"
        if self.status == "grader_error":
            return "could not be graded: a person has to look"
        return "waits for a person to grade the rest" if self.needs_person else ""


def marks_of(course: "Course", gradebook: Gradebook, assignment: str, roster: Roster) -> list[Mark]:
    """Everybody's mark for an assignment: of the gradebook, of submitted/, and of the roster.

    Raises:
        CourseError: the gradebook does not know the assignment.
    """
    try:
        entered = gradebook.find_assignment(assignment)
    except MissingEntry as error:
        raise CourseError(
            f"{assignment}: is not in the gradebook; run `autograder grade {assignment}` first"
        ) from error
    most = float(entered.max_score)
    statuses = _statuses(course, assignment)
    machine = _machine_scores(gradebook, entered)
    found = {
        submission.student_id: Mark(
            assignment,
            submission.student_id,
            most,
            statuses.get(submission.student_id, "graded"),
            float(score),
            machine[submission.student_id],
            float(penalty or 0.0),
            bool(waits),
            str(submission.timestamp or ""),
        )
        for submission, score, penalty, waits in gradebook.db.query(
            SubmittedAssignment,
            SubmittedAssignment.score,
            SubmittedAssignment.late_submission_penalty,
            SubmittedAssignment.needs_manual_grade,
        ).filter(SubmittedAssignment.assignment_id == entered.id)
    }
    there = {unicodedata.normalize("NFC", student) for student in found}
    for student in course.students(assignment):
        if unicodedata.normalize("NFC", student) not in there:
            status = statuses.get(student, NOT_YET)
            found[student] = Mark(assignment, student, most, status)
            there.add(unicodedata.normalize("NFC", student))
    enrolled = [student.id for student in gradebook.students]
    for student in (*enrolled, *(person.student for person in roster.people)):
        if unicodedata.normalize("NFC", student) not in there:
            found[student] = Mark(assignment, student, most, MISSING)
            there.add(unicodedata.normalize("NFC", student))
    return [found[student] for student in sorted(found)]


def _statuses(course: "Course", assignment: str) -> Mapping[str, str]:
    """What our own grading said of each submission, where it was ours."""
    records: Mapping[str, Any] = VerdictsFile(course.root / VERDICTS_FILE).of(assignment)
    return {student: str(entry["status"]) for student, entry in records.items()}


def _machine_scores(gradebook: Gradebook, assignment: Assignment) -> Mapping[str, float]:
    """What each student earned in cells that nobody reads: those with no answer in them."""
    cells = {
        cell.id
        for notebook in assignment.notebooks
        for cell in notebook.grade_cells
        if cell.name not in {answer.name for answer in notebook.solution_cells}
    }
    scores: dict[str, float] = defaultdict(float)
    grades = (
        gradebook.db.query(SubmittedAssignment.student_id, Grade.cell_id, Grade.score)
        .select_from(SubmittedAssignment)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .filter(SubmittedAssignment.assignment_id == assignment.id)
    )
    for student, cell, score in grades:
        if cell in cells:
            scores[student] += score
    return scores
