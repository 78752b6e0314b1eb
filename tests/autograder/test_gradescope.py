"""The archive for Gradescope, run in Gradescope's layout: a container without the checkout."""

import copy
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from plain import (
    OURS,
    answer,
    answered,
    checks,
    hidden,
    notebook,
    question,
    scheme,
    solution,
    write_course,
)
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import Course
from autograder.gradescope import harness
from autograder.gradescope.results import results, titles_of
from autograder.grading import engine
from autograder.sandbox.outside import problem

ROOT = Path(__file__).parents[2]
SANDBOX = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="another account takes root")

# What Gradescope documents: the keys of results.json, of its tests, and their types.
# https://gradescope-autograders.readthedocs.io/en/latest/specs/
TOP = {
    "score": (int, float),
    "execution_time": (int, float),
    "output": str,
    "output_format": str,
    "test_output_format": str,
    "test_name_format": str,
    "visibility": str,
    "stdout_visibility": str,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
TEST = {
    "score": (int, float),
    "max_score": (int, float),
    "status": str,
    "name": str,
    "name_format": str,
    "number": str,
    "output": str,
    "output_format": str,
    "tags": list,
    "visibility": str,
    "extra_data": dict,
}
CHOICES = {
    "status": {"passed", "failed"},
    "visibility": {"hidden", "after_due_date", "after_published", "visible"},
    "format": {"text", "html", "simple_format", "md", "ansi"},
}


def check_documented(found: dict) -> None:
    """Whether Gradescope can read it, and will take nothing in it for HTML."""
    assert set(found) <= set(TOP)
    for place, schema in [(found, TOP), *((test, TEST) for test in found["tests"])]:
        for key, value in place.items():
            assert isinstance(value, schema[key]) and not isinstance(value, bool), key
            if choices := CHOICES.get(key.split("_")[-1]):
                assert value in choices, key
    assert all(found[f"{name}output_format"] == "text" for name in ("", "test_"))
    assert found["test_name_format"] == "text" and found["stdout_visibility"] == "hidden"
    assert found["output"] or found["tests"]
    if "score" in found:
        scores = [test for test in found["tests"] if "max_score" in test]
        assert sum(test["score"] for test in scores) == pytest.approx(found["score"])


def course(folder: Path) -> Path:
    """A course whose notebook is graded in the sandbox, without the course's own judge."""
    source = notebook(
        nbformat.v4.new_markdown_cell("# Numbers\n\n## Twice as much"),
        answer("double_answer", solution("def double(x):\n    return 2 * x")),
        checks("double", 2, "assert double(2) == 4\n" + hidden("assert double(21) == 42, '42'")),
        nbformat.v4.new_markdown_cell("## One <b>more</b>"),
        answer("more_answer", solution("def more(x):\n    return x + 1")),
        checks("more", 3, "assert more(1) == 2, 'not one more'"),
        nbformat.v4.new_markdown_cell("## In words"),
        question("why", 4, "Your answer\n" + scheme("it is secret")),
    )
    student = {"Zoe Secretname": notebook(*copy.deepcopy(source.cells))}
    return write_course(folder, source, student, OURS)


RIGHT = {
    "double_answer": "def double(x):\n    return 2 * x",
    "more_answer": "def more(x):\n    return x + 1",
    "why": "Because.",
}
HALF = RIGHT | {"more_answer": "def more(x):\n    return x"}


def released(folder: Path) -> nbformat.NotebookNode:
    """What students get."""
    made = nbformat.read(folder / "source" / "plain" / "plain.ipynb", as_version=4)
    for cell in made.cells:
        if "HIDDEN" in cell.source:
            cell.source = cell.source.split("\n###")[0]
    return made


def make(folder: Path, out: Path, assignment: str = "plain", *options: str) -> str:
    """Make the archive, and give what the command printed."""
    command = ["gradescope", assignment, str(out), "--course", str(folder), *options]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """An archive of the course of numbers."""
    folder = course(tmp_path_factory.mktemp("course"))
    make(folder, folder / "plain.zip")
    return folder / "plain.zip"


def unpacked(archive: Path, root: Path, submission: dict[str, str]) -> Path:
    """What Gradescope makes of an archive and a submission, but for what setup.sh installs."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            path = Path(packed.extract(entry, root / "source"))
            path.chmod(stat.S_IMODE(entry.external_attr >> 16))
    for name in ("results", "submission", "venv"):
        (root / name).mkdir()
    for name, content in submission.items():
        (root / "submission" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "submission" / name).write_text(content)
    script = root / "source" / "run_autograder"
    (root / "run_autograder").write_bytes(script.read_bytes())
    (root / "run_autograder").chmod(script.stat().st_mode)
    people = [{"email": "zoe@example.com", "id": 1234, "name": "Zoe Secretname"}]
    about = {"id": 1, "users": people, "previous_submissions": []}
    (root / "submission_metadata.json").write_text(json.dumps(about))
    return root


def contained(root: Path, seed: int | None = None, walls: bool = True) -> list[str]:
    """The command that runs a folder as /autograder, with no network and nothing of the checkout.

    Args:
        root: the folder.
        seed: of the judge's inputs.
        walls: whether the container has bubblewrap.
    """
    accounts = root.parent / f"{root.name}-accounts"
    accounts.mkdir(exist_ok=True)
    (accounts / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nstudent:x:1234:1234::/nowhere:/bin/sh\n"
    )
    (accounts / "group").write_text("root:x:0:\nstudent:x:1234:\n")
    command = ["bwrap", "--die-with-parent", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    if os.geteuid() != 0:
        command += ["--unshare-user", "--uid", "0", "--gid", "0"]
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc"):
        place = Path("/", name)
        if place.is_symlink():
            command += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            command += ["--ro-bind", str(place), str(place)]
    for name in ("passwd", "group"):
        command += ["--ro-bind", str(accounts / name), f"/etc/{name}"]
    command += ["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--bind", "/sys", "/sys"]
    command += ["--perms", "1777", "--tmpfs", "/tmp", "--dir", "/root"]
    if not sys.base_prefix.startswith("/usr"):
        command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    command += ["--bind", str(root), "/autograder", "--ro-bind", sys.prefix, "/autograder/venv"]
    command += [
        "--ro-bind",
        sys.prefix,
        sys.prefix,
    ]  # its scripts name it; no package of ours in it
    if not walls:
        command += ["--ro-bind", "/bin/false", "/usr/bin/bwrap"]
    command += ["--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"]
    command += ["--setenv", "HOME", "/root", "--setenv", "OMP_NUM_THREADS", "1"]
    if seed is not None:
        command += ["--setenv", "AUTOGRADER_SEED", str(seed)]
    return [*command, "--chdir", "/autograder", "/autograder/run_autograder"]


def run(root: Path, **options: object) -> tuple[dict, subprocess.CompletedProcess]:
    """Run a submission as Gradescope does."""
    done = subprocess.run(contained(root, **options), capture_output=True, text=True, timeout=900)
    found = root / "results" / "results.json"
    assert found.exists(), done.stdout + done.stderr
    read = json.loads(found.read_text())
    check_documented(read)
    return read, done


def test_the_archive_has_what_gradescope_asks_for_and_the_same_bytes_each_time(made, tmp_path):
    said = make(made.parent, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == made.read_bytes()
    assert "5 autograder points" in said and "the other 4" in said
    with zipfile.ZipFile(made) as packed:
        modes = {entry.filename: entry.external_attr >> 16 for entry in packed.infolist()}
        assert modes["setup.sh"] == modes["run_autograder"] == 0o100755
        names = set(modes)
        everything = b"".join(packed.read(name) for name in names)
    assert {"course/source/plain/plain.ipynb", "packages/autograder/judge.py"} <= names
    assert "packages/vae_course/vae.py" in names
    assert not [name for name in names if "test" in Path(name).parts or ".pyc" in name]
    assert not [name for name in names if name.split("/")[0] in ("tests", "submitted", "docs")]
    assert b"Secretname" not in everything and str(made.parent).encode() not in everything


def test_the_scripts_are_sound_and_this_environment_is_what_they_install(made, tmp_path):
    with zipfile.ZipFile(made) as packed:
        packed.extractall(tmp_path)
    for name in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", tmp_path / name], check=True)
    assert "{{" not in (tmp_path / "setup.sh").read_text()
    listed = (tmp_path / "requirements.txt").read_text().splitlines()
    needs = [Requirement(line) for line in listed if not line.startswith("--")]
    assert {"torch", "nbgrader", "ipykernel"} <= {need.name for need in needs}
    assert "pytest" not in {need.name for need in needs}
    for need in needs:
        assert need.specifier.contains(version(need.name), prereleases=True), need
    pins = [line.split("==") for line in (tmp_path / "constraints.txt").read_text().splitlines()]
    assert {need.name for need in needs} <= {name for name, _ in pins}
    assert len(pins) > 60 and all(Version(pin).public == pin for _, pin in pins)
    assert all(Version(version(name)).public == pin for name, pin in pins)


@SANDBOX
@pytest.mark.long
def test_a_submission_gets_the_scores_that_grading_gives(made, tmp_path):
    folder = made.parent
    text = nbformat.writes(answered(released(folder), **HALF))
    graded = course(tmp_path / "class")
    (graded / "submitted" / "Zoe Secretname" / "plain" / "plain.ipynb").write_text(text)
    command = ["grade", "plain", "--course", str(graded), "--jobs", "1"]
    CliRunner().invoke(app, command, catch_exceptions=False)
    (entry,) = json.loads((graded / "verdicts.json").read_text())
    found, done = run(unpacked(made, tmp_path / "autograder", {"plain.ipynb": text}))
    assert done.returncode == 0, done.stdout + done.stderr
    double, more, why = found["tests"]
    parts = {part["id"]: part for part in entry["exercises"]}
    assert found["score"] == entry["score"] == 2
    assert (double["score"], more["score"]) == (parts["double"]["score"], parts["more"]["score"])
    assert (double["max_score"], more["max_score"]) == (2, 3)
    assert (double["status"], more["status"]) == ("passed", "failed")
    assert double["name"] == "Twice as much (double)" and "One <b>more</b>" in more["name"]
    assert "not one more" in more["output"]
    assert "score" not in why and "person" in why["output"] and "4 points" in why["output"]
    assert found["extra_data"]["engine"] == entry["engine"] == engine()
    assert found["extra_data"]["isolation"] == "sandbox"
    everything = json.dumps(found) + done.stdout
    for hidden_text in ("it is secret", "double(21)", "Secretname", "zoe@"):
        assert hidden_text not in everything


def test_without_a_sandbox_there_is_no_score_and_an_instructor_reads_why(made, tmp_path):
    root = unpacked(made, tmp_path / "autograder", {"plain.ipynb": "{}"})
    found, done = run(root, walls=False)
    assert done.returncode == 1
    assert "score" not in found and found["tests"] == []
    assert "no fault of yours" in found["output"] and "sandbox" not in json.dumps(found)
    assert "this container has no sandbox" in done.stdout and "--isolation process" in done.stdout


def test_where_python_never_runs_there_are_results_all_the_same(made, tmp_path):
    root = unpacked(made, tmp_path / "autograder", {"plain.ipynb": "{}"})
    (root / "source" / "packages" / "autograder" / "__init__.py").write_text("import nothing_such")
    found, done = run(root)
    assert done.returncode != 0 and "score" not in found
    assert "no fault of yours" in found["output"] and "left no results" in done.stdout


PRY = """
import os
from pathlib import Path
def double(x):
    return 2 * x
def tried(what):
    try:
        what()
    except OSError:
        return 0
    return 1
def more(x):
    places = ("results/results.json", "source/course/source/plain/plain.ipynb",
              "submission/plain.ipynb", "submission_metadata.json")
    read = [tried(Path("/autograder", place).read_bytes) for place in places]
    wrote = tried(lambda: Path("/autograder/results/results.json").write_text("{}"))
    here = tried(lambda: Path("mine").write_text("mine")) + tried(Path("mine").read_bytes)
    assert here == 2, "it can not write where it is"
    assert os.getuid() == 1234 and not any(read) and not wrote, (os.getuid(), read, wrote)
    return x + 1
"""


@AS_ROOT
@pytest.mark.long
def test_in_another_account_a_notebook_reaches_neither_results_nor_source(made, tmp_path):
    archive = tmp_path / "process.zip"
    said = make(made.parent, archive, "plain", "--isolation", "process")
    assert "who looks for answers finds them" in said
    answers = RIGHT | {"double_answer": PRY, "more_answer": "pass"}
    text = nbformat.writes(answered(released(made.parent), **answers))
    root = unpacked(archive, tmp_path / "autograder", {"plain.ipynb": text, "data/mine.txt": "1"})
    (root / "results" / "results.json").write_text("{}")
    found, done = run(root, walls=False)
    assert found["score"] == 5, (found, done.stdout)
    assert found["extra_data"]["isolation"] == "process"
    assert "code ran in the account student" in done.stdout


# What students hand in. Run here, where the sandbox stays warm.


@pytest.fixture
def hand_in(made, tmp_path) -> Iterator:
    """Unpack, put a submission there, and give its results, and what instructors see."""

    def graded(submission: dict[str, str], capsys: pytest.CaptureFixture) -> tuple[dict, str]:
        root = unpacked(made, tmp_path / "autograder", submission)
        code = harness.main(root)
        found = json.loads((root / "results" / "results.json").read_text())
        check_documented(found)
        assert code == ("score" not in found)
        return found, capsys.readouterr().out

    yield graded


@SANDBOX
@pytest.mark.parametrize("name", ["plain/plain.ipynb", "Zoë (1).IPYNB"])
def test_a_notebook_is_found_by_whatever_name_it_has(made, hand_in, capsys, name):
    text = nbformat.writes(answered(released(made.parent), **RIGHT))
    others = {"__MACOSX/._plain.ipynb": "x", ".ipynb_checkpoints/plain-checkpoint.ipynb": "{}"}
    found, _ = hand_in({name: text, "notes.txt": "notes"} | others, capsys)
    assert found["score"] == 5
    renamed = Path(name).name != "plain.ipynb"
    assert (f"{Path(name).name} was graded as plain.ipynb" in found["output"]) == renamed


@SANDBOX
def test_what_lies_beside_a_notebook_comes_along_and_other_notebooks_do_not(made, hand_in, capsys):
    read = "def more(x):\n    from pathlib import Path\n    return x + int(Path('one').read_text())"
    text = nbformat.writes(answered(released(made.parent), **RIGHT | {"more_answer": read}))
    found, _ = hand_in({"plain.ipynb": text, "one": "1", "draft.ipynb": "{}"}, capsys)
    assert found["score"] == 5 and "Not looked at: draft.ipynb." in found["output"]


@pytest.mark.parametrize(
    ("submission", "told"),
    [
        ({}, "You handed in no notebook, but nothing. Hand in plain.ipynb."),
        ({"plain.py": "x = 1"}, "You handed in no notebook, but plain.py."),
        ({"a.ipynb": "{}", "b.ipynb": "{}"}, "There are a.ipynb, b.ipynb. Hand in only plain."),
        ({"a/plain.ipynb": "{}", "b/plain.ipynb": "{}"}, "There are a/plain.ipynb, b/plain.ipynb"),
    ],
)
def test_nothing_to_grade_is_a_zero_that_says_what_to_hand_in(hand_in, capsys, submission, told):
    found, out = hand_in(submission, capsys)
    (test,) = found["tests"]
    assert (found["score"], test["max_score"], test["status"]) == (0, 5, "failed")
    assert told in test["output"] and "nothing to grade" in out


@SANDBOX
def test_a_file_that_is_no_notebook_is_told_and_earns_nothing(hand_in, capsys):
    found, _ = hand_in({"plain.ipynb": "I worked on this all weekend"}, capsys)
    (test,) = found["tests"]
    assert found["score"] == test["score"] == 0 and test["max_score"] == 5
    assert "plain.ipynb: is not a notebook (it is not JSON)" in test["output"]
    assert "/tmp" not in test["output"]


@SANDBOX
def test_a_notebook_of_another_assignment_is_graded_and_told(hand_in, capsys):
    other = notebook(answer("other_answer", "x = 1"), checks("other", 1, "assert x == 1"))
    found, _ = hand_in({"plain.ipynb": nbformat.writes(other)}, capsys)
    assert found["score"] == 0 and len(found["tests"]) == 3
    assert "None of plain's cells is in this notebook." in found["output"]
    assert "put back before grading" in found["output"]


def test_a_fault_of_the_graders_own_takes_every_score_away():
    part = {"kind": "machine", "criteria": [], "seed": 1, "misconception": None}
    right = part | {"id": "a", "score": 2.0, "max_score": 2.0, "verdict": "pass", "message": "Yes."}
    ours = part | {"id": "b", "score": 0.0, "max_score": 3.0, "message": "Ours, not yours."}
    ours["verdict"] = "grader_error"
    entry = {name: "" for name in ("assignment", "seed", "engine", "isolation", "message")}
    entry |= {"status": "grader_error", "tampered": [], "exercises": [right, ours]}
    found = results(entry, {})
    check_documented(found)
    assert "score" not in found and not any("score" in test for test in found["tests"])
    assert "no fault of yours" in found["output"] and "Ours" in found["tests"][1]["output"]


def test_titles_are_the_headings_that_exercises_stand_under(made):
    sources = Course(made.parent).source_notebooks("plain")
    wanted = {"double": "Twice as much", "more": "One <b>more</b>", "why": "In words"}
    assert titles_of(sources) == wanted


def test_a_wrong_command_is_told(made, tmp_path):
    command = ["gradescope", "nothing", str(tmp_path / "x.zip"), "--course", str(made.parent)]
    done = CliRunner().invoke(app, command)
    assert "no such assignment" in str(done.exception) and not (tmp_path / "x.zip").exists()


@SANDBOX
@pytest.mark.long
def test_the_courses_own_assignment_scores_as_in_a_class_from_the_same_seed(tmp_path):
    source = nbformat.read(ROOT / "source" / "ps2" / "ps2.ipynb", as_version=4)
    wrong = "def gaussian_kl(mu, log_var):\n    return -0.5 * (1 + log_var - mu**2).sum(-1)"
    handed_in = answered(source, ps2_kl_answer=wrong)
    folder = write_course(tmp_path / "course", source, {"ada": handed_in}, OURS, "ps2")
    file = folder / "submitted" / "ada" / "ps2" / "ps2.ipynb"
    command = [sys.executable, "-m", "autograder.cli", "grade", "ps2", "--seed", "5"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (entry,) = json.loads((folder / "verdicts.json").read_text())
    make(folder, tmp_path / "ps2.zip", "ps2")
    root = unpacked(tmp_path / "ps2.zip", tmp_path / "autograder", {"ps2.ipynb": file.read_text()})
    found, done = run(root, seed=5)
    assert done.returncode == 0, done.stdout
    machine = {part["id"]: part for part in entry["exercises"] if part["kind"] == "machine"}
    scored = {test["extra_data"]["id"]: test for test in found["tests"] if "score" in test}
    assert {id: test["score"] for id, test in scored.items()} == {
        id: part["score"] for id, part in machine.items()
    }
    assert found["score"] > 20
    assert machine["ps2_kl"]["message"] in scored["ps2_kl"]["output"]
    assert found["extra_data"]["seed"] == entry["seed"] == 5
