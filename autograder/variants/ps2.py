"""ps2, the variational autoencoder and beta: right answers in other words."""

from autograder.misconceptions import swapped
from autograder.variants import Variant

MODEL = """
class VAE(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.enc = Encoder(2 * latent_dim)
        self.dec = Decoder(latent_dim)

    def encode(self, x):
        h = self.enc(x)
        return h[:, :self.latent_dim], h[:, self.latent_dim:]

    def decode(self, z):
        return self.dec(z)

    def forward(self, x, generator=None):
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    @torch.no_grad()
    def reconstruct(self, x):
        training = self.training
        self.eval()
        out = self.decode(self.encode(x)[0])
        self.train(training)
        return out

    @torch.no_grad()
    def sample(self, num_samples, generator=None):
        training = self.training
        self.eval()
        where = next(self.parameters()).device
        z = torch.randn(num_samples, self.latent_dim, generator=generator, device=where)
        out = self.decode(z)
        self.train(training)
        return out
"""
HALVES = "return h[:, :self.latent_dim], h[:, self.latent_dim:]"

OWN_LOOP = """
def train_vae(
    model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0
):
    device = next(model.parameters()).device
    train, held_out = [], [evaluate(model, held_out_loader, partial(vae_terms, beta=beta))]
    for epoch in range(epochs):
        share = 1.0 if not warmup_epochs else min(1.0, epoch / warmup_epochs)
        model.train()
        sums, n = {}, 0
        for images, _ in train_loader:
            terms = vae_terms(model, images.to(device), beta * share)
            terms["loss"].mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            n += len(images)
            for key, value in terms.items():
                sums[key] = sums.get(key, 0) + float(value.sum())
        train.append({key: value / n for key, value in sums.items()})
        held_out += [evaluate(model, held_out_loader, partial(vae_terms, beta=beta))]
    return dict(train=train, held_out=held_out)
"""

VARIANTS: tuple[Variant, ...] = (
    Variant(
        "ps2_kl",
        "closed form in a line",
        """
def gaussian_kl(mu, log_var):
    return -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=-1)
""",
    ),
    Variant(
        "ps2_kl",
        "expm1 and einsum",
        """
def gaussian_kl(mu, log_var):
    return 0.5 * torch.einsum("...k->...", mu * mu + torch.expm1(log_var) - log_var)
""",
    ),
    Variant(
        "ps2_kl",
        "kl_divergence of two normals",
        """
def gaussian_kl(mu, log_var):
    return kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(-1)
""",
    ),
    Variant(
        "ps2_kl",
        "in float64",
        """
def gaussian_kl(mu, log_var):
    m, s = mu.double(), log_var.double()
    return (0.5 * (m**2 + s.exp() - 1 - s)).sum(-1)
""",
    ),
    Variant(
        "ps2_kl",
        "in place, with a helper",
        """
def half(value: Tensor) -> Tensor:
    return value / 2


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    total = log_var.exp()
    total = total + mu**2
    total -= 1
    total -= log_var
    return half(total.sum(axis=-1))
""",
    ),
    Variant(
        "ps2_kl",
        "one latent dimension after another",
        """
def gaussian_kl(mu, log_var):
    total = torch.zeros_like(mu[..., 0])
    for m, lv in zip(mu.unbind(-1), log_var.unbind(-1)):
        total = total + 0.5 * (m * m + lv.exp() - 1 - lv)
    return total
""",
    ),
    Variant(
        "ps2_kl",
        "cross-entropy less entropy",
        """
def gaussian_kl(mu, log_var):
    log_two_pi = math.log(2 * math.pi)
    entropy = 0.5 * (log_two_pi + 1 + log_var)
    cross_entropy = 0.5 * (log_two_pi + mu.square() + log_var.exp())
    return torch.sum(cross_entropy - entropy, -1)
""",
    ),
    Variant(
        "ps2_kl",
        "independent normals of the library",
        """
from torch.distributions import Independent


def gaussian_kl(mu, log_var):
    posterior = Independent(Normal(mu, torch.exp(0.5 * log_var)), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return kl_divergence(posterior, prior)
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "all draws at once",
        """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    std = torch.exp(0.5 * log_var)
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "a draw at a time, in the noise",
        """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    total = torch.zeros_like(mu[:, 0])
    for _ in range(num_samples):
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        z = mu + (log_var / 2).exp() * eps
        total += 0.5 * (z**2 - eps**2 - log_var).sum(1)
    return total / num_samples
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "draws in the middle, with a helper",
        """
def draw(mu, log_var, generator):
    return mu + (log_var / 2).exp() * torch.randn(
        mu.shape, generator=generator, device=mu.device
    )


def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    mu, log_var = (t[:, None].expand(-1, num_samples, -1) for t in (mu, log_var))
    z = draw(mu, log_var, generator)
    q = torch.distributions.Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    p = torch.distributions.Independent(Normal(torch.zeros_like(mu), 1.0), 1)
    return (q.log_prob(z) - p.log_prob(z)).mean(1)
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "rows repeated",
        """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    batch = mu.shape[0]
    means = mu.repeat_interleave(num_samples, dim=0)
    stds = log_var.exp().sqrt().repeat_interleave(num_samples, dim=0)
    noise = torch.empty_like(means).normal_(generator=generator)
    z = means + stds * noise
    ratio = Normal(means, stds).log_prob(z) - Normal(0, 1).log_prob(z)
    return ratio.sum(dim=1).reshape(batch, num_samples).mean(dim=1)
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "densities by hand, in float64",
        """
def log_normal(z, mean, log_var):
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mean) ** 2 / log_var.exp())


