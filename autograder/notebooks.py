"""What nbgrader's cells say, read without trusting them. Pure functions on notebooks.

A submission's metadata was in a student's hands: nothing here assumes that it has the right form.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

Cell = NotebookNode

HIDDEN_TESTS = ("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
MARK_SCHEME = ("BEGIN MARK SCHEME", "END MARK SCHEME")
SKIP = "skip-execution"
"""Jupyter's tag of a cell that is not to be run."""

ANSWER = "_answer"
"""An exercise's answer cell has the exercise's id with this at its end."""


@dataclass(frozen=True)
class ReleasedCell:
    """A cell that nbgrader knows, as it was released.

    Attributes:
        id: nbgrader's grade_id.
        cell_type: "code" or "markdown".
        source: what is run; of a locked cell, hidden tests included.
        grade, solution, task, locked: nbgrader's flags.
        points: None where the cell has none.
        tags: the cell's tags.
    """

    id: str
    cell_type: str
    source: str
    grade: bool = False
    solution: bool = False
    task: bool = False
    locked: bool = False
    points: float | None = None
    tags: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Who scores it: "machine", "manual" or "task"; "" if nobody does."""
        if self.task:
            return "task"
        if self.grade:
            return "manual" if self.solution else "machine"
        return ""

    def metadata(self) -> dict[str, Any]:
        """nbgrader's metadata, schema 3, checksum left out."""
        found = {
            "schema_version": 3,
            "grade_id": self.id,
            "cell_type": self.cell_type,
            "grade": self.grade,
            "solution": self.solution,
            "task": self.task,
            "locked": self.locked,
        }
        return found if self.points is None else found | {"points": self.points}


def nbgrader_metadata(cell: Cell) -> dict[str, Any]:
    """The cell's nbgrader metadata, or an empty dictionary."""
    found = cell.get("metadata", {}).get("nbgrader")
    return found if isinstance(found, dict) else {}


def grade_id(cell: Cell) -> str:
    """The cell's nbgrader id, or "" if it has none."""
    found = nbgrader_metadata(cell).get("grade_id")
    return found if isinstance(found, str) else ""


def is_machine_graded(cell: Cell) -> bool:
    """Whether the cell is code whose outcome is the score."""
    flags = nbgrader_metadata(cell)
    return bool(flags.get("grade")) and not flags.get("solution") and cell.cell_type == "code"


def is_task(cell: Cell) -> bool:
    """Whether the cell sets a task that a person grades."""
    return bool(nbgrader_metadata(cell).get("task"))


def is_locked(cell: Cell) -> bool:
    """Whether the cell's source is the instructor's; only to be asked once it was restored."""
    flags = nbgrader_metadata(cell)
    return bool(flags.get("locked") or flags.get("grade")) and not flags.get("solution")


def tags(cell: Cell) -> tuple[str, ...]:
    """The cell's tags, sorted."""
    found = cell.get("metadata", {}).get("tags")
    return tuple(sorted(map(str, found))) if isinstance(found, list) else ()


def is_run(cell: Cell) -> bool:
    """Whether the cell is one to run; only to be asked once it was restored.

    Then nobody but the instructor can have tagged a locked cell as one to skip, and a student who
    skips an answer has not answered.
    """
    return cell.cell_type == "code" and bool(cell.source.strip()) and SKIP not in tags(cell)


def released_cells(notebook: NotebookNode) -> list[ReleasedCell]:
    """The cells of a source or release notebook that nbgrader knows, in their order."""
    return [_released(cell) for cell in notebook.cells if grade_id(cell)]


def _released(cell: Cell) -> ReleasedCell:
    flags = nbgrader_metadata(cell)
    graded = flags.get("grade") or flags.get("task")
    return ReleasedCell(
        id=grade_id(cell),
        cell_type=cell.cell_type,
        source=cell.source,
        grade=bool(flags.get("grade")),
        solution=bool(flags.get("solution")),
        task=bool(flags.get("task")),
        locked=is_locked(cell),
        points=float(flags["points"]) if graded else None,
        tags=tags(cell),
    )


def without_region(source: str, begin: str, end: str) -> str:
    """Cut the lines from one that holds `begin` to one that holds `end`, both included.

    A region that is never closed is cut to the end: what is hidden stays hidden.
    """
    kept, inside = [], False
    for line in source.split("\n"):
        if begin in line:
            inside = True
        if not inside:
            kept.append(line)
        if end in line:
            inside = False
    return "\n".join(kept)


def shown(source: str) -> str:
    """The part of a cell's source that students may see."""
    return without_region(without_region(source, *HIDDEN_TESTS), *MARK_SCHEME).rstrip()


def has_hidden_tests(source: str) -> bool:
    """Whether a region of hidden tests begins in this source."""
    return HIDDEN_TESTS[0] in source


def asks_judge(source: str) -> bool:
    """Whether a grade cell leaves the judging to `autograder.grade`."""
    return "from autograder import grade" in source


