"""What an instructor sees in the terminal, and the feedback pages of a class."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from autograder import record
from autograder.notebooks import plain
from autograder.record import points
from vae_course.errors import CourseError
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from autograder.course import Course

Record = dict[str, Any]

LOOKS = {"graded": "green", "crashed": "yellow", "timed_out": "yellow"}


def table(records: Sequence[Record]) -> Group:
    """The class at a glance: a line a student, a narrow column for each exercise of a machine."""
    exercises = _exercises(records, "machine")
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("student", max_width=24, overflow="ellipsis", no_wrap=True)
    grid.add_column("status", no_wrap=True)
    for number in range(1, len(exercises) + 1):
        grid.add_column(str(number), justify="right", no_wrap=True)
    grid.add_column("score", justify="right", no_wrap=True)
    grid.add_column("by hand", justify="right", no_wrap=True)
    for entry in records:
        grid.add_row(*_row(entry, exercises))
    prefix = f"{records[0]['assignment']}_" if records else ""
    legend = ", ".join(
        f"{number} {exercise['id'].removeprefix(prefix)} ({points(exercise['max_score'])})"
        for number, exercise in enumerate(exercises, 1)
    )
    return Group(grid, Text(f"\n{legend}\n", style="dim"))


def _exercises(records: Iterable[Record], kind: str) -> list[dict[str, Any]]:
    """The exercises of a kind, as the first record that has any names them."""
    for entry in records:
        if found := [part for part in entry["exercises"] if part.get("kind") == kind]:
            return found
    return []


def _row(entry: Record, exercises: Sequence[dict[str, Any]]) -> list[Text]:
    scores = {part["id"]: part for part in entry["exercises"]}
    cells = [_score(scores.get(exercise["id"])) for exercise in exercises]
    earned, most = record.machine_total(entry)
    status = entry["status"]
    return [
        Text(plain(entry["student"], 40)),
        Text(status.replace("_", " "), style=LOOKS.get(status, "red")),
        *cells,
        Text(f"{points(earned)}/{points(most)}", style="bold"),
        Text(_by_hand(entry)),
    ]


def _score(part: dict[str, Any] | None) -> Text:
    if part is None:
        return Text("")
    full = part["score"] >= part["max_score"]
    return Text(points(part["score"]), style="green" if full else "yellow")


def _by_hand(entry: Record) -> str:
    asked = [part for part in entry["exercises"] if part.get("kind") in ("manual", "task")]
    waiting = sum(bool(part.get("pending")) for part in asked)
    given = points(sum(part["score"] for part in asked))
    most = points(sum(part["max_score"] for part in asked))
    return f"{waiting} to read" if waiting else f"{given}/{most}"


def remarks(records: Iterable[Record]) -> Iterator[str]:
    """What an instructor should know beyond the table, a line each."""
    records = list(records)
    if any(entry.get("isolation") == "process" for entry in records):
        yield "Students' code ran without a sandbox, in the account of whoever started this."
    for entry in records:
        student = plain(entry["student"], 40)
        if entry["message"]:
            yield f"{student}: {plain(entry['message'])}"
        elif entry["status"] == "grader_error":
            for part in entry["exercises"]:
                if part["verdict"] == "grader_error":
                    yield f"{student}: {part['id']}: {plain(part.get('detail') or part['message'])}"
        if entry["tampered"]:
            yield f"{student}: locked cells were changed, and restored: " + ", ".join(
                plain(id, 80) for id in entry["tampered"]
            )


def messages(entry: Record) -> Iterator[str]:
    """What a student is told where a machine graded and all is not right, each message once."""
    if entry["message"]:
        yield plain(entry["message"])
        return
    told: dict[tuple[str, str], list[str]] = {}
    for part in entry["exercises"]:
        if part.get("kind") == "machine" and part["verdict"] != "pass":
            score = f"{part['id']} {points(part['score'])}/{points(part['max_score'])}"
            told.setdefault((part["verdict"], part["message"]), []).append(score)
    for (word, message), scores in told.items():
        yield f"{', '.join(scores)} ({word}): {plain(message)}"


def show(console: Console, records: Sequence[Record]) -> None:
    """Print the table, and the remarks below it."""
    console.print(table(records))
    for remark in remarks(records):
        console.print(Text(remark))


def with_progress(
    console: Console, records: Iterable[Record], total: int, title: str
) -> Iterator[Record]:
    """Show how far grading is: a bar with the time left on a terminal, plain lines in a log."""
    if not console.is_terminal:
        for done, entry in enumerate(records, 1):
            console.print(Text(f"[{done}/{total}] {progress_line(entry)}"))
            yield entry
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(f"grading {title}", total=total)
        for entry in records:
            bar.advance(task)
            yield entry


def progress_line(entry: Record) -> str:
    """One submission's outcome in a line."""
    earned, most = record.machine_total(entry)
    return f"{plain(entry['student'], 40)}: {entry['status']}, {points(earned)} / {points(most)}"


def write_feedback(course: "Course", assignment: str, student: str | None) -> Iterator[Path]:
    """Write the feedback pages of a class, or of one student, and give their paths.

    Raises:
        UsageError: no such assignment, nobody handed it in, or not this student.
        CourseError: a page cannot be written, or somebody's submission was not graded yet; the
            others' pages are there.
    """
    from nbgrader.converters import GenerateFeedback

    from autograder.grading import chosen, read_submission
    from autograder.pages import unreadable_page

    ungraded = []
    sources = course.source_notebooks(assignment)
    for name in chosen(course, assignment, student):
        try:
            read_submission(course.folder("submitted", assignment, name), sorted(sources))
        except CourseError as error:
            page = course.folder("feedback", assignment, name) / f"{assignment}.html"
            write_atomically(page, unreadable_page(assignment, course.relative(plain(error))))
            yield page
            continue
        if not course.folder("autograded", assignment, name).is_dir():
            ungraded.append(plain(name, 40))
            continue
        course.convert(GenerateFeedback, assignment, name)
        yield from (course.folder("feedback", assignment, name) / f"{nb}.html" for nb in sources)
    if ungraded:
        raise CourseError(
            f"{', '.join(ungraded)}: not graded yet, so there is no feedback; "
            f"run `autograder grade {assignment}`"
        )
