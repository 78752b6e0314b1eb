"""Proof that the notebooks students get hold what they should, and nothing that they should not.

Each check is a small function from a `Subject` (an assignment with its notebooks) to findings. A
finding names the notebook and the cell. Code is compared as syntax trees: layout, comments and the
names of variables hide nothing.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vae_course.authoring import forms
from vae_course.authoring.assignment import (
    MACHINE,
    Assignment,
    course_order,
    list_assignments,
    load_assignment,
)
from vae_course.authoring.blanks import MARKERS, is_super_init
from vae_course.authoring.build import RELEASE, SOURCE, Built, build_assignment
from vae_course.authoring.course import Course, load_course
from vae_course.authoring.kernel import RunResult, run
from vae_course.authoring.notebook import BEGIN_TESTS, END_TESTS, KEY, Json, loads
from vae_course.authoring.outline import OURS
from vae_course.authoring.reference import (
    ALWAYS_DEFINED,
    CONSTANT,
    Object,
    find_object,
    imports_of,
    load_module,
)
from vae_course.errors import CourseError

# How large code must be, in nodes of syntax (`forms.size`), before equality says something.
#
# A body: `return self.decoder(z)` has 6 nodes, `return self.decode(self.encode(x))` 9, and every
# autoencoder has them. The smallest formula that is a body, a squared error or the size of a
# convolution's map, has 16 or more.
TELLING_BODY = 12
# An expression, or a part of one. Idioms are smaller: `next(model.parameters()).device` has 6
# nodes, `torch.randn(n, k, generator=g, device=d)` 9, `total.get(k, 0.0) + x.sum().item()` 12.
# Formulas are larger: `mu + torch.exp(0.5 * log_var) * noise` has 13, so has a straight line
# between two points; the size of a convolution's map 16, the closed form of the divergence 24.
TELLING_EXPRESSION = 12


@dataclass(frozen=True)
class Finding:
    """Something wrong with a notebook."""

    notebook: str
    cell: str
    message: str

    def __str__(self) -> str:
        return f"{self.notebook}, cell {self.cell}: {self.message}"


@dataclass(frozen=True)
class Solution:
    """An exercise's object, as the checks for leaks need it."""

    assignment: str
    exercise: str
    object: Object


@dataclass(frozen=True)
class Subject:
    """What is verified: the notebooks of one assignment, and all that they must not give away.

    Attributes:
        built: what the text and the reference make.
        source, release: the notebooks on disk (or as given).
        others: all other assignments.
    """

    built: Built
    source: Json = field(repr=False)
    release: Json = field(repr=False)
    others: tuple[Assignment, ...] = field(default=(), repr=False)

    @property
    def assignment(self) -> Assignment:
        return self.built.assignment

    @property
    def name(self) -> str:
        return self.built.name

    @property
    def path(self) -> str:
        return f"{RELEASE}/{self.name}/{self.name}.ipynb"

    def finding(self, cell: Json | str, message: str) -> Finding:
        return Finding(self.path, cell if isinstance(cell, str) else cell["id"], message)

    def code(self) -> Iterator[tuple[Json, ast.Module]]:
        """The release's code cells with their syntax trees."""
        for cell in self.release["cells"]:
            tree = forms.parse_or_none(cell["source"]) if cell["cell_type"] == "code" else None
            if tree is not None:
                yield cell, tree

    def readable(self) -> Iterator[tuple[Json, ast.Module]]:
        """All Python that a student can read: code cells, and code in prose and docstrings."""
        for cell, tree in self.code():
            yield cell, tree
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for piece in forms.python_in_markdown(node.value):
                        parsed = forms.parse_or_none(piece)
                        if parsed is not None:
                            yield cell, parsed
        for cell in self.release["cells"]:
            if cell["cell_type"] == "markdown":
                for piece in forms.python_in_markdown(cell["source"]):
                    parsed = forms.parse_or_none(piece)
                    if parsed is not None:
                        yield cell, parsed

    def objects(self, exercise_id: str) -> list[Object]:
        return [s.object for s in self.solutions if s.exercise == exercise_id]

    @property
    def solutions(self) -> list[Solution]:
        return solutions_of(self.assignment)

    @property
    def secret(self) -> list[Solution]:
        """What this notebook must not give away: its own solutions and those of later ones."""
        known = {a.name: a for a in (self.assignment, *self.others)}
        names = sorted(known, key=course_order)
        later = names[names.index(self.name) :]
        return [solution for name in later for solution in solutions_of(known[name])]

    @property
    def revealable(self) -> list[Solution]:
        """Solutions of earlier assignments: a notebook may build on them, and says so."""
        own = course_order(self.name)
        earlier = [a for a in self.others if course_order(a.name) < own]
        return [solution for assignment in earlier for solution in solutions_of(assignment)]

    @property
    def kept(self) -> frozenset[str]:
        """Names that mean something outside a function, in this notebook or in any reference."""
        names = {name for one in self.built.outline.objects for name in one.names}
        names |= set(ALWAYS_DEFINED)
        names |= {one.bound for one in self.built.outline.imports}
        for solution in [*self.secret, *self.revealable]:
            module = load_module(solution.object.module)
            names |= set(module.definitions) | set(module.imports) | set(module.own_imports)
        return frozenset(names)


