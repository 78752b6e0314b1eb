"""One submission graded as in a class, with nothing in the course's folder changed.

It is graded in a scratch course, which has the same source and the same settings, by the same
engine: so the same seed gives the same scores.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from autograder.course import Course, logged_to
from autograder.grading import Grading, Record
from autograder.intake import beside, is_plain_file
from autograder.notebooks import plain
from autograder.report import write_feedback
from autograder.scratch import scratch_course
from vae_course.errors import UsageError
from vae_course.files import write_atomically

STUDENT = "preview"
"""Whose submission it is in the scratch course."""


@dataclass(frozen=True)
class Preview:
    """What came of a submission.

    Attributes:
        record: as it would stand in verdicts.json; its student is the name of what was handed in.
        pages: the feedback that the student would read, by notebook.
        log: what nbgrader and its kin had to say.
    """

    record: Record
    pages: dict[str, bytes]
    log: str


def preview(
    course: Course,
    assignment: str,
    handed_in: Path,
    timeout: int | None = None,
    isolation: str | None = None,
    feedback: bool = False,
    label: str = "",
) -> Preview:
    """Grade one submission.

    Args:
        course: the course. It is only read.
        assignment: the name of an assignment in source/.
        handed_in: a notebook, whatever its name; or a folder that holds notebooks with the names of
            the assignment's, and what was handed in beside them.
        timeout: seconds that a cell may take, in place of the configured ones.
        isolation: "sandbox" or "process", in place of the configured one.
        feedback: make the student's pages, too, unless the grader fails.
        label: what to call it; by default the name of what was handed in.

    Raises:
        UsageError: no such assignment, nothing was handed in there, or a notebook could be one of
            several; or this machine has no sandbox, and nobody said that it should go without.
        CourseError: nbgrader refuses the assignment, or something cannot be written.
    """
    files = _files(course, assignment, handed_in)
    with scratch_course(course, assignment) as scratch:
        submitted = scratch.folder("submitted", assignment, STUDENT)
        submitted.mkdir(parents=True)
        for written, path in files.items():
            (submitted / written).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, submitted / written)
        log = scratch.log_file(assignment)
        with logged_to(log):
            (entry,) = Grading(scratch, assignment, timeout=timeout, isolation=isolation).run()
            failed = entry["status"] == "grader_error"
            wanted = feedback and not failed
            pages = list(write_feedback(scratch, assignment, STUDENT)) if wanted else []
        label = label or plain(handed_in.absolute().name, 100)
        place = re.compile(re.escape(scratch.relative(str(submitted))) + r"(/[^/:]+)?")

        def renamed(message: str) -> str:
            """Nobody knows the scratch course's paths."""
            return place.sub(lambda _: label, message.replace(str(log), "the log"))

        said = [part | {"message": renamed(part["message"])} for part in entry["exercises"]]
        told = {"student": label, "message": renamed(entry["message"]), "exercises": said}
        made = {page.stem: page.read_bytes() for page in pages}
        return Preview(entry | told, made, log.read_text())


def write_pages(made: Preview, target: Path) -> list[Path]:
    """Write the student's pages: one to `target`, of several each to a file beside it.

    Raises:
        CourseError: a page cannot be written.
    """
    alone = len(made.pages) == 1
    paths = {
        name: target if alone else target.with_name(f"{target.stem}-{name}{target.suffix}")
        for name in made.pages
    }
    for name, path in paths.items():
        write_atomically(path, made.pages[name])
    return list(paths.values())


def _files(course: Course, assignment: str, handed_in: Path) -> dict[str, Path]:
    """What was handed in, by its path in the student's folder."""
    names = list(course.source_notebooks(assignment))
    shown = plain(handed_in)
    if handed_in.is_dir():
        books = {path.name: path for path in handed_in.glob("*.ipynb") if is_plain_file(path)}
        return beside(handed_in) | books
    if not handed_in.is_file():
        raise UsageError(f"{shown}: no such file; name a notebook, or a folder that holds it")
    if len(names) > 1 and handed_in.stem not in names:
        raise UsageError(
            f"{shown}: which notebook of {assignment} is it? Give it its name "
            f"({', '.join(f'{name}.ipynb' for name in names)}), or name a folder that holds them"
        )
    name = handed_in.stem if handed_in.stem in names else names[0]
    return {f"{name}.ipynb": handed_in}
