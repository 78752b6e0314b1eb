"""A notebook in miniature: the reference in one flat namespace, and the cells of a student.

With TEST_ISOLATION=sandbox in the environment the cells run in the sandbox, and the tests reach
them over the wire.
"""

import ast
import functools
import importlib
import inspect
import linecache
import os
import textwrap
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch

from autograder.judge import judge
from autograder.student import InProcessStudent, Student

MODULES = ("errors", "files", "probability", "autoencoder", "training", "vae")
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
def given_cells() -> tuple[tuple[str, str], ...]:
    """The reference's modules, as cells: names and sources, without imports of one another."""
    cells = [("prelude", PRELUDE)]
    for name in MODULES:
        module = importlib.import_module(f"vae_course.{name}")
        tree = ast.parse(inspect.getsource(module))
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.ImportFrom) and node.module in OTHERS)
        ]
        cells.append((name, ast.unparse(tree)))
    return tuple(cells)


@functools.cache
def _compiled(name: str, source: str):
    return compile(source, f"<{name}>", "exec")


OTHERS = {f"vae_course.{name}" for name in MODULES}


def notebook(*cells: str) -> dict:
    """The namespace of a notebook whose student wrote `cells` over the reference's answers."""
    namespace = {"__name__": "__main__"}
    for name, source in given_cells():
        exec(_compiled(name, source), namespace)
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
def student_of() -> Iterator[Callable[..., Student]]:
    """The handle of a student who wrote some cells: student_of(*cells)."""
    if os.environ.get("TEST_ISOLATION") != "sandbox":
        yield lambda *cells: InProcessStudent(notebook(*cells))
        return
    from autograder.sandbox.outside import WarmParent
    from autograder.sandbox.remote import RemoteStudent

    sessions = []

    def in_sandbox(*cells: str) -> Student:
        if sessions:
            sessions.pop().close()
        sessions.append(warm.session())
        for source in [*(source for _, source in given_cells()), *map(textwrap.dedent, cells)]:
            outputs, _ = sessions[0].run_cell(source)
            assert not any(output["output_type"] == "error" for output in outputs), outputs
        return RemoteStudent(sessions[0])

    with WarmParent() as warm:
        yield in_sandbox


@pytest.fixture(scope="session")
def judged(student_of):
    """Judge `cells` on an exercise: judged(exercise_id, *cells, solutions=(...), seed=0).

    What a check itself observes is seen without looking for a known mistake, which takes as long
    again: `name_mistakes` asks for it.
    """

    def run(exercise_id: str, *cells: str, solutions=(), points=6, seed=0, name_mistakes=False):
        exercise = SimpleNamespace(id=exercise_id, points=points, solutions=solutions)
        return judge(exercise, student_of(*cells), seed, name_mistakes=name_mistakes)

    return run
