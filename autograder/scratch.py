"""A course beside the course: whatever is graded in it, the real one stays as it is."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autograder.course import CONFIG_FILE, Course
from vae_course.errors import CourseError
from vae_course.files import write_atomically

SETTINGS = """# The course's own settings, but for its places: all is written in this folder.

c = get_config()
load_subconfig({name!r}, path={path!r})
for place in ("source", "release", "submitted", "autograded", "feedback", "solution"):
    c.CourseDirectory[f"{{place}}_directory"] = place
c.CourseDirectory.directory_structure = "{{nbgrader_step}}/{{student_id}}/{{assignment_id}}"
c.CourseDirectory.db_url = {database!r}
"""
DATABASE = "gradebook.db"


@contextlib.contextmanager
def scratch_course(course: Course, assignment: str) -> Iterator[Course]:
    """A course with the same source and settings, and a folder and a gradebook of its own.

    It has no submissions yet, and is gone at the end.
    """
    with tempfile.TemporaryDirectory(prefix="autograder-scratch-") as folder:
        root = Path(folder).resolve()
        shutil.copytree(course.folder("source", assignment), root / "source" / assignment)
        if (course.root / CONFIG_FILE).is_file():
            database = f"sqlite:///{root / DATABASE}"
            settings = SETTINGS.format(name=CONFIG_FILE, path=str(course.root), database=database)
            write_atomically(root / CONFIG_FILE, settings)
        yield Course(root)


def copy_gradebook(course: Course, target: Path) -> None:
    """Copy a course's gradebook into a file, as it stands between two changes.

    Raises:
        CourseError: it is not in a file of SQLite.
    """
    with course.gradebook() as gradebook:
        place = gradebook.engine.url
    if place.get_backend_name() != "sqlite" or not place.database:
        raise CourseError(
            f"{place.render_as_string()}: only a gradebook in a file of SQLite can be copied"
        )
    with (
        contextlib.closing(sqlite3.connect(place.database)) as theirs,
        contextlib.closing(sqlite3.connect(target)) as ours,
    ):
        theirs.backup(ours)
