"""Whose a file is, and which notebook: plugins for nbgrader's zip_collect.

The roster is asked who a name is, and the notebook which assignment it is of.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbgrader.apps.zipcollectapp import ZipCollectApp
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins.zipcollect import ExtractorPlugin, FileNameCollectorPlugin
from nbgrader.utils import parse_utc
from traitlets import Unicode

from autograder.collection import System
from autograder.course import LOG, Course
from autograder.grading import read_notebook
from autograder.marks.roster import Person, Roster, roster_of
from autograder.notebooks import grade_id, released_cells
from vae_course.errors import CourseError, UsageError

CANVAS_NAMES = (
    r".*/(?P<name>[^/]*?)(?P<late>_LATE)?_(?P<student_id>\d+)_(?P<order>\d+)_(?P<file_id>[^/]+)$"
)
"""`lovelaceada_LATE_12345_67890_ps2-1.ipynb`: the sortable name's letters, whether it was late,
Canvas's number of the student, its number of the file, the file's name. Later files have greater
numbers. (Canvas: lib/content_zipper.rb)"""

MOODLE_NAMES = (
    r".*/(?P<name>[^/]*)_(?P<student_id>\d+)_assignsubmission_file(?:_?/(?:.*/)?|_)"
    r"(?P<file_id>[^/]+)$"
)
"""`Ada Lovelace_12345_assignsubmission_file/ps2.ipynb`, in older versions with an underscore before
the slash, or without folders: `Ada Lovelace_12345_assignsubmission_file_ps2.ipynb`. The number is
the participant's, of this assignment only. (Moodle: mod/assign/classes/downloader.php)"""


class NotUnderstoodError(Exception):
    """It is not known whose file it is, or what; the message says why."""


@dataclass(frozen=True)
class Found:
    """A notebook that somebody handed in.

    Attributes:
        path: where it was unpacked.
        person: whose.
        notebook: which of the assignment's, by name.
        late: whether the system calls it late.
        order: what makes it later than another of the same student: the system's number of the
            file, its date, the number that was put behind its name.
    """

    path: Path
    person: Person
    notebook: str
    late: bool
    order: tuple[Any, ...]


class Collector(FileNameCollectorPlugin):
    """Says whose a file is, and which notebook. Not to be used itself."""

    roster = Unicode("", help="CSV file of the class; by default students.csv.").tag(config=True)
    system = ""
    known_by = ""
    """The roster's column that has the number in the files' names."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        directory = self.parent.coursedir
        self._course = Course(directory.root)
        self._assignment = directory.assignment_id
        self._released = released_ids(self._course)
        with self._course.gradebook() as gradebook:
            path = Path(self.roster) if self.roster else None
            self.people: Roster = roster_of(self._course, gradebook, path)
        if not self.people.people:
            raise UsageError(
                f"{self._course.root / 'students.csv'}: no such file, so nobody knows whose the "
                "files are; name a roster with --roster: a gradebook that Canvas exported will "
                "do, or a grading worksheet of Moodle"
            )

    def collect(self, submitted_file: str) -> dict[str, Any] | None:
        """What nbgrader asks of a file: whose it is, and which notebook; None to skip it."""
        try:
            found = self.understand(Path(submitted_file))
        except NotUnderstoodError as error:
            self.log.warning("%r: %s", submitted_file, error)
            return None
        return {
            "student_id": found.person.student,
            "file_id": f"{found.notebook}.ipynb",
            "timestamp": submission_time(found.person),
        }

    def understand(self, path: Path) -> Found:
        """Whose a file is, and which notebook.

        Raises:
            NotUnderstoodError: nobody's, or none.
        """
        parts = self.named(str(path)).groupdict()
        if path.suffix not in self.valid_ext:
            raise NotUnderstoodError(
                f"is no notebook: its name does not end in {self.valid_ext[0]}"
            )
        person = self.whose(parts)
        notebook = which_notebook(path, self._assignment, self._released)
        tries = re.search(r"[-( ](\d+)\)?$", Path(parts["file_id"]).stem)
        order = (
            int(parts.get("order") or 0),
            path.stat().st_mtime,
            int(tries.group(1)[:9]) if tries else 0,
            str(path),
        )
        return Found(path, person, notebook, bool(parts.get("late")), order)

    def named(self, path: str) -> re.Match[str]:
        """What the system wrote into a file's name: `name`, `student_id`, `file_id` and more.

        Raises:
            NotUnderstoodError: its name is another.
        """
        found = re.match(self.named_regexp, path)
        if found is None:
            raise NotUnderstoodError(f"its name is none that {self.system} makes")
        return found

    def back_to(self, named: re.Match[str]) -> str:
        """How a name must begin by which the system gives a page to the student of a file."""
        return named[0][named.start("name") : named.start("file_id")]

    def whose(self, parts: Mapping[str, str]) -> Person:
        """Who a file's name says that it is of.

        Raises:
            NotUnderstoodError: nobody, or more than one.
        """
        if person := self.people.known_as(self.known_by, parts["student_id"]):
            return person
        # A number that another line has is another person's, so a name must not overrule it.
        named = [
            person
            for person in self.people.called(parts["name"])
            if not getattr(person, self.known_by)
        ]
        if len(named) == 1:
            return named[0]
        if named:
            which = " or ".join(person.student for person in named)
            raise NotUnderstoodError(
                f"may be {which}, who have the same name; give the roster a column {self.known_by}"
            )
        raise NotUnderstoodError(
            f"nobody in {self.people.source} has the {self.known_by} {parts['student_id']}, or is "
            f"called {parts['name']!r}"
        )


class CanvasCollector(Collector):
    """For what Canvas's "Download Submissions" hands out."""

    system, known_by = "Canvas", "canvas_id"
    named_regexp = Unicode(CANVAS_NAMES, help="See nbgrader.").tag(config=True)


