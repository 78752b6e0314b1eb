"""The handle through which a check touches a student's code.

A check never holds an object of the student's. It holds a `Student`, calls its few verbs, and gets
*wire values* back. Each verb could be one message (JSON for the structure, safetensors for the
tensors) to another process; `InProcessStudent` answers the same verbs in this process.

A wire value is None, a bool, a number, a string, a tensor, a list, tuple or dict of these, or a
`Ref`: the ticket of an object that stays on the student's side (a module, an optimiser, a
function). Two more travel towards the student only: `Seed`, which becomes a `torch.Generator`
there, and `Loader`, which becomes a `DataLoader`. Tensors are copied both ways, detached and on
the CPU.
"""

import contextlib
import io
import linecache
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, NoReturn, Protocol

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autograder import pretend

MAX_TENSOR_BYTES = 256 * 2**20
"""No answer of the course is larger; a tensor beyond it is refused, not copied."""

OUT_OF_MEMORY = "It asked for more memory than a submission may use."

MAX_DEPTH = 12
"""How deep a result may be nested. It also ends a list that holds itself."""


@dataclass(frozen=True)
class Ref:
    """The ticket of an object on the student's side."""

    key: int
    type_name: str


@dataclass(frozen=True)
class Seed:
    """Becomes a `torch.Generator` with this seed on the student's side."""

    value: int


@dataclass(frozen=True)
class Loader:
    """Becomes a `DataLoader` of (images, labels) on the student's side."""

    images: torch.Tensor
    labels: torch.Tensor
    batch_size: int
    shuffle: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Gradients:
    """What `Student.gradients` found.

    Attributes:
        output: the result of the call, as a wire value.
        inputs: a gradient for each argument asked for; None where no path leads back to it.
        parameters: the same for each parameter of the module asked for, in its own order.
    """

    output: Any
    inputs: list[torch.Tensor | None]
    parameters: list[torch.Tensor | None]


class StudentError(Exception):
    """The student's code could not give an answer.

    Attributes:
        kind: "missing" (no such name or method), "blank" (the stub's NotImplementedError), "result"
            (see `unfit`), "timeout", "memory", "error".
        type: the name of the exception's class.
        message: its first line, printable characters only.
        where: the student's function that raised it, such as "VAE.forward"; "" if none was running.
        line: the student's line of source, if it is known.
    """

    def __init__(self, kind: str, type: str, message: str, where: str = "", line: str = ""):
        super().__init__(message)
        self.kind = kind
        self.type = type
        self.message = message
        self.where = where
        self.line = line


def unfit(message: str) -> StudentError:
    """The student's code answered, with something that the question cannot be about."""
    return StudentError("result", "", message)


Target = str | Ref | tuple[Ref, str]
"""What can be called: a name in the notebook, an object, or an object's method."""