def solutions_of(assignment: Assignment) -> list[Solution]:
    """Every object that an assignment asks for."""
    return [
        Solution(assignment.name, exercise.id, find_object(dotted))
        for exercise in assignment.exercises
        for dotted in exercise.solutions
    ]


def subject_of(built: Built) -> Subject:
    """What was just made, as a subject: nothing on disk is looked at."""
    others = tuple(load_assignment(other) for other in list_assignments() if other != built.name)
    return Subject(built, loads(built.source), loads(built.release), others)


def load_subject(name: str, course: Path) -> Subject:
    """Read an assignment's notebooks from the course's folder.

    Raises:
        CourseError: they have not been built, or can not be read as notebooks.
    """
    made = subject_of(build_assignment(name))
    source, release = (_read(course, part, name) for part in (SOURCE, RELEASE))
    return replace(made, source=source, release=release)


def _read(course: Path, part: str, name: str) -> Json:
    path = course / part / name / f"{name}.ipynb"
    try:
        return loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CourseError(f"{path}: missing; run vae-course build {name}") from error
    except Exception as error:  # nbformat raises a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CourseError(
            f"{path}: can not be read as a notebook ({reason}); run vae-course build {name}"
        ) from error


# ---- what the file is -------------------------------------------------------------------------


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


# ---- what students must not see ---------------------------------------------------------------


def check_stubs(subject: Subject) -> list[Finding]:
    """Every blank is the reference's own signature and docstring, and nothing more."""
    cells = {cell["id"]: cell for cell in subject.release["cells"]}
    found = []
    for exercise in subject.assignment.exercises:
        if exercise.kind != MACHINE:
            continue
        cell = cells.get(exercise.answer_id)
        tree = forms.parse_or_none(cell["source"]) if cell else None
        if tree is None:
            found.append(subject.finding(exercise.answer_id, "missing, or not Python"))
            continue
        if exercise.start:
            found += _check_starter(subject, cell, tree, subject.objects(exercise.id))
            continue
        wanted = [one.node for one in subject.objects(exercise.id)]
        if len(wanted) != len(tree.body):
            found.append(subject.finding(cell, "holds more or less than its exercise's objects"))
        for stub, reference in zip(tree.body, wanted, strict=False):
            found += [subject.finding(cell, said) for said in compare_stub(stub, reference)]
    return found


def compare_stub(stub: ast.stmt, reference: ast.stmt, owner: str = "") -> list[str]:
    """How a stub differs from its reference with the bodies taken out; empty if it does not."""
    called = f"{owner}{getattr(reference, 'name', '?')}"
    if ast.dump(_outside(stub)) != ast.dump(_outside(reference)):
        return [f"{called} has not the reference's signature and docstring"]
    if isinstance(reference, ast.ClassDef):
        said = []
        for inner, other in zip(_methods(stub), _methods(reference), strict=True):
            said += compare_stub(inner, other, f"{called}.")
        return said
    body = forms.own_body(reference)
    outside = 1 if reference.name == "__init__" and body and is_super_init(body[0]) else 0
    wanted = [ast.dump(statement) for statement in body[:outside]]
    if body[outside:]:
        wanted.append(_BLANK)
    if [ast.dump(statement) for statement in forms.own_body(stub)] != wanted:
        return [f"{called} holds more than its docstring and the blank"]
    return []


_BLANK = ast.dump(ast.parse("raise NotImplementedError()").body[0])


def _methods(class_: ast.ClassDef) -> list[ast.stmt]:
    return [node for node in class_.body if isinstance(node, forms.Function)]


def _outside(node: ast.stmt) -> ast.AST:
    """A definition without the bodies of its functions; docstrings stay."""

    class Emptied(ast.NodeTransformer):
        def visit_FunctionDef(self, function: ast.FunctionDef) -> ast.AST:
            doc = [ast.Expr(ast.Constant(ast.get_docstring(function)))]
            fields = dict(ast.iter_fields(function)) | {"body": doc}
            return ast.FunctionDef(**fields)

    return Emptied().visit(ast.parse(ast.unparse(node)).body[0])


