"""Running notebooks in a kernel of this very Python, cut off from the packages of the course."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vae_course.authoring.notebook import Json
from vae_course.errors import CourseError

STARTUP_SECONDS = 120
BLOCKED = "is blocked here: a notebook for students stands on its own"


@dataclass(frozen=True)
class Failure:
    """The first error of a run: in which cell, and which."""

    index: int
    cell: str
    name: str
    message: str


@dataclass(frozen=True)
class RunResult:
    """What came of running a notebook from the top.

    Attributes:
        ran: how many code cells ran, the failing one included.
        seconds: wall time without the kernel's start.
        failure: the first error, at which the run stopped; None if all went well.
        slowest: the id and seconds of the slowest cell.
    """

    ran: int
    seconds: float
    failure: Failure | None
    slowest: tuple[str, float]


def run(
    notebook: Json,
    blocked: Collection[str],
    cell_seconds: int,
    on_cell: Callable[[], None] = lambda: None,
) -> RunResult:
    """Run a notebook from the top to its first error, in a scratch folder.

    Args:
        notebook: its code cells are run; it is not changed.
        blocked: packages that can not be imported there, proved before the first cell.
        cell_seconds: a cell that takes longer is a failure named `CellTimeoutError`.
        on_cell: called after each code cell.

    Raises:
        CourseError: the kernel can not be started, or does not block what it should.
    """
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    node = nbformat.from_dict(json.loads(json.dumps(notebook)))
    with _kernel(node, blocked, cell_seconds) as client:
        _prove_blocked(client, blocked)
        ran, slowest, failure = 0, ("", 0.0), None
        begun = time.monotonic()
        for index, cell in enumerate(node.cells):
            if cell.cell_type != "code":
                continue
            ran += 1
            started = time.monotonic()
            try:
                client.execute_cell(cell, index)
            except CellTimeoutError:
                failure = Failure(index, cell.id, "CellTimeoutError", f"over {cell_seconds} s")
            except DeadKernelError:
                failure = Failure(index, cell.id, "DeadKernelError", "the kernel died")
            failure = failure or _failure(index, cell)
            slowest = max(slowest, (cell.id, time.monotonic() - started), key=lambda pair: pair[1])
            on_cell()
            if failure:
                break
        return RunResult(ran, time.monotonic() - begun, failure, slowest)


def _failure(index: int, cell: Json) -> Failure | None:
    for output in cell.outputs:
        if output.output_type == "error":
            message = output.evalue.strip().splitlines()
            return Failure(index, cell.id, output.ename, message[0] if message else "")
    return None


@contextmanager
def _kernel(node: Json, blocked: Collection[str], cell_seconds: int) -> Iterator:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory(prefix="vae-course-") as scratch:
        root = Path(scratch)
        for part in ("blockers", "kernels/isolated", "cwd"):
            (root / part).mkdir(parents=True)
        for name in blocked:
            text = f'raise ImportError("{name} {BLOCKED}")\n'
            (root / "blockers" / f"{name}.py").write_text(text, encoding="utf-8")
        # First on the path, so they win over a checkout, an installed package and its finders.
        path = [str(root / "blockers"), os.environ.get("PYTHONPATH", "")]
        data = Path(os.environ.get("VAE_COURSE_DATA") or "data").expanduser().resolve()
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "isolated",
            "language": "python",
            "env": {
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                # Heavy cells shrink on this word, as they do when they are graded.
                "NBGRADER_EXECUTION": "validate",
                # The scratch folder has no data: say where they are, if they are there.
                **({"VAE_COURSE_DATA": str(data)} if data.is_dir() else {}),
            },
        }
        (root / "kernels/isolated/kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        manager = AsyncKernelManager(
            kernel_name="isolated",
            transport="ipc",  # no port that others on the machine could reach
            ip=str(root / "ipc"),
            kernel_spec_manager=KernelSpecManager(
                kernel_dirs=[str(root / "kernels")], ensure_native_kernel=False
            ),
        )
        client = NotebookClient(
            node,
            km=manager,
            timeout=cell_seconds,
            startup_timeout=STARTUP_SECONDS,
            allow_errors=True,
            record_timing=False,
            resources={"metadata": {"path": str(root / "cwd")}},
        )
        with ExitStack() as stack:
            try:
                # We hand over a manager of our own and still want it shut down at the end.
                stack.enter_context(client.setup_kernel(cleanup_kc=True))
            except (RuntimeError, OSError) as error:
                raise CourseError(
                    f"no Jupyter kernel could be started ({error}); see `vae-course doctor`"
                ) from error
            yield client


def _prove_blocked(client, blocked: Collection[str]) -> None:
    import nbformat

    for name in sorted(blocked):
        cell = nbformat.v4.new_code_cell(f"import {name}")
        client.nb.cells.append(cell)
        client.execute_cell(cell, len(client.nb.cells) - 1)
        client.nb.cells.pop()
        failure = _failure(0, cell)
        if failure is None or failure.name != "ImportError" or BLOCKED not in failure.message:
            raise CourseError(
                f"the kernel for verifying can import {name}, so it proves nothing; look for a "
                "start-up hook of your Python that imports it (usercustomize, a .pth file)"
            )
