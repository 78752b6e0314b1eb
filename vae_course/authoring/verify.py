"""Proof that the notebooks students get hold what they should, and nothing that they should not.

Each check is a small function from a `Subject` (an assignment with its notebooks) to findings. A
finding names the notebook and the cell. Here are the checks of what a notebook is and how it runs,
and the list of all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vae_course.authoring import forms
from vae_course.authoring.build import RELEASE, SOURCE
from vae_course.authoring.course import load_course
from vae_course.authoring.kernel import RunResult, Surroundings, run
from vae_course.authoring.leaks import (
    bodies_of,
    check_bodies,
    check_hidden,
    check_statements,
    check_stubs,
    hidden_statements,
)
from vae_course.authoring.notebook import KEY, Json, loads
from vae_course.authoring.outline import OURS
from vae_course.authoring.reference import imports_of
from vae_course.authoring.standing import check_badge, check_imports, git_remotes
from vae_course.authoring.subject import Finding, Subject
from vae_course.authoring.teaching import check_hints, check_pictures, folds


def check_fresh(subject: Subject) -> list[Finding]:
    """The notebooks on disk are those that the text and the reference make."""
    found = []
    for part, there, made in (
        (SOURCE, subject.source, subject.built.source),
        (RELEASE, subject.release, subject.built.release),
    ):
        if there != loads(made):
            path = f"{part}/{subject.name}/{subject.name}.ipynb"
            cell = _first_difference(there, loads(made))
            found.append(Finding(path, cell, f"stale; run vae-course build {subject.name}"))
    return found


def _first_difference(there: Json, made: Json) -> str:
    for one, other in zip(there["cells"], made["cells"], strict=False):
        if one != other:
            return str(one.get("id", "?"))
    return "(notebook)"


def check_schema(subject: Subject) -> list[Finding]:
    """nbformat and nbgrader accept the notebook, and nothing of a run is left in it."""
    import nbformat
    from nbgrader.nbgraderformat import MetadataValidator

    found = []
    try:
        nbformat.validate(subject.release)
        MetadataValidator().validate_nb(nbformat.from_dict(subject.release))
    except Exception as error:  # jsonschema and nbgrader have errors of their own
        first = str(error).strip().splitlines()[0]
        found.append(subject.finding("(notebook)", f"not a valid nbgrader notebook: {first}"))
    for cell in subject.release["cells"]:
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"]):
            found.append(subject.finding(cell, "holds outputs of a run"))
        if "starter" in cell["metadata"].get(KEY, {}):
            found.append(subject.finding(cell, "still holds its starter in the metadata"))
    return found


def check_points(subject: Subject) -> list[Finding]:
    """Every exercise stands in the release once, worth what the text says."""
    there = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"]["points"]
        for cell in subject.release["cells"]
        if "points" in cell["metadata"].get("nbgrader", {})
    }
    wanted = {exercise.id: exercise.points for exercise in subject.assignment.exercises}
    found = []
    for id_ in sorted(there.keys() | wanted.keys()):
        if there.get(id_) != wanted.get(id_):
            found.append(
                subject.finding(id_, f"worth {there.get(id_)}, but {wanted.get(id_)} in the text")
            )
    return found


# ---- what happens when it runs ----------------------------------------------------------------


def blocked_packages(subject: Subject) -> frozenset[str]:
    """The packages that the solved notebook must do without."""
    objects = subject.built.outline.objects
    return OURS | {one.module.split(".")[0] for one in objects}


def judge_first_blank(subject: Subject, result: RunResult) -> list[Finding]:
    """The release ran to the first blank: its first error is a blank's, at an exercise or later."""
    answers = {
        cell["id"]: index
        for index, cell in enumerate(subject.release["cells"])
        if cell["metadata"].get(KEY, {}).get("kind") == "answer"
    }
    failure = result.failure
    if not answers:
        return [] if failure is None else [_failed(subject, result)]
    if failure is None:
        return [subject.finding("(notebook)", "runs whole although its blanks are empty")]
    if failure.index < min(answers.values()):
        return [_failed(subject, result)]
    starters = {e.id for e in subject.assignment.exercises if e.start}
    ours = subject.release["cells"][failure.index]["metadata"].get(KEY, {})
    if failure.name == "NotImplementedError":
        return []
    if failure.name == "AssertionError" and ours.get("exercise") in starters:
        return []
    return [_failed(subject, result)]


