"""A check was wrong and is mended: who moves from which mark to which, and why.

Submissions are graded again in a scratch course, each from the seed that its verdicts were drawn
from, so that nothing speaks but what was mended. Nothing is written before somebody has seen it.
"""

import contextlib
import math
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import nbformat
from nbgrader.api import Grade, Gradebook, MissingEntry, SubmittedAssignment

from autograder import record
from autograder.course import Course
from autograder.grading import VERDICTS_FILE, Grading, Record, VerdictsFile, chosen
from autograder.intake import fingerprint, plain_files
from autograder.late_days import charge
from autograder.notebooks import ANSWER, grade_id, plain
from autograder.scratch import DATABASE, copy_gradebook, scratch_course
from autograder.workers import Workers
from vae_course.errors import UsageError
from vae_course.files import write_atomically

Place = tuple[str, str, str]
"""A student, a notebook and an exercise."""


@dataclass(frozen=True)
class Fresh:
    """What another run gives for an exercise.

    Attributes:
        points: None where the grader failed, and a person is waited for.
        comment: of the answer's cell.
    """

    points: float | None
    comment: str | None


@dataclass(frozen=True)
class Move:
    """An exercise that another run gives other points.

    Attributes:
        student, exercise: whose, and which.
        before, after: points by the machine; None where the grader failed.
        max_score: points to be earned.
        said, says: the messages of before and of now.
        by_hand: points that a person gave: they count, before and after. None if nobody did.
    """

    student: str
    exercise: str
    before: float | None
    after: float | None
    max_score: float
    said: str
    says: str
    by_hand: float | None = None


