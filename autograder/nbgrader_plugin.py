"""What plugs into nbgrader: a few preprocessors, and `configure`, which puts them in their places.

`nbgrader autograde`, `nbgrader generate_feedback`, the formgrader's buttons and `autograder grade`
all run these. Each does one thing; the rules are in `autograder.notebooks` and `autograder.record`.
"""

import math
import os
import subprocess
import sys
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import (
    AssignLatePenalties,
    ClearOutput,
    Execute,
    GetGrades,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from traitlets import Bool, Integer, Unicode

from autograder import inert, intake, notebooks, record
from autograder.notebooks import ANSWER, Cell, ReleasedCell
from autograder.pages import feedback
from autograder.workers import Job, Ran, file_name, run_submission

Resources = dict[str, Any]
Result = tuple[NotebookNode, Resources]

CELL_SECONDS = 120
"""What a cell may take. The slowest cells of the course, shrunk for grading, take a few seconds."""

WARM_UP = """
import autograder.kernel, matplotlib.pyplot, sklearn.datasets, sklearn.neighbors, torchvision
from vae_course.authoring.assignment import list_assignments, load_assignment
load_assignment(list_assignments()[0])
"""
"""What the course's notebooks and their judging import. It takes seconds, on a cold disk many."""

WARM_UP_SECONDS = 300

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    )
}


def configure(config: Any, isolation: str = "sandbox") -> None:
    """Set nbgrader up for this course. Called with the `c` of an nbgrader_config.py.

    Args:
        config: nbgrader's.
        isolation: "sandbox", or "process" to run students' code in a kernel of your own account.
    """
    _find_programs_beside_python()
    intake.make_nbgrader_careful()
    config.Autograde.sanitize_preprocessors = [
        RebuildNotebook,
        ClearOutput,
        RestoreCells,  # after which there is nothing to check in a cell's metadata
        OverwriteKernelspec,
    ]
    config.Autograde.autograde_preprocessors = [
        EXECUTE[isolation],
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        RefuseImpossibleScores,
        SaveAutoGrades,
        SaveVerdicts,
        AssignLatePenalties,
    ]
    # Once at the end, and not after each of these steps.
    config.NotebookExporter.optimistic_validation = True
    config.GenerateFeedback.preprocessors = [GetGrades, ShowVerdicts, CSSHTMLHeaderPreprocessor]
    # Of feedback and of the formgrader's pages.
    config.HTMLExporter.preprocessors = [inert.InertPage]
    config.HTMLExporter.filters = inert.FILTERS
    config.Execute.timeout = CELL_SECONDS
    config.SturdyExecute.warm_up = WARM_UP
    # For who uses nbgrader's own preprocessor in place of RestoreCells.
    config.OverwriteCells.add_missing_cells = True


def _find_programs_beside_python() -> None:
    """Let nbgrader find `alembic`, which it starts by name, where no environment is activated."""
    here = os.path.dirname(sys.executable)
    paths = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if here not in paths:
        os.environ["PATH"] = os.pathsep.join([*paths, here])


class _Recorded(NbGraderPreprocessor):
    """A preprocessor that reads the gradebook. Not to be used itself."""

    def _gradebook(self, resources: Resources) -> Gradebook:
        return Gradebook(resources["nbgrader"]["db_url"])

    def _place(self, resources: Resources) -> tuple[str, str, str]:
        where = resources["nbgrader"]
        return where["notebook"], where["assignment"], where["student"]

    def _directory(self) -> Any:
        return getattr(getattr(self.parent, "parent", None), "coursedir", None)

    def _source_notebook(self, resources: Resources) -> NotebookNode | None:
        """The instructor's notebook, if it can be had: the gradebook knows no tags and no order."""
        folder = self._source_folder(resources)
        path = folder and folder / f"{resources['nbgrader']['notebook']}.ipynb"
        return nbformat.read(path, as_version=4) if path and path.is_file() else None

    def _source_folder(self, resources: Resources) -> Path | None:
        directory = self._directory()
        if directory is None:
            return None
        _, assignment, _ = self._place(resources)
        return Path(directory.format_path(directory.source_directory, ".", assignment))


