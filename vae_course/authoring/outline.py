"""What stands where in a notebook: the text's cells with the reference's objects put in.

An outline holds no notebook format and no nbgrader: it decides which object is given where, which
is blank, and which imports the set-up cell needs, and it fails on whatever would not run.
"""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vae_course.authoring import imports as import_block
from vae_course.authoring.assignment import (
    MACHINE,
    Assignment,
    Cell,
    Check,
    Exercise,
    Given,
    Plain,
    Prose,
    Setup,
    load_assignment,
)
from vae_course.authoring.blanks import MARKERS
from vae_course.authoring.reference import (
    Import,
    Object,
    defined_names,
    did_you_mean,
    find_object,
    free_names,
    imports_of,
    load_module,
    needs,
    one_of_each_name,
)
from vae_course.errors import CourseError

# What the text's own cells may use without importing it: the set-up cell then does.
CONVENTIONS = {
    "np": Import("numpy", None, "np"),
    "plt": Import("matplotlib.pyplot", None, "plt"),
    "torch": Import("torch"),
    "nn": Import("torch", "nn"),
    "F": Import("torch.nn.functional", None, "F"),
}

# What every notebook ends with.
HAND_IN = "vae_course.handin.look_over"
HAND_IN_TEXT = (
    "**Is your file complete?** Save it, then run this last cell: it looks over the file that you "
    "are about to hand in, and says what is missing. It gives no points and takes none."
)

# Packages that no notebook may import: a release stands on its own.
OURS = frozenset({"vae_course", "autograder"})


@dataclass(frozen=True)
class Block:
    """One cell of the notebook to be, and the cell of the text that asked for it."""

    cell: Cell


@dataclass(frozen=True)
class ProseBlock(Block):
    pass


@dataclass(frozen=True)
class PlainBlock(Block):
    pass


@dataclass(frozen=True)
class SetupBlock(Block):
    imports: str = ""
    body: str = ""


@dataclass(frozen=True)
class GivenBlock(Block):
    objects: tuple[Object, ...] = ()
    fold: bool | None = None


@dataclass(frozen=True)
class HandInBlock(Block):
    """The last cell: it looks the file over before it is handed in.

    It brings its own imports. It is for no exercise, nothing runs after it, and it should work
    whatever became of the names above it.
    """

    objects: tuple[Object, ...] = ()
    imports: str = ""


@dataclass(frozen=True)
class AnswerBlock(Block):
    objects: tuple[Object, ...] = ()


@dataclass(frozen=True)
class CheckBlock(Block):
    pass


@dataclass(frozen=True)
class GradeBlock(Block):
    pass


@dataclass(frozen=True)
class QuestionBlock(Block):
    pass


@dataclass(frozen=True)
class Outline:
    """A whole notebook, decided.

    Attributes:
        assignment: the text it comes from.
        blocks: its cells in order.
        imports: what the set-up cell imports.
    """

    assignment: Assignment
    blocks: tuple[Block, ...] = field(repr=False)
    imports: frozenset[Import] = field(repr=False)

    @property
    def given(self) -> tuple[Object, ...]:
        return tuple(o for b in self.blocks if isinstance(b, GivenBlock) for o in b.objects)

    @property
    def blank(self) -> tuple[Object, ...]:
        return tuple(o for b in self.blocks if isinstance(b, AnswerBlock) for o in b.objects)

    @property
    def objects(self) -> tuple[Object, ...]:
        """All objects of the reference that the solved notebook defines."""
        return tuple(
            o for b in self.blocks if isinstance(b, GivenBlock | AnswerBlock) for o in b.objects
        )


def outline(assignment: Assignment) -> Outline:
    """Decide what stands where.

    Raises:
        CourseError: an object that does not exist, a name that nothing defines, two objects of
            one name, given code that would need a later exercise: one line with file and line.
    """
    placing = _Placing(assignment)
    for cell in assignment.cells:
        placing.place(cell)
    blocks = [*_with_grade_cells(placing.blocks), *_hand_in(assignment)]
    found = _check_names(assignment, blocks, placing)
    done = [_setup(block, found) if isinstance(block, SetupBlock) else block for block in blocks]
    return Outline(assignment, tuple(done), frozenset(found))


