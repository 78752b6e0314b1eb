"""Submissions in: from the zip files that Canvas and Moodle hand out into submitted/.

nbgrader's own zip_collect does it, configured with a regular expression for each system's names and
with a collector that asks the roster who a name is and the notebook which assignment it is of. Here
is what nbgrader has no setting for: zips are unpacked as if somebody meant harm, of two attempts
the last one counts, an earlier submission is replaced by a newer one only, and whatever was not
understood is kept and named.
"""

import copy
import itertools
import os
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from nbgrader.apps.zipcollectapp import ZipCollectApp
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins.zipcollect import ExtractorPlugin, FileNameCollectorPlugin
from nbgrader.utils import parse_utc
from traitlets import Unicode

from autograder.course import LOG, Course
from autograder.grading import read_notebook
from autograder.intake import is_plain_file, plain_files
from autograder.marks.export import chosen_assignments
from autograder.marks.roster import Person, Roster, roster_of
from autograder.notebooks import grade_id, plain, released_cells
from vae_course.errors import CourseError, UsageError
from vae_course.files import write_atomically

COLLECTED_FOLDER = "collected"
NOT_UNDERSTOOD, OTHER_ATTEMPTS, REPLACED = "not_understood", "other_attempts", "replaced"
"""Folders in collected/ASSIGNMENT."""

MAX_MEMBERS = 20_000
MAX_FILE_MB = 128
MAX_ZIP_MB = 4096
"""Of what a zip unpacks to. Five hundred notebooks with all their pictures have half of it."""

CHUNK = 2**20

RUBBISH = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")
"""What systems leave in folders, and nobody handed in."""

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


class System(StrEnum):
    """Where a zip is from."""

    canvas = "canvas"
    moodle = "moodle"


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
        named = re.match(self.named_regexp, str(path))
        if named is None:
            raise NotUnderstoodError(f"its name is none that {self.system} makes")
        if path.suffix not in self.valid_ext:
            raise NotUnderstoodError(
                f"is no notebook: its name does not end in {self.valid_ext[0]}"
            )
        parts = named.groupdict()
        person = self._person(parts)
        notebook = which_notebook(path, self._assignment, self._released)
        tries = re.search(r"[-( ](\d+)\)?$", Path(parts["file_id"]).stem)
        order = (
            int(parts.get("order") or 0),
            path.stat().st_mtime,
            int(tries.group(1)[:9]) if tries else 0,
            str(path),
        )
        return Found(path, person, notebook, bool(parts.get("late")), order)

    def _person(self, parts: Mapping[str, str]) -> Person:
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


COLLECTORS = {System.canvas: CanvasCollector, System.moodle: MoodleCollector}
NAMES = {System.canvas: CANVAS_NAMES, System.moodle: MOODLE_NAMES}


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


@dataclass
class Outcome:
    """What came of a collection.

    Attributes:
        taken: what happened to each student's submission, a line each.
        not_understood: what was not, and why, a line each.
        attempts: files of which a later one was taken, a line each.
        absent: students of the roster of whom nothing came.
        remarks: on the roster.
        kept: the folder in which all the others are kept.
    """

    kept: Path
    taken: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def collect(
    course: Course,
    assignment: str,
    archives: Sequence[Path],
    system: System,
    roster: Path | None = None,
    force: bool = False,
) -> Outcome:
    """Collect an assignment's submissions.

    Args:
        course: the course.
        assignment: its name.
        archives: zip files, or folders into which a browser has unpacked one.
        system: where they are from.
        roster: the class; by default students.csv in the course's folder.
        force: replace submissions, newer ones too.

    Raises:
        UsageError: no such assignment, file or roster.
        CourseError: something cannot be read or written.
    """
    _check(course, assignment, archives)
    outcome = Outcome(course.root / COLLECTED_FOLDER / assignment)
    with tempfile.TemporaryDirectory(dir=_made(outcome.kept), prefix=".unpacked-") as scratch:
        app = _zip_collect(course, assignment, Path(scratch), system, roster)
        collector = app.collector_plugin_inst
        outcome.remarks += collector.people.remarks
        extracted = Path(app._format_collect_path(app.extracted_directory))
        for number, archive in enumerate(archives):
            _unpack(archive, extracted / f"{number}", outcome)
        found = list(_understood(extracted, collector, archives, outcome))
        chosen = _last_attempts(found, outcome)
        taken = [one for one in chosen if _make_room(course, assignment, one, outcome, force)]
        wanted = {one.path for ones in taken for one in ones}
        for path in sorted(extracted.rglob("*")):
            if path.is_file() and path not in wanted:
                path.unlink()  # it is kept elsewhere, or was there before
        _transfer(app)
        for one in itertools.chain(*taken):
            place = course.folder("submitted", assignment, one.person.student)
            made = one.path.stat().st_mtime  # by which a later zip's is newer
            os.utime(place / f"{one.notebook}.ipynb", (made, made))
    there = {one.person.student for one in found}
    outcome.absent = sorted(
        person.student for person in collector.people.people if person.student not in there
    )
    return outcome