class Student(Protocol):
    """The contract. Every verb that runs the student's code may raise `StudentError`."""

    def has(self, name: str) -> bool:
        """Whether the notebook defines `name`."""

    def ref(self, name: str) -> Ref:
        """The object called `name` in the notebook."""

    def call(self, target: Target, *args: Any, seed: int = 0, keep: bool = False, **kwargs: Any):
        """Call `target`. The global random generators start from `seed`, and are put back after.

        What is no wire value in the result comes back as a `Ref`; with `keep`, the whole result
        does.
        """

    def fetch(self, ref: Ref) -> Any:
        """A kept result, as a wire value."""

    def carries_graph(self, ref: Ref) -> bool:
        """Whether a tensor anywhere in a kept result still holds on to a gradient graph."""

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
        """Call `target`, then differentiate the result.

        Args:
            wrt: positions of the arguments whose gradients are asked for.
            of: a module whose parameters' gradients are asked for.
            cotangent: what to multiply the output by before it is summed: a tensor for a tensor,
                a list for a tuple or list, a dict for a dict; None takes every tensor times one.
                A part of the output that it leaves out (a missing key, a None) counts for nothing.
        """

    def on_gpu(
        self,
        target: Target,
        *args: Any,
        seed: int = 0,
        of: Ref | None = None,
        backward: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Call `target` on a GPU: this machine's, or where there is none a pretended one.

        Tensors among the arguments go there, a `Seed` becomes a generator of the GPU's, and
        modules are moved for the call, with the state of their optimisers: that of the target, of
        its arguments, and `of`. A `Loader` stays on the CPU, as a data set would.

        Code that leaves a tensor on the CPU is a `StudentError` of the type "DeviceMismatch". Its
        line is the one that made that tensor, if the message says so (`pretend.MADE_HERE`), or
        else the one at which it met the others.

        Args:
            of: one more module to move: a function may find it by itself.
            backward: differentiate the result, too.

        Returns:
            For each tensor in the result, in order: "gpu" or "cpu".
        """

    def parameters(self, ref: Ref) -> list[torch.Tensor]:
        """A module's parameters, in its own order. No name crosses."""

    def state(self, ref: Ref) -> list[torch.Tensor]:
        """A module's parameters and buffers, in its own order."""

    def load_state(self, ref: Ref, tensors: Sequence[torch.Tensor]) -> None:
        """Put back what `state` gave, from this module or from another one built alike."""

    def modes(self, ref: Ref) -> list[bool]:
        """For the module and each of its parts: is it in training mode?"""

    def set_training(self, ref: Ref, training: bool) -> None:
        """Put the module in training mode, or in evaluation mode."""

    def optimizer(self, ref: Ref, name: str, **settings: Any) -> Ref:
        """A `torch.optim` optimiser over the module's parameters."""

    def define(self, source: str, **names: Ref) -> dict[str, Ref]:
        """Run a probe of the judge's in a namespace of its own, and hand out what it defines.

        A probe is a small model, loss or instrument that exercises are tried on. It sees nothing of
        the notebook but `names`, and never holds an answer.
        """


class InProcessStudent:
    """A `Student` whose code runs in this very process: for a kernel, for tests, for the reference.

    It protects against accidents (printing, warnings, random state, odd types), not against malice.
    """

    def __init__(self, namespace: Mapping[str, Any], *, guarded: bool = True):
        """Args:
        namespace: the notebook's names. Read, never written.
        guarded: turn exceptions into `StudentError`. The judge's own reference goes unguarded, so
            that its failures are never taken for a student's.
        """
        self._namespace = namespace
        self._guarded = guarded
        self._objects: dict[int, Any] = {}
        self._recipes: dict[int, Callable[[], Any]] = {}

    def has(self, name: str) -> bool:
        return name in self._namespace

    def ref(self, name: str) -> Ref:
        return self._keep(self._named(name))

    def call(self, target: Target, *args: Any, seed: int = 0, keep: bool = False, **kwargs: Any):
        with self._running(seed):
            result = self._resolve(target)(
                *(self._inbound(arg) for arg in args),
                **{name: self._inbound(value) for name, value in kwargs.items()},
            )
            found = self._keep(result) if keep else self._outbound(result)
        if type(found) is Ref:
            self._recipes[found.key] = lambda: self._again(target, args, kwargs, seed)
        return found

    def fetch(self, ref: Ref) -> Any:
        with self._running():
            return self._outbound(self._objects[ref.key])

    def carries_graph(self, ref: Ref) -> bool:
        with self._running():
            return any(tensor.requires_grad for tensor in _tensors(self._objects[ref.key]))

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
        with self._running(seed):
            inbound = [self._inbound(arg) for arg in args]
            leaves = [inbound[position].requires_grad_() for position in wrt]
            for position, leaf in zip(wrt, leaves, strict=True):
                # As in a real network, where an input is no leaf and may be changed in place.
                inbound[position] = leaf.clone()
            parameters = [] if of is None else list(self._module(of).parameters())
            result = self._resolve(target)(
                *inbound, **{name: self._inbound(value) for name, value in kwargs.items()}
            )
            found = _differentiate(result, cotangent, leaves + parameters)
            gradients = [None if gradient is None else _plain(gradient) for gradient in found]
            return Gradients(
                self._outbound(result), gradients[: len(leaves)], gradients[len(leaves) :]
            )

    def on_gpu(
        self,
        target: Target,
        *args: Any,
        seed: int = 0,
        of: Ref | None = None,
        backward: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        refs = list(_refs((target, args, kwargs, of)))
        with (
            self._running(seed),
            pretend.gpu() as tags,
            pretend.as_on_a_gpu_machine(self._namespace, tags),
            self._moved(refs, pretending=tags is not None) as leaves,
        ):
            wanted = leaves if backward else None
            inbound, named = (self._inbound_on_gpu(part, wanted) for part in (args, kwargs))
            found = list(_tensors(self._resolve(target)(*inbound, **named)))
            if backward:
                _differentiate(found, None, leaves)
            return [pretend.place(tensor) for tensor in found]

    def parameters(self, ref: Ref) -> list[torch.Tensor]:
        with self._running():
            return [_plain(parameter) for parameter in self._module(ref).parameters()]

    def state(self, ref: Ref) -> list[torch.Tensor]:
        with self._running():
            return [_plain(tensor) for tensor in self._stored(ref)]

    def load_state(self, ref: Ref, tensors: Sequence[torch.Tensor]) -> None:
        with self._running(), torch.no_grad():
            for mine, theirs in zip(self._stored(ref), tensors, strict=True):
                mine.copy_(theirs)

    def modes(self, ref: Ref) -> list[bool]:
        with self._running():
            return [bool(module.training) for module in self._module(ref).modules()]

    def set_training(self, ref: Ref, training: bool) -> None:
        with self._running():
            self._module(ref).train(training)

    def optimizer(self, ref: Ref, name: str, **settings: Any) -> Ref:
        with self._running():
            make = getattr(torch.optim, name)
            return self._keep(make(self._module(ref).parameters(), **settings))

    def define(self, source: str, **names: Ref) -> dict[str, Ref]:
        bound = {name: self._objects[ref.key] for name, ref in names.items()}
        scope: dict[str, Any] = {"__name__": "probe", **bound}
        exec(compile(source, "<probe>", "exec"), scope)
        return {
            name: self._keep(value)
            for name, value in scope.items()
            if name not in bound and callable(value) and getattr(value, "__module__", "") == "probe"
        }

    # What stands behind a name, a ticket, a target.

    def _named(self, name: str) -> Any:
        if name not in self._namespace:
            if not self._guarded:
                raise LookupError(f"the reference has no {name}")
            raise StudentError("missing", "NameError", f"`{name}` is not defined", where=name)
        return self._namespace[name]

    def _resolve(self, target: Target) -> Any:
        if isinstance(target, str):
            return self._named(target)
        if isinstance(target, Ref):
            return self._objects[target.key]
        ref, method = target
        found = self._objects[ref.key]
        if self._guarded and not hasattr(found, method):
            message = f"`{ref.type_name}` has no method `{method}`"
            raise StudentError("missing", "AttributeError", message, where=ref.type_name)
        return getattr(found, method)

    def _module(self, ref: Ref) -> nn.Module:
        found = self._objects[ref.key]
        if not issubclass(type(found), nn.Module):
            raise unfit(f"A `torch.nn.Module` was expected, not an object of type {ref.type_name}.")
        return found

    def _stored(self, ref: Ref) -> list[torch.Tensor]:
        values = self._module(ref).state_dict(keep_vars=True).values()
        return [value for value in values if issubclass(type(value), torch.Tensor)]

    def _keep(self, value: Any) -> Ref:
        ref = Ref(len(self._objects), type(value).__name__)
        self._objects[ref.key] = value
        return ref

    # Crossing over.

    def _inbound(self, value: Any) -> Any:
        """A wire value of the judge's, as the student's code sees it."""
        match value:
            case torch.Tensor():
                return value.detach().clone()
            case Ref():
                return self._objects[value.key]
            case Seed():
                return torch.Generator().manual_seed(value.value)
            case Loader():
                # Its own generator: iterating over it must not move the global one.
                return DataLoader(
                    TensorDataset(value.images.clone(), value.labels.clone()),
                    batch_size=value.batch_size,
                    shuffle=value.shuffle,
                    generator=torch.Generator().manual_seed(value.seed),
                )
            case list() | tuple():
                return type(value)(self._inbound(item) for item in value)
            case dict():
                return {key: self._inbound(item) for key, item in value.items()}
            case None | bool() | int() | float() | str():
                return value
        raise TypeError(f"a {type(value).__name__} cannot be sent to the student")

    def _inbound_on_gpu(self, value: Any, leaves: list[torch.Tensor] | None) -> Any:
        """The same on a GPU. Tensors that can have a gradient are noted among the leaves, if any.

        Without leaves they want none, as on the CPU: then `.numpy()` may be called on them.
        """
        match value:
            case torch.Tensor():
                moved = value.detach().clone().to("cuda")
                if leaves is None or not moved.is_floating_point():
                    return moved
                leaves.append(moved.requires_grad_())
                return moved.clone()
            case Seed():
                return torch.Generator(device="cuda").manual_seed(value.value)
            case list() | tuple():
                return type(value)(self._inbound_on_gpu(item, leaves) for item in value)
            case dict():
                return {key: self._inbound_on_gpu(item, leaves) for key, item in value.items()}
        return self._inbound(value)

    @contextlib.contextmanager
    def _moved(self, refs: Sequence[Ref], pretending: bool) -> Iterator[list[torch.Tensor]]:
        """Have modules, and the state of optimisers, on the GPU; give the parameters."""
        refs = [ref for ref in refs if ref.key in self._objects]
        modules = [ref for ref in refs if issubclass(type(self._objects[ref.key]), nn.Module)]
        objects = [self._objects[ref.key] for ref in refs]
        objects += [
            value for ref in modules for part in self._module(ref).modules() for value in _own(part)
        ]
        optimizers = [one for one in objects if issubclass(type(one), torch.optim.Optimizer)]
        with contextlib.ExitStack() as stack:
            for ref in modules:
                stack.callback(self._module(ref).to, "cpu")
                if pretending and (odd := pretend.cpu_attributes(self._module(ref))):
                    self._replace_attributes(ref, odd, stack)
                self._module(ref).to("cuda")
            for optimizer in optimizers:
                stack.callback(_move_state, optimizer, "cpu")
                _move_state(optimizer, "cuda")
            yield [parameter for ref in modules for parameter in self._module(ref).parameters()]

    def _replace_attributes(
        self, ref: Ref, names: Sequence[tuple[str, str]], stack: contextlib.ExitStack
    ) -> None:
        """Give attributes what they would hold if the module had been built where a GPU is.

        A module that was kept was built without one. What its `__init__` then put on the notebook's
        `device`, and what it put on the CPU, look alike; so it is built once more.
        """
        if ref.key not in self._recipes:
            return
        parts = dict(self._module(ref).named_modules())
        other_parts = dict(self._recipes[ref.key]().named_modules())
        for path, name in names:
            mine, other = vars(parts[path])[name], vars(other_parts[path]).get(name)
            if not isinstance(mine, torch.Tensor):
                stack.enter_context(pretend.replaced(parts[path], name, other))
            elif isinstance(other, torch.Tensor) and pretend.place(other) == "gpu":
                stack.enter_context(pretend.replaced(parts[path], name, mine.to("cuda")))

    def _again(self, target: Target, args: Sequence[Any], kwargs: Mapping[str, Any], seed: int):
        """What `call` did, done once more."""
        with isolated(seed):
            named = {name: self._inbound(value) for name, value in kwargs.items()}
            return self._resolve(target)(*(self._inbound(arg) for arg in args), **named)

    def _outbound(self, value: Any, depth: int = 0) -> Any:
        """A result of the student's, rebuilt from plain parts.

        A subclass that lies in its operators is left behind: only its data crosses. Types are asked
        by `type`, since an object may claim any `__class__`.
        """
        if depth > MAX_DEPTH:
            raise unfit(f"The result is nested more than {MAX_DEPTH} deep.")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, torch.Tensor):
            return _plain(value)
        for plain, convert in _PLAIN_NUMBERS:
            if issubclass(kind, plain):
                return convert(value)
        if issubclass(kind, list | tuple):
            items = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
            rebuilt = [self._outbound(item, depth + 1) for item in items]
            return rebuilt if issubclass(kind, list) else tuple(rebuilt)
        if issubclass(kind, dict) and all(type(key) in (str, int) for key in dict.keys(value)):
            return {key: self._outbound(item, depth + 1) for key, item in dict.items(value)}
        numpy = sys.modules.get("numpy")
        if numpy is not None and issubclass(kind, numpy.ndarray | numpy.generic):
            if value.dtype.kind in "biuf":
                return value.item() if value.ndim == 0 else _plain(torch.from_numpy(value.copy()))
        return self._keep(value)

    # Running their code.

    @contextlib.contextmanager
    def _running(self, seed: int = 0) -> Iterator[None]:
        with isolated(seed):
            try:
                yield
            # A KeyboardInterrupt passes: it is how a notebook's runner ends a cell that takes too
            # long. A SystemExit is an ordinary mistake and must not end the kernel.
            except (Exception, SystemExit) as error:
                self._blame(error)

    def _blame(self, error: BaseException) -> NoReturn:
        if not self._guarded:
            raise RuntimeError(error.message) if isinstance(error, StudentError) else error
        if isinstance(error, StudentError):
            raise error
        if is_out_of_memory(error):
            raise StudentError("memory", type(error).__name__, OUT_OF_MEMORY) from None
        where, line, is_innermost = self._locate(error)
        is_stub = isinstance(error, NotImplementedError) and is_innermost
        message = _first_line(error)
        if isinstance(error, pretend.DeviceMismatch) and error.made is not None:
            if error.made.names is self._namespace:
                where, line = _said(*error.made)
                message = f"{message} {pretend.MADE_HERE}"
        raise StudentError(
            "blank" if is_stub else "error",
            type(error).__name__,
            printable(message),
            where,
            printable(line),
        ) from None

    def _locate(self, error: BaseException) -> tuple[str, str, bool]:
        """The student's own innermost frame: function, line of source, and is it the last one."""
        where, line, is_innermost = "", "", False
        trace = error.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            is_innermost = frame.f_globals is self._namespace
            if is_innermost:
                where, line = _said(frame.f_code, trace.tb_lineno, frame.f_globals)
            trace = trace.tb_next
        return where, line, is_innermost


@dataclass(frozen=True)
class Module:
    """A module of the student's, with the verbs that concern it in one place."""

    student: Student
    ref: Ref

    @classmethod
    def build(cls, student: Student, target: Target, *args: Any, seed: int = 0, **kwargs: Any):
        """Build `target(*args, **kwargs)`; its initial weights depend on `seed` alone."""
        ref = student.call(target, *args, seed=seed, keep=True, **kwargs)
        student.modes(ref)  # complains here, and not later, if it is no module
        return cls(student, ref)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.student.call(self.ref, *args, **kwargs)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.student.call((self.ref, method), *args, **kwargs)

    def gradients(self, *args: Any, **kwargs: Any) -> Gradients:
        """Gradients of a forward pass, with respect to every parameter."""
        return self.student.gradients(self.ref, *args, of=self.ref, **kwargs)

    def carries_graph(self, method: str, *args: Any, **kwargs: Any) -> bool:
        kept = self.student.call((self.ref, method), *args, keep=True, **kwargs)
        return self.student.carries_graph(kept)

    def parameters(self) -> list[torch.Tensor]:
        return self.student.parameters(self.ref)

    def size(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def state(self) -> list[torch.Tensor]:
        return self.student.state(self.ref)

    def load_state(self, tensors: Sequence[torch.Tensor]) -> None:
        self.student.load_state(self.ref, tensors)

    def modes(self) -> list[bool]:
        return self.student.modes(self.ref)

    def train(self, training: bool = True) -> None:
        self.student.set_training(self.ref, training)

    def eval(self) -> None:
        self.train(False)

    def optimizer(self, name: str, **settings: Any) -> Ref:
        return self.student.optimizer(self.ref, name, **settings)


@contextlib.contextmanager
def isolated(seed: int = 0) -> Iterator[None]:
    """Run code of a student's so that it neither feels nor leaves a trace in the process's state.

    Random generators start from `seed` and are put back. Gradients are on, and new tensors are
    float32 and on the CPU, whatever the notebook had set. Prints and warnings go nowhere.
    """
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    default_dtype, default_device = torch.get_default_dtype(), pretend.default_device()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(_Nowhere()))
        stack.enter_context(contextlib.redirect_stderr(_Nowhere()))
        stack.enter_context(warnings.catch_warnings())
        # Asking for the state of a GPU that nobody has used yet would start it.
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        stack.enter_context(torch.random.fork_rng(devices=gpus))
        stack.enter_context(torch.enable_grad())
        warnings.simplefilter("ignore")
        try:
            torch.manual_seed(seed)
            random.seed(seed)
            if numpy:
                numpy.random.seed(seed % 2**32)
            torch.set_default_dtype(torch.float32)
            if default_device.type != "cpu":
                torch.set_default_device(None)
            yield
        finally:
            torch.set_default_dtype(default_dtype)
            if pretend.default_device() != default_device:
                torch.set_default_device(default_device)
            random.setstate(python_state)
            if numpy:
                numpy.random.set_state(numpy_state)


@contextlib.contextmanager
def unchanged(namespace: MutableMapping[str, Any]) -> Iterator[None]:
    """Put names, module modes and the number of threads back when the judging is done.

    Random state and prints are seen to by `isolated`, around each call.
    """
    names = dict(namespace)
    modes = [(part, part.training) for value in names.values() for part in _parts(value)]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # what a check finds must not depend on the machine
        yield
    finally:
        torch.set_num_threads(threads)
        for part, training in modes:
            part.training = training
        for name in namespace.keys() - names.keys():
            del namespace[name]
        namespace.update(names)


def _parts(value: Any) -> list[nn.Module]:
    """The modules in `value`; none if it is no module, or one whose `__init__` never ended."""
    if not issubclass(type(value), nn.Module) or "_modules" not in vars(value):
        return []
    return list(value.modules())


def printable(text: str, limit: int = 300) -> str:
    """One line of `text` that is safe to show: no control characters, not too long."""
    line = "".join(character if character.isprintable() else " " for character in text).strip()
    return line if len(line) <= limit else line[: limit - 3] + "..."


class _Nowhere(io.TextIOBase):
    """Takes what is printed and keeps none of it, however much it is."""

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


_PLAIN_NUMBERS = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The data of `tensor` as a plain tensor: a copy, dense, detached, on the CPU."""
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        if torch.Tensor.numel(tensor) * tensor.element_size() > MAX_TENSOR_BYTES:
            raise unfit(
                f"A tensor of {torch.Tensor.numel(tensor):,} numbers is too large to look at."
            )
        plain = torch.Tensor.detach(tensor).as_subclass(torch.Tensor)
        if plain.layout is not torch.strided:
            plain = plain.to_dense()
        if plain.is_complex() or plain.is_quantized:
            raise unfit("Real numbers were expected, not a complex or quantised tensor.")
        return plain.cpu().clone(memory_format=torch.contiguous_format)


def _said(code: CodeType, number: int, names: dict[str, Any]) -> tuple[str, str]:
    """A function, and a line of its source."""
    line = linecache.getline(code.co_filename, number, names)
    return code.co_qualname.removeprefix("<module>"), line.strip()


def _refs(value: Any) -> Iterator[Ref]:
    """Every ticket in a nest of lists, tuples and dicts of the judge's."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _refs(item)


def _own(module: nn.Module) -> list[Any]:
    """What a module's attributes hold, apart from what PyTorch keeps for it."""
    return [value for name, value in vars(module).items() if not name.startswith("_")]


def _move_state(optimizer: torch.optim.Optimizer, device: str) -> None:
    """What an optimiser remembers of its parameters. The number of steps may stay on the CPU."""
    for state in optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and name != "step":
                state[name] = value.to(device)


def _tensors(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    """Every tensor in a nest of lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict) and depth <= MAX_DEPTH:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item, depth + 1)


def _differentiate(
    result: Any, cotangent: Any, inputs: Sequence[torch.Tensor]
) -> Sequence[torch.Tensor | None]:
    pairs = [(part, weight) for part, weight in _weighted(result, cotangent) if part.requires_grad]
    if not pairs or not inputs:
        return [None] * len(inputs)
    parts, weights = zip(*pairs, strict=True)
    # A parameter that is frozen, as a leaf that was left out, has no gradient to ask for.
    asked = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(parts, asked, weights, allow_unused=True))
    return [next(found) if tensor.requires_grad else None for tensor in inputs]


def _weighted(result: Any, cotangent: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of an output and what it is to be multiplied by."""
    if cotangent is None:
        yield from ((part, torch.ones_like(part)) for part in _tensors(result))
    elif isinstance(cotangent, torch.Tensor):
        if not isinstance(result, torch.Tensor):
            raise unfit(f"A tensor was expected as the result, not a {type(result).__name__}.")
        if result.shape != cotangent.shape:
            raise unfit(
                f"The result has the shape {tuple(result.shape)}, where {tuple(cotangent.shape)} "
                "was expected, so its gradient could not be compared."
            )
        yield result, cotangent.to(result.dtype)
    elif isinstance(cotangent, dict):
        if not isinstance(result, dict) or not cotangent.keys() <= result.keys():
            raise unfit(
                f"A dict with {', '.join(map(repr, cotangent))} was expected as the result."
            )
        for key, weight in cotangent.items():
            yield from _weighted(result[key], weight)
    else:
        if not isinstance(result, list | tuple) or len(result) != len(cotangent):
            raise unfit(f"A tuple of {len(cotangent)} was expected as the result.")
        for part, weight in zip(result, cotangent, strict=True):
            if weight is not None:
                yield from _weighted(part, weight)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether more memory was asked for than there is. PyTorch has no class of its own for that."""
    return isinstance(error, MemoryError) or "can't allocate memory" in _first_line(error)


def _first_line(error: BaseException) -> str:
    try:
        return next(iter(str(error).splitlines()), "")
    except Exception:  # an exception whose text cannot be made is still only a wrong answer
        return ""
