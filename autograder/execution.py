"""Running a submission's notebook in the sandbox, with the judge at the grade cells.

What a cell shows was made by the student's process: it is rebuilt here from plain parts, capped,
before anybody writes or shows it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from nbformat.v4 import new_output

from autograder import notebooks, record
from autograder.judge import Exercise, Verdict, judge
from autograder.notebooks import Cell
from autograder.sandbox.outside import Lost, Session
from autograder.sandbox.remote import RemoteStudent
from autograder.student import isolated

MAX_OUTPUTS = 500
MAX_OUTPUT_CHARACTERS = 12 * 2**20
"""Of one cell, pictures included."""

MAX_LEFT = 2**27
"""Bytes of files that a notebook leaves for the next one."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")

LOST_WORDS = {
    "timeout": "it did not stop when it was asked to",
    "memory": "it took more memory than a submission may use",
    "processes": "it started more processes than a submission may have",
    "cpu": "the submission's processor time was used up",
    "protocol": "the notebook's process gave an answer that cannot be read",
}
_LOST_ERRORS = {"timeout": record.TIMEOUT_ERROR, "memory": record.MEMORY_ERROR}


def run_cells(
    cells: Iterable[Cell],
    session: Session,
    exercise_of: Callable[[str], Exercise],
    seed: int,
    on_loss: Callable[[str], None] = lambda text: None,
) -> dict[str, Verdict]:
    """Run the code cells in their order and put what they show into them.

    Where the student's process is lost, the cells below are not run, and each grade cell among them
    says so: what was earned before stays.

    Args:
        cells: of the notebook, restored. Changed in place.
        session: of the sandbox.
        exercise_of: finds what the judge needs to know of an exercise, by its id.
        seed: of the judge's inputs, and of the random numbers that the notebook starts with.
        on_loss: told when the process is lost, and where.

    Returns:
        What the judge found, by exercise.
    """
    lost = ""
    verdicts: dict[str, Verdict] = {}
    torch.set_num_threads(1)  # what a check finds must not depend on the machine
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = []  # who knows what those that it was handed in with are
        if not notebooks.is_run(cell):
            continue
        if lost:
            if notebooks.is_machine_graded(cell):
                cell.outputs = [notebooks.error_output(record.NOT_RUN_ERROR, lost)]
            continue
        try:
            if id := judged_id(cell):
                verdicts[id] = judged(exercise_of(id), session, seed)
                cell.outputs = verdict_outputs(verdicts[id])
            else:
                cell.outputs = _shown(cell, session)
        except Lost as loss:
            name = _LOST_ERRORS.get(loss.why, record.DEAD_KERNEL_ERROR)
            cell.outputs = [notebooks.error_output(name, f"Stopped: {_what(loss)}.")]
        if session.lost:
            where = f"in the cell that begins `{notebooks.first_line(cell.source)}`"
            lost = f"Not run: {_what(session.lost)} before this, {where}."
            on_loss(f"{_what(session.lost)}, {where}: the cells after it are not run")
    return verdicts


def judged_id(cell: Cell) -> str:
    """The exercise that the judge is asked about in a cell; "" if it is not."""
    asked = notebooks.is_machine_graded(cell) and notebooks.asks_judge(cell.source)
    return notebooks.grade_id(cell) if asked else ""


def _what(loss: Lost) -> str:
    return LOST_WORDS.get(loss.why, f"the notebook's process ended ({loss.detail})")


def start(
    session: Session,
    seed: int,
    files: Iterable[tuple[str, bytes]] = (),
    on_problem: Callable[[str], None] = lambda text: None,
) -> None:
    """Put the submission's files in place, and the random numbers at their start."""
    for path, content in files:
        if problem := session.put(path, content):
            on_problem(f"{notebooks.plain(path, 200)} is not there for the notebook ({problem})")
    session.seed(seed)


def left_behind(session: Session) -> dict[str, bytes]:
    """The files that a notebook leaves for the next one of its submission."""
    try:
        return session.files(MAX_LEFT)
    except Lost:
        return {}