class RebuildNotebook(NbGraderPreprocessor):
    """Makes a submitted notebook anew from plain parts: see `autograder.intake.rebuilt`."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> Result:
        return intake.rebuilt(nb), resources


class RestoreCells(_Recorded):
    """Puts back what a student may not change: see `autograder.notebooks.restore`.

    It stands in place of nbgrader's DeduplicateIds and OverwriteCells, which leave tags and flags
    as they come, and stop at a notebook that lacks both a grade cell and the cell before it.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> Result:
        notebook, assignment, _ = self._place(resources)
        with self._gradebook(resources) as gradebook:
            entry = gradebook.find_notebook(notebook, assignment)
            released = known_cells(entry, self._source_notebook(resources))
            checksums = {cell.name: cell.checksum for cell in entry.source_cells}
        checksums |= {cell.id: cell_checksum(cell) for cell in released if not cell.locked}
        for id in notebooks.altered(released, nb.cells):
            self.log.warning("Locked cell %r was altered, deleted or repeated: restored", id)
        nb.cells = notebooks.restore(nb.cells, released)
        for cell in nb.cells:
            if id := notebooks.grade_id(cell):
                cell.metadata.nbgrader["checksum"] = checksums[id]
        return nb, resources


def known_cells(notebook: Any, source: NotebookNode | None) -> list[ReleasedCell]:
    """What the gradebook knows of a notebook's cells, with the order and the tags of `source`."""
    points = {cell.name: cell.max_score for cell in (*notebook.grade_cells, *notebook.task_cells)}
    grades = {cell.name for cell in notebook.grade_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    tasks = {cell.name for cell in notebook.task_cells}
    in_source = notebooks.released_cells(source) if source else []
    tags = {cell.id: cell.tags for cell in in_source}
    order = {cell.id: place for place, cell in enumerate(in_source)}
    known = [
        ReleasedCell(
            id=cell.name,
            cell_type=cell.cell_type,
            source=cell.source,
            grade=cell.name in grades,
            solution=cell.name in solutions,
            task=cell.name in tasks,
            locked=cell.locked,
            points=points.get(cell.name),
            tags=tags.get(cell.name, ()),
        )
        for cell in notebook.source_cells
    ]
    return sorted(known, key=lambda cell: order.get(cell.id, len(order)))


def cell_checksum(cell: ReleasedCell) -> str:
    """nbgrader's checksum of an answer cell as students got it, by which it knows a blank one.

    nbgrader's own is taken before the marking scheme is cut out, so it never matches where there is
    one, and a question that nobody answered would wait for a person.
    """
    make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    made = make(source=notebooks.shown(cell.source))
    made.metadata.nbgrader = NotebookNode(cell.metadata())
    return utils.compute_checksum(made)


class SturdyExecute(Execute):
    """Runs a notebook to its end even where its kernel dies or can no longer be reached.

    The cells after that are not run; each grade cell among them says so in an error, and scores
    zero. What was earned before stays. nbgrader's own Execute gives up the whole submission.
    """

    warm_up = Unicode(
        "",
        help="Code that is run before the first cell and on no cell's time. It leaves no names.",
    ).tag(config=True)

    lost = ""
    """Why the kernel can no longer be used."""

    def start_new_kernel(self, **kwargs: Any) -> None:
        # A kernel's own words, such as warnings about its transport, are noise in a terminal.
        super().start_new_kernel(
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **kwargs,
        )

    def start_new_kernel_client(self, **kwargs: Any) -> Any:
        client = super().start_new_kernel_client(**kwargs)
        if self.warm_up:
            usual, self.timeout = self.timeout, WARM_UP_SECONDS
            code = f"exec({self.warm_up!r}, {{}})"
            self.wait_for_reply(client.execute(code, silent=True, store_history=False))
            self.timeout = usual
        return client

    def preprocess(self, nb: NotebookNode, resources: Resources, km: Any = None) -> Result:
        self.lost = ""
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell: Cell, resources: Resources, index: int) -> Result:
        if self.lost:
            if notebooks.is_machine_graded(cell):
                cell.outputs = [notebooks.error_output(record.NOT_RUN_ERROR, self.lost)]
            return cell, resources
        try:
            return super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self._lose(cell, record.DEAD_KERNEL_ERROR, "the kernel died")
        except CellTimeoutError:
            self._lose(cell, record.TIMEOUT_ERROR, "the kernel did not stop when it was asked to")
        return cell, resources

    def _lose(self, cell: Cell, name: str, what: str) -> None:
        where = f"in the cell that begins `{notebooks.first_line(cell.source)}`"
        self.lost = f"Not run: {what} before this, {where}."
        self.log.warning("%s %s: the cells after it are not run", what, where)
        # First, so that a number which the cell showed before cannot be taken for its score.
        cell.outputs.insert(0, notebooks.error_output(name, f"Stopped: {what} here."))


