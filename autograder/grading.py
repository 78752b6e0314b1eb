"""Grading a class: each submission through nbgrader's own pipeline, and a record of what came out.

One submission's fault is its own: a file that is no notebook, a kernel that dies or never ends
gets its record, and the next one is graded.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import rmtree

from autograder import record
from autograder.converter import AutogradeInOnePass, keep_engines
from autograder.course import LOG, ConversionError, Course, hash_of
from autograder.intake import beside, fingerprint, is_plain_file, rebuilt, taken_in
from autograder.nbgrader_plugin import (
    READY,
    ExecuteInSandbox,
    asked_verdict,
    graded_verdict,
    isolate,
    isolation_of,
    known_cells,
)
from autograder.notebooks import ReleasedCell, altered, grade_id, plain
from autograder.record import Verdict
from autograder.workers import Job, Ran, Workers
from vae_course import files
from vae_course.errors import CourseError, UsageError
from vae_course.files import write_atomically

Record = dict[str, Any]

VERDICTS_FILE = "verdicts.json"

MAX_NOTEBOOK_MB = 32
MAX_CELLS = 20_000
"""Of a submitted notebook. One of the course has no 100 cells, and some MB of pictures."""

SPENT = ("cpu_seconds", "seconds")
"""What running a submission took, where a worker ran it: the fields of `Ran`, and of a record."""


class Grading:
    """Grades an assignment for a class.

    Args:
        course: the course.
        assignment: the name of an assignment in source/.
        student: grade only this one; by default everybody who handed it in.
        json_path: where the records go; by default verdicts.json in the course's folder.
        force: grade again what did not change since it was graded.
        timeout: seconds that a cell may take, in place of the configured ones.
        isolation: "sandbox" or "process", in place of the configured one.
        workers: run what is in a sandbox; by default one process does.
        seeds: of the judge's inputs, by student; by default a fresh one for each.

    Raises:
        UsageError: no such assignment, nobody handed it in, or not this student; or this machine
            has no sandbox, and nobody said that it should go without.
        CourseError: something cannot be written, or nbgrader refuses the assignment.
    """

    def __init__(
        self,
        course: Course,
        assignment: str,
        student: str | None = None,
        json_path: Path | None = None,
        force: bool = False,
        timeout: int | None = None,
        isolation: str | None = None,
        workers: Workers | None = None,
        seeds: Mapping[str, int | None] = MappingProxyType({}),
    ) -> None:
        keep_engines()
        self.course, self.assignment, self.force = course, assignment, force
        self.sources = course.folder("source", assignment)
        self.students = chosen(course, assignment, student)
        self._whole_class = student is None
        self._workers, self._seeds = workers, seeds
        if timeout is not None:
            course.config.Execute.timeout = timeout
        if isolation is not None:
            isolate(course.config, isolation)
        self.isolation = isolation_of(course.config)
        _check_isolation(self.isolation)
        self._limits = ExecuteInSandbox(config=course.config).limits()
        self.file = VerdictsFile(json_path or course.root / VERDICTS_FILE)
        self._state_path = course.own_folder / f"{assignment}.json"
        autograded = course.folder("autograded", assignment, "x").parents[1]
        _check_writable(course.root, self.file.path.parent, *filter(Path.exists, [autograded]))
        self._state = _read_state(self._state_path)
        self._previous = self.file.of(assignment)
        self.reasons: dict[str, str] = {}
        """Why each submission was graded, as soon as it is; "" if nothing had changed."""

    def run(self) -> Iterator[Record]:
        """Grade, and give each submission's record as soon as it is there and written."""
        self.enter()
        done = []
        for student, ran in self._run_ahead():
            graded = self._grade(student, ran)
            self.file.put([graded])
            done.append(graded)
            yield graded
        if self._whole_class:
            self.file.keep_only(self.assignment, self.students)

    def _run_ahead(self) -> Iterator[tuple[str, dict[str, Ran] | Exception | None]]:
        """Each student, with what came of the notebooks if workers ran them."""
        if self._workers is None or self.isolation != "sandbox":
            yield from ((student, None) for student in self.students)
            return
        with self._workers:
            yield from self._workers.run((student, self._job(student)) for student in self.students)

    def _job(self, student: str) -> Job | None:
        """What a worker has to do for a student; None if that is nothing."""
        folder = self.course.folder("submitted", self.assignment, student)
        if not self._reason(student, self._key(folder)):
            return None
        try:
            submitted = read_submission(folder, sorted(self.released))
        except CourseError:
            return None  # it gets its record when its turn comes
        kept = Autograde(config=self.course.config).exclude_overwriting.get(self.assignment, ())
        ignored = CourseDirectory(config=self.course.config).ignore
        ours = {at: path for at, path in beside(self.sources, ignored).items() if at not in kept}
        files = taken_in(folder, self.sources, ignored) | ours
        return Job(
            {name: nbformat.writes(notebook) for name, notebook in submitted.items()},
            self.released,
            tuple((at, path.read_bytes()) for at, path in files.items()),
            self._limits,
            self._seeds.get(student),
            given=frozenset(ours),
        )

    def enter(self) -> None:
        """Bring the gradebook up to date with the assignment's source."""
        source = hash_of(self.sources)
        if not self._is_entered() or self._state["source"] != source:
            with tempfile.TemporaryDirectory() as scratch:
                self.course.enter(self.assignment, Path(scratch))
            self._state["source"] = source
            self._save_state()
        with self.course.gradebook() as gradebook:
            sources = self.course.source_notebooks(self.assignment)
            self.released = {
                notebook.name: known_cells(notebook, sources.get(notebook.name))
                for notebook in gradebook.find_assignment(self.assignment).notebooks
            }

    def _is_entered(self) -> bool:
        try:
            with self.course.gradebook() as gradebook:
                return bool(gradebook.find_assignment(self.assignment).notebooks)
        except MissingEntry:
            return False

    def _grade(self, student: str, ran: dict[str, Ran] | Exception | None) -> Record:
        folder = self.course.folder("submitted", self.assignment, student)
        try:
            submitted = read_submission(folder, sorted(self.released))
        except CourseError as error:
            return self._unreadable(student, str(error))
        tampered = [
            id
            for name, notebook in submitted.items()
            for id in altered(self.released[name], notebook.cells)
        ]
        key = self._key(folder)
        self.reasons[student] = self._reason(student, key)
        if not self.reasons[student]:
            previous = self._previous[student]
            spent = {name: previous[name] for name in SPENT if name in previous}
        else:
            self._forget(student)
            if isinstance(ran, Exception):
                return self._grader_error(student, f"{type(ran).__name__}: {ran}", tampered)
            READY.update({(student, name): one for name, one in (ran or {}).items()})
            try:
                with _drawn_from(self._seeds.get(student)):
                    self.course.convert(AutogradeInOnePass, self.assignment, student)
            except ConversionError as error:
                return self._grader_error(student, str(error), tampered)
            spent = _spent(ran.values()) if ran else {}
        graded = self._collect(student, tampered) | spent
        if graded["status"] not in record.NOT_GRADED:
            self._state["graded"][student] = key
            self._save_state()
        return graded

    def take_as_graded(self, students: Iterable[str]) -> None:
        """Take submissions for graded, as they and the grader are now: `regrade` has seen to it."""
        for student in students:
            folder = self.course.folder("submitted", self.assignment, student)
            self._state["graded"][student] = self._key(folder)
        self._save_state()

    def _key(self, folder: Path) -> dict[str, Any]:
        """All that a submission's verdicts depend on, by the words for its change."""
        kept = Autograde(config=self.course.config).exclude_overwriting.get(self.assignment, ())
        return {
            "the submission changed": fingerprint(folder),
            "the assignment changed": f"{hash_of(self.sources)} {sorted(kept)}",
            "the grader changed": engine(),
            "the isolation changed": self.isolation,
            "the limits changed": self._limits,
        }

    def _reason(self, student: str, key: Mapping[str, Any]) -> str:
        """Why a submission is to be graded; "" if it was, and nothing changed since."""
        known = self._state["graded"].get(student)
        if self.force:
            return "asked for"
        there = self.course.folder("autograded", self.assignment, student).is_dir()
        if not (there and student in self._previous and isinstance(known, dict)):
            return "not graded before"
        return ", ".join(words for words, part in key.items() if known.get(words) != part)

    def _collect(self, student: str, tampered: Sequence[str]) -> Record:
        """The record of a submission that nbgrader has graded, with the gradebook's scores."""
        folder = self.course.folder("autograded", self.assignment, student)
        exercises: list[Verdict] = []
        cells = []
        with self.course.gradebook() as gradebook:
            for name, released in self.released.items():
                path = folder / f"{name}.ipynb"
                executed = nbformat.read(path, as_version=4).cells if path.is_file() else []
                grades = _grades(gradebook, name, self.assignment, student)
                exercises += [
                    _exercise(cell, executed, *grades[cell.id]) for cell in released if cell.kind
                ]
                cells += executed
        status = record.status_of(cells, exercises)
        return self._record(student, status, exercises, tampered)

    def _record(
        self,
        student: str,
        status: str,
        exercises: Sequence[Verdict],
        tampered: Sequence[str] = (),
        message: str = "",
    ) -> Record:
        made = record.submission(
            self.assignment, student, status, exercises, engine(), tampered, message
        )
        folder = self.course.folder("submitted", self.assignment, student)
        inputs = {"submission": fingerprint(folder), "assignment": hash_of(self.sources)}
        return made | {"isolation": self.isolation, "inputs": inputs}

    def _all(self, word: str, message: str) -> list[Verdict]:
        return [
            record.verdict(cell.id, 0.0, cell.points or 0.0, word, message) | {"kind": cell.kind}
            for cells in self.released.values()
            for cell in cells
            if cell.kind
        ]

    def _unreadable(self, student: str, message: str) -> Record:
        """Score zero, in the gradebook too: an earlier submission's scores do not stand for it."""
        LOG.warning("%s", message)
        self._forget(student)
        with self.course.gradebook() as gradebook:
            gradebook.update_or_create_student(student)
            entry = gradebook.update_or_create_submission(self.assignment, student)
            for notebook in entry.notebooks:
                for grade in notebook.grades:
                    grade.auto_score = 0.0
                    grade.needs_manual_grade = False
            gradebook.db.commit()
        message = self.course.relative(plain(message))
        return self._record(student, "unreadable", self._all("error", message), message=message)

    def _grader_error(self, student: str, reason: str, tampered: Sequence[str]) -> Record:
        message = (
            f"The grading program failed on {student}'s {self.assignment} ({reason}); "
            f"see {self.course.log_file(self.assignment)}"
        )
        exercises = self._all("grader_error", message)
        return self._record(student, "grader_error", exercises, tampered, message)

    def _forget(self, student: str) -> None:
        """Remove what an earlier submission left, before a new one is graded."""
        self._state["graded"].pop(student, None)
        earlier = self.course.folder("autograded", self.assignment, student)
        if earlier.exists():
            rmtree(str(earlier))

    def _save_state(self) -> None:
        write_atomically(self._state_path, json.dumps(self._state))