def judge_solved(subject: Subject, result: RunResult) -> list[Finding]:
    """The solved notebook ran whole."""
    return [] if result.failure is None else [_failed(subject, result, "the solved notebook: ")]


def _failed(subject: Subject, result: RunResult, what: str = "") -> Finding:
    failure = result.failure
    return subject.finding(failure.cell, f"{what}{failure.name}: {failure.message}")


# ---- all of it --------------------------------------------------------------------------------

STATIC_CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "fresh": check_fresh,
    "schema": check_schema,
    "points": check_points,
    "stubs": check_stubs,
    "bodies": check_bodies,
    "statements": check_statements,
    "hidden tests": check_hidden,
    "imports": check_imports,
}

# Looked at by `verify` alone: a notebook that lacks these may still go out.
TEACHING_CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "pictures": check_pictures,
    "hints": check_hints,
}

LONGEST_WHOLE_RUN = 180
"""In seconds, on stand-ins: what a student without a network waits for at most."""


@dataclass
class Report:
    """What was verified of one notebook, with figures."""

    subject: Subject
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not any(self.findings.values())


def steps(
    subject: Subject, course_folder: Path, cell_seconds: int, report: Report, whole: bool = False
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks of one notebook in turn: (name, function that fills in the report).

    Notebooks run without a network, on the stand-ins; with `whole`, the solved one once more with
    nothing shrunk.
    """

    def static(name: str, check: Callable[[Subject], list[Finding]]) -> None:
        report.findings[name] = check(subject)
        report.figures[name] = figure(name, subject)

    def badge() -> None:
        remotes = git_remotes(course_folder)
        report.findings["badge"] = check_badge(subject, remotes=remotes)
        report.figures["badge"] = load_course().public_repository

    def first_blank() -> None:
        result = run(subject.release, (), cell_seconds)
        report.findings["to first blank"] = judge_first_blank(subject, result)
        report.figures["to first blank"] = f"{result.ran} cells, {result.seconds:.0f} s"

    def solved(name: str, around: Surroundings) -> None:
        result = run(subject.built.solved, blocked_packages(subject), cell_seconds, around)
        report.findings[name] = judge_solved(subject, result)
        if result.seconds > LONGEST_WHOLE_RUN:
            said = f"the solved notebook: {result.seconds:.0f} s, over {LONGEST_WHOLE_RUN} s"
            report.findings[name].append(subject.finding(result.slowest[0], said))
        cell, seconds = result.slowest
        report.figures[name] = (
            f"{result.ran} cells, {result.seconds:.0f} s (slowest {cell}: {seconds:.0f} s)"
        )

    for name, check in (STATIC_CHECKS | TEACHING_CHECKS).items():
        yield name, lambda name=name, check=check: static(name, check)
    yield "badge", badge
    yield "to first blank", first_blank
    yield "solved runs", lambda: solved("solved runs", Surroundings())
    if whole:
        yield "whole run", lambda: solved("whole run", Surroundings(whole=True))


def figure(name: str, subject: Subject) -> str:
    """How much a check looked at."""
    release = subject.release["cells"]
    blanks = sum(cell["metadata"].get(KEY, {}).get("kind") == "answer" for cell in release)
    match name:
        case "fresh":
            return "source and release"
        case "schema":
            return f"{len(release)} cells"
        case "points":
            exercises = subject.assignment.exercises
            return f"{subject.assignment.max_score:g} in {len(exercises)} exercises"
        case "stubs":
            return f"{len(subject.solutions)} objects in {blanks} blanks"
        case "bodies":
            there = sum(1 for _, tree in subject.readable() for _ in forms.functions(tree))
            secret = sum(map(len, bodies_of(subject.secret, subject.kept).values()))
            return f"{there} functions against {secret} solutions"
        case "statements":
            there = sum(1 for _, tree in subject.readable() for _ in forms.expressions(tree))
            return f"{there} expressions"
        case "hidden tests":
            return f"{sum(1 for _ in hidden_statements(subject.source))} hidden statements"
        case "pictures":
            return f"{len(subject.assignment.pictures)} pictures"
        case "hints":
            return f"{folds(release)} folded parts"
        case "imports":
            roots = {one.root for _, tree in subject.code() for one in imports_of(tree)}
            return f"{len(roots)} packages"
    return ""