def reference_namespace(name: str) -> dict[str, object]:
    """Every name that an assignment's solved notebook takes from the reference, with its object.

    Given code and solutions alike, keyed by bare name. This imports the reference (and so torch).
    """
    import importlib

    objects = outline(load_assignment(name)).objects
    return {
        name: getattr(importlib.import_module(one.module), name)
        for one in objects
        for name in one.names
    }


class _Placing:
    """Walks the text and puts each object where it is first needed."""

    def __init__(self, assignment: Assignment):
        self.assignment = assignment
        self.blocks: list[Block] = []
        self.available: dict[str, Object] = {}
        self.line_of: dict[str, int] = {}
        self.imports: set[Import] = set()
        self.exercise_of: dict[str, Exercise] = {}
        for exercise in assignment.exercises:
            for dotted in exercise.solutions:
                other = self.exercise_of.setdefault(dotted, exercise)
                if other is not exercise:
                    raise assignment.error(
                        exercise.line,
                        f"exercise {exercise.id}: {dotted} is already the solution of {other.id} "
                        f"(line {other.line}); an object is written once",
                    )

    def place(self, cell: Cell) -> None:
        match cell:
            case Prose():
                self.blocks.append(ProseBlock(cell))
            case Plain():
                self.blocks.append(PlainBlock(cell))
            case Setup():
                self.blocks.append(SetupBlock(cell))
            case Check():
                self.blocks.append(CheckBlock(cell))
            case Given():
                self._given(cell)
            case Exercise(kind=kind) if kind != MACHINE:
                self.blocks.append(QuestionBlock(cell))
            case Exercise():
                self._exercise(cell)

    def _given(self, cell: Given) -> None:
        listed = [self._find(name, cell.line, "given") for name in cell.names]
        for one in listed:
            if one.dotted in self.exercise_of:
                exercise = self.exercise_of[one.dotted]
                raise self.assignment.error(
                    cell.line,
                    f"given {one.dotted} is what exercise {exercise.id} asks for (line "
                    f"{exercise.line}); take it out of one of the two",
                )
        new = self._new(listed, cell.line, f"given {', '.join(cell.names)}")
        for one in listed:
            if one not in new:
                raise self.assignment.error(
                    cell.line,
                    f"given {one.dotted} stands already, in the cell of line "
                    f"{self.line_of[one.dotted]}; take it out of this one",
                )
        self.blocks.append(GivenBlock(cell, new, cell.fold))

    def _exercise(self, cell: Exercise) -> None:
        listed = [self._find(name, cell.line, f"exercise {cell.id}") for name in cell.solutions]
        for one in listed:
            if one.dotted in self.available:
                raise self.assignment.error(
                    cell.line,
                    f"exercise {cell.id}: {one.dotted} was given before, in the cell of line "
                    f"{self.line_of[one.dotted]}; students would only copy it",
                )
        helpers = self._new(listed, cell.line, f"exercise {cell.id}", own=cell)
        if helpers:
            self.blocks.append(GivenBlock(cell, helpers))
        for one in listed:
            self._add(one, cell.line)
        self.blocks.append(AnswerBlock(cell, tuple(listed)))

    def _find(self, dotted: str, line: int, who: str) -> Object:
        try:
            return find_object(dotted)
        except CourseError as error:
            raise self.assignment.error(line, f"{who}: {dotted}: {error}") from error

    def _new(
        self, listed: list[Object], line: int, who: str, own: Exercise | None = None
    ) -> tuple[Object, ...]:
        """The closure of `listed` that does not stand yet; the solutions of `own` left out."""
        try:
            closure = needs(listed)
        except CourseError as error:
            raise self.assignment.error(line, f"{who}: {error}") from error
        self.imports |= closure.imports
        new = []
        for one in closure.objects:
            exercise = self.exercise_of.get(one.dotted)
            if one.dotted in self.available or (own and exercise is own):
                continue
            if exercise is not None:
                raise self.assignment.error(
                    line,
                    f"{who} needs {one.dotted}, which students write only later, in "
                    f"{exercise.id} (line {exercise.line}); move one of the two",
                )
            new.append(one)
            self._add(one, line)
        return tuple(new)

    def _add(self, one: Object, line: int) -> None:
        try:
            one_of_each_name([*self.available.values(), one])
        except CourseError as error:
            raise self.assignment.error(line, str(error)) from error
        self.available[one.dotted] = one
        self.line_of[one.dotted] = line


