"""A course folder as nbgrader sees it: its configuration, its folders, its gradebook."""

import contextlib
import glob
import hashlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from traitlets import Any as AnyTrait
from traitlets.config import Config, LoggingConfigurable, PyFileConfigLoader

from autograder import nbgrader_plugin
from autograder.intake import is_plain_file
from autograder.notebooks import plain
from vae_course.errors import CourseError, UsageError

CONFIG_FILE = "nbgrader_config.py"
OWN_FOLDER = ".autograder"
"""Logs, and what was graded in which state. May be deleted: then all is graded again."""

LOG = logging.getLogger("autograder.nbgrader")


class ConversionError(CourseError):
    """One of nbgrader's steps failed."""


class _Logged(LoggingConfigurable):
    """Hands the course's configuration and log to nbgrader's objects."""

    log = AnyTrait(LOG)


class Course:
    """A folder that holds source/, submitted/ and so on.

    Args:
        root: the folder. Its nbgrader_config.py, if there is one, goes before the settings of
            `autograder.nbgrader_plugin.configure`.

    Raises:
        UsageError: there is no such folder.
        CourseError: its configuration cannot be read.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise UsageError(f"{root}: no such folder; name the course's with --course")
        self.config = _load_config(self.root)
        self._directory = CourseDirectory(parent=_Logged(config=self.config), root=str(self.root))

    @property
    def own_folder(self) -> Path:
        return self.root / OWN_FOLDER

    def log_file(self, assignment: str) -> Path:
        return self.own_folder / f"{assignment}.log"

    def folder(self, step: str, assignment: str, student: str = ".") -> Path:
        """The folder of an nbgrader step: "source", "submitted", "autograded" or "feedback"."""
        name = getattr(self._directory, f"{step}_directory")
        return Path(self._directory.format_path(name, student, assignment))

    def assignments(self) -> list[str]:
        """Names of the assignments that have a notebook in source/."""
        found = self.folder("source", "*").parent.glob("*/*.ipynb")
        return sorted({path.parent.name for path in found})

    def require(self, *assignments: str) -> None:
        """See to it that there are assignments, and these among them.

        Raises:
            UsageError: there are not.
        """
        known = self.assignments()
        unknown = [name for name in assignments if name not in known]
        if unknown or not known:
            raise UsageError(
                f"{plain(', '.join(unknown), 200) or self.root}: no such assignment in "
                f"{self.folder('source', '')}; known are "
                f"{', '.join(known) or 'none yet: build one with `vae-course build`'}"
            )

    def source_notebooks(self, assignment: str) -> dict[str, NotebookNode]:
        """An assignment's notebooks as instructors wrote them, by name.

        Raises:
            UsageError: there is no such assignment.
        """
        self.require(assignment)
        paths = sorted(self.folder("source", assignment).glob("*.ipynb"))
        return {path.stem: _read_source(path) for path in paths}

    def students(self, assignment: str) -> list[str]:
        """Who handed the assignment in."""
        anyone = self.folder("submitted", glob.escape(assignment), "*").relative_to(self.root)
        place = anyone.parts.index("*")
        folders = (path for path in self.root.glob(str(anyone)) if path.is_dir())
        return sorted(path.relative_to(self.root).parts[place] for path in folders)

    def relative(self, text: str) -> str:
        """A message without the place of the course on this machine, which is nobody's business."""
        return text.replace(f"{self.root}/", "")

    @property
    def id(self) -> str:
        """Its name in the gradebook."""
        return self._directory.course_id

    @property
    def database(self) -> str:
        """Where the gradebook is, as an URL."""
        return self._directory.db_url

    def gradebook(self) -> Gradebook:
        """The course's gradebook, to be used in a `with`.

        Raises:
            CourseError: it cannot be opened.
        """
        url = self.database
        try:
            return Gradebook(url, self.id)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise CourseError(
                f"{url.removeprefix('sqlite:///')}: cannot be opened as nbgrader's gradebook "
                f"({reason}); if it is an old one, back it up and run `nbgrader db upgrade`"
            ) from error

    def convert(
        self, converter: type[BaseConverter], assignment: str, student: str = ".", **traits: Any
    ) -> None:
        """Run one of nbgrader's steps for one student, as nbgrader's own command would.

        Args:
            converter: nbgrader's class of the step.
            assignment: its name.
            student: whose submission; "." for steps that have none.
            traits: of the course directory, where they differ from the configuration.

        Raises:
            ConversionError: with nbgrader's reason.
        """
        parent = _Logged(config=self.config)
        directory = CourseDirectory(
            parent=parent,
            root=str(self.root),
            assignment_id=glob.escape(assignment),
            student_id=glob.escape(student),
            **traits,
        )
        step = converter(coursedir=directory, parent=parent)
        step.force = True
        with _last_error() as reasons:
            try:
                step.start()
            except Exception as error:
                LOG.exception("%s failed", converter.__name__)
                reason = reasons[-1] if reasons else f"{type(error).__name__}: {error}"
                raise ConversionError(plain(reason, 500)) from error

    def enter(self, assignment: str, scratch: Path) -> None:
        """Enter an assignment into the gradebook, or bring it up to date, from its source.

        Args:
            assignment: its name.
            scratch: where nbgrader may write a release, which nobody needs.

        Raises:
            CourseError: nbgrader refuses, as it does when cells come or go after submissions.
        """
        try:
            self.convert(GenerateAssignment, assignment, release_directory=str(scratch))
        except ConversionError as error:
            raise CourseError(
                f"{self.folder('source', assignment)}: nbgrader does not take this assignment into "
                f"the gradebook ({error}); see {self.log_file(assignment)}"
            ) from error


def _load_config(root: Path) -> Config:
    from vae_course.authoring import release

    config = Config()
    nbgrader_plugin.configure(config)
    if not (root / CONFIG_FILE).is_file():
        release.configure(config)
        return config
    try:
        config.merge(PyFileConfigLoader(CONFIG_FILE, path=str(root)).load_config())
    except Exception as error:
        raise CourseError(
            f"{root / CONFIG_FILE}: cannot be read ({type(error).__name__}: {error})"
        ) from error
    return config


def _read_source(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise CourseError(
            f"{path}: cannot be read as a notebook; build it again with `vae-course build`"
        ) from error


def hash_of(*paths: Path) -> str:
    """A hash of files, or of all files in folders: of their names and of what they hold."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if is_plain_file(file) and "__pycache__" not in file.parts:
                entry = f"{file.relative_to(path)}\0{file.stat().st_size}\0"
                digest.update(entry.encode(errors="surrogateescape"))  # names need not be UTF-8
                digest.update(file.read_bytes())
    return digest.hexdigest()


class _PlainFormatter(logging.Formatter):
    """Files and students have names that would move the cursor of whoever reads the log."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record), 10**6)


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Send all that nbgrader and its kin have to say to a file, and nothing to the terminal.

    Raises:
        CourseError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise CourseError(
            f"{path}: cannot be written ({error.strerror}); check that the course's folder "
            "is yours to write"
        ) from error
    handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    root, level = logging.getLogger(), LOG.level
    root.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        LOG.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _last_error() -> Iterator[list[str]]:
    """Collect the last lines of the tracebacks that nbgrader logs, where it swallows an error."""
    reasons: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage().strip()
            if text.startswith("Traceback"):
                reasons.append(text.splitlines()[-1])

    handler = Collect(logging.ERROR)
    LOG.addHandler(handler)
    try:
        yield reasons
    finally:
        LOG.removeHandler(handler)
