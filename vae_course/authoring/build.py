"""Source and release notebooks on disk: written, compared with the text, and held to what is out.

An assignment is out once its course's gradebook has submissions for it. From then on nbgrader
refuses another set of cells, and other points would alter marks, so both are refused here first.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vae_course.authoring.assignment import (
    Assignment,
    choose_assignments,
    list_assignments,
    load_assignment,
)
from vae_course.authoring.notebook import Json, dumps, loads, source_notebook
from vae_course.authoring.outline import Outline, outline
from vae_course.authoring.reference import show_path
from vae_course.authoring.release import release_notebook, solved_notebook
from vae_course.errors import CourseError, UsageError
from vae_course.files import write_atomically

SOURCE, RELEASE = "source", "release"


@dataclass(frozen=True)
class Built:
    """An assignment's notebooks, as text ready to be written."""

    outline: Outline = field(repr=False)
    source: str = field(repr=False)
    release: str = field(repr=False)

    @property
    def assignment(self) -> Assignment:
        return self.outline.assignment

    @property
    def name(self) -> str:
        return self.assignment.name

    @property
    def files(self) -> dict[str, str]:
        """What goes where, relative to the course's folder."""
        return {
            f"{SOURCE}/{self.name}/{self.name}.ipynb": self.source,
            f"{RELEASE}/{self.name}/{self.name}.ipynb": self.release,
        }

    @property
    def solved(self) -> Json:
        """The release notebook with its blanks filled from the reference."""
        return solved_notebook(loads(self.source), loads(self.release))


def build_assignment(name: str) -> Built:
    """Make an assignment's notebooks in memory; nothing on disk is read but text and reference.

    Raises:
        CourseError: the text, the reference, or nbgrader's view of the two is wrong.
    """
    assignment = load_assignment(name)
    outlined = outline(assignment)
    source = dumps(source_notebook(outlined))
    return Built(outlined, source, release_notebook(name, source))


def find_course(folder: Path | None = None) -> Path:
    """The course's folder: the given one, else the nearest above here with an nbgrader_config.py.

    Raises:
        UsageError: the given folder does not exist.
    """
    if folder is not None:
        if not Path(folder).is_dir():
            raise UsageError(f"{folder}: there is no such folder; make it or name another")
        return Path(folder)
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / "nbgrader_config.py").is_file():
            return place
    return here


def write(course: Path, built: Built) -> list[Path]:
    """Write an assignment's notebooks, each whole or not at all; return those that changed.

    Raises:
        CourseError: the assignment is out and would change for those who have it; or a file can
            not be written.
    """
    changes = frozen_changes(course, built)
    if changes:
        raise CourseError(_refusal(course, built.name, changes))
    changed = []
    for relative, text in built.files.items():
        path = course / relative
        if _read(path) != text:
            write_atomically(path, text)
            changed.append(path)
    return changed


def check(course: Path, built: Built) -> list[str]:
    """One line for each of an assignment's files that is missing, stale, or no longer allowed."""
    found = []
    for relative, text in built.files.items():
        path = course / relative
        there = _read(path)
        if there is None:
            found.append(f"{show_path(path)}: missing; run vae-course build {built.name}")
        elif there != text:
            found.append(
                f"{show_path(path)}: stale, the text or the reference has changed since; run "
                f"vae-course build {built.name}"
            )
    changes = frozen_changes(course, built)
    if changes:
        found.append(_refusal(course, built.name, changes))
    return found


def orphans(course: Path, names: Iterable[str] = ()) -> list[str]:
    """One line for each notebook in source/ and release/ that no assignment makes.

    Args:
        course: the course's folder.
        names: look only at these assignments' folders; at all when there is none.
    """
    known = list_assignments()
    wanted = choose_assignments(names) if names else None
    found = []
    for part in (SOURCE, RELEASE):
        for path in sorted((course / part).glob("*/*.ipynb")):
            name = path.parent.name
            if wanted is not None and name not in wanted:
                continue
            if name not in known:
                why = f"no assignment is called {name}"
            elif path.stem != name:
                why = f"{name} has one notebook, {name}.ipynb"
            else:
                continue
            found.append(f"{show_path(path)}: orphaned, {why}; delete it")
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise CourseError(f"{show_path(path)}: cannot be read ({error.strerror})") from error


