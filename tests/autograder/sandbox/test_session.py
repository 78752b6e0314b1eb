"""A session holds what is run in it to its limits, shows it nothing, and leaves nothing behind."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import below

from autograder.sandbox.jail import HOME, WRITABLE, Limits
from autograder.sandbox.outside import Lost, NoSandbox, Session, WarmParent, problem
from autograder.sandbox.remote import RemoteStudent
from autograder.student import StudentError

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

ROOT = Path(__file__).parents[3]
SMALL = {"cell_seconds": 2.0, "memory_mb": 400, "processes": 16, "disk_mb": 24}


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmParent]:
    with WarmParent() as warm:
        yield warm


@pytest.fixture
def session(warm: WarmParent) -> Iterator[Session]:
    with warm.session(Limits(**SMALL)) as session:
        yield session


def value(session: Session, source: str) -> Any:
    """Run a cell and evaluate the text of its result."""
    outputs, late = session.run_cell(source)
    assert not late
    errors = [output for output in outputs if output["output_type"] == "error"]
    assert not errors, (errors[0]["ename"], errors[0]["evalue"])
    results = [output for output in outputs if output["output_type"] == "execute_result"]
    return eval(results[0]["data"]["text/plain"]) if results else None


@dataclass
class End:
    """How a cell ended.

    Attributes:
        errors: the names of the exceptions that it shows.
        late: whether it had to be interrupted.
        lost: why its process is gone; "" if it is not.
        seconds: after which this was known.
        memory_mb: what the submission took at most, where its process is gone.
    """

    errors: list[str]
    late: bool
    lost: str
    detail: str
    seconds: float
    memory_mb: int = 0


def end_of(warm: WarmParent, source: str, **limits: Any) -> End:
    with warm.session(Limits(**SMALL | limits)) as session:
        began = time.monotonic()
        try:
            outputs, late = session.run_cell(source)
        except Lost as lost:
            seconds = time.monotonic() - began
            taken = session.report.get("memory_mb", 0)
            return End([], False, lost.why, lost.detail, seconds, taken)
        names = [output["ename"] for output in outputs if output["output_type"] == "error"]
        return End(names, late, "", "", time.monotonic() - began)


# Limits.

INTERRUPTED = {
    "an infinite loop": "while True: pass",
    "a sleep of an hour": "import time; time.sleep(3600)",
    "a deadlock": "import threading\nlock = threading.Lock(); lock.acquire(); lock.acquire()",
    "waiting for itself": "import threading\nthreading.Event().wait()",
    "an endless await": "import asyncio\nawait asyncio.sleep(3600)",
    "an endless subprocess": "import subprocess\nsubprocess.run(['sleep', '3600'])",
    "an endless shell": "!sleep 3600",
    "endless output": "while True: print('x' * 1000)",
}
KILLED = {
    "a SIGINT that is ignored": (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(3600)"
    ),
    "an interruption that is caught": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    ),
    "a signal that is blocked": (
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "time.sleep(3600)"
    ),
    "a regular expression": "import re\nre.match('(a*)*b', 'a' * 40)",
    "work in C": "10 ** 10 ** 9",
    "a closed connection": "import os, time\nos.closerange(3, 100)\ntime.sleep(3600)",
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_what_takes_too_long_is_interrupted(warm: WarmParent, name: str):
    end = end_of(warm, INTERRUPTED[name], cell_seconds=0.5)
    assert end.late or end.lost == "timeout"
    assert end.seconds < 0.5 + 2


@pytest.mark.parametrize("name", KILLED)
def test_what_cannot_be_interrupted_is_killed(warm: WarmParent, name: str):
    end = end_of(warm, KILLED[name], cell_seconds=0.5)
    assert end.late or end.lost in ("timeout", "died")
    assert end.seconds < 0.5 + 2


def test_after_an_interruption_the_next_cell_runs(session: Session):
    session.run_cell("x = 5")
    outputs, late = session.run_cell("print('began')\nwhile True: pass")
    assert late
    assert outputs[0]["text"] == "began\n"
    assert outputs[-1]["ename"] == "KeyboardInterrupt"
    assert value(session, "x + 1") == 6


MEMORY = {
    "100 GB at once": "bytearray(100 * 2**30)",
    "100 GB of a tensor": "import torch\ntorch.ones(25 * 2**30)",
    "a growing list": "x = []\nwhile True: x.append(bytes(2**20))",
    "a growing text": "x = 'x'\nwhile True: x += x",
    "a growing tensor": "import torch\nx = torch.ones(2)\nwhile True: x = torch.cat([x, x])",
    "memory of children": (
        "import os, time\n"
        "for i in range(8):\n"
        "    if os.fork() == 0:\n"
        "        x = b'x' * (100 * 2**20)\n"
        "        time.sleep(3600)\n"
        "time.sleep(3600)"
    ),
    "memory that is shared": (
        "import mmap, os, time\n"
        "for i in range(8):\n"
        "    if os.fork() == 0:\n"
        "        x = mmap.mmap(-1, 100 * 2**20)\n"
        "        x.write(b'x' * (100 * 2**20))\n"
        "        time.sleep(3600)\n"
        "time.sleep(3600)"
    ),
}
UNHELD = {
    "files without a name": (
        "import os\n"
        "found = [os.memfd_create('x') for i in range(100)]\n"
        "for file in found: os.write(file, b'x' * (20 * 2**20))\n"
        "raise RuntimeError('2 GB')"
    ),
    "segments that nobody holds": (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.shmat.restype = ctypes.c_void_p\n"
        "libc.shmdt.argtypes = [ctypes.c_void_p]\n"
        "for i in range(20):\n"
        "    key = libc.shmget(0, 100 * 2**20, 0o1600)\n"
        "    if key < 0: raise MemoryError\n"
        "    place = libc.shmat(key, None, 0)\n"
        "    ctypes.memset(place, 1, 100 * 2**20)\n"
        "    libc.shmdt(place)\n"
        "raise RuntimeError('2 GB')"
    ),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_limited(warm: WarmParent, name: str):
    end = end_of(warm, MEMORY[name], cell_seconds=5)
    refused = {"MemoryError", "RuntimeError", "OutOfMemoryError", "OSError", "PermissionError"}
    assert end.lost == "memory" or end.errors and set(end.errors) <= refused
    assert end.seconds < 5 + 2
    assert end.memory_mb < 2 * SMALL["memory_mb"]


@pytest.mark.parametrize("name", UNHELD)
def test_memory_that_no_process_has_is_limited(warm: WarmParent, name: str):
    end = end_of(warm, UNHELD[name], cell_seconds=30)
    assert end.lost == "memory" or set(end.errors) & {"PermissionError", "OSError", "MemoryError"}


BOMBS = {
    "forks": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "forks that end": "import os\nwhile True:\n    if os.fork() == 0: os._exit(0)",
    "programs": "import subprocess\nwhile True: subprocess.Popen(['sleep', '3600'])",
    "a shell's": "!:(){ :|:& };:",
    "threads": (
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(3600,)).start()"
    ),
    "threads in processes": (
        "import os, threading, time\n"
        "def breed():\n"
        "    while True:\n"
        "        try:\n"
        "            if os.fork() == 0: threading.Thread(target=breed).start()\n"
        "        except Exception: pass\n"
        "breed()"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_comes_to_an_end(warm: WarmParent, name: str):
    end = end_of(warm, BOMBS[name], cell_seconds=1)
    assert end.seconds < 1 + 2
    assert end.lost in ("", "timeout", "processes", "memory")
    # And the next one does not notice.
    began = time.monotonic()
    assert end_of(warm, "1 + 1").errors == []
    assert time.monotonic() - began < 2


def test_no_more_processes_than_are_allowed(session: Session):
    source = (
        "import subprocess\nfound = []\n"
        "try:\n    while len(found) < 100: found.append(subprocess.Popen(['sleep', '3600']))\n"
        "except OSError: pass\n"
        "len(found)"
    )
    assert 1 <= value(session, source) <= SMALL["processes"]
    assert value(session, "for one in found: one.kill(); one.wait()\n1") == 1
    assert value(session, "subprocess.run('true').returncode") == 0


@pytest.mark.parametrize("folder", WRITABLE)
def test_a_full_disk_is_an_error_of_the_cells(warm: WarmParent, folder: str):
    with warm.session(Limits(**SMALL)) as session:
        source = f"with open('{folder}/x', 'wb') as file:\n    while True: file.write(bytes(2**20))"
        outputs, late = session.run_cell(source)
        assert not late
        assert outputs[-1]["ename"] == "OSError"
        many = f"for i in range(10**6): open('{folder}/%d' % i, 'w').close()"
        assert session.run_cell(many)[0][-1]["ename"] == "OSError"
        assert value(session, "1 + 1") == 2


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(2**10): print('x' * 2**20)",
        "import subprocess\nsubprocess.run('yes | head -c 1G', shell=True, stderr=-3);",
        "import os\ntry:\n    while True: os.write(1, b'x' * 2**20)\nexcept OSError: pass",
    ],
)
def test_a_gigabyte_of_prints_is_cut(warm: WarmParent, source: str):
    with warm.session(Limits(**SMALL | {"cell_seconds": 10})) as session:
        outputs, late = session.run_cell(source)
    assert not late
    assert session.report["memory_mb"] < 100
    assert len(outputs) == 1
    assert len(outputs[0]["text"]) < 2**20 + 100


def test_processor_time_is_limited(warm: WarmParent):
    end = end_of(warm, "while True: pass", cell_seconds=30, cpu_seconds=1)
    assert end.lost == "cpu"
    assert end.seconds < 10  # it is the processor's time, and others want it too


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("import os; os._exit(0)", "exit code 0"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import ctypes; ctypes.string_at(0)", "signal 11"),
        ("import os; os.abort()", "signal"),
    ],
)
def test_a_process_that_ends_is_lost_with_a_reason(warm: WarmParent, source: str, detail: str):
    with warm.session(Limits(**SMALL)) as session:
        began = time.monotonic()
        with pytest.raises(Lost) as lost:
            session.run_cell(source)
        assert lost.value.why == "died"
        assert detail in lost.value.detail
        assert time.monotonic() - began < SMALL["cell_seconds"] + 2
        # It stays lost, and says so each time.
        with pytest.raises(Lost) as again:
            session.run_cell("1 + 1")
        assert again.value.why == lost.value.why
        with pytest.raises(StudentError):
            RemoteStudent(session).call("print")
    assert end_of(warm, "1 + 1").errors == []


@pytest.mark.parametrize(
    "words",
    [b"nonsense", b"\xff" * 64, b"\x00\x00\x00\x02\x00\x00\x00\x00{}", b"\x00" * 4096],
)
def test_a_forged_answer_is_no_answer(warm: WarmParent, words: bytes):
    with warm.session(Limits(**SMALL)) as session:
        with pytest.raises(Lost) as lost:
            session.run_cell(f"import os\nos.write(3, {words!r})")
            session.run_cell("1")
        assert lost.value.why == "protocol"


def test_who_forks_is_not_answered_twice(session: Session):
    assert value(session, "import os\nparent = os.getpid()\nos.fork() and 1") in (1, 0)
    assert value(session, "os.getpid() == parent") is True
    assert value(session, "6 * 7") == 42


# What one session leaves for the next: nothing.


def test_nothing_is_left_for_the_next_session(warm: WarmParent):
    leave = f"""
