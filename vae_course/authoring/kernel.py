"""Running notebooks in a kernel, cut off from the packages of the course."""

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

# Nothing listens there, so whoever asks for the network is refused at once.
_NO_NETWORK = {
    name: value
    for kind in ("http", "https", "all")
    for name, value in (
        (f"{kind}_proxy", "http://127.0.0.1:9"),
        (f"{kind.upper()}_PROXY", "http://127.0.0.1:9"),
    )
} | {"no_proxy": "", "NO_PROXY": ""}


@dataclass(frozen=True)
class Surroundings:
    """What a notebook finds around it.

    Attributes:
        whole: heavy cells run in full; otherwise they shrink, as they do when they are graded.
        data: the folder of the real data; None where there is none, so that stand-ins are used.
        offline: downloads fail at once.
        python: the interpreter of the kernel.
    """

    whole: bool = False
    data: Path | None = None
    offline: bool = True
    python: Path = Path(sys.executable)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that say so to the kernel."""
        return {
            # A scratch folder has no `data`, so an empty name says that there are none.
            "VAE_COURSE_DATA": str(self.data.resolve()) if self.data else "",
            **({} if self.whole else {"NBGRADER_EXECUTION": "validate"}),
            **(_NO_NETWORK if self.offline else {}),
        }


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
    cell_seconds: int | None,
    surroundings: Surroundings | None = None,
    on_cell: Callable[[Json, float], None] = lambda cell, seconds: None,
) -> RunResult:
    """Run a notebook from the top to its first error, in a scratch folder.

    Args:
        notebook: its code cells are run; it is not changed.
        blocked: packages that cannot be imported there, proved before the first cell.
        cell_seconds: a cell that takes longer is a failure named `CellTimeoutError`; None for
            a run that may take as long as it likes.
        surroundings: by default heavy cells shrink, and there is neither network nor data.
        on_cell: called after each code cell with the cell, its outputs in it, and its seconds.

    Raises:
        CourseError: the kernel cannot be started, or does not block what it should.
    """
    import nbformat
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    node = nbformat.from_dict(json.loads(json.dumps(notebook)))
    with _kernel(node, blocked, cell_seconds, surroundings or Surroundings()) as client:
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
            seconds = time.monotonic() - started
            slowest = max(slowest, (cell.id, seconds), key=lambda pair: pair[1])
            on_cell(cell, seconds)
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
def _kernel(
    node: Json, blocked: Collection[str], cell_seconds: int | None, surroundings: Surroundings
) -> Iterator:
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
        spec = {
            "argv": [
                *(str(surroundings.python), "-m", "ipykernel_launcher"),
                *("-f", "{connection_file}"),
            ],
            "display_name": "isolated",
            "language": "python",
            "env": {
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                **surroundings.environment,
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
