"""The command `vae-course`, as a person calls it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vae_course import cli

ROOT = Path(__file__).parents[2]


def call(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "vae_course.cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def inside(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run `main` in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["vae-course", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    return caught.value.code or 0, said.out, said.err


def test_help_is_quick_and_lists_the_commands():
    started = time.monotonic()
    done = call("--help")
    assert done.returncode == 0
    for command in ("build", "verify", "bundle", "train", "evaluate", "doctor"):
        assert command in done.stdout
    assert time.monotonic() - started < 10  # it imports no torch; generous for a busy machine


def test_help_imports_neither_torch_nor_nbgrader():
    code = "import sys, vae_course.cli; print({'torch', 'nbgrader', 'jupytext'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_build_check_and_build_again(tmp_path, monkeypatch, capsys):
    course = ["--course", str(tmp_path)]
    code, _, err = inside(monkeypatch, capsys, "build", "ps1", "--check", *course)
    assert code == 1
    assert len(err.splitlines()) == 2 and all(": missing; run" in x for x in err.splitlines())
    assert list(tmp_path.iterdir()) == []
    code, out, _ = inside(monkeypatch, capsys, "build", "ps1", *course)
    assert (code, out.count("wrote ")) == (0, 2)
    assert inside(monkeypatch, capsys, "build", "ps1", "--check", *course)[0] == 0
    code, out, _ = inside(monkeypatch, capsys, "build", "ps1", *course)
    assert (code, out) == (0, "ps1: up to date\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["build", "ps9"], 2, ["no assignment ps9", "known: ps1, ps2"]),
        (["build", "--course", "/nowhere/at/all"], 2, ["/nowhere/at/all: there is no such folder"]),
        (["verify", "ps1", "--course", "."], 1, ["source/ps1/ps1.ipynb: missing"]),
        (["bundle", "/tmp", "--upto", "ps1"], 2, ["holds files that are no earlier bundle"]),
        (["train", "vae", "--data", "/nowhere"], 2, ["/nowhere: there is no such folder"]),
        (["train", "celeba", "--beta", "2"], 2, ["celeba: has no beta to choose"]),
        (["train", "vae", "--threshold"], 2, ["vae: --threshold and", "are for bernoulli"]),
        (["train", "vae", "--out", "x"], 1, ["x: cannot be made", "name another folder"]),
        (["evaluate", "runs/vae"], 1, ["runs/vae: not found", "the folder of a run"]),
        (["evaluate", "x", "--data", "/nowhere"], 2, ["/nowhere: there is no such folder"]),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    tmp_path, monkeypatch, capsys, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("")
    arguments = [str(tmp_path) if a == "/tmp" else a for a in arguments]
    got, out, err = inside(monkeypatch, capsys, *arguments)
    assert got == code
    assert out == "" and len(err.strip().splitlines()) == 1 and err.startswith("error: ")
    for word in words:
        assert word in err


def test_a_wrong_option_is_a_usage_error():
    done = call("build", "--chek")
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_an_unwritable_folder_is_one_line_without_traceback(tmp_path):
    (tmp_path / "source").write_text("in the way")
    done = call("build", "ps1", "--course", str(tmp_path))
    assert done.returncode == 1
    assert "cannot be" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "source").read_text() == "in the way"
    assert not (tmp_path / "release").exists()


def train_bernoulli(cwd: Path, *arguments: str) -> subprocess.Popen:
    """Start a training on scikit-learn's digits, which need neither network nor files."""
    return run_in(cwd, "train", "bernoulli", "--threshold", "--out", "run", *arguments)


def run_in(cwd: Path, *arguments: str) -> subprocess.Popen:
    (cwd / "data").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "vae_course.cli", *arguments],
        cwd=cwd,
        env={
            "PYTHONPATH": str(ROOT),
            "HOME": str(cwd),
            "OMP_NUM_THREADS": "1",
            # No proxy answers there, so a download fails at once, with a network or without.
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and what they start does so too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.long
def test_train_stopped_by_ctrl_c_and_resumed_is_one_run(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    options = ("--epochs", "40", "--importance-samples", "20")

    first = train_bernoulli(stopped, *options)
    history = stopped / "run" / "history.csv"
    deadline = time.monotonic() + 120
    while not history.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130, said
    assert "go on with --resume" in said and "Traceback" not in said
    assert 1 <= len(history.read_text().splitlines()) - 2 < 40

    again = train_bernoulli(stopped, *options)
    assert again.wait(60) == 2 and "holds a run already" in again.stderr.read()

    runs = [train_bernoulli(stopped, "--resume", *options), train_bernoulli(whole, *options)]
    printed = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    table = printed[0][printed[0].index("| ps3") :]
    assert table == printed[1][printed[1].index("| ps3") :]
    assert "held out, 40 epochs" in table and "log p(x), test images, 20 samples each: -" in table
    for name in ("history.csv", "settings.json", "samples.png", "reconstructions.png"):
        assert (stopped / "run" / name).read_bytes() == (whole / "run" / name).read_bytes()
    assert (whole / "run" / "curves.png").is_file()

    done = run_in(whole, "evaluate", "run").communicate(timeout=120)[0]
    assert "active units (of 100): " in done and "bits per number of the image" in done
    assert (whole / "run" / "dimensions.png").is_file()


def test_train_knows_its_five_systems():
    done = call("train", "gan")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for name in ("autoencoder", "vae", "bernoulli", "keras", "celeba"):
        assert name in done.stderr


def test_doctor_prints_versions(monkeypatch, capsys):
    from importlib import metadata

    code, out, _ = inside(monkeypatch, capsys, "doctor")
    assert code == 0
    assert metadata.version("torch") in out
