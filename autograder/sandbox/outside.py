"""The judge's side of the sandbox: starts the warm parent, opens sessions, and asks.

with WarmParent() as warm, warm.session(Limits()) as session:
    outputs, late = session.run_cell("1 + 1")
"""

import functools
import glob
import json
import marshal
import multiprocessing.util
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, Self

import torch

from autograder.sandbox.jail import HOME, Limits
from autograder.sandbox.wire import Channel, Closed, Late, WireError
from autograder.student import printable
from vae_course.errors import CourseError

WARM_SECONDS = 300
"""How long the warm parent may take to start: on a cold disk, PyTorch is slow to load."""

FORK_SECONDS = 60
"""How long it may take to make a child, before it is taken for dead."""

GRACE = 1.5
"""Seconds from an interruption to the kill: on a busy machine, an answer may take a while."""

_HERE = Path(__file__).parent
_INSIDE = "/inside/autograder"
_SHARED = ("__init__.py", "pretend.py", "student.py")
_OWN = ("__init__.py", "inside.py", "jail.py", "serve.py", "shell.py", "wire.py")
_PASSWD = "student:x:1000:1000:student:/home/student:/bin/sh\n"
_ENVIRONMENT = {
    "HOME": HOME,
    "USER": "student",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/inside",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "XDG_CACHE_HOME": "/tmp/cache",
    "MPLCONFIGDIR": "/tmp/matplotlib",
    "IPYTHONDIR": "/tmp/ipython",
    # Memory that is freed is kept, and asked for in large pages: each new page costs time.
    "GLIBC_TUNABLES": (
        "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=134217728"
        ":glibc.malloc.hugetlb=1"
    ),
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NBGRADER_EXECUTION": "autograde",
}


_NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
_GPU_DEVICES = ("/dev/nvidia*", "/dev/kfd", "/dev/dri")
_GPU_SYSTEM = ("/sys/bus/pci", "/sys/devices", "/sys/module")


class NoSandbox(CourseError):
    """This machine has no namespaces, or the sandbox could not be started in them."""


class Lost(Exception):
    """The student's process is gone.

    Attributes:
        why: "timeout" (it did not stop when it was interrupted), "memory", "processes", "cpu",
            "protocol" (what it said was no message), or "died".
        detail: how it ended, in a few words.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why, detail)
        self.why = why
        self.detail = detail


def problem() -> str:
    """Why there is no sandbox on this machine; "" if there is one."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux, and this is {sys.platform}"
    if not shutil.which("bwrap"):
        return "the program bwrap is missing (Debian and Ubuntu: apt-get install bubblewrap)"
    tried = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--"]
    tried += ["unshare", "--user", "true"]
    done = subprocess.run(tried, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"this system allows no user namespaces ({printable(said)})"
    return ""


class WarmParent:
    """A process inside bubblewrap that has imported everything, to be forked for each submission.

    One session at a time: it is what makes submissions unable to see each other.

    Args:
        gpu: let submissions see this machine's GPUs. It does not touch them itself.

    Raises:
        NoSandbox: it cannot be started, or there is no GPU.
    """

    def __init__(self, gpu: bool = False) -> None:
        if reason := problem():
            raise NoSandbox(f"no sandbox: {reason}")
        if gpu and not gpu_devices():
            raise NoSandbox(f"this machine has no GPU: there is no {' or '.join(_GPU_DEVICES)}")
        self._gpu = gpu
        self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                command(theirs.fileno(), self._gpu),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[theirs.fileno()],
                env={},
                executable=shutil.which("bwrap"),
            )
            theirs.close()
            self._control.settimeout(WARM_SECONDS)
            try:
                ready = self._control.recv(2**10)
            except TimeoutError:
                ready = b""
            if not ready:
                self.close()
                said.seek(0)
                words = printable(said.read().decode(errors="replace")[-2000:], 1000)
                raise NoSandbox(f"the sandbox did not start: {words or 'no reason given'}")
        self._control.settimeout(None)

    def session(self, limits: Limits | None = None) -> "Session":
        """Fork a child for one submission.

        Raises:
            NoSandbox: it does not answer, not even when all is started anew.
        """
        for _ in range(2):
            session = self._fork(limits or Limits(gpu=self._gpu))
            if session.answers(FORK_SECONDS):
                return session
            session.close()
            self.close()  # it ended, or was stopped: no later submission is to wait for it
        raise NoSandbox(f"the sandbox did not answer within {FORK_SECONDS} seconds")

    def _fork(self, limits: Limits) -> "Session":
        if self._process.poll() is not None:
            self._control.close()
            self._start()
        data, their_data = socket.socketpair()
        orders, their_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with their_data, their_orders:
            given = json.dumps(vars(limits)).encode()
            sent = [their_data.fileno(), their_orders.fileno()]
            with suppress(OSError):  # it ended just now: nobody will answer
                socket.send_fds(self._control, [given], sent)
        return Session(Channel(data), orders, limits)

    def close(self) -> None:
        """End it, and whatever still runs in it."""
        self._control.close()  # at which it ends by itself
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def shared_warm_parent(gpu: bool = False) -> WarmParent:
    """The warm parent of this process, started when it is first asked for.

    Raises:
        NoSandbox: it cannot be started, or there is no GPU.
    """
    return _shared(gpu)