def _check_starter(
    subject: Subject, cell: Json, tree: ast.Module, wanted: list[Object]
) -> list[Finding]:
    """A starter has the reference's signatures; its bodies are its own."""
    there = {getattr(node, "name", None): node for node in tree.body}
    found = []
    for one in wanted:
        starter = there.get(one.name)
        if type(starter) is not type(one.node):
            found.append(subject.finding(cell, f"the starter has no {one.kind} {one.name}"))
        elif not isinstance(starter, ast.ClassDef) and ast.dump(starter.args) != ast.dump(
            one.node.args
        ):
            found.append(subject.finding(cell, f"the starter's {one.name} takes other arguments"))
    return found


def check_bodies(subject: Subject) -> list[Finding]:
    """No function in the release does what an exercise of this or a later assignment asks for."""
    kept = subject.kept
    secret = _bodies(subject.secret, kept)
    found = []
    for cell, tree in subject.readable():
        for function in forms.functions(tree):
            form = forms.body_form(function, kept)
            for solution, name in secret.get(form.text, ()):
                found.append(
                    subject.finding(
                        cell,
                        f"{function.name} has the body of {name}, which {solution.exercise} "
                        f"({solution.assignment}) asks for",
                    )
                )
    return found


def _bodies(
    solutions: list[Solution], kept: frozenset[str]
) -> dict[str, list[tuple[Solution, str]]]:
    """Normal forms of the solutions' function bodies that are large enough to say something."""
    bodies: dict[str, list[tuple[Solution, str]]] = {}
    for solution in solutions:
        for function in forms.functions(solution.object.node):
            form = forms.body_form(function, kept)
            if form.size > TELLING_BODY:
                owner = solution.object.name
                name = owner if function.name == owner else f"{owner}.{function.name}"
                bodies.setdefault(form.text, []).append((solution, name))
    return bodies


def check_statements(subject: Subject) -> list[Finding]:
    """No telling expression of a solution, nor a telling part of one, stands in the release."""
    kept = subject.kept
    telling: dict[str, tuple[Solution, str]] = {}
    for solution in subject.secret:
        for function in forms.functions(solution.object.node):
            for expression in forms.expressions(forms.own_body(function)):
                form = forms.normal_form(expression, kept)
                if form.size > TELLING_EXPRESSION:
                    telling.setdefault(form.text, (solution, ast.unparse(expression)))
    found = []
    for cell, tree in subject.readable():
        inside: set[int] = set()
        for expression in forms.expressions(tree):
            form = forms.normal_form(expression, kept)
            if form.text in telling and id(expression) not in inside:
                inside |= {id(part) for part in ast.walk(expression)}
                solution, text = telling[form.text]
                found.append(
                    subject.finding(
                        cell,
                        f"line {expression.lineno} shows `{text}`, a part of what "
                        f"{solution.exercise} ({solution.assignment}) asks for",
                    )
                )
    return found


def check_hidden(subject: Subject) -> list[Finding]:
    """No hidden test, no marking scheme and no marker of nbgrader's is left in the release."""
    hidden = {ast.dump(node) for node in _hidden_statements(subject.source)}
    marks = {_words(mark): mark for e in subject.assignment.exercises for mark in e.marks}
    found = []
    for cell, tree in subject.readable():
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and ast.dump(node) in hidden:
                found.append(subject.finding(cell, f"shows the hidden test `{ast.unparse(node)}`"))
    for cell in subject.release["cells"]:
        text = cell["source"]
        for marker in MARKERS:
            if marker in text:
                found.append(subject.finding(cell, f"holds nbgrader's marker {marker!r}"))
        for words, mark in marks.items():
            if words in _words(text) or words in _words(str(cell["metadata"])):
                found.append(subject.finding(cell, f"shows of the marking scheme: {mark!r}"))
    return found


def _hidden_statements(source: Json) -> Iterator[ast.stmt]:
    for cell in source["cells"]:
        for region in re.findall(f"{BEGIN_TESTS}\n(.*?){END_TESTS}", cell["source"], re.S):
            yield from ast.parse(region).body


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


# ---- what the notebook needs ------------------------------------------------------------------


