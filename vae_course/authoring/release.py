"""From source to release with nbgrader's own GenerateAssignment; and the solved notebook.

nbgrader cuts solutions, hidden tests and mark schemes. What it has no word for is a starter: code
that students are given to mend or finish. A preprocessor of ours puts it in, right after nbgrader
took the solution out. `configure` sets this up for anyone who runs nbgrader.
"""

import copy
import logging
import sqlite3
import tempfile
from functools import lru_cache
from pathlib import Path

from vae_course.authoring.blanks import unmark
from vae_course.authoring.notebook import KEY, Json
from vae_course.errors import CourseError


def configure(config) -> None:
    """Make `nbgrader generate_assignment` release what `vae-course build` releases.

    Call it in nbgrader_config.py: `configure(get_config())`.

    Args:
        config: the traitlets Config to set.
    """
    config.GenerateAssignment.preprocessors = preprocessors()


def preprocessors() -> list[type]:
    """nbgrader's own steps from source to release, with ours after ClearSolutions."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import ClearSolutions

    steps = list(GenerateAssignment.preprocessors.default_args[0])
    steps.insert(steps.index(ClearSolutions) + 1, starter_preprocessor())
    return steps


@lru_cache(maxsize=1)
def starter_preprocessor() -> type:
    """The class PutStarters; made on first use, so that importing this does not import nbgrader."""
    from nbgrader.preprocessors import NbGraderPreprocessor

    class PutStarters(NbGraderPreprocessor):
        """Puts the starter of a `start: true` exercise where its solution was, and forgets it."""

        def preprocess_cell(self, cell, resources, index):
            ours = cell.metadata.get(KEY, {})
            if "starter" in ours:
                cell.source = ours.pop("starter")
            return cell, resources

    return PutStarters


def release_notebook(name: str, source: str) -> str:
    """Run nbgrader's GenerateAssignment on a source notebook, in a scratch course of its own.

    Args:
        name: the assignment.
        source: the text of its source notebook.

    Returns:
        The text of the release notebook, byte for byte what `nbgrader generate_assignment` writes.

    Raises:
        CourseError: nbgrader refuses the notebook, with its reason.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="vae-course-") as scratch:
        root = Path(scratch)
        notebook = root / "source" / name / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True)
        notebook.write_text(source, encoding="utf-8")
        config = Config()
        configure(config)
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.course_id = "scratch"
        config.CourseDirectory.db_url = _scratch_gradebook(root / "gradebook.db")
        config.CourseDirectory.assignment_id = name
        log = _Log()
        converter = GenerateAssignment(
            coursedir=CourseDirectory(config=config), config=config, log=log.logger
        )
        try:
            converter.start()
        except NbGraderException as error:
            raise CourseError(
                f"source/{name}/{name}.ipynb: nbgrader refuses to release it "
                f"({log.reason(error)}); mend the assignment's text"
            ) from error
        return (root / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")


def _scratch_gradebook(path: Path) -> str:
    """An empty database that says it has a version; returns its URL.

    For one that does not, nbgrader starts the program `alembic` to ask for the newest version:
    seconds, and a failure where the environment's programs are not on the PATH. A gradebook that
    is thrown away is never migrated, so any version will do.
    """
    database = sqlite3.connect(path)
    with database:
        database.execute("create table alembic_version (version_num varchar(32) not null)")
        database.execute("insert into alembic_version values ('scratch')")
    database.close()
    return f"sqlite:///{path}"


class _Log:
    """A logger that keeps what nbgrader says, and shows nothing."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.logger = logging.Logger("vae_course.release", logging.WARNING)
        handler = logging.Handler()
        handler.emit = lambda record: self.said.append(record.getMessage())
        self.logger.addHandler(handler)

    def reason(self, error: Exception) -> str:
        """The last line of the first traceback that nbgrader logged, else the error's own text."""
        for said in self.said:
            if said.startswith("Traceback"):
                return said.strip().splitlines()[-1]
        return str(error)


def solved_notebook(source: Json, release: Json) -> Json:
    """The release notebook with its blanks filled from the reference, and no hidden test in it.

    Args:
        source: the source notebook, which holds the reference between markers.
        release: the release notebook made from it.

    Returns:
        A new notebook; answers to questions stay as students get them.
    """
    solutions = {
        cell["id"]: unmark(cell["source"])
        for cell in source["cells"]
        if cell["metadata"].get(KEY, {}).get("kind") == "answer"
    }
    solved = copy.deepcopy(release)
    for cell in solved["cells"]:
        cell["source"] = solutions.get(cell["id"], cell["source"])
    return solved
