"""Training the Keras way: metrics, a history, callbacks, and Adam with Keras's epsilon."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


class Mean:
    """A metric that averages over all the examples of an epoch, however they came in batches."""

    def __init__(self, name: str) -> None:
        """Start empty.

        Args:
            name: what the metric is called in logs and histories.
        """
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        """Forget everything that was seen. Called at the start of each epoch."""
        self.total = 0.0
        self.count = 0

    def update_state(self, values: Tensor) -> None:
        """Take in one more batch.

        Args:
            values: one number for each example of the batch, of shape (B,). They may be part of a
                graph for gradients; nothing of it must be kept.
        """
        self.total += values.detach().sum().item()
        self.count += values.numel()

    def result(self) -> float:
        """The mean over all examples since the last reset: each of them counts the same.

        A plain Python number; nan where there was no example at all.
        """
        return self.total / self.count if self.count else math.nan


class History:
    """What `fit` gives back: the metrics of every epoch.

    Attributes:
        epoch: the numbers of the epochs, from 0.
        history: for each metric, such as "loss" and "val_loss", a list of one number an epoch.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def record(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the metrics of one more epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Callback:
    """Something that watches a training and may step in. The base class does nothing."""

    model: nn.Module

    def set_model(self, model: nn.Module) -> None:
        """Called once, before training: the model that is about to be trained."""
        self.model = model

    def on_train_begin(self) -> None:
        """Called once, after `set_model` and before the first epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch, counted from 0, with its metrics."""

    def on_train_end(self) -> None:
        """Called once, after the last epoch."""


def epoch_line(epoch: int, epochs: int, logs: dict[str, float]) -> str:
    """What is printed after an epoch: its number, from 1, and its metrics."""
    numbers = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
    return f"Epoch {epoch + 1}/{epochs}  {numbers}"


def fit_model(
    model: nn.Module,
    x: Tensor,
    epochs: int = 1,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    verbose: bool = True,
) -> History:
    """The training loop behind `fit`. It knows nothing of what it trains.

    As in Keras, the LAST part of x is held out for validation, before anything is shuffled, and
    the same images in every epoch. The rest is gone through once an epoch, in a new order each
    time, with a smaller batch at the end where they do not come out even. The metrics start from
    nothing in each epoch. After the epoch the validation images are evaluated; the names of those
    metrics are the same with "val_" in front. Then the callbacks have their say: each is told
    `set_model(model)` and `on_train_begin()` before training, `on_epoch_end(epoch, logs)` with
    the epoch's metrics, training and validation together, and `on_train_end()` at the end.
    Training stops after the epoch in which one of them sets `model.stop_training` to True.

    Args:
        model: is trained in place, in training mode. It has a `device`; a flag `stop_training`,
            which is set to False at the start; `train_step(batch)`, which takes one optimiser
            step; `reset_metrics()`; `get_metrics_result()`, the metrics since then as a dict of
            numbers; and `evaluate(x)`, such a dict for other images, which leaves the metrics
            empty and the model in the mode it was in.
        x: images, of shape (N, ...), on any device; each batch is moved to the model's.
        epochs: how many times to go through the training images, at the most.
        batch_size: how many images a step sees.
        validation_split: the share of x to hold out, from 0 (nothing, and then no "val_" metrics)
            to just under 1. As in Keras, the first int(len(x) * (1 - validation_split)) images
            are trained on, and the rest is held out.
        callbacks: who is told, in this order.
        seed: of the orders of the images. The same seed gives the same orders whatever else is
            random, and PyTorch's own generator is left alone.
        verbose: whether to show a progress bar and print a line an epoch.

    Returns:
        The history.
    """
    num_train = int(len(x) * (1 - validation_split))
    x_train, x_held_out = x[:num_train], x[num_train:]
    generator = torch.Generator().manual_seed(seed)
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        batches = torch.randperm(num_train, generator=generator).split(batch_size)
        bar = f"Epoch {epoch + 1}/{epochs}"
        for indices in tqdm(batches, desc=bar, leave=False, disable=not verbose):
            model.train_step(x_train[indices.to(x.device)].to(model.device))
        logs = model.get_metrics_result()
        if len(x_held_out):
            held_out = model.evaluate(x_held_out)
            logs = logs | {f"val_{name}": value for name, value in held_out.items()}
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history


class EarlyStopping(Callback):
    """Ends a training that no longer helps, and brings the best weights back.

    What it watches must come from images that are not trained on: the loss on the training
    images goes on falling while the model learns them by heart. A value that is not a number is
    no improvement.
    """

    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        """Say what to watch.

        Args:
            monitor: the metric of the epoch's logs that should fall.
            patience: how many epochs in a row without an improvement end the training, as in
                Keras: 1 ends it after the first of them (and so does 0), 2 after two in a row.
        """
        super().__init__()
        self.monitor = monitor
        self.patience = patience

    def on_train_begin(self) -> None:
        """Forget an earlier training."""
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Look at the epoch: keep its weights if it is the best so far, else count it.

        Training is ended by setting `self.model.stop_training` to True.

        Args:
            epoch: its number, from 0.
            logs: its metrics; `self.monitor` is among them.
        """
        value = logs[self.monitor]
        if value < self.best:
            self.best = value
            self.epochs_without_improvement = 0
            # The model's own tensors go on changing as it trains: keep copies.
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self) -> None:
        """Give the model the weights of its best epoch, whether training was ended early or not.

        Where no epoch was an improvement (all losses nan), the weights stay as they are.
        """
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


class ModelCheckpoint(Callback):
    """Writes the weights to a file whenever they are the best so far.

    The file is replaced in one move, so that whatever happens while it is written, there is a
    whole one: the new or the old. `torch.load(path, weights_only=True)` reads it.
    """

    def __init__(
        self, path: str | Path, monitor: str = "val_loss", save_best_only: bool = True
    ) -> None:
        """Say where to write and when.

        Args:
            path: the file; its folder is made if it is missing.
            monitor: the metric of the epoch's logs that should fall.
            save_best_only: False writes after every epoch.
        """
        self.path = Path(path)
        self.monitor = monitor
        self.save_best_only = save_best_only

    def on_train_begin(self) -> None:
        """Forget an earlier training; the file stays until there is a better one."""
        self.best = math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the epoch's number, its metrics and the weights, if this epoch is to be kept."""
        if self.save_best_only:
            if not logs[self.monitor] < self.best:
                return
            self.best = logs[self.monitor]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        torch.save({"epoch": epoch, "logs": logs, "weights": self.model.state_dict()}, part)
        os.replace(part, self.path)


class KerasAdam(torch.optim.Adam):
    """Adam with its epsilon where Keras has it.

    Both divide a step by the root of the mean squared gradient plus epsilon. PyTorch adds epsilon
    after that mean was corrected for its start at zero, Keras before (the "epsilon hat" in section
    2 of Kingma and Ba 2015), and Keras's default is 1e-7. The first steps of weights with tiny
    gradients show the difference; nothing else does.
    """

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-7,
    ) -> None:
        """Take over the parameters; the defaults are Keras's."""
        super().__init__(params, lr=lr, betas=betas, eps=eps)
        for group in self.param_groups:
            group["eps_hat"] = eps
            group["num_steps"] = 0

    def step(self, closure=None):
        """Take one step, as `torch.optim.Adam` does, with the epsilon that is Keras's by then."""
        for group in self.param_groups:
            group["num_steps"] += 1
            correction = math.sqrt(1 - group["betas"][1] ** group["num_steps"])
            group["eps"] = group["eps_hat"] / correction
        return super().step(closure)