@functools.cache
def _shared(gpu: bool) -> WarmParent:
    warm = WarmParent(gpu)
    # Not atexit, which worker processes never come to.
    multiprocessing.util.Finalize(None, warm.close, exitpriority=0)
    return warm


class Session:
    """One submission's child: runs its cells, answers its verbs, and is gone in the end."""

    def __init__(self, channel: Channel, orders: socket.socket, limits: Limits) -> None:
        self._channel = channel
        self._orders = orders
        self.limits = limits
        self.report: dict[str, Any] = {}
        self.lost: Lost | None = None

    def run_cell(self, source: str, graded: bool = False) -> tuple[list[Any], bool]:
        """Run a cell.

        Args:
            source: its code.
            graded: it holds tests: what the notebook did to IPython itself is undone before it.

        Returns:
            Its outputs, not looked at yet, and whether it had to be interrupted.

        Raises:
            Lost: the child is gone.
        """
        message = {"do": "cell", "source": source, "graded": graded}
        answer, late = self.ask(message, time.monotonic() + self.limits.cell_seconds)
        found = answer.get("value")
        if not isinstance(found, list):
            # A cell of tests that shows nothing has passed them.
            name = "KeyboardInterrupt" if late else "RuntimeError"
            text = "The notebook's process could not run this cell."
            found = [{"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}]
        return found, late

    def answers(self, seconds: float) -> bool:
        """Whether the child is there."""
        with suppress(Lost):
            answer, late = self.ask({"do": "hello"}, time.monotonic() + seconds)
            return not late and "value" in answer
        return False

    def seed(self, seed: int) -> None:
        """Start the notebook's random numbers from here, so that a run can be repeated."""
        self.ask({"do": "seed", "seed": seed}, time.monotonic() + 60)

    def run_code(self, code: CodeType) -> None:
        """Run code among the notebook's names.

        Raises:
            Lost: the child is gone.
        """
        content = _as_tensor(marshal.dumps(code))
        self.ask({"do": "code", "code": content}, time.monotonic() + self.limits.cell_seconds)

    def put(self, path: str, content: bytes) -> str:
        """Write a file, at a path that is relative to the folder in which cells run.

        Returns:
            Why it could not be written; "" if it was.
        """
        message = {"do": "put", "path": path, "content": _as_tensor(content)}
        answer, _ = self.ask(message, time.monotonic() + 60)
        error = answer.get("error")
        return printable(error.get("message", ""), 200) if isinstance(error, dict) else ""

    def files(self, room: int) -> dict[str, bytes]:
        """What lies in the folder in which cells run, by path from there, up to `room` bytes.

        The paths are the student's words: good for nothing but to be put into a sandbox again.

        Raises:
            Lost: the child is gone.
        """
        deadline = time.monotonic() + self.limits.cell_seconds  # a hostile one may take its time
        answer, _ = self.ask({"do": "files", "room": room}, deadline)
        found = answer.get("value")
        contents = list(found.values()) if isinstance(found, dict) else []
        if not all(isinstance(one, torch.Tensor) and one.dtype == torch.uint8 for one in contents):
            return {}
        if not contents or sum(content.numel() for content in contents) > room:
            return {}
        return {path: content.numpy().tobytes() for path, content in found.items()}

    def ask(self, message: dict[str, Any], deadline: float) -> tuple[dict[str, Any], bool]:
        """Send a message and wait for the answer; at the deadline, interrupt.

        Returns:
            The answer, and whether the child had to be interrupted.

        Raises:
            Lost: the child is gone, now or before.
        """
        if self.lost:
            raise self.lost
        try:
            self._channel.send(message, deadline + GRACE)
            try:
                return self._channel.receive(deadline), False
            except Late:
                self._order(b"i")
                return self._channel.receive(deadline + GRACE), True
        except Late:
            self._lose("timeout")
        except Closed:
            self._lose("")
        except WireError as error:
            self._lose("protocol", str(error))
        raise AssertionError("unreachable")

    def _order(self, order: bytes) -> None:
        try:
            self._orders.send(order)
        except OSError:
            pass  # the watch is gone, and the child with it

    def _lose(self, why: str, detail: str = "") -> None:
        self.close(why or "ended")
        code = self.report.get("code")
        self.lost = Lost(
            why or self.report.get("why") or "died",
            detail or (f"signal {-code}" if code and code < 0 else f"exit code {code}"),
        )
        raise self.lost

    def close(self, why: str = "closed") -> None:
        """End the child, if it has not ended, and wait for the watch's report."""
        self.lost = self.lost or Lost(why)
        if self._orders.fileno() < 0:
            return
        if why != "ended":
            self._order(b"k")
        self._channel.close()
        if why == "ended" and not select.select([self._orders], [], [], GRACE)[0]:
            self._order(b"k")  # it only hung up
        self._orders.settimeout(10)
        try:
            self.report = json.loads(self._orders.recv(2**16) or "{}")
        except (OSError, ValueError):
            self.report = {}
        self._orders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _as_tensor(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0)


def gpu_devices() -> list[str]:
    """The device files of this machine's GPUs."""
    return sorted(path for pattern in _GPU_DEVICES for path in glob.glob(pattern))


def command(control: int, gpu: bool = False) -> list[str]:
    """The bubblewrap command line: nothing of this machine but programs and packages.

    Args:
        control: the number of the socket on which the warm parent is spoken to.
        gpu: and its GPUs.
    """
    arguments = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    environment = {**_ENVIRONMENT, "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}
    for name, value in (environment | ({} if gpu else _NO_GPU)).items():
        arguments += ["--setenv", name, value]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        root = Path("/", name)
        if root.is_symlink():
            arguments += ["--symlink", os.readlink(root), str(root)]
        elif root.is_dir():
            arguments += ["--ro-bind", str(root), str(root)]
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "fonts", "mime.types"):
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    processors = "/sys/devices/system/cpu"
    arguments += ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", processors, processors]
    for device in gpu_devices() if gpu else ():
        arguments += ["--dev-bind", device, device]
    for place in _GPU_SYSTEM if gpu else ():
        arguments += ["--ro-bind-try", place, place]
    arguments += ["--tmpfs", "/tmp"]  # first, for Python may lie in it
    for prefix in dict.fromkeys(map(os.path.realpath, (sys.base_prefix, sys.prefix))):
        if not prefix.startswith("/usr/"):
            arguments += ["--ro-bind", prefix, prefix]
    arguments += _masks()
    for folder, names in ((_HERE.parent, _SHARED), (_HERE, _OWN)):
        place = _INSIDE if folder == _HERE.parent else f"{_INSIDE}/{_HERE.name}"
        for name in names:
            arguments += ["--ro-bind", str(folder / name), f"{place}/{name}"]
    arguments += ["--dir", HOME, "--chdir", "/"]
    arguments += ["--remount-ro", "/dev", "--tmpfs", "/dev/shm", "--remount-ro", "/"]
    python = sys.executable
    return [*arguments, "--", python, "-B", "-m", "autograder.sandbox.inside", str(control)]


def _masks() -> Sequence[str]:
    """Empty folders over the course, if it was installed among the packages: it holds answers."""
    found = []
    for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for name in ("vae_course", "autograder"):
            if Path(packages, name).is_dir():
                found += ["--tmpfs", str(Path(packages, name)), "--remount-ro"]
                found += [str(Path(packages, name))]
    return found
