"""A GPU to run a student's code on, on a machine that has none.

    with pretend_gpu():
        model.to("cuda")(images.to("cuda"))  # DeviceMismatch, if something was left on the CPU

All the numbers stay where they are, in plain tensors on the CPU, and so come out bit for bit as on
the CPU (but for the derivative of `prod`, which PyTorch works out another way when it is watched).
What is pretended is only which memory they are in: each storage carries a tag, "gpu" or "cpu", and
two modes see to it that PyTorch behaves accordingly.

- `_Calls` stands before each call into PyTorch. It reads "cuda" in arguments, answers for `.device`
  and the like, and moves tensors, which is a copy with another tag.
- `_Operations` stands below autograd, before each single operation. It refuses what CUDA would
  refuse, and gives results the tag of what they were computed from.

A tensor that PyTorch makes on its own way through a function, or in a backward pass, has a third
tag, "either", until it meets another one: nobody asked for it to be on the CPU.

When it is over nothing has to be put back in tensors, for the tags are forgotten. A tag is on the
storage and not on the tensor, so views have it too, and a parameter stays the very object that an
optimiser holds.

What it does not see: other threads; a name like `torch.Generator` that was imported before;
"cuda" in hooks and custom backward functions while a backward pass runs; compiled code.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils import _device as defaults
from torch.utils._python_dispatch import TorchDispatchMode

_GPU, _CPU, _EITHER = "gpu", "cpu", "either"
_DEVICE = torch.device("cuda", 0)  # no more than a name
_AS_PLAIN = torch._C.DisableTorchFunctionSubclass

MADE_HERE = "The one on cpu is made in this line."
MISMATCH = "Expected all tensors to be on the same device, but found at least two devices"
_INDICES = "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
_ARRAY = (
    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
    "memory first."
)
_GENERATOR = "Expected a '{}' device type for generator but found '{}'"
_STATE = "expected a torch.ByteTensor, but got torch.cuda.ByteTensor"


class Made(NamedTuple):
    """The line in which a tensor was made, outside of PyTorch: its code, number and names."""

    code: CodeType
    line: int
    names: dict[str, Any]


class DeviceMismatch(RuntimeError):
    """Tensors of two devices met, in PyTorch's own words.

    Attributes:
        made: where the one on the CPU came to be, if that is known.
    """

    def __init__(self, message: str, made: Made | None = None) -> None:
        super().__init__(message)
        self.made = made


def is_about_devices(message: str) -> bool:
    """Whether these are the words of PyTorch, or of ours, for tensors on the wrong device."""
    words = (MISMATCH, _INDICES, "device type tensor to numpy", "device type for generator", _STATE)
    return any(part in message for part in words)


@contextlib.contextmanager
def gpu() -> Iterator["_Tags | None"]:
    """The GPU of this machine, if it has one (then None is given), or else a pretended one.

    Raises:
        DeviceMismatch: tensors met that are on different devices.
    """
    if not torch.cuda.is_available():
        with pretend_gpu() as tags:
            yield tags
        return
    try:
        yield None
    except RuntimeError as error:
        if isinstance(error, DeviceMismatch) or not is_about_devices(str(error)):
            raise
        raise DeviceMismatch(str(error)).with_traceback(error.__traceback__) from None


@contextlib.contextmanager
def pretend_gpu() -> Iterator["_Tags"]:
    """Pretend that this machine has a GPU, "cuda:0". Nothing is moved there but by the code."""
    # The first optimiser imports this, which makes tables of what is in torch: not of our own.
    import torch._dynamo

    tags = _Tags()
    default = default_device()
    with contextlib.ExitStack() as stack:
        for module, answers in ((torch.cuda, _CUDA), (torch.accelerator, _ACCELERATOR)):
            for name, answer in answers.items():
                if hasattr(module, name):
                    stack.enter_context(replaced(module, name, answer))
        stack.enter_context(replaced(torch, "Generator", _Generator))
        stack.enter_context(replaced(torch, "load", _loading(torch.load, tags)))
        stack.enter_context(_Operations(tags))
        stack.enter_context(_Calls(tags))
        try:
            yield tags
        finally:
            if default_device() != default:
                torch.set_default_device(default)


def place(tensor: torch.Tensor) -> str:
    """The device of a tensor: "gpu" or "cpu"."""
    return _CPU if tensor.device.type == "cpu" else _GPU


def to_gpu(value: Any) -> Any:
    """`value` with the tensors and modules in it on the GPU; a module is moved in place."""
    if isinstance(value, torch.Tensor | nn.Module):
        return value.to("cuda")
    if isinstance(value, dict):
        return {key: to_gpu(item) for key, item in value.items()}
    return type(value)(map(to_gpu, value)) if type(value) in (list, tuple) else value


@contextlib.contextmanager
def as_on_a_gpu_machine(namespace: Mapping[str, Any], tags: "_Tags | None") -> Iterator[None]:
    """Have a notebook that was run without a GPU look as if it had been run with one.

    A name that holds the CPU as a device, as `device` does where no GPU was found, holds the GPU
    meanwhile; so do defaults of functions and attributes of classes that were taken from it. A
    tensor or a module that a name holds may have been moved there, or not: nothing is said against
    it on either device.

    Args:
        namespace: the notebook's names. They are as before in the end.
        tags: of the pretence; None on a real GPU, which the notebook has seen.
    """
    if tags is None or not isinstance(namespace, MutableMapping):
        yield
        return
    devices = {name: _standing_in(value) for name, value in namespace.items()}
    devices = {name: value for name, value in devices.items() if value is not None}
    known = [namespace[name] for name in devices]
    changes: list[tuple[Any, str, Any]] = []
    owners = [value for value in namespace.values() if _is_own(value, namespace)]
    for owner in owners:
        changes += _changed_defaults(owner, known)
    with contextlib.ExitStack() as stack:
        for value in list(namespace.values()):
            tags.allow_both(value)
        for owner, name, value in changes:
            stack.enter_context(replaced(owner, name, value))
        before = {name: namespace[name] for name in devices}
        namespace.update(devices)
        try:
            yield
        finally:
            namespace.update(before)


def cpu_attributes(module: nn.Module) -> list[tuple[str, str]]:
    """Attributes of a module that hold the CPU as a device, or a tensor that `.to` leaves there.

    Returns:
        The path of each part of the module, and the name of the attribute.
    """
    return [
        (path, name)
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if issubclass(type(value), torch.Tensor) or _standing_in(value) is not None
    ]


def _standing_in(value: Any) -> Any:
    """The GPU as a device or as a string, for a value that is the CPU; else None."""
    if type(value) is torch.device and value.type == "cpu":
        return torch.device("cuda")
    return "cuda" if type(value) is str and value == "cpu" else None


def _is_own(value: Any, namespace: Mapping[str, Any]) -> bool:
    """Whether it is a function or class that the notebook defines."""
    if isinstance(value, FunctionType):
        return value.__globals__ is namespace
    return isinstance(value, type) and value.__module__ == namespace.get("__name__")


def _changed_defaults(owner: Any, known: list[Any]) -> Iterator[tuple[Any, str, Any]]:
    """Owner, attribute and new value, wherever `owner` holds a device that a name holds too.

    A `torch.device` must be the same object: whoever wrote a new one meant the CPU.
    """

    def changed(value: Any) -> Any:
        is_known = any(value is one or (type(one) is str and value == one) for one in known)
        return _standing_in(value) if is_known else None

    if isinstance(owner, FunctionType):
        found = [changed(value) for value in owner.__defaults__ or ()]
        if any(value is not None for value in found):
            pairs = zip(found, owner.__defaults__, strict=True)
            yield owner, "__defaults__", tuple(old if new is None else new for new, old in pairs)
        named = {name: changed(value) for name, value in (owner.__kwdefaults__ or {}).items()}
        named = {name: value for name, value in named.items() if value is not None}
        if named:
            yield owner, "__kwdefaults__", owner.__kwdefaults__ | named
        return
    for name, value in vars(owner).items():
        if isinstance(value, FunctionType):
            yield from _changed_defaults(value, known)
        elif (new := changed(value)) is not None:
            yield owner, name, new


# Which memory a storage is in.


class _Tag(NamedTuple):
    place: str
    made: Made | None
    storage: StorageWeakRef | None


_NOWHERE = _Tag(_EITHER, None, None)


class _Tags:
    """The tags of one pretence.

    They stand in a table, under the addresses of the storages: an attribute of a storage's object
    in Python would be lost when the garbage collector clears a cycle that this was in, as
    `torch.save` leaves one. The weak reference keeps an address from being given to another one.

    Attributes:
        inside: how many calls into PyTorch are under way, one inside the other. What is made then,
            PyTorch makes.
        indexing: x[i] or x[i] = y is under way, for which i may be on the CPU.
    """

    def __init__(self) -> None:
        self.inside = 0
        self.indexing = False
        self._table: dict[int, _Tag] = {}
        self._room = 1000

    def of(self, tensor: torch.Tensor) -> str:
        tag = self._tag(tensor)
        return _CPU if tag is None else tag.place

    def made(self, tensor: torch.Tensor) -> Made | None:
        tag = self._tag(tensor)
        return None if tag is None else tag.made

    def put(self, tensor: torch.Tensor, place: str, made: Made | None = None) -> None:
        # A storage without data, as a sparse tensor has it, cannot be asked for: see `_tag`.
        with _AS_PLAIN(), contextlib.suppress(NotImplementedError, RuntimeError):
            storage = tensor.untyped_storage()
            tag = self._table.get(storage._cdata)
            weak = StorageWeakRef(storage) if tag is None else tag.storage
            self._table[storage._cdata] = _Tag(place, made, weak)
        if len(self._table) > self._room:
            kept = {key: tag for key, tag in self._table.items() if not tag.storage.expired()}
            self._table, self._room = kept, max(1000, 2 * len(kept))

    def _tag(self, tensor: torch.Tensor) -> _Tag | None:
        with _AS_PLAIN():  # not what a subclass of the student's says
            try:
                return self._table.get(tensor.untyped_storage()._cdata)
            except (NotImplementedError, RuntimeError):
                return _NOWHERE

    def allow_both(self, value: Any) -> None:
        """Say nothing against a tensor, or those of a module, on either device."""
        if issubclass(type(value), nn.Module) and "_modules" in vars(value):
            tensors = [*value.parameters(), *value.buffers()]
        else:
            tensors = [value] if issubclass(type(value), torch.Tensor) else []
        with torch._C.DisableTorchFunction():  # a cheaper way: there are many
            for tensor in tensors:
                self.put(tensor, _EITHER)

    def moved(self, tensor: torch.Tensor, place: str | None) -> torch.Tensor:
        """The tensor itself if it is there, as PyTorch has it, or a copy."""
        if place is None or self.of(tensor) == place:
            return tensor
        return _Move.apply(tensor, self, place)


class _Move(torch.autograd.Function):
    """A copy to another device; the gradient goes the way back."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, tags: _Tags, place: str) -> torch.Tensor:
        ctx.tags, ctx.back = tags, tags.of(tensor)
        copy = tensor.clone()
        tags.put(copy, place, _made_here() if place == _CPU else None)
        return copy

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return ctx.tags.moved(gradient, ctx.back), None, None


