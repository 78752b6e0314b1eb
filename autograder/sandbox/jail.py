"""What a process gives up before it runs a student's code. Linux only, and only system calls.

A process that went through `enter` has user, process, mount and IPC namespaces of its own, no
capability, no way to get one, a few empty folders in memory to write to, and limits on what it may
use. See namespaces(7), capabilities(7), seccomp(2).
"""

import ctypes
import fcntl
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_THREAD = 0x10000000, 0x20000000, 0x00010000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_SIGKILL = 9

HOME = "/home/student"
"""Where the student's cells run. It is empty in the beginning and gone in the end."""

WRITABLE = (HOME, "/tmp", "/dev/shm")
"""The folders that can be written to. Each is in memory, private, and of limited size."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        cell_seconds: wall time of a cell, and of judging an exercise.
        cpu_seconds: processor time of the whole submission, of each of its processes.
        memory_mb: beyond what the warm parent has, of all its processes together.
        processes: at the same time.
        disk_mb: in each of the folders that can be written to.
        gpu: whether it sees the machine's GPUs.
    """

    cell_seconds: float = 120.0
    cpu_seconds: int = 1200
    memory_mb: int = 3072
    processes: int = 32
    disk_mb: int = 256
    gpu: bool = False


def die_with_parent() -> None:
    """Have this process killed when the one that started it ends, however it ends."""
    if not sys.platform.startswith("linux"):
        return
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def hide() -> None:
    """Make this process unreadable for others of the same user: no ptrace, no /proc/<pid>/mem.

    Its children are so from the beginning.
    """
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def part() -> None:
    """Leave the user, process, host name and IPC namespaces. The next child is the first process
    of a new world, and when it ends, so does everything in it."""
    user, group = os.getuid(), os.getgid()
    _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def enter(limits: Limits, memory_now: int) -> int | None:
    """Give everything up. Called by the first process after `part`; there is no way back.

    Args:
        limits: what it may use.
        memory_now: bytes of address space that the process has already.

    Returns:
        A descriptor on which the kernel asks before each new process: see `answer`. None where it
        cannot.
    """
    die_with_parent()
    os.setsid()  # a signal to its own group must not reach the warm parent
    _own_files(limits)
    _limit(limits, memory_now)
    _drop_capabilities()
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    return _filter_calls()


def answer(asks: int, may: bool) -> None:
    """Let the child have one more process, or not. To be called where `asks` can be read.

    RLIMIT_NPROC would do it, but does not hold for root, as whom many graders in containers run.
    """
    request = bytearray(80)
    try:
        fcntl.ioctl(asks, _NOTIFICATION_RECEIVE, request)
        (id_,) = struct.unpack_from("Q", request)
        error, flags = (0, 1) if may else (-_EAGAIN, 0)
        fcntl.ioctl(asks, _NOTIFICATION_SEND, struct.pack("QqiI", id_, 0, error, flags))
    except OSError:
        pass  # whoever asked is gone


def _own_files(limits: Limits) -> None:
    """Empty folders of its own.

    The /proc that is there stays, for libraries look into /proc/self. It shows that processes
    outside exist. What they hold is out of reach: they belong to another user namespace, and the
    watch, which does not, has made itself unreadable. It cannot be written to: a student's process
    that a grader run by root started has no capability, but it is still root by name, to whom
    /proc/sys and the settings of other processes belong.
    """
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    # Programs may lie below a folder that is about to be covered, as in /tmp/course/.venv.
    covered = [
        (place, os.open(place, os.O_PATH))
        for place in dict.fromkeys(map(os.path.realpath, (sys.base_prefix, sys.prefix)))
        if place.startswith(tuple(f"{folder}/" for folder in WRITABLE))
    ]
    for folder in WRITABLE:
        options = f"size={limits.disk_mb}m,nr_inodes=16k,mode=700"
        _mount(folder, _MS_NOSUID | _MS_NODEV, options)
    for place, opened in covered:
        os.makedirs(place)
        _mount(place, _MS_BIND, source=f"/proc/self/fd/{opened}")
        os.close(opened)
    again = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount("/proc", again)
    os.chdir(HOME)


def _mount(folder: str, flags: int, options: str = "", source: str = "tmpfs") -> None:
    done = _libc.mount(source.encode(), folder.encode(), b"tmpfs", flags, options.encode())
    _check(done, f"mount {folder}")


