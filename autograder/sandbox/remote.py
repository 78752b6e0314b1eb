"""The student handle over the wire: the same verbs as in process, answered by the sandbox's child.

What comes back was written by the student's process, so each verb looks at the form of its answer
before anybody computes with it. An answer of the wrong form is the student's error, never ours.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch

from autograder.sandbox.outside import Lost, Session
from autograder.student import (
    Gradients,
    Ref,
    StudentError,
    Target,
    printable,
    unfit,
)

_KINDS = ("missing", "blank", "result", "error", "timeout", "memory")
_WORDS = {
    "timeout": "It did not come to an end in time.",
    "memory": "It took more memory than a submission may use.",
    "processes": "It started more processes than a submission may have.",
    "cpu": "The submission used up its processor time.",
    "protocol": "The notebook's process gave an answer that cannot be read.",
    "died": "The notebook's process ended",
}


class RemoteStudent:
    """A `Student` in a sandbox.

    Args:
        session: of the submission, its cells run so far.
        seconds: how long all the verbs together may take, and not what the judge makes of their
            answers. After that each of them is a timeout.
    """

    def __init__(self, session: Session, seconds: float | None = None) -> None:
        self._session = session
        self._left = session.limits.cell_seconds if seconds is None else seconds

    @contextmanager
    def exercise(self) -> Iterator[None]:
        """Judge one exercise; the notebook's names and modes are as before when it is done."""
        with suppress(StudentError):
            self.ask({"do": "begin"})
        try:
            yield
        finally:
            self._left = self._session.limits.cell_seconds
            with suppress(StudentError):
                self.ask({"do": "end"})

    def has(self, name: str) -> bool:
        return _is(bool, self._verb("has", name))

    def ref(self, name: str) -> Ref:
        return _is(Ref, self._verb("ref", name))

    def call(self, target: Target, *args: Any, seed: int = 0, keep: bool = False, **kwargs: Any):
        found = self._verb("call", target, *args, seed=seed, keep=keep, **kwargs)
        return _is(Ref, found) if keep else found

    def fetch(self, ref: Ref) -> Any:
        return self._verb("fetch", ref)

    def carries_graph(self, ref: Ref) -> bool:
        return _is(bool, self._verb("carries_graph", ref))

    def gradients(
        self,
        target: Target,
        *args: Any,
        wrt: Sequence[int] = (),
        of: Ref | None = None,
        cotangent: Any = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> Gradients:
        given = {"wrt": list(wrt), "of": of, "cotangent": cotangent, "seed": seed}
        found = self._verb("gradients", target, *args, **given, **kwargs)
        output, inputs, parameters = _parts(found, 3)
        inputs = _each(torch.Tensor, inputs, or_none=True)
        if len(inputs) != len(wrt):
            raise _forged()
        return Gradients(output, inputs, _each(torch.Tensor, parameters, or_none=True))

    def on_gpu(
        self,
        target: Target,
        *args: Any,
        seed: int = 0,
        of: Ref | None = None,
        backward: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        given = {"seed": seed, "of": of, "backward": backward}
        found = _each(str, self._verb("on_gpu", target, *args, **given, **kwargs))
        if not set(found) <= {"gpu", "cpu"}:
            raise _forged()
        return found

    def parameters(self, ref: Ref) -> list[torch.Tensor]:
        return _each(torch.Tensor, self._verb("parameters", ref))

    def state(self, ref: Ref) -> list[torch.Tensor]:
        return _each(torch.Tensor, self._verb("state", ref))

    def load_state(self, ref: Ref, tensors: Sequence[torch.Tensor]) -> None:
        self._verb("load_state", ref, list(tensors))

    def modes(self, ref: Ref) -> list[bool]:
        return _each(bool, self._verb("modes", ref))

    def set_training(self, ref: Ref, training: bool) -> None:
        self._verb("set_training", ref, training)

    def optimizer(self, ref: Ref, name: str, **settings: Any) -> Ref:
        return _is(Ref, self._verb("optimizer", ref, name, **settings))

    def define(self, source: str, **names: Ref) -> dict[str, Ref]:
        found = _is(dict, self._verb("define", source, **names))
        if not all(isinstance(name, str) for name in found):
            raise _forged()
        return {name: _is(Ref, ref) for name, ref in found.items()}

    def _verb(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        message = {"do": "verb", "verb": verb, "args": list(args), "kwargs": kwargs}
        return self.ask(message)

    def ask(self, message: dict[str, Any]) -> Any:
        """Send a message, and give what the child answers.

        Raises:
            StudentError: it answers with an error, late, or not at all.
        """
        if self._left <= 0:
            raise StudentError("timeout", "Timeout", _WORDS["timeout"])
        start = time.monotonic()
        try:
            answer, late = self._session.ask(message, start + self._left)
        except Lost as lost:
            kind = lost.why if lost.why in ("timeout", "memory") else "error"
            ending = f" ({lost.detail})." if lost.why == "died" else ""
            raise StudentError(kind, "Lost", _WORDS.get(lost.why, "It is gone.") + ending) from None
        finally:
            self._left -= time.monotonic() - start
        if late:
            raise StudentError("timeout", "Timeout", _WORDS["timeout"])
        if "error" in answer:
            raise _error(answer["error"])
        if "value" not in answer:
            raise _forged()
        return answer["value"]


def _error(found: Any) -> StudentError:
    """The error that the child reports, with nothing in it that could not be shown."""
    fields = ("kind", "type", "message", "where", "line")
    if not isinstance(found, dict) or not all(isinstance(found.get(f), str) for f in fields):
        return _forged()
    kind, type_, message, where, line = (found[field] for field in fields)
    if kind not in _KINDS:
        return _forged()
    return StudentError(
        kind, printable(type_, 100), printable(message, 600), printable(where, 200), printable(line)
    )


def _forged() -> StudentError:
    return unfit(_WORDS["protocol"])


def _is(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise _forged()
    return value


def _each(kind: type, values: Any, or_none: bool = False) -> list[Any]:
    if not isinstance(values, list):
        raise _forged()
    return [None if value is None and or_none else _is(kind, value) for value in values]


def _parts(values: Any, count: int) -> list[Any]:
    if not isinstance(values, list) or len(values) != count:
        raise _forged()
    return values
