"""Makes the pictures of an assignment, by running its solved notebook as a student would."""

import ast
import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vae_course.authoring.assignment import Assignment
from vae_course.authoring.build import build_assignment
from vae_course.authoring.kernel import Surroundings, run
from vae_course.authoring.notebook import DRAWING, KEY, Json
from vae_course.authoring.outline import OURS
from vae_course.authoring.pictures import picture_path, write_picture
from vae_course.authoring.reference import show_path
from vae_course.errors import CourseError, UsageError

# The loaders' results say what was loaded: the stand-ins have names of their own.
_DATA_NAMES = (
    "list(dict.fromkeys(_v.name for _v in list(globals().values())"
    " if type(_v).__name__ in ('ImageData', 'FaceData')))"
)


def draw_pictures(
    name: str,
    data: Path | None,
    settings: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Run the whole solved notebook of an assignment and keep the pictures that its text names.

    Args:
        name: the assignment.
        data: the folder of the real data; None for the stand-ins.
        settings: assignments such as `NUM_TRAIN = 20_000`, run below the set-up cell.
        say: told of each cell and its seconds, and of each file.

    Returns:
        The files that were written.

    Raises:
        UsageError: a setting is no assignment.
        CourseError: the notebook fails, or a cell shows no picture or one without words for it.
    """
    built = build_assignment(name)
    if not built.assignment.pictures:
        say(f"{name}: its text names no picture")
        return []
    notebook = _prepared(built.solved, settings)
    keeping = _Keeping(built.assignment, settings, say)
    blocked = OURS | {one.module.split(".")[0] for one in built.outline.objects}
    around = Surroundings(whole=True, data=data, offline=False)
    result = run(notebook, blocked, None, around, keeping.see)
    if result.failure:
        failure = result.failure
        raise CourseError(f"{name}, cell {failure.cell}: {failure.name}: {failure.message}")
    return keeping.written


def check_settings(settings: Iterable[str]) -> None:
    """Refuse what is not an assignment, before an hour of running."""
    for one in settings:
        try:
            body = ast.parse(one).body
        except SyntaxError:
            body = []
        if not body or not all(isinstance(statement, ast.Assign) for statement in body):
            raise UsageError(f"--set {one!r}: write an assignment such as 'NUM_TRAIN = 20_000'")


def _prepared(solved: Json, settings: Sequence[str]) -> Json:
    """The notebook with the settings in it, and a question for the data after each drawing."""
    check_settings(settings)
    cells = []
    for cell in solved["cells"]:
        cells.append(cell)
        ours = cell["metadata"].get(KEY, {})
        if ours.get("kind") == "setup" and settings:
            cells.append(_code("settings", "\n".join(settings)))
        elif ours.get("kind") == DRAWING:
            cells.append(_code(f"{ours['picture']}_data", _DATA_NAMES))
    return {**solved, "cells": cells}


def _code(id_: str, source: str) -> Json:
    empty = {"metadata": {}, "outputs": [], "execution_count": None}
    return {"cell_type": "code", "id": id_, "source": source, **empty}


class _Keeping:
    """Watches cells as they run and keeps the pictures among them."""

    def __init__(
        self, assignment: Assignment, settings: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self.assignment = assignment
        self.settings = settings
        self.say = say
        self.written: list[Path] = []
        self.seen: Json | None = None

    def see(self, cell: Json, seconds: float) -> None:
        """Called after each cell: a drawing waits for the next one, which names the data."""
        drawing, self.seen = self.seen, None
        if drawing is not None:
            self._keep(drawing, ast.literal_eval(_text(cell) or "[]"))
            return
        self.say(f"{self.assignment.name}: {cell.id}, {seconds:.1f} s")
        if cell.metadata.get(KEY, {}).get("kind") == DRAWING:
            self.seen = cell

    def _keep(self, cell: Json, data: list[str]) -> None:
        name = cell.metadata[KEY]["picture"]
        png, alt = _picture(cell)
        if not png:
            raise CourseError(f"picture {name}: cell {cell.id} shows none; end it in a plot")
        if not alt:
            raise CourseError(
                f"picture {name}: cell {cell.id} shows a picture without a text for those who "
                "cannot see it; use a function of vae_course.plots"
            )
        path = picture_path(self.assignment, name)
        picture = write_picture(path, png, alt, _caption(data, self.settings))
        self.say(f"wrote {show_path(path)}, {len(picture.png) / 1000:.0f} kB")
        self.written.append(path)


def _caption(data: list[str], settings: Sequence[str]) -> str:
    on = f", on {' and '.join(data)}" if data else ""
    settled = f", with {'; '.join(settings)}" if settings else ""
    return f"Our own run{on}{settled}; yours will differ in detail."


def _picture(cell: Json) -> tuple[bytes, str]:
    """The last PNG among a cell's outputs, and its words."""
    for output in reversed(cell.outputs):
        if "image/png" in output.get("data", {}):
            words = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            return base64.b64decode(output.data["image/png"]), words
    return b"", ""


def _text(cell: Json) -> str:
    return "".join(out.data.get("text/plain", "") for out in cell.outputs if "data" in out)
