"""Where runs are kept: on a disk, on a Drive that stands in for Google's, or wherever it can be."""

import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from vae_course import storage
from vae_course.storage import storage_folder


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(storage, "DRIVE", tmp_path / "content" / "drive")


@pytest.fixture
def colab(monkeypatch):
    """Colab's module, up to the call that mounts: `answer` is what the call does."""
    asked = []
    module = types.ModuleType("google.colab")
    module.drive = types.SimpleNamespace(answer=lambda: None, asked=asked)

    def mount(mountpoint, force_remount=False, timeout_ms=120000):
        asked.append((mountpoint, timeout_ms))
        module.drive.answer()

    module.drive.mount = mount
    google = types.ModuleType("google")
    google.colab = module
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return module.drive


def test_runs_by_default_made_if_missing(tmp_path, capfd, colab):
    assert storage_folder().resolve() == tmp_path / "runs"
    assert (tmp_path / "runs").is_dir() and not list((tmp_path / "runs").iterdir())
    (tmp_path / "runs" / "kept.pt").write_text("here")
    assert (storage_folder() / "kept.pt").read_text() == "here"
    assert capfd.readouterr() == ("", "") and colab.asked == []


def test_outside_colab_a_line_says_that_there_is_no_drive(tmp_path, capfd):
    assert storage_folder(use_drive=True).resolve() == tmp_path / "runs"
    out = capfd.readouterr().out
    assert "Google Drive is not used" in out and "Colab" in out and out.count("\n") == 1


def test_a_drive_that_mounts_is_used(tmp_path, capfd, colab):
    drive = tmp_path / "content" / "drive"
    colab.answer = lambda: (drive / "MyDrive").mkdir(parents=True)
    assert storage_folder(use_drive=True, name="mine") == drive / "MyDrive" / "mine"
    assert (drive / "MyDrive" / "mine").is_dir()
    assert [place for place, _ in colab.asked] == [str(drive)]
    assert colab.asked[0][1] <= 120_000  # it does not wait for ever
    storage_folder(use_drive=True)
    assert len(colab.asked) == 1  # once mounted, nobody is asked again
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ValueError("mount failed"), RuntimeError("credentials\nmore")])
def test_a_drive_that_is_refused_or_times_out_is_done_without(tmp_path, capfd, colab, error):
    def fails():
        raise error

    colab.answer = fails
    assert storage_folder(use_drive=True).resolve() == tmp_path / "runs"
    out = capfd.readouterr().out
    assert str(error).split()[0] in out and "./runs" in out and out.count("\n") == 1


def test_a_mount_that_mounts_nothing_is_noticed(tmp_path, capfd, colab):
    assert storage_folder(use_drive=True).resolve() == tmp_path / "runs"
    assert "nothing was mounted" in capfd.readouterr().out


def test_while_grading_nothing_is_asked_and_nothing_is_kept(tmp_path):
    """A process of its own, for the folder is to go when the process does."""
    code = (
        "from vae_course.storage import storage_folder; folder = storage_folder(use_drive=True);"
        "(folder / 'model.pt').write_text('heavy'); print(folder)"
    )
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "TMPDIR": str(tmp_path)}
    root = str(Path(storage.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip())
    assert folder.parent == tmp_path and folder.name.startswith("vae-course-")
    assert list(tmp_path.iterdir()) == []


def test_where_runs_can_not_be_made_another_folder_is_found(tmp_path, monkeypatch, capfd):
    (tmp_path / "runs").write_text("a file is in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    os.mkdir(tmp_path / "elsewhere")
    assert storage_folder(name="mine") == tmp_path / "elsewhere" / "mine"
    assert "runs: cannot be written" in capfd.readouterr().out
    (tmp_path / "elsewhere" / "mine").rmdir()
    (tmp_path / "elsewhere" / "mine").write_text("and here too")
    with pytest.raises(RuntimeError, match="disk space"):
        storage_folder(name="mine")
