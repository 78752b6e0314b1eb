"""What is taken in of a submission: plain notebooks and plain files.

A student may hand in anything. What nbgrader or nbformat would stumble over is mended or left out
here, before anybody else reads it, so that nobody's submission can make the grader fail.
"""

import hashlib
import itertools
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from nbformat import NotebookNode
from nbformat.validator import isvalid
from nbgrader.converters import Autograde
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory

from autograder.notebooks import Cell, nbgrader_metadata, plain, tags

MAX_DEPTH = 20
"""Of metadata. No editor nests them as deep as this."""

MAX_FILES = 10_000
MAX_FILES_MB = 128
"""Of a submission's files together; what is beyond is left out."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")


def rebuilt(notebook: NotebookNode) -> NotebookNode:
    """A submitted notebook made anew from plain parts.

    Half characters become whole ones that say so; ids that are none are replaced; metadata without
    the form of such are left out, and so are outputs, which nobody grades, and the state of
    widgets, which is a program. All else stays as it is.
    """
    minor = notebook.get("nbformat_minor")
    metadata = _plain(notebook.get("metadata"))
    made = NotebookNode(
        nbformat=4,
        nbformat_minor=minor if minor in range(6) else 5,
        metadata=metadata if isinstance(metadata, dict) else NotebookNode(),
        cells=[_cell(cell) for cell in notebook.cells],
    )
    made.metadata.pop("widgets", None)
    if made.nbformat_minor >= 5:
        for cell, id in zip(made.cells, _ids(notebook.cells), strict=True):
            cell.id = id
    if not isvalid(made):  # whoever forged some metadata does without the others
        made.metadata = NotebookNode()
        for cell in made.cells:
            cell.metadata = _needed(cell)
    return made


def _cell(cell: Cell) -> Cell:
    kind = cell.cell_type if cell.cell_type in ("code", "markdown") else "raw"
    metadata = _plain(cell.get("metadata"))
    made = NotebookNode(
        cell_type=kind,
        metadata=metadata if isinstance(metadata, dict) else NotebookNode(),
        source=_whole(str(cell.source)),
    )
    if kind == "code":
        made.update(execution_count=None, outputs=[])
    elif attachments := _attachments(cell.get("attachments")):
        made.attachments = attachments
    return made


def _needed(cell: Cell) -> NotebookNode:
    """What grading asks of a cell's metadata."""
    kept = NotebookNode()
    if known := nbgrader_metadata(cell):
        kept.nbgrader = known
    if named := [tag for tag in tags(cell) if tag and "," not in tag]:
        kept.tags = list(dict.fromkeys(named))
    return kept


def _ids(cells: list[Cell]) -> Iterator[str]:
    """An id for each cell: its own, if it is one and nobody had it before."""
    own = [cell.get("id") for cell in cells]
    proper = [id if isinstance(id, str) and _ID.fullmatch(id) else None for id in own]
    spare = (id for number in itertools.count() if (id := f"cell-{number}") not in proper)
    taken = set()
    for id in proper:
        yield next(spare) if id is None or id in taken else id
        taken.add(id)


def _attachments(found: Any) -> NotebookNode:
    named = found.items() if isinstance(found, dict) else ()
    kept = NotebookNode()
    for name, media in named:
        if isinstance(media, dict) and all(isinstance(data, str) for data in media.values()):
            kept[_whole(str(name))] = _plain(media)
    return kept


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of JSON, with nothing in it that cannot be written again."""
    if depth > MAX_DEPTH:
        return None
    match value:
        case str():
            return _whole(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return NotebookNode(
                {_whole(str(key)): _plain(part, depth + 1) for key, part in value.items()}
            )
        case list():
            return [_plain(part, depth + 1) for part in value]
        case None | bool() | int():
            return value
    return None


def _whole(text: str) -> str:
    """Text without half characters, which cannot be written to a file."""
    return _HALF_CHARACTERS.sub("\ufffd", text)


# Files, which nbgrader copies before it asks any preprocessor.


def plain_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files in a folder and in the folders below, by their paths from there, in order.

    Left out are links, pipes and devices, for they might lead anywhere and never end, and names
    that cannot be written or would move a terminal's cursor.
    """
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            written = path.relative_to(folder).as_posix()
            if is_plain_file(path) and _is_plain_name(written):
                yield written, path


