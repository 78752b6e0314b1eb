# %% ps4_padding_answer
def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = math.ceil(size / stride)
    missing = max(0, (outputs - 1) * stride + kernel - size)
    return missing // 2, (missing + 1) // 2


class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        per_side = [same_padding(*args) for args in zip(x.shape[2:], self.kernel_size, self.stride)]
        (top, bottom), (left, right) = per_side
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        for dim, (n, k, s) in enumerate(zip(x.shape[2:], self.kernel_size, self.stride), start=2):
            before, _ = same_padding(n * s, k, s)
            out = out.narrow(dim, before, n * s)
        return out


# %% ps4_encoder_answer
class FashionEncoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
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
        features = self.body(x)
        return self.heads["mu"](features), self.heads["log_var"](features)


# %% ps4_sampling_answer
class Sampling(nn.Module):
    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        noise = mu.new_empty(mu.shape).normal_(generator=generator)
        return torch.addcmul(mu, log_var.div(2).exp(), noise)


# %% ps4_decoder_answer
class FashionDecoder(nn.Module):
    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        small = (64, height // 2, width // 2)
        self.spread = nn.Linear(latent_dim, math.prod(small))
        self.fold = nn.Unflatten(1, small)
        self.grow = SameConvTranspose2d(64, 32, 3, stride=2)
        self.paint = SameConvTranspose2d(32, channels, 3)
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.fold(F.relu(self.spread(z)))
        return self.paint(F.relu(self.grow(maps))).sigmoid()


# %% ps4_seed_loss_answer
def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    bracket = (1 + log_var - mu**2 - log_var.exp()).mean(dim=-1)
    return F.binary_cross_entropy(x_hat, x) + (-5e-4 * bracket).mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    # mean_j(bracket) = -2/k * KL, and times num_pixels turns the pixel mean into a sum
    return kl_weight * num_pixels * 2 / latent_dim


# %% ps4_loss_answer
def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(-1)
    posterior = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = torch.distributions.kl_divergence(posterior, prior).sum(-1)
    return {"nll": nll, "kl": kl, "loss": torch.add(nll, kl, alpha=beta)}


# %% ps4_tracker_answer
class Mean:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0

    def update_state(self, values: Tensor) -> None:
        self.total += values.detach().sum().item()
        self.count += values.numel()

    def result(self) -> float:
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
    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
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
        mu, log_var = self.encoder(x)
        return self.decoder(self.sample(mu, log_var, generator)), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        self._note(terms)

    def _note(self, terms: dict[str, Tensor]) -> None:
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        self._note(keras_terms(self, batch))

    def predict_step(self, batch: Tensor) -> Tensor:
        return self.decoder(self.encoder(batch)[0])


# %% ps4_early_stopping_answer
class EarlyStopping(Callback):
    def __init__(self, monitor: str = "val_loss", patience: int = 0) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
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
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


# %% ps4_manifold_answer
def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    return torch.special.ndtri(torch.linspace(tail, 1 - tail, num))


def manifold_codes(values: Tensor) -> Tensor:
    # pairs (second, first): second slow and falling, first fast and rising; then swap the columns
    return torch.cartesian_prod(values.flip(0), values).flip(1)