def _check(course: Course, assignment: str, archives: Sequence[Path]) -> None:
    chosen_assignments(course, [assignment])
    for archive in archives:
        if not archive.exists():
            raise UsageError(f"{archive}: no such file; name the zip that the system handed out")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(
            f"{folder}: cannot be made ({error.strerror}); check that the course's folder is yours "
            "to write"
        ) from error
    return folder


def _zip_collect(
    course: Course, assignment: str, scratch: Path, system: System, roster: Path | None
) -> ZipCollectApp:
    """nbgrader's zip_collect, ready to collect what lies in its folder of extracted files."""
    app = ZipCollectApp(config=copy.deepcopy(course.config), log=LOG)
    app.coursedir = CourseDirectory(parent=app, root=str(course.root), assignment_id=assignment)
    app.downloaded_directory = str(scratch.relative_to(course.root))
    app.collector_plugin = COLLECTORS[system]
    app.extractor_plugin = ExtractorPlugin
    if roster is not None:
        app.config.Collector.roster = str(roster)
    # Whoever set a regular expression for nbgrader's own collector did not mean these.
    app.config[COLLECTORS[system].__name__].named_regexp = NAMES[system]
    app.init_plugins()
    Path(app._format_collect_path(app.extracted_directory)).mkdir(parents=True)
    return app


def _transfer(app: ZipCollectApp) -> None:
    try:
        app.process_extracted_files()
    except SystemExit as error:  # which is how nbgrader's programs fail
        raise CourseError(
            f"{app.coursedir.assignment_id}: nbgrader's zip_collect stopped; see its log in "
            ".autograder/"
        ) from error


# Unpacking, as if somebody meant harm.


def _unpack(archive: Path, folder: Path, outcome: Outcome) -> None:
    """Unpack into a folder what can be, and name what cannot."""
    if archive.is_dir():
        for written, path in plain_files(archive):
            if RUBBISH.search(written):
                continue
            if path.stat().st_size > MAX_FILE_MB * 2**20:
                _tell(outcome, archive, written, f"is larger than {MAX_FILE_MB} MB")
                continue
            _put(folder, f"{archive.name}/{written}", path.read_bytes(), path.stat().st_mtime)
        return
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > MAX_MEMBERS:
                raise zipfile.BadZipFile(f"it holds more than {MAX_MEMBERS} files")
            room = MAX_ZIP_MB * 2**20
            for member in members:
                name, remark = _name_of(member)
                if member.is_dir() or RUBBISH.search(name):
                    continue
                try:
                    if room <= 0:
                        raise NotUnderstoodError(f"the zip unpacks to more than {MAX_ZIP_MB} MB")
                    content = _content(opened, member)
                except NotUnderstoodError as error:
                    _tell(outcome, archive, name, f"{error}; it is still in the zip")
                    continue
                room -= len(content)
                if remark:
                    outcome.remarks.append(
                        f"{plain(archive.name, 100)}: {plain(name, 200)}{remark}"
                    )
                if _leads_out(name):
                    kept = _keep(outcome, NOT_UNDERSTOOD, archive.stem, _flat(name), content)
                    _tell(outcome, archive, name, f"leads out of the zip; it is kept as {kept}")
                    continue
                _put(folder, name, content, _date(member))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        _tell(outcome, archive, "", f"cannot be read as a zip ({error}); download it again")


