"""Assignments as their authors write them: MyST Markdown with directives in the code cells.

An assignment is one file `psN.md` in the folder `assignments/`; there is no other list of them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from vae_course.authoring.reference import did_you_mean, show_path
from vae_course.authoring.rubric import Rubric, read_rubric
from vae_course.errors import CourseError, UsageError

MACHINE, MANUAL, TASK = "machine", "manual", "task"

# nbformat allows a cell id 64 characters; "_answer" and the name of a check still have to fit.
LONGEST_ID = 40


@dataclass(frozen=True)
class Cell:
    """One cell of the text: where its body begins, and the body."""

    line: int
    body: str = field(repr=False)


@dataclass(frozen=True)
class Prose(Cell):
    """Markdown."""


@dataclass(frozen=True)
class Plain(Cell):
    """Code that students may change and play with.

    Attributes:
        picture: the name of the picture that a right solution makes here, if it is shown.
    """

    picture: str | None = None

    @property
    def picture_id(self) -> str:
        """The id of the cell that shows the picture."""
        return f"{self.picture}_picture"


@dataclass(frozen=True)
class Setup(Cell):
    """The first code cell: the imports of the whole notebook, then this body."""


@dataclass(frozen=True)
class Given(Cell):
    """Code of the reference that is handed to students as it stands."""

    names: tuple[str, ...]
    fold: bool | None = None


@dataclass(frozen=True)
class Check(Cell):
    """Asserts that teach: students see and run them, nobody is marked by them."""

    exercise: str
    name: str | None = None

    @property
    def id(self) -> str:
        return f"{self.exercise}_check" + (f"_{self.name}" if self.name else "")


@dataclass(frozen=True)
class Exercise(Cell):
    """Something that earns points.

    Attributes:
        id: also the id of its grade cell; the answer cell is `id` + "_answer".
        points: the most that it can earn.
        kind: "machine" (graded by code), "manual" (an answer cell that a person reads) or "task"
            (a person reads whatever cells the student adds).
        solutions: dotted names of the reference objects that a student writes.
        graded: one line that says what is graded, for a machine exercise.
        start: whether the body is a starter that students get in place of an empty blank.
        rubric: how a person marks it, for a manual question or a task.
    """

    id: str
    points: float
    kind: str
    solutions: tuple[str, ...] = ()
    graded: str = ""
    start: bool = False
    rubric: Rubric | None = None

    @property
    def answer_id(self) -> str:
        return f"{self.id}_answer" if self.kind == MACHINE else self.id


@dataclass(frozen=True)
class Assignment:
    """One assignment text, read and checked."""

    name: str
    path: Path
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def title(self) -> str:
        return self.cells[0].body.splitlines()[0].removeprefix("# ").strip()

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(cell for cell in self.cells if isinstance(cell, Exercise))

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of the pictures that are shown, in their order."""
        return tuple(c.picture for c in self.cells if isinstance(c, Plain) and c.picture)

    @property
    def max_score(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    def points(self, *kinds: str) -> float:
        """The points of the exercises of these kinds."""
        return sum(exercise.points for exercise in self.exercises if exercise.kind in kinds)

    def where(self, line: int) -> str:
        return f"{show_path(self.path)}:{line}"

    def error(self, line: int, message: str) -> CourseError:
        return CourseError(f"{self.where(line)}: {message}")


def assignments_folder() -> Path:
    """The folder whose `*.md` are the assignments."""
    return Path(str(resources.files("vae_course.authoring") / "assignments"))


def list_assignments(folder: Path | None = None) -> list[str]:
    """Names of all assignments, in the order of the course (ps2 before ps10)."""
    folder = folder or assignments_folder()
    names = [path.stem for path in Path(folder).glob("*.md") if not path.stem.startswith("_")]
    return sorted(names, key=course_order)


def course_order(name: str) -> list[tuple[int, str]]:
    """A sort key under which numbers inside names count as numbers."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def choose_assignments(names: Iterable[str] = (), folder: Path | None = None) -> list[str]:
    """The named assignments, or all of them when none is named, in the order of the course.

    Raises:
        UsageError: a name that no assignment has, with the names that there are.
    """
    known = list_assignments(folder)
    wanted = list(names) or known
    for name in wanted:
        if name not in known:
            raise _unknown_assignment(name, known, folder or assignments_folder())
    if not known:
        raise CourseError(
            f"{show_path(folder or assignments_folder())}: holds no assignment; write ps1.md there"
        )
    return [name for name in known if name in wanted]


def _unknown_assignment(name: str, known: list[str], folder: Path) -> UsageError:
    return UsageError(
        f"there is no assignment {name}{did_you_mean(name, known)} "
        f"(known: {', '.join(known) or 'none'}; each is a file in {show_path(folder)})"
    )


def load_assignment(name: str, folder: Path | None = None) -> Assignment:
    """Read an assignment's text.

    Reading is kept until the file changes; it imports jupytext (about a second, once a process)
    and nothing of the reference.

    Raises:
        UsageError: there is no such assignment.
        CourseError: the text is wrong: one line with file, line, cause and cure.
    """
    folder = Path(folder or assignments_folder())
    path = folder / f"{name}.md"
    if name not in list_assignments(folder):
        raise _unknown_assignment(name, list_assignments(folder), folder)
    stat = path.stat()
    return _read_cached(name, path, (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=64)
def _read_cached(name: str, path: Path, stamp: tuple[int, int]) -> Assignment:
    return read_assignment(name, path, path.read_text(encoding="utf-8"))


def read_assignment(name: str, path: Path, text: str) -> Assignment:
    """Turn the text of an assignment into checked cells.

    Raises:
        CourseError: one line with file, line, cause and cure.
    """
    from jupytext.myst import MystMetadataParsingError, myst_to_notebook

    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except MystMetadataParsingError as error:
        said = " ".join(str(error).split())
        raise CourseError(f"{show_path(path)}: {said}; mend the directives' YAML") from error
    lines = text.splitlines()
    reader = _Reader(name, path)
    for cell, start in zip(notebook.cells, notebook.metadata["source_map"], strict=True):
        if cell.cell_type == "markdown":
            reader.prose(cell.source, _first_text_line(lines, start), dict(cell.metadata))
        elif cell.cell_type == "code":
            body = _body_line(lines, start)
            reader.code(cell.source, start, body, dict(cell.metadata))
        else:
            raise CourseError(f"{show_path(path)}:{start}: raw cells are not read; use Markdown")
    return reader.finish()


def _first_text_line(lines: list[str], start: int) -> int:
    """The line (from 1) of the first text at or after index `start`."""
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start + 1


def _body_line(lines: list[str], fence: int) -> int:
    """The line (from 1) at which a code cell's body begins; its fence is line `fence` (from 1)."""
    at = fence
    if at < len(lines) and lines[at].startswith("---"):
        at += 1
        while at < len(lines) and not lines[at].startswith("---"):
            at += 1
        at += 1
    else:
        while at < len(lines) and lines[at].lstrip().startswith(":"):
            at += 1
    if at < len(lines) and not lines[at].strip():
        at += 1
    return at + 1


# What says how a person marks a question.
_RUBRIC = ("levels", "marks", "watch")

# Which keys a directive may have: the key that gives it its kind, then the others.
_DIRECTIVES = {
    "exercise": {"points", "solution", "graded", "start", "question", *_RUBRIC},
    "given": {"fold"},
    "check": {"name"},
    "picture": set(),
    "setup": set(),
}
_KEYS = sorted(set(_DIRECTIVES) | set().union(*_DIRECTIVES.values()))


class _Reader:
    """Collects an assignment's cells and says what is wrong with them."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.path = path
        self.cells: list[Cell] = []
        self.ids: dict[str, int] = {}

    def error(self, line: int, message: str) -> CourseError:
        return CourseError(f"{show_path(self.path)}:{line}: {message}")

    def prose(self, source: str, line: int, metadata: dict[str, Any]) -> None:
        if metadata:
            raise self.error(line, "`+++` takes no metadata here; write it bare")
        self.cells.append(Prose(line, source))

    def code(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        for key in directive:
            if key not in _KEYS:
                raise self.error(
                    line, f"unknown directive {key!r}{did_you_mean(key, _KEYS)} "
                    f"(known: {', '.join(_KEYS)})"
                )  # fmt: skip
        kinds = [kind for kind in _DIRECTIVES if kind in directive]
        if len(kinds) > 1:
            raise self.error(line, f"{' and '.join(kinds)} cannot stand in one cell; split it")
        if not kinds:
            if directive:
                key = sorted(directive)[0]
                raise self.error(
                    line, f"{key!r} stands without exercise, given, check, picture or setup"
                )  # fmt: skip
            self._plain(source, line, body_line)
            return
        kind = kinds[0]
        for key in directive:
            if key != kind and key not in _DIRECTIVES[kind]:
                raise self.error(line, f"{key!r} has no place beside {kind!r}; take it out")
        getattr(self, f"_{kind}")(source, line, body_line, directive)

    def _plain(self, source: str, line: int, body_line: int) -> None:
        if not source.strip():
            raise self.error(line, "an empty code cell; write code in it or take it out")
        self.cells.append(Plain(body_line, source))

    def _picture(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        name = directive["picture"]
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise self.error(line, f"picture {name!r}: a name is made of a-z, 0-9 and _")
        if len(name) > LONGEST_ID:
            raise self.error(line, f"picture {name}: at most {LONGEST_ID} characters")
        if not name.startswith(f"{self.name}_"):
            raise self.error(line, f"picture {name}: its name must begin with {self.name}_")
        if not source.strip():
            raise self.error(line, f"picture {name}: write the code that draws it in the body")
        cell = Plain(body_line, source, name)
        self._claim(cell.picture_id, line)
        self.cells.append(cell)

    def _setup(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        if directive["setup"] is not True:
            raise self.error(line, "write `setup: true`")
        for cell in self.cells:
            if isinstance(cell, Setup):
                raise self.error(line, f"a second setup cell (the first: line {cell.line}); join")
        self._claim("setup", line)
        self.cells.append(Setup(body_line, source))

    def _given(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        if source.strip():
            raise self.error(
                body_line, "a given cell has no body: it holds the reference's own source; "
                "move the code into a cell after it"
            )  # fmt: skip
        fold = directive.get("fold")
        if fold not in (None, True, False):
            raise self.error(line, "fold is true or false")
        names = self._names(directive["given"], line, "given")
        self.cells.append(Given(line, "", names, fold))

    def _check(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        exercise, name = directive["check"], directive.get("name")
        exercises = {cell.id: cell for cell in self.cells if isinstance(cell, Exercise)}
        machine = [cell.id for cell in exercises.values() if cell.kind == MACHINE]
        if exercise not in exercises:
            raise self.error(
                line, f"check of {exercise!r}, but no exercise of that id stands before it"
                f"{did_you_mean(str(exercise), exercises)}"
            )  # fmt: skip
        if machine[-1:] != [exercise]:
            raise self.error(
                line, f"check of {exercise!r} stands after another exercise; move it up, so that "
                "answer, check and grade cell stay together"
            )  # fmt: skip
        if name is not None and not re.fullmatch(r"[a-z0-9_]{1,12}", str(name)):
            raise self.error(line, f"name {name!r}: use up to 12 of a-z, 0-9 and _")
        if not source.strip():
            raise self.error(line, "an empty check; write asserts with messages that teach")
        check = Check(body_line, source, exercise, name)
        if check.id in self.ids:
            raise self.error(line, f"a second check of {exercise}; give this one a `name:`")
        self._claim(check.id, line)
        self.cells.append(check)

    def _exercise(self, source: str, line: int, body_line: int, directive: dict[str, Any]) -> None:
        id_ = directive["exercise"]
        if not isinstance(id_, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", id_):
            raise self.error(line, f"exercise {id_!r}: an id is made of a-z, 0-9 and _")
        if len(id_) > LONGEST_ID:
            raise self.error(line, f"exercise {id_}: at most {LONGEST_ID} characters")
        if not id_.startswith(f"{self.name}_"):
            raise self.error(line, f"exercise {id_}: its id must begin with {self.name}_")
        if re.search(r"_(answer|check)(_|$)", id_):
            raise self.error(line, f"exercise {id_}: _answer and _check are for its cells; rename")
        points = directive.get("points")
        if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
            raise self.error(line, f"exercise {id_}: points must be a number above 0")
        if "question" in directive:
            self._question(id_, float(points), source, line, directive)
        else:
            self._machine(id_, float(points), source, line, body_line, directive)

    def _question(
        self, id_: str, points: float, source: str, line: int, directive: dict[str, Any]
    ) -> None:
        kind = directive["question"]
        if kind not in (MANUAL, TASK):
            raise self.error(line, f"exercise {id_}: question is `manual` or `task`")
        for key in ("solution", "graded", "start"):
            if key in directive:
                raise self.error(line, f"exercise {id_}: a question has no {key!r}; take it out")
        try:
            rubric = read_rubric(directive, points)
        except ValueError as error:
            raise self.error(line, f"exercise {id_}: {error}") from error
        if not source.strip():
            raise self.error(line, f"exercise {id_}: write in the body what the student reads")
        self._claim(id_, line)
        self.cells.append(Exercise(line, source, id_, points, kind, rubric=rubric))

    def _machine(
        self,
        id_: str,
        points: float,
        source: str,
        line: int,
        body_line: int,
        directive: dict[str, Any],
    ) -> None:
        for key in _RUBRIC:
            if key in directive:
                raise self.error(
                    line, f"exercise {id_}: {key!r} is for a question; add `question: manual`"
                )
        if "solution" not in directive:
            raise self.error(line, f"exercise {id_}: `solution:` must name the reference's object")
        graded = directive.get("graded")
        if not isinstance(graded, str) or not graded.strip():
            raise self.error(line, f"exercise {id_}: `graded:` must say in a line what is graded")
        start = directive.get("start", False)
        if start not in (True, False):
            raise self.error(line, f"exercise {id_}: start is true or false")
        if start and not source.strip():
            raise self.error(line, f"exercise {id_}: `start: true`, but no starter in the body")
        if source.strip() and not start:
            raise self.error(
                body_line, f"exercise {id_}: the blank comes from the reference; take the body "
                "out, or say `start: true` if students shall begin with it"
            )  # fmt: skip
        solutions = self._names(directive["solution"], line, "solution")
        self._claim(id_, line)
        self._claim(f"{id_}_answer", line)
        self.cells.append(
            Exercise(
                body_line if start else line,
                source,
                id_,
                points,
                MACHINE,
                solutions,
                " ".join(graded.split()),
                start,
            )
        )

    def _names(self, value: Any, line: int, key: str) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not names or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise self.error(line, f"{key} must be a dotted name or a list of them")
        if len(set(names)) < len(names):
            raise self.error(line, f"{key} names one object twice; take one out")
        return tuple(names)

    def _claim(self, id_: str, line: int) -> None:
        if id_ in self.ids:
            raise self.error(line, f"the id {id_} is taken (line {self.ids[id_]}); choose another")
        self.ids[id_] = line

    def finish(self) -> Assignment:
        first = self.cells[0] if self.cells else None
        if not isinstance(first, Prose) or not first.body.startswith("# "):
            line = first.line if first else 1
            raise self.error(line, "must open with a heading, `# Title`, and its goals below")
        code = [cell for cell in self.cells if not isinstance(cell, Prose)]
        by_hand = [c for c in code if isinstance(c, Exercise) and c.kind != MACHINE]
        running = [cell for cell in code if cell not in by_hand]
        if running and not isinstance(running[0], Setup):
            raise self.error(running[0].line, "the first code cell must be the setup cell")
        return Assignment(self.name, self.path, tuple(self.cells))
