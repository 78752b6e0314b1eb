"""What runs on Gradescope for each submission: from its folder to results.json.

It reads no name and no address of a student. What it prints, only instructors see.
"""

import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode
from rich.console import Console

from autograder import report
from autograder.course import CONFIG_FILE, Course
from autograder.gradescope.account import ACCOUNT, give_up_root
from autograder.gradescope.results import Json, failure, refusal, results, titles_of, worth
from autograder.grading import Record, read_notebook
from autograder.intake import beside, plain_files
from autograder.nbgrader_plugin import isolation_of
from autograder.notebooks import grade_id, plain, released_cells
from autograder.preview import preview
from autograder.sandbox import outside
from vae_course.errors import CourseError, UsageError
from vae_course.files import write_atomically

ROOT = Path("/autograder")
SETTINGS_FILE = "gradescope.json"

NO_SANDBOX = (
    "this container has no sandbox for students' code: {}. Make the archive again with "
    "--isolation process, which runs their code in an account of its own, and read in the handbook "
    "what that is worth"
)


NO_WALLS = (
    f"Without a sandbox, the student's code ran in the account {ACCOUNT}: it could not write "
    "results, but it could read the checks and the answers. Grade again behind walls before marks "
    "count."
)


class NothingToGrade(CourseError):
    """The student handed in no notebook of this assignment, or several."""


@dataclass(frozen=True)
class Settings:
    """How the archive was made.

    Attributes:
        assignment: its name.
        isolation: "sandbox" or "process".
        timeout: seconds that a cell may take; None for the configured ones.
    """

    assignment: str
    isolation: str
    timeout: int | None = None


def settings_of(
    course: Course, assignment: str, isolation: str | None = None, timeout: int | None = None
) -> Settings:
    """Settings for a course's assignment: the course's own where nobody named others.

    Raises:
        UsageError: no such assignment, or the course runs notebooks in a way that is not ours.
    """
    course.require(assignment)
    configured = isolation_of(course.config)
    if not configured:
        raise UsageError(
            f"{course.root / CONFIG_FILE}: does not call autograder.nbgrader_plugin.configure, by "
            "which notebooks are run as this archive runs them"
        )
    return Settings(assignment, isolation or configured, timeout)


def main(root: Path = ROOT) -> int:
    """Grade the submission and write its results, whatever happens.

    Returns:
        0, or 1 if there is no score because the grader failed.
    """
    start = time.monotonic()
    try:
        made = _graded(root, start)
    except CourseError as error:
        print(f"error: {error}")
        made = failure()
    except Exception:
        print(traceback.format_exc())
        made = failure()
    # Half of a character, as a file's name may hold, can not be written.
    content = json.dumps(made, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    write_atomically(root / "results" / "results.json", content)
    return 0 if "score" in made else 1


def _graded(root: Path, start: float) -> Json:
    settings = Settings(**json.loads((root / "source" / SETTINGS_FILE).read_text()))
    course = Course(root / "source" / "course")
    sources = course.source_notebooks(settings.assignment)
    if settings.isolation == "sandbox" and (reason := outside.problem()):
        raise CourseError(NO_SANDBOX.format(reason))
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder, label, notes = _taken(root / "submission", list(sources), Path(scratch))
        except NothingToGrade as error:
            print(f"nothing to grade: {plain(error)}")
            return refusal(str(error), worth(sources)[0])
        notes += _strange(folder, sources, settings.assignment)
        if settings.isolation == "process":
            give_up_root(root, Path(scratch, "jupyter"))
        timeout, isolation = settings.timeout, settings.isolation
        made = preview(course, settings.assignment, folder, timeout, isolation, label=label)
    _show(made.record)
    if made.record["status"] == "grader_error":
        print(made.log)
    titles, seconds = titles_of(sources), time.monotonic() - start
    return results(made.record, titles, "\n".join(notes), seconds)


def _show(entry: Record) -> None:
    """Print what an instructor should know, as of a class."""
    report.show(Console(width=120), [entry | {"isolation": ""}])  # of which more is known here
    if entry["isolation"] == "process":
        print(NO_WALLS)


def _taken(submission: Path, names: Sequence[str], scratch: Path) -> tuple[Path, str, list[str]]:
    """Find the notebooks, wherever a zip file put them, and give them their names.

    Args:
        submission: what was handed in.
        names: of the assignment's notebooks.
        scratch: where a folder for them may be made.

    Returns:
        A folder with the notebooks and what lies beside them; what to call it; and what the student
        should know.

    Raises:
        NothingToGrade: there is no notebook, or nobody knows which it is.
    """
    found = _notebooks(submission)
    wanted = " and ".join(f"{name}.ipynb" for name in names)
    if not found:
        files = ", ".join(sorted(path.name for path in submission.iterdir())[:5]) or "nothing"
        raise NothingToGrade(
            f"You handed in no notebook, but {plain(files, 500)}. Hand in {wanted}."
        )
    named = [path for path in found if path.suffix == ".ipynb" and path.stem in names]
    places = {path.parent for path in named}
    top = PurePosixPath(".")
    place = top if top in places else places.pop() if len(places) == 1 else None
    taken = [path for path in named if path.parent == place]
    if not taken and len(found) == len(names) == 1:
        taken = found
    if not taken:
        listed = plain(", ".join(map(str, found)), 500)
        raise NothingToGrade(
            f"Which of your notebooks is to be graded? There are {listed}. Hand in only {wanted}."
        )
    folder = scratch / "handed_in"
    for written, path in beside(submission / taken[0].parent).items():
        (folder / written).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / written)
    folder.mkdir(exist_ok=True)
    for path in taken:
        name = path.stem if path in named else names[0]
        shutil.copyfile(submission / path, folder / f"{name}.ipynb")
    label = plain(taken[0].name if len(taken) == 1 else "your notebooks", 100)
    return folder, label, _notes(taken, found, label, wanted)


def _notebooks(submission: Path) -> list[PurePosixPath]:
    """Plain files that end as notebooks do, but for those that programs leave behind."""
    paths = [PurePosixPath(written) for written, _ in plain_files(submission)]
    return [
        path
        for path in paths
        if path.suffix.lower() == ".ipynb"
        and not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    ]


def _notes(
    taken: Sequence[PurePosixPath], found: Sequence[PurePosixPath], label: str, wanted: str
) -> list[str]:
    notes = []
    if [path.name for path in taken] == [label] and label != wanted:
        notes.append(f"{label} was graded as {wanted}.")
    if others := [str(path) for path in found if path not in taken]:
        notes.append(f"Not looked at: {plain(', '.join(others), 500)}.")
    return notes


def _strange(folder: Path, sources: dict[str, NotebookNode], assignment: str) -> list[str]:
    """Whether what was handed in is another assignment's: it is graded, and will earn little."""
    known = {cell.id for source in sources.values() for cell in released_cells(source)}
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebook = read_notebook(path)
        except CourseError:
            return []  # its grading says why
        if known & {grade_id(cell) for cell in notebook.cells}:
            return []
    return [f"None of {assignment}'s cells is in this notebook. Is it that of another assignment?"]