def _name_of(member: zipfile.ZipInfo) -> tuple[str, str]:
    """A file's name in a zip, and a remark if it is a guess.

    Canvas writes UTF-8 without saying so, and is then taken for the code page of old DOS.
    """
    name = member.filename
    if not member.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode()
        except UnicodeEncodeError:
            pass
        except UnicodeDecodeError:
            return unicodedata.normalize("NFC", name), ": the name is not UTF-8, and may be wrong"
    return unicodedata.normalize("NFC", name), ""


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A file's content, unless there is too much of it, whatever the zip says how much there is.

    Raises:
        NotUnderstoodError: it is a link, encrypted, broken or larger.
    """
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise NotUnderstoodError("is a link or a device, not a file")
    if member.flag_bits & 1:
        raise NotUnderstoodError("is encrypted")
    parts, size = [], 0
    try:
        with opened.open(member) as file:
            while part := file.read(CHUNK):
                parts.append(part)
                size += len(part)
                if size > MAX_FILE_MB * 2**20:
                    raise NotUnderstoodError(f"unpacks to more than {MAX_FILE_MB} MB")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise NotUnderstoodError(f"is broken ({error})") from error
    return b"".join(parts)


def _leads_out(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    return ".." in parts or name.startswith(("/", "\\")) or bool(re.match(r"[A-Za-z]:", name))


def _flat(name: str) -> str:
    """A name in which no part is a folder or hidden, that any file system takes."""
    flat = re.sub(r"[/\\:]+", "_", plain(name)).replace("\n", " ").replace("\t", " ").lstrip(". ")
    while len(flat.encode(errors="replace")) > 200:
        flat = flat[1:]  # the end has the file's kind
    return flat.encode(errors="replace").decode() or "unnamed"


def _date(member: zipfile.ZipInfo) -> float:
    """When a file was made, or put into the zip; 1980 if the zip does not say."""
    try:
        return datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError):
        return datetime(1980, 1, 1).timestamp()


def _put(folder: Path, name: str, content: bytes, made: float) -> None:
    """Write an unpacked file, into folders of which a second file of its name gets another."""
    parts = [_flat(part) for part in PurePosixPath(name.replace("\\", "/")).parts]
    parts = parts or ["unnamed"]
    # Safari adds an end to names that it does not know.
    parts[-1] = re.sub(r"\.ipynb\.(txt|json)$", ".ipynb", parts[-1], flags=re.IGNORECASE)
    places = (folder.joinpath(f"{number}", *parts) for number in itertools.count())
    place = next(place for place in places if not place.exists())
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    os.utime(place, (made, made))


# Choosing.


def _understood(
    extracted: Path, collector: Collector, archives: Sequence[Path], outcome: Outcome
) -> Iterator[Found]:
    """The notebooks among the unpacked files; the others are kept and named."""
    for path in sorted(extracted.rglob("*")):
        if not is_plain_file(path):
            continue
        number, _, *parts = path.relative_to(extracted).parts
        archive = archives[int(number)]
        try:
            yield collector.understand(path)
        except NotUnderstoodError as error:
            name = "/".join(parts)
            kept = _keep(outcome, NOT_UNDERSTOOD, archive.stem, _flat(name), path.read_bytes())
            _tell(outcome, archive, name, f"{error} (kept as {kept})")


def _last_attempts(found: Sequence[Found], outcome: Outcome) -> list[list[Found]]:
    """Of each student the last attempt at each notebook; the earlier ones are kept and named."""
    groups: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        groups[one.person.student][one.notebook].append(one)
    chosen = []
    for student, notebooks in sorted(groups.items()):
        last = []
        for attempts in notebooks.values():
            *earlier, newest = sorted(attempts, key=lambda one: one.order)
            last.append(newest)
            for one in earlier:
                if one.path.read_bytes() == newest.path.read_bytes():
                    continue
                name = _flat(one.path.name)
                kept = _keep(outcome, OTHER_ATTEMPTS, student, name, one.path.read_bytes())
                outcome.attempts.append(
                    f"{student}: of several files, {newest.path.name} is the last; {kept} is kept"
                )
        chosen.append(last)
    return chosen


def _make_room(
    course: Course, assignment: str, found: Sequence[Found], outcome: Outcome, force: bool
) -> bool:
    """Whether a student's files are to be taken; what was there is then moved away, and kept."""
    person = found[0].person
    place = course.folder("submitted", assignment, person.student)
    late = ", late" if any(one.late for one in found) else ""
    if not place.is_dir() or not any(place.iterdir()):
        outcome.taken.append(f"{person.student}: taken{late}")
        return True
    there = {one: place / f"{one.notebook}.ipynb" for one in found}
    if all(
        is_plain_file(path) and path.read_bytes() == one.path.read_bytes()
        for one, path in there.items()
    ):
        outcome.taken.append(f"{person.student}: as before")
        return False
    if not force and not _is_newer(found, place):
        for one in found:
            _keep(outcome, OTHER_ATTEMPTS, person.student, one.path.name, one.path.read_bytes())
        outcome.taken.append(
            f"{person.student}: not newer than what is in submitted/, which stays; --force takes it"
        )
        return False
    target = _made(outcome.kept / REPLACED / person.student)
    number = next(n for n in itertools.count(1) if not (target / f"{n}").exists())
    shutil.move(place, target / f"{number}")
    kept = (target / f"{number}").relative_to(course.root)
    outcome.taken.append(f"{person.student}: replaced{late}; the earlier one is kept in {kept}")
    return True


def _is_newer(found: Sequence[Found], place: Path) -> bool:
    """Whether files are newer than a submission: by when they were handed in, else by dates."""
    stamp = place / "timestamp.txt"
    said = submission_time(found[0].person)
    if said is not None and is_plain_file(stamp):
        try:
            return said > parse_utc(stamp.read_text().strip())
        except (ValueError, OverflowError):
            pass  # a student can write anything there
    files = [path for path in place.rglob("*") if is_plain_file(path)]
    newest = max((path.stat().st_mtime for path in files), default=0.0)
    return max(one.path.stat().st_mtime for one in found) > newest


def _keep(outcome: Outcome, *place: str | bytes) -> str:
    """Keep a file in the folder of the collection, and say where."""
    *folders, name, content = place
    folder = outcome.kept.joinpath(*folders)
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(1):
        path = folder / (name if number == 1 else f"{stem}~{number}{suffix}")
        if not path.exists():
            write_atomically(path, content)
        if path.read_bytes() == content:
            return "/".join([COLLECTED_FOLDER, *path.relative_to(outcome.kept.parent).parts])
    raise AssertionError("there is a number for every file")


def _tell(outcome: Outcome, archive: Path, name: str, reason: str) -> None:
    place = " ".join(filter(None, (f"{archive.name}:", name)))
    outcome.not_understood.append(f"{plain(place, 300)}: {plain(reason, 500)}")
