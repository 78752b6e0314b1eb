"""A class after grading, on one page for its instructor: how it went, what was hard, who needs a
look.

The figures are pure functions on records; the page is a template with nothing in it to load or run.
"""

import glob
import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder import record
from autograder.misconceptions import Misconception, known
from autograder.notebooks import line
from autograder.pages import charts
from autograder.pages.charts import Bin, Row, Series
from autograder.pages.standalone import standalone
from autograder.record import points
from vae_course.errors import UsageError
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from autograder.course import Course

Record = Mapping[str, Any]
Part = Mapping[str, Any]

OUTCOMES = {
    "full": Series("all points", "✓", "#007a5e", "solid"),
    "some": Series("some points", "◐", "#9a6700", "stripes"),
    "none": Series("no points", "✗", "#b3400a", "cross"),
    "blank": Series("not attempted", "○", "#5b6570", "empty"),
    "waiting": Series("waits for a person", "✎", "#0064a6", "dots"),
}
"""What can come of an exercise, and how that is drawn."""

STUDENTS = (
    Series("students", "", "#b3400a", "solid"),
    Series("more in a second look", "+", "#0064a6", "stripes"),
)
"""Who made a known mistake: seen at once, and with right answers in the place of earlier ones."""

CONCERNS = {
    "grader_error": "The grader failed",
    "tampered": "Score in doubt",
    "changed": "Locked cells changed",
    "unreadable": "File unreadable",
    "crashed": "Process ended early",
    "timeout": "Out of time",
    "memory": "Out of memory",
}
"""What a person must look at, the most urgent first."""

UNNAMED = ("partial", "fail", "error")
"""Verdicts of wrong answers that a known mistake could explain."""

REPEATED = 2
"""Students who must have read a message before it is shown: one student's own words are not."""

SHOWN_MISTAKES, SHOWN_MESSAGES, SLOWEST = 15, 15, 5

_NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Spread:
    """How numbers are spread."""

    count: int
    mean: float
    lowest: float
    lower: float
    median: float
    upper: float
    highest: float


@dataclass(frozen=True)
class CriterionCount:
    """How many of those who were judged on an exercise met one of its criteria."""

    name: str
    met: int


