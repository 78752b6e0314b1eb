"""The source notebook: an outline written down in Jupyter's and nbgrader's formats.

Everything here is a function of the text, its pictures and the reference alone: no clock, no
random id, no path. Cell ids come from exercise ids, object names and section titles, with a short
hash of the content where one name has many cells, and never from a position.
"""

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from vae_course.authoring.assignment import (
    MACHINE,
    MANUAL,
    TASK,
    Assignment,
    Exercise,
    Plain,
    Prose,
)
from vae_course.authoring.blanks import BEGIN, END, mark
from vae_course.authoring.course import Course, load_course
from vae_course.authoring.outline import (
    AnswerBlock,
    Block,
    CheckBlock,
    GivenBlock,
    GradeBlock,
    HandInBlock,
    Outline,
    PlainBlock,
    ProseBlock,
    QuestionBlock,
    SetupBlock,
)
from vae_course.authoring.pictures import load_picture
from vae_course.handin import fingerprint

# Our own cell metadata stands under this key: nbgrader's is closed.
KEY = "vae_course"

# The kind of a cell whose picture is shown below it.
DRAWING = "drawing"

# Given code of more lines than this is folded, so that the page stays readable.
FOLD_LINES = 15

BEGIN_TESTS, END_TESTS = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
BEGIN_SCHEME, END_SCHEME = "=== BEGIN MARK SCHEME ===", "=== END MARK SCHEME ==="

Json = dict[str, Any]


