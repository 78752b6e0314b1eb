"""What waits for a person: answers to read, question by question, and what went wrong on the way.

One question at a time, in an order that is another for each: who marks the same question for the
whole class marks alike, and nobody is always the last to be read.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbgrader.api import Gradebook, MissingEntry, SubmittedNotebook

from autograder.grading import VERDICTS_FILE, VerdictsFile, chosen
from autograder.notebooks import line
from autograder.pages.class_report import CONCERNS, Concern, concerns
from autograder.pages.standalone import standalone
from vae_course.authoring.assignment import list_assignments, load_assignment
from vae_course.authoring.rubric import Rubric
from vae_course.files import write_atomically

if TYPE_CHECKING:
    from autograder.course import Course


@dataclass(frozen=True)
class Handed:
    """A submission as people find it.

    Attributes:
        name: the student's, or the formgrader's "Submission #3".
        link: of its page in the formgrader; "" if it has none, as nothing was run.
    """

    name: str
    link: str


@dataclass(frozen=True)
class Question:
    """Answers to one exercise that wait.

    Attributes:
        id: the exercise.
        max_score: its points.
        answered: how many there are, marked or not.
        waiting: those that wait.
        rubric: how to mark them, if the course says it.
    """

    id: str
    max_score: float
    answered: int
    waiting: tuple[Handed, ...]
    rubric: Rubric | None


@dataclass(frozen=True)
class Queue:
    """All that waits for a person in an assignment.

    Attributes:
        assignment: its name.
        questions: answers to read, in the order of the notebook.
        concerns: what else to look at, the most urgent first, and of whom.
        anonymous: whether students' names are left out.
    """

    assignment: str
    questions: tuple[Question, ...]
    concerns: tuple[tuple[Handed, Concern], ...]
    anonymous: bool

    @property
    def to_read(self) -> int:
        """Answers that wait."""
        return sum(len(question.waiting) for question in self.questions)


def queue_of(
    course: "Course",
    assignment: str,
    anonymous: bool = False,
    formgrader: str = "http://localhost:8888",
) -> Queue:
    """Collect what waits.

    Args:
        course: the course.
        assignment: its name.
        anonymous: name submissions as the formgrader numbers them.
        formgrader: the address of the Jupyter server that has it.

    Raises:
        UsageError: no such assignment, or nobody handed it in.
        CourseError: the gradebook or the records cannot be read.
    """
    chosen(course, assignment, None)
    records = VerdictsFile(course.root / VERDICTS_FILE).of(assignment)
    with course.gradebook() as gradebook:
        handed = _handed(course, gradebook, assignment, anonymous, formgrader.rstrip("/"))
        questions = _questions(gradebook, assignment, handed)
        # Not every submission has every question: where nothing was written, nothing waits.
        place = {
            part["id"]: number
            for entry in records.values()
            for number, part in enumerate(entry["exercises"])
        }
        questions = tuple(sorted(questions, key=lambda one: place.get(one.id, math.inf)))
    found = []
    for number, (student, entry) in enumerate(sorted(records.items()), 1):
        whose = handed.get(student) or Handed(student, "")
        if anonymous and whose.name == student:  # nothing of it was run: it has no number there
            whose = Handed(f"Unnumbered {number}", "")
        for concern in concerns(assignment, [entry]):
            why = concern.why.replace(student, whose.name) if anonymous else concern.why
            found.append((whose, Concern(whose.name, concern.exercises, concern.what, why)))
    urgency = list(CONCERNS)
    found.sort(key=lambda one: (urgency.index(one[1].what), one[0].name))
    return Queue(assignment, questions, tuple(found), anonymous)


def _handed(
    course: "Course", gradebook: Gradebook, assignment: str, anonymous: bool, address: str
) -> dict[str, Handed]:
    """By student; the numbers are the formgrader's, which counts those whose notebook was run."""
    found: dict[str, Handed] = {}
    for notebook in _notebooks(gradebook, assignment):
        found_there = gradebook.notebook_submissions(notebook, assignment)
        run = [one for one in found_there if _is_run(course, assignment, one)]
        for number, one in enumerate(sorted(run, key=lambda one: one.id), 1):
            name = f"Submission #{number}" if anonymous else line(one.student.id, 80)
            link = f"{address}/formgrader/submissions/{one.id}/"
            found.setdefault(one.student.id, Handed(name, link))
    return found


def _notebooks(gradebook: Gradebook, assignment: str) -> list[str]:
    try:
        return [notebook.name for notebook in gradebook.find_assignment(assignment).notebooks]
    except MissingEntry:  # handed in, and nothing was graded yet
        return []


def _is_run(course: "Course", assignment: str, one: SubmittedNotebook) -> bool:
    folder = course.folder("autograded", assignment, one.student.id)
    return (folder / f"{one.name}.ipynb").is_file()


def _questions(
    gradebook: Gradebook, assignment: str, handed: Mapping[str, Handed]
) -> Iterator[Question]:
    rubrics = _rubrics(assignment)
    for notebook in _notebooks(gradebook, assignment):
        grades: dict[str, list] = {}
        for one in gradebook.notebook_submissions(notebook, assignment):
            for grade in one.grades:
                # By machine, and waiting: a person changed the points, and has to confirm them.
                asked = grade.auto_score is None or grade.needs_manual_grade
                if asked and one.student.id in handed:
                    grades.setdefault(grade.name, []).append((one.student.id, grade))
        for id, given in grades.items():
            waiting = [student for student, grade in given if grade.needs_manual_grade]
            yield Question(
                id,
                given[0][1].max_score,
                len(given),
                tuple(handed[student] for student in shuffled(waiting, id)),
                rubrics.get(id),
            )


def shuffled(students: Iterable[str], question: str) -> list[str]:
    """Students in an order that depends on the question, and is the same each time."""
    return sorted(students, key=lambda one: hashlib.sha256(f"{question}\0{one}".encode()).digest())


def _rubrics(assignment: str) -> dict[str, Rubric]:
    if assignment not in list_assignments():
        return {}  # a course of somebody else's
    found = load_assignment(assignment).exercises
    return {exercise.id: exercise.rubric for exercise in found if exercise.rubric}


def lines(queue: Queue) -> Iterator[str]:
    """What the terminal shows."""
    for question in queue.questions:
        yield f"{question.id}: {len(question.waiting)} of {question.answered} to read"
    for whose, concern in queue.concerns:
        where = f" ({', '.join(concern.exercises)})" if concern.exercises else ""
        yield f"{whose.name}: {CONCERNS[concern.what].lower()}{where}"
    if not queue.to_read and not queue.concerns:
        yield f"{queue.assignment}: nothing waits for a person"


def page(queue: Queue) -> str:
    """The queue as one HTML file that needs nothing else but the formgrader that it links to."""
    return standalone("waiting.html.j2", queue=queue, concerns=CONCERNS)


def write(course: "Course", queue: Queue, out: Path | None = None) -> Path:
    """Write the page, by default into reports/ in the course's folder."""
    path = out or course.root / "reports" / f"{queue.assignment}-queue.html"
    write_atomically(path, page(queue))
    return path