import builtins, ctypes, os, random, signal, socket, subprocess, sys, zipapp
import numpy, torch
for folder in {WRITABLE}:
    with open(folder + "/left", "w") as file: file.write("x")
    os.makedirs(folder + "/some/folders")
os.environ["LEFT"] = "x"
os.chdir("/tmp")
os.umask(0)
random.seed(1); numpy.random.seed(1); torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
torch.add = builtins.left = "x"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
bound = socket.socket(socket.AF_UNIX)
bound.bind(chr(0) + "left")
bound.listen()
subprocess.Popen(["setsid", "sh", "-c", "trap '' HUP INT TERM; sleep 4321 & sleep 4321"])
if os.fork() == 0:
    os.setsid()
    while True: signal.pause()
ctypes.CDLL(None).shmget(4321, 4096, 0o1666)
left = 1
"""
    look = f"""
import builtins, ctypes, os, random, signal, socket, sys
import numpy, torch
def processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/cmdline") as file: yield file.read()
            except OSError: pass
def connected():
    with socket.socket(socket.AF_UNIX) as made: return made.connect_ex(chr(0) + "left") == 0
{{
    "files": [os.listdir(folder) for folder in {WRITABLE}],
    "names": "left" in globals() or hasattr(builtins, "left"),
    "environment": "LEFT" in os.environ,
    "folder": os.getcwd(),
    "umask": os.umask(0o22),
    "modules": "zipapp" in sys.modules,
    "patched": torch.add == "x",
    "dtype": str(torch.get_default_dtype()),
    "torch": torch.initial_seed(),
    "numpy": int(numpy.random.get_state()[1][1]),
    "handler": signal.getsignal(signal.SIGTERM) == signal.SIG_IGN,
    "processes": sum("4321" in line for line in processes()),
    "socket": connected(),
    "segment": ctypes.CDLL(None).shmget(4321, 4096, 0o666) >= 0,
    "count": get_ipython().execution_count,
}}
"""
    with warm.session(Limits(**SMALL)) as before:
        first = value(before, look)
    with warm.session(Limits(**SMALL)) as session:
        assert value(session, leave) is None
    with warm.session(Limits(**SMALL)) as after:
        second = value(after, look)
    assert second == first
    assert not {"left", "some"} & set().union(*second["files"])
    assert first["folder"] == HOME
    assert not any(first[name] for name in ("names", "environment", "patched", "socket", "segment"))
    assert first["processes"] == 0


# What it can see and do.


def test_only_three_folders_can_be_written_to(warm: WarmParent):
    source = """