def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator=None
) -> Tensor:
    m, lv = mu.double(), log_var.double()
    shape = (mu.shape[0], mu.shape[1], num_samples)
    eps = torch.randn(shape, generator=generator, device=mu.device, dtype=torch.float64)
    z = m.unsqueeze(-1) + (lv / 2).exp().unsqueeze(-1) * eps
    log_ratio = log_normal(z, m[..., None], lv[..., None]) - log_normal(
        z, torch.zeros_like(z), torch.zeros_like(z)
    )
    return (torch.einsum("bks->b", log_ratio) / num_samples).to(mu.dtype)
""",
    ),
    Variant(
        "ps2_kl_monte_carlo",
        "a list of estimates, stacked",
        """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    q = Normal(mu, (0.5 * log_var).exp())
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))

    def one():
        z = q.mean + q.stddev * torch.randn(
            *mu.shape, generator=generator, device=mu.device, dtype=mu.dtype
        )
        return (q.log_prob(z) - p.log_prob(z)).sum(-1)

    return torch.stack([one() for _ in range(num_samples)]).mean(dim=0)
""",
    ),
    Variant(
        "ps2_reparameterize",
        "noise of mu's shape and type",
        """
def reparameterize(mu, log_var, generator=None):
    std = (0.5 * log_var).exp()
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + std * eps
""",
    ),
    Variant(
        "ps2_reparameterize",
        "addcmul, noise in place",
        """
def reparameterize(mu: Tensor, log_var: Tensor, generator=None) -> Tensor:
    eps = torch.empty_like(mu).normal_(generator=generator)
    return torch.addcmul(mu, log_var.exp().sqrt(), eps)
""",
    ),
    Variant(
        "ps2_reparameterize",
        "torch.normal for the noise",
        """
def reparameterize(mu, log_var, generator=None):
    eps = torch.normal(0.0, 1.0, mu.shape, generator=generator, device=mu.device)
    return eps * torch.exp(log_var) ** 0.5 + mu
""",
    ),
    Variant(
        "ps2_reparameterize",
        "an affine transform of the library",
        """
from torch.distributions.transforms import AffineTransform


def reparameterize(mu, log_var, generator=None):
    noise = torch.randn(*mu.size(), generator=generator, device=mu.device)
    return AffineTransform(loc=mu, scale=torch.exp(log_var / 2))(noise)
""",
    ),
    Variant(
        "ps2_reparameterize",
        "in float64, a row at a time",
        """
def std_of(log_var):
    return torch.pow(math.e, log_var.double() / 2)


def reparameterize(mu, log_var, generator=None):
    noise = [
        torch.randn(row.shape, generator=generator, device=row.device, dtype=torch.float64)
        for row in mu
    ]
    return (mu.double() + std_of(log_var) * torch.stack(noise)).to(mu.dtype)