class ExecuteInSandbox(_Recorded):
    """Runs a notebook in the sandbox: see `autograder.execution`.

    The hidden tests of a cell that asks the judge never enter the student's process. Where a worker
    has run the notebook already, what its cells showed is taken from `READY`.
    """

    memory_mb = Integer(3072, min=64, help="What a submission may use.").tag(config=True)
    processes = Integer(32, min=1, help="How many it may have at a time.").tag(config=True)
    disk_mb = Integer(256, min=1, help="What it may write into a folder.").tag(config=True)
    cpu_seconds = Integer(1200, min=1, help="Processor time of a process.").tag(config=True)
    gpu = Bool(False, help="Let it see this machine's GPUs.").tag(config=True)

    def limits(self) -> dict[str, float]:
        """The fields of `autograder.sandbox.jail.Limits`."""
        names = ("memory_mb", "processes", "disk_mb", "cpu_seconds", "gpu")
        seconds = self.config.Execute.get("timeout") or CELL_SECONDS
        return {name: getattr(self, name) for name in names} | {"cell_seconds": float(seconds)}

    def preprocess(self, nb: NotebookNode, resources: Resources) -> Result:
        notebook, assignment, student = self._place(resources)
        ran = READY.pop((student, notebook), None)
        code = [cell for cell in nb.cells if cell.cell_type == "code"]
        if ran is None or ran.sources != [cell.source for cell in code]:
            files = intake.beside(Path(resources["metadata"]["path"]))
            read = tuple((written, path.read_bytes()) for written, path in files.items())
            source = self._source_folder(resources)
            given = frozenset(intake.beside(source)) if source else frozenset()
            left = self._left(resources)
            text = nbformat.writes(nb)
            job = Job({notebook: text}, None, read, self.limits(), given=given, left=left)
            ran = run_submission(job)[notebook]
            LEFT.clear()
            LEFT[assignment, student] = notebook, ran.left
        count = 0
        for cell, outputs in zip(code, ran.outputs, strict=True):
            count += notebooks.is_run(cell)
            cell.execution_count = count if notebooks.is_run(cell) else None
            cell.outputs = [nbformat.from_dict(output) for output in outputs]
        for warning in ran.warnings:
            self.log.warning("%s", warning)
        return nb, resources

    def _left(self, resources: Resources) -> Mapping[str, bytes] | None:
        """What the notebook before this one left; None where an assignment has only this one."""
        notebook, assignment, student = self._place(resources)
        with self._gradebook(resources) as gradebook:
            if len(gradebook.find_assignment(assignment).notebooks) == 1:
                return None
        before, left = LEFT.pop((assignment, student), ("", {}))
        return left if file_name(before) < file_name(notebook) else {}  # that was another run


LEFT: dict[tuple[str, str], tuple[str, Mapping[str, bytes]]] = {}
"""By assignment and student: the notebook that was run last, and the files that it left."""

READY: dict[tuple[str, str], Ran] = {}
"""By student and notebook: what workers have run and nobody has recorded yet."""


class RefuseImpossibleScores(NbGraderPreprocessor):
    """A score that no test can give is none.

    nbgrader takes NaN and negative numbers for full marks, and gives up a submission with more
    points than there are.
    """

    def preprocess_cell(self, cell: Cell, resources: Resources, index: int) -> Result:
        if notebooks.is_machine_graded(cell):
            score = first_number(cell)
            most = float(cell.metadata.nbgrader["points"])
            if score is not None and not 0 <= score <= most:
                text = f"The tests ended in {score}, which is no score from 0 to {most}."
                error = notebooks.error_output(record.IMPOSSIBLE_SCORE_ERROR, text)
                cell.outputs.insert(0, error)
        return cell, resources


def first_number(cell: Cell) -> float | None:
    """The number that nbgrader would take for the cell's score, if there is one."""
    for output in cell.outputs:
        if output.output_type == "execute_result":
            try:
                return float(output.data.get("text/plain", ""))
            except ValueError:
                return None
    return None