def source_notebook(outline: Outline, course: Course | None = None) -> Json:
    """The notebook that nbgrader reads: solutions between markers, hidden tests, mark schemes.

    Returns:
        A notebook in format 4.5, as plain dictionaries.
    """
    course = course or load_course()
    name = outline.assignment.name
    cells = [_markdown("colab-badge", course.badge(name))]
    ids = _Ids()
    for block in outline.blocks:
        cells += [ids.unique(cell) for cell in _cells(outline.assignment, block, ids, cells)]
    return {
        "cells": cells,
        "metadata": {
            # As Colab writes it when a GPU was chosen: students get one without asking.
            "accelerator": "GPU",
            "colab": {"gpuType": "T4", "provenance": []},
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            KEY: {"assignment": name},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def dumps(notebook: Json) -> str:
    """A notebook as the bytes that go to disk: the same for the same notebook, anywhere."""
    import nbformat

    node = nbformat.from_dict(notebook)
    nbformat.validate(node)
    return nbformat.writes(node, version=nbformat.NO_CONVERT) + "\n"


def loads(text: str) -> Json:
    """A notebook from its text; cell sources are whole strings, as in `source_notebook`."""
    import nbformat

    return nbformat.reads(text, as_version=nbformat.NO_CONVERT)


class _Ids:
    """Follows the sections and keeps cell ids unique."""

    def __init__(self) -> None:
        self.section = "opening"
        self.seen: dict[str, int] = {}

    def of_text(self, text: str) -> str:
        """An id for a cell that has no name of its own: its section and a hash of its content."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.section}-{digest}"

    def unique(self, cell: Json) -> Json:
        """The cell, its id made unique among equal cells of one section."""
        count = self.seen[cell["id"]] = self.seen.get(cell["id"], 0) + 1
        return cell if count == 1 else cell | {"id": f"{cell['id']}-{count}"}


def slug(title: str) -> str:
    """A title as part of an id: at most 40 of a-z, 0-9 and hyphens, without a section's number.

    A number says where a section stands: a new section before it would rename all its cells.
    """
    title = re.sub(r"^[\d.]+[.)]? +", "", title)
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "section"


def headings(text: str) -> list[str]:
    """The headings of a piece of Markdown, outside its fences."""
    outside = re.sub(r"^(```+|~~~+).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [found.strip() for found in re.findall(r"^#{1,6} +(.+?) *#*$", outside, re.MULTILINE)]


def _cells(assignment: Assignment, block: Block, ids: _Ids, before: list[Json]) -> Iterator[Json]:
    match block:
        case ProseBlock(cell=cell):
            yield _prose(cell, ids)
        case PlainBlock(cell=cell):
            yield from _plain(assignment, cell, ids)
        case SetupBlock(imports=imports, body=body):
            source = "\n\n".join(part for part in (imports, body) if part)
            yield _locked("setup", source, {"kind": "setup"})
        case HandInBlock():
            yield _hand_in(assignment, block, before)
        case GivenBlock():
            yield _given(block)
        case AnswerBlock():
            yield _answer(block)
        case CheckBlock(cell=cell):
            yield _locked(cell.id, cell.body, {"kind": "check", "exercise": cell.exercise})
        case GradeBlock(cell=cell):
            yield _grade(cell)
        case QuestionBlock(cell=cell):
            yield _task(cell) if cell.kind == TASK else _question(cell)


def _prose(cell: Prose, ids: _Ids) -> Json:
    found = headings(cell.body)
    if found and re.match(r"#{1,6} ", cell.body):
        ids.section = slug(found[0])
    made = _markdown(ids.of_text(cell.body), cell.body)
    if found:
        ids.section = slug(found[-1])
    return made


def _plain(assignment: Assignment, cell: Plain, ids: _Ids) -> Iterator[Json]:
    if cell.picture is None:
        yield _code(ids.of_text(cell.body), cell.body)
        return
    ours = {"kind": DRAWING, "picture": cell.picture}
    yield _code(ids.of_text(cell.body), cell.body, None, ours)
    picture = load_picture(assignment, cell.picture)
    if picture is not None:
        ours = {"kind": "picture", "picture": cell.picture}
        yield _markdown(cell.picture_id, picture.markdown, None, ours)


def _given(block: GivenBlock) -> Json:
    names = [one.name for one in block.objects]
    source = "\n\n\n".join(one.source for one in block.objects)
    # The directive's own first object names the cell, and not a helper that it pulled in, so that
    # a new helper in the reference changes no id.
    named = [dotted.rpartition(".")[2] for dotted in getattr(block.cell, "names", ())]
    name = next((name for name in named if name in names), names[-1])
    shown = [name for name in names if name in named] or names
    fold = len(source.splitlines()) > FOLD_LINES if block.fold is None else block.fold
    ours = {"kind": "given", "objects": [one.dotted for one in block.objects]}
    if not fold:
        return _locked(f"given-{name}"[:64], source, ours)
    return _folded(f"given-{name}"[:64], f"Given: {', '.join(shown)} (open to read)", source, ours)


def _folded(id_: str, title: str, source: str, ours: Json) -> Json:
    # Colab folds a cell whose first line is a #@title; JupyterLab one that hides its source.
    cell = _locked(id_, f"#@title {title}\n{source}", ours)
    cell["metadata"] |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    return cell


def _hand_in(assignment: Assignment, block: HandInBlock, before: list[Json]) -> Json:
    """The last cell: code that looks the file over, and a call that says what is asked for."""
    asked = "".join(f"    {exercise!r},\n" for exercise in _asked(assignment, before))
    call = f"look_over({assignment.name!r}, [\n{asked}])"
    source = "\n\n\n".join([block.imports, *(one.source for one in block.objects), call])
    ours = {"kind": "hand-in", "objects": [one.dotted for one in block.objects]}
    return _folded("hand-in", "Is the file complete? (run me last)", source, ours)


def _asked(assignment: Assignment, cells: list[Json]) -> Iterator[tuple[str, str, str, int]]:
    """What `vae_course.handin.unfinished` is to know of each exercise."""
    exercises = {exercise.id: exercise for exercise in assignment.exercises}
    kinds = {MACHINE: "code", MANUAL: "words", TASK: "task"}
    title = assignment.title
    for index, cell in enumerate(cells):
        exercise = exercises.get(cell["id"])
        if cell["cell_type"] == "markdown":
            title = (headings(exercise.body if exercise else cell["source"]) or [title])[-1]
        if exercise:
            given = cells[index + 1]["source"] if exercise.kind == TASK else exercise.body
            yield exercise.id, kinds[exercise.kind], title, fingerprint(given)


def _answer(block: AnswerBlock) -> Json:
    exercise = block.cell
    ours: Json = {"kind": "answer", "exercise": exercise.id}
    if exercise.start:
        solved = "\n\n\n".join(one.source for one in block.objects)
        source = f"{BEGIN}\n{solved}\n{END}"
        ours["starter"] = exercise.body
    else:
        source = "\n\n\n".join(mark(one) for one in block.objects)
    return _code(exercise.answer_id, source, _flags(exercise.answer_id, solution=True), ours)


def _grade(exercise: Exercise) -> Json:
    said = f"Graded: {exercise.graded} ({points_text(exercise.points)})"
    here = "Nothing to do here: the tests come in when your notebook is graded."
    comment = [*textwrap.wrap(said, 88), here]
    source = "\n".join(
        [
            *(f"# {line}" for line in comment),
            BEGIN_TESTS,
            "from autograder import grade",
            f'grade("{exercise.id}")',
            END_TESTS,
        ]
    )
    flags = _flags(exercise.id, grade=True, locked=True, points=exercise.points)
    return _code(exercise.id, source, flags, {"kind": "grade", "exercise": exercise.id})


def _question(exercise: Exercise) -> Json:
    source = f"{exercise.body}\n\n{BEGIN}\n{_scheme(exercise)}\n\n{END}"
    flags = _flags(exercise.id, grade=True, solution=True, points=exercise.points)
    return _markdown(exercise.id, source, flags, {"kind": "manual", "exercise": exercise.id})


def _task(exercise: Exercise) -> Json:
    source = f"{exercise.body}\n\n{BEGIN_SCHEME}\n{_scheme(exercise)}\n\n{END_SCHEME}"
    flags = _flags(exercise.id, locked=True, task=True, points=exercise.points)
    return _markdown(exercise.id, source, flags, {"kind": "task", "exercise": exercise.id})


def _scheme(exercise: Exercise) -> str:
    """The rubric in Markdown: each level in bold, with its sample as a quotation below it."""
    rubric = exercise.rubric
    parts = [f"Marking scheme ({points_text(exercise.points)}):"]
    if rubric.marks:
        parts += ["**What earns what**", _bullets(rubric.marks)]
    for level in rubric.levels:
        sample = "Model answer" if level is rubric.levels[0] else "Sample"
        parts.append(f"**{points_text(level.points)}, {level.name}:** {level.description}")
        parts.append(f"> *{sample}:* {level.sample}")
    if rubric.watch:
        parts += ["**Wrong answers to watch for**", _bullets(rubric.watch)]
    return "\n\n".join(parts)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def points_text(points: float) -> str:
    """`1 point`, `2.5 points`."""
    return f"{points:g} point{'' if points == 1 else 's'}"


def _flags(
    grade_id: str,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    task: bool = False,
    points: float | None = None,
) -> Json:
    flags = {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": task,
    }
    if points is not None:
        flags["points"] = int(points) if points == int(points) else points
    return flags


def _locked(id_: str, source: str, ours: Json) -> Json:
    return _code(id_, source, _flags(id_, locked=True), ours)


def _code(id_: str, source: str, flags: Json | None = None, ours: Json | None = None) -> Json:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id_,
        "metadata": _metadata(flags, ours),
        "outputs": [],
        "source": source,
    }


def _markdown(id_: str, source: str, flags: Json | None = None, ours: Json | None = None) -> Json:
    return {
        "cell_type": "markdown",
        "id": id_,
        "metadata": _metadata(flags, ours),
        "source": source,
    }


def _metadata(flags: Json | None, ours: Json | None) -> Json:
    return ({"nbgrader": flags} if flags else {}) | ({KEY: ours} if ours else {})