""",
    ),
    Variant(
        "ps2_reparameterize",
        "scale times noise, added in place",
        """
def reparameterize(mu, log_var, generator=None):
    z = mu.new_empty(mu.size()).normal_(0, 1, generator=generator)
    z = z * log_var.mul(0.5).exp()
    z += mu
    return z
""",
    ),
    Variant(
        "ps2_elbo",
        "Normal of variance one",
        """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
""",
    ),
    Variant(
        "ps2_elbo",
        "squares and the constant, written out",
        """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    squares = ((x - x_hat) ** 2).reshape(x.shape[0], -1)
    constant = 0.5 * math.log(2 * math.pi) * squares.shape[1]
    terms = {"nll": squares.sum(-1) / 2 + constant}
    terms["kl"] = 0.5 * (mu ** 2 + log_var.exp() - 1 - log_var).sum(1)
    terms["loss"] = torch.add(terms["nll"], terms["kl"], alpha=beta)
    return terms
""",
    ),
    Variant(
        "ps2_elbo",
        "gaussian_nll_loss, and one entry more",
        """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = F.gaussian_nll_loss(
        x_hat, x, torch.ones_like(x), full=True, reduction="none"
    ).sum(dim=tuple(range(1, x.ndim)))
    kl = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
    return dict(kl=kl, nll=nll, loss=nll + kl * beta, extra=nll.detach())
""",
    ),
    Variant(
        "ps2_elbo",
        "an independent normal over an image",
        """
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    pixels = Normal(x_hat, torch.ones_like(x_hat))
    image = torch.distributions.Independent(pixels, reinterpreted_batch_ndims=x.dim() - 1)
    nll, kl = -image.log_prob(x), gaussian_kl(mu, log_var)
    return {"loss": torch.stack([nll, beta * kl]).sum(0), "nll": nll, "kl": kl}
""",
    ),
    Variant(
        "ps2_elbo",
        "mse_loss and einsum",
        """
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    error = nn.MSELoss(reduction="none")(x_hat, x).flatten(start_dim=1)
    nll = torch.einsum("bd->b", 0.5 * error + HALF_LOG_TWO_PI)
    kl = gaussian_kl(mu, log_var)
    loss = nll.clone()
    loss += beta * kl
    return {"nll": nll, "kl": kl, "loss": loss}
""",
    ),
    Variant(
        "ps2_elbo",
        "an image at a time, in float64",
        """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    def cost(image, mean):
        return -Normal(mean.double(), 1.0).log_prob(image.double()).sum()

    nll = torch.stack([cost(*pair) for pair in zip(x, x_hat, strict=True)]).float()
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
""",
    ),
    Variant(
        "ps2_fault",
        "the starter, mended",
        """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    likelihood = Normal(x_hat, math.sqrt(noise_var))
    posterior = Normal(mu, (log_var / 2).exp())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
""",
    ),
    Variant(
        "ps2_fault",
        "written out",
        """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    squares = ((x - x_hat) ** 2 / noise_var + math.log(2 * math.pi * noise_var)).flatten(1)
    kl = 0.5 * (mu ** 2 + log_var.exp() - 1 - log_var).sum(1)
    return -0.5 * squares.sum(1) - kl
""",
    ),
    Variant(
        "ps2_fault",
        "images rescaled, by elbo_terms",
        """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    terms = elbo_terms(x / noise_var**0.5, x_hat / noise_var**0.5, mu, log_var)
    return -terms["loss"] - 0.5 * math.log(noise_var) * x[0].numel()
""",
    ),
    Variant(
        "ps2_fault",
        "an independent normal over an image",
        """
def evidence_bound(x, x_hat, mu, log_var, noise_var: float = 1.0) -> Tensor:
    noise = torch.tensor(noise_var, dtype=x.dtype).sqrt()
    p = torch.distributions.Independent(Normal(x_hat, noise), x.ndim - 1)
    return p.log_prob(x) - gaussian_kl(mu, log_var)
""",
    ),
    Variant(
        "ps2_fault",
        "one helper for every density",
        """
def log_density(value, mean, var):
    return -0.5 * ((value - mean) ** 2 / var + torch.log(2 * math.pi * var))