def check_imports(subject: Subject, course: Course | None = None) -> list[Finding]:
    """The release imports only the standard library and what Colab ships; never the course."""
    allowed = (course or load_course()).imports | sys.stdlib_module_names
    found = []
    for cell, tree in subject.code():
        for one in imports_of(tree):
            if one.root not in allowed or one.root in OURS or one.module.startswith("."):
                found.append(subject.finding(cell, f"`{one}`: Colab does not ship it"))
    for cell in subject.release["cells"]:
        if cell["cell_type"] == "code" and forms.parse_or_none(cell["source"]) is None:
            found.append(subject.finding(cell, "is not plain Python"))
    return found


def check_badge(
    subject: Subject, course: Course | None = None, remotes: tuple[str, ...] = ()
) -> list[Finding]:
    """The badge opens the public notebook, and no cell names a repository that holds solutions.

    Args:
        subject: what is verified.
        course: the course's facts.
        remotes: owner/name of every git remote of the checkout.
    """
    course = course or load_course()
    found = []
    ours = {course.source_repository.lower(), *(remote.lower() for remote in remotes)}
    if course.public_repository.lower() in ours:
        found.append(
            subject.finding(
                "colab-badge",
                f"the badge names {course.public_repository}, which holds the solutions; set "
                "another public_repository in course.toml",
            )
        )
    first = subject.release["cells"][0]
    if course.colab_url(subject.name) not in first["source"]:
        found.append(subject.finding(first, f"no badge for {course.colab_url(subject.name)}"))
    for cell in subject.release["cells"]:
        for owner, name in _REPOSITORY.findall(cell["source"]):
            repository = f"{owner}/{name}".lower().removesuffix(".git")
            if repository in ours and repository != course.public_repository.lower():
                found.append(
                    subject.finding(cell, f"names {owner}/{name}, which holds the solutions")
                )
    return found


_REPOSITORY = re.compile(
    r"(?:github\.com[/:]|colab\.research\.google\.com/github/|raw\.githubusercontent\.com/)"
    r"([\w.-]+)/([\w.-]*\w)"
)


def git_remotes(course: Path) -> tuple[str, ...]:
    """owner/name of each git remote of a checkout; nothing where there is no git or no remote."""
    try:
        said = subprocess.run(
            ["git", "-C", str(course), "remote", "-v"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return remotes_in(said)


def remotes_in(said: str) -> tuple[str, ...]:
    """owner/name of each remote in what `git remote -v` prints, whatever its kind of URL."""
    found = set()
    for line in said.splitlines():
        url = line.split()[1] if len(line.split()) > 1 else ""
        match = re.search(r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?$", url)
        if match:
            found.add(f"{match[1]}/{match[2]}")
    return tuple(sorted(found))


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
    subject: Subject, course_folder: Path, cell_seconds: int, report: Report
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks of one notebook in turn: (name, function that fills in the report)."""

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

    def solved() -> None:
        result = run(subject.built.solved, blocked_packages(subject), cell_seconds)
        report.findings["solved runs"] = judge_solved(subject, result)
        cell, seconds = result.slowest
        report.figures["solved runs"] = (
            f"{result.ran} cells, {result.seconds:.0f} s (slowest {cell}: {seconds:.0f} s)"
        )

    for name, check in STATIC_CHECKS.items():
        yield name, lambda name=name, check=check: static(name, check)
    yield "badge", badge
    yield "to first blank", first_blank
    yield "solved runs", solved


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
            secret = sum(map(len, _bodies(subject.secret, subject.kept).values()))
            return f"{there} functions against {secret} solutions"
        case "statements":
            there = sum(1 for _, tree in subject.readable() for _ in forms.expressions(tree))
            return f"{there} expressions"
        case "hidden tests":
            return f"{sum(1 for _ in _hidden_statements(subject.source))} hidden statements"
        case "imports":
            roots = {one.root for _, tree in subject.code() for one in imports_of(tree)}
            return f"{len(roots)} packages"
    return ""


def reveals(subject: Subject) -> list[str]:
    """Solutions of earlier assignments that stand in this notebook, as given code or otherwise."""
    kept = subject.kept
    bodies = _bodies(subject.revealable, kept)
    shown = {
        f"{solution.exercise} ({name})"
        for _, tree in subject.readable()
        for function in forms.functions(tree)
        for solution, name in bodies.get(forms.body_form(function, kept).text, ())
    }
    given = {one.dotted for one in subject.built.outline.given if one.kind != CONSTANT}
    for solution in subject.revealable:
        if solution.object.dotted in given and not any(
            line.startswith(f"{solution.exercise} (") for line in shown
        ):
            shown.add(f"{solution.exercise} ({solution.object.name})")
    return sorted(shown)
