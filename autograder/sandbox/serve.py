"""The child's side of the conversation: runs cells, and answers the verbs of the student handle.

It shares its process with the student's code, so the judge believes nothing that it says.
"""

import marshal
import os
import random
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy
import torch

from autograder.sandbox.jail import HOME
from autograder.sandbox.shell import Shell, make_shell, run_cell
from autograder.sandbox.wire import Channel, Closed, WireError
from autograder.student import Gradients, InProcessStudent, StudentError, unchanged

VERBS = (
    *("has", "ref", "call", "fetch", "carries_graph", "gradients", "parameters", "state"),
    *("load_state", "modes", "set_training", "optimizer", "define", "on_gpu"),
)
"""Of `autograder.student.Student`."""

_shell: Shell


def warm_up() -> None:
    """Make the shell, and import what a first cell and a first message would."""
    global _shell
    _shell = make_shell()
    run_cell(_shell, "import matplotlib.pyplot as plt\nplt.figure().add_subplot()\nplt.show()")
    run_cell(_shell, "_")
    run_cell(_shell, "def f(x):\n    return 1 / x\nf(0)")  # a traceback's first needs a lot
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    _shell.reset(new_session=True)
    _shell.execution_count = 1
    _shell.remember_hooks()


def serve(end: socket.socket) -> None:
    """Answer until the judge hangs up."""
    sys.path[:] = ["", *(path for path in sys.path if path not in ("", "/"))]
    channel, desk, me = Channel(end), Desk(_shell), os.getpid()
    signal.signal(signal.SIGINT, desk.interrupted)
    while True:
        try:
            answer = desk.answer(channel.receive())
            if os.getpid() != me:
                os._exit(0)  # a cell forked, and this is not the one that was asked
            try:
                channel.send(answer)
            except (TypeError, WireError) as error:
                if isinstance(error, Closed):
                    raise
                words = f"The result cannot be looked at: {error}."  # nothing of it was sent
                channel.send({"error": _error("result", "", words)})
        except Closed:
            return


class Desk:
    """Answers messages, one at a time."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._busy = False
        self._exercise = ExitStack()
        self._student = InProcessStudent(shell.user_ns)

    def interrupted(self, signum: int, frame: Any) -> None:
        """The judge's interruption. It must end the student's code, and nothing of ours."""
        if self._busy:
            self._busy = False
            raise KeyboardInterrupt

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Do what a message says."""
        try:
            do = getattr(self, f"_do_{message['do']}")
            self._busy = True
            return {"value": do(message)}
        except StudentError as error:
            return {"error": vars(error)}
        except KeyboardInterrupt:
            return {"error": _error("timeout", "KeyboardInterrupt", "")}
        except (Exception, SystemExit) as error:
            return {"error": _error("error", type(error).__name__, str(error)[:300])}
        finally:
            self._busy = False

    def _do_cell(self, message: dict[str, Any]) -> Any:
        if message["graded"]:
            self._shell.reset_hooks()
        return run_cell(self._shell, message["source"])

    def _do_code(self, message: dict[str, Any]) -> Any:
        """Run code of the judge's, of which no text is to be had here."""
        exec(marshal.loads(message["code"].numpy().tobytes()), self._shell.user_ns)

    def _do_hello(self, message: dict[str, Any]) -> Any:
        return True

    def _do_seed(self, message: dict[str, Any]) -> Any:
        random.seed(message["seed"])
        torch.manual_seed(message["seed"])
        numpy.random.seed(message["seed"] % 2**32)

    def _do_put(self, message: dict[str, Any]) -> Any:
        path = Path(message["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(message["content"].numpy().tobytes())

    def _do_files(self, message: dict[str, Any]) -> Any:
        """What lies in the folder in which cells run, as far as there is room for it."""
        found, room = {}, message["room"]
        for path in sorted(Path(HOME).rglob("*")):
            if path.is_file() and not path.is_symlink():
                room -= path.stat().st_size
                if room >= 0:
                    content = numpy.frombuffer(path.read_bytes(), numpy.uint8)
                    found[str(path.relative_to(HOME))] = torch.from_numpy(content.copy())
        return found

    def _do_begin(self, message: dict[str, Any]) -> Any:
        """An exercise is about to be judged: remember how things stand."""
        self._exercise.enter_context(unchanged(self._shell.user_ns))
        self._student = InProcessStudent(self._shell.user_ns)

    def _do_end(self, message: dict[str, Any]) -> Any:
        self._student = InProcessStudent(self._shell.user_ns)
        self._exercise.close()

    def _do_verb(self, message: dict[str, Any]) -> Any:
        if message["verb"] not in VERBS:
            raise ValueError(message["verb"])
        try:
            found = getattr(self._student, message["verb"])(*message["args"], **message["kwargs"])
        finally:
            self._shell.outputs.start()  # what a function displays while it is judged
        if isinstance(found, Gradients):
            return [found.output, found.inputs, found.parameters]
        return found


def _error(kind: str, type: str, message: str) -> dict[str, str]:
    return {"kind": kind, "type": type, "message": message, "where": "", "line": ""}
