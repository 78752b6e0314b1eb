"""Writing a class's marks to files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.late_days import charge
from autograder.marks import formats
from autograder.marks.roster import Roster, unknown_students
from autograder.marks.table import MISSING, Mark, marks_of
from autograder.notebooks import plain
from vae_course.errors import UsageError
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

    from autograder.course import Course

MARKS_FOLDER = "marks"


@dataclass(frozen=True)
class Choice:
    """What is wanted in a file.

    Attributes:
        format: one of `formats.FORMATS`.
        missing_zero: give zero points to who did not hand in.
        include_ungraded: give what was found until now where a person has to grade yet.
        column: the assignment's name in the other system; by default what the roster or we call it.
        students: only these; by default everybody.
    """

    format: str
    missing_zero: bool = False
    include_ungraded: bool = False
    column: str | None = None
    students: tuple[str, ...] = ()


@dataclass
class Written:
    """What came of it.

    Attributes:
        files: with the number of lines in each.
        left_out: marks of who handed in that are in no file, and why, a line each.
        remarks: what else is worth knowing, a line each.
    """

    files: dict[Path, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def write_marks(
    course: "Course",
    gradebook: "Gradebook",
    assignments: Sequence[str],
    roster: Roster,
    choice: Choice,
    out: Path | None = None,
) -> Written:
    """Write the marks of some assignments: one file for people, one an assignment for a system.

    Args:
        course: the course.
        gradebook: its gradebook.
        assignments: their names; none stands for all.
        roster: the class.
        choice: what is wanted.
        out: the file; by default one in marks/. Of several files each gets the assignment's name.

    Raises:
        UsageError: there is no such assignment, or the roster does not fit the format.
        CourseError: the gradebook does not know an assignment, or a file cannot be written.
    """
    names = chosen_assignments(course, assignments)
    if choice.column is not None and len(names) > 1:
        raise UsageError("--column names one assignment in the other system; name one here, too")
    done = Written(remarks=list(roster.remarks))
    if not assignments:
        graded = {entered.name for entered in gradebook.assignments}
        later = [name for name in names if name not in graded]
        done.remarks += [f"{name}: was not graded yet, and is left out" for name in later]
        names = [name for name in names if name in graded] or names
    for name in names:
        charge(course, gradebook.engine.url.render_as_string(False), name)
    gradebook.db.expire_all()
    marks = {
        name: [
            mark
            for mark in marks_of(course, gradebook, name, roster)
            if not choice.students or mark.student in choice.students
        ]
        for name in names
    }
    everybody = sorted({mark.student for found in marks.values() for mark in found})
    if choice.format == "csv":
        lines = [line for found in marks.values() for line in _scored(found, choice, done)]
        if roster.headers:  # it is a file's, and not the gradebook's own
            done.remarks += unknown_students(roster, everybody)
        sheet = formats.plain_sheet(lines, roster)
        path = out or course.root / MARKS_FOLDER / f"{'-'.join(names)}.csv"
        write_atomically(path, sheet.text)
        done.files[path] = sheet.lines
        return done
    sheets = {}
    for name, found in marks.items():
        lines = [(mark, score) for mark, score in _scored(found, choice, done) if score is not None]
        column = choice.column or _column(choice.format, name, roster)
        sheets[name] = formats.LMS_SHEETS[choice.format](lines, roster, column)
    for name, sheet in sheets.items():
        done.left_out += [f"{line} ({name})" for line in sheet.left_out]
        if not sheet.lines:
            done.remarks.append(f"{name}: there is no mark to send yet, so no file was written")
            continue
        path = _lms_path(course, out, name, choice.format, len(names) > 1)
        write_atomically(path, sheet.text)
        done.files[path] = sheet.lines
        done.remarks += sheet.remarks
    return done


def chosen_assignments(course: "Course", names: Sequence[str]) -> list[str]:
    """The assignments that are meant, in the course's order.

    Raises:
        UsageError: there is no such assignment, or none at all.
    """
    course.require(*names)
    return [name for name in course.assignments() if not names or name in names]


def _scored(
    marks: Sequence[Mark], choice: Choice, done: Written
) -> list[tuple[Mark, float | None]]:
    """Each mark with the points that are sent; None if there are none, and `done` says why."""
    found: list[tuple[Mark, float | None]] = []
    told: dict[tuple[str, bool], list[str]] = {}
    for mark in marks:
        score, words, is_left_out = mark.score, "", False
        if mark.status == MISSING:
            score = 0.0 if choice.missing_zero else None
            words = f"was not handed in, which gives {'0 points' if score == 0 else 'no points'}"
        elif mark.waits:
            is_left_out = score is None or not choice.include_ungraded
            score = None if is_left_out else score
            words = mark.waits if is_left_out else f"{mark.waits}; sent as it stands"
        elif mark.status == "unreadable":
            words = "could not be read, which gives 0 points"
        if words:
            told.setdefault((words, is_left_out), []).append(plain(mark.student, 100))
        found.append((mark, score))
    for (words, is_left_out), students in told.items():
        lines = done.left_out if is_left_out else done.remarks
        lines.append(f"{marks[0].assignment} {words}: {', '.join(students)}")
    return found


def _column(format: str, assignment: str, roster: Roster) -> str:
    if format == "canvas":
        return formats.canvas_column(assignment, roster.headers)
    return assignment


def _lms_path(
    course: "Course", out: Path | None, assignment: str, format: str, several: bool
) -> Path:
    if out is None:
        return course.root / MARKS_FOLDER / f"{assignment}.{format}.csv"
    return out.with_name(f"{out.stem}-{assignment}{out.suffix}") if several else out
