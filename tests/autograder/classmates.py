"""A class that nobody had to find: notebooks with answers of many hands, and copies in disguise."""

import ast
import copy
import functools
import random
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograder import variants
from autograder.misconceptions import of_assignment
from autograder.notebooks import ANSWER, grade_id

ROOT = Path(__file__).parents[2]

EXPERIMENTS = (
    "for beta in (0.1, 1.0, 5.0):\n    print(beta, effective_beta(beta, 784))",
    "import matplotlib.pyplot as plt\n\nplt.plot([1, 2, 3])\nplt.show()",
    "print(gaussian_kl(torch.zeros(2, 3), torch.ones(2, 3)))",
    "# why is this one so slow?\n%timeit torch.randn(1000, 1000).sum()",
    "model = VAE(16)\nprint(sum(p.numel() for p in model.parameters()))",
)
"""Cells that students add."""

COMMENTS = ("# my own idea", "# see the lecture of last week", "# this part took me a while")


@functools.cache
def released(assignment: str) -> NotebookNode:
    return nbformat.read(ROOT / "release" / assignment / f"{assignment}.ipynb", as_version=4)


@functools.cache
def right_answers(assignment: str) -> Mapping[str, tuple[str, ...]]:
    """Right answers by exercise: in other words, of a second bank, and of whoever solved it all."""
    found: dict[str, list[str]] = {}
    for one in variants.of_assignment(assignment):
        found.setdefault(one.exercise, []).append(one.source.strip())
    second = runpy.run_path(str(ROOT / "tests" / "second_bank" / f"{assignment}.py"))
    for (exercise, _), source in second["RIGHT"].items():
        found.setdefault(exercise, []).append(source.strip())
    for exercise, source in whole_student(assignment).items():
        found.setdefault(exercise, []).append(source)
    return {exercise: tuple(sources) for exercise, sources in found.items()}


@functools.cache
def wrong_answers(assignment: str) -> Mapping[str, tuple[str, ...]]:
    """Wrong answers by exercise, of both banks."""
    found: dict[str, list[str]] = {}
    for one in of_assignment(assignment):
        found.setdefault(one.exercise, []).append(one.source.strip())
    second = runpy.run_path(str(ROOT / "tests" / "second_bank" / f"{assignment}.py"))
    for (exercise, _), source in second["WRONG"].items():
        found.setdefault(exercise, []).append(source.strip())
    return {exercise: tuple(sources) for exercise, sources in found.items()}


@functools.cache
def whole_student(assignment: str) -> Mapping[str, str]:
    """The answers of one who solved an assignment from its first exercise to its last."""
    text = (ROOT / "tests" / "autograder" / "students" / f"{assignment}.py").read_text()
    cells = (cell.partition("\n") for cell in text.split("# %% ")[1:])
    return {name.strip().removesuffix(ANSWER): source.strip() for name, _, source in cells}


def notebook(
    assignment: str, answers: Mapping[str, str], extra: Sequence[str] = ()
) -> NotebookNode:
    """The released notebook with some answers in it, and some cells at its end."""
    made = copy.deepcopy(released(assignment))
    for cell in made.cells:
        if grade_id(cell).removesuffix(ANSWER) in answers and grade_id(cell).endswith(ANSWER):
            cell.source = answers[grade_id(cell).removesuffix(ANSWER)]
    made.cells += [new_code_cell(source) for source in extra]
    return made


def classmate(assignment: str, seed: int) -> NotebookNode:
    """What somebody hands in who wrote alone: mostly right, some of it wrong or not there."""
    draw = random.Random(f"{assignment}{seed}")
    right, wrong = right_answers(assignment), wrong_answers(assignment)
    skill = draw.uniform(0.4, 1.0)
    answers = {}
    for exercise in right:
        chance = draw.random()
        if chance < skill:
            answers[exercise] = draw.choice(right[exercise])
        elif chance < 0.95 and exercise in wrong:
            answers[exercise] = draw.choice(wrong[exercise])
    return notebook(assignment, answers, draw.sample(EXPERIMENTS, draw.randint(0, 2)))


def expert(assignment: str, seed: int) -> NotebookNode:
    """What somebody hands in who wrote alone and got everything right."""
    draw = random.Random(f"expert {assignment}{seed}")
    answers = {name: draw.choice(found) for name, found in right_answers(assignment).items()}
    return notebook(assignment, answers)


def disguised(original: NotebookNode, assignment: str, seed: int = 0) -> NotebookNode:
    """A copy whose names and comments are others, laid out anew, its cells in another order."""
    draw = random.Random(seed)
    known = {cell.source for cell in released(assignment).cells}
    given = given_names(assignment)
    made = copy.deepcopy(original)
    own = [cell for cell in made.cells if cell.cell_type == "code" and cell.source not in known]
    for cell in own:
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # one of Jupyter's commands
            continue
        cell.source = f"{draw.choice(COMMENTS)}\n{ast.unparse(Renamed(tree, given).visit(tree))}"
    places = [made.cells.index(cell) for cell in own]
    for place, cell in zip(places, draw.sample(own, len(own)), strict=True):
        made.cells[place] = cell
    return made


@functools.cache
def given_names(assignment: str) -> frozenset[str]:
    """What a notebook imports and defines: to rename it would break it."""
    found = set()
    for cell in released(assignment).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    found.add(node.name)
                elif isinstance(node, ast.alias):
                    found.add((node.asname or node.name).partition(".")[0])
    return frozenset(found)


class Renamed(ast.NodeTransformer):
    """Gives new names to what a cell names itself: variables, helpers, attributes.

    The arguments of a function that was handed out keep theirs, for whoever calls it knows them.
    """

    def __init__(self, tree: ast.Module, given: frozenset[str]) -> None:
        nodes = list(ast.walk(tree))
        kept = {
            argument.arg
            for node in nodes
            if isinstance(node, ast.FunctionDef) and node.name in given
            for argument in ast.walk(node.args)
            if isinstance(argument, ast.arg)
        }
        stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        stored |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        held = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _is_stored(n)}
        magic = {name for name in stored | held if name.startswith("__")}
        self.names = self._new(stored - given - kept - magic, "thing")
        self.attributes = self._new(held - given - magic, "part") | self.names

    @staticmethod
    def _new(names: set[str], word: str) -> dict[str, str]:
        return {name: f"{word}_{place}" for place, name in enumerate(sorted(names))}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)

    visit_ClassDef = visit_FunctionDef

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        node.attr = self.attributes.get(node.attr, node.attr)
        return self.generic_visit(node)


def _is_stored(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)
