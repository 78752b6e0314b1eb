"""The class as other systems know it: who a student of submitted/ is in Canvas or in Moodle.

A roster is a CSV file whose columns are the attributes of `Person`, in any order, only as many as
are needed. What Canvas and Moodle export is one as it is: a gradebook of Canvas; the participants,
the grades or an assignment's grading worksheet of Moodle, in English.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.notebooks import plain
from vae_course.errors import CourseError, UsageError

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

    from autograder.course import Course

ROSTER_FILE = "students.csv"
MAX_ROSTER_MB = 64

MAX_STUDENT = 128
"""Characters of a student's folder. nbgrader's gradebook holds no more."""


@dataclass(frozen=True)
class Person:
    """A student, as a line of a roster says. "" stands for what it does not say.

    Attributes:
        student: the name of the folder in submitted/, and nbgrader's id.
        name: as people write it: "Ada Lovelace", or "Lovelace, Ada".
        email: as the university's system has it; Moodle tells upper from lower case.
        section: of the course, or the group.
        canvas_id: Canvas's number of the student, "ID" in its gradebook.
        sis_id: "SIS User ID" in Canvas.
        login: "SIS Login ID" in Canvas, "Username" in Moodle.
        id_number: "ID number" in Moodle.
        participant: the number of "Identifier" in a grading worksheet of Moodle, which is another
            one in each assignment.
        submitted: "Last modified (submission)" there.
    """

    student: str
    name: str = ""
    email: str = ""
    section: str = ""
    canvas_id: str = ""
    sis_id: str = ""
    login: str = ""
    id_number: str = ""
    participant: str = ""
    submitted: str = ""

    @property
    def spellings(self) -> set[str]:
        """Keys of the name, whichever part of it comes first."""
        words = self.name.replace(",", " ").split()
        return {name_key("".join(words[at:] + words[:at])) for at in range(len(words))}


COLUMNS = tuple(field.name for field in fields(Person))

IDENTITIES = ("canvas_id", "sis_id", "login", "id_number", "email", "participant")
"""By which another system knows a student: nobody shares one."""

STAND_INS = ("login", "id_number", "sis_id", "email", "canvas_id")
"""What names the folder in submitted/ where a roster has no column `student`: the first of them."""

ALIASES: Mapping[str, str] = {
    "student_id": "student",
    "full_name": "name",
    "email_address": "email",
    "e-mail": "email",
    "group": "section",
    "groups": "section",
    "sis_user_id": "sis_id",
    "sis_login_id": "login",
    "username": "login",
    "idnumber": "id_number",
    "identifier": "participant",
    "last_modified_(submission)": "submitted",
    "firstname": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
}
"""Other systems' words for the columns."""

IN_CANVAS = {"student": "name", "id": "canvas_id"}
"""A gradebook of Canvas has both of these columns, and means these by them."""


@dataclass(frozen=True)
class Roster:
    """The class.

    Attributes:
        source: where it is from, in a few words.
        people: a line each.
        headers: the columns as they were written; a gradebook of Canvas has its assignments there.
        remarks: what was odd in it, a line each.
    """

    source: str
    people: tuple[Person, ...]
    headers: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @cached_property
    def _by_student(self) -> dict[str, Person]:
        return {person.student: person for person in self.people}

    def find(self, student: str) -> Person | None:
        """The line of who has this folder in submitted/."""
        return self._by_student.get(unicodedata.normalize("NFC", student))

    def known_as(self, column: str, identity: str) -> Person | None:
        """Who has this number or address in another system."""
        found = (person for person in self.people if getattr(person, column) == identity)
        return next(found, None) if identity else None

    def called(self, name: str) -> list[Person]:
        """Everybody who has this name, however it is spaced, dotted, and ordered."""
        key = name_key(name)
        return [person for person in self.people if key and key in person.spellings]

    def has(self, column: str) -> bool:
        """Whether anybody's line says something in a column."""
        return any(getattr(person, column) for person in self.people)


