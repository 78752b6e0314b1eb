"""The arena that attacks are graded in, by our grader in its sandbox."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena import (
    ENVIRONMENT,
    Arena,
    Listener,
    Submission,
    Template,
    damage,
    grade_with_ours,
    make_source,
    make_template,
    play,
)

from autograder.sandbox.outside import problem, shared_warm_parent

LARGEST_FILE = 2**29
"""Bytes. If an attack has the grader itself write without an end, the disk is not what ends it."""


@pytest.fixture(scope="module")
def surroundings() -> Iterator[Listener]:
    """The grader's environment, with secrets in it, and somebody who listens."""
    if reason := problem():
        pytest.skip(f"no sandbox: {reason}")
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, sizes[1]))
    yield Listener()
    resource.setrlimit(resource.RLIMIT_FSIZE, sizes)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, surroundings: Listener) -> Template:
    root = tmp_path_factory.mktemp("arena")
    make_source(root)
    return make_template(root, grade_with_ours)


@pytest.fixture
def arena_of(tmp_path: Path, template: Template, surroundings: Listener) -> Callable[[str], Arena]:
    """A course of its own for an attack on an assignment."""

    def make(assignment: str) -> Arena:
        root = tmp_path / "course"
        shutil.copytree(template.root, root)
        return Arena(root, assignment, surroundings.port, surroundings.door)

    return make


@pytest.fixture
def gained(template: Template, surroundings: Listener) -> Callable[..., list[str]]:
    """Grade an attacker's submissions, and honest ones after them; say what was gained."""

    def run(arena: Arena, *submissions: Submission) -> list[str]:
        shared_warm_parent().session().close()  # it is there before, as it will be after
        round = play(arena, submissions, grade_with_ours, surroundings)
        found = damage(arena, round, template)
        if found:  # what it did to the sandbox must not be held against the next one
            shared_warm_parent().close()
        return found

    return run