def _limit(limits: Limits, memory_now: int) -> None:
    def set_both(what: int, value: int) -> None:
        _, most = resource.getrlimit(what)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(what, (value, value))

    set_both(resource.RLIMIT_CORE, 0)
    set_both(resource.RLIMIT_CPU, limits.cpu_seconds)
    set_both(resource.RLIMIT_FSIZE, limits.disk_mb * 2**20)
    set_both(resource.RLIMIT_NOFILE, 256)  # what lies in sockets is nobody's memory
    set_both(resource.RLIMIT_NPROC, limits.processes)
    set_both(resource.RLIMIT_MEMLOCK, 2**20)
    set_both(resource.RLIMIT_MSGQUEUE, 2**20)
    if not limits.gpu:  # CUDA maps all memory that it might ever use
        # An address space is not memory in use, but no memory is used without one.
        set_both(resource.RLIMIT_AS, memory_now + limits.memory_mb * 2**20)


def _drop_capabilities() -> None:
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break  # the kernel knows no more of them
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


# System calls that a notebook has no use for, and a way out might: x86_64's number, aarch64's.
_DENIED = {
    # Memory that belongs to no process, so that nobody could count it.
    "shmget": (29, 194),
    "msgget": (68, 186),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "ptrace": (101, 117),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "quotactl_fd": (443, 443),
}

# By machine: its column above, its audit number, and the numbers of fork and vfork, clone, clone3,
# socket and seccomp.
_MACHINES = {
    "x86_64": (0, 0xC000003E, (57, 58), 56, 435, 41, 317),
    "aarch64": (1, 0xC00000B7, (), 220, 435, 198, 277),
}
_FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink: not vsock, which no namespace holds back
_ALLOW, _ERRNO, _KILL, _ASK = 0x7FFF0000, 0x00050000, 0x80000000, 0x7FC00000
_EPERM, _EAGAIN, _ENOSYS, _EAFNOSUPPORT = 1, 11, 38, 97
_NEW_LISTENER = 8
_NOTIFICATION_RECEIVE, _NOTIFICATION_SEND = 0xC0502100, 0xC0182101
_LOAD, _EQUAL, _SET, _ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def _filter_calls() -> int | None:
    machine = platform.machine()
    if machine not in _MACHINES:
        return None  # the namespaces hold without it
    for may_ask in (True, False):
        program = _program(machine, may_ask)
        code = ctypes.create_string_buffer(b"".join(program), 8 * len(program))

        class Program(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

        given = Program(len(program), ctypes.cast(code, ctypes.c_void_p))
        number = _MACHINES[machine][-1]
        found = _libc.syscall(number, 1, _NEW_LISTENER if may_ask else 0, ctypes.byref(given))
        if found >= 0:
            return found if may_ask else None
    _check(found, "seccomp")
    return None


def _program(machine: str, may_ask: bool) -> list[bytes]:
    """The filter in classic BPF, one instruction an entry; a jump says how many to pass over."""
    column, architecture, forks, clone, clone3, open_socket, _ = _MACHINES[machine]

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    def refuse(error: int) -> bytes:
        return step(_RETURN, _ERRNO | error)

    new_process = step(_RETURN, _ASK if may_ask else _ALLOW)
    denied = [numbers[column] for numbers in _DENIED.values()]
    return [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUAL, architecture, 1, 0),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_ABOVE, 0x40000000, 0, 1),  # the x32 calls, which have numbers of their own
        refuse(_EPERM),
        *(line for call in denied for line in (step(_EQUAL, call, 0, 1), refuse(_EPERM))),
        # Its flags lie in memory, where no filter can look. Without it, libraries use clone.
        step(_EQUAL, clone3, 0, 1),
        refuse(_ENOSYS),
        *(line for call in forks for line in (step(_EQUAL, call, 0, 1), new_process)),
        step(_EQUAL, clone, 0, 6),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_SET, _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID, 0, 1),
        refuse(_EPERM),
        step(_SET, _CLONE_THREAD, 0, 1),
        step(_RETURN, _ALLOW),
        new_process,
        step(_EQUAL, open_socket, 0, 2 + len(_FAMILIES)),
        step(_LOAD, _FIRST_ARGUMENT),
        *(
            step(_EQUAL, family, len(_FAMILIES) - place, 0)
            for place, family in enumerate(_FAMILIES)
        ),
        refuse(_EAFNOSUPPORT),
        step(_RETURN, _ALLOW),
    ]


def _check(result: int, what: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
