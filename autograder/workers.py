"""Running many submissions at once: each in a sandbox, in worker processes or on a cluster.

A worker runs notebooks and gives back what their cells show. It never sees the gradebook: one
process, the one that asks, records.
"""

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any, Self

import nbformat

from autograder.notebooks import ReleasedCell, restore
from autograder.sandbox.jail import die_with_parent
from vae_course.errors import UsageError

LOG = logging.getLogger("autograder.nbgrader")

TRIES = 3
"""How often a submission is tried whose worker dies: not each time can it be the one to blame."""


@dataclass(frozen=True)
class Job:
    """A submission, with all that running it takes. It can be sent to another machine.

    Attributes:
        notebooks: the submitted notebooks' texts, by name.
        released: their cells as they were released, by name; None if they were restored before.
        files: what stands beside them, by path.
        limits: of the sandbox, see `autograder.sandbox.jail.Limits`.
        seed: of the judge's inputs; None for a fresh one.
        given: names of the files that are the instructor's.
        left: what notebooks before these wrote, if a submission's notebooks have a job each.
    """

    notebooks: Mapping[str, str]
    released: Mapping[str, list[ReleasedCell]] | None
    files: tuple[tuple[str, bytes], ...]
    limits: Mapping[str, float]
    seed: int | None = None
    given: frozenset[str] = frozenset()
    left: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class Ran:
    """What the code cells of a notebook showed.

    Attributes:
        sources: what was run, by which the one who records knows that it is the same.
        outputs: for each of them, outputs as a notebook holds them.
        warnings: what an instructor should read in the log.
        cpu_seconds: processor time of the student's process.
        seconds: wall time from its start to its end.
        left: the files that it left, by path, if another job needs them.
    """

    sources: list[str]
    outputs: list[list[dict[str, Any]]]
    warnings: list[str]
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    left: Mapping[str, bytes] = field(default_factory=dict)


def run_submission(job: Job) -> dict[str, Ran]:
    """Run a submission's notebooks, each in a sandbox of its own.

    They are run in the order of their files, and as in nbgrader each finds what those before it
    wrote, but for the instructor's files, which are as they were.

    Raises:
        autograder.sandbox.outside.NoSandbox: there is none.
    """
    # Here, for torch comes with it, and who only sends jobs needs none.
    from autograder import execution
    from autograder.draw import submission_seed
    from autograder.exercises import exercise_of
    from autograder.follow_through import follow_through, second_looks
    from autograder.sandbox.jail import Limits
    from autograder.sandbox.outside import shared_warm_parent

    seed = submission_seed() if job.seed is None else job.seed
    done: dict[str, Ran] = {}
    left = dict(job.left or {})
    names = sorted(job.notebooks, key=file_name)
    for name in names:
        cells = nbformat.reads(job.notebooks[name], as_version=4).cells
        if job.released is not None:
            cells = restore(cells, job.released[name])
        warnings: list[str] = []
        limits = Limits(**job.limits)
        warm, start = shared_warm_parent(limits.gpu), time.monotonic()
        found = {path: data for path, data in left.items() if path not in job.given}
        found |= {path: data for path, data in job.files if path not in found}
        with warm.session(limits) as session:
            # The instructor's last: they stay.
            execution.start(session, seed, found.items(), warnings.append)
            verdicts = execution.run_cells(cells, session, exercise_of, seed, warnings.append)
            goes_on = job.left is not None or name != names[-1]
            left = execution.left_behind(session) if goes_on else {}
        cpu_seconds = session.report.get("cpu_seconds", 0.0)
        if waiting := second_looks(cells, verdicts, exercise_of):
            with warm.session(limits) as session:
                execution.start(session, seed, found.items())
                follow_through(cells, verdicts, waiting, session, exercise_of, seed)
            cpu_seconds += session.report.get("cpu_seconds", 0.0)
        code = [cell for cell in cells if cell.cell_type == "code"]
        outputs = [[dict(output) for output in cell.outputs] for cell in code]
        seconds = time.monotonic() - start
        sources = [cell.source for cell in code]
        kept = {} if job.left is None else left
        done[name] = Ran(sources, outputs, warnings, cpu_seconds, seconds, kept)
    return done


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS does not tell them apart