def _refusal(course: Path, name: str, changes: list[str]) -> str:
    return (
        f"{show_path(course / 'gradebook.db')}: {name} is out and has submissions, so its ids and "
        f"points are frozen, but {'; '.join(changes)}; put the text back, or remove the "
        f"submissions first (nbgrader db assignment remove {name})"
    )


# What nbgrader's database calls the kinds of a cell, and which flags make a cell one of them.
_TABLES = {"grade_cells": "graded", "solution_cells": "answer", "task_cells": "task"}


def frozen_changes(course: Path, built: Built) -> list[str]:
    """What would change for an assignment that has submissions; empty if it has none.

    Named are the changes that nbgrader refuses (a cell more or fewer, or of another kind) and
    those that would alter marks (points) or where they are earned (code or Markdown).

    Raises:
        CourseError: the course's gradebook cannot be read.
    """
    path = course / "gradebook.db"
    if not path.is_file():
        return []
    try:
        recorded = _recorded_cells(path, built.name)
    except sqlite3.Error as error:
        raise CourseError(
            f"{show_path(path)}: cannot be read as nbgrader's gradebook ({error}); if it is an "
            "old one, back it up and run `nbgrader db upgrade`"
        ) from error
    if recorded is None:
        return []
    return compare_cells(recorded, _source_cells(loads(built.source)))


Cells = dict[tuple[str, str], tuple[float | None, str | None]]


def compare_cells(recorded: Cells, now: Cells) -> list[str]:
    """Differences between the cells of a gradebook and those of a source notebook, in words."""
    changes = []
    for kind, id_ in sorted(recorded.keys() - now.keys()):
        changes.append(f"the {kind} cell {id_} is gone")
    for kind, id_ in sorted(now.keys() - recorded.keys()):
        changes.append(f"the {kind} cell {id_} is new")
    for key in sorted(recorded.keys() & now.keys()):
        (points, type_), (points_now, type_now) = recorded[key], now[key]
        if points is not None and points != points_now:
            changes.append(f"{key[1]} was worth {points:g} points and is worth {points_now:g}")
        if type_ is not None and type_ != type_now:
            changes.append(f"{key[1]} was {type_} and is {type_now}")
    return changes


def _source_cells(source: Json) -> Cells:
    cells: Cells = {}
    for cell in source["cells"]:
        flags = cell["metadata"].get("nbgrader")
        if not flags:
            continue
        points = float(flags["points"]) if "points" in flags else None
        for kind, is_it in (
            ("graded", flags["grade"]),
            ("answer", flags["solution"]),
            ("task", flags["task"]),
        ):
            if is_it:
                worth = None if kind == "answer" else points
                cells[kind, flags["grade_id"]] = (worth, cell["cell_type"])
        cells["nbgrader", flags["grade_id"]] = (None, cell["cell_type"])
    return cells


def _recorded_cells(path: Path, name: str) -> Cells | None:
    """The assignment's cells in a gradebook; None if it is not there or has no submission.

    Read with SQL and in read-only mode: asking must not create, migrate or lock anything.
    """
    database = sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True)
    try:
        tables = {row[0] for row in database.execute("select name from sqlite_master")}
        if "assignment" not in tables:
            return None
        submissions = database.execute(
            "select count(*) from submitted_assignment s join assignment a on a.id = "
            "s.assignment_id where a.name = ?",
            (name,),
        ).fetchone()[0]
        if not submissions:
            return None
        cells: Cells = {}
        join = (
            "from {table} c join base_cell b on b.id = c.id join notebook n on n.id = "
            "b.notebook_id join assignment a on a.id = n.assignment_id where a.name = ?"
        )
        for table, kind in _TABLES.items():
            columns = "b.name, null, null" if kind == "answer" else "b.name, max_score, cell_type"
            query = f"select {columns} {join.format(table=table)}"
            for id_, points, type_ in database.execute(query, (name,)):
                cells[kind, id_] = (points, type_)
        query = (
            "select c.name, c.cell_type from source_cell c join notebook n on n.id = "
            "c.notebook_id join assignment a on a.id = n.assignment_id where a.name = ?"
        )
        for id_, type_ in database.execute(query, (name,)):
            cells["nbgrader", id_] = (None, type_)
        return cells
    finally:
        database.close()
