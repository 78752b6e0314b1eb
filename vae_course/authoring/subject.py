"""What is verified: an assignment's notebooks, its solutions, and what is wrong with them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vae_course.authoring import forms
from vae_course.authoring.assignment import (
    Assignment,
    course_order,
    list_assignments,
    load_assignment,
)
from vae_course.authoring.build import RELEASE, SOURCE, Built, build_assignment
from vae_course.authoring.notebook import Json, loads
from vae_course.authoring.reference import (
    ALWAYS_DEFINED,
    Object,
    find_object,
    load_module,
)
from vae_course.errors import CourseError


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
        CourseError: they have not been built, or cannot be read as notebooks.
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
            f"{path}: cannot be read as a notebook ({reason}); run vae-course build {name}"
        ) from error