def file_name(notebook: str) -> str:
    """The file of a notebook, by which nbgrader puts them in order."""
    return f"{notebook}.ipynb"


@dataclass
class _Begun:
    name: str
    job: Job | None
    future: Future | None = None


def _is_broken(future: Future) -> bool:
    """Whether its worker died before it was done, or while it waited."""
    return future.done() and isinstance(future.exception(), BrokenProcessPool)


class Workers:
    """Runs jobs in worker processes, some ahead of the one that is asked for.

    Args:
        count: how many processes.
        executor: used in place of processes of our own, such as a Dask cluster's.
    """

    def __init__(self, count: int = 1, executor: Executor | None = None) -> None:
        self.count = count
        self._given = executor
        self._pool: Executor | None = None

    def run(
        self, jobs: Iterable[tuple[str, Job | None]]
    ) -> Iterator[tuple[str, dict[str, Ran] | Exception | None]]:
        """Run jobs, and give what came of each, in their order.

        Args:
            jobs: of a name and a job, or None where there is nothing to run.

        Returns:
            An iterator of names and results. Where the worker failed, the result is the exception.
        """
        rest = iter(jobs)
        ahead = deque(_Begun(name, job) for name, job in islice(rest, 4 * self.count))
        while ahead:
            for one in ahead:
                if one.job is not None and (one.future is None or _is_broken(one.future)):
                    one.future = self._submit(one.job)
            first = ahead.popleft()
            yield first.name, self._result(first.job, first.future) if first.job else None
            ahead.extend(_Begun(name, job) for name, job in islice(rest, 1))

    def _submit(self, job: Job) -> Future:
        if self._given is not None:
            return self._given.submit(run_submission, job)
        try:
            return self._processes().submit(run_submission, job)
        except BrokenProcessPool:
            self._drop_pool()
            return self._processes().submit(run_submission, job)

    def _processes(self) -> Executor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.count, multiprocessing.get_context("spawn"), initializer=_quiet_worker
            )
        return self._pool

    def _result(self, job: Job, future: Future) -> dict[str, Ran] | Exception:
        for left in reversed(range(TRIES)):
            try:
                return future.result()
            except BrokenProcessPool as error:
                LOG.warning("a worker died; its submissions are run again")
                if not left:
                    return error
                future = self._submit(job)
            except Exception as error:  # the grader's own fault: it is told, and the class goes on
                LOG.exception("a worker failed")
                return error
        raise AssertionError("unreachable")

    def _drop_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=error is None, cancel_futures=True)
        if error is not None:
            for process in processes:  # a running notebook would be waited for
                process.terminate()


def cluster(address: str) -> Workers:
    """The workers of a Dask cluster, such as tcp://10.0.0.5:8786.

    Its workers need this package and a sandbox, and should have one thread each: dask worker
    --nthreads 1.

    Raises:
        UsageError: nobody is there, nobody works there, or the extra is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "a cluster needs the package distributed: pip install 'vae-course[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{address}: no Dask scheduler answers there ({error})") from None
    count = len(client.scheduler_info(n_workers=-1)["workers"])
    if not count:
        raise UsageError(f"{address}: this scheduler has no workers; start some with dask worker")
    # Not pure: the same submission has another seed the next time.
    return Workers(count, client.get_executor(pure=False))


def _quiet_worker() -> None:
    """Ctrl-C is for the one who asks, who ends its workers itself, or takes them along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    started_by = multiprocessing.parent_process()
    if started_by is not None and os.getppid() != started_by.pid:
        os._exit(1)  # it ended before this one could ask to be told
    os.environ.setdefault("OMP_NUM_THREADS", "1")
