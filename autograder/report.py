"""What an instructor sees in the terminal, and the feedback pages of a class."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from autograder import record
from autograder.notebooks import line, plain
from autograder.record import points
from vae_course.errors import CourseError
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from autograder.course import Course
    from autograder.regrade import Regrade

Record = dict[str, Any]

UNCHANGED = "as before"
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
        Text(line(entry["student"], 40)),
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
        student = line(entry["student"], 40)
        if entry["message"]:
            yield f"{student}: {line(entry['message'])}"
        elif entry["status"] == "grader_error":
            for part in entry["exercises"]:
                if part["verdict"] == "grader_error":
                    yield f"{student}: {part['id']}: {line(part.get('detail') or part['message'])}"
        if entry["tampered"]:
            yield f"{student}: locked cells were changed, and restored: " + ", ".join(
                line(id, 80) for id in entry["tampered"]
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
    console: Console,
    records: Iterable[Record],
    total: int,
    title: str,
    reasons: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Record]:
    """Show how far grading is: a bar with the time left on a terminal, plain lines in a log.

    Args:
        console: the terminal, or the log.
        records: of the submissions, as they come.
        total: how many will come.
        title: the assignment.
        reasons: why each was graded, by student, there when its record is.
    """
    if not console.is_terminal:
        for done, entry in enumerate(records, 1):
            told = progress_line(entry, reasons.get(entry["student"]))
            console.print(Text(f"[{done}/{total}] {told}"))
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


def progress_line(entry: Record, reason: str | None = None) -> str:
    """One submission's outcome in a line.

    Args:
        entry: its record.
        reason: why it was graded; "" if it was not, as nothing had changed.
    """
    earned, most = record.machine_total(entry)
    told = f"{line(entry['student'], 40)}: {entry['status']}, {points(earned)} / {points(most)}"
    return told if reason is None else f"{told} ({reason or UNCHANGED})"


def reasons_line(reasons: Iterable[str]) -> str:
    """How many submissions were graded, and why."""
    counts = Counter(reason or UNCHANGED for reason in reasons)
    return "; ".join(f"{count} {reason}" for reason, count in counts.most_common())


def show_moves(console: Console, again: "Regrade") -> None:
    """Print whose marks another run changes, and why; then who was left out of it."""
    from autograder.regrade import reasons

    if again.moves:
        console.print(_moves_table(again))
    for (exercise, said, says), students in reasons(again.moves).items():
        console.print(Text(f"\n{exercise}: {len(students)} of {len(again.students)} move"))
        console.print(Text(f"  was: {line(said)}\n  now: {line(says)}"), soft_wrap=True)
    for student, reason in again.left_out.items():
        console.print(Text(f"Left as it is: {line(student, 40)} {line(reason)}"), soft_wrap=True)
    if not again.moves:
        console.print("Nobody's mark changes.")


def _moves_table(again: "Regrade") -> Table:
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("student", max_width=24, overflow="ellipsis", no_wrap=True)
    grid.add_column("exercise", no_wrap=True)
    grid.add_column("points", no_wrap=True)
    grid.add_column("mark", no_wrap=True)
    for move in again.moves:
        most = points(move.max_score)
        text = f"{_or_none(move.before)} -> {_or_none(move.after)} of {most}"
        if move.by_hand is not None:
            text += f" ({points(move.by_hand)} by hand stays)"
        before, after = (points(mark) for mark in again.marks[move.student])
        changed = f"{before} -> {after}" if before != after else f"{before} as before"
        grid.add_row(Text(line(move.student, 40)), Text(move.exercise), text, changed)
    return grid


def _or_none(score: float | None) -> str:
    return "none" if score is None else points(score)


def write_feedback(course: "Course", assignment: str, student: str | None) -> Iterator[Path]:
    """Write the feedback pages of a class, or of one student, and give their paths.

    Raises:
        UsageError: no such assignment, nobody handed it in, or not this student.
        CourseError: a page cannot be written, or somebody's submission was not graded yet; the
            others' pages are there.
    """
    from nbgrader.converters import GenerateFeedback

    from autograder.grading import chosen, read_submission
    from autograder.pages.feedback import unreadable_page

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
            ungraded.append(line(name, 40))
            continue
        course.convert(GenerateFeedback, assignment, name)
        yield from (course.folder("feedback", assignment, name) / f"{nb}.html" for nb in sources)
    if ungraded:
        raise CourseError(
            f"{', '.join(ungraded)}: not graded yet, so there is no feedback; "
            f"run `autograder grade {assignment}`"
        )