@contextlib.contextmanager
def _drawn_from(seed: int | None) -> Iterator[None]:
    """Within, the judge's inputs are drawn from a seed, if there is one."""
    before = os.environ.get(record.SEED_VARIABLE)
    if seed is not None:
        os.environ[record.SEED_VARIABLE] = str(seed)
    try:
        yield
    finally:
        if before is not None:
            os.environ[record.SEED_VARIABLE] = before
        elif seed is not None:
            del os.environ[record.SEED_VARIABLE]


def _spent(ran: Iterable[Ran]) -> dict[str, float]:
    notebooks = list(ran)
    return {name: round(sum(getattr(one, name) for one in notebooks), 3) for name in SPENT}


def chosen(course: Course, assignment: str, student: str | None) -> list[str]:
    """Whose submissions are meant: everybody's, or one student's.

    Raises:
        UsageError: no such assignment, nobody handed it in, or not this student.
    """
    course.require(assignment)
    students = course.students(assignment)
    place = course.folder("submitted", assignment, "<student>")
    if not students:
        raise UsageError(f"nobody handed in {assignment}: {place} was expected to hold a notebook")
    if student is None:
        return students
    if student not in students:
        raise UsageError(
            f"{plain(student, 100)}: no submission of {assignment} by this student; "
            f"there are those of {plain(', '.join(students), 500)}"
        )
    return [student]


