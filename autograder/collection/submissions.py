"""Submissions in: from the zip files that Canvas and Moodle hand out into submitted/.

nbgrader's own zip_collect does it, configured with this project's collectors. Here is what it has
no setting for: of two attempts the last one counts, an earlier submission is replaced by a newer
one only, and whatever was not understood is kept and named.
"""

import itertools
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbgrader.apps.zipcollectapp import ZipCollectApp
from nbgrader.utils import parse_utc

from autograder.collection import System
from autograder.collection.outcome import (
    COLLECTED_FOLDER,
    NOT_UNDERSTOOD,
    OTHER_ATTEMPTS,
    REPLACED,
    Outcome,
    flat,
)
from autograder.collection.plugins import (
    Collector,
    Found,
    NotUnderstoodError,
    submission_time,
    zip_collect,
)
from autograder.collection.zips import check_there, unpack
from autograder.course import Course
from autograder.intake import is_plain_file
from autograder.marks.export import chosen_assignments
from vae_course.errors import CourseError


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
    chosen_assignments(course, [assignment])
    check_there(*archives)
    outcome = Outcome(course.root / COLLECTED_FOLDER / assignment)
    with tempfile.TemporaryDirectory(dir=_made(outcome.kept), prefix=".unpacked-") as scratch:
        app = zip_collect(course, assignment, system, roster)
        app.downloaded_directory = str(Path(scratch).relative_to(course.root))
        collector = app.collector_plugin_inst
        outcome.remarks += collector.people.remarks
        extracted = _made(Path(app._format_collect_path(app.extracted_directory)))
        for number, archive in enumerate(archives):
            unpack(archive, extracted / f"{number}", outcome)
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


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(
            f"{folder}: cannot be made ({error.strerror}); check that the course's folder is yours "
            "to write"
        ) from error
    return folder


def _transfer(app: ZipCollectApp) -> None:
    try:
        app.process_extracted_files()
    except SystemExit as error:  # which is how nbgrader's programs fail
        raise CourseError(
            f"{app.coursedir.assignment_id}: nbgrader's zip_collect stopped; see its log in "
            ".autograder/"
        ) from error


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
            kept = outcome.keep(path.read_bytes(), NOT_UNDERSTOOD, archive.stem, flat(name))
            outcome.tell(archive, name, f"{error} (kept as {kept})")


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
                name = flat(one.path.name)
                kept = outcome.keep(one.path.read_bytes(), OTHER_ATTEMPTS, student, name)
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
            outcome.keep(one.path.read_bytes(), OTHER_ATTEMPTS, person.student, one.path.name)
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
    there = [place / f"{one.notebook}.ipynb" for one in found]  # what lies beside says nothing
    newest = max((path.stat().st_mtime for path in there if is_plain_file(path)), default=0.0)
    return max(one.path.stat().st_mtime for one in found) > newest
