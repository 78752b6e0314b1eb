# %% ps3_binarize_answer
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    return torch.where(x > threshold, torch.ones_like(x), torch.zeros_like(x))


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    dice = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return dice.lt(x).type_as(x)


# %% ps3_mlp_answer
def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    net = nn.Sequential()
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        if i:
            net.append(nn.ReLU())
        layer = nn.Linear(fan_in, fan_out)
        nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
        nn.init.zeros_(layer.bias)
        net.append(layer)
    return net


# %% ps3_log_likelihood_answer
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    per_pixel = x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)
    return torch.einsum("bd->b", per_pixel.flatten(1))


# %% ps3_kl_answer
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    per_dim = torch.distributions.kl_divergence(Normal(mu, std), Normal(0.0, 1.0))
    return per_dim.sum(-1)


# %% ps3_model_answer
class BernoulliVAE(nn.Module):
    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        super().__init__()
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp([num_pixels, *hidden_sizes, 2 * latent_dim])
        self.decoder = make_mlp([latent_dim, *hidden_sizes[::-1], num_pixels])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.encoder(x.flatten(1)).split(self.latent_dim, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, std = self.encode(x)
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return self.decode(torch.addcmul(mu, std, eps)), mu, std


# %% ps3_terms_answer
def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    logits, mu, std = model(x, generator)
    terms = {
        "nll": -bernoulli_log_likelihood(x.flatten(1), logits),
        "kl": gaussian_kl_from_std(mu, std),
    }
    return {"loss": sum(terms.values()), **terms}


# %% ps3_fit_answer
def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history


# %% ps3_predictive_answer
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.encode(x)[0]


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        probabilities = model.decode(z).sigmoid()
        return binarize_randomly(probabilities, generator), probabilities


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    where = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=where)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        probabilities = model(x, generator)[0].sigmoid()
        return binarize_randomly(probabilities, generator), probabilities


# %% ps3_log_mean_exp_answer
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    top = values.amax(dim, keepdim=True)
    return (values - top).exp().mean(dim).log() + top.squeeze(dim)


# %% ps3_bound_answer
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    rows = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(
        num_samples, *mu.shape, generator=generator, device=mu.device, dtype=mu.dtype
    )
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    copies = rows.expand(num_samples, *rows.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(copies, logits).view(num_samples, len(rows))
    log_prior = Normal(0.0, 1.0).log_prob(z)
    log_q = Normal(mu, std).log_prob(z)
    return log_px + (log_prior - log_q).sum(-1)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    return log_mean_exp(log_weights, 0)
