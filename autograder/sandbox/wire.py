"""Messages between the judge and a student's process: JSON for the structure, tensors apart.

A message is a dict of wire values (see `autograder.student`). On the socket it is a frame: two
lengths, a JSON text, and a safetensors file with the tensors, to which the text refers by number.
Nothing is ever unpickled. Whoever reads expects the writer to lie: lengths are capped before a byte
is read, and what has not the right form is a `WireError`.
"""

import json
import select
import socket
import struct
import time
from typing import Any

import torch
from safetensors.torch import load, save

from autograder.student import MAX_DEPTH, MAX_TENSOR_BYTES, Loader, Ref, Seed, printable

MAX_TEXT_BYTES = 24 * 2**20
"""Of a frame's JSON. The outputs of a cell, pictures included, are a few megabytes."""

MAX_BLOB_BYTES = 2 * MAX_TENSOR_BYTES
MAX_VALUES = 2**18
"""In a message, one inside the other. More of them would take the reader seconds."""

_HEADER = struct.Struct(">II")
_PART = 2**20  # bytes to ask the socket for at once


class WireError(Exception):
    """What came is no message."""


class Closed(WireError):
    """The other side is gone."""


class Late(Exception):
    """Nothing came before the deadline."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as a frame.

    Raises:
        TypeError: it holds something that is no wire value.
        WireError: it is too large, or nested too deep.
    """
    tensors: dict[str, torch.Tensor] = {}
    written = _written(message, tensors, _Budget())
    try:
        text = json.dumps(written, separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:  # a whole number of thousands of digits
        raise WireError(str(error)) from None
    text = text.encode(errors="replace")  # half a surrogate pair is no character
    blob = save(tensors) if tensors else b""
    if len(text) > MAX_TEXT_BYTES or len(blob) > MAX_BLOB_BYTES:
        raise WireError(f"a message of {len(text) + len(blob):,} bytes is too large")
    return _HEADER.pack(len(text), len(blob)) + text + blob


def decode(text: bytes, blob: bytes) -> dict[str, Any]:
    """The message of a frame's two parts.

    Raises:
        WireError: it is none.
    """
    try:
        tensors = load(blob) if blob else {}
        message = _read(json.loads(text.decode()), tensors, _Budget())
    except WireError:
        raise
    except Exception as error:  # json and safetensors have many ways to say no
        raise WireError(f"{type(error).__name__}") from None
    if not isinstance(message, dict):
        raise WireError("a message is a dict")
    if tensors:
        raise WireError("a tensor that stands nowhere")
    return message


# A list in JSON is always one of these: its first entry says what it stands for.
_LIST, _TUPLE, _DICT, _TENSOR, _REF, _SEED, _LOADER = "ltdTRSL"


# Types of tensors that PyTorch stores, and does not compare or add.
_WITHOUT_ARITHMETIC = ("float4", "float8", "uint16", "uint32", "uint64")


class _Budget:
    """Counts the values of a message."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def take(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise WireError("too many values")
        if depth > MAX_DEPTH + 4:
            raise WireError("nested too deep")


def _written(value: Any, tensors: dict[str, torch.Tensor], budget: _Budget, depth: int = 0) -> Any:
    budget.take(depth)

    def inner(item: Any) -> Any:
        return _written(item, tensors, budget, depth + 1)

    match value:
        case None | bool() | int() | float() | str():
            return value
        case torch.Tensor():
            # Under one number each, for safetensors refuses two that share their memory.
            tensors[str(len(tensors))] = (
                value.detach().cpu().clone(memory_format=torch.contiguous_format)
            )
            return [_TENSOR, len(tensors) - 1]
        case Ref():
            return [_REF, value.key, value.type_name]
        case Seed():
            return [_SEED, value.value]
        case Loader():
            parts = (value.images, value.labels, value.batch_size, value.shuffle, value.seed)
            return [_LOADER, *map(inner, parts)]
        case list():
            return [_LIST, *map(inner, value)]
        case tuple():
            return [_TUPLE, *map(inner, value)]
        case dict() if all(isinstance(key, str | int) for key in value):
            return [_DICT, *([inner(key), inner(item)] for key, item in value.items())]
    raise TypeError(f"a {type(value).__name__} cannot cross")


def _read(value: Any, tensors: dict[str, torch.Tensor], budget: _Budget, depth: int = 0) -> Any:
    budget.take(depth)
    if isinstance(value, str):
        value.encode()  # JSON can spell half a surrogate pair, which could not be written to a file
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, list) or not value:
        raise WireError("no wire value")

    def inner(item: Any) -> Any:
        return _read(item, tensors, budget, depth + 1)

    kind, *parts = value
    match kind, parts:
        case "l", _:
            return [inner(part) for part in parts]
        case "t", _:
            return tuple(inner(part) for part in parts)
        case "d", _:
            if not all(isinstance(part, list) and len(part) == 2 for part in parts):
                raise WireError("no pair")
            pairs = [(inner(key), inner(item)) for key, item in parts]
            if not all(isinstance(key, str | int) for key, _ in pairs):
                raise WireError("no key")
            if len(found := dict(pairs)) < len(pairs):
                raise WireError("a key twice")
            return found
        case "T", [int(number)]:
            # Each once, or a few bytes could stand for any number of large tensors.
            return _sound(tensors.pop(str(number)))
        case "R", [int(key), str(name)]:
            return Ref(key, printable(name, 100))
        case "S", [int(seed)]:
            return Seed(seed)
        case "L", [images, labels, int(size), bool(shuffle), int(seed)]:
            return Loader(inner(images), inner(labels), size, shuffle, seed)
    raise WireError("no wire value")


def _sound(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that one can compute with, and whose bits mean something."""
    if tensor.dtype is torch.bool:  # its byte can hold more than 0 and 1
        return tensor.view(torch.uint8) != 0
    if any(word in str(tensor.dtype) for word in _WITHOUT_ARITHMETIC):
        return tensor.to(torch.float64)
    return tensor


class Channel:
    """One end of a connection over which messages go both ways.

    Args:
        end: a connected stream socket. It is the channel's own from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._came = bytearray()  # of a frame that is not whole yet
        end.setblocking(False)

    def send(self, message: dict[str, Any], deadline: float | None = None) -> None:
        """Send a message.

        Args:
            message: a dict of wire values.
            deadline: on the clock of `time.monotonic`.

        Raises:
            Closed: nobody is there.
            Late: the other side does not read.
        """
        rest = memoryview(encode(message))
        while rest:
            try:
                rest = rest[self._end.send(rest) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise Closed(str(error)) from None

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """The next message.

        Raises:
            WireError: what came is none; the channel is of no use any more.
            Closed: nobody is there.
            Late: it did not come, or not whole.
        """
        self._fill(_HEADER.size, deadline)
        text_length, blob_length = _HEADER.unpack_from(self._came)
        if text_length > MAX_TEXT_BYTES or blob_length > MAX_BLOB_BYTES:
            raise WireError("too large")
        text_end = _HEADER.size + text_length
        self._fill(text_end + blob_length, deadline)
        frame, self._came = self._came, bytearray()
        with memoryview(frame) as view:
            text, blob = bytes(view[_HEADER.size : text_end]), bytes(view[text_end:])
        del frame
        return decode(text, blob)

    def _fill(self, count: int, deadline: float | None) -> None:
        """Wait until so many bytes have come. What came stays if the deadline passes."""
        while len(self._came) < count:
            try:
                part = self._end.recv(min(count - len(self._came), _PART))
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("closed")
            self._came += part

    def _wait(self, event: int, deadline: float | None) -> None:
        poll = select.poll()
        poll.register(self._end, event)
        if deadline is None:
            poll.poll()
            return
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise Late

    def close(self) -> None:
        self._end.close()

    def fileno(self) -> int:
        return self._end.fileno()