def _check_isolation(isolation: str) -> None:
    if isolation == "sandbox":
        from autograder.sandbox.outside import problem

        if reason := problem():
            raise UsageError(
                f"this machine has no sandbox for students' code: {reason}. To run their code in "
                "your own account instead, say --isolation process"
            )


def _check_writable(*folders: Path) -> None:
    """Find out before an hour of grading, not after it."""
    for folder in folders:
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".autograder-"):
                pass
        except OSError as error:
            raise CourseError(
                f"{folder}: cannot be written to ({error.strerror}); check that the folder "
                "exists, is yours to write, and has room"
            ) from error


def _read_state(path: Path) -> dict[str, Any]:
    """What was entered and graded in which state; nothing, if the file is missing or broken."""
    empty: dict[str, Any] = {"source": "", "graded": {}}
    try:
        found = json.loads(path.read_text())
        return {key: type(default)(found[key]) for key, default in empty.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return empty


def read_submission(folder: Path, names: Sequence[str]) -> dict[str, NotebookNode]:
    """Read the notebooks that a student handed in.

    Args:
        folder: the student's.
        names: of the assignment's notebooks, without .ipynb.

    Returns:
        Those that are there, by name.

    Raises:
        CourseError: none is there, or one is not a notebook.
    """
    paths = {name: folder / f"{name}.ipynb" for name in names}
    # A link might lead to somebody else's work.
    present = [name for name, at in paths.items() if is_plain_file(at)]
    if not present:
        others = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise CourseError(
            f"{folder}: there is no {names[0]}.ipynb, but {others}; give the notebook this name"
        )
    return {name: read_notebook(folder / f"{name}.ipynb") for name in present}


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook that anybody may have written.

    Raises:
        CourseError: it is not one.
    """
    cure = "hand in the .ipynb file that Colab or Jupyter saves"
    if path.stat().st_size > MAX_NOTEBOOK_MB * 2**20:
        raise CourseError(
            f"{path}: is larger than {MAX_NOTEBOOK_MB} MB; clear its outputs, save it, and hand it "
            "in again"
        )
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CourseError(f"{path}: cannot be read ({reason}); {cure}") from error
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if not content.strip() else "it is not JSON"
        raise CourseError(f"{path}: is not a notebook ({reason}); {cure}") from error
    try:
        notebook = nbformat.reads(content, as_version=4)
        if len(notebook.cells) > MAX_CELLS:
            raise ValueError("nobody reads so many cells")
        for cell in notebook.cells:
            if not (
                cell.cell_type in ("code", "markdown", "raw")
                and isinstance(cell.source, str)
                and isinstance(cell.metadata, dict)
            ):
                raise ValueError("a cell has no source")
        return rebuilt(notebook)
    except Exception as error:
        wrong = "has no cells" if isinstance(raw, dict) and "cells" not in raw else "is damaged"
        raise CourseError(f"{path}: is not a notebook (it is JSON, but {wrong}); {cure}") from error


def _grades(
    gradebook: Gradebook, notebook: str, assignment: str, student: str
) -> dict[str, tuple[Any, str | None]]:
    """For each graded cell its grade, and what a person wrote about it."""
    entry = gradebook.find_submission_notebook(notebook, assignment, student)
    notes = {note.name: note.manual_comment for note in entry.comments}
    return {grade.name: (grade, notes.get(grade.name)) for grade in entry.grades}


def _exercise(
    released: ReleasedCell, executed: Iterable[NotebookNode], grade: Any, comment: str | None
) -> Verdict:
    cell = next((cell for cell in executed if grade_id(cell) == released.id), None)
    if released.kind != "machine":
        verdict = asked_verdict(grade, comment)
    elif cell is None:  # of several notebooks, this one was not handed in
        verdict = record.verdict(
            released.id, grade.score, grade.max_score, "blank", "The notebook was not handed in."
        )
    else:
        verdict = graded_verdict(cell, grade)
    return verdict | {"kind": released.kind}


@cache
def engine() -> str:
    """What graded: versions, and a hash of the code of checks and reference."""
    code = hash_of(Path(__file__).parent, Path(files.__file__).parent)
    return (
        f"autograder {version('vae-course')} (code {code[:12]}, nbgrader {version('nbgrader')}, "
        f"torch {version('torch')})"
    )


class VerdictsFile:
    """The file of records: a JSON list with one object a submission.

    Raises:
        CourseError: what is there is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records = self._read()
        self._texts = {place: _as_item(entry) for place, entry in self._records.items()}

    def _read(self) -> dict[tuple[str, str], Record]:
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_text())
            for entry in found:
                entry["exercises"]
            return {_place(entry): entry for entry in found}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"{self.path}: does not hold records of this program; move it away, or name "
                "another file with --json"
            ) from error

    def of(self, assignment: str) -> dict[str, Record]:
        """An assignment's records by student."""
        return {
            student: entry for (name, student), entry in self._records.items() if name == assignment
        }

    def put(self, records: Iterable[Record]) -> None:
        """Write records, each in place of the earlier one on the same submission."""
        self._write(self._records | {_place(entry): entry for entry in records})

    def keep_only(self, assignment: str, students: Iterable[str]) -> None:
        """Drop an assignment's records of students who are not there any more."""
        wanted = set(students)
        self._write(
            {
                (name, student): entry
                for (name, student), entry in self._records.items()
                if name != assignment or student in wanted
            }
        )

    def _write(self, records: dict[tuple[str, str], Record]) -> None:
        if records == self._records and self.path.exists():
            return
        for place, entry in records.items():
            if self._records.get(place) != entry:  # all the others' texts are there
                self._texts[place] = _as_item(entry)
        self._records = records
        items = ",\n".join(self._texts[place] for place in sorted(records))
        write_atomically(self.path, f"[\n{items}\n]\n" if records else "[]\n")


def _place(entry: Record) -> tuple[str, str]:
    return entry["assignment"], entry["student"]


def _as_item(entry: Record) -> str:
    """A record as it stands in a JSON list with an indent of one."""
    return " " + json.dumps(entry, indent=1, ensure_ascii=False).replace("\n", "\n ")