import os
def writable(folder):
    try: open(folder + "/x", "w").close()
    except OSError: return False
    return True
found = []
for folder, inner, files in os.walk("/"):
    if folder.startswith("/proc/"):
        inner.clear()
    elif os.access(folder, os.W_OK) and writable(folder):
        found.append(folder)
sorted(found)
"""
    with warm.session(Limits(cell_seconds=30)) as session:
        assert value(session, source) == sorted(WRITABLE)


def test_no_mount_can_be_written_to_but_those(session: Session):
    source = """
mounts = [line.split() for line in open("/proc/self/mountinfo")]
sorted(set(parts[4] for parts in mounts if "ro" not in parts[5].split(",")))
"""
    found = value(session, source)
    devices = ("null", "zero", "full", "random", "urandom", "tty", "console", "pts")
    assert set(found) <= {*WRITABLE, *(f"/dev/{name}" for name in devices)}


def test_other_processes_cannot_be_looked_into(session: Session):
    source = """
import os
mine = os.readlink("/proc/self")
others = [name for name in os.listdir("/proc") if name.isdigit() and name != mine]
found = []
for name in others:
    for what in ("mem", "environ", "maps", "auxv", "stack", "pagemap", "syscall", "io"):
        try:
            with open(f"/proc/{name}/{what}", "rb") as file:
                if file.read(1): found.append((name, what))
        except OSError: pass
    for what in ("cwd", "root", "exe", "ns/user"):
        try: found.append((name, what, os.readlink(f"/proc/{name}/{what}")))
        except OSError: pass
    for what in ("root", "cwd", "fdinfo", "task/" + name + "/cwd"):
        try: found.append((name, what, os.listdir(f"/proc/{name}/{what}")))
        except OSError: pass
    for what in ("mem", "oom_score_adj", "clear_refs", "comm", "coredump_filter", "autogroup"):
        try:
            with open(f"/proc/{name}/{what}", "wb"): found.append((name, what, "could be set"))
        except OSError: pass
    for number in range(30):
        try: found.append((name, os.readlink(f"/proc/{name}/fd/{number}")))
        except OSError: pass
