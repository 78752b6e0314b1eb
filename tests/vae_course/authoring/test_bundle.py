"""What goes public: the notebooks and their notes, nothing else, whole or not at all."""

import json
import subprocess

import pytest

from vae_course.authoring import bundle as module
from vae_course.authoring.bundle import MARKER, bundle_files, datasets_of, write_bundle
from vae_course.authoring.course import load_course
from vae_course.errors import CourseError, UsageError


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def test_it_holds_releases_notes_and_nothing_else(tiny, tmp_path):
    out = tmp_path / "out"
    paths = write_bundle(out)
    assert paths == sorted(content(out)) == sorted(
        [MARKER, "DATA.md", "LICENSE", "README.md", "requirements.txt"]
        + ["ps1/ps1.ipynb", "ps2/ps2.ipynb"]
    )  # fmt: skip
    assert (out / "ps1/ps1.ipynb").read_text() == tiny.build("ps1").release
    everything = b"".join(content(out).values())
    for secret in (b"SOLUTION", b"HIDDEN", b"circumference", b"self.scaled", b"partial(_scale"):
        assert secret not in everything
    assert load_course().source_repository.encode() not in everything


def test_upto_publishes_what_is_out(tiny, tmp_path):
    write_bundle(tmp_path / "out", "ps1")
    found = content(tmp_path / "out")
    assert "ps1/ps1.ipynb" in found and "ps2/ps2.ipynb" not in found
    assert b"ps2" not in found["README.md"] + found["DATA.md"] + found[MARKER.removeprefix("./")]
    with pytest.raises(UsageError, match="no assignment ps9"):
        write_bundle(tmp_path / "other", "ps9")
    assert not (tmp_path / "other").exists()


def test_the_same_bundle_twice(tiny, tmp_path):
    write_bundle(tmp_path / "a")
    write_bundle(tmp_path / "b")
    write_bundle(tmp_path / "a")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_readme_has_each_assignment_with_points_and_badge(tiny):
    readme = bundle_files()["README.md"]
    row = next(line for line in readme.splitlines() if "Tiny one" in line)
    assert "| 7 | 2 | 5 |" in row and load_course().badge("ps1") in row


def test_a_new_bundle_replaces_an_earlier_one_and_keeps_its_git(tiny, tmp_path):
    out = tmp_path / "out"
    write_bundle(out)
    subprocess.run(["git", "init", "-q", str(out)], check=True)
    head = (out / ".git" / "HEAD").read_text()
    write_bundle(out, "ps1")
    assert "ps2/ps2.ipynb" not in content(out)
    assert (out / ".git" / "HEAD").read_text() == head
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda out: (out / "README.md").write_text("mine"), "changed by hand"),
        (lambda out: (out / "notes.txt").write_text("mine"), "not put there by a bundle"),
        (lambda out: (out / MARKER).unlink(), "no earlier bundle"),
        (lambda out: (out / MARKER).write_text("[]"), "is damaged"),
    ],
)
def test_what_no_bundle_wrote_is_left_alone(tiny, tmp_path, spoil, words):
    out = tmp_path / "out"
    write_bundle(out)
    spoil(out)
    before = content(out)
    with pytest.raises(UsageError, match=words) as caught:
        write_bundle(out, "ps1")
    assert caught.value.exit_code == 2
    assert content(out) == before


def test_a_file_in_the_way_is_left_alone(tiny, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(UsageError, match="is no folder"):
        write_bundle(tmp_path / "out")


def test_an_assignment_that_can_not_be_built_leaves_the_old_bundle(tiny, tmp_path):
    out = tmp_path / "out"
    write_bundle(out)
    before = content(out)
    tiny.change("ps2.md", "solution: tinyref.shapes.Shape", "solution: tinyref.shapes.Shap")
    with pytest.raises(CourseError, match="did you mean Shape"):
        write_bundle(out)
    assert content(out) == before


def test_what_would_show_a_solution_is_not_published(tiny, tmp_path):
    tiny.change("ps1.md", "Goals.", "Hint: `square * (RIGHT - LEFT) + 0.0 * twice(radius) - 1`.")
    tiny.change("tinyref/maths.py", "square * (RIGHT - LEFT) + 0.0 * twice(radius)",
                "(square * (RIGHT - LEFT) + 0.0 * twice(radius) - 1)")  # fmt: skip
    with pytest.raises(CourseError, match=r"ps1_area \(ps1\) asks for.*mend it first"):
        write_bundle(tmp_path / "out")
    assert list(tmp_path.glob("out*")) == []


def test_a_failure_at_the_last_moment_puts_everything_back(tiny, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_bundle(out)
    subprocess.run(["git", "init", "-q", str(out)], check=True)
    before = content(out)
    rename, calls = module.os.rename, []

    def fail_on_the_new_one(old, new):
        calls.append(new)
        if str(old).endswith("/new"):
            raise OSError(28, "No space left on device")
        rename(old, new)

    monkeypatch.setattr(module.os, "rename", fail_on_the_new_one)
    with pytest.raises(CourseError, match="No space left") as caught:
        write_bundle(out, "ps1")
    assert "\n" not in str(caught.value) and calls
    assert content(out) == before and (out / ".git" / "HEAD").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_data_note_knows_what_each_real_assignment_reads():
    from vae_course.authoring.build import build_assignment

    course = load_course()
    assert [data.title for data in datasets_of(course, build_assignment("ps1"))] == ["MNIST"]


def test_data_of_which_nothing_is_known_is_an_error(tiny):
    tiny.write("tinyref/clouds.py", "def load_clouds():\n    return []\n")
    tiny.change("ps1.md", "given: tinyref.maths.twice",
                "given: [tinyref.maths.twice, tinyref.clouds.load_clouds]")  # fmt: skip
    with pytest.raises(CourseError, match=r"tinyref.clouds.load_clouds.*\[data.load_clouds\]"):
        bundle_files()


def test_requirements_name_what_notebooks_import_with_the_projects_bounds():
    lines = bundle_files()["requirements.txt"].splitlines()
    names = {line.partition(">")[0] for line in lines}
    assert {"torch", "torchvision", "scikit-learn", "matplotlib", "jupyterlab"} <= names
    assert not names & {"sklearn", "vae-course", "vae_course", "os"}
    assert "torch>=2.6" in lines


def test_the_marker_lists_every_file(tiny, tmp_path):
    write_bundle(tmp_path / "out")
    listed = json.loads((tmp_path / "out" / MARKER).read_text())["files"]
    assert set(listed) | {MARKER} == set(content(tmp_path / "out"))