def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    explained = log_density(x, x_hat, torch.full_like(x, noise_var)).flatten(1).sum(1)
    var = log_var.exp()
    # E_q[log p(z)] and E_q[log q(z)], in which the mean of (z - mu)^2 is the variance
    log_p = log_density(mu, torch.zeros_like(mu), torch.ones_like(mu)) - var / 2
    log_q = -0.5 * (1 + torch.log(2 * math.pi * var))
    return explained + torch.sum(log_p - log_q, dim=-1)
""",
    ),
    Variant(
        "ps2_fault",
        "gaussian_nll_loss",
        """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    var = torch.full_like(x_hat, noise_var)
    nll = F.gaussian_nll_loss(x_hat, x, var, full=True, reduction="none")
    bound = -nll.view(len(x), -1).sum(-1)
    bound -= gaussian_kl(mu, log_var)
    return bound
""",
    ),
    Variant("ps2_model", "two slices", MODEL),
    Variant(
        "ps2_model",
        "its own encoder, with two heads",
        """
class VAE(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.generate = Decoder(latent_dim)

        def conv(i, o, k, p=0):
            return nn.Conv2d(i, o, k, 2, p)

        self.c1, self.c2 = conv(1, 32, 4, 1), conv(32, 64, 4, 1)
        self.c3, self.c4 = conv(64, 128, 3), conv(128, 256, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (64, 128, 256))
        self.log_var_head = nn.Linear(256, latent_dim)
        self.mean_head = nn.Linear(256, latent_dim)
        self.k = latent_dim

    def encode(self, x):
        h = F.leaky_relu(self.c1(x), 0.2)
        for conv, norm in zip((self.c2, self.c3, self.c4), self.norms):
            h = F.leaky_relu(norm(conv(h)), 0.2)
        h = h.flatten(1)
        return self.mean_head(h), self.log_var_head(h)

    def decode(self, z):
        return self.generate(z)

    def forward(self, x, generator=None):
        mu, log_var = self.encode(x)
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + eps * (log_var / 2).exp()), mu, log_var

    def _quietly(self, z_of):
        was = self.training
        self.eval()
        try:
            with torch.inference_mode():
                return self.decode(z_of())
        finally:
            self.train(was)

    def reconstruct(self, x):
        return self._quietly(lambda: self.encode(x)[0])

    def sample(self, num_samples, generator=None):
        where = self.mean_head.weight.device
        shape = num_samples, self.k
        return self._quietly(lambda: torch.randn(shape, generator=generator, device=where))
""",
    ),
    Variant(
        "ps2_model",
        "a context for looking, a named tuple",
        """
from contextlib import contextmanager
from typing import NamedTuple


class Posterior(NamedTuple):
    mu: Tensor
    log_var: Tensor


@contextmanager
def only_looking(model):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(was_training)


class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(Encoder(2 * latent_dim), nn.Unflatten(1, (2, latent_dim)))
        self.decoder = nn.Sequential(Decoder(latent_dim))
        self.register_buffer("prior_mean", torch.zeros(latent_dim))

    def encode(self, x: Tensor) -> Posterior:
        return Posterior(*self.encoder(x).unbind(dim=1))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor, generator: torch.Generator | None = None):
        posterior = self.encode(x)
        return self.decode(reparameterize(*posterior, generator)), *posterior

    def reconstruct(self, x: Tensor) -> Tensor:
        with only_looking(self):
            return self.decode(self.encode(x).mu)

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        with only_looking(self):
            mu = self.prior_mean.expand(num_samples, -1)
            return self.decode(reparameterize(mu, torch.zeros_like(mu), generator))
""",
    ),
    Variant(
        "ps2_model",
        "split, as a list",
        swapped(MODEL, (HALVES, "return list(h.split(self.latent_dim, dim=1))")),
    ),
    Variant(
        "ps2_model",
        "detach in place of no_grad",
        swapped(
            MODEL,
            ("    @torch.no_grad()\n", ""),
            (
                "        self.train(training)\n        return out",
                "        self.train(training)\n        return out.detach()",
            ),
        ),
    ),
    Variant(
        "ps2_model",
        "the halves in the other order",
        swapped(
            MODEL,
            (HALVES, "k = self.latent_dim\n        return h[:, k:], h[:, :k]"),
        ),
    ),
    Variant(
        "ps2_training",
        "lambdas, the weight from a condition",
        """