def _hand_in(assignment: Assignment) -> list[Block]:
    """The end of every notebook, which no text asks for."""
    cell = Prose(assignment.cells[-1].line, HAND_IN_TEXT)
    closure = needs([find_object(HAND_IN)])
    return [
        ProseBlock(cell),
        HandInBlock(cell, closure.objects, import_block.render(closure.imports)),
    ]


def _with_grade_cells(blocks: list[Block]) -> list[Block]:
    """Put each grade cell after the last check of its exercise (after its answer without one)."""
    last: dict[str, int] = {}
    for index, block in enumerate(blocks):
        if isinstance(block, AnswerBlock):
            last[block.cell.id] = index
        elif isinstance(block, CheckBlock):
            last[block.cell.exercise] = index
    exercises = {b.cell.id: b.cell for b in blocks if isinstance(b, AnswerBlock)}
    ends = {index: exercises[id_] for id_, index in last.items()}
    done = []
    for index, block in enumerate(blocks):
        done.append(block)
        if index in ends:
            done.append(GradeBlock(ends[index]))
    return done


def _check_names(assignment: Assignment, blocks: list[Block], placing: _Placing) -> set[Import]:
    """Follow the names through the notebook; return every import that the set-up cell needs."""
    found = set(placing.imports)
    objects = {name: one for one in placing.available.values() for name in one.names}
    roots = OURS | {one.module.split(".")[0] for one in objects.values()}
    offers = _offers(placing.available.values())
    defined: set[str] = set()
    bound_by_text: dict[str, Cell] = {}

    def read(cell: Cell, source: str, defines: bool = True) -> None:
        names = _parse(assignment, cell, source)
        _refuse_imports(assignment, cell, source, roots)
        for name in sorted(names):
            if name in defined:
                continue
            one = _import_for(assignment, cell, source, name, offers)
            if one is None:
                raise assignment.error(
                    _line_of(cell, source, name), _undefined(name, objects, blocks, defined)
                )
            found.update(one)
        if defines:
            for name in defined_names(source):
                bound_by_text.setdefault(name, cell)
            defined.update(defined_names(source))

    for block in blocks:
        match block:
            case SetupBlock(cell=cell):
                defined |= {one.bound for one in found}
                lifted, body = _split(assignment, cell)
                _refuse_imports(assignment, cell, cell.body, roots)
                found.update(lifted)
                defined |= {one.bound for one in lifted}
                read(cell, body)
            case PlainBlock(cell=cell) | CheckBlock(cell=cell):
                read(cell, cell.body)
            case GivenBlock(objects=given):
                defined |= {name for one in given for name in one.names}
            case AnswerBlock(cell=cell, objects=blank):
                defined |= {name for one in blank for name in one.names}
                if cell.start:
                    read(cell, cell.body, defines=False)
                    _check_starter(assignment, cell, blank)
    for name, cell in sorted(bound_by_text.items()):
        if name in objects:
            raise assignment.error(
                _line_of(cell, cell.body, name),
                f"defines {name}, but {objects[name].dotted} stands in this notebook and a "
                "notebook is one flat namespace; choose another name",
            )
    _refuse_clashes(assignment, found, objects, bound_by_text)
    return found


def _parse(assignment: Assignment, cell: Cell, source: str) -> frozenset[str]:
    for marker in MARKERS:
        if marker in source:
            raise assignment.error(cell.line, f"holds nbgrader's own text {marker!r}; reword it")
    try:
        return free_names(source)
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1) - 1
        raise assignment.error(line, f"is not plain Python ({error.msg}); mend it") from error


