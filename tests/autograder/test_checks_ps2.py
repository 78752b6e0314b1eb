"""The checks of ps2: the reference and other right answers score in full, wrong ones lose points.

The wrong answers are those that students are known to write; each names words of the message it
gets.
"""

import pytest

from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "kl": "vae_course.probability.gaussian_kl",
    "kl_monte_carlo": "vae_course.probability.gaussian_kl_monte_carlo",
    "reparameterize": "vae_course.probability.reparameterize",
    "elbo": "vae_course.probability.elbo_terms",
    "fault": "vae_course.vae.evidence_bound",
    "model": "vae_course.vae.VAE",
    "training": "vae_course.vae.train_vae",
    "effective_beta": "vae_course.probability.effective_beta",
    "active_units": "vae_course.probability.active_units",
    "interpolate": "vae_course.vae.interpolate",
}
SLOW = {"model"}
"""Their checks take about a second."""

KL = "def gaussian_kl(mu, log_var):\n    return "
MC = """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    std = torch.exp(0.5 * log_var)
    eps = torch.randn((num_samples, *mu.shape), generator=generator)
    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
"""
REPARAM = """
def reparameterize(mu, log_var, generator=None):
    std = (0.5 * log_var).exp()
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + std * eps
"""
ELBO = """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
"""
BOUND = """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    squares = ((x - x_hat) ** 2 / noise_var + math.log(2 * math.pi * noise_var)).flatten(1)
    kl = 0.5 * (mu ** 2 + log_var.exp() - 1 - log_var).sum(1)
    return -0.5 * squares.sum(1) - kl
"""
STARTER = next(e.body for e in load_assignment("ps2").exercises if e.id == "ps2_fault")
MENDED = {
    "pixels": (".mean(dim=1)", ".sum(dim=1)"),
    "noise": ("Normal(x_hat, noise_var)", "Normal(x_hat, math.sqrt(noise_var))"),
    "sign": ("explained + kl", "explained - kl"),
    "spread": ("log_var.exp())", "(log_var / 2).exp())"),
}
"""What each of the starter's four faults is mended by."""

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
        out = self.decode(torch.randn(num_samples, self.latent_dim, generator=generator))
        self.train(training)
        return out
"""
TRAINING = """
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
"""
BETA = """
def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    if reconstruction == "squared_error":
        return 0.5 * num_pixels * kl_weight
    elif reconstruction == "cross_entropy":
        return num_pixels * kl_weight
    raise ValueError(reconstruction)
"""
UNITS = "def active_units(mu, threshold=0.01):\n    return "
LINE = """
def interpolate(z_start, z_end, num_frames):
    return torch.stack([
        z_start + (z_end - z_start) * i / (num_frames - 1) for i in range(num_frames)
    ])
"""


def swap(source: str, *pairs: tuple[str, str]) -> str:
    """`source` with replacements, each of which must find something to replace."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source