class MoodleCollector(Collector):
    """For what Moodle's "Download all submissions" hands out."""

    system, known_by = "Moodle", "participant"
    named_regexp = Unicode(MOODLE_NAMES, help="See nbgrader.").tag(config=True)

    def back_to(self, named: re.Match[str]) -> str:
        return "{name}_{student_id}_assignfeedback_file/".format(**named.groupdict())


COLLECTORS = {System.canvas: CanvasCollector, System.moodle: MoodleCollector}


def zip_collect(
    course: Course, assignment: str, system: System, roster: Path | None
) -> ZipCollectApp:
    """nbgrader's zip_collect with the collector of a system, `collector_plugin_inst`.

    Raises:
        UsageError: no roster says whose the files are.
    """
    app = ZipCollectApp(config=copy.deepcopy(course.config), log=LOG)
    app.coursedir = CourseDirectory(parent=app, root=str(course.root), assignment_id=assignment)
    collector = app.collector_plugin = COLLECTORS[system]
    app.extractor_plugin = ExtractorPlugin
    if roster is not None:
        app.config.Collector.roster = str(roster)
    # Whoever set a regular expression for nbgrader's own collector did not mean these.
    app.config[collector.__name__].named_regexp = collector.named_regexp.default_value
    app.init_plugins()
    return app


def released_ids(course: Course) -> dict[tuple[str, str], frozenset[str]]:
    """The ids of nbgrader's cells, by assignment and notebook."""
    return {
        (assignment, name): frozenset(cell.id for cell in released_cells(notebook))
        for assignment in course.assignments()
        for name, notebook in course.source_notebooks(assignment).items()
    }


def which_notebook(
    path: Path, assignment: str, released: Mapping[tuple[str, str], frozenset[str]]
) -> str:
    """Which of an assignment's notebooks a file is, by the ids of its cells, not by its name.

    Raises:
        NotUnderstoodError: none of them.
    """
    try:
        cells = read_notebook(path).cells
    except CourseError as error:
        raise NotUnderstoodError(str(error).removeprefix(f"{path}: ")) from error
    ids = {grade_id(cell) for cell in cells} - {""}
    best = max(released, key=lambda place: (len(ids & released[place]), place[0] == assignment))
    if not ids & released[best]:
        raise NotUnderstoodError(
            f"holds no cell of {assignment}: it is another notebook, or one that lost its metadata"
        )
    if best[0] != assignment:
        raise NotUnderstoodError(f"is a notebook of {best[0]}, not of {assignment}")
    return best[1]


def submission_time(person: Person) -> datetime | None:
    """When somebody handed in, in UTC, where a grading worksheet of Moodle was given as the roster.

    The worksheet does not say in which time zone; it is taken for this machine's.
    """
    try:
        said = parse_utc(person.submitted)
    except (ValueError, OverflowError):
        return None
    return said.astimezone(UTC).replace(tzinfo=None)