def fingerprint(folder: Path) -> str:
    """A hash of the plain files in a folder: of their names and of what they hold."""
    digest = hashlib.sha256()
    for written, path in plain_files(folder):
        digest.update(f"{written}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_plain_name(name: str) -> bool:
    return _whole(plain(name)) == name and "\n" not in name and "\t" not in name


def is_plain_file(path: Path) -> bool:
    """Whether it is a file that can be read, and not a link to one."""
    return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)


def beside(folder: Path, ignored: Iterable[str] = ()) -> dict[str, Path]:
    """The plain files that a notebook finds in its folder, by their paths from there.

    No notebooks are among them: one that was restored holds the hidden tests. What is beyond
    `MAX_FILES` or `MAX_FILES_MB` is left out.

    Args:
        folder: of the notebook.
        ignored: nbgrader's patterns of names of files and folders that it does not copy.
    """
    patterns = [*ignored, "*.ipynb"]
    found, room = {}, MAX_FILES_MB * 2**20
    for written, path in plain_files(folder):
        parts = written.split("/")
        if not any(fnmatch(part, pattern) for part in parts for pattern in patterns):
            room -= path.stat().st_size
            if room >= 0 and len(found) < MAX_FILES:
                found[written] = path
    return found


def taken_in(submitted: Path, given: Path, ignored: Iterable[str] = ()) -> dict[str, Path]:
    """What a submission brings along, but for what is in the way of the instructor's files.

    In the way is a file that has the name of a folder of theirs, and what lies in a folder that has
    the name of a file of theirs.

    Args:
        submitted: the student's folder.
        given: the assignment's in source/.
        ignored: see `beside`.
    """
    theirs = [PurePosixPath(written) for written, _ in plain_files(given)]
    folders = {folder for path in theirs for folder in path.parents}
    return {
        written: path
        for written, path in beside(submitted, ignored).items()
        if (mine := PurePosixPath(written)) not in folders and set(mine.parents).isdisjoint(theirs)
    }


def make_nbgrader_careful() -> None:
    """Have nbgrader's autograding copy plain files only, and bear a timestamp that is none.

    There is no setting for either: nbgrader copies what links lead to, be it without an end, and
    fails where timestamp.txt holds no time.
    """
    BaseConverter.init_assignment = _init_assignment
    CourseDirectory.get_existing_timestamp = _timestamp


_usual_init_assignment = BaseConverter.init_assignment
_usual_timestamp = CourseDirectory.get_existing_timestamp


def _init_assignment(self: BaseConverter, assignment_id: str, student_id: str) -> None:
    if not isinstance(self, Autograde):  # the others copy what is an instructor's, or was taken in
        _usual_init_assignment(self, assignment_id, student_id)
        return
    self.notebooks = [path for path in self.notebooks if is_plain_file(Path(path))]
    directory = self.coursedir
    submitted = Path(self._format_source(assignment_id, student_id))
    given = Path(directory.format_path(directory.source_directory, ".", assignment_id))
    target = Path(self._format_dest(assignment_id, student_id))
    for written, path in taken_in(submitted, given, directory.ignore).items():
        (target / written).parent.mkdir(parents=True, exist_ok=True)
        (target / written).unlink(missing_ok=True)
        shutil.copy(path, target / written)


def _timestamp(self: CourseDirectory, folder: str) -> datetime | None:
    path = Path(folder, "timestamp.txt")
    try:
        if path.is_symlink() or (path.exists() and path.stat().st_size > 1000):
            raise ValueError("it is no time")
        return _usual_timestamp(self, folder)
    except Exception as error:
        self.log.warning("%r does not tell when this was handed in: %s", str(path), error)
        return None
