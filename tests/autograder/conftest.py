"""A notebook in miniature: the reference in one flat namespace, and the cells of a student."""

import ast
import functools
import importlib
import inspect
import linecache
import textwrap
from types import CodeType, SimpleNamespace

import pytest
import torch

from autograder.judge import judge
from autograder.student import InProcessStudent

MODULES = ("probability", "autoencoder", "training", "vae")
PRELUDE = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from functools import partial
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
"""


@functools.cache
def _given_cells() -> tuple[CodeType, ...]:
    """The reference's modules, as cells: without their imports of one another."""
    cells = [compile(PRELUDE, "<prelude>", "exec")]
    for name in MODULES:
        module = importlib.import_module(f"vae_course.{name}")
        tree = ast.parse(inspect.getsource(module))
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.ImportFrom) and node.module in OTHERS)
        ]
        cells.append(compile(tree, f"<{name}>", "exec"))
    return tuple(cells)


OTHERS = {f"vae_course.{name}" for name in MODULES}


def notebook(*cells: str) -> dict:
    """The namespace of a notebook whose student wrote `cells` over the reference's answers."""
    namespace = {"__name__": "__main__"}
    for code in _given_cells():
        exec(code, namespace)
    for number, source in enumerate(cells):
        source = textwrap.dedent(source).strip() + "\n"
        name = f"<cell {number} {hash(source)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(name="notebook", scope="session")
def notebook_fixture():
    return notebook


@pytest.fixture(scope="session")
def judged():
    """Judge `cells` on an exercise: judged(exercise_id, *cells, solutions=(...), seed=0)."""

    def run(exercise_id: str, *cells: str, solutions=(), points=6, seed=0):
        exercise = SimpleNamespace(id=exercise_id, points=points, solutions=solutions)
        return judge(exercise, InProcessStudent(notebook(*cells)), seed)

    return run