def _made_here() -> Made | None:
    """The line that is being run outside of PyTorch and of this file."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name != __name__ and str(name).partition(".")[0] != "torch":
            return Made(frame.f_code, frame.f_lineno, frame.f_globals)
        frame = frame.f_back
    return None


def _flat(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _flat(value)
        elif isinstance(value, dict):
            yield from _flat(value.values())


# Single operations, below autograd.


class _Rule(NamedTuple):
    """What is to be known of an operation.

    Attributes:
        names: of its arguments, in order.
        written: those that it changes.
        loose: those that may be on the CPU while others are on the GPU.
        crosses: it may be given tensors of any device.
        scalars: a tensor on the CPU that is a single number may take part.
    """

    names: tuple[str, ...]
    written: frozenset[str]
    loose: frozenset[str]
    crosses: bool
    scalars: bool


_CROSSING = ("copy", "copy_", "_foreach_copy_", "_copy_from", "_has_compatible_shallow_copy_type")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")
_ALIKE = ("cat", "stack")


@functools.cache
def _rule(operation: Any) -> _Rule:
    name = operation._schema.name.removeprefix("aten::")
    arguments = operation._schema.arguments
    written = {a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write}
    return _Rule(
        tuple(argument.name for argument in arguments),
        frozenset(written),
        frozenset({"indices"} if name in _INDEXING else ()),
        name in _CROSSING,
        name not in _ALIKE,
    )


def _may_be_cpu(rule: _Rule, name: str, tensor: torch.Tensor) -> bool:
    """Whether an argument on the CPU is fine among others on the GPU."""
    is_scalar = rule.scalars and tensor.dim() == 0 and name not in rule.written
    return is_scalar or name in rule.loose


class _Operations(TorchDispatchMode):
    """Refuses what mixes devices, and tags what comes out."""

    def __init__(self, tags: _Tags) -> None:
        super().__init__()
        self._tags = tags

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and each operation would be asked about it

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            rule = _rule(func)
            found: dict[str, list[tuple[str, torch.Tensor]]] = {_GPU: [], _CPU: [], _EITHER: []}
            for name, value in [*zip(rule.names, args, strict=False), *kwargs.items()]:
                for tensor in _flat((value,)):
                    found[self._tags.of(tensor)].append((name, tensor))
            if found[_GPU] and found[_CPU] and not rule.crosses:
                self._check(rule, found[_GPU], found[_CPU])
            result = func(*args, **kwargs)
            if not rule.crosses:
                self._tag(rule, found, result)
            return result

    def _check(self, rule: _Rule, on_gpu: list, on_cpu: list) -> None:
        for name, tensor in on_cpu:
            if _may_be_cpu(rule, name, tensor) or (self._tags.indexing and name == "index"):
                continue
            only_indices = all(name in rule.loose for name, _ in on_gpu)
            words = _INDICES if only_indices else f"{MISMATCH}, cuda:0 and cpu!"
            raise DeviceMismatch(words, self._tags.made(tensor))

    def _tag(self, rule: _Rule, found: dict, result: Any) -> None:
        tags = self._tags
        results = list(_flat((result,)))
        if found[_GPU]:
            results += [tensor for name, tensor in found[_EITHER] if name in rule.written]
            for tensor in results:
                if tags.of(tensor) != _GPU:
                    tags.put(tensor, _GPU)
        elif any(not _may_be_cpu(rule, *one) for one in found[_CPU]) or (
            found[_CPU] and not found[_EITHER]
        ):
            made = next(filter(None, (tags.made(tensor) for _, tensor in found[_CPU])), None)
            for tensor in results:
                if made and tags.of(tensor) == _CPU and tags.made(tensor) is None:
                    tags.put(tensor, _CPU, made)
        elif found[_EITHER] or tags.inside or torch._C._current_graph_task_id() != -1:
            for tensor in results:
                tags.put(tensor, _EITHER)
        else:
            # A call that does not come by `_Calls`, such as torch.FloatTensor(3).
            for tensor in results:
                tags.put(tensor, _CPU, _made_here())


# Calls into PyTorch.


def _place_of(device: Any) -> str | None:
    """The place that a device argument names; None for one that is neither."""
    if isinstance(device, bool):
        return None
    if isinstance(device, int):
        device = torch.device("cuda", device)
    elif isinstance(device, str):
        device = torch.device(device)
    if device.type == "cuda":
        if device.index not in (None, 0):
            raise RuntimeError("CUDA error: invalid device ordinal")
        return _GPU
    return _CPU if device.type == "cpu" else None


class _Calls(TorchFunctionMode):
    """Reads and answers in terms of devices, where PyTorch itself knows only of the CPU."""

    def __init__(self, tags: _Tags) -> None:
        super().__init__()
        self.tags = tags

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        answer = _answers().get(func)
        self.tags.inside += 1
        try:
            if answer is not None:
                return answer(self, func, args, dict(kwargs or {}))
            return self.call(func, args, dict(kwargs or {}))
        finally:
            self.tags.inside -= 1

    def call(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """Any function: what it makes is where it was asked to be, or where its arguments are."""
        where, given = None, [*args, *kwargs.values()]
        if kwargs.get("device") is not None:
            where = _place_of(kwargs["device"])
        elif func in defaults._device_constructors():
            where = self.default()
        if where == _GPU:
            kwargs["device"] = "cpu"
        places = {self.tags.of(tensor) for tensor in _flat(given)}
        if isinstance(kwargs.get("generator"), torch._C.Generator):
            _check_generator(kwargs["generator"], where, places)
        result = func(*args, **kwargs)
        for tensor in _flat((result,)):
            self._settle(tensor, where, places)
        return result

    def _settle(self, tensor: torch.Tensor, where: str | None, places: set[str]) -> None:
        tags = self.tags
        if where is not None:
            tags.put(tensor, where, _made_here() if where == _CPU else None)
        elif tags.of(tensor) == _EITHER and _EITHER not in places:
            where = _GPU if _GPU in places else _CPU
            tags.put(tensor, where, _made_here() if where == _CPU else None)

    def default(self) -> str | None:
        """Where new tensors are that nobody named a device for."""
        device = defaults.CURRENT_DEVICE
        return _CPU if device is None else _place_of(device)

    def device_of(self, tensor: torch.Tensor, real: Callable[[], torch.device]) -> torch.device:
        return real() if self.tags.of(tensor) == _CPU else _DEVICE

    def on_gpu(self, tensor: torch.Tensor) -> bool:
        return self.tags.of(tensor) != _CPU


def _check_generator(generator: torch._C.Generator, where: str | None, places: set[str]) -> None:
    wanted = where or next((one for one in (_EITHER, _GPU) if one in places), _CPU)
    given = _GPU if isinstance(generator, _OnGpu) else _CPU
    if wanted not in (given, _EITHER):
        names = {_GPU: "cuda", _CPU: "cpu"}
        raise DeviceMismatch(_GENERATOR.format(names[wanted], names[given]))


@functools.cache
def _answers() -> dict[Any, Callable]:
    """The calls that are about devices, and what is done for them.

    Each gets the mode, the function, its arguments, and keywords that it may change.
    """
    tensor = torch.Tensor
    return {
        tensor.device.__get__: lambda mode, f, a, k: mode.device_of(a[0], lambda: f(*a)),
        tensor.is_cuda.__get__: lambda mode, f, a, k: mode.on_gpu(a[0]),
        tensor.is_cpu.__get__: lambda mode, f, a, k: not mode.on_gpu(a[0]) and f(*a),
        tensor.get_device: lambda mode, f, a, k: 0 if mode.on_gpu(a[0]) else f(*a),
        tensor.to: _to,
        tensor.cuda: lambda mode, f, a, k: mode.tags.moved(a[0], _gpu_number(*a[1:2], **k)),
        tensor.cpu: lambda mode, f, a, k: mode.tags.moved(f(*a, **k), _CPU),
        tensor.type_as: lambda mode, f, a, k: mode.tags.moved(f(*a, **k), mode.tags.of(a[1])),
        tensor.pin_memory: lambda mode, f, a, k: a[0],
        tensor.__getitem__: _indexed,
        tensor.__setitem__: _indexed,
        tensor.numpy: _as_array,
        tensor.__array__: _as_array,
        tensor.__repr__: _shown,
        tensor.__deepcopy__: _like_the_first,
        tensor.new: _beside_the_first,
        tensor.new_tensor: _beside_the_first,
        torch.tensor: _beside_the_first,
        # A GRU on the GPU would have its weights packed by a library that is not there.
        torch._cudnn_rnn_flatten_weight: _nothing,
        torch.as_tensor: _perhaps_the_same,
        torch.asarray: _perhaps_the_same,
    }


def _gpu_number(device: Any = None, **_: Any) -> str:
    return _GPU if device is None else _place_of(device) or _GPU


def _to(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> torch.Tensor:
    where, (tensor, *rest) = None, args
    if "other" in kwargs:
        rest.insert(0, kwargs.pop("other"))
    if kwargs.get("device") is not None:
        where = _place_of(kwargs["device"])
        kwargs["device"] = "cpu" if where == _GPU else kwargs["device"]
    elif rest and isinstance(rest[0], torch.Tensor):
        where = mode.tags.of(rest[0])
    elif rest and isinstance(rest[0], str | int | torch.device):
        where = _place_of(rest[0])
        rest[0] = "cpu" if where == _GPU else rest[0]
    return mode.tags.moved(func(tensor, *rest, **kwargs), where)


def _indexed(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> Any:
    """x[i] becomes one of several operations; for some of them alone, i must be where x is."""
    mode.tags.indexing = True
    try:
        return mode.call(func, args, kwargs)
    finally:
        mode.tags.indexing = False


def _as_array(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> Any:
    forced = func is torch.Tensor.numpy and kwargs.get("force")
    if mode.tags.of(args[0]) == _GPU and not forced:
        raise TypeError(_ARRAY)
    return func(*args, **kwargs)


def _shown(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> str:
    text = func(*args, **kwargs)
    return f"{text[:-1]}, device='{_DEVICE}')" if mode.on_gpu(args[0]) else text


def _like_the_first(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> torch.Tensor:
    result = func(*args, **kwargs)
    mode.tags.put(result, mode.tags.of(args[0]))
    return result


def _beside_the_first(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> torch.Tensor:
    first = args[0] if args else kwargs.get("data")
    if kwargs.get("device") is None and isinstance(first, torch.Tensor) and mode.on_gpu(first):
        kwargs["device"] = _DEVICE
    return mode.call(func, args, kwargs)


def _perhaps_the_same(mode: _Calls, func: Any, args: tuple, kwargs: dict) -> torch.Tensor:
    """A function that gives back what it was given if it can, so that a tag must not change."""
    where, is_tensor = None, bool(args) and isinstance(args[0], torch.Tensor)
    if kwargs.get("device") is not None:
        where = _place_of(kwargs["device"])
    elif not is_tensor:
        where = mode.default()
    if where == _GPU:
        kwargs["device"] = "cpu"
    result = func(*args, **kwargs)
    if not is_tensor and where == _CPU:
        mode.tags.put(result, _CPU, _made_here())
    return mode.tags.moved(result, where)


# What is asked of torch itself, and not of a tensor.


class _GeneratorType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        # For torch.Generator, which this class stands for meanwhile, each one is an instance.
        return issubclass(type(instance), torch._C.Generator)


class _OnGpu(torch._C.Generator):
    """A generator of the GPU's. Its numbers are those of one of the CPU's with the same seed."""

    @property
    def device(self) -> torch.device:
        return _DEVICE

    def set_state(self, state: torch.Tensor) -> Any:
        if place(state) == _GPU:
            raise DeviceMismatch(_STATE)
        return super().set_state(state)


class _Generator(metaclass=_GeneratorType):
    """In the place of `torch.Generator`."""

    def __new__(cls, device: Any = "cpu") -> Any:
        return _OnGpu() if _place_of(device) == _GPU else torch._C.Generator(device)


def _loading(load: Callable, tags: _Tags) -> Callable:
    """`torch.load`, which puts tensors on the GPU where `map_location` says so."""

    @functools.wraps(load)
    def loading(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        named = isinstance(map_location, str | torch.device)
        if not named or _place_of(map_location) != _GPU:
            return load(file, map_location, *args, **kwargs)
        found = load(file, "cpu", *args, **kwargs)
        for tensor in _flat((found,)):
            tags.put(tensor, _GPU)
        return found

    return loading


def _nothing(*args: Any, **kwargs: Any) -> None:
    """There is nothing to do."""


def _always(answer: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: answer


class _Stream:
    """The one on which everything happens, in order. Optimisers ask whether it is recorded."""

    is_capturing = staticmethod(_always(False))
    synchronize = wait_stream = staticmethod(_nothing)


_MEMORY = 16 * 2**30
# The random numbers of this GPU are those of the CPU's generator: it is seeded with that one.
_CUDA: dict[str, Any] = {
    "is_available": _always(True),
    "device_count": _always(1),
    "current_device": _always(0),
    "set_device": _nothing,
    # What torch.cuda.device(0) does.
    **dict.fromkeys(("_exchange_device", "_maybe_exchange_device"), _always(0)),
    "init": _nothing,
    "get_device_name": _always("a pretended GPU"),
    "get_device_capability": _always((8, 0)),
    "is_bf16_supported": _always(True),
    "is_current_stream_capturing": _always(False),
    "current_stream": _always(_Stream()),
    "synchronize": _nothing,
    "empty_cache": _nothing,
    "mem_get_info": _always((_MEMORY, _MEMORY)),
    **dict.fromkeys(("memory_allocated", "max_memory_allocated"), _always(0)),
    **dict.fromkeys(("memory_reserved", "max_memory_reserved"), _always(0)),
    "reset_peak_memory_stats": _nothing,
    **dict.fromkeys(("manual_seed", "manual_seed_all", "seed", "seed_all"), _nothing),
    "get_rng_state": lambda device="cuda": torch.get_rng_state(),
    "set_rng_state": lambda state, device="cuda": torch.set_rng_state(state),
    "default_generators": (torch.default_generator,),
}
_ACCELERATOR: dict[str, Any] = {
    "is_available": _always(True),
    "device_count": _always(1),
    "current_accelerator": _always(torch.device("cuda")),
    "current_stream": _always(_Stream()),
    **dict.fromkeys(("current_device_index", "current_device_idx"), _always(0)),
    **dict.fromkeys(("set_device_index", "set_device_idx", "synchronize"), _nothing),
    "empty_cache": _nothing,
}


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have an attribute hold another value for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def default_device() -> torch.device:
    """Where new tensors are that nobody named a device for."""
    try:
        return torch.get_default_device()
    except AttributeError:  # torch 2.6, once somebody has said set_default_device(None)
        return torch.device("cpu")