def _shown(cell: Cell, session: Session) -> list[Any]:
    outputs, late = session.run_cell(cell.source, graded=notebooks.is_machine_graded(cell))
    kept = clean_outputs(outputs)
    if late:
        text = f"A cell may take {session.limits.cell_seconds:g} seconds."
        kept.append(notebooks.error_output(record.TIMEOUT_ERROR, text))
    return kept


def judged(exercise: Exercise, session: Session, seed: int, name_mistakes: bool = True) -> Verdict:
    """What the judge finds of an exercise, the notebook's cells run so far."""
    student = RemoteStudent(session)
    with isolated(), student.exercise():
        return judge(exercise, student, seed, name_mistakes=name_mistakes)


def verdict_outputs(verdict: Verdict) -> list[Any]:
    """What a grade cell shows, the same as `autograder.kernel.grade_here` makes of a verdict."""
    if verdict.verdict == "grader_error":
        text = f"{verdict.id} has no score: {verdict.detail}"
        published = new_output("display_data", data={record.VERDICT_MIME: verdict.to_dict()})
        return [published, notebooks.error_output("GraderError", text)]
    points = float(min(max(verdict.score, 0.0), verdict.max_score))
    return [
        new_output("stream", name="stdout", text=verdict.message + "\n"),
        new_output("display_data", data={record.VERDICT_MIME: verdict.to_dict()}),
        new_output("execute_result", data={"text/plain": repr(points)}, execution_count=None),
    ]


def clean_outputs(outputs: Sequence[Any]) -> list[Any]:
    """Outputs rebuilt from plain parts. What has not the form of one is left out."""
    kept, left_out, room = [], [], MAX_OUTPUT_CHARACTERS
    for output in outputs:
        made = _clean(output) if isinstance(output, dict) else None
        if made is None:
            continue
        room -= len(str(made))
        (kept if room >= 0 and len(kept) < MAX_OUTPUTS else left_out).append(made)
    if not left_out:
        return kept
    text = "[more was shown than is kept]\n"
    return [*kept, new_output("stream", name="stdout", text=text), *_costly(left_out)[:1]]


def _costly(outputs: Sequence[Any]) -> list[Any]:
    """In short, what costs a cell of tests its points, which must not get lost in a flood."""
    return [
        notebooks.error_output(output.ename[:100], output.evalue[:300])
        if output.output_type == "error"
        else new_output("stream", name="stderr", text=output.text[:300])
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def _clean(output: dict[str, Any]) -> Any:
    match output:
        case {"output_type": "stream", "name": "stdout" | "stderr" as name, "text": str(text)}:
            return new_output("stream", name=name, text=text)
        case {"output_type": "error", "ename": str(name), "evalue": str(value)}:
            lines = output.get("traceback")
            lines = [str(line) for line in lines] if isinstance(lines, list) else []
            return new_output("error", ename=name, evalue=value, traceback=lines)
        case {"output_type": "display_data" | "execute_result" as kind, "data": dict(data)}:
            data = _inert(data)
            count = output.get("execution_count")
            extra = {"execution_count": count if isinstance(count, int) else None}
            extra = extra if kind == "execute_result" else {}
            alt = _alt_text(output.get("metadata"))
            return new_output(kind, data=data, metadata=alt, **extra) if data else None
    return None


def _inert(data: dict[str, Any]) -> dict[str, str]:
    """The text and the pictures of a display: nothing that a browser would run.

    Markdown may hold HTML, so its source is shown as the text that it is.
    """
    kept = {}
    for mime in ("text/plain", "text/latex"):
        if isinstance(data.get(mime), str):
            kept[mime] = data[mime]
    if isinstance(data.get("text/markdown"), str):
        kept["text/plain"] = data["text/markdown"]
    for mime in ("image/png", "image/jpeg", "image/gif"):
        if isinstance(data.get(mime), str) and _BASE64.fullmatch(data[mime]):
            kept[mime] = data[mime]
    return kept


def _alt_text(metadata: Any) -> dict[str, Any]:
    """The words for a picture, which are all that is kept of a display's metadata."""
    image = metadata.get("image/png") if isinstance(metadata, dict) else None
    alt = image.get("alt") if isinstance(image, dict) else None
    return {"image/png": {"alt": alt[:2000]}} if isinstance(alt, str) else {}
