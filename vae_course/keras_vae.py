"""A convolutional VAE for Fashion-MNIST behind the verbs of Keras: compile, fit, evaluate, predict.

The network is one that was published in Keras, layer for layer, down to the way TensorFlow pads a
convolution, the initial weights and the place of Adam's epsilon: with the same weights the two
give the same numbers. Only the loss is written differently, per image and in nats, so that its
beta can be seen.
"""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

# --- Keras's layers in PyTorch --------------------------------------------------------------


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow's padding "same" puts before and after a line of pixels.

    The rule (TensorFlow's guide to `tf.nn`, "Notes on padding"): the output has one pixel for
    every `stride` pixels of the input, rounded up. As many zeros are added as the kernel needs for
    that, and not one more. Half of them go before the line and half after it; where their number
    is odd, the odd one goes after.

    Args:
        size: the length of the line, in pixels.
        kernel: the length of the kernel.
        stride: how far the kernel moves at each step.

    Returns:
        The number of zeros before the line and the number after it, neither of them negative.
    """
    num_outputs = -(-size // stride)
    total = max((num_outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution that pads as Keras's `Conv2D(..., padding="same")` does.

    PyTorch's own `padding=` puts the same number of zeros on opposite sides. TensorFlow does not
    always: see `same_padding`. The two agree on sizes, and differ in what a weight looks at.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        """Make the weights: those of `nn.Conv2d` with these arguments and no padding."""
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Pad each side as `same_padding` says, then convolve without any further padding.

        Height and width are padded separately: they may differ. `nn.Conv2d` keeps `kernel_size`
        and `stride` as pairs, (height, width).

        Args:
            x: maps, of shape (B, in_channels, H, W).

        Returns:
            Maps, of shape (B, out_channels, H / stride, W / stride), sizes rounded up.
        """
        height, width = x.shape[-2:]
        top, bottom = same_padding(height, self.kernel_size[0], self.stride[0])
        left, right = same_padding(width, self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that crops as Keras's `Conv2DTranspose(..., padding="same")` does.

    It is the mirror image of a `SameConv2d` from a map `stride` times as large: where that one
    adds zeros, this one takes pixels away.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        """Make the weights: those of `nn.ConvTranspose2d` with these arguments and no padding.

        The kernel must be at least as large as the stride.
        """
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Spread the maps out without any padding, then cut off what the mirror image padded.

        Args:
            x: maps, of shape (B, in_channels, H, W).

        Returns:
            Maps, of shape (B, out_channels, H * stride, W * stride).
        """
        height, width = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        full = super().forward(x)
        return full[..., top : top + height, left : left + width]


def glorot_uniform(model: nn.Module) -> None:
    """Give every layer of a model the initial weights that Keras would give it.

    Weights are uniform within +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010,
    "Understanding the difficulty of training deep feedforward neural networks"), and biases are
    zero. PyTorch's own default is another one, with random biases.

    Args:
        model: its convolutions, transposed convolutions and linear layers are changed in place.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def set_by_formula(model: nn.Module) -> None:
    """Set every weight and bias of a model by a formula, so that its numbers can be compared.

    Entry number i of a tensor becomes cos(i^2): times a tenth in a bias, times twice Glorot's bound
    in a weight. Any framework can do the same.

    Args:
        model: of convolutions, transposed convolutions and linear layers; changed in place.
    """
    with torch.no_grad():
        for tensor in model.parameters():
            scale = 0.1
            if tensor.ndim > 1:
                fans = (tensor.shape[0] + tensor.shape[1]) * tensor[0, 0].numel()
                scale = 2 * math.sqrt(6 / fans)
            index = torch.arange(tensor.numel(), dtype=torch.float64)
            tensor.copy_(scale * index.square().cos().view(tensor.shape))


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


class Sampling(nn.Module):
    """The layer that draws a code z from q(z|x) = N(mu, diag(exp(log_var))).

    It has no weights. The noise is drawn afresh for every image, every dimension and every call,
    from a source that depends on nothing, so that gradients pass through z to mu and log_var
    (Kingma and Welling 2014, section 2.4).
    """

    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one code for each image.

        Args:
            mu: the means, of shape (B, k), on any device.
            log_var: the natural logarithms of the VARIANCES, of the same shape.
            generator: the source of the randomness, on mu's device; None for PyTorch's own.

        Returns:
            z, of shape (B, k), on mu's device.
        """
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + noise * (log_var / 2).exp()


# --- The network ----------------------------------------------------------------------------


class FashionEncoder(nn.Module):
    """From an image to the posterior q(z|x), a Gaussian over codes.

    | layer              | kernel, stride | output       | parameters |
    |--------------------|----------------|--------------|------------|
    | convolution, ReLU  | 3, 1           | 32 x 28 x 28 |        320 |
    | convolution, ReLU  | 3, 2           | 64 x 14 x 14 |     18,496 |
    | convolution, ReLU  | 3, 1           | 64 x 14 x 14 |     36,928 |
    | convolution, ReLU  | 3, 1           | 64 x 14 x 14 |     36,928 |
    | flatten            |                | 12,544       |          0 |
    | linear, ReLU       |                | 32           |    401,440 |
    | linear: mu         |                | latent_dim   |         66 |
    | linear: log_var    |                | latent_dim   |         66 |

    All convolutions are padded "same", and all weights start as Keras's would. The last two are
    layers apart (one of twice the width would start within another bound), and read the same 32
    numbers. Nothing comes after them: mu and log_var may be any real number.
    """

    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        """Make the layers of the table: 494,244 parameters for 2 latent dimensions.

        Args:
            latent_dim: the length k of a code.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        channels, height, width = image_shape
        self.conv1 = SameConv2d(channels, 32, 3)
        self.conv2 = SameConv2d(32, 64, 3, stride=2)
        self.conv3 = SameConv2d(64, 64, 3)
        self.conv4 = SameConv2d(64, 64, 3)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(64 * (height // 2) * (width // 2), 32)
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Describe the posterior of each image.

        Args:
            x: images, of shape (B, *image_shape), with values in [0, 1].

        Returns:
            mu and log_var, the means and the natural logarithms of the variances, of shape
            (B, latent_dim) each.
        """
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(conv(x))
        features = F.relu(self.dense(self.flatten(x)))
        return self.mu(features), self.log_var(features)


class FashionDecoder(nn.Module):
    """From a code to an image.

    | layer                          | kernel, stride | output       | parameters |
    |--------------------------------|----------------|--------------|------------|
    | linear, ReLU                   |                | 12,544       |     37,632 |
    | reshape                        |                | 64 x 14 x 14 |          0 |
    | transposed convolution, ReLU   | 3, 2           | 32 x 28 x 28 |     18,464 |
    | transposed convolution, sigmoid| 3, 1           | 1 x 28 x 28  |        289 |

    Both transposed convolutions are padded "same", and all weights start as Keras's would.
    """

    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        """Make the layers of the table: 56,385 parameters for 2 latent dimensions.

        Args:
            latent_dim: the length k of a code.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        channels, height, width = image_shape
        self.dense = nn.Linear(latent_dim, 64 * (height // 2) * (width // 2))
        self.reshape = nn.Unflatten(1, (64, height // 2, width // 2))
        self.deconv1 = SameConvTranspose2d(64, 32, 3, stride=2)
        self.deconv2 = SameConvTranspose2d(32, channels, 3)
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        """Draw the image of each code.

        Args:
            z: codes, of shape (B, latent_dim).

        Returns:
            x_hat, of shape (B, *image_shape), with values between 0 and 1: the probability that a
            pixel is white.
        """
        maps = self.reshape(F.relu(self.dense(z)))
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(maps))))


# --- The loss, as it should be and as it was published --------------------------------------


def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    """The terms of the negative ELBO for a Bernoulli decoder, with a weight beta on the KL.

    The decoder gives probabilities, and the binary cross-entropy of a pixel is the negative
    logarithm of the probability that the pixel was given. Of a black or white pixel, that is; for
    greys in between it is still a good loss, but no longer a likelihood.

    Args:
        x: the images, of shape (B, ...), with values in [0, 1].
        x_hat: the decoder's probabilities, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the posterior log-variances, of shape (B, k).
        beta: how much the divergence counts in the loss.

    Returns:
        A dict of three tensors of shape (B,), in nats, one number for each image:
        "nll", the cross-entropy, summed over everything that belongs to the image;
        "kl", the divergence of q(z|x) from the prior N(0, I), never weighted;
        "loss", what training minimises.
    """
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(dim=1)
    kl = 0.5 * (mu.square() + torch.expm1(log_var) - log_var).sum(dim=1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """The loss of the published notebook, as it stands there: to compare with, not to use.

    All pixels of all images of the batch go into ONE mean of the binary cross-entropy. For the
    divergence, each image's latent dimensions go into a MEAN of
        1 + log_var - mu^2 - exp(log_var),
    which is multiplied by -5e-4. Then comes the mean over the batch.

    Args:
        x: the images, of shape (B, ...), with values in [0, 1].
        x_hat: the decoder's probabilities, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the posterior log-variances, of shape (B, k).

    Returns:
        A single number for the whole batch, of shape (). Its unit is nobody's.
    """
    reconstruction = F.binary_cross_entropy(x_hat, x)
    divergence = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return (reconstruction + divergence).mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    """The beta that the published loss really has.

    Up to one overall factor, which moves no minimum, `seed_loss` is the mean over the batch of
        (SUM over pixels of the cross-entropy) + beta * KL,
    where KL is the divergence with its factor of one half and its sum over latent dimensions.

    Args:
        latent_dim: the length k of a code.
        num_pixels: how many numbers an image holds.
        kl_weight: what the mean in the divergence is multiplied by, without its sign.

    Returns:
        beta. For the published notebook, with its 2 latent dimensions, it is 0.392.
    """
    return 2 * kl_weight * num_pixels / latent_dim


# --- Training, the Keras way ----------------------------------------------------------------


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


def keras_terms(
    model: nn.Module, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What training the model minimises and what it reports, for each image of a batch.

    Args:
        model: a `KerasVAE`, or any model with a `beta` whose forward pass gives x_hat, mu and
            log_var.
        x: images, of shape (B, C, H, W), with values in [0, 1].
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        The terms of `cross_entropy_terms` for one sample of z, with the model's beta: "loss",
        "nll" and "kl", in nats, of shape (B,) each.
    """
    x_hat, mu, log_var = model(x, generator)
    return cross_entropy_terms(x, x_hat, mu, log_var, model.beta)


class KerasVAE(KerasModel):
    """The variational autoencoder of `FashionEncoder`, `Sampling` and `FashionDecoder`.

    Its beta is its own: another number of latent dimensions does not change it. Training and
    evaluation keep three metrics: "loss", "nll" and "kl", in nats per image.
    """

    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        """Make the three parts, 550,629 parameters for 2 latent dimensions, and three metrics.

        The attributes `latent_dim`, `beta` and `image_shape` keep the arguments; `encoder` and
        `decoder` hold those two parts.

        Args:
            latent_dim: the length k of a code.
            beta: the weight of the divergence in the loss.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.image_shape = tuple(image_shape)
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_tracker = Mean("loss")
        self.nll_tracker = Mean("nll")
        self.kl_tracker = Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Args:
            x: images, of shape (B, *image_shape), with values in [0, 1].
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            x_hat of shape (B, *image_shape), and the posterior's mu and log_var, of shape
            (B, latent_dim) each.
        """
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        """Take one step of `self.optimizer` on a batch, and add its terms to the metrics.

        The step minimises the mean of `keras_terms`' "loss" over the batch.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.
        """
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        """Add a batch's terms to the metrics. Nothing is learnt from it.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.
        """
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        """Reconstruct images from their posterior means, so that nothing is random.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.

        Returns:
            x_hat, of the same shape.
        """
        mu, _ = self.encoder(batch)
        return self.decoder(mu)


# --- A map of the latent plane --------------------------------------------------------------


def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    """Values of one latent dimension at equal steps of probability under the prior N(0, 1).

    Evenly spaced PROBABILITIES, from `tail` to 1 - tail, turned into the values below which a
    standard normal falls with those probabilities: dense in the middle, where codes are likely,
    and sparse far out (Kingma and Welling 2014, figure 4).

    Args:
        num: how many values; at least 2.
        tail: the probability beyond the first value, and beyond the last one.

    Returns:
        The values in rising order, of shape (num,). Between neighbours lies the same probability;
        beyond the ends lies `tail`, whatever that is.
    """
    return torch.special.ndtri(torch.linspace(tail, 1 - tail, num))


def manifold_codes(values: Tensor) -> Tensor:
    """The codes of a square map of the latent plane, in the order in which pictures are laid out.

    Row by row from the TOP, and from left to right within a row. The first latent dimension runs
    to the right and the second one upwards, as on the axes of any plot, so the top row has the
    largest value of the second dimension.

    Args:
        values: the values that each dimension takes, in rising order, of shape (n,).

    Returns:
        All n * n codes at once, of shape (n * n, 2), on the device of `values`.
    """
    y, x = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)
