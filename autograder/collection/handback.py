"""Feedback pages back to where submissions came from: in a zip whose names the system knows again.

Canvas and Moodle take feedback for a whole class as a zip, and tell from each file's name whose it
is. The names are those of the zip that the submissions came in, with a page's name at their end.
(Canvas: app/models/abstract_assignment.rb, `generate_comments_from_files`. Moodle:
mod/assign/feedback/file/importziplib.php)
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autograder.collection import System
from autograder.collection.plugins import Collector, NotUnderstoodError, zip_collect
from autograder.collection.zips import check_there, names_in
from autograder.course import Course
from autograder.intake import is_plain_file
from autograder.marks.export import chosen_assignments
from autograder.notebooks import plain
from vae_course.files import replacing


@dataclass
class Handback:
    """Pages that are to go back.

    Attributes:
        pages: for each student, the pages by the names that the zip gives them.
        without: students who handed in, and have no page.
        not_understood: files of the system's zip of whom it is not known whose they are, and why.
    """

    pages: dict[str, dict[str, Path]] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)


def handback(
    course: Course, assignment: str, archive: Path, system: System, roster: Path | None = None
) -> Handback:
    """Which pages go back, under which names.

    Args:
        course: the course.
        assignment: its name.
        archive: the zip in which its submissions came, or a folder into which it was unpacked.
        system: where it is from.
        roster: the class; by default students.csv in the course's folder.

    Raises:
        UsageError: no such assignment, file or roster.
        CourseError: the zip cannot be read.
    """
    chosen_assignments(course, [assignment])
    check_there(archive)
    collector: Collector = zip_collect(course, assignment, system, roster).collector_plugin_inst
    found = Handback()
    latest: dict[str, tuple[bool, int, str]] = {}
    for name in sorted(names_in(archive)):
        try:
            named = collector.named(f"/{name}")
            student = collector.whose(named.groupdict()).student
        except NotUnderstoodError as error:
            found.not_understood.append(plain(f"{name}: {error}"))
            continue
        order = int(named.groupdict().get("order") or 0)
        attempt = (PurePosixPath(name).suffix == ".ipynb", order, collector.back_to(named))
        latest[student] = max(latest.get(student, attempt), attempt)
    for student, (_, _, prefix) in sorted(latest.items()):
        folder = course.folder("feedback", assignment, student)
        pages = {prefix + page.name: page for page in folder.glob("*.html") if is_plain_file(page)}
        if pages:
            found.pages[student] = pages
        else:
            found.without.append(student)
    return found


def write_zip(found: Handback, path: Path) -> None:
    """Write the zip beside its place, then rename it.

    Raises:
        CourseError: it cannot be written.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for pages in found.pages.values():
            for name, page in pages.items():
                made.write(page, name)