others, found
"""
    others, found = value(session, source)
    assert others, "the warm parent and the watch show themselves"
    assert found == []


def test_other_processes_cannot_be_signalled(session: Session):
    source = """
import os, signal
mine = os.readlink("/proc/self")
reached = []
for name in os.listdir("/proc"):
    if name.isdigit() and name != mine:
        try:
            # By its folder, since its number means nothing here.
            signal.pidfd_send_signal(os.open("/proc/" + name, os.O_RDONLY), 0)
            reached.append(name)
        except OSError: pass
reached
"""
    assert value(session, source) == []
    assert value(session, "os.getpid(), os.getppid()") == (1, 0)


def test_a_process_of_the_cells_own_can_be_looked_into(session: Session):
    # Or the tests above would find nothing for another reason.
    source = """
import os
os.readlink("/proc/self/cwd"), len(open("/proc/self/maps").read()) > 100
"""
    assert value(session, source) == (HOME, True)


@pytest.mark.parametrize(
    "call",
    [
        "libc.ptrace(16, 1, 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.unshare(0x00020000)",
        "libc.setns(0, 0)",
        "libc.mount(b'x', b'/tmp', b'tmpfs', 0, None)",
        "libc.umount2(b'/proc', 2)",
        "libc.chroot(b'/tmp')",
        "libc.setuid(0)",
        "libc.sethostname(b'x', 1)",
        "libc.syscall(425, 8, bytearray(256))",
        "libc.mknod(b'/tmp/x', 0o60600, 0x0801)",
        "libc.prctl(23, 0, 0, 0, 0) - 1",
        "libc.syscall(435, bytearray(88), 88)",
        "libc.socket(40, 1, 0)",
        "libc.socket(17, 3, 0)",
    ],
)
def test_what_a_way_out_would_need_is_refused(session: Session, call: str):
    source = f"import ctypes\nlibc = ctypes.CDLL(None)\nbytearray = lambda n: bytes(n)\n{call}"
    assert value(session, source) == -1


@pytest.mark.parametrize(
    "path",
    [
        # A program named in it would be run outside, by root, when anything crashes.
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/core/somaxconn",
        "/proc/sysrq-trigger",
        "/proc/self/oom_score_adj",
        "/proc/self/uid_map",
    ],
)
def test_the_kernel_cannot_be_set(session: Session, path: str):
    source = f"""
