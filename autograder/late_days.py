"""Late days: a few that cost nothing, to be used over the term, and a part of the points after.

It is a plugin of nbgrader's. Where nbgrader is told when an assignment is due and when a submission
came (timestamp.txt beside the notebook), it asks here what lateness costs. In nbgrader_config.py:

    c.AssignLatePenalties.plugin_class = "autograder.late_days.LateDays"
    c.LateDays.free_days = 4
    c.LateDays.penalty_per_day = 0.1
"""

import math
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import Float, Integer

if TYPE_CHECKING:
    from autograder.course import Course

DAY = 24 * 60 * 60
"""Seconds."""


def days_late(seconds: float, grace_minutes: int = 0) -> int:
    """Begun days: a minute too late is one, once the grace is over."""
    return max(0, math.ceil((seconds - 60 * grace_minutes) / DAY))


def charged(days: int, earlier: Sequence[int], free_days: int) -> int:
    """The days that cost points, where free ones are used up as they are needed.

    Args:
        days: late with this assignment.
        earlier: late with each assignment that was due before it.
        free_days: for the whole term.
    """
    return max(0, days - max(0, free_days - sum(earlier)))


class LateDays(LateSubmissionPlugin):
    """What a late submission costs, for `c.AssignLatePenalties.plugin_class`."""

    free_days = Integer(
        0, min=0, help="Days that a student may be late, over the term, at no cost."
    ).tag(config=True)
    penalty_per_day = Float(
        0.1, min=0, max=1, help="Share of the points earned that each further day costs."
    ).tag(config=True)
    grace_minutes = Integer(
        10, min=0, help="Minutes after the deadline that do not count: uploads are slow."
    ).tag(config=True)

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float:
        """The points that lateness costs.

        Free days go to assignments in the order in which they were due, an extension counted in.
        So grade them in this order, or again where an earlier one came to be graded later.

        Args:
            student_id: whose submission it is.
            score: what the notebook earned.
            total_seconds_late: after the deadline.
        """
        days = days_late(total_seconds_late, self.grace_minutes)
        earlier = [days_late(late, self.grace_minutes) for late in self._earlier(student_id)]
        cost = charged(days, earlier, self.free_days) * self.penalty_per_day
        return score * min(1.0, cost)

    def _earlier(self, student: str) -> list[float]:
        """Seconds that a student was late with each assignment that was due before this one."""
        gradebook: Gradebook = self.parent.gradebook
        this = gradebook.find_submission(self.parent.assignment_id, student)
        found = gradebook.db.query(SubmittedAssignment).filter_by(student_id=student).all()
        before = (one for one in found if one.duedate and _place(one) < _place(this))
        return [one.total_seconds_late for one in before]


def charge(
    course: "Course", url: str, assignment: str, students: Container[str] | None = None
) -> None:
    """Work out anew what lateness costs: of the points as they are now, those by hand among them.

    Args:
        course: whose settings hold.
        url: of the gradebook.
        assignment: of which.
        students: whose submissions; by default everybody's.
    """
    if AssignLatePenalties not in course.config.Autograde.autograde_preprocessors:
        return
    with Gradebook(url, course.id) as gradebook:
        late = [
            {"student": one.student.id, "notebook": one.name}
            for entry in gradebook.assignment_submissions(assignment)
            for one in entry.notebooks
            if (students is None or one.student.id in students)
            and entry.duedate is not None
            and (entry.total_seconds_late > 0 or one.late_submission_penalty)
        ]
    step = AssignLatePenalties(config=course.config)
    for where in late:
        resources = {"nbgrader": where | {"assignment": assignment, "db_url": url}}
        step.preprocess(new_notebook(), resources)


def _place(entry: SubmittedAssignment) -> tuple:
    """Where it stands in the term: by the class's deadline, and by name."""
    return entry.assignment.duedate, entry.assignment.name
