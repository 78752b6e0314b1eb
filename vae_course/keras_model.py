"""The verbs of Keras's `Model`: compile, fit, evaluate, predict, summary."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_course.keras_fit import Callback, History, KerasAdam, Mean, fit_model


def predict_in_batches(
    module: nn.Module,
    x: Tensor,
    batch_size: int = 250,
    step: Callable[[Tensor], Tensor | tuple[Tensor, ...]] | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Send many inputs through a module, a batch at a time, only to look at what comes out.

    In evaluation mode and without gradients; the module is left in the mode it was in.

    Args:
        module: on any device.
        x: inputs, of shape (N, ...), on any device.
        batch_size: how many to send at once.
        step: what to call for a batch; None for the module itself.

    Returns:
        What the module gives for all of x, a tensor or a tuple of tensors, on the CPU.
    """
    device = next(module.parameters()).device
    was_training = module.training
    module.eval()
    with torch.no_grad():
        outputs = [(step or module)(batch.to(device)) for batch in x.split(batch_size)]
    module.train(was_training)
    if isinstance(outputs[0], Tensor):
        return torch.cat(outputs).cpu()
    return tuple(torch.cat(parts).cpu() for parts in zip(*outputs, strict=True))


def summary_rows(module: nn.Module, x: Tensor) -> list[tuple[str, str, tuple[int, ...], int]]:
    """The layers of a module in the order in which they are used.

    Args:
        module: is called once, in evaluation mode.
        x: an input to call it with, of shape (1, ...).

    Returns:
        For each layer its name, its type, the shape of its output without the batch, and its
        number of parameters.
    """
    rows: dict[str, tuple[str, str, tuple[int, ...], int]] = {}

    def note(name: str, layer: nn.Module, output: Tensor) -> None:
        count = sum(parameter.numel() for parameter in layer.parameters())
        rows.setdefault(name, (name, type(layer).__name__, tuple(output.shape[1:]), count))

    hooks = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layer in module.named_modules()
        if name and next(layer.children(), None) is None
    ]
    try:
        predict_in_batches(module, x)
    finally:
        for hook in hooks:
            hook.remove()
    return list(rows.values())


def summary_text(module: nn.Module, x: Tensor) -> str:
    """A table of a module's layers in the form that Keras prints.

    Args:
        module, x: as for `summary_rows`.

    Returns:
        The table, with the totals below it. Shapes are PyTorch's, channels before height and
        width; None stands for the size of the batch.
    """
    heads = ("Layer (type)", "Output Shape", "Param #")
    cells = [
        (f"{name} ({kind})", str((None, *shape)), f"{count:,}")
        for name, kind, shape, count in summary_rows(module, x)
    ]
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(3)]

    def rule(left: str, line: str, middle: str, right: str) -> str:
        return left + middle.join(line * (width + 2) for width in widths) + right

    def row(texts: tuple[str, str, str], bar: str) -> str:
        name, shape, count = texts
        padded = (name.ljust(widths[0]), shape.ljust(widths[1]), count.rjust(widths[2]))
        return f"{bar} " + f" {bar} ".join(padded) + f" {bar}"

    def total(what: str, count: int) -> str:
        size, unit = (count * 4 / 2**20, "MB") if count >= 2**18 else (count * 4 / 2**10, "KB")
        return f" {what} params: {count:,} ({size:.2f} {unit})"

    trainable, fixed = (
        sum(p.numel() for p in module.parameters() if p.requires_grad is wanted)
        for wanted in (True, False)
    )
    return "\n".join(
        [
            f'Model: "{type(module).__name__}"',
            rule("┏", "━", "┳", "┓"),
            row(heads, "┃"),
            rule("┡", "━", "╇", "┩"),
            f"\n{rule('├', '─', '┼', '┤')}\n".join(row(texts, "│") for texts in cells),
            rule("└", "─", "┴", "┘"),
            total("Total", trainable + fixed),
            total("Trainable", trainable),
            total("Non-trainable", fixed),
        ]
    )


