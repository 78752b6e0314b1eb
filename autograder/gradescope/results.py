"""What Gradescope is told of a submission: its results.json.

What a student wrote may come back in a message, so every text is declared to be plain text: by
default Gradescope takes some of them for HTML. Only instructors see what is printed meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nbformat import NotebookNode

from autograder import notebooks, record
from autograder.notebooks import plain
from autograder.pages.feedback import SEEN_AS
from autograder.record import Verdict, points

Json = dict[str, Any]

FAILED = (
    "The grading program failed on this submission. That is no fault of yours, and what you handed "
    "in is kept. There is no score yet: please tell your instructor, who sees the reason."
)


def results(
    entry: Mapping[str, Any], titles: Mapping[str, str], note: str = "", seconds: float = 0.0
) -> Json:
    """The results of a submission that was looked at.

    What a person grades is listed without a score, for its points are given in Gradescope. Where
    the grader itself failed there is no score at all: none that is missing could pass for a zero.

    Args:
        entry: its record.
        titles: for each exercise the heading that it stands under.
        note: what the student should read first.
        seconds: what grading took.
    """
    failed = entry["status"] == "grader_error"
    earned, most = record.machine_total(entry)
    if entry["status"] == "unreadable":
        tests = [_unreadable(entry, most)]
    else:
        numbered = enumerate(entry["exercises"], 1)
        tests = [_test(number, part, titles, scored=not failed) for number, part in numbered]
    made = _frame("\n\n".join([*_opening(entry, note), *([FAILED] if failed else [])]), tests)
    made["execution_time"] = round(seconds, 1)
    made["extra_data"] = {
        name: entry[name]
        for name in ("assignment", "status", "seed", "engine", "isolation", "tampered")
    }
    return made if failed else {"score": earned} | made


def failure() -> Json:
    """The results where the grader failed before there was a record: they hold no score."""
    return _frame(FAILED, [])


def refusal(message: str, most: float) -> Json:
    """The results of a submission that holds nothing to grade: no points, and why.

    Args:
        message: what is wrong, and what to do.
        most: the points that a machine gives.
    """
    test = _unreadable({"message": message}, most)
    return {"score": 0.0} | _frame("", [test]) | {"extra_data": {"status": "unreadable"}}


def _frame(output: str, tests: Sequence[Json]) -> Json:
    return {
        "output": output,
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": list(tests),
    }


def titles_of(sources: Mapping[str, NotebookNode]) -> dict[str, str]:
    """For each graded cell of an assignment the heading that it stands under."""
    return {
        cell.id: notebooks.heading_above(
            source.cells, _place(source.cells, cell.id) + (cell.kind == "task")
        )
        for source in sources.values()
        for cell in notebooks.released_cells(source)
        if cell.kind
    }


def worth(sources: Mapping[str, NotebookNode]) -> tuple[float, float]:
    """The points of an assignment: those that a machine gives, and those that a person gives."""
    cells = [cell for source in sources.values() for cell in notebooks.released_cells(source)]
    machine = sum(cell.points or 0.0 for cell in cells if cell.kind == "machine")
    return machine, sum(cell.points or 0.0 for cell in cells) - machine


def _place(cells: Sequence[NotebookNode], id: str) -> int:
    return next(index for index, cell in enumerate(cells) if notebooks.grade_id(cell) == id)


def _opening(entry: Mapping[str, Any], note: str) -> Iterator[str]:
    if note:
        yield note
    if entry["tampered"]:
        cells = ", ".join(plain(id, 80) for id in entry["tampered"])
        yield f"These cells are not to be changed, and were put back before grading: {cells}."


def _unreadable(entry: Mapping[str, Any], most: float) -> Json:
    return {
        "name": "The notebook",
        "score": 0.0,
        "max_score": most,
        "status": "failed",
        "output": plain(entry["message"]),
    }


def _test(number: int, part: Verdict, titles: Mapping[str, str], scored: bool) -> Json:
    title = plain(titles.get(part["id"], ""), 200)
    made: Json = {
        "number": str(number),
        "name": f"{title} ({part['id']})" if title else part["id"],
        "extra_data": {"id": part["id"], "verdict": part["verdict"], "seed": part["seed"]},
    }
    if part["kind"] != "machine":
        return made | {"output": _by_hand(part)}
    made["output"] = _by_machine(part)
    if scored:
        made |= {"score": part["score"], "max_score": part["max_score"]}
    made["status"] = "passed" if part["verdict"] == "pass" else "failed"
    return made


def _by_hand(part: Verdict) -> str:
    most = points(part["max_score"])
    return f"{plain(part['message'])}\n\nUp to {most} points, which a person gives."


def _by_machine(part: Verdict) -> str:
    _, sign, words = SEEN_AS[part["verdict"]]
    lines = [f"{sign} {words}: {_score(part)} points", plain(part["message"])]
    if len(part["criteria"]) > 1:
        lines.append("")
        for criterion in part["criteria"]:
            met = "✓" if criterion["passed"] else "✗"
            lines.append(f"{met} {criterion['name']}: {_score(criterion)}")
            if criterion["message"] and criterion["message"] not in part["message"]:
                lines.append(f"    {criterion['message']}")
    return "\n".join(lines)


def _score(scored: Mapping[str, Any]) -> str:
    return f"{points(scored['score'])} / {points(scored['max_score'])}"
