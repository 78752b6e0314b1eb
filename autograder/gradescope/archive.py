"""The archive that an instructor uploads to Gradescope: the same bytes each time it is made."""

import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from fnmatch import fnmatch
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from nbgrader.coursedir import CourseDirectory
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from autograder.course import CONFIG_FILE, Course
from autograder.gradescope.account import ACCOUNT
from autograder.gradescope.harness import ROOT, SETTINGS_FILE, Settings
from autograder.gradescope.results import failure, worth
from autograder.intake import is_plain_file, plain_files
from autograder.record import points
from autograder.scratch import DATABASE, SETTINGS

PROJECT = "vae-course"
PACKAGES = ("autograder", "vae_course")
SCRIPTS = ("setup.sh", "run_autograder")
OWN_CONFIG = "course_config.py"
"""The course's nbgrader_config.py in the archive, where another of that name stands before it."""

WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu\n"
"""PyTorch without the gigabytes for GPUs, of which Gradescope has none."""

_MOMENT = (1980, 1, 1, 0, 0, 0)


def archive(course: Course, settings: Settings) -> bytes:
    """Make the archive. No submission and no student's name is in it.

    Args:
        course: where the assignment and its configuration are.
        settings: of the runs on Gradescope.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for name, content in sorted(_contents(course, settings).items()):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.create_system = 3  # Unix, so that what is executable stays so
            entry.external_attr = (0o100755 if name in SCRIPTS else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return written.getvalue()


def steps(course: Course, settings: Settings) -> Iterator[str]:
    """What to do with the archive, a line each."""
    machine, by_hand = map(points, worth(course.source_notebooks(settings.assignment)))
    yield (
        f"In Gradescope: create a Programming Assignment with {machine} autograder points"
        + (f", and manual grading for the other {by_hand}." if by_hand != "0" else ".")
    )
    yield (
        "Configure Autograder: upload the archive, on Ubuntu 22.04 or later. Settings: a container "
        "with 2 processors and 6 GB of memory or more, and a timeout of 40 minutes."
    )
    yield "Then Test Autograder, with a right and a wrong notebook."
    if settings.isolation == "process":
        yield (
            "Without a sandbox, students' code runs in an account of its own. It can not write "
            "results, but who looks for answers finds them: grade again here, before marks count."
        )


def _contents(course: Course, settings: Settings) -> Mapping[str, bytes]:
    """The files of the archive, by their names in it."""
    texts = dict(_scripts())
    texts["requirements.txt"] = WHEELS + "".join(f"{line}\n" for line in requirements())
    pins = sorted(constraints().items())
    texts["constraints.txt"] = "".join(f"{name}=={version}\n" for name, version in pins)
    texts[SETTINGS_FILE] = json.dumps(asdict(settings), indent=1) + "\n"
    texts["failure.json"] = json.dumps(failure(), indent=1) + "\n"
    found = {name: text.encode() for name, text in texts.items()}
    return found | dict(_packages()) | dict(_course(course, settings.assignment))


def _scripts() -> Iterator[tuple[str, str]]:
    loader = PackageLoader("autograder.gradescope", ".")
    templates = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)
    python = "{}.{}".format(*sys.version_info)
    for name in SCRIPTS:
        template = templates.get_template(f"{name}.j2")
        yield name, template.render(root=ROOT, account=ACCOUNT, python=python)


def _packages() -> Iterator[tuple[str, bytes]]:
    """The packages as they are here: by the hash of their code, a verdict names its grader."""
    for package in PACKAGES:
        folder = Path(sys.modules[package].__file__ or "").parent
        for path in folder.rglob("*"):
            if is_plain_file(path) and "__pycache__" not in path.parts:
                name = path.relative_to(folder.parent).as_posix()
                yield f"packages/{name}", path.read_bytes()
    version = distribution(PROJECT).version
    about = f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: {version}\n"
    place = f"packages/{PROJECT.replace('-', '_')}-{version}.dist-info"
    yield f"{place}/METADATA", about.encode()


def _course(course: Course, assignment: str) -> Iterator[tuple[str, bytes]]:
    ignored = CourseDirectory(config=course.config).ignore
    for written, path in plain_files(course.folder("source", assignment)):
        parts = written.split("/")
        if not any(fnmatch(part, pattern) for part in parts for pattern in ignored):
            yield f"course/source/{assignment}/{written}", path.read_bytes()
    config = course.root / CONFIG_FILE
    if config.is_file():
        yield f"course/{OWN_CONFIG}", config.read_bytes()
        places = SETTINGS.format(name=OWN_CONFIG, path=None, database=f"sqlite:///{DATABASE}")
        yield f"course/{CONFIG_FILE}", places.encode()


def requirements() -> list[str]:
    """What the packages need, with the lower bounds that they declare."""
    return sorted(str(need) for need in _needs(distribution(PROJECT), frozenset({""})))


def constraints() -> dict[str, str]:
    """The versions of all that is needed here, by name: Gradescope gets the same."""
    pins: dict[str, str] = {}
    done: set[tuple[str, str]] = set()
    waiting = _needs(distribution(PROJECT), frozenset({""}))
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        extras = frozenset({"", *need.extras})
        if {(name, extra) for extra in extras} <= done:
            continue
        done |= {(name, extra) for extra in extras}
        try:
            found = distribution(need.name)
        except PackageNotFoundError:
            continue  # for another system
        pins[name] = Version(found.version).public  # not "+cpu", of which the index decides
        waiting += _needs(found, extras)
    return pins


def _needs(found: Distribution, extras: frozenset[str]) -> list[Requirement]:
    """What a distribution needs on this system, for itself and for some of its extras."""
    needs = [Requirement(line) for line in found.requires or ()]
    return [
        need
        for need in needs
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
    ]
