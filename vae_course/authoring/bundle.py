"""The public repository: what students may have, and nothing else.

A bundle is made beside its place and moved there whole. A folder that already holds an earlier
bundle is replaced, its `.git` kept; a folder that holds anything else is left alone.
"""

import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

from vae_course.authoring.assignment import MACHINE, choose_assignments, course_order
from vae_course.authoring.build import Built, build_assignment
from vae_course.authoring.course import Course, DataSet, load_course
from vae_course.authoring.notebook import loads
from vae_course.authoring.outline import OURS
from vae_course.authoring.reference import imports_of, show_path
from vae_course.authoring.standing import check_badge, git_remotes
from vae_course.authoring.subject import subject_of
from vae_course.authoring.verify import STATIC_CHECKS
from vae_course.errors import CourseError, UsageError

# Lists what the bundle wrote; its presence is what makes a folder an earlier bundle.
MARKER = ".vae-course-bundle.json"
KEPT = ".git"

# What pip calls the packages that a notebook imports under another name, and those that come
# with another or with Colab only.
PIP_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow", "IPython": "ipython", "google": ""}


def bundle_files(upto: str | None = None) -> dict[str, str]:
    """Everything that goes public, by its path in the bundle.

    Args:
        upto: the last assignment that is out; all of them without it.

    Raises:
        UsageError: no assignment is called that.
        CourseError: an assignment cannot be built, gives something away that `vae-course verify`
            finds without running it, or reads data that course.toml does not know.
    """
    names = choose_assignments()
    if upto is not None:
        choose_assignments([upto])
        names = [name for name in names if course_order(name) <= course_order(upto)]
    course = load_course()
    built = [build_assignment(name) for name in names]
    for one in built:
        _refuse_leaks(one)
    files = {f"{one.name}/{one.name}.ipynb": one.release for one in built}
    files["README.md"] = readme(course, built)
    files["DATA.md"] = data_note(course, built)
    files["requirements.txt"] = requirements(built)
    licence = licence_text()
    if licence:
        files["LICENSE"] = licence
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    files[MARKER] = json.dumps({"bundle": 1, "files": digests}, indent=1, sort_keys=True) + "\n"
    return files


def _refuse_leaks(one: Built) -> None:
    """What is once published stays published: nothing goes out that shows a solution."""
    subject = subject_of(one)
    found = [finding for check in STATIC_CHECKS.values() for finding in check(subject)]
    found += check_badge(subject, remotes=git_remotes(_project_folder()))
    if found:
        raise CourseError(f"{found[0]} (vae-course verify {one.name} says more); mend it first")


def write_bundle(out: Path, upto: str | None = None) -> list[str]:
    """Write the bundle to `out`, whole or not at all; return the paths in it.

    Raises:
        UsageError: `out` holds something that no bundle put there.
        CourseError: it cannot be written; what was there is there still.
    """
    out = Path(os.path.abspath(out))
    _refuse_foreign(out)
    files = bundle_files(upto)
    beside = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        new = beside / "new"
        for path, text in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(text.encode())
        _swap(out, new, beside / "old")
    except OSError as error:
        raise CourseError(
            f"{out}: cannot be written ({error.strerror or error}); check that the folder above "
            "it exists and is yours"
        ) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return sorted(files)


def _swap(out: Path, new: Path, old: Path) -> None:
    """Put `new` where `out` is; its .git stays. On any failure `out` is what it was."""
    there = out.exists()
    if there:
        os.rename(out, old)
    try:
        if (old / KEPT).exists():
            os.rename(old / KEPT, new / KEPT)
        os.rename(new, out)
    except OSError:
        if (new / KEPT).exists():
            os.rename(new / KEPT, old / KEPT)
        if there:
            os.rename(old, out)
        raise


def _refuse_foreign(out: Path) -> None:
    """Leave alone what no bundle wrote: other folders, and files added or changed in a bundle."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{show_path(out)}: is no folder; name another place")
    there = _files_in(out)
    if not there:
        return
    marker = out / MARKER
    if not marker.is_file():
        raise UsageError(
            f"{show_path(out)}: holds files that are no earlier bundle ({there[0]}, ...); name an "
            "empty folder or a new one"
        )
    try:
        digests = dict(json.loads(marker.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UsageError(
            f"{show_path(marker)}: is damaged, so what may be replaced is unknown; name another "
            "folder"
        ) from error
    for path in there:
        if path == MARKER:
            continue
        if path not in digests:
            raise UsageError(
                f"{show_path(out / path)}: was not put there by a bundle and would be lost; move it"
            )
        if hashlib.sha256((out / path).read_bytes()).hexdigest() != digests[path]:
            raise UsageError(
                f"{show_path(out / path)}: was changed by hand and would be lost; move it"
            )


def _files_in(folder: Path) -> list[str]:
    """Files below a folder, relative to it, without what git keeps."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] != KEPT and (path.is_file() or path.is_symlink()):
            found.append(relative.as_posix())
    return found


# ---- the texts --------------------------------------------------------------------------------


