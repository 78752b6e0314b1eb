# %% ps4_padding_answer
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
    outputs = math.ceil(size / stride)
    missing = max(0, (outputs - 1) * stride + kernel - size)
    return missing // 2, (missing + 1) // 2


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
        per_side = [same_padding(*args) for args in zip(x.shape[2:], self.kernel_size, self.stride)]
        (top, bottom), (left, right) = per_side
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
        out = super().forward(x)
        for dim, (n, k, s) in enumerate(zip(x.shape[2:], self.kernel_size, self.stride), start=2):
            before, _ = same_padding(n * s, k, s)
            out = out.narrow(dim, before, n * s)
        return out


# %% ps4_encoder_answer
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
        plan = [(32, 1), (64, 2), (64, 1), (64, 1)]
        layers: list[nn.Module] = []
        for out_channels, stride in plan:
            layers += [SameConv2d(channels, out_channels, 3, stride), nn.ReLU()]
            channels = out_channels
        flat = channels * (height // 2) * (width // 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, 32), nn.ReLU())
        self.heads = nn.ModuleDict(
            {"mu": nn.Linear(32, latent_dim), "log_var": nn.Linear(32, latent_dim)}
        )
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Describe the posterior of each image.

        Args:
            x: images, of shape (B, *image_shape), with values in [0, 1].

        Returns:
            mu and log_var, the means and the natural logarithms of the variances, of shape
            (B, latent_dim) each.
        """
        features = self.body(x)
        return self.heads["mu"](features), self.heads["log_var"](features)


# %% ps4_sampling_answer
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
        noise = mu.new_empty(mu.shape).normal_(generator=generator)
        return torch.addcmul(mu, log_var.div(2).exp(), noise)


# %% ps4_decoder_answer
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
        small = (64, height // 2, width // 2)
        self.spread = nn.Linear(latent_dim, math.prod(small))
        self.fold = nn.Unflatten(1, small)
        self.grow = SameConvTranspose2d(64, 32, 3, stride=2)
        self.paint = SameConvTranspose2d(32, channels, 3)
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        """Draw the image of each code.

        Args:
            z: codes, of shape (B, latent_dim).

        Returns:
            x_hat, of shape (B, *image_shape), with values between 0 and 1: the probability that a
            pixel is white.
        """
        maps = self.fold(F.relu(self.spread(z)))
        return self.paint(F.relu(self.grow(maps))).sigmoid()


# %% ps4_seed_loss_answer
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
    bracket = (1 + log_var - mu**2 - log_var.exp()).mean(dim=-1)
    return F.binary_cross_entropy(x_hat, x) + (-5e-4 * bracket).mean()


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
    # mean_j(bracket) = -2/k * KL, and times num_pixels turns the pixel mean into a sum
    return kl_weight * num_pixels * 2 / latent_dim


# %% ps4_loss_answer
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
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(-1)
    posterior = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = torch.distributions.kl_divergence(posterior, prior).sum(-1)
    return {"nll": nll, "kl": kl, "loss": torch.add(nll, kl, alpha=beta)}


# %% ps4_tracker_answer
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
        self.total, self.count = 0.0, 0

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


# %% ps4_fit_answer
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
    train_part, val_part = x[:num_train], x[num_train:]
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
        for chosen in tqdm(batches, desc=f"{epoch + 1}/{epochs}", leave=False, disable=not verbose):
            model.train_step(train_part[chosen.to(x.device)].to(model.device))
        logs = dict(model.get_metrics_result())
        if len(val_part):
            logs |= {f"val_{name}": value for name, value in model.evaluate(val_part).items()}
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


# %% ps4_model_answer
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
        self.latent_dim, self.beta, self.image_shape = latent_dim, beta, tuple(image_shape)
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sample = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        for name in ("loss", "nll", "kl"):
            setattr(self, f"{name}_mean", Mean(name))

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
        return self.decoder(self.sample(mu, log_var, generator)), mu, log_var

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
        self._note(terms)

    def _note(self, terms: dict[str, Tensor]) -> None:
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        """Add a batch's terms to the metrics. Nothing is learnt from it.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.
        """
        self._note(keras_terms(self, batch))

    def predict_step(self, batch: Tensor) -> Tensor:
        """Reconstruct images from their posterior means, so that nothing is random.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.

        Returns:
            x_hat, of the same shape.
        """
        return self.decoder(self.encoder(batch)[0])


# %% ps4_early_stopping_answer
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
        self.on_train_begin()

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
            state = self.model.state_dict()
            self.best_weights = {name: tensor.clone() for name, tensor in state.items()}
            self.epochs_without_improvement = 0
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


# %% ps4_manifold_answer
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
    # pairs (second, first): second slow and falling, first fast and rising; then swap the columns
    return torch.cartesian_prod(values.flip(0), values).flip(1)