def train_vae(model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0):
    history = {"train": [], "held_out": []}
    full = lambda m, x: vae_terms(m, x, beta)
    history["held_out"].append(evaluate(model, held_out_loader, full))
    for epoch in range(epochs):
        weight = beta
        if warmup_epochs > 0:
            weight = beta * min(1.0, epoch / warmup_epochs)
        terms = lambda m, x: vae_terms(m, x, weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
""",
    ),
    Variant("ps2_training", "its own loop over batches", OWN_LOOP),
    Variant(
        "ps2_training",
        "all weights beforehand",
        """
def train_vae(
    model, train_loader, held_out_loader, optimizer, epochs: int, beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    rising = [beta * e / warmup_epochs for e in range(warmup_epochs)]
    weights = (rising + [beta] * epochs)[:epochs]
    measure = partial(evaluate, model, held_out_loader, partial(vae_terms, beta=beta))
    history = {"train": [], "held_out": [measure()]}
    for weight in weights:
        terms = partial(vae_terms, beta=weight)
        history["train"] += [train_epoch(model, train_loader, optimizer, terms)]
        history["held_out"] += [measure()]
    return history
""",
    ),
    Variant(
        "ps2_training",
        "a schedule that is a class, np.interp",
        """
class Weighted:
    def __init__(self, beta, warmup_epochs):
        self.beta, self.warmup_epochs, self.epoch = beta, warmup_epochs, 0

    def __call__(self, model, x):
        weight = self.beta
        if self.warmup_epochs:
            weight *= float(np.interp(self.epoch, [0, self.warmup_epochs], [0, 1]))
        return vae_terms(model, x, weight)


def train_vae(model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0):
    rising, full = Weighted(beta, warmup_epochs), Weighted(beta, 0)
    train, held_out = [], [evaluate(model, held_out_loader, full)]
    while rising.epoch < epochs:
        train.append(train_epoch(model, train_loader, optimizer, rising))
        held_out.append(evaluate(model, held_out_loader, full))
        rising.epoch += 1
    return {"train": train, "held_out": held_out}
""",
    ),
    Variant(
        "ps2_training",
        "its own loop over epochs and evaluations",
        """
def train_vae(model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0):
    where = next(model.parameters()).device

    def measure():
        was_training, totals, count = model.training, {}, 0
        model.eval()
        with torch.inference_mode():
            for images, _ in held_out_loader:
                terms = vae_terms(model, images.to(where), beta=beta)
                totals = {key: totals.get(key, 0) + terms[key].sum() for key in terms}
                count += images.size(0)
        model.train(was_training)
        return {key: (total / count).item() for key, total in totals.items()}

    history = {"train": [], "held_out": [measure()]}
    step = 1 / warmup_epochs if warmup_epochs else 1
    warmth = 0.0 if warmup_epochs else 1.0
    for _ in range(epochs):
        terms = lambda net, x, weight=beta * min(warmth, 1): vae_terms(net, x, weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(measure())
        warmth += step
    return history
""",
    ),
    Variant(
        "ps2_effective_beta",
        "if and elif",
        """
def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    if reconstruction == "squared_error":
        return 0.5 * num_pixels * kl_weight
    elif reconstruction == "cross_entropy":
        return num_pixels * kl_weight
    raise ValueError(reconstruction)
""",
    ),
    Variant(
        "ps2_effective_beta",
        "a table, and a tensor of one number",
        """
def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    scale = {"squared_error": 2, "cross_entropy": 1}
    if reconstruction not in scale:
        raise ValueError("unknown")
    return torch.tensor(kl_weight * num_pixels / scale[reconstruction])
""",
    ),
    Variant(
        "ps2_effective_beta",
        "match",
        """
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    match reconstruction:
        case "squared_error":
            factor = num_pixels / 2
        case "cross_entropy":
            factor = num_pixels
        case _:
            raise ValueError(f"what is {reconstruction}?")
    return factor * kl_weight
""",
    ),
    Variant(
        "ps2_effective_beta",
        "divided by what a pixel weighs",
        """
def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    mean_weight = 1 / num_pixels
    if reconstruction == "squared_error":
        pixel_weight = 2 * mean_weight
    else:
        pixel_weight = mean_weight
        if reconstruction != "cross_entropy":
            raise ValueError("squared_error or cross_entropy")
    return kl_weight / pixel_weight
""",
    ),
    Variant(
        "ps2_effective_beta",
        "a lookup that fails",
        """
PER_PIXEL = {"squared_error": lambda error: error / 2, "cross_entropy": lambda error: error}


def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    try:
        nats = PER_PIXEL[reconstruction]
    except KeyError as error:
        raise ValueError(f"unknown: {reconstruction}") from error
    return kl_weight * nats(float(num_pixels))
""",
    ),
    Variant(
        "ps2_active_units",
        "truths, summed",
        """
def active_units(mu, threshold=0.01):
    return (mu.var(0) > threshold).sum().item()
""",
    ),
    Variant(
        "ps2_active_units",
        "a column at a time",
        """
def active_units(mu, threshold=0.01):
    return sum(1 for column in mu.T if float(column.std()) ** 2 > threshold)
""",
    ),
    Variant(
        "ps2_active_units",
        "NumPy",
        """
def active_units(mu, threshold=0.01):
    return int(np.sum(np.var(mu.detach().cpu().numpy(), axis=0) > threshold))
""",
    ),
    Variant(
        "ps2_active_units",
        "the covariance's diagonal",
        """
def active_units(mu, threshold=0.01):
    return len(torch.nonzero(torch.diag(torch.cov(mu.T)) > threshold))
""",
    ),
    Variant(
        "ps2_active_units",
        "deviations in float64",
        """
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    values = mu.to(torch.float64)
    spread = values.sub(values.mean(dim=0, keepdim=True)).pow(2).mean(dim=0)
    return int(torch.count_nonzero(spread > threshold))
""",
    ),
    Variant(
        "ps2_active_units",
        "var_mean, and a filtered list",
        """
def active_units(mu, threshold=0.01):
    variances, _ = torch.var_mean(mu, dim=0, correction=0)
    active = [v for v in variances.tolist() if v > threshold]
    return len(active)
""",
    ),
    Variant(
        "ps2_interpolate",
        "a comprehension",
        """
def interpolate(z_start, z_end, num_frames):
    return torch.stack([
        z_start + (z_end - z_start) * i / (num_frames - 1) for i in range(num_frames)
    ])
""",
    ),
    Variant(
        "ps2_interpolate",
        "NumPy, and back",
        """
def interpolate(z_start, z_end, num_frames):
    start, end = (code.cpu().numpy() for code in (z_start, z_end))
    weight = np.linspace(0, 1, num_frames)[:, None]
    return torch.from_numpy((1 - weight) * start + weight * end).to(z_start)
""",
    ),
    Variant(
        "ps2_interpolate",
        "torch.lerp",
        """
def interpolate(z_start, z_end, num_frames):
    w = torch.arange(num_frames, device=z_start.device) / (num_frames - 1)
    return torch.lerp(z_start[None], z_end[None], w[:, None])
""",
    ),
    Variant(
        "ps2_interpolate",
        "outer products",
        """
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    up = torch.linspace(0.0, 1.0, steps=num_frames).to(z_start.device)
    return torch.outer(1 - up, z_start) + torch.einsum("f,k->fk", up, z_end)
""",
    ),
    Variant(
        "ps2_interpolate",
        "step by step, the end set",
        """
def interpolate(z_start, z_end, num_frames):
    frames = z_start.repeat(num_frames, 1)
    step = (z_end - z_start) / (num_frames - 1)
    for i in range(1, num_frames):
        frames[i] = frames[i - 1] + step
    frames[-1] = z_end
    return frames
""",
    ),
    Variant(
        "ps2_interpolate",
        "the resizing of the library",
        """
def interpolate(z_start, z_end, num_frames):
    ends = torch.stack([z_start, z_end], dim=1).unsqueeze(0)
    line = F.interpolate(ends, size=num_frames, mode="linear", align_corners=True)
    return line.squeeze(0).t()
""",
    ),
)