def _split(assignment: Assignment, cell: Cell) -> tuple[list[Import], str]:
    _parse(assignment, cell, cell.body)
    return import_block.split(cell.body)


def _refuse_imports(assignment: Assignment, cell: Cell, source: str, roots: Iterable[str]) -> None:
    for one in imports_of(source):
        if one.root in roots or one.module.startswith("."):
            raise assignment.error(
                cell.line,
                f"imports {one.module}, but a release notebook stands on its own; name what it "
                "needs in a `given:`",
            )


def _offers(objects: Iterable[Object]) -> dict[str, set[Import]]:
    """What the reference modules behind a notebook import, by the name they bind."""
    offers: dict[str, set[Import]] = {}
    for module in sorted({one.module for one in objects}):
        for name, found in load_module(module).imports.items():
            offers.setdefault(name, set()).update(found)
    return offers


def _import_for(
    assignment: Assignment, cell: Cell, source: str, name: str, offers: dict[str, set[Import]]
) -> set[Import] | None:
    """The imports that define a name which the text uses without importing it, if there are."""
    found = offers.get(name, set())
    if any(one.clashes(other) for one in found for other in found):
        raise assignment.error(
            _line_of(cell, source, name),
            f"uses {name}, which the reference's modules import from different places "
            f"({'; '.join(sorted(map(str, found)))}); import it in the set-up cell",
        )
    if found:
        return found
    if name in CONVENTIONS:
        return {CONVENTIONS[name]}
    if name in sys.stdlib_module_names:
        return {Import(name)}
    return None


def _undefined(
    name: str, objects: dict[str, Object], blocks: list[Block], defined: set[str]
) -> str:
    if name in objects:
        dotted = objects[name].dotted
        return f"uses {name} ({dotted}) before the cell in which it stands; move one of the two"
    for block in blocks:
        if isinstance(block, PlainBlock | CheckBlock | SetupBlock) and (
            name in defined_names(block.cell.body)
        ):
            return f"uses {name} before line {block.cell.line} defines it; move one of the two"
    hint = did_you_mean(name, defined)
    return f"uses {name}, which nothing before it defines{hint or '; give it or import it'}"


def _line_of(cell: Cell, source: str, name: str) -> int:
    """The line of the text on which a cell first mentions a name."""
    lines = cell.body.split("\n")
    for tree in (ast.parse(cell.body), ast.parse(source)):
        for node in sorted(
            (n for n in ast.walk(tree) if hasattr(n, "lineno")),
            key=lambda n: (n.lineno, n.col_offset),
        ):
            if name in (getattr(node, "id", None), getattr(node, "name", None)):
                return cell.line + min(node.lineno, len(lines)) - 1
    return cell.line


def _check_starter(assignment: Assignment, cell: Exercise, blank: tuple[Object, ...]) -> None:
    missing = sorted({one.name for one in blank} - defined_names(cell.body))
    if missing:
        raise assignment.error(
            cell.line, f"exercise {cell.id}: the starter does not define {', '.join(missing)}"
        )


def _refuse_clashes(
    assignment: Assignment,
    found: set[Import],
    objects: dict[str, Object],
    bound_by_text: dict[str, Cell],
) -> None:
    for one in sorted(found, key=str):
        if one.bound in objects:
            raise CourseError(
                f"{assignment.path.name}: `{one}` and {objects[one.bound].where} define one name, "
                f"{one.bound}; rename the object"
            )
        for other in sorted(found, key=str):
            if one.clashes(other):
                raise CourseError(
                    f"{assignment.path.name}: `{one}` and `{other}` define one name, {one.bound}; "
                    "import it in one way throughout the reference"
                )
        cell = bound_by_text.get(one.bound)
        if cell and one.bound not in {i.bound for i in imports_of(cell.body)}:
            raise assignment.error(
                _line_of(cell, cell.body, one.bound),
                f"defines {one.bound}, which the set-up cell imports (`{one}`); choose another "
                "name",
            )


def _setup(block: SetupBlock, found: set[Import]) -> SetupBlock:
    _, body = import_block.split(block.cell.body)
    return replace(block, imports=import_block.render(found), body=body)