def name_key(name: str) -> str:
    """Letters and digits of a name, by which it is compared: systems differ in all the others."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(filter(str.isalnum, folded))


def roster_of(course: "Course", gradebook: "Gradebook", path: Path | None = None) -> Roster:
    """The class of a course: of a file, of its students.csv, or as nbgrader's gradebook has it.

    Args:
        course: the course.
        gradebook: its gradebook.
        path: the file; by default students.csv in the course's folder, if it is there.

    Raises:
        UsageError: there is no such file.
        CourseError: it cannot be read.
    """
    usual = course.root / ROSTER_FILE
    if path is not None or usual.exists():
        return read_roster(path or usual)
    people = (
        Person(
            unicodedata.normalize("NFC", student.id),
            " ".join(filter(None, (student.first_name, student.last_name))),
            student.email or "",
            canvas_id=student.lms_user_id or "",
        )
        for student in gradebook.students
    )
    return Roster("gradebook.db", tuple(people))


def read_roster(path: Path) -> Roster:
    """Read a roster from a file that any program may have written.

    It may be UTF-8, UTF-16 or Latin-1, with commas, semicolons or tabs. A line that says who nobody
    is, or somebody who was there before, is left out, and a remark says so; where two students
    have the same number or address, neither is known by it.

    Raises:
        UsageError: there is no such file.
        CourseError: it cannot be read, or has no column that names students.
    """
    text, remarks = _decoded(path)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise CourseError(
            f"{path}: cannot be read as a CSV file ({error}); save it anew"
        ) from error
    headers = tuple(plain(cell.strip(), 200) for cell in rows[0]) if rows else ()
    columns = _columns(headers)
    if not {"student", *STAND_INS} & set(columns):
        raise CourseError(
            f"{path}: no column says who a student is; one of the first line's columns has to be "
            f"student, the folder's name in submitted/, or one of {', '.join(STAND_INS)}"
        )
    people: dict[str, Person] = {}
    lines: dict[str, int] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = {column: _tidy(cell) for column, cell in zip(columns, row, strict=False) if column}
        if not any(cells.values()) or _is_about_assignments(columns, cells):
            continue
        person, found = _person(cells)
        if not is_folder_name(person.student):
            found.append("no student: there is nothing that could be a folder in submitted/")
        elif person.student in people:
            found.append(f"{person.student} again; line {lines[person.student]} stands")
        else:
            people[person.student] = person
            lines[person.student] = number
        remarks += [f"{path.name}, line {number}: {plain(remark, 300)}" for remark in found]
    made, shared = _without_shared(people.values())
    remarks += [f"{path.name}: {plain(remark, 300)}" for remark in shared]
    return Roster(path.name, tuple(made), headers, tuple(remarks))


def is_folder_name(text: str) -> bool:
    """Whether a student's folder in submitted/ can have this name."""
    proper = plain(text, MAX_STUDENT) == text and not re.search(r"[/\\\n\t]", text)
    return bool(text) and proper and not text.startswith(".") and text.strip() == text


def _decoded(path: Path) -> tuple[str, list[str]]:
    """A file's text, and what is to be said about its encoding."""
    try:
        if path.stat().st_size > MAX_ROSTER_MB * 2**20:
            raise CourseError(f"{path}: is larger than {MAX_ROSTER_MB} MB, so it is no roster")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; name the roster with --roster") from error
    except OSError as error:
        raise CourseError(f"{path}: cannot be read ({error.strerror})") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif data[1:2] == b"\0":
        encodings = ["utf-16-le"]
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        told = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "cp1252": "Latin-1 (Windows-1252)"}
        said = told.get(encoding, "Latin-1")
        odd = encoding != "utf-8-sig"
        return text, [f"{path.name}: is not UTF-8; it was read as {said}"] if odd else []
    raise CourseError(f"{path}: cannot be read as text; save it as CSV in UTF-8")


def _delimiter(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    try:
        return csv.Sniffer().sniff(header, delimiters=",;\t").delimiter
    except csv.Error:  # it has one column
        return ","


def _columns(headers: Iterable[str]) -> list[str]:
    """Our word for each column, once; "" for those that are nothing to us."""
    ours = {*COLUMNS, "first_name", "last_name"}
    written = [re.sub(r"\s+", "_", header.lower()) for header in headers]
    words = ALIASES | IN_CANVAS if {*IN_CANVAS} <= {*written} else ALIASES
    named = [words.get(word, word) for word in written]
    return [
        word if word in ours and word not in named[:place] else ""
        for place, word in enumerate(named)
    ]


def _tidy(cell: str) -> str:
    return plain(unicodedata.normalize("NFC", " ".join(cell.split())), 500)


def _is_about_assignments(columns: Iterable[str], cells: Mapping[str, str]) -> bool:
    """Whether it is one of the first lines of Canvas's gradebook, which no student has."""
    of_canvas = "student" not in columns and "canvas_id" in columns
    return of_canvas and not cells["canvas_id"] and cells["name"] in ("", "Points Possible")


def _person(cells: Mapping[str, str]) -> tuple[Person, list[str]]:
    """A line's student, and what is odd about it."""
    known = {column: cells.get(column, "") for column in COLUMNS}
    if not known["name"]:
        parts = (cells.get("first_name", ""), cells.get("last_name", ""))
        known["name"] = " ".join(filter(None, parts))
    known["participant"] = known["participant"].rpartition(" ")[2]  # "Participant 12345"
    found = []
    for column in IDENTITIES:
        if runs_in_spreadsheets(known[column]):
            found.append(f"{column} {known[column]!r} would run as a formula; it is left out")
            known[column] = ""
    if not known["student"]:
        known["student"] = next((known[name] for name in STAND_INS if known[name]), "")
    return Person(**known), found


def _without_shared(people: Iterable[Person]) -> tuple[list[Person], list[str]]:
    """The people without numbers and addresses that several have, and a remark on each of these."""
    people, found = list(people), []
    for column in IDENTITIES:
        counts = Counter(getattr(person, column) for person in people)
        for identity in (text for text, count in counts.items() if text and count > 1):
            sharing = [person.student for person in people if getattr(person, column) == identity]
            found.append(f"{' and '.join(sharing)} have the same {column}, {identity}; none has it")
            people = [
                replace(person, **{column: ""}) if getattr(person, column) == identity else person
                for person in people
            ]
    return people, found


def runs_in_spreadsheets(text: str) -> bool:
    """Whether a spreadsheet takes a cell of this text for a formula."""
    return text.lstrip()[:1] in tuple("=+-@")


def unknown_students(roster: Roster, students: Iterable[str]) -> Iterator[str]:
    """Who of these is not in the roster, a line each."""
    for student in students:
        if roster.find(student) is None:
            yield f"{plain(student, 100)}: is not in {roster.source}"
