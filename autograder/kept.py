"""Long work in parts, side by side, whose results are kept from one run of it to the next."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch


class Part(Protocol):
    """A part of the work that a process can do by itself."""

    @property
    def key(self) -> str:
        """By which its result is known again: it names all that the result depends on."""

    @property
    def function(self) -> Callable[..., Any]:
        """At the top of a module; what it gives, JSON can hold."""

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Of the function."""


AnyPart = TypeVar("AnyPart", bound=Part)


def run(
    todo: Sequence[AnyPart], jobs: int, path: Path | None = None
) -> Iterator[tuple[AnyPart, Any, float]]:
    """Do parts side by side, and give each with its result and the seconds that it took.

    Args:
        todo: the parts.
        jobs: how many processes.
        path: a file of JSON lines. A result is added to it at once, and one that stands in it
            already is used again, and took no time.

    Returns:
        An iterator: first what was kept, then the others as they end.
    """
    before = kept(path) if path else {}
    yield from ((part, before[part.key], 0.0) for part in todo if part.key in before)
    # Each process computes with one thread: two of them disturb each other otherwise.
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            begun = {
                pool.submit(_timed, part.function, part.arguments): part
                for part in todo
                if part.key not in before
            }
            for future in as_completed(begun):
                part, (result, seconds) = begun[future], future.result()
                if path:
                    _keep(path, part.key, result)
                yield part, result, seconds
        finally:
            pool.shutdown(cancel_futures=True)


def kept(path: Path) -> dict[str, Any]:
    """The results in a file, by key; none, if there is no such file."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
            found[record["key"]] = record["result"]
        except (ValueError, LookupError, TypeError):
            continue  # cut short: it only saves time
    return found


def _keep(path: Path, key: str, result: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        # On a line of its own, also after one that was cut short.
        file.write("\n" + json.dumps({"key": key, "result": result}))


def _timed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = function(*arguments)
    return json.loads(json.dumps(result)), time.perf_counter() - begin