import os
try: os.open("{path}", os.O_WRONLY)
except OSError as error: refused = type(error).__name__
else: refused = ""
refused
"""
    assert value(session, source) in ("OSError", "PermissionError", "FileNotFoundError")


def test_there_is_no_network(session: Session):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = f"""
import socket
def tried(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(1)
        return made.connect_ex(address)
def resolved():
    try: return socket.getaddrinfo("example.org", 80)
    except OSError: return None
(tried(socket.AF_INET, ("127.0.0.1", {port})), tried(socket.AF_INET, ("1.1.1.1", 53)),
 resolved(), [name for _, name in socket.if_nameindex()])
"""
        local, far, resolved, interfaces = value(session, source)
    assert local and far
    assert resolved is None
    assert set(interfaces) <= {"lo"}


def _ways_to_python(folder: Path) -> set[str]:
    """The names in a folder behind which the Python that runs this lies."""
    places = [Path(os.path.realpath(prefix)) for prefix in (sys.base_prefix, sys.prefix)]
    folder = folder.resolve()
    return {place.relative_to(folder).parts[0] for place in places if folder in place.parents}


def test_the_course_is_not_there(session: Session):
    source = f"""
import importlib, os
def importable(name):
    try: importlib.import_module(name)
    except ImportError: return False
    return True
def there(path):
    try: return sorted(os.listdir(path))
    except OSError: return None
names = ["vae_course", "vae_course.vae", "autograder.judge", "autograder.checks",
         "autograder.misconceptions", "autograder.sandbox.outside", "autograder.course"]
(
    list(filter(importable, names)), there("{ROOT}"), there("{Path.home()}"),
    list(map(there, ["/work/shared", "/etc/shadow", "/var", "/mnt", "/sys/fs", "/run", "/srv"])),
)
"""
    importable, root, home, others = value(session, source)
    assert importable == []
    # The programs, if they happen to lie there, and nothing else.
    assert set(root or ()) <= _ways_to_python(ROOT)
    assert set(home or ()) <= _ways_to_python(Path.home())
    assert others == [None] * 7


def test_the_environment_says_nothing_of_the_grader(
    warm: WarmParent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "a token")
    with warm.session(Limits(**SMALL)) as session:
        found = value(session, "import os\ndict(os.environ)")
    assert "SECRET_OF_THE_GRADER" not in found
    assert found["HOME"] == HOME
    assert found["NBGRADER_EXECUTION"] == "autograde"
    assert str(ROOT) not in str({**found, "PATH": ""})


def test_no_descriptor_is_there_but_its_own(session: Session):
    source = """
import os
kinds = {}
for number in os.listdir("/proc/self/fd"):
    try: kinds[int(number)] = os.readlink("/proc/self/fd/" + number).split(":")[0]
    except OSError: pass
kinds
"""
    found = value(session, source)
    # Nothing, the two streams, the judge; then what the shell opened in here for itself.
    assert found[0] == "/dev/null"
    assert [kind for kind in found.values() if kind == "socket"].count("socket") <= 3
    opened = ("/tmp/#", "anon_inode", "socket", "/dev/null", "/proc/", "pipe")
    assert all(kind.startswith(opened) for kind in found.values()), found


# What can be relied on.


def test_a_seed_makes_a_run_repeatable(warm: WarmParent):
    source = (
        "import random, numpy, torch\n"
        "random.random(), float(numpy.random.rand()), float(torch.rand(1)), list({'a', 'b', 'c'})"
    )

    def drawn(seed: int) -> Any:
        with warm.session(Limits(**SMALL)) as session:
            session.seed(seed)
            return value(session, source)

    first, again, other, large = drawn(5), drawn(5), drawn(6), drawn(2**31 + 5)
    assert first == again
    assert all(one != two for one, two in zip(first[:3], other[:3], strict=True))
    assert large != first


def test_files_that_were_put_are_there(warm: WarmParent):
    content = bytes(range(256)) * 1000
    with warm.session(Limits(**SMALL)) as session:
        session.put("data.bin", content)
        session.put("folder/in a folder/ü.txt", "ü".encode())
        session.put("empty", b"")
        found = value(
            session,
            "import os\n"
            "(open('data.bin', 'rb').read() == bytes(range(256)) * 1000,"
            " open('folder/in a folder/ü.txt').read(), os.path.getsize('empty'), os.getcwd())",
        )
    assert found == (True, "ü", 0, HOME)


def test_a_module_that_was_put_can_be_imported(session: Session):
    session.put("helper.py", b"answer = 42")
    assert value(session, "import helper\nhelper.answer") == 42


def test_what_notebooks_of_the_course_need_works(session: Session):
    source = """
import torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(8.))
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 1))
step = torch.optim.Adam(model.parameters())
model(torch.ones(1, 1, 4, 4)).sum().backward(); step.step()
torch.save(model.state_dict(), "model.pt")
model.load_state_dict(torch.load("model.pt"))
sum(float(batch.sum()) for (batch,) in DataLoader(data, batch_size=2, num_workers=2))
"""
    assert value(session, source) == 28.0


@pytest.mark.parametrize("result", ["list(range(10**6))", "10**6000", "['x' * 2**25]"])
def test_a_result_that_cannot_cross_is_an_error_of_the_function(session: Session, result: str):
    assert value(session, f"def f(): return {result}\ndef g(): return 7") is None
    student = RemoteStudent(session, 10)
    with pytest.raises(StudentError):
        student.call("f")
    assert student.call("g") == 7


def test_a_second_session_does_not_wait_for_a_slow_farewell(warm: WarmParent):
    with warm.session(Limits(**SMALL)) as session:
        session.run_cell("import atexit, time\natexit.register(time.sleep, 3600)")
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_session_that_was_closed_says_so(warm: WarmParent):
    session = warm.session(Limits(**SMALL))
    session.close()
    session.close()
    with pytest.raises(Lost):
        session.run_cell("1")


def test_a_warm_parent_that_was_killed_is_started_again(warm: WarmParent):
    assert end_of(warm, "1 + 1").errors == []
    session = warm.session(Limits(**SMALL))
    for process in _sandboxes():
        os.kill(process, signal.SIGKILL)
    with pytest.raises(Lost) as lost:
        session.run_cell("1 + 1")
        session.run_cell("import time; time.sleep(3600)")
    assert lost.value.why in ("died", "timeout")
    session.close()
    with warm.session(Limits(**SMALL)) as next_one:
        assert value(next_one, "1 + 1") == 2


def _sandboxes() -> list[int]:
    """The bubblewraps that this process started."""
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    return [
        int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == "bwrap\n"
    ]


@pytest.mark.long
def test_a_warm_parent_that_is_silent_is_replaced(warm: WarmParent, monkeypatch):
    monkeypatch.setattr("autograder.sandbox.outside.FORK_SECONDS", 1)
    with warm.session() as session:
        assert value(session, "1 + 1") == 2
    stopped = warm._process.pid
    for process in below(stopped):
        os.kill(process, signal.SIGSTOP)
    monkeypatch.setattr("autograder.sandbox.outside.FORK_SECONDS", 5)
    with warm.session() as session:
        assert value(session, "1 + 1") == 2
    assert warm._process.pid != stopped


def test_a_file_that_does_not_fit_is_told(warm: WarmParent):
    with warm.session(Limits(**SMALL)) as session:
        assert session.put("some/small.txt", b"1") == ""
        assert "No space left" in session.put("large.bin", bytes(2**20 * SMALL["disk_mb"]) + b"1")
        assert value(session, "open('some/small.txt').read()") == "1"


def test_a_gpu_is_seen_only_when_it_is_asked_for(warm: WarmParent, monkeypatch):
    source = "import os, resource\nos.environ.get('CUDA_VISIBLE_DEVICES'), resource.getrlimit(9)[0]"
    monkeypatch.setattr("autograder.sandbox.outside._GPU_DEVICES", ("/dev/no such*",))
    with pytest.raises(NoSandbox, match="no GPU: there is no /dev/no such"):
        WarmParent(gpu=True)
    with warm.session() as session:
        visible, space = value(session, source)
        assert visible == "" and space > 0
    # Whatever device there is: what matters is that it can be opened from inside.
    monkeypatch.setattr("autograder.sandbox.outside._GPU_DEVICES", ("/dev/ptm[x]",))
    with WarmParent(gpu=True) as with_gpu, with_gpu.session() as session:
        assert value(session, source) == (None, -1)
        assert value(session, "os.path.exists('/dev/ptmx')")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_computes():
    with WarmParent(gpu=True) as with_gpu, with_gpu.session() as session:
        source = "import torch\nfloat((torch.ones(3, device='cuda') * 2).sum())"
        assert value(session, source) == 6