@dataclass(frozen=True)
class Exercise:
    """How a class did on one exercise.

    Attributes:
        id: nbgrader's.
        name: the same, without the assignment's.
        by_hand: whether a person scores it.
        max_score: its points.
        outcomes: students by word of `OUTCOMES`.
        mean: points, of those that have any yet.
        followed_through: students who have points because earlier answers were put right.
        criteria: in the order of the check.
    """

    id: str
    name: str
    by_hand: bool
    max_score: float
    outcomes: Mapping[str, int]
    mean: float | None
    followed_through: int
    criteria: tuple[CriterionCount, ...]

    @property
    def students(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class Mistake:
    """A known mistake.

    Attributes:
        exercise: without the assignment's name.
        name: of the mistake.
        message: what its students read.
        students: who made it.
        second_look: who made it, too, but were credited by follow-through: it was seen once
            earlier answers had been put right.
    """

    exercise: str
    name: str
    message: str
    students: int
    second_look: int


@dataclass(frozen=True)
class Said:
    """A message about a wrong answer that has no name, its numbers blanked."""

    exercise: str
    message: str
    students: int


@dataclass(frozen=True)
class Concern:
    """What a person must look at: of whom, where, what (of `CONCERNS`), and why."""

    student: str
    exercises: tuple[str, ...]
    what: str
    why: str


@dataclass(frozen=True)
class Times:
    """What running took, where that was recorded.

    Attributes:
        spread: seconds a submission.
        total, cpu: seconds of all; of the clock, and of processors.
        bins: submissions by seconds.
        slowest: students and seconds.
    """

    spread: Spread
    total: float
    cpu: float
    bins: tuple[Bin, ...]
    slowest: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ClassReport:
    """All that the page says.

    Attributes:
        assignment: its name.
        graded_at: when the newest submission was graded.
        statuses: submissions by word of `record.STATUSES`.
        most: the points that a machine gives.
        scores: points that it gave; None where no submission has a score.
        bins: submissions by points.
        waiting: answers that wait for a person, and of how many submissions.
        unboxed: whether any student's code ran without a sandbox.
        exercises: in the order of the assignment.
        mistakes, said: the most frequent first.
        second_looks: scores that follow-through raised.
        concerns: the most urgent first.
        times: None where none were recorded.
    """

    assignment: str
    graded_at: datetime
    statuses: Mapping[str, int]
    most: float
    scores: Spread | None
    bins: tuple[Bin, ...]
    waiting: tuple[int, int]
    unboxed: bool
    exercises: tuple[Exercise, ...]
    mistakes: tuple[Mistake, ...]
    said: tuple[Said, ...]
    concerns: tuple[Concern, ...]
    times: Times | None

    @property
    def submissions(self) -> int:
        return sum(self.statuses.values())

    @property
    def second_looks(self) -> int:
        return sum(exercise.followed_through for exercise in self.exercises)


def summarised(
    assignment: str,
    records: Sequence[Record],
    graded_at: datetime,
    known_of: Callable[[str], Iterable[Misconception]] = known,
) -> ClassReport:
    """Count what a page says of a class.

    Args:
        assignment: its name.
        records: one a submission, all of this assignment.
        graded_at: when the newest submission was graded.
        known_of: the known mistakes of an exercise.
    """
    totals = [
        record.machine_total(entry) for entry in records if entry["status"] not in record.NOT_GRADED
    ]
    most = max((top for _, top in totals), default=0.0)
    scores = [earned for earned, _ in totals]
    waiting = [sum(bool(part.get("pending")) for part in entry["exercises"]) for entry in records]
    counts = Counter(entry["status"] for entry in records)
    return ClassReport(
        assignment=assignment,
        graded_at=graded_at,
        statuses={status: counts[status] for status in record.STATUSES},
        most=most,
        scores=spread(scores),
        bins=charts.binned(scores, max([most, *scores])) if scores else (),
        waiting=(sum(waiting), sum(count > 0 for count in waiting)),
        unboxed=any(entry.get("isolation") == "process" for entry in records),
        exercises=exercises(assignment, records),
        mistakes=mistakes(assignment, records, known_of),
        said=said(assignment, records),
        concerns=concerns(assignment, records),
        times=times(records),
    )


def spread(values: Iterable[float]) -> Spread | None:
    """Mean, quartiles and ends of numbers; None if there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    quarters = (_quantile(ordered, share / 4) for share in range(5))
    return Spread(len(ordered), statistics.fmean(ordered), *quarters)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (place - math.floor(place)) * (above - below)


def exercises(assignment: str, records: Iterable[Record]) -> tuple[Exercise, ...]:
    """How the class did on each exercise, but for files and exercises that were not judged."""
    judged: dict[str, list[Part]] = {}
    first: dict[str, Part] = {}
    for entry in records:
        for part in entry["exercises"]:
            first.setdefault(part["id"], part)
            parts = judged.setdefault(part["id"], [])
            if _is_judged(entry, part):
                parts.append(part)
    return tuple(_exercise(assignment, first[id], parts) for id, parts in judged.items())


def _is_judged(entry: Record, part: Part) -> bool:
    return entry["status"] != "unreadable" and part["verdict"] != "grader_error"


def _exercise(assignment: str, any_part: Part, parts: Sequence[Part]) -> Exercise:
    counts = Counter(map(outcome, parts))
    scores = [part["score"] for part in parts if not part.get("pending")]
    criteria = Counter[str]()
    for part in parts:
        for criterion in part["criteria"]:
            criteria[criterion["name"]] += criterion["passed"]
    return Exercise(
        id=any_part["id"],
        name=_name(assignment, any_part["id"]),
        by_hand=any_part.get("kind") in ("manual", "task"),
        max_score=any_part["max_score"],
        outcomes={word: counts[word] for word in OUTCOMES},
        mean=statistics.fmean(scores) if scores else None,
        followed_through=sum(bool(part.get("followed_through")) for part in parts),
        criteria=tuple(CriterionCount(line(name, 200), met) for name, met in criteria.items()),
    )


def outcome(part: Part) -> str:
    """What came of an exercise: a word of `OUTCOMES`."""
    if part.get("pending"):
        return "waiting"
    if part["verdict"] == "blank":
        return "blank"
    if part["score"] >= part["max_score"] - 1e-6:
        return "full"
    return "some" if part["score"] > 0 else "none"


def mistakes(
    assignment: str,
    records: Iterable[Record],
    known_of: Callable[[str], Iterable[Misconception]] = known,
) -> tuple[Mistake, ...]:
    """The known mistakes that were made, the most frequent first."""
    seen = Counter[tuple[str, str]]()
    second_look = Counter[tuple[str, str]]()
    told: dict[tuple[str, str], Counter[str]] = {}
    for entry in records:
        for part in entry["exercises"]:
            if _is_judged(entry, part) and part.get("misconception"):
                key = part["id"], part["misconception"]
                counted = second_look if part.get("followed_through") else seen
                counted[key] += 1
                told.setdefault(key, Counter())[part["message"]] += 1
    found = [
        Mistake(
            _name(assignment, id),
            line(name, 200),
            _message_of(id, name, known_of) or line(told[id, name].most_common(1)[0][0]),
            seen[id, name],
            second_look[id, name],
        )
        for id, name in told
    ]
    return tuple(sorted(found, key=lambda one: (-one.students - one.second_look, -one.students)))


def _message_of(id: str, name: str, known_of: Callable[[str], Iterable[Misconception]]) -> str:
    """What is said of a known mistake; "" of one that this version does not know."""
    try:
        return next((one.message for one in known_of(id) if one.name == name), "")
    except ImportError:  # an id that is no module's name, of somebody's own assignment
        return ""


def said(assignment: str, records: Iterable[Record]) -> tuple[Said, ...]:
    """What several students read of wrong answers that have no name, the most frequent first."""
    counts = Counter(
        (_name(assignment, part["id"]), blanked(line(part["message"])))
        for entry in records
        for part in entry["exercises"]
        if _is_judged(entry, part) and _is_unnamed(entry, part)
    )
    return tuple(
        Said(exercise, message, count)
        for (exercise, message), count in counts.most_common()
        if count >= REPEATED
    )


def _is_unnamed(entry: Record, part: Part) -> bool:
    lost = part.get("kind") == "machine" and part["verdict"] in UNNAMED
    named = part.get("misconception") or part.get("followed_through")
    # Where the process ended, what came after was not run: no answer is wrong there.
    not_run = entry["status"] == "crashed" and not part["criteria"]
    return lost and not named and not not_run


def blanked(message: str) -> str:
    """A message in which each number is a #, so that those that differ in nothing else are one."""
    return _NUMBER.sub("#", message)


def concerns(assignment: str, records: Iterable[Record]) -> tuple[Concern, ...]:
    """What a person must look at, the most urgent first, and then by student."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for entry in records:
        for exercise, what, why in _concerns(assignment, entry):
            key = what, line(entry["student"], 80), line(why, 400)
            places.setdefault(key, []).extend([exercise] if exercise else [])
    urgency = list(CONCERNS)
    found = [
        Concern(student, tuple(names), what, why) for (what, student, why), names in places.items()
    ]
    return tuple(sorted(found, key=lambda one: (urgency.index(one.what), one.student)))


def _concerns(assignment: str, entry: Record) -> Iterator[tuple[str, str, str]]:
    """Of one submission: the exercise, or "" if it is all of it; what; and why."""
    status = entry["status"]
    if status in record.NOT_GRADED and entry["message"]:
        yield "", status, entry["message"]
    if status == "crashed":
        yield "", "crashed", sentence(record.STATUSES[status])
    if entry["tampered"]:
        ids = ", ".join(line(id, 80) for id in entry["tampered"])
        yield "", "changed", f"Restored before anything ran: {ids}"
    words = set()
    for part in entry["exercises"]:
        word = part["verdict"]
        if word in CONCERNS and not (status in record.NOT_GRADED and entry["message"]):
            words.add(word)
            yield _name(assignment, part["id"]), word, part.get("detail") or part["message"]
    if status == "timed_out" and "timeout" not in words:
        yield "", "timeout", sentence(record.STATUSES[status])


def times(records: Iterable[Record]) -> Times | None:
    """What running took; None where nobody recorded it."""
    timed = [entry for entry in records if entry.get("seconds") is not None]
    seconds = [float(entry["seconds"]) for entry in timed]
    found = spread(seconds)
    if found is None:
        return None
    slowest = sorted(timed, key=lambda entry: -entry["seconds"])[:SLOWEST]
    return Times(
        found,
        sum(seconds),
        sum(float(entry.get("cpu_seconds") or 0) for entry in timed),
        charts.binned(seconds, found.highest),
        tuple((line(entry["student"], 80), float(entry["seconds"])) for entry in slowest),
    )


def _name(assignment: str, id: str) -> str:
    return line(id.removeprefix(f"{assignment}_"), 80)


def sentence(words: str) -> str:
    """Words with a capital letter at their beginning and a full stop at their end."""
    return f"{words[:1].upper()}{words[1:]}."


def duration(seconds: float) -> str:
    """A time as people say it: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{charts.number(round(seconds, 1))} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def drawings(report: ClassReport) -> dict[str, str]:
    """The page's charts by name; those that would show nothing are left out."""
    found = {}
    if report.scores:
        found["scores"] = charts.histogram(
            "scores",
            "Points given by the machine",
            report.bins,
            f"points, of {points(report.most)}",
            "submissions",
            (f"median {points(report.scores.median)}", report.scores.median),
        )
    if any(exercise.students for exercise in report.exercises):
        kinds = [word for word in OUTCOMES if word != "waiting" or report.waiting[0]]
        found["exercises"] = charts.bars(
            "exercises",
            "What came of each exercise",
            [
                Row(exercise.name, tuple(exercise.outcomes[word] for word in kinds))
                for exercise in report.exercises
            ],
            [OUTCOMES[word] for word in kinds],
            "share of students, in %",
            shares=True,
        )
    if report.mistakes:
        again = any(one.second_look for one in report.mistakes)
        found["mistakes"] = charts.bars(
            "mistakes",
            "The most common known mistakes",
            [
                Row(f"{one.exercise}: {one.name}", (one.students, one.second_look)[: 1 + again])
                for one in report.mistakes[:SHOWN_MISTAKES]
            ],
            STUDENTS[: 1 + again],
            "students",
            shares=False,
        )
    if report.times:
        found["times"] = charts.histogram(
            "times",
            "Seconds that a submission took to run",
            report.times.bins,
            "seconds to run a submission",
            "submissions",
            (f"median {duration(report.times.spread.median)}", report.times.spread.median),
        )
    return found


def page(report: ClassReport) -> str:
    """The report as one HTML file that needs nothing else."""
    return standalone(
        "class_report.html.j2",
        filters={"duration": duration},
        report=report,
        charts=drawings(report),
        outcomes=OUTCOMES,
        concerns=CONCERNS,
        statuses=record.STATUSES,
        shown_mistakes=SHOWN_MISTAKES,
        shown_messages=SHOWN_MESSAGES,
    )


def write(course: "Course", assignment: str, json: Path | None, out: Path | None) -> Path:
    """Write the page of a class.

    Args:
        course: the course.
        assignment: of which.
        json: where the records are; by default verdicts.json in the course's folder.
        out: where the page goes; by default reports/ in the course's folder.

    Returns:
        Where it is.

    Raises:
        UsageError: no such assignment, or none of it was graded yet.
        CourseError: the records cannot be read, or the page cannot be written.
    """
    from autograder.grading import VERDICTS_FILE, VerdictsFile, chosen

    records_file = json or course.root / VERDICTS_FILE
    records = list(VerdictsFile(records_file).of(assignment).values())
    if not records:
        chosen(course, assignment, None)  # says what is missing, if it is not the grading
        raise UsageError(
            f"{records_file}: holds no record of {assignment}; run `autograder grade {assignment}`"
        )
    path = out or course.root / "reports" / f"{assignment}.html"
    graded_at = newest(course, assignment, records_file)
    write_atomically(path, page(summarised(assignment, records, graded_at)))
    return path


def newest(course: "Course", assignment: str, otherwise: Path) -> datetime:
    """When the newest submission of an assignment was graded.

    Args:
        course: the course.
        assignment: of which.
        otherwise: the file whose time counts if no notebook was graded, as none could be read.
    """
    anyone = course.folder("autograded", glob.escape(assignment), "*").relative_to(course.root)
    graded = course.root.glob(f"{anyone}/*.ipynb")
    changed = max((path.stat().st_mtime for path in graded), default=otherwise.stat().st_mtime)
    return datetime.fromtimestamp(changed).astimezone()