def altered(released: Iterable[ReleasedCell], cells: Sequence[Cell]) -> list[str]:
    """Ids of the locked cells that a submission altered, deleted or repeated.

    Compared are the source that students see, the tags, nbgrader's flags and the points. A space
    or an empty line at the end does not count: Colab and Jupyter differ in them.
    """
    copies: dict[str, list[Cell]] = {}
    for cell in cells:
        copies.setdefault(grade_id(cell), []).append(cell)
    return [
        cell.id
        for cell in released
        if cell.locked and [_appearance(copy) for copy in copies.get(cell.id, [])] != [_look(cell)]
    ]


def _look(cell: ReleasedCell) -> tuple:
    flags = (cell.grade, cell.solution, cell.task, cell.locked)
    return cell.cell_type, shown(cell.source).strip(), cell.tags, flags, cell.points


def _appearance(cell: Cell) -> tuple | None:
    try:
        return _look(_released(cell))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # no cell of ours looks like that


def restore(cells: Sequence[Cell], released: Sequence[ReleasedCell]) -> list[Cell]:
    """A submission's cells with everything that was not the student's to change put back.

    The last copy of an id stands, as in nbgrader. Locked cells get their released source, flags,
    points and tags; a graded answer gets its flags and points. Cells that carry an id of no
    released cell become plain cells. Missing cells are put back, except for answers that a machine
    grades: an answer may have moved to another cell, and a blank one would then hide it.
    """
    known = {cell.id: cell for cell in released}
    present: dict[str, Cell] = {}
    for cell in reversed(cells):
        id = grade_id(cell)
        if id in known and id not in present:
            present[id] = cell
            _overwrite(cell, known[id])
        else:
            cell.metadata.pop("nbgrader", None)
    return _with_missing(list(cells), released)


def _overwrite(cell: Cell, released: ReleasedCell) -> None:
    if cell.cell_type != released.cell_type:
        for key in ("outputs", "execution_count", "attachments"):
            cell.pop(key, None)
        cell.cell_type = released.cell_type
        if released.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    if released.locked:
        cell.source = released.source
        cell.metadata.pop("tags", None)
        if released.tags:
            cell.metadata.tags = list(released.tags)
    cell.metadata.nbgrader = NotebookNode(released.metadata())


def _with_missing(cells: list[Cell], released: Sequence[ReleasedCell]) -> list[Cell]:
    # What is graded goes before the next cell that is there, so that code which the student wrote
    # in its place has run; what is given goes after the cell before it, so that it is there early.
    for position in range(len(released) - 1, -1, -1):
        if released[position].kind and _index(cells, released[position].id) is None:
            after = [_index(cells, cell.id) for cell in released[position + 1 :]]
            place = next((index for index in after if index is not None), len(cells))
            cells.insert(place, _fresh(released[position]))
    for position, cell in enumerate(released):
        if cell.locked and _index(cells, cell.id) is None:
            before = [_index(cells, other.id) for other in reversed(released[:position])]
            place = next((index + 1 for index in before if index is not None), 0)
            cells.insert(place, _fresh(cell))
    return cells


def _index(cells: Sequence[Cell], id: str) -> int | None:
    return next((index for index, cell in enumerate(cells) if grade_id(cell) == id), None)


def _fresh(released: ReleasedCell) -> Cell:
    make = new_code_cell if released.cell_type == "code" else new_markdown_cell
    cell = make(source=released.source if released.locked else shown(released.source))
    _overwrite(cell, released)
    return cell


def error_output(name: str, text: str) -> NotebookNode:
    """An output that says that a cell stopped, and why."""
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def errors(cell: Cell) -> Iterator[NotebookNode]:
    """The errors among a cell's outputs."""
    return (output for output in cell.get("outputs", ()) if output.output_type == "error")


def heading_above(cells: Sequence[Cell], index: int) -> str:
    """The words of the nearest Markdown heading above a cell, or ""."""
    for cell in reversed(cells[:index]):
        if cell.cell_type == "markdown":
            for line in reversed(cell.source.split("\n")):
                marks, _, words = line.partition(" ")
                if 1 <= len(marks) <= 6 and not marks.strip("#") and words.strip(" #"):
                    return words.strip().rstrip("#").rstrip()
    return ""


_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def plain(text: Any, limit: int = 2000) -> str:
    """Text that does nothing to a terminal: no control characters, no more than `limit` long."""
    clean = _CONTROL.sub("", str(text))
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


def line(text: str, limit: int = 2000) -> str:
    """Plain text in one line, so that nobody's name or message can look like somebody's score."""
    return plain(" ".join(text.split()), limit)


def inert_markdown(text: str) -> str:
    """Markdown that brings no HTML tag and no link or picture but to http(s) or this page.

    Nothing is escaped, only parted by a space, so that it reads well where it is shown as it is:
    nbgrader's formgrader shows a comment as plain text, its feedback as Markdown.
    """
    text = re.sub(r"<(?=[A-Za-z/!?])", "< ", text)
    text = re.sub(r"\](?=\((?!https?://|#|attachment:))", "] ", text)
    return re.sub(r"\](?=:)", "] ", text)


def first_line(source: str) -> str:
    """The first line of a cell, short, for a message that names the cell."""
    lines = [line for line in source.split("\n") if line.strip()]
    return plain(lines[0].strip().replace("`", "'"), 60) if lines else ""
