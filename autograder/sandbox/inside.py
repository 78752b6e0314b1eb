"""What runs inside the sandbox: a warm parent, and for each submission a watch and a child.

The *warm parent* imports what notebooks import, once. For each submission it forks a *watch*, which
leaves the namespaces and forks the *child*: the first process of a world of its own. The child
gives everything up (`autograder.sandbox.jail`) and runs the student's code. The watch, which the
child can neither see nor signal, interrupts or kills it when the judge says so, or when it uses too
much, and reports how it ended.

Started as `python -m autograder.sandbox.inside CONTROL`, where CONTROL is the number of a socket.
"""

import gc
import json
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from autograder.sandbox import jail, serve
from autograder.sandbox.jail import Limits

WARM = (
    "torch",
    "torchvision",
    "torch._dynamo",
    "numpy",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "sklearn.datasets",
    "sklearn.decomposition",
    "sklearn.manifold",
    "sklearn.metrics",
    "sklearn.neighbors",
    "scipy.stats",
    "tqdm.auto",
    "ipywidgets",
    "PIL.Image",
    "safetensors.torch",
)
"""What notebooks of the course import. An optimiser imports torch._dynamo when it is first used."""

LOOK_EVERY = 0.05  # seconds: how often the watch looks at what the child uses
SLACK = 16  # processes that were allowed, but had not begun when they were counted
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> NoReturn:
    """Warm up, say so, and serve the control socket until it closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    jail.hide()
    _warm_up()
    memory = _address_space()
    control.send(json.dumps({"ready": os.getpid()}).encode())
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 2**16, 2)
        if not request:
            os._exit(0)  # without the farewells of a hundred libraries
        if os.fork() == 0:
            control.close()
            _watch(Limits(**json.loads(request)), memory, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _bury()


def _warm_up() -> None:
    import importlib

    for name in WARM:
        with suppress(ImportError):  # another course may not have it
            importlib.import_module(name)
    with suppress(ImportError):
        import torch

        torch.set_num_threads(1)  # before the first operation: a pool of threads is lost in a fork
        layer = torch.nn.Conv2d(1, 1, 3)
        layer(torch.zeros(1, 1, 4, 4)).sum().backward()
        torch.optim.Adam(layer.parameters()).step()
    serve.warm_up()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise SystemExit(f"the warm parent has {threads} threads and cannot be forked safely")


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * PAGE


def _bury() -> None:
    """Let the watches that have ended go."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watch(limits: Limits, memory: int, data: int, orders: int) -> NoReturn:
    """Make the child and see to it until it ends. Runs in a process of its own."""
    anonymous = _resident(_status(os.getpid()))
    told = {"why": ""}
    try:
        jail.part()
        mine, childs = socket.socketpair()
        child = os.fork()
        if child == 0:
            os.close(orders)
            mine.close()
            _become_child(limits, memory, data, childs)
        os.close(data)
        childs.close()
        _, descriptors, _, _ = socket.recv_fds(mine, 1, 1)
        mine.close()
        _see_to(child, limits, anonymous, socket.socket(fileno=orders), descriptors, told)
    except BaseException as error:  # the judge is told, whatever it is
        with suppress(OSError):
            os.write(orders, json.dumps({"why": f"{type(error).__name__}: {error}"}).encode())
    os._exit(0)


def _become_child(limits: Limits, memory: int, data: int, to_watch: socket.socket) -> NoReturn:
    status = 1
    try:
        asks = jail.enter(limits, memory)
        socket.send_fds(to_watch, [b"."], [] if asks is None else [asks])
        # Everything else that is open, such as the way to the judge, is not the student's.
        os.dup2(data, 3)
        os.closerange(4, 2**16)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        random.seed()
        serve.serve(socket.socket(fileno=3))
        status = 0
    finally:
        os._exit(status)


def _see_to(
    child: int,
    limits: Limits,
    anonymous: int,
    orders: socket.socket,
    asking: list[int],
    told: dict[str, Any],
) -> None:
    """Wait for the child, carry out the judge's orders, and hold the child to its limits."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(orders, select.POLLIN)
    for asks in asking:
        poll.register(asks, select.POLLIN)
    most = 0
    alone = bool(asking)  # as long as the child has not asked for another process
    clearing = False  # since an interruption: what else was started goes, and nothing new comes
    while True:
        ready = dict(poll.poll(LOOK_EVERY * 1000))
        if ended in ready:
            break
        if orders.fileno() in ready:
            order = orders.recv(1)
            if order == b"i":
                os.kill(child, signal.SIGINT)
                clearing = not alone
            else:  # "k", or the judge is gone
                os.kill(child, signal.SIGKILL)
                if not order:
                    poll.unregister(orders)
        alone = alone and not any(asks in ready for asks in asking)
        if alone:
            used, processes = max(0, _resident(_status(child)) - anonymous), 1
        else:
            used, numbers = _uses(anonymous, limits.processes + SLACK)
            processes = len(numbers)
        if clearing:
            clearing = _clear(number for number in numbers if number != child)
        for asks in asking:
            if ready.get(asks, 0) & select.POLLIN:
                jail.answer(asks, processes < limits.processes and not clearing)
        most = max(most, used)
        if used > limits.memory_mb * 2**20:
            told["why"] = "memory"
        elif processes > limits.processes + SLACK:  # where the kernel lets nobody ask
            told["why"] = "processes"
        if told["why"]:
            os.kill(child, signal.SIGKILL)
    _, status, spent = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # The first process of a namespace is spared every signal but SIGKILL, which is the kernel's
    # last word about processor time.
    used_up = spent.ru_utime + spent.ru_stime > 0.9 * limits.cpu_seconds
    if not told["why"] and code == -signal.SIGKILL and used_up:
        told["why"] = "cpu"
    report = {"why": told["why"], "code": code, "memory_mb": round(most / 2**20)}
    report["cpu_seconds"] = spent.ru_utime + spent.ru_stime + time.process_time()
    with suppress(OSError):
        orders.send(json.dumps(report).encode())


def _clear(processes: Iterable[int]) -> bool:
    """Kill processes, and say whether one of them was still alive."""
    found = [one for one in processes if _status(one).get("State", "Z")[0] != "Z"]
    for one in found:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return bool(found)


def _uses(anonymous: int, enough: int) -> tuple[int, list[int]]:
    """Bytes beyond the warm parent's, and the processes, of the child's world.

    Beyond `enough` processes it stops counting: they may come faster than they can be counted.

    What is read is the /proc of the namespace outside, in which the child's processes show. They
    are those that have a number in one namespace more than this process has.
    """
    depth = len(_status(os.getpid()).get("NSpid", ()))
    used, processes = 0, []
    for name in os.listdir("/proc"):
        if name.isdigit():
            status = _status(int(name))
            if len(status.get("NSpid", ())) > depth:
                used += max(0, _resident(status) - anonymous)
                processes.append(int(name))
        if len(processes) > enough:
            break
    return used, processes


def _status(process: int) -> dict[str, list[str]]:
    """What the kernel says of a process; nothing, if it is gone."""
    try:
        with open(f"/proc/{process}/status", "rb", buffering=0) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: values.split() for name, _, values in (line.partition(":") for line in lines)}


def _resident(status: dict[str, list[str]]) -> int:
    """Bytes of memory in use that belong to no file on a disk."""
    return sum(int(status[name][0]) for name in ("RssAnon", "RssShmem") if name in status) * 1024


if __name__ == "__main__":
    main()
