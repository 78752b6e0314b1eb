"""The command line: exit codes that a cron job can rely on, and one line for what went wrong."""

import json
import signal
import subprocess
import sys
import time

import pytest

from autograder import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command as a shell would; gives its exit code, what it printed, and its errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autograder", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return call


def test_a_class_of_which_each_file_got_a_verdict_ends_with_0(run, tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    tiny_course.hand_in("ben", tiny_course.solved(tiny_half="import os\nos._exit(1)"))
    code, out, err = run("grade", "tiny", "--course", tiny_course.root, "--timeout", 5)
    assert (code, err) == (0, "")
    assert "9/9" in out and "crashed" in out and "1 double (3)" in out
    code, out, err = run("feedback", "tiny", "--course", tiny_course.root)
    assert code == 0 and err == ""
    assert out.split() == [
        str(tiny_course.root / "feedback" / student / "tiny" / "tiny.html")
        for student in ("ada", "ben")
    ]


def test_one_file_that_can_not_be_graded_ends_with_1_and_the_others_are_graded(run, tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    tiny_course.hand_in("eve", "no notebook")
    target = tiny_course.root / "out.json"
    code, out, _ = run("grade", "tiny", "--course", tiny_course.root, "--json", target)
    assert code == 1
    assert "submitted/eve/tiny/tiny.ipynb: is not a notebook" in out.replace("\n", "")
    found = {entry["student"]: entry["score"] for entry in json.loads(target.read_text())}
    assert found == {"ada": 9, "eve": 0}
    assert run("grade", "tiny", "--course", tiny_course.root, "--student", "ada")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("grade", "ps9"), 2, "error: ps9: no such assignment"),
        (("grade", "tiny"), 2, "error: nobody handed in tiny"),
        (("feedback", "tiny"), 2, "error: nobody handed in tiny"),
        (("grade", "../../etc"), 2, "no such assignment"),
    ],
)
def test_a_wrong_command_ends_with_its_code_and_one_line(run, tiny_course, arguments, code, told):
    found, out, err = run(*arguments, "--course", tiny_course.root)
    assert (found, out) == (code, "")
    assert told in err and err.count("\n") == 1
    assert not (tiny_course.root / "verdicts.json").exists()


def test_folders_that_are_missing_or_taken_are_told(run, tmp_path):
    code, _, err = run("grade", "ps2", "--course", tmp_path / "nowhere")
    assert code == 2 and "nowhere: no such folder" in err
    (tmp_path / "file").write_text("")
    code, _, err = run("demo", "--course", tmp_path)
    assert code == 2 and "new or empty" in err
    code, _, err = run("grade", "ps2", "--timeout", 0)
    assert code == 2 and "Traceback" not in err


def test_help_comes_at_once_and_needs_no_nbgrader():
    code = "import sys; sys.argv = ['autograder', '--help']\nfrom autograder import cli\n"
    code += "try: cli.main()\nexcept SystemExit: print('nbgrader' in sys.modules)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "grade" in done.stdout and "feedback" in done.stdout and "demo" in done.stdout
    assert done.stdout.split()[-1] == "False"
    assert time.monotonic() - start < 20


@pytest.mark.long
def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(run, tiny_course):
    endless = "while True:\n    pass"
    tiny_course.hand_in("ada", tiny_course.solved())
    tiny_course.hand_in("ben", tiny_course.solved(tiny_half=endless))
    command = [sys.executable, "-m", "autograder.cli", "grade", "tiny"]
    grading = subprocess.Popen(
        [*command, "--course", str(tiny_course.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets its background jobs ignore Ctrl-C, and what a test starts may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    executing = tiny_course.root / "autograded" / "ben" / "tiny" / "tiny.ipynb"
    deadline = time.monotonic() + 60
    while not executing.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    grading.send_signal(signal.SIGINT)
    _, err = grading.communicate(timeout=60)
    assert grading.returncode == 130
    assert err.startswith("error: stopped;") and "Traceback" not in err
    assert not executing.exists()
    path = tiny_course.root / "verdicts.json"
    assert [entry["student"] for entry in json.loads(path.read_text())] == ["ada"]
    assert run("grade", "tiny", "--course", tiny_course.root, "--timeout", 3)[0] == 0
    found = {entry["student"]: entry["score"] for entry in json.loads(path.read_text())}
    assert found == {"ada": 9, "ben": 7}