class KerasModel(nn.Module):
    """What Keras's `Model` does for those who inherit from it.

    A subclass says what one batch means: `train_step(batch)` takes an optimiser step and updates
    the metrics, `test_step(batch)` only updates the metrics, `predict_step(batch)` gives what
    there is to look at. Every attribute of the model that is a `Mean` counts as a metric.
    """

    image_shape = (1, 28, 28)
    optimizer = None
    stop_training = False

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.parameters()).device

    @property
    def metrics(self) -> list[Mean]:
        """The metrics of the model."""
        return [value for value in vars(self).values() if isinstance(value, Mean)]

    def reset_metrics(self) -> None:
        """Make all metrics forget what they have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, float]:
        """Name and value of each metric."""
        return {metric.name: metric.result() for metric in self.metrics}

    def compile(
        self, optimizer: str | torch.optim.Optimizer = "adam", learning_rate: float = 1e-3
    ) -> None:
        """Choose the optimiser. (PyTorch's own `nn.Module.compile` is another thing.)

        Args:
            optimizer: "adam" for Adam with Keras's epsilon, or an optimiser over the parameters.
            learning_rate: for "adam".

        Raises:
            ValueError: for any other name.
        """
        if isinstance(optimizer, str):
            if optimizer.lower() != "adam":
                raise ValueError(
                    f'there is no optimiser {optimizer!r} here: it is "adam", or one that you '
                    "make yourself, such as torch.optim.SGD(model.parameters(), lr=0.1)"
                )
            optimizer = KerasAdam(self.parameters(), lr=learning_rate)
        self.optimizer = optimizer

    def fit(
        self,
        x: Tensor,
        epochs: int = 1,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Sequence[Callback] = (),
        seed: int = 0,
        verbose: bool = True,
    ) -> History:
        """Train; see `fit_model`.

        Raises:
            RuntimeError: `compile` was not called before.
            ValueError: x are no images, or nothing of them is left to train on.
        """
        if self.optimizer is None:
            raise RuntimeError("call compile() before fit(): there is no optimiser yet")
        self._check_images(x)
        if not 0 <= validation_split < 1 or int(len(x) * (1 - validation_split)) < 1:
            raise ValueError(
                f"validation_split = {validation_split} of {len(x)} images leaves nothing to "
                "train on, or is no share between 0 and 1"
            )
        return fit_model(self, x, epochs, batch_size, validation_split, callbacks, seed, verbose)

    def evaluate(self, x: Tensor, batch_size: int = 250) -> dict[str, float]:
        """The metrics over all of x, in evaluation mode and without gradients.

        The model is left in the mode it was in, and the metrics are left empty.
        """
        self._check_images(x)
        was_training = self.training
        self.eval()
        self.reset_metrics()
        with torch.no_grad():
            for batch in x.split(batch_size):
                self.test_step(batch.to(self.device))
        results = self.get_metrics_result()
        self.reset_metrics()
        self.train(was_training)
        return results

    def predict(self, x: Tensor, batch_size: int = 250) -> Tensor:
        """What `predict_step` gives for all of x, on the CPU; see `predict_in_batches`."""
        return predict_in_batches(self, x, batch_size, self.predict_step)

    def summary(self) -> None:
        """Print a table of the layers. (It returns nothing, so do not print what it returns.)"""
        print(summary_text(self, torch.zeros(1, *self.image_shape)))

    def load_weights(self, path: str | Path) -> None:
        """Take over the weights of a file that `ModelCheckpoint` wrote, on whatever device."""
        saved_run = torch.load(path, map_location=self.device, weights_only=True)
        self.load_state_dict(saved_run["weights"])

    def _check_images(self, x: Tensor) -> None:
        """Refuse what is no batch of images with values in [0, 1], before it does harm."""
        if x.shape[1:] != self.image_shape or not x.is_floating_point():
            raise ValueError(
                f"images of shape (N, {', '.join(map(str, self.image_shape))}) with float values "
                f"were expected, not {tuple(x.shape)} of {x.dtype}; Keras's (N, H, W, C) becomes "
                "(N, C, H, W) with permute(0, 3, 1, 2), never with reshape"
            )
        if len(x) == 0 or x.min() < 0 or x.max() > 1:
            raise ValueError("at least one image is needed, and pixels must lie between 0 and 1")
