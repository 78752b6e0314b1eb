"""Marks as CSV files that other systems read: pure functions on marks and a roster.

Both Canvas and Moodle take an empty cell for an order to delete the mark that they hold, "excused"
included, so whoever has no mark has no line in their files. Both files hold one assignment, for in
a file of several every line would have to be full.

Whoever opens such a file in a spreadsheet must not run what a student chose for a name: a text that
a spreadsheet would take for a formula gets an apostrophe before it (`guarded`). No system has to
recognise such a text: Canvas and Moodle know a student by a number, a login or an address, and a
roster holds none of these that a spreadsheet would run.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autograder.marks.roster import Person, Roster, runs_in_spreadsheets
from autograder.marks.table import Mark
from autograder.notebooks import plain
from autograder.record import points
from vae_course.errors import UsageError

CSV_COLUMNS = (
    *("assignment", "student", "name", "email", "section", "status", "machine", "by_hand"),
    *("raw_score", "late_submission_penalty", "score", "max_score", "needs_manual_grade"),
    "timestamp",
)
"""Of the plain file. Where nbgrader's own export has a column for it, it has its name."""

CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
CANVAS_IDENTITIES = ("canvas_id", "sis_id", "login")

MOODLE_IDENTITIES = {"id_number": "ID number", "email": "Email address", "login": "Username"}

Line = tuple[Mark, float]
"""A mark, and the points that are sent."""


@dataclass(frozen=True)
class Sheet:
    """A file's content.

    Attributes:
        text: of the file.
        lines: how many students it has.
        left_out: whose mark is not in it, and why, a line each.
        remarks: what whoever imports it has to know.
    """

    text: str
    lines: int
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def guarded(text: str) -> str:
    """A text as a cell in which a spreadsheet runs nothing."""
    text = plain(" ".join(text.split()), 500)
    return f"'{text}" if runs_in_spreadsheets(text) else text


def plain_sheet(lines: Sequence[tuple[Mark, float | None]], roster: Roster) -> Sheet:
    """A line for each student and assignment, for people and scripts.

    Args:
        lines: marks, and the points that count; None leaves the cell of the score empty.
        roster: names and addresses.
    """
    rows = []
    for mark, score in lines:
        person = roster.find(mark.student) or Person(mark.student)
        names = (mark.assignment, mark.student, person.name, person.email, person.section)
        there = mark.raw_score is not None
        rows.append(
            [
                *map(guarded, names),
                mark.status,
                *(_exact(part) if there else "" for part in (mark.machine, mark.by_hand)),
                *(_exact(part) if there else "" for part in (mark.raw_score, mark.penalty)),
                "" if score is None else _exact(score),
                _exact(mark.max_score),
                "yes" if mark.needs_person else "no",
                mark.timestamp,
            ]
        )
    return Sheet(_written(CSV_COLUMNS, rows), len(rows))


def canvas_sheet(lines: Sequence[Line], roster: Roster, column: str) -> Sheet:
    """A file for Canvas: Grades > Import.

    Canvas's importer (lib/gradebook_importer.rb) wants these columns in this order, finds a student
    by ID, else SIS User ID, else SIS Login ID, and the assignment by the number in brackets at the
    end of its column, else by its name; a name that it does not know becomes a new assignment,
    worth what the line "Points Possible" says.

    Raises:
        UsageError: the roster has none of what Canvas knows students by.
    """
    rows, left_out = [], []
    for mark, score in lines:
        person = roster.find(mark.student)
        if person is None or not any(getattr(person, name) for name in CANVAS_IDENTITIES):
            left_out.append(_unknown(mark, person, roster, " or ".join(CANVAS_IDENTITIES)))
            continue
        known = (person.canvas_id, person.sis_id, person.login)
        rows.append([guarded(person.name), *known, guarded(person.section), points(score)])
    _check_known(roster, CANVAS_IDENTITIES, rows, lines)
    most = points(lines[0][0].max_score) if lines else "0"
    possible = ["    Points Possible", *[""] * (len(CANVAS_COLUMNS) - 1), most]
    text = _written((*CANVAS_COLUMNS, column), [possible, *rows])
    return Sheet(text, len(rows), tuple(left_out))


def moodle_sheet(lines: Sequence[Line], roster: Roster, column: str) -> Sheet:
    """A file for Moodle: Grades > Import > CSV file.

    Of Moodle's two forms this is the gradebook's, for it needs nothing but what a roster holds; the
    grading worksheet of an assignment can be filled in only if Moodle wrote it beforehand. The
    importer (grade/import/csv) asks which column is whose, finds students by one of them, stops at
    a student whom it does not know, and gives the mark on a line without a student to the one
    before. So there is one column of identities, the fullest, and no line without one.

    Raises:
        UsageError: the roster has none of what Moodle knows students by.
    """
    people = [(mark, score, roster.find(mark.student)) for mark, score in lines]
    identity = max(
        MOODLE_IDENTITIES,
        key=lambda name: sum(bool(person and getattr(person, name)) for *_, person in people),
    )
    rows, left_out = [], []
    for mark, score, person in people:
        if person is None or not getattr(person, identity):
            left_out.append(_unknown(mark, person, roster, identity))
            continue
        feedback = f"{points(mark.machine)} by machine, {points(mark.by_hand)} by hand"
        if mark.penalty:
            feedback += f"; {points(mark.penalty)} off for lateness"
        known = getattr(person, identity)
        rows.append([known, guarded(person.name), points(score), feedback])
    _check_known(roster, tuple(MOODLE_IDENTITIES), rows, lines)
    shown = MOODLE_IDENTITIES[identity]
    text = _written((shown, "Full name", column, f"{column} (Feedback)"), rows)
    remark = f"In Moodle, map from {shown!r} to {shown!r}, and {column!r} to the grade item"
    return Sheet(text, len(rows), tuple(left_out), (remark,))


def canvas_column(assignment: str, headers: Iterable[str]) -> str:
    """The assignment's column in Canvas: of a gradebook of Canvas, the one that has its name.

    Args:
        assignment: such as ps2.
        headers: of the roster, such as "ps2 A VAE and its beta (12345)".
    """
    form = re.compile(rf"{re.escape(assignment)}\b.*\(\d+\)", re.IGNORECASE)
    found = [header for header in headers if form.fullmatch(header)]
    return found[0] if len(found) == 1 else assignment


LmsSheet = Callable[[Sequence[Line], Roster, str], Sheet]

LMS_SHEETS: Mapping[str, LmsSheet] = {"canvas": canvas_sheet, "moodle": moodle_sheet}
FORMATS = ("csv", *LMS_SHEETS)


def _unknown(mark: Mark, person: Person | None, roster: Roster, columns: str) -> str:
    student = plain(mark.student, 100)
    if person is None:
        return f"{student}: is not in {roster.source}"
    return f"{student}: {roster.source} has no {columns}"


def _check_known(
    roster: Roster, columns: Sequence[str], rows: Sequence[object], lines: Sequence[Line]
) -> None:
    if lines and not rows:
        raise UsageError(
            f"{roster.source}: does not say how the system knows these students; name a roster "
            f"with --roster that has student and one of {', '.join(columns)}"
        )


def _exact(number: float | None) -> str:
    return f"{number or 0.0:.6f}".rstrip("0").rstrip(".")


def _written(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