def readme(course: Course, built: list[Built]) -> str:
    """What a student reads first."""
    rows = "\n".join(_row(course, one) for one in built)
    repository = course.public_repository
    first = built[0].name
    return f"""# {course.title}

These are the notebooks of a course in which you build a variational autoencoder, one small
function at a time, and see with your own eyes why each of them is there.

| assignment | points | graded by a program | read by a person | open |
|---|---|---|---|---|
{rows}

## Open a notebook

**In Colab** (nothing to install): click its badge, then *File > Save a copy in Drive*. A GPU makes
the training cells faster: *Runtime > Change runtime type > GPU*.

**On your own computer**, with Python 3.11 or newer:

```bash
git clone https://github.com/{repository}.git
cd {repository.rpartition("/")[2]}
python -m venv .venv
.venv/bin/pip install -r requirements.txt
.venv/bin/jupyter lab {first}/{first}.ipynb
```

## Work on it

- Run the cells from the top. Where you read `# YOUR CODE HERE`, take the line below it out and
  write your answer in its place. The text above it says what the answer returns, in which shape
  and which units.
- The cell below an answer checks some of it and says what it found. It is there to help; what is
  graded is more.
- Add as many cells of your own as you like. Cells that are locked are put back as they were when
  your notebook is graded, and so are ids and points: leave those cells where they are.
- Long given code is folded. Open it: it is written to be read.

## Hand it in

1. Choose *Kernel > Restart Kernel and Run All Cells* (in Colab *Runtime > Restart session and run
   all*), and see that no cell stops with an error.
2. Save, and download the notebook as `.ipynb` (in Colab *File > Download*).
3. Keep its name, `{first}.ipynb` for {first}, and hand in that file where your course asks for it.

Which data the notebooks read, and under which licence, stands in [DATA.md](DATA.md).
"""


def _row(course: Course, one: Built) -> str:
    assignment = one.assignment
    machine = assignment.points(MACHINE)
    return (
        f"| [{assignment.title}]({one.name}/{one.name}.ipynb) | {assignment.max_score:g} | "
        f"{machine:g} | {assignment.max_score - machine:g} | {course.badge(one.name)} |"
    )


def data_note(course: Course, built: list[Built]) -> str:
    """Which data each assignment reads, where they come from, and what stands in for them."""
    lines = [
        "# Data",
        "",
        "No data are in this repository. The notebooks look in the folder that the environment",
        "variable `VAE_COURSE_DATA` names, else in `./data`, and download what is missing. Where",
        "neither works, a stand-in is used, and the notebook says so.",
        "",
        "| assignment | reads |",
        "|---|---|",
    ]
    read = {one.name: datasets_of(course, one) for one in built}
    for one in built:
        titles = ", ".join(data.title for data in read[one.name]) or "nothing"
        lines.append(f"| {one.assignment.title} (`{one.name}`) | {titles} |")
    for data in {d.loader: d for found in read.values() for d in found}.values():
        lines += [
            "",
            f"## {data.title}",
            "",
            f"- What: {data.what}",
            f"- From: {data.source}",
            f"- Licence: {data.licence}",
            f"- Without network and files: {data.stand_in}",
        ]
    return "\n".join(lines) + "\n"


def datasets_of(course: Course, one: Built) -> list[DataSet]:
    """The data behind the loaders that an assignment gives to its students.

    Raises:
        CourseError: a loader of whose data course.toml says nothing.
    """
    found = []
    for given in one.outline.objects:
        if not given.name.startswith("load_"):
            continue
        if given.name not in course.data:
            raise CourseError(
                f"course.toml: says nothing of the data behind {given.dotted}, which {one.name} "
                f"reads; add a table [data.{given.name}]"
            )
        found.append(course.data[given.name])
    return sorted(found, key=lambda data: data.title)


def requirements(built: list[Built]) -> str:
    """What pip must install to run the notebooks, with the course's own lower bounds."""
    roots = set()
    for one in built:
        for cell in loads(one.release)["cells"]:
            if cell["cell_type"] == "code":
                roots |= {found.root for found in imports_of(ast.parse(cell["source"]))}
    third_party = {PIP_NAMES.get(root, root) for root in roots - sys.stdlib_module_names - OURS}
    bounds = declared_bounds()
    wanted = {name for name in third_party | {"ipywidgets"} if name}
    lines = {f"{name}{bounds.get(name, '')}" for name in wanted} | {"jupyterlab>=4.2"}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def declared_bounds() -> dict[str, str]:
    """The bounds on each package that this project declares, from pyproject or as installed."""
    project = _project_folder() / "pyproject.toml"
    if project.is_file():
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        try:
            declared = metadata.requires("vae-course") or []
        except metadata.PackageNotFoundError:
            declared = []
    bounds = {}
    for line in declared:
        plain = line.partition(";")[0].replace(" ", "")
        name = plain.partition("[")[0]
        for mark in "<>=!~":
            name = name.partition(mark)[0]
        bounds[name] = plain[len(name) :]
    return bounds


def licence_text() -> str | None:
    """The project's licence, if it can be found: in the checkout, or as installed."""
    here = _project_folder() / "LICENSE"
    if here.is_file():
        return here.read_text(encoding="utf-8")
    try:
        files = metadata.files("vae-course") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "LICENSE":
            return file.read_text(encoding="utf-8")
    return None


def _project_folder() -> Path:
    return Path(__file__).resolve().parents[2]
