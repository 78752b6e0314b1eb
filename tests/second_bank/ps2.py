"""Answers to ps2, written by someone who saw only the student's notebook."""

WRONG = {
    # ps2_kl: these should pass the visible checks.
    ("ps2_kl", "no gradient: all of it under no_grad"): '''
@torch.no_grad()
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(dim=-1)
''',
    ("ps2_kl", "wrong gradient: the variance is detached"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    var = log_var.detach().exp()
    return 0.5 * torch.sum(mu.pow(2) + var - 1 - log_var, dim=-1)
''',
    ("ps2_kl", "log_var is clamped, so far posteriors cost the wrong amount"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    log_var = torch.clamp(log_var, -10, 10)  # against overflow
    return -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=-1)
''',
    ("ps2_kl", "squares the caller's mu in place"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    kl = mu.pow_(2) + log_var.exp() - 1 - log_var
    return kl.sum(dim=-1) / 2
''',
    ("ps2_kl", "only two or three dimensions: a single (k,) and (a, b, c, k) go wrong"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    inside = 1 + log_var - mu**2 - log_var.exp()
    if mu.dim() == 3:
        return -0.5 * inside.sum(dim=2)
    return -0.5 * inside.sum(dim=1)
''',
    ("ps2_kl", "squeeze: a batch of one loses its dimension"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    inside = mu**2 + log_var.exp() - 1 - log_var
    return 0.5 * inside.sum(dim=-1, keepdim=True).squeeze()
''',
    ("ps2_kl", "an epsilon inside a needless logarithm: wrong for small variances"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    var = torch.exp(log_var)
    return 0.5 * torch.sum(mu**2 + var - torch.log(var + 1e-8) - 1, dim=-1)
''',
    # ps2_kl: these should fail the visible checks.
    ("ps2_kl", "sums over dimension 1, which is not always the last"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1)
''',
    ("ps2_kl", "mean over the latent dimensions in place of the sum"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * torch.mean(1 + log_var - mu**2 - log_var.exp(), dim=-1)
''',
    ("ps2_kl", "log_var is taken for a log standard deviation"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    std = torch.exp(log_var)
    return (0.5 * (std**2 + mu**2 - 1) - torch.log(std)).sum(dim=-1)
''',
    ("ps2_kl", "sums over the batch as well"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
''',
    # ps2_kl_monte_carlo: these should pass the visible checks.
    (
        "ps2_kl_monte_carlo",
        "reseeds PyTorch's own from initial_seed; the generator stands still",
    ): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    std = torch.exp(0.5 * log_var)
    q = Normal(mu, std)
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = q.sample((num_samples,))
    return (q.log_prob(z) - p.log_prob(z)).sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "antithetic pairs: the draws are not independent"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    half = (num_samples + 1) // 2
    eps = torch.randn(half, *mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    eps = torch.cat([eps, -eps])[:num_samples]  # a smaller error for the same work

    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z)
    return (log_q - log_p).sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "draws in chunks and skips the last partial one"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    q, p = Normal(mu, std), Normal(torch.zeros_like(mu), torch.ones_like(mu))
    chunk = min(128, num_samples)  # so that memory lasts
    means = []
    for _ in range(num_samples // chunk):
        eps = torch.randn((chunk, *mu.shape), generator=generator, device=mu.device)
        z = mu + std * eps
        means.append((q.log_prob(z) - p.log_prob(z)).sum(dim=-1).mean(dim=0))
    return torch.stack(means).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "cut off at zero, so the estimate is biased"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * eps
    ratio = Normal(mu, std).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    return ratio.sum(dim=2).mean(dim=0).clamp(min=0)  # a KL is never negative
''',
    ("ps2_kl_monte_carlo", "without a generator the same draws every time"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    if generator is None:
        generator = torch.Generator(mu.device).manual_seed(0)
    std = torch.exp(0.5 * log_var)
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)

    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z)
    return (log_q - log_p).sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "the two log-densities are taken of different draws"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)

    def draw():
        shape = (num_samples, *mu.shape)
        return mu + std * torch.randn(shape, generator=generator, device=mu.device)

    log_q = Normal(mu, std).log_prob(draw()).sum(dim=-1).mean(dim=0)
    log_p = Normal(torch.zeros_like(mu), 1.0).log_prob(draw()).sum(dim=-1).mean(dim=0)
    return log_q - log_p
''',
    ("ps2_kl_monte_carlo", "squeeze: one example gives shape () and not (1,)"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = (log_var / 2).exp()
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * eps
    ratio = Normal(mu, std).log_prob(z) - Normal(torch.zeros_like(mu), 1.0).log_prob(z)
    return ratio.sum(dim=-1, keepdim=True).mean(dim=0).squeeze()
''',
    # ps2_kl_monte_carlo: these should fail the visible checks.
    ("ps2_kl_monte_carlo", "all examples share their noise"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    eps = torch.randn(num_samples, 1, mu.shape[1], generator=generator, device=mu.device)

    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z)
    return (log_q - log_p).sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "one number of noise for all dimensions of a draw"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    eps = torch.randn(num_samples, len(mu), 1, generator=generator, device=mu.device)

    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z)
    return (log_q - log_p).sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "Normal is given the variance"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    q = Normal(mu, log_var.exp())
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + log_var.exp() * eps
    ratio = q.log_prob(z) - Normal(torch.zeros_like(mu), 1.0).log_prob(z)
    return ratio.sum(dim=-1).mean(dim=0)
''',
    ("ps2_kl_monte_carlo", "mean over the dimensions too"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    eps = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * eps
    ratio = Normal(mu, std).log_prob(z) - Normal(torch.zeros_like(mu), 1.0).log_prob(z)
    return ratio.mean(dim=(0, 2))
''',
    # ps2_reparameterize: these should pass the visible checks.
    ("ps2_reparameterize", "noise on the CPU and in float32, whatever mu is"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    std = torch.exp(0.5 * log_var)
    eps = torch.randn(mu.shape, generator=generator)
    return mu + std * eps
''',
    ("ps2_reparameterize", "a seed is set inside, so every call has the same noise"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    torch.manual_seed(0)  # reproducible
    std = torch.exp(0.5 * log_var)
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + std * eps
''',
    ("ps2_reparameterize", "reads the generator's seed and never moves its state"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
''',
    ("ps2_reparameterize", "leading dimensions share their noise"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    batch, k = mu.shape[-2:]
    eps = torch.randn(batch, k, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * log_var) * eps
''',
    ("ps2_reparameterize", "the noise is standardised: not independent, and NaN for one entry"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    eps = (eps - eps.mean()) / eps.std()  # exactly mean 0 and standard deviation 1
    return mu + torch.exp(log_var / 2) * eps
''',
    ("ps2_reparameterize", "uniform noise of variance one, not Gaussian"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    eps = torch.rand(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    eps = (eps - 0.5) * math.sqrt(12)
    return mu + torch.exp(log_var / 2) * eps
''',
    ("ps2_reparameterize", "no draw at all under no_grad: the mean comes back"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    std = torch.exp(0.5 * log_var)
    if not torch.is_grad_enabled():
        return mu  # evaluation needs no noise
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + eps * std
''',
    ("ps2_reparameterize", "built up in a float32 buffer: z is not of mu's type"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    z = torch.zeros(mu.shape, device=mu.device)
    z.normal_(generator=generator)
    z = z * torch.exp(0.5 * log_var).float() + mu.float()
    return z
''',
    ("ps2_reparameterize", "log_var is clamped: sure and vague codes get the wrong spread"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    std = torch.exp(0.5 * log_var.clamp(-5, 5))
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + std * eps
''',
    # ps2_reparameterize: these should fail the visible checks.
    ("ps2_reparameterize", "the variance in place of the standard deviation"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + log_var.exp() * eps
''',
    ("ps2_reparameterize", "adds the noise to the caller's mu in place"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    z = mu
    z += torch.exp(0.5 * log_var) * eps
    return z
''',
    ("ps2_reparameterize", "torch.normal has no path back to mu and log_var"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    std = torch.exp(0.5 * log_var)
    return torch.normal(mu, std, generator=generator)
''',
    # ps2_elbo: these should pass the visible checks.
    ("ps2_elbo", "beta = 0 counts as not given"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    beta = beta or 1.0
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps2_elbo", "the KL is computed under no_grad, so the loss does not move it"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    with torch.no_grad():  # only to report it
        kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps2_elbo", "x_hat is detached, so nothing reaches the decoder"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    p = Normal(x_hat.detach(), torch.ones_like(x_hat))
    nll = -p.log_prob(x).flatten(start_dim=1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
''',
    ("ps2_elbo", "squeeze: nll of a single image has shape ()"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    log_p = Normal(x_hat, 1.0).log_prob(x).flatten(1)
    nll = -log_p.sum(dim=1, keepdim=True).squeeze()
    kl = gaussian_kl(mu, log_var)
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
''',
    ("ps2_elbo", "x_hat is clamped to pixel values first"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    mean = x_hat.clamp(0, 1)
    nll = -Normal(mean, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
''',
    ("ps2_elbo", "Huber loss: not a Gaussian where a pixel is off by more than 1"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    error = F.huber_loss(x_hat, x, reduction="none")
    nll = (error + 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
''',
    ("ps2_elbo", "every image is given the batch's mean nll"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    kl = gaussian_kl(mu, log_var)
    nll = -Normal(x_hat, 1.0).log_prob(x).sum() / len(x)
    nll = nll.expand(len(x))
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
''',
    ("ps2_elbo", "the KL anew, with the variance for a standard deviation"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    posterior, prior = Normal(mu, log_var.exp()), Normal(torch.zeros_like(mu), 1.0)
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = kl_divergence(posterior, prior).sum(dim=1)
    return {"nll": nll, "kl": kl, "loss": nll + beta * kl}
''',
    # ps2_elbo: these should fail the visible checks.
    ("ps2_elbo", "the KL joins nll in place, so nll is the loss"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    loss = nll
    loss += beta * kl
    return {"loss": loss, "nll": nll, "kl": kl}
''',
    ("ps2_elbo", "kl is reported with its weight"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = beta * gaussian_kl(mu, log_var)
    return {"loss": nll + kl, "nll": nll, "kl": kl}
''',
    ("ps2_elbo", "the sign of the KL is that of the bound"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    nll = -Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll - beta * kl, "nll": nll, "kl": kl}
''',
    # ps2_fault: these should pass the visible checks.
    ("ps2_fault", "by hand, and the squared error is not divided by the variance"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)

    log_p = -0.5 * ((x - x_hat) ** 2 + math.log(2 * math.pi * noise_var))
    explained = log_p.flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "by hand, and the error is divided by the variance squared"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)

    error = (x - x_hat) ** 2 / (2 * noise_var**2)
    log_p = -error - 0.5 * math.log(2 * math.pi * noise_var)
    explained = log_p.flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "sums over dimension 1 only: images with channels are not flattened"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "the mean times x.shape[1], which is the channels of a real image"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)
    num_pixels = x.shape[1]
    explained = likelihood.log_prob(x).flatten(1).mean(dim=1) * num_pixels
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "by hand, and log noise_var counts once an image, not once a pixel"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)

    error = ((x - x_hat) ** 2).flatten(1).sum(dim=1) / noise_var
    constant = x[0].numel() * math.log(2 * math.pi) + math.log(noise_var)
    return -0.5 * (error + constant) - kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "the KL is weighted with noise_var, as if it were a beta"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - noise_var * kl_divergence(posterior, prior).sum(dim=1)
''',
    ("ps2_fault", "the posterior's standard deviation is kept away from zero"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var).clamp(min=0.1))
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    # ps2_fault: these should fail the visible checks.
    ("ps2_fault", "mean over the latent dimensions"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).mean(dim=1)
''',
    ("ps2_fault", "the divergence of the prior from the posterior"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, torch.exp(0.5 * log_var))
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(prior, posterior).sum(dim=1)
''',
    ("ps2_fault", "three mended: the posterior's variance still stands for its deviation"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, log_var.exp())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
''',
    # ps2_model: these should pass the visible checks.
    ("ps2_model", "z is detached: the encoder learns nothing from the pictures"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z.detach()), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "without a generator every sample is the same"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        if generator is None:
            generator = torch.Generator(device).manual_seed(0)
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "remembers the device it was made on, and not where it is now"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)
        self.device = next(self.parameters()).device

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=self.device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "reconstruct decodes a draw with a fixed seed, not the mean"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            generator = torch.Generator(x.device).manual_seed(0)
            x_hat, _, _ = self(x, generator)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "log_var is clamped, and it may be any real number"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var.clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "sample keeps its codes between calls"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)
        self.fixed_z = None  # always the same codes, to watch progress

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            if self.fixed_z is None or len(self.fixed_z) != num_samples:
                shape = num_samples, self.latent_dim
                self.fixed_z = torch.randn(shape, generator=generator, device=device)
            images = self.decode(self.fixed_z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "sample draws x from p(x|z), where the mean image is asked for"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
            noise = torch.randn(images.shape, generator=generator, device=device)
            images = images + noise
        self.train(was_training)
        return images
''',
    ("ps2_model", "a second sigmoid: every pixel lies between 0.5 and 0.73"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(z))

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "forward returns log_var before mu"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), log_var, mu

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "reconstruct leaves both halves in training mode, whatever it was"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        self.encoder.eval()
        self.decoder.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.encoder.train()
        self.decoder.train()
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "forward draws one noise vector for the whole batch"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        eps = torch.randn(self.latent_dim, generator=generator, device=x.device)
        z = mu + torch.exp(0.5 * log_var) * eps
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    # ps2_model: these should fail the visible checks.
    ("ps2_model", "sample stays in training mode, and BatchNorm mixes the samples"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        return images
''',
    ("ps2_model", "reconstruct ends in training mode, however it was found"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train()
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    ("ps2_model", "forward decodes the mean in evaluation mode"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator) if self.training else mu
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images
''',
    # ps2_training: these should pass the visible checks.
    ("ps2_training", "makes an Adam of its own and does not use the optimizer given"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "a warm-up longer than the training is made shorter"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    warmup_epochs = min(warmup_epochs, epochs)
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "all held-out entries are one and the same dict"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    measured = evaluate(model, held_out_loader, full)
    history = {"train": [], "held_out": [measured]}
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        measured.update(evaluate(model, held_out_loader, full))
        history["held_out"].append(measured)
    return history
''',
    ("ps2_training", "whole-number division: the weight goes up in whole numbers only"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        weight = beta
        if warmup_epochs > 0:
            weight = min(beta, beta * epoch // warmup_epochs)
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "a warm-up of one epoch is taken for none"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        if warmup_epochs > 1:
            weight = beta * min(1.0, epoch / warmup_epochs)
        else:
            weight = beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "goes back to the weights of the best held-out epoch"): '''
import copy


def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    lowest = history["held_out"][0]["loss"]
    best = copy.deepcopy(model.state_dict())
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
        if history["held_out"][-1]["loss"] < lowest:
            lowest = history["held_out"][-1]["loss"]
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history
''',
    ("ps2_training", "a learning-rate schedule that nobody asked for"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        scheduler.step()
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    (
        "ps2_training",
        "the history lives on the model: a second call returns the first one's too",
    ): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    if not hasattr(model, "history"):
        model.history = {"train": [], "held_out": []}
    history = model.history
    history["held_out"].append(evaluate(model, held_out_loader, full))
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "the first evaluation is in the loop: none at all for 0 epochs"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": []}
    for epoch in range(epochs):
        if epoch == 0:
            history["held_out"].append(evaluate(model, held_out_loader, full))
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    # ps2_training: these should fail the visible checks.
    ("ps2_training", "held-out images are measured with the epoch's weight"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        weight = beta * min(1.0, epoch / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, terms))
    return history
''',
    ("ps2_training", "the warm-up starts at one step and arrives an epoch early"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        weight = beta * min(1.0, (epoch + 1) / warmup_epochs) if warmup_epochs else beta
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    ("ps2_training", "overwrites beta in the first epoch, so it never grows again"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        if warmup_epochs:
            beta = beta * min(1.0, epoch / warmup_epochs)
        terms = partial(vae_terms, beta=beta)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
''',
    # ps2_effective_beta: these should pass the visible checks.
    ("ps2_effective_beta", "whole-number division loses half a pixel of an odd number"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if reconstruction == "squared_error":
        return kl_weight * (num_pixels // 2)
    if reconstruction == "cross_entropy":
        return kl_weight * num_pixels
    raise ValueError(f"unknown reconstruction {reconstruction!r}")
''',
    ("ps2_effective_beta", "any name that holds a known one is let through"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if "squared_error" in reconstruction:
        return kl_weight * num_pixels / 2
    if "cross_entropy" in reconstruction:
        return kl_weight * num_pixels
    raise ValueError(f"unknown reconstruction {reconstruction!r}")
''',
    ("ps2_effective_beta", "rounded to four decimals: small weights become nothing"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if reconstruction not in ("squared_error", "cross_entropy"):
        raise ValueError(reconstruction)
    beta = kl_weight * num_pixels
    if reconstruction == "squared_error":
        beta /= 2
    return round(beta, 4)
''',
    ("ps2_effective_beta", "a tensor comes back, where a float is promised"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    beta = torch.tensor(kl_weight, dtype=torch.float64) * num_pixels
    if reconstruction == "squared_error":
        return beta / 2
    if reconstruction == "cross_entropy":
        return beta
    raise ValueError(f"unknown reconstruction: {reconstruction}")
''',
    ("ps2_effective_beta", "takes every image for a square of grey pixels"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    side = int(num_pixels**0.5)
    factor = side * side
    if reconstruction == "squared_error":
        factor = factor / 2
    elif reconstruction != "cross_entropy":
        raise ValueError("squared_error or cross_entropy")
    return kl_weight * factor
''',
    ("ps2_effective_beta", "a weight of 0 returns before the kind is looked at"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if kl_weight == 0:
        return 0.0
    if reconstruction == "squared_error":
        return kl_weight * num_pixels / 2
    elif reconstruction == "cross_entropy":
        return kl_weight * num_pixels
    raise ValueError(f"unknown reconstruction {reconstruction!r}")
''',
    ("ps2_effective_beta", "784 is written into the cross-entropy's case"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if reconstruction == "squared_error":
        return kl_weight * num_pixels / 2
    elif reconstruction == "cross_entropy":
        return kl_weight * 784
    else:
        raise ValueError(f"unknown reconstruction {reconstruction!r}")
''',
    # ps2_effective_beta: these should fail the visible checks.
    ("ps2_effective_beta", "the Gaussian's half is missing"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if reconstruction not in ("squared_error", "cross_entropy"):
        raise ValueError(f"unknown reconstruction {reconstruction!r}")
    return kl_weight * num_pixels
''',
    ("ps2_effective_beta", "the half is taken for the cross-entropy too"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    if reconstruction not in ("squared_error", "cross_entropy"):
        raise ValueError(f"unknown reconstruction {reconstruction!r}")
    return 0.5 * kl_weight * num_pixels
''',
    ("ps2_effective_beta", "an unknown kind is a KeyError"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    factor = {"squared_error": 0.5, "cross_entropy": 1.0}[reconstruction]
    return kl_weight * num_pixels * factor
''',
    # ps2_active_units: these should pass the visible checks.
    ("ps2_active_units", "at least the threshold, where it must exceed it"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return int((mu.var(dim=0) >= threshold).sum())
''',
    ("ps2_active_units", "the mean absolute deviation squared is no variance"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    spread = (mu - mu.mean(dim=0)).abs().mean(dim=0)
    return int((spread**2 > threshold).sum())
''',
    ("ps2_active_units", "deviations from the first image in place of the mean"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    moves = (mu - mu[0]).square().mean(dim=0)
    return (moves > threshold).sum().item()
''',
    ("ps2_active_units", "torch.cov of one dimension is a number without a diagonal"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    variances = torch.cov(mu.T).diagonal()
    return int((variances > threshold).sum())
''',
    ("ps2_active_units", "centres the caller's tensor in place"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    mu -= mu.mean(dim=0)
    variances = (mu**2).mean(dim=0)
    return int((variances > threshold).sum())
''',
    ("ps2_active_units", "a loop that leaves out the last dimension"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    count = 0
    for i in range(mu.shape[1] - 1):
        if mu[:, i].var() > threshold:
            count += 1
    return count
''',
    ("ps2_active_units", "looks at the first thousand images only"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    variances = torch.var(mu[:1000], dim=0)  # enough, and quicker
    return int(torch.count_nonzero(variances > threshold))
''',
    # ps2_active_units: these should fail the visible checks.
    ("ps2_active_units", "standard deviation in place of the variance"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return int((mu.std(dim=0) > threshold).sum())
''',
    ("ps2_active_units", "variance over the latent dimensions"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return int((mu.var(dim=1) > threshold).sum())
''',
    ("ps2_active_units", "a tensor comes back"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return (mu.var(dim=0) > threshold).sum()
''',
    ("ps2_active_units", "the mean square: a large mean that never changes counts"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return int((mu.square().mean(dim=0) > threshold).sum())
''',
    # ps2_interpolate: these should pass the visible checks.
    ("ps2_interpolate", "arange with a fractional step: one frame too many for 7, 10, 22"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    step = 1 / (num_frames - 1)
    t = torch.arange(0, 1 + step, step, device=z_start.device).unsqueeze(1)
    return (1 - t) * z_start + t * z_end
''',
    ("ps2_interpolate", "halves the steps, which fits 2, 3, 5 and 9 frames only"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    frames = [z_start, z_end]
    while len(frames) < num_frames:
        finer = [frames[0]]
        for left, right in zip(frames, frames[1:]):
            finer += [(left + right) / 2, right]
        frames = finer
    return torch.stack(frames[:num_frames])
''',
    ("ps2_interpolate", "squeeze: a code of length 1 loses its dimension"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    t = torch.linspace(0, 1, num_frames, device=z_start.device).view(-1, 1)
    return (z_start + t * (z_end - z_start)).squeeze()
''',
    ("ps2_interpolate", "steps of whole per cents: 4 frames end at 99"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    percent = 100 // (num_frames - 1)
    frames = []
    for i in range(num_frames):
        weight = i * percent / 100
        frames.append((1 - weight) * z_start + weight * z_end)
    return torch.stack(frames)
''',
    ("ps2_interpolate", "the loop skips the last frame but one, which stays zero"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    path = torch.zeros(num_frames, len(z_start), device=z_start.device)
    path[0], path[-1] = z_start, z_end
    step = (z_end - z_start) / (num_frames - 1)
    for i in range(1, num_frames - 2):
        path[i] = z_start + i * step
    return path
''',
    (
        "ps2_interpolate",
        "each step is a part of what is left, and the end is put there by hand",
    ): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    z, frames = z_start, [z_start]
    for _ in range(num_frames - 2):
        z = z + (z_end - z) / (num_frames - 1)
        frames.append(z)
    return torch.stack([*frames, z_end])
''',
    ("ps2_interpolate", "weights rounded to two decimals: the steps are not equal"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    weights = [round(i / (num_frames - 1), 2) for i in range(num_frames)]
    t = torch.tensor(weights, device=z_start.device).unsqueeze(1)
    return (1 - t) * z_start + t * z_end
''',
    # ps2_interpolate: these should fail the visible checks.
    ("ps2_interpolate", "num_frames steps: it stops one short of the end"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    return torch.stack(
        [z_start + i / num_frames * (z_end - z_start) for i in range(num_frames)]
    )
''',
    ("ps2_interpolate", "walks in place: the caller's start moves along"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    step = (z_end - z_start) / (num_frames - 1)
    frames = []
    z = z_start
    for _ in range(num_frames):
        frames.append(z.clone())
        z += step
    return torch.stack(frames)
''',
    ("ps2_interpolate", "the roles are exchanged: it goes from the end to the start"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    t = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
    return t * z_start + (1 - t) * z_end
''',
}
RIGHT = {
    ("ps2_kl", "kl_divergence of two Independent Normals"): '''
from torch.distributions import Independent


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    q = Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return kl_divergence(q, p)
''',
    ("ps2_kl", "einsum for the means, expm1 for the variances"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    from_means = torch.einsum("...k,...k->...", mu, mu)
    from_spreads = torch.expm1(log_var).sub(log_var).sum(-1)
    return from_means.add(from_spreads).mul(0.5)
''',
    ("ps2_kl", "a loop over the latent dimensions"): '''
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    total = 0
    for m, a in zip(mu.unbind(dim=-1), log_var.unbind(dim=-1), strict=True):
        total = total + 0.5 * (m * m + torch.exp(a) - a - 1)
    return total
''',
    (
        "ps2_kl_monte_carlo",
        "log-densities by hand from the noise, draws in the middle dimension",
    ): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    shape = (mu.shape[0], num_samples, mu.shape[1])
    eps = torch.randn(shape, generator=generator, device=mu.device, dtype=mu.dtype)
    log_var, mu = log_var.unsqueeze(1), mu.unsqueeze(1)
    z = mu + (log_var / 2).exp() * eps
    # log(2 pi) / 2 stands in both densities and goes away
    log_q = -(log_var + eps.square()) / 2
    log_p = -z.square() / 2
    return torch.einsum("bsk->b", log_q - log_p) / num_samples
''',
    ("ps2_kl_monte_carlo", "example by example, with MultivariateNormal"): '''
from torch.distributions import MultivariateNormal


def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    k = mu.shape[-1]
    eye = torch.eye(k, device=mu.device, dtype=mu.dtype)
    prior = MultivariateNormal(torch.zeros_like(eye[0]), scale_tril=eye)
    estimates = []
    for mean, std in zip(mu, log_var.exp().sqrt(), strict=True):
        q = MultivariateNormal(mean, scale_tril=torch.diag(std))
        noise = torch.randn(
            num_samples, k, generator=generator, device=mu.device, dtype=mu.dtype
        )
        z = torch.addcmul(mean, std, noise)
        estimates.append((q.log_prob(z) - prior.log_prob(z)).mean())
    return torch.stack(estimates)
''',
    ("ps2_kl_monte_carlo", "a running total over chunks, the last and shorter one included"): '''
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    std = torch.exp(0.5 * log_var)
    q = Normal(mu, std)
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    total = mu.new_zeros(mu.shape[0])
    left = num_samples
    while left > 0:
        now = min(left, 777)
        noise = torch.empty(now, *mu.shape, device=mu.device, dtype=mu.dtype)
        z = mu + std * noise.normal_(generator=generator)
        total = total + (q.log_prob(z) - p.log_prob(z)).sum(dim=(0, 2))
        left -= now
    return total / num_samples
''',
    ("ps2_reparameterize", "normal_ into an empty tensor, and addcmul"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.empty(mu.shape, dtype=mu.dtype, device=mu.device)
    noise.normal_(generator=generator)
    return torch.addcmul(mu, noise, torch.exp(log_var / 2))
''',
    ("ps2_reparameterize", "torch.normal for the noise, powers of two, and a minus"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.normal(
        0.0, 1.0, size=mu.shape, generator=generator, dtype=mu.dtype, device=mu.device
    )
    return mu - torch.exp2(log_var / (2 * math.log(2))) * noise
''',
    ("ps2_reparameterize", "one long vector of noise, reshaped; a square root"): '''
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.randn(mu.numel(), generator=generator, device=mu.device, dtype=mu.dtype)
    half = torch.exp(log_var / 4)
    return (half * noise.reshape(mu.shape)) * half + mu
''',
    ("ps2_elbo", "F.gaussian_nll_loss with its constant"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    var = torch.ones_like(x_hat)
    per_pixel = F.gaussian_nll_loss(x_hat, x, var, full=True, reduction="none")
    terms = {"nll": per_pixel.reshape(len(x), -1).sum(-1), "kl": gaussian_kl(mu, log_var)}
    terms["loss"] = torch.add(terms["nll"], terms["kl"], alpha=beta)
    return terms
''',
    ("ps2_elbo", "by hand: einsum, the constant, and the KL from two Normals"): '''
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    off = (x_hat - x).reshape(x.shape[0], -1)
    nll = 0.5 * torch.einsum("bd,bd->b", off, off) + 0.5 * off.shape[1] * math.log(math.tau)
    q = Normal(mu, torch.exp(log_var / 2))
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(-1)
    return dict(loss=nll + kl * beta, nll=nll, kl=kl)
''',
    ("ps2_elbo", "Independent, and a loop over nothing"): '''
from torch.distributions import Independent


def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    decoded = Independent(Normal(x_hat, torch.ones_like(x_hat)), x_hat.ndim - 1)
    kl = (mu.square() + log_var.exp() - log_var - 1).sum(1) / 2
    log_likelihood = decoded.log_prob(x)
    return {"kl": kl, "loss": beta * kl - log_likelihood, "nll": -log_likelihood}
''',
    ("ps2_fault", "by hand with einsum, and gaussian_kl from before"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    off = (x - x_hat).reshape(x.shape[0], -1)
    log_p = torch.einsum("bd,bd->b", off, off) / noise_var
    log_p = -0.5 * (log_p + off.shape[1] * math.log(2 * math.pi * noise_var))
    return log_p - gaussian_kl(mu, log_var)
''',
    ("ps2_fault", "elbo_terms of images in units of the noise, and the change of units"): '''
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    std = math.sqrt(noise_var)
    negative = elbo_terms(x / std, x_hat / std, mu, log_var)["loss"]
    return -negative - x[0].numel() * math.log(std)
''',
    ("ps2_fault", "Independent distributions that know what an event is"): '''
from torch.distributions import Independent


def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Independent(Normal(x_hat, math.sqrt(noise_var)), x_hat.ndim - 1)
    posterior = Independent(Normal(mu, torch.exp(log_var).sqrt()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return likelihood.log_prob(x).sub(kl_divergence(posterior, prior))
''',
    ("ps2_model", "looks through a deep copy in evaluation mode"): '''
import copy


class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(latent_dim * 2), Decoder(latent_dim)
        self.k = latent_dim

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        described = self.encoder(x)
        return described[:, : self.k], described[:, self.k :]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        posterior = self.encode(x)
        return self.decode(reparameterize(*posterior, generator)), *posterior

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        quiet = copy.deepcopy(self).eval()  # the model itself is not touched
        return quiet.decode(quiet.encode(x)[0])

    @torch.no_grad()
    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        quiet = copy.deepcopy(self).eval()
        z = torch.empty(num_samples, self.k, device=next(self.parameters()).device)
        return quiet.decode(z.normal_(generator=generator))
''',
    ("ps2_model", "one shared body with two heads, of the same number of parameters"): '''
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(latent_dim)  # its last layer gives the means
        self.log_var_head = nn.Linear(256, latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = x
        for layer in list(self.encoder.layers)[:-1]:
            features = layer(features)
        return self.encoder.layers[-1](features), self.log_var_head(features)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        x_hat = self.decode(reparameterize(mu, log_var, generator))
        return x_hat, mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        mode = self.training
        try:
            with torch.no_grad():
                return self.eval().decode(self.encode(x)[0])
        finally:
            self.train(mode)

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        mode = self.training
        try:
            with torch.no_grad():
                zeros = self.log_var_head.weight.new_zeros(num_samples, self.latent_dim)
                return self.eval().decode(reparameterize(zeros, zeros, generator))
        finally:
            self.train(mode)
''',
    ("ps2_model", "means and log-variances interleaved, a context manager for looking"): '''
from contextlib import contextmanager


class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.add_module("describe", Encoder(num_outputs=latent_dim + latent_dim))
        self.add_module("draw", Decoder(latent_dim=latent_dim))
        self.latent_dim = latent_dim

    @contextmanager
    def _looking(self):
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.describe(x).view(-1, self.latent_dim, 2).unbind(dim=2)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        return self.draw(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        return self.decode(reparameterize(mu, log_var, generator)), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        with self._looking():
            return self.decode(self.encode(x)[0])

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        where = next(self.parameters()).device
        with self._looking():
            shape = (num_samples, self.latent_dim)
            return self.decode(torch.randn(shape, generator=generator, device=where))
''',
    ("ps2_training", "all weights listed beforehand, numpy for the ramp"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    ramp = np.linspace(0.0, beta, warmup_epochs + 1)[:-1].tolist()
    weights = (ramp + [beta] * epochs)[:epochs]
    held_out = [evaluate(model, held_out_loader, lambda m, x: vae_terms(m, x, beta))]
    train = []
    for weight in weights:
        step = lambda m, x, weight=weight: vae_terms(m, x, weight)
        train.append(train_epoch(model, train_loader, optimizer, step))
        held_out.append(evaluate(model, held_out_loader, lambda m, x: vae_terms(m, x, beta)))
    return {"train": train, "held_out": held_out}
''',
    ("ps2_training", "a generator of pairs, and one terms function with a weight that moves"): '''
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    now = {"weight": beta}

    def terms(some_model, images):
        return vae_terms(some_model, images, beta=now["weight"])

    def measured():
        now["weight"] = beta
        return evaluate(model, held_out_loader, terms)

    def one_epoch(epoch):
        behind = max(warmup_epochs - epoch, 0)  # epochs still to go until all of beta
        now["weight"] = beta - beta * behind / max(warmup_epochs, 1)
        return train_epoch(model, train_loader, optimizer, terms)

    first = measured()
    pairs = [(one_epoch(epoch), measured()) for epoch in range(epochs)]
    return {
        "train": [trained for trained, _ in pairs],
        "held_out": [first, *(held_out for _, held_out in pairs)],
    }
''',
    ("ps2_effective_beta", "a table of factors, and a KeyError turned into a ValueError"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    nats_per_unit_of_error = {"squared_error": 0.5, "cross_entropy": 1.0}
    try:
        scale = nats_per_unit_of_error[reconstruction]
    except KeyError:
        raise ValueError(f"{reconstruction!r} is no known reconstruction") from None
    mean_to_sum = num_pixels
    return scale * mean_to_sum * kl_weight
''',
    ("ps2_effective_beta", "match, and division by what stands before the nll"): '''
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    match reconstruction:
        case "cross_entropy":
            mean_over_nll = 1 / num_pixels
        case "squared_error":
            mean_over_nll = 2 / num_pixels
        case _:
            raise ValueError("expected squared_error or cross_entropy, got " + str(reconstruction))
    return float(kl_weight) / mean_over_nll
''',
    ("ps2_active_units", "column by column, with Python's sum"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return sum(torch.var(column).item() > threshold for column in mu.unbind(dim=1))
''',
    ("ps2_active_units", "numpy"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    variances = np.var(mu.detach().cpu().numpy(), axis=0)
    return int(np.count_nonzero(variances > threshold))
''',
    ("ps2_active_units", "einsum over centred codes"): '''
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    centred = mu.detach() - mu.detach().mean(0, keepdim=True)
    squares = torch.einsum("nk,nk->k", centred, centred)
    return len([v for v in (squares / len(mu)).tolist() if v > threshold])
''',
    ("ps2_interpolate", "torch.lerp"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    t = torch.linspace(0, 1, num_frames, dtype=z_start.dtype, device=z_start.device)
    return torch.lerp(z_start, z_end, t[:, None])
''',
    ("ps2_interpolate", "a product of two weights a frame with the two codes"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    t = torch.linspace(0, 1, num_frames, dtype=z_start.dtype, device=z_start.device)
    weights = torch.stack([t.flip(0), t], dim=1)
    return torch.einsum("fe,ek->fk", weights, torch.stack([z_start, z_end]))
''',
    ("ps2_interpolate", "a list of frames with weights in plain Python"): '''
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    last = num_frames - 1
    return torch.stack(
        [z_start * ((last - i) / last) + z_end * (i / last) for i in range(num_frames)]
    )
''',
}

ARGUABLE = {
    (
        "ps2_effective_beta",
        "a tensor comes back, where a float is promised",
    ): "a tensor of one number can be printed, compared and multiplied as a float can",
    (
        "ps2_active_units",
        "torch.cov of one dimension is a number without a diagonal",
    ): "right for every model of the notebook: a code of a single number does not come up",
}