RIGHT = [
    ("kl", KL + "-0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=-1)"),
    ("kl", KL + "0.5 * torch.einsum('...k->...', mu * mu + torch.expm1(log_var) - log_var)"),
    (
        "kl",
        KL + "kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(-1)",
    ),
    ("kl", KL + "(0.5 * (mu.double() ** 2 + log_var.double().exp() - 1 - log_var)).sum(-1)"),
    (
        "kl",
        """
        def half(value: Tensor) -> Tensor:
            return value / 2

        def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
            total = log_var.exp()
            total = total + mu ** 2
            total -= 1
            total -= log_var
            return half(total.sum(axis=-1))
        """,
    ),
    ("kl_monte_carlo", MC),
    (
        "kl_monte_carlo",
        """
        def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
            total = torch.zeros(len(mu))
            for _ in range(num_samples):
                eps = torch.randn(mu.shape, generator=generator)
                z = mu + (log_var / 2).exp() * eps
                total += 0.5 * (z ** 2 - eps ** 2 - log_var).sum(1)
            return total / num_samples
        """,
    ),
    (
        "kl_monte_carlo",
        """
        def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
            mu, log_var = (t[:, None].expand(-1, num_samples, -1) for t in (mu, log_var))
            z = reparameterize(mu, log_var, generator)
            q = torch.distributions.Independent(Normal(mu, torch.exp(log_var / 2)), 1)
            p = torch.distributions.Independent(Normal(torch.zeros_like(mu), 1.0), 1)
            return (q.log_prob(z) - p.log_prob(z)).mean(1)
        """,
    ),
    ("reparameterize", REPARAM),
    (
        "reparameterize",
        """
        def reparameterize(mu: Tensor, log_var: Tensor, generator=None) -> Tensor:
            eps = torch.empty_like(mu).normal_(generator=generator)
            return torch.addcmul(mu, log_var.exp().sqrt(), eps)
        """,
    ),
    (
        "reparameterize",
        """
        def reparameterize(mu, log_var, generator=None):
            eps = torch.normal(0.0, 1.0, mu.shape, generator=generator)
            return eps * torch.exp(log_var) ** 0.5 + mu
        """,
    ),
    ("elbo", ELBO),
    (
        "elbo",
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
    (
        "elbo",
        """
        def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
            nll = F.gaussian_nll_loss(
                x_hat, x, torch.ones_like(x), full=True, reduction="none"
            ).sum(dim=tuple(range(1, x.ndim)))
            kl = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
            return dict(kl=kl, nll=nll, loss=nll + kl * beta, extra=nll.detach())
        """,
    ),
    ("fault", BOUND),
    (
        "fault",
        """
        def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
            terms = elbo_terms(x / noise_var**0.5, x_hat / noise_var**0.5, mu, log_var)
            return -terms["loss"] - 0.5 * math.log(noise_var) * x[0].numel()
        """,
    ),
    (
        "fault",
        """
        def evidence_bound(x, x_hat, mu, log_var, noise_var: float = 1.0) -> Tensor:
            noise = torch.tensor(noise_var, dtype=x.dtype).sqrt()
            p = torch.distributions.Independent(Normal(x_hat, noise), x.ndim - 1)
            return p.log_prob(x) - gaussian_kl(mu, log_var)
        """,
    ),
    ("model", MODEL),
    (
        "model",
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
                return self._quietly(lambda: torch.randn(num_samples, self.k, generator=generator))
        """,
    ),
    (
        "model",
        swap(
            MODEL,
            (
                "return h[:, :self.latent_dim], h[:, self.latent_dim:]",
                "return list(h.split(self.latent_dim, dim=1))",
            ),
        ),
    ),
    (
        "model",
        swap(
            MODEL,
            ("    @torch.no_grad()\n", ""),
            (
                "        self.train(training)\n        return out",
                "        self.train(training)\n        return out.detach()",
            ),
        ),
    ),
    (
        "model",
        swap(
            MODEL,
            ("        h = self.enc(x)\n", "        h = self.enc(x)\n        k = self.latent_dim\n"),
            ("return h[:, :self.latent_dim], h[:, self.latent_dim:]", "return h[:, k:], h[:, :k]"),
        ),
    ),
    ("training", TRAINING),
    (
        "training",
        """
        def train_vae(
            model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0
        ):
            train, held_out = [], [evaluate(model, held_out_loader, partial(vae_terms, beta=beta))]
            for epoch in range(epochs):
                share = 1.0 if not warmup_epochs else min(1.0, epoch / warmup_epochs)
                model.train()
                sums, n = {}, 0
                for images, _ in train_loader:
                    terms = vae_terms(model, images, beta * share)
                    terms["loss"].mean().backward()
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    n += len(images)
                    for key, value in terms.items():
                        sums[key] = sums.get(key, 0) + float(value.sum())
                train.append({key: value / n for key, value in sums.items()})
                held_out += [evaluate(model, held_out_loader, partial(vae_terms, beta=beta))]
            return dict(train=train, held_out=held_out)
        """,
    ),
    ("effective_beta", BETA),
    (
        "effective_beta",
        """
        def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
            scale = {"squared_error": 2, "cross_entropy": 1}
            if reconstruction not in scale:
                raise ValueError("unknown")
            return torch.tensor(kl_weight * num_pixels / scale[reconstruction])
        """,
    ),
    ("active_units", UNITS + "(mu.var(0) > threshold).sum().item()"),
    ("active_units", UNITS + "sum(1 for column in mu.T if float(column.std()) ** 2 > threshold)"),
    ("active_units", UNITS + "int(np.sum(np.var(mu.numpy(), axis=0) > threshold))"),
    ("active_units", UNITS + "len(torch.nonzero(torch.diag(torch.cov(mu.T)) > threshold))"),
    ("interpolate", LINE),
    (
        "interpolate",
        """
        def interpolate(z_start, z_end, num_frames):
            weight = np.linspace(0, 1, num_frames)[:, None]
            return torch.from_numpy((1 - weight) * z_start.numpy() + weight * z_end.numpy()).float()
        """,
    ),
    (
        "interpolate",
        """
        def interpolate(z_start, z_end, num_frames):
            w = torch.arange(num_frames) / (num_frames - 1)
            return torch.lerp(z_start[None], z_end[None], w[:, None])
        """,
    ),
]

WRONG = [
    # 1-10: the divergence
    ("kl", "half missing", KL + "(mu**2 + log_var.exp() - 1 - log_var).sum(-1)", "twice"),
    (
        "kl",
        "log-var as log-std",
        KL + "0.5 * (mu**2 + (2 * log_var).exp() - 1 - 2 * log_var).sum(-1)",
        "logarithm of a standard deviation",
    ),
    (
        "kl",
        "log-var as variance",
        KL + "0.5 * (mu**2 + log_var**2 - 1 - 2 * log_var.abs().log()).sum(-1)",
        "standard deviation itself",
    ),
    (
        "kl",
        "std for the variance",
        KL + "0.5 * (mu**2 + (log_var / 2).exp() - 1 - log_var).sum(-1)",
        "standard deviation where the variance",
    ),
    ("kl", "sign of all", KL + "0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(-1)", "wrong sign"),
    ("kl", "sign of log", KL + "0.5 * (mu**2 + log_var.exp() - 1 + log_var).sum(-1)", "`log_var`"),
    (
        "kl",
        "reversed",
        KL + "0.5 * ((mu**2 + 1) * (-log_var).exp() - 1 + log_var).sum(-1)",
        "the other way round",
    ),
    ("kl", "no minus one", KL + "0.5 * (mu**2 + log_var.exp() - log_var).sum(-1)", "same amount"),
    ("kl", "no mu", KL + "0.5 * (log_var.exp() - 1 - log_var).sum(-1)", "what `mu` does"),
    (
        "kl",
        "mu not squared",
        KL + "0.5 * (mu + log_var.exp() - 1 - log_var).sum(-1)",
        "not squared",
    ),
    ("kl", "no exp", KL + "0.5 * (mu**2 + log_var - 1 - log_var).sum(-1)", "only its logarithm"),
    ("kl", "mean over k", KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean(-1)", "5 latent"),
    (
        "kl",
        "sum over batch",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(0)",
        "shape (5,)",
    ),
    ("kl", "scalar", KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum()", "single number"),
    (
        "kl",
        "batch mean",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()",
        "single",
    ),
    (
        "kl",
        "unreduced",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var)",
        "still has to be reduced",
    ),
    ("kl", "dim 1", KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1)", "(2, 3, 5)"),
    (
        "kl",
        "keepdim",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1, keepdim=True)",
        "shape (3, 1)",
    ),
    (
        "kl",
        "log of product",
        KL + "0.5 * (mu**2 + log_var.exp() - 1).sum(-1) - 0.5 * log_var.exp().prod(-1).log()",
        "infinite",
    ),
    (
        "kl",
        "clamped",
        KL + "0.5 * (mu**2 + log_var.clamp(-10, 10).exp() - 1 - log_var.clamp(-10, 10)).sum(-1)",
        "variances",
    ),
    (
        "kl",
        "detached",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).detach()",
        "No gradient reaches `mu`",
    ),
    (
        "kl",
        "mu detached",
        KL + "0.5 * (mu.detach()**2 + log_var.exp() - 1 - log_var).sum(-1)",
        "No gradient reaches `mu`",
    ),
    (
        "kl",
        "floats",
        KL + "[float(v) for v in 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)]",
        "a list of 3",
    ),
    ("kl", "abs", KL + "0.5 * (mu.abs() + log_var.exp() - 1 - log_var).sum(-1)", "what `mu` does"),
    ("kl", "returns nothing", "def gaussian_kl(mu, log_var):\n    0.5 * mu", "return"),
    ("kl", "crashes", KL + "mu @ log_var", "RuntimeError"),
    # the estimate
    (
        "kl_monte_carlo",
        "closed form",
        "def gaussian_kl_monte_carlo(mu, log_var, n, generator=None):\n    return "
        "gaussian_kl(mu, log_var)",
        "draws nothing",
    ),
    ("kl_monte_carlo", "sign", swap(MC, ("log_q - log_p", "log_p - log_q")), "wrong sign"),
    ("kl_monte_carlo", "sampled from p", swap(MC, ("z = mu + std * eps", "z = eps")), "on average"),
    (
        "kl_monte_carlo",
        "variance as std",
        swap(MC, ("std = torch.exp(0.5 * log_var)", "std = torch.exp(log_var)")),
        "on average",
    ),
    ("kl_monte_carlo", "sum over samples", swap(MC, (".mean(0)", ".sum(0)")), "on average"),
    (
        "kl_monte_carlo",
        "mean over k",
        swap(MC, ("log_prob(z).sum(-1)", "log_prob(z).mean(-1)")),
        "on average",
    ),
    ("kl_monte_carlo", "mean over batch", swap(MC, (".mean(0)", ".mean(1)")), "shape"),
    (
        "kl_monte_carlo",
        "one sample",
        swap(MC, ("(num_samples, *mu.shape)", "(1, *mu.shape)")),
        "8 sample(s)",
    ),
    (
        "kl_monte_carlo",
        "one noise for all samples",
        swap(
            MC,
            (
                "torch.randn((num_samples, *mu.shape), generator=generator)",
                "torch.randn(mu.shape, generator=generator).expand(num_samples, *mu.shape)",
            ),
        ),
        "scatters more",
    ),
    (
        "kl_monte_carlo",
        "one noise for the batch",
        swap(MC, ("*mu.shape)", "1, mu.shape[1])")),
        "share their noise",
    ),
    (
        "kl_monte_carlo",
        "one noise for all dimensions",
        swap(MC, ("*mu.shape)", "mu.shape[0], 1)")),
        "dimensions of a draw share",
    ),
    ("kl_monte_carlo", "uniform", swap(MC, ("torch.randn(", "torch.rand(")), "on average"),
    ("kl_monte_carlo", "no generator", swap(MC, (", generator=generator", "")), "generator"),
    (
        "kl_monte_carlo",
        "seeded",
        swap(MC, ("    std =", "    torch.manual_seed(0)\n    std =")),
        "every call",
    ),
    # 11-18: the trick
    (
        "reparameterize",
        "exp forgotten",
        swap(REPARAM, ("(0.5 * log_var).exp()", "log_var")),
        "logarithm was not undone",
    ),
    (
        "reparameterize",
        "no half",
        swap(REPARAM, ("(0.5 * log_var).exp()", "log_var.exp()")),
        "That is the variance: ",
    ),
    (
        "reparameterize",
        "variance squared",
        swap(REPARAM, ("(0.5 * log_var).exp()", "log_var.exp() ** 2")),
        "variance, squared",
    ),
    (
        "reparameterize",
        "half outside",
        swap(REPARAM, ("(0.5 * log_var).exp()", "0.5 * log_var.exp()")),
        "half the variance",
    ),
    (
        "reparameterize",
        "one noise for the batch",
        swap(REPARAM, ("mu.shape, gen", "mu.shape[-1], gen")),
        "one and the same for every example",
    ),
    (
        "reparameterize",
        "one noise a row",
        swap(REPARAM, ("mu.shape, gen", "(*mu.shape[:-1], 1), gen")),
        "whole row",
    ),
    ("reparameterize", "uniform", swap(REPARAM, ("torch.randn(", "torch.rand(")), "not `mu`"),
    (
        "reparameterize",
        "uniform, scaled",
        swap(
            REPARAM,
            (
                "torch.randn(mu.shape, generator=generator, dtype=mu.dtype)",
                "(torch.rand(mu.shape, generator=generator) - 0.5) * 12 ** 0.5",
            ),
        ),
        "normal distribution",
    ),
    (
        "reparameterize",
        "sample, no rsample",
        "def reparameterize(mu, log_var, generator=None):\n    return Normal(mu, (log_var / "
        "2).exp()).sample()",
        "No gradient reaches `mu`",
    ),
    (
        "reparameterize",
        "detached",
        swap(REPARAM, ("return mu + std * eps", "return (mu + std * eps).detach()")),
        "No gradient reaches `mu`",
    ),
    (
        "reparameterize",
        "spread detached",
        swap(REPARAM, ("std * eps", "std.detach() * eps")),
        "No gradient reaches `log_var`",
    ),
    (
        "reparameterize",
        "torch.normal, with the generator",
        "def reparameterize(mu, log_var, generator=None):\n    return torch.normal(mu, (log_var / "
        "2).exp(), generator=generator)",
        "no path back to `mu`",
    ),
    ("reparameterize", "no grad", "@torch.no_grad()" + REPARAM, "No gradient reaches `mu`"),
    (
        "reparameterize",
        "frozen",
        swap(REPARAM, ("    std =", "    torch.manual_seed(1)\n    std =")),
        "every call",
    ),
    ("reparameterize", "no generator", swap(REPARAM, ("generator=generator, ", "")), "generator"),
    (
        "reparameterize",
        "mean only",
        "def reparameterize(mu, log_var, generator=None):\n    return mu",
        "no randomness",
    ),
    ("reparameterize", "standard noise", swap(REPARAM, ("mu + std * eps", "mu + eps")), "equally"),
    ("reparameterize", "no mean", swap(REPARAM, ("mu + std * eps", "std * eps")), "not `mu`"),
    (
        "reparameterize",
        "learnt noise",
        swap(
            REPARAM,
            ("    return mu", "    eps = nn.Parameter(torch.ones(mu.shape))\n    return mu"),
        ),
        "all get the same `z`",
    ),
    # 3, 8, 9, 25, 26, 28: the bound
    (
        "elbo",
        "kl subtracted",
        swap(ELBO, ("nll + beta * kl", "nll - beta * kl")),
        "makes it smaller",
    ),
    (
        "elbo",
        "beta on the nll",
        swap(ELBO, ("nll + beta * kl", "beta * nll + kl")),
        "that beta multiplies",
    ),
    ("elbo", "beta ignored", swap(ELBO, ("nll + beta * kl", "nll + kl")), "whatever beta is"),
    ("elbo", "beta twice", swap(ELBO, ("nll + beta * kl", "nll + beta**2 * kl")), "beta"),
    ("elbo", "kl weighted", swap(ELBO, ('"kl": kl}', '"kl": beta * kl}')), "beta other than 1"),
    (
        "elbo",
        "kl weighted, twice in the loss",
        swap(ELBO, ("kl = gaussian_kl", "kl = beta * gaussian_kl")),
        "beta other than 1",
    ),
    ("elbo", "maximised", swap(ELBO, ("nll + beta * kl,", "-(nll + beta * kl),")), "loss"),
    ("elbo", "likelihood not negative", swap(ELBO, ("nll = -", "nll = ")), '"nll"'),
    (
        "elbo",
        "mean over pixels",
        swap(ELBO, (".flatten(1).sum(1)", ".flatten(1).mean(1)")),
        "56 pixels",
    ),
    (
        "elbo",
        "mean squared error",
        swap(
            ELBO, ("-Normal(x_hat, 1.0).log_prob(x)", "((x - x_hat) ** 2)"), (".sum(1)", ".mean(1)")
        ),
        "mean squared error of each image",
    ),
    (
        "elbo",
        "no constant",
        swap(ELBO, ("-Normal(x_hat, 1.0).log_prob(x)", "0.5 * ((x - x_hat) ** 2)")),
        "constant",
    ),
    (
        "elbo",
        "no half",
        swap(ELBO, ("-Normal(x_hat, 1.0).log_prob(x)", "((x - x_hat) ** 2)")),
        '"nll"',
    ),
    (
        "elbo",
        "image dimensions by hand",
        swap(ELBO, (".flatten(1).sum(1)", ".sum((1, 2, 3))")),
        "dimension",
    ),
    ("elbo", "always 784", swap(ELBO, (".flatten(1)", ".view(-1, 784)")), "784"),
    (
        "elbo",
        "the constant of 784 pixels",
        swap(
            ELBO,
            (
                "-Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)",
                "0.5 * ((x - x_hat) ** 2).flatten(1).sum(1) + 720.44",
            ),
        ),
        "constant",
    ),
    ("elbo", "scalars", swap(ELBO, (".flatten(1).sum(1)", ".sum()")), "single number"),
    (
        "elbo",
        "batch means",
        swap(ELBO, ("nll + beta * kl,", "(nll + beta * kl).mean(),")),
        "single number",
    ),
    (
        "elbo",
        "a tuple",
        swap(ELBO, ('{"loss": nll + beta * kl, "nll": nll, "kl": kl}', "nll + beta * kl, nll, kl")),
        "a tuple of 3",
    ),
    (
        "elbo",
        "items",
        swap(ELBO, ("nll + beta * kl,", "(nll + beta * kl).detach(),")),
        "No gradient reaches `x_hat`",
    ),
    (
        "elbo",
        "kl detached",
        swap(ELBO, ("nll + beta * kl,", "nll + beta * kl.detach(),")),
        "No gradient reaches `mu`",
    ),
    (
        "elbo",
        "swapped with detach",
        swap(ELBO, ("Normal(x_hat, 1.0).log_prob(x)", "Normal(x, 1.0).log_prob(x_hat.detach())")),
        "No gradient reaches `x_hat`",
    ),
    ("elbo", "variance guessed", swap(ELBO, ("Normal(x_hat, 1.0)", "Normal(x_hat, 0.5)")), '"nll"'),
    (
        "elbo",
        "kl mean over k",
        swap(ELBO, ("gaussian_kl(mu, log_var)", "gaussian_kl(mu, log_var) / mu.shape[1]")),
        "5 latent",
    ),
    ("elbo", "default beta", swap(ELBO, ("beta=1.0", "beta=0.5")), "default"),
    # 19-24, 29-32: the model
    ("fault", "mean over pixels", swap(BOUND, ("squares.sum(1)", "squares.mean(1)")), "28 pixels"),
    (
        "fault",
        "variance as std",
        swap(
            BOUND,
            ("    squares", "    noise_var = noise_var**2\n    squares"),
        ),
        "used as a standard deviation",
    ),
    (
        "fault",
        "variance ignored",
        swap(BOUND, ("    squares", "    noise_var = 1.0\n    squares")),
        "plays no part",
    ),
    ("fault", "kl added", swap(BOUND, ("- kl", "+ kl")), "should be charged"),
    (
        "fault",
        "a loss",
        swap(BOUND, ("-0.5 * squares.sum(1) - kl", "0.5 * squares.sum(1) + kl")),
        "wrong sign",
    ),
    (
        "fault",
        "log-var as log-std",
        swap(BOUND, ("    kl =", "    log_var = 2 * log_var\n    kl =")),
        "logarithm of a standard deviation",
    ),
    ("fault", "kl mean over k", swap(BOUND, ("log_var).sum(1)", "log_var).mean(1)")), "4 latent"),
    ("fault", "no kl", swap(BOUND, (" - kl", "")), "does not come in"),
    (
        "fault",
        "no logarithm",
        swap(BOUND, ("-0.5 * squares.sum(1) - kl", "(-0.5 * squares.sum(1)).exp() - kl")),
        "the bound",
    ),
    (
        "fault",
        "no constant",
        swap(BOUND, (" + math.log(2 * math.pi * noise_var)", "")),
        "same amount",
    ),
    (
        "fault",
        "pixels of the whole batch",
        swap(STARTER, *MENDED.values(), (".flatten(1).sum(dim=1)", ".sum()")),
        "the same for every example",
    ),
    (
        "fault",
        "divergence of the whole batch",
        swap(STARTER, *MENDED.values(), ("prior).sum(dim=1)", "prior).sum()")),
        "posterior mean",
    ),
    (
        "fault",
        "divergence as a mean",
        swap(STARTER, *MENDED.values(), ("prior).sum(dim=1)", "prior).mean()")),
        "posterior mean",
    ),
    (
        "fault",
        "one number",
        swap(BOUND, ("- kl", "- kl.mean()"), (".sum(1) -", ".sum() -")),
        "shape",
    ),
    (
        "model",
        "encoder emits k",
        swap(MODEL, ("Encoder(2 * latent_dim)", "Encoder(latent_dim)")),
        "16,448 fewer",
    ),
    (
        "model",
        "split on the batch",
        swap(MODEL, ("return h[:, :self.latent_dim], h[:, self.latent_dim:]", "return h.chunk(2)")),
        "shape",
    ),
    (
        "model",
        "one head for both",
        swap(
            MODEL,
            ("Encoder(2 * latent_dim)", "Encoder(latent_dim)"),
            ("return h[:, :self.latent_dim], h[:, self.latent_dim:]", "return h, h"),
        ),
        "fewer",
    ),
    (
        "model",
        "both the same",
        swap(MODEL, ("h[:, self.latent_dim:]", "h[:, :self.latent_dim]")),
        "one and the same",
    ),
    (
        "model",
        "relu on log_var",
        swap(MODEL, ("h[:, self.latent_dim:]", "F.relu(h[:, self.latent_dim:])")),
        "`log_var` is never negative",
    ),
    (
        "model",
        "softplus on log_var",
        swap(MODEL, ("h[:, self.latent_dim:]", "F.softplus(h[:, self.latent_dim:])")),
        "`log_var` is never negative",
    ),
    (
        "model",
        "tanh on mu",
        swap(MODEL, ("return h[:, :self.latent_dim]", "return torch.tanh(h[:, :self.latent_dim])")),
        "`mu` does not grow",
    ),
    (
        "model",
        "tanh on log_var",
        swap(MODEL, ("h[:, self.latent_dim:]", "torch.tanh(h[:, self.latent_dim:])")),
        "`log_var` does not grow",
    ),
    (
        "model",
        "leaky relu on mu",
        swap(
            MODEL,
            ("return h[:, :self.latent_dim]", "return F.leaky_relu(h[:, :self.latent_dim], 0.2)"),
        ),
        "damped where it is negative",
    ),
    (
        "model",
        "clamp",
        swap(MODEL, ("h[:, self.latent_dim:]", "h[:, self.latent_dim:].clamp(-10, 10)")),
        "clamp",
    ),
    (
        "model",
        "swapped in forward",
        swap(
            MODEL, ("        mu, log_var = self.encode(x)", "        log_var, mu = self.encode(x)")
        ),
        "another `mu` and `log_var`",
    ),
    (
        "model",
        "swapped in the trick",
        swap(
            MODEL,
            ("reparameterize(mu, log_var, generator)", "reparameterize(log_var, mu, generator)"),
        ),
        "draw",
    ),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("return self.decode(z), mu, log_var", "return self.decode(z), log_var, mu")),
        "another `mu` and `log_var`",
    ),
    (
        "model",
        "nothing is drawn",
        swap(MODEL, ("z = reparameterize(mu, log_var, generator)", "z = mu")),
        "nothing is drawn",
    ),
    (
        "model",
        "no draw in evaluation",
        swap(MODEL, ("self.decode(z), mu", "self.decode(z if self.training else mu), mu")),
        "nothing is drawn",
    ),
    (
        "model",
        "variance as std",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + log_var.exp() * torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "multiplied with a variance",
    ),
    (
        "model",
        "log-var as std",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + log_var * torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "`log_var` itself",
    ),
    (
        "model",
        "standard noise",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "the same whatever",
    ),
    (
        "model",
        "from the prior",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "does not scatter",
    ),
    (
        "model",
        "frozen noise",
        swap(MODEL, ("        z = rep", "        torch.manual_seed(0)\n        z = rep")),
        "every call",
    ),
    ("model", "generator lost", swap(MODEL, ("log_var, generator)", "log_var)")), "generator"),
    (
        "model",
        "reconstruct draws",
        swap(MODEL, ("out = self.decode(self.encode(x)[0])", "out = self(x)[0]")),
        "random",
    ),
    (
        "model",
        "reconstruct in training mode",
        swap(
            MODEL,
            (
                "        self.eval()\n        out = self.decode(self.encode",
                "        out = self.decode(self.encode",
            ),
        ),
        "in evaluation mode",
    ),
    (
        "model",
        "mode not restored",
        swap(MODEL, ("        self.train(training)\n", "")),
        "left in evaluation mode",
    ),
    (
        "model",
        "always back to training",
        swap(MODEL, ("self.train(training)", "self.train()")),
        "left in training mode",
    ),
    ("model", "graph kept", swap(MODEL, ("    @torch.no_grad()\n", "")), "graph"),
    (
        "model",
        "returns a tuple",
        swap(MODEL, ("out = self.decode(self.encode(x)[0])", "out = self(x)")),
        "tuple",
    ),
    (
        "model",
        "sample from one posterior",
        swap(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator)",
                "0.1 * torch.randn(num_samples, self.latent_dim, generator=generator)",
            ),
        ),
        "prior",
    ),
    (
        "model",
        "sample uniform",
        swap(MODEL, ("torch.randn(num_samples", "torch.rand(num_samples")),
        "prior",
    ),
    (
        "model",
        "sample zeros",
        swap(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator)",
                "torch.zeros(num_samples, self.latent_dim)",
            ),
        ),
        "all the same image",
    ),
    (
        "model",
        "sample one image",
        swap(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator)",
                "torch.randn(1, self.latent_dim, generator=generator).expand(num_samples, -1)",
            ),
        ),
        "all the same image",
    ),
    (
        "model",
        "latents fixed",
        swap(
            MODEL,
            ("Decoder(latent_dim)", "Decoder(64)"),
            ("Encoder(2 * latent_dim)", "Encoder(128)"),
            ("self.latent_dim = latent_dim", "self.latent_dim = 64"),
        ),
        "shape",
    ),
    (
        "model",
        "half unregistered",
        swap(
            MODEL,
            ("self.enc = Encoder(2 * latent_dim)", "self.parts = [Encoder(2 * latent_dim)]"),
            ("self.enc(x)", "self.parts[0](x)"),
        ),
        "fewer",
    ),
    (
        "model",
        "encoder cut off",
        swap(MODEL, ("h = self.enc(x)", "h = self.enc(x).detach()")),
        "No gradient reaches",
    ),
    (
        "model",
        "forward returns the image",
        swap(MODEL, ("return self.decode(z), mu, log_var", "return self.decode(z)")),
        "a tensor of shape",
    ),
    (
        "model",
        "sigmoid twice",
        swap(MODEL, ("return self.dec(z)", "return torch.sigmoid(self.dec(z))")),
        "between 0.50 and 0.73",
    ),
    # 27, 19, 1-6 again: the loop over epochs
    (
        "training",
        "one step too early",
        swap(TRAINING, ("epoch / warmup", "(epoch + 1) / warmup")),
        "times beta",
    ),
    (
        "training",
        "never reaches one",
        swap(TRAINING, ("epoch / warmup_epochs", "epoch / (warmup_epochs + 1)")),
        "times beta",
    ),
    (
        "training",
        "does not stop at one",
        swap(TRAINING, ("min(1.0, epoch / warmup_epochs)", "epoch / warmup_epochs")),
        "times beta",
    ),
    ("training", "no warm-up", swap(TRAINING, ("warmup_epochs > 0", "False")), "times beta"),
    ("training", "beta lost in the warm-up", swap(TRAINING, ("beta * min(", "min(")), "times beta"),
    (
        "training",
        "a share of all epochs",
        swap(TRAINING, ("epoch / warmup_epochs", "epoch / epochs")),
        "times beta",
    ),
    (
        "training",
        "beta ignored",
        swap(TRAINING, ("weight = beta\n", "weight = 1.0\n")),
        "times beta",
    ),
    (
        "training",
        "held-out at the weight of the epoch",
        swap(
            TRAINING,
            (
                'history["held_out"].append(evaluate(model, held_out_loader, full))\n    return',
                'history["held_out"].append(evaluate(model, held_out_loader, terms))\n    return',
            ),
        ),
        "held-out",
    ),
    (
        "training",
        "held-out on training images",
        swap(TRAINING, ("evaluate(model, held_out_loader", "evaluate(model, train_loader")),
        "held-out",
    ),
    (
        "training",
        "trained on held-out images",
        swap(TRAINING, ("train_epoch(model, train_loader", "train_epoch(model, held_out_loader")),
        "weights",
    ),
    (
        "training",
        "evaluated with train_epoch",
        swap(
            TRAINING,
            (
                "evaluate(model, held_out_loader, full))\n    return",
                "train_epoch(model, held_out_loader, optimizer, full))\n    return",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "one evaluation repeated",
        swap(
            TRAINING,
            (
                'history["held_out"].append(evaluate(model, held_out_loader, full))\n    return',
                'history["held_out"].append(history["held_out"][0])\n    return',
            ),
        ),
        "held-out",
    ),
    (
        "training",
        "evaluated before each epoch",
        swap(
            TRAINING,
            (
                '        history["held_out"].append(evaluate(model, held_out_loader, full))\n'
                "    return",
                "    return",
            ),
            (
                "        weight = beta\n",
                '        history["held_out"].append(evaluate(model, held_out_loader, full))\n'
                "        weight = beta\n",
            ),
        ),
        "held-out",
    ),
    (
        "training",
        "a warm-up of two whatever was asked",
        swap(TRAINING, ("epoch / warmup_epochs", "epoch / 2")),
        "times beta",
    ),
    (
        "training",
        "nothing before training",
        swap(
            TRAINING,
            (
                '    history["held_out"].append(evaluate(model, held_out_loader, full))\n    for',
                "    for",
            ),
        ),
        "3 entries",
    ),
    (
        "training",
        "one epoch too few",
        swap(TRAINING, ("range(epochs)", "range(epochs - 1)")),
        "2 entries",
    ),
    (
        "training",
        "one epoch too many",
        swap(TRAINING, ("range(epochs)", "range(epochs + 1)")),
        "4 entries",
    ),
    (
        "training",
        "one list",
        swap(TRAINING, ("return history", "return history['train']")),
        "history",
    ),
    (
        "training",
        "only losses",
        swap(
            TRAINING,
            ("return history", "return {k: [e['loss'] for e in v] for k, v in history.items()}"),
        ),
        "dict was expected",
    ),
    (
        "training",
        "a new optimiser",
        swap(
            TRAINING,
            (
                "        weight = beta\n",
                "        optimizer = torch.optim.Adam(model.parameters())\n        weight = beta\n",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "a copy is trained",
        swap(
            TRAINING,
            ("    history =", "    import copy\n    model = copy.deepcopy(model)\n    history ="),
        ),
        "weights",
    ),
    (
        "training",
        "held-out without beta",
        swap(TRAINING, ("vae_terms(m, x, beta)", "vae_terms(m, x)")),
        "held-out",
    ),
    (
        "training",
        "trains twice an epoch",
        swap(
            TRAINING,
            (
                '        history["train"].append(',
                "        train_epoch(model, train_loader, optimizer, terms)\n        "
                'history["train"].append(',
            ),
        ),
        "once in an epoch",
    ),
    # the effective beta
    ("effective_beta", "half forgotten", swap(BETA, ("0.5 * ", "")), "twice"),
    (
        "effective_beta",
        "the other way round",
        swap(BETA, ("num_pixels * kl_weight", "kl_weight / num_pixels")),
        "where it should multiply",
    ),
    (
        "effective_beta",
        "pixels forgotten",
        swap(BETA, ("num_pixels * kl_weight", "kl_weight")),
        "whatever the number of pixels",
    ),
    (
        "effective_beta",
        "always halved",
        swap(BETA, ("return num_pixels", "return 0.5 * num_pixels")),
        "half",
    ),
    (
        "effective_beta",
        "784 fixed",
        swap(BETA, ("num_pixels *", "784 *")),
        "whatever the number of pixels",
    ),
    (
        "effective_beta",
        "returns the error",
        swap(BETA, ("raise ValueError(reconstruction)", "return ValueError")),
        "not refused",
    ),
    (
        "effective_beta",
        "KeyError",
        swap(BETA, ("raise ValueError(reconstruction)", "raise KeyError(reconstruction)")),
        "KeyError",
    ),
    (
        "effective_beta",
        "a string",
        swap(BETA, ("return 0.5 * num_pixels * kl_weight", "return f'{kl_weight}'")),
        "a string",
    ),
    # active units
    (
        "active_units",
        "standard deviation",
        UNITS + "int((mu.std(0) > threshold).sum())",
        "a standard deviation above",
    ),
    ("active_units", "over latents", UNITS + "int((mu.var(1) > threshold).sum())", "counts images"),
    (
        "active_units",
        "second moment",
        UNITS + "int(((mu ** 2).mean(0) > threshold).sum())",
        "far from zero",
    ),
    (
        "active_units",
        "size of the mean",
        UNITS + "int((mu.mean(0).abs() > threshold).sum())",
        "far from zero",
    ),
    ("active_units", "threshold fixed", UNITS + "int((mu.var(0) > 0.01).sum())", "threshold of"),
    (
        "active_units",
        "inactive counted",
        UNITS + "int((mu.var(0) < threshold).sum())",
        "silent ones",
    ),
    (
        "active_units",
        "a share",
        UNITS + "float((mu.var(0) > threshold).float().mean())",
        "a share, and not a count",
    ),
    ("active_units", "a tensor", UNITS + "(mu.var(0) > threshold).sum()", "whole number"),
    ("active_units", "a mask", UNITS + "mu.var(0) > threshold", "where a number was expected"),
    # interpolation
    ("interpolate", "never arrives", swap(LINE, ("/ (num_frames - 1)", "/ num_frames")), "last"),
    (
        "interpolate",
        "one frame more",
        swap(LINE, ("range(num_frames)", "range(num_frames + 1)")),
        "shape",
    ),
    (
        "interpolate",
        "backwards",
        swap(LINE, ("z_start + (z_end - z_start)", "z_end + (z_start - z_end)")),
        "backwards",
    ),
    (
        "interpolate",
        "start left out",
        swap(LINE, ("* i / (num_frames - 1)", "* (i + 1) / num_frames")),
        "first",
    ),
    (
        "interpolate",
        "a list",
        swap(
            LINE,
            ("return torch.stack([", "return list(["),
        ),
        "a list",
    ),
    (
        "interpolate",
        "uneven",
        swap(LINE, ("i / (num_frames - 1)", "(i / (num_frames - 1)) ** 2")),
        "not equal",
    ),
    ("interpolate", "transposed", swap(LINE, ("    ])", "    ], 1)")), "swapped"),
]


def _id(case):
    return "-".join(case[:2]) if len(case) == 4 else case[0]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 20):
        verdict = judged(f"ps2_{name}", seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score


@pytest.mark.long
def test_the_reference_model_scores_in_full_over_many_seeds(judged):
    for seed in range(100, 160):
        assert judged("ps2_model", seed=seed).verdict == "pass", seed


@pytest.mark.parametrize(("name", "source"), RIGHT, ids=map(_id, RIGHT))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 5):
        verdict = judged(f"ps2_{name}", source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), WRONG, ids=map(_id, WRONG))
def test_a_known_mistake_loses_points_and_is_described(judged, name, mistake, source, words):
    verdict = judged(f"ps2_{name}", source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert words in messages
    assert verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    solution = EXERCISES[name].rpartition(".")[2]
    blank = "    raise NotImplementedError()"
    source = (
        f"class {solution}(nn.Module):\n    def __init__(self, latent_dim=64):\n"
        f"        super().__init__()\n    {blank}"
        if solution == "VAE"
        else f"def {solution}(*args, **kwargs):\n{blank}"
    )
    verdict = judged(f"ps2_{name}", source, solutions=[EXERCISES[name]])
    assert (verdict.verdict, verdict.score) == ("blank", 0)


def test_a_wrong_divergence_does_not_cost_the_training_loop(judged):
    wrong = KL + "(mu**2 + log_var.exp() - 1 - log_var).sum(-1)"
    assert judged("ps2_training", wrong).verdict == "pass"
    assert judged("ps2_kl_monte_carlo", wrong).verdict == "pass"


def test_an_unwritten_divergence_is_named_where_it_is_needed(judged):
    blank = "def gaussian_kl(mu, log_var):\n    raise NotImplementedError"
    verdict = judged("ps2_elbo", blank, solutions=["vae_course.probability.elbo_terms"])
    assert verdict.verdict == "error"
    assert "`gaussian_kl`, which this exercise uses, is not written yet" in verdict.message


def test_the_starter_as_it_was_handed_out_scores_nothing(judged):
    for seed in range(5):
        verdict = judged("ps2_fault", STARTER, seed=seed)
        assert (verdict.verdict, verdict.score) == ("fail", 0), verdict


@pytest.mark.parametrize("fault", MENDED)
def test_each_fault_that_is_mended_earns_its_share_and_no_more(judged, fault):
    for seed in range(3):
        alone = judged("ps2_fault", swap(STARTER, MENDED[fault]), points=2, seed=seed)
        assert alone.score == 0.5, alone
        others = [pair for name, pair in MENDED.items() if name != fault]
        rest = judged("ps2_fault", swap(STARTER, *others), points=2, seed=seed)
        assert rest.score == 1.5, rest
    assert judged("ps2_fault", swap(STARTER, *MENDED.values()), points=2).score == 2