class Regrade:
    """Grades a class again, beside what is recorded. To be used in a `with`.

    Args:
        course: the course.
        assignment: its name.
        exercises: only these may change; by default all that a machine grades.
        student: only this one.
        isolation: "sandbox" or "process", in place of the configured one.
        workers: run the submissions; by default one process does.

    Attributes:
        students: whose submissions are graded again.
        left_out: why the others' are not.
        moves: what another run changes; there when `run` has come to its end.
        marks: of each student who moves, the mark before and after, without what late days cost.

    Raises:
        UsageError: no such assignment, exercise or student, or nothing was graded yet.
        CourseError: the gradebook or the records cannot be read.
    """

    def __init__(
        self,
        course: Course,
        assignment: str,
        exercises: Collection[str] = (),
        student: str | None = None,
        isolation: str | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.course, self.assignment = course, assignment
        self._isolation, self._workers = isolation, workers
        self._file = VerdictsFile(course.root / VERDICTS_FILE)
        self._records = self._file.of(assignment)
        handed_in = chosen(course, assignment, student)
        self.left_out = {name: reason for name in handed_in if (reason := self._why_not(name))}
        self.students = [name for name in handed_in if name not in self.left_out]
        self._known = self._graded_by_machine()
        self.exercises = self._choose(exercises)
        self._is_settled = False
        self.moves: list[Move] = []
        self.marks: dict[str, tuple[float, float]] = {}
        self._found: dict[str, Record] = {}
        self._fresh: dict[Place, Fresh] = {}
        self._open = contextlib.ExitStack()

    def _why_not(self, student: str) -> str:
        known = self._records.get(student)
        autograded = self.course.folder("autograded", self.assignment, student)
        if known is None or known["status"] in record.NOT_GRADED or not autograded.is_dir():
            return "was not graded yet"
        folder = self.course.folder("submitted", self.assignment, student)
        if known.get("inputs", {}).get("submission") not in (None, fingerprint(folder)):
            return "was handed in again since it was graded"
        return ""

    def _graded_by_machine(self) -> set[str]:
        assignment = plain(self.assignment, 100)
        if not self.students:
            raise UsageError(
                f"{assignment}: nothing of it was graded before; run `autograder grade "
                f"{assignment}`"
            )
        parts = [part for name in self.students for part in self._records[name]["exercises"]]
        return {part["id"] for part in parts if part["kind"] == "machine"}

    def _choose(self, exercises: Collection[str]) -> set[str]:
        if unknown := sorted(set(exercises) - self._known):
            raise UsageError(
                f"{plain(', '.join(unknown), 200)}: no exercise of {plain(self.assignment, 100)} "
                f"that a machine grades; those are {', '.join(sorted(self._known))}"
            )
        return set(exercises) or self._known

    def run(self) -> Iterator[Record]:
        """Grade again, and give each record as soon as it is there. Nothing is written."""
        self._scratch = self._open.enter_context(scratch_course(self.course, self.assignment))
        copy_gradebook(self.course, self._scratch.root / DATABASE)
        for student in self.students:
            target = self._scratch.folder("submitted", self.assignment, student)
            for written, path in plain_files(
                self.course.folder("submitted", self.assignment, student)
            ):
                (target / written).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / written)
        seeds = {name: self._records[name]["seed"] for name in self.students}
        grading = Grading(
            self._scratch,
            self.assignment,
            isolation=self._isolation,
            workers=self._workers,
            seeds=seeds,
        )
        for found in grading.run():
            if found["status"] in record.NOT_GRADED:
                self.left_out[found["student"]] = f"cannot be graded now ({found['message']})"
            else:
                self._found[found["student"]] = found
            yield found
        self._read_fresh()
        self._compare()

    def _read_fresh(self) -> None:
        with self._scratch.gradebook() as gradebook:
            for student in self._found:
                for place, grade in self._grades(gradebook, student, self._known).items():
                    comment = _comment(gradebook, self.assignment, place)
                    self._fresh[place] = Fresh(grade.auto_score, comment and comment.auto_comment)

    def _grades(
        self, gradebook: Gradebook, student: str, exercises: Collection[str]
    ) -> dict[Place, Grade]:
        entry = gradebook.find_submission(self.assignment, student)
        return {
            (student, notebook.name, grade.name): grade
            for notebook in entry.notebooks
            for grade in notebook.grades
            if grade.name in exercises
        }

    def _compare(self) -> None:
        """What moves; and the marks, by writing into a copy of the gradebook what would be."""
        with TemporaryDirectory() as folder:
            copy_gradebook(self.course, Path(folder, DATABASE))
            url = f"sqlite:///{Path(folder, DATABASE)}"
            charge(self.course, url, self.assignment, self._found)  # points by hand count, too
            with Gradebook(url, self.course.id) as gradebook:
                for student in self._found:
                    self.moves += self._moves_of(gradebook, student)
                self._is_settled = not any(self._others_move(gradebook, one) for one in self._found)
                moving = {move.student: 0.0 for move in self.moves}
                before = {name: self._mark(gradebook, name) for name in moving}
            self._enter(url)
            with Gradebook(url, self.course.id) as gradebook:
                after = {name: self._mark(gradebook, name) for name in moving}
        self.marks = {name: (before[name], after[name]) for name in moving}

    def _moves_of(self, gradebook: Gradebook, student: str) -> Iterator[Move]:
        said, says = (
            {part["id"]: part["message"] for part in entry[student]["exercises"]}
            for entry in (self._records, self._found)
        )
        for place, grade in self._grades(gradebook, student, self.exercises).items():
            after = self._fresh[place].points
            if not _same(grade.auto_score, after):
                yield Move(
                    *(student, grade.name, grade.auto_score, after, grade.max_score),
                    *(said.get(grade.name, ""), says.get(grade.name, ""), grade.manual_score),
                )

    def _others_move(self, gradebook: Gradebook, student: str) -> bool:
        """Whether exercises that were not chosen would have other points, too."""
        others = self._grades(gradebook, student, self._known - self.exercises)
        return not all(
            _same(grade.auto_score, self._fresh[place].points) for place, grade in others.items()
        )

    def _mark(self, gradebook: Gradebook, student: str) -> float:
        entry: SubmittedAssignment = gradebook.find_submission(self.assignment, student)
        return max(0.0, entry.score - (entry.late_submission_penalty or 0.0))

    def _enter(self, url: str) -> None:
        """Enter the fresh points into a gradebook, all at once, and then what late days cost.

        What a person scored or wrote stands in other fields, and nobody has to look at it again.
        """
        with Gradebook(url, self.course.id) as gradebook:
            for student in self._found:
                for place, grade in self._grades(gradebook, student, self.exercises).items():
                    fresh = self._fresh[place]
                    grade.auto_score = fresh.points
                    if grade.manual_score is None:
                        grade.needs_manual_grade = fresh.points is None
                    if comment := _comment(gradebook, self.assignment, place):
                        comment.auto_comment = fresh.comment
            gradebook.db.commit()
        charge(self.course, url, self.assignment, self._found)

    def write(self) -> None:
        """Write what `run` found: notebooks and records, and at last the gradebook.

        If it is stopped on the way, the next run shows the same moves again.
        """
        grading = Grading(self.course, self.assignment, isolation=self._isolation)
        grading.enter()
        for student in self._found:
            self._write_notebooks(student)
        self._file.put([self._new_record(student) for student in self._found])
        self._enter(self.course.database)
        if self._is_settled:  # else the next `grade` has to see to the others
            grading.take_as_graded(self._found)

    def _write_notebooks(self, student: str) -> None:
        """Put into a graded notebook what the exercises' cells show now, for the feedback."""
        ours, theirs = (
            course.folder("autograded", self.assignment, student)
            for course in (self.course, self._scratch)
        )
        for path in sorted(ours.glob("*.ipynb")):
            outputs = {
                grade_id(cell): cell.outputs
                for cell in nbformat.read(theirs / path.name, as_version=4).cells
                if cell.cell_type == "code"
            }
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                id = grade_id(cell)
                if id in self.exercises and id in outputs:
                    cell.outputs = outputs[id]
            write_atomically(path, nbformat.writes(notebook) + "\n")

    def _new_record(self, student: str) -> Record:
        before, now = self._records[student], self._found[student]
        fresh = {
            part["id"]: part
            for part in now["exercises"]
            if part["id"] in self.exercises or part["kind"] != "machine"  # marked since, perhaps
        }
        exercises = [fresh.get(part["id"], part) for part in before["exercises"]]
        moved = [
            {"id": move.exercise, "before": move.before, "after": move.after}
            for move in self.moves
            if move.student == student
        ]
        made = before | {
            "exercises": exercises,
            "score": round(sum(part["score"] for part in exercises), 6),
            "engine": now["engine"],
            "inputs": now["inputs"],
        }
        if moved:
            earlier = before.get("regraded", [])
            made["regraded"] = [*earlier, {"engine": before["engine"], "moved": moved}]
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def reasons(moves: Collection[Move]) -> Mapping[tuple[str, str, str], list[str]]:
    """Who moves, by exercise and by what was and is said, most students first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for move in moves:
        found.setdefault((move.exercise, move.said, move.says), []).append(move.student)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _comment(gradebook: Gradebook, assignment: str, place: Place):
    student, notebook, exercise = place
    try:
        return gradebook.find_comment(exercise + ANSWER, notebook, assignment, student)
    except MissingEntry:  # a plain nbgrader course names its cells as it likes
        return None


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, abs_tol=1e-6)
