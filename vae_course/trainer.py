"""One trainer for every model of the course, as fast as the machine allows.

`train_epoch` in `vae_course.training` is how training reads. This is how it runs when nobody reads
along: the same images in the same steps with the same losses, up to rounding.

What makes it faster, in the order of what it gains on a CPU: convolutions and linear layers compute
in bfloat16 (the weights, the losses and all that is summed up stay in float32); images stay on the
device as bytes and are gathered there, batch by batch; the optimiser takes its step in one
operation; nothing asks for a number before the epoch is over; images lie in memory with their
channels side by side. On a GPU a step is recorded once and played back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from timeit import repeat

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

Terms = Callable[[nn.Module, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Speed:
    """How a step is computed. None of it changes what is computed, beyond rounding.

    Attributes:
        bf16: the model's parts compute in bfloat16, which keeps three digits of a number.
        channels_last: images and convolutions have their channels side by side in memory.
        recorded: on a GPU, the step's operations are recorded and played back (a CUDA graph).
    """

    bf16: bool = False
    channels_last: bool = False
    recorded: bool = False


PLAIN = Speed()


def fastest(device: torch.device | str) -> Speed:
    """What pays on a device: on a CPU where bfloat16 is no faster, steps stay in float32."""
    if torch.device(device).type == "cuda":
        return Speed(torch.cuda.is_bf16_supported(), channels_last=True, recorded=True)
    return Speed(_cpu_has_bf16() and _bf16_gain() > 1.2, channels_last=True)


def _cpu_has_bf16() -> bool:
    """Whether bfloat16 is multiplied by the processor, and not slowly by a program."""
    capabilities = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in capabilities)


@cache
def _bf16_gain(size: int = 256) -> float:
    """How many times as fast as float32 matrices are multiplied: half or twice, by the processor.

    That a processor can do it says little: some take two steps for each instruction of bfloat16,
    and a virtual machine may hide the unit (AMX) that would be fast.
    """
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(size, size, dtype=dtype)
        seconds.append(min(repeat(lambda a=a: a @ a, number=3, repeat=10)))
    return seconds[0] / seconds[1]


def as_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as bytes, a quarter of the size; what is bytes already stays as it is."""
    return images if images.dtype == torch.uint8 else (255 * images).round().to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Back to floats in [0, 1]."""
    return images / 255


class Batches:
    """Images that stay on a device as they are stored, and come from there batch by batch.

    Attributes:
        order: the generator that draws a new order for each epoch; None for the order as it is.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        order: torch.Generator | None = None,
        prepare: Callable[[Tensor], Tensor] = from_bytes,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
    ) -> None:
        """Take the images to the device.

        Args:
            images: of shape (N, ...), as they are stored: bytes are a quarter of floats.
            batch_size: how many images make a batch. The last one is smaller where they do not
                come out even. Where it would be a single image, on which BatchNorm cannot train,
                shuffled batches are one image larger.
            order: on the CPU, so that a seed gives the same orders everywhere.
            prepare: makes what the model is trained on of a batch as it is stored.
            device: where to keep them, and where batches come from.
            channels_last: whether a batch of (B, C, H, W) is to lie in memory as (B, H, W, C).
        """
        if order is not None and batch_size > 1:
            while len(images) > 1 and len(images) % batch_size == 1:
                batch_size += 1
        self.order = order
        self.batch_size = batch_size
        self.prepare = prepare
        self._permuted = channels_last and images.ndim == 4
        stored = images.permute(0, 2, 3, 1) if self._permuted else images
        self._stored = stored.to(device).contiguous()

    def __len__(self) -> int:
        return -(-len(self._stored) // self.batch_size)

    @property
    def num_images(self) -> int:
        """How many images there are in all."""
        return len(self._stored)

    def rows(self) -> tuple[Tensor, ...]:
        """Which images make each batch of one more epoch."""
        if self.order is None:
            rows = torch.arange(self.num_images)
        else:
            rows = torch.randperm(self.num_images, generator=self.order)
        return rows.to(self._stored.device).split(self.batch_size)

    def gather(self, rows: Tensor) -> Tensor:
        """A batch as the model is trained on it."""
        batch = self._stored.index_select(0, rows)
        return self.prepare(batch.permute(0, 3, 1, 2) if self._permuted else batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one more epoch, each with its rows, as (images, labels) elsewhere."""
        return ((self.gather(rows), rows) for rows in self.rows())


@contextmanager
def in_bf16(model: nn.Module) -> Iterator[None]:
    """Within, a model's parts compute in bfloat16; what they give is float32, and so is all else.

    Draws, divergences and likelihoods stand outside of the parts, or after a part's last layer, and
    need more than three digits. Where a part ends in a sigmoid or a tanh, that is float32, too.
    """
    parts = [part for part in model.children() if next(part.parameters(), None) is not None]
    hooks = []
    for part in parts:
        part.forward = _computed_in_bf16(part.forward, next(part.parameters()).device.type)
        hooks.append(_last_layer(part).register_forward_hook(_as_float))
    try:
        yield
    finally:
        for part, hook in zip(parts, hooks, strict=True):
            del part.forward  # what hid the class's own
            hook.remove()


def _computed_in_bf16(forward: Callable, device_type: str) -> Callable:
    def computed(*args, **kwargs):
        with torch.autocast(device_type, torch.bfloat16):
            return _as_float(None, None, forward(*args, **kwargs))

    return computed


def _as_float(layer, inputs, output):
    return tree_map(lambda value: value.float() if isinstance(value, Tensor) else value, output)


def _last_layer(part: nn.Module) -> nn.Module:
    return [layer for layer in part.modules() if layer._parameters][-1]


@contextmanager
def unvalidated() -> Iterator[None]:
    """Within, distributions take their parameters as they are.

    To look at each of them first waits for a GPU, and PyTorch 2.6 can not do it under `vmap`.
    """
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


class Trainer:
    """Trains a model, epoch by epoch.

        trainer = Trainer(model, batches, loss_terms, optimizer, fastest(device))
        for _ in range(10):
            print(trainer.epoch())

    Attributes:
        model, batches, loss_terms, optimizer, speed: as they were given.
        steps: for each term of the last epoch, its mean over each batch, in their order.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        loss_terms: Terms,
        optimizer: Optimizer,
        speed: Speed = PLAIN,
    ) -> None:
        """Get ready.

        Args:
            model: trained in place, on the device on which the batches come.
            batches: what it is trained on.
            loss_terms: what to compute for a batch, as for `train_epoch`.
            optimizer: over the model's parameters.
            speed: how to compute it.
        """
        self.model = model
        self.batches = batches
        self.loss_terms = loss_terms
        self.optimizer = optimizer
        self.speed = speed
        self.steps: dict[str, list[float]] = {}
        if speed.channels_last:
            model.to(memory_format=torch.channels_last)
        self._recording: _Recording | None = None

    def epoch(self) -> dict[str, float]:
        """Go through the images once, and take one optimiser step for each batch.

        Returns:
            For each term its mean over the images of the epoch, as `train_epoch` gives it.
        """
        self.model.train()
        names: list[str] = []
        means: list[Tensor] = []
        rows = self.batches.rows()
        with (
            in_bf16(self.model) if self.speed.bf16 else nullcontext(),
            nullcontext() if self.speed == PLAIN else unvalidated(),
        ):
            for chosen in rows:
                names, found = self._step(chosen)
                means.append(found)
        table = torch.stack(means).double().cpu()  # the only time that anything waits
        self.steps = {name: table[:, column].tolist() for column, name in enumerate(names)}
        weights = torch.tensor([len(chosen) for chosen in rows], dtype=torch.float64)
        whole = (weights @ table) / self.batches.num_images
        return dict(zip(names, whole.tolist(), strict=True))

    def _step(self, rows: Tensor) -> tuple[list[str], Tensor]:
        """One step: the names of its terms, and their means over the batch."""
        if self.speed.recorded and len(rows) == self.batches.batch_size:
            if self._recording is None:
                self._recording = _Recording(self._backward, self.model, rows)
            names, means = self._recording.play(rows)
        else:
            names, means = self._backward(rows)
        self.optimizer.step()
        return names, means

    def _backward(self, rows: Tensor) -> tuple[list[str], Tensor]:
        """Everything of a step but the optimiser's part."""
        # A recording writes gradients where they were when it was made.
        self.optimizer.zero_grad(set_to_none=not self.speed.recorded)
        terms = self.loss_terms(self.model, self.batches.gather(rows))
        loss = terms["loss"].mean()
        loss.backward()
        return list(terms), torch.stack([values.detach().mean() for values in terms.values()])


class _Recording:
    """The operations of a step on a GPU, recorded once: playing them back costs one launch.

    Randomness is not recorded: each time, PyTorch's own generator goes on from where it stands.
    """

    def __init__(self, step: Callable, model: nn.Module, rows: Tensor) -> None:
        """Record a step on rows. What it does on the way to the model and the generator is undone.

        Args:
            step: takes rows, leaves gradients in the parameters, returns names and numbers.
            model: whose gradients they are.
            rows: as many as all later ones.
        """
        self._rows = rows.clone()
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        buffers = [buffer.clone() for buffer in model.buffers()]
        random_state = torch.cuda.get_rng_state(rows.device)
        # As PyTorch's notes on CUDA graphs ask: a few runs first, on a stream of their own.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step(self._rows)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._names, self._means = step(self._rows)
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        torch.cuda.set_rng_state(random_state, rows.device)

    def play(self, rows: Tensor) -> tuple[list[str], Tensor]:
        """The same operations on other rows."""
        self._rows.copy_(rows)
        self._graph.replay()
        return self._names, self._means.clone()