class SaveVerdicts(_Recorded):
    """Attaches each exercise's message to its answer cell, as the automatic comment.

    An instructor's comments and scores are other fields of the gradebook, and win over these. Where
    the grader failed there is no automatic score: the exercise waits for a person.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> Result:
        place = self._place(resources)
        with self._gradebook(resources) as gradebook:
            for cell in nb.cells:
                if notebooks.is_machine_graded(cell):
                    self._save(gradebook, cell, place)
            gradebook.db.commit()
        return nb, resources

    def _save(self, gradebook: Gradebook, cell: Cell, place: tuple[str, str, str]) -> None:
        id = notebooks.grade_id(cell)
        grade = gradebook.find_grade(id, *place)
        verdict = record.machine_verdict(cell, grade.auto_score or 0.0, grade.max_score)
        if verdict["verdict"] == "grader_error":
            grade.auto_score = None
            grade.needs_manual_grade = True
        try:
            comment = gradebook.find_comment(id + ANSWER, *place)
        except MissingEntry:  # a plain nbgrader course names its cells as it likes
            return
        comment.auto_comment = notebooks.inert_markdown(verdict["message"])


class ShowVerdicts(_Recorded):
    """Makes an executed notebook into what its student may read.

    Hidden tests and marking schemes go; each grade cell's outputs become a block with score,
    message and criteria; a summary opens the page. What is an instructor's prose is told to
    `autograder.inert`, by which the page is made.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> Result:
        place = self._place(resources)
        source = self._source_notebook(resources)
        theirs = source.cells if source else filter(notebooks.is_locked, nb.cells)
        prose = {text for cell in theirs for text in (cell.source, notebooks.shown(cell.source))}
        rows = []
        with self._gradebook(resources) as gradebook:
            entry = gradebook.find_submission_notebook(*place)
            grades = {grade.name: grade for grade in entry.grades}
            by_hand = {note.name for note in entry.comments if note.manual_comment is not None}
            for index, cell in enumerate(nb.cells):
                if verdict := show_verdict(cell, grades, by_hand):
                    # A task brings its own heading; code and answers stand below theirs.
                    below = index + notebooks.is_task(cell)
                    rows.append((notebooks.heading_above(nb.cells, below), verdict))
        summary = feedback.summary(place[1], rows)
        nb.cells.insert(0, nbformat.v4.new_markdown_cell(summary))
        resources["prose"] = prose | {summary}
        return nb, resources


def show_verdict(
    cell: Cell, grades: Mapping[str, Any], commented_by_hand: Container[str]
) -> record.Verdict | None:
    """Put into a cell what its student may read of its grading, and return its verdict, if any.

    Args:
        cell: changed in place.
        grades: the gradebook's grade for each graded id.
        commented_by_hand: ids on which a person commented.
    """
    id, flags = notebooks.grade_id(cell), notebooks.nbgrader_metadata(cell)
    verdict = None
    if notebooks.is_machine_graded(cell):
        verdict = graded_verdict(cell, grades[id])
        cell.outputs = [feedback.verdict_output(verdict)]
    elif id in grades:
        verdict = asked_verdict(grades[id], flags.get("comment"))
        verdict["kind"] = "task" if flags.get("task") else "manual"
        flags["comment"] = flags.get("comment") or verdict["message"]
    elif id.removesuffix(ANSWER) in grades and id not in commented_by_hand:
        flags["comment"] = None  # it stands in the grade cell's block; here it would be said twice
    if id:
        cell.source = notebooks.shown(cell.source)
    return verdict


def graded_verdict(cell: Cell, grade: Any) -> record.Verdict:
    """The verdict of a grade cell, with the score that counts: a person's wins over a machine's."""
    verdict = record.machine_verdict(cell, grade.auto_score or 0.0, grade.max_score)
    if not math.isclose(grade.score, verdict["score"], abs_tol=1e-6):
        verdict = verdict | {"score": grade.score, "changed_by_hand": True}
    return verdict


def asked_verdict(grade: Any, comment: str | None) -> record.Verdict:
    """The verdict of an answer or task that a person grades."""
    given = grade.score if grade.manual_score is not None else None
    is_blank = grade.auto_score == 0  # nbgrader scores only an untouched answer by itself
    verdict = record.human_verdict(grade.name, given, grade.max_score, is_blank, comment)
    return verdict | {"pending": given is None and not is_blank}


EXECUTE = {"sandbox": ExecuteInSandbox, "process": SturdyExecute}
"""How notebooks are run, by the name of the isolation."""


def isolation_of(config: Any) -> str:
    """How notebooks are run under this configuration; "" if by something that is not ours."""
    used = config.Autograde.get("autograde_preprocessors") or ()
    return next((name for name, execute in EXECUTE.items() if execute in used), "")


def isolate(config: Any, isolation: str) -> None:
    """Run notebooks otherwise than the configuration says.

    Args:
        config: nbgrader's, after `configure`.
        isolation: a name in `EXECUTE`.
    """
    steps = config.Autograde.get("autograde_preprocessors") or ()
    ours = tuple(EXECUTE.values())
    config.Autograde.autograde_preprocessors = [
        EXECUTE[isolation] if step in ours else step for step in steps
    ]
