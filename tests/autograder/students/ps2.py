# %% ps2_kl_answer
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    # four terms behind one half; expm1 keeps exp(log_var) - 1 exact near log_var = 0
    per_dim = torch.expm1(log_var) - log_var + mu * mu
    return torch.einsum("...k->...", per_dim) / 2


# %% ps2_kl_monte_carlo_answer
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    q = Normal(mu, (log_var / 2).exp())
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    eps = torch.empty(num_samples, *mu.shape, dtype=mu.dtype, device=mu.device)
    z = q.loc + q.scale * eps.normal_(generator=generator)
    log_ratio = q.log_prob(z) - p.log_prob(z)  # (draws, B, k)
    return torch.einsum("sbk->b", log_ratio) / num_samples


# %% ps2_reparameterize_answer
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    eps = torch.empty_like(mu.detach(), memory_format=torch.contiguous_format)
    eps.normal_(generator=generator)
    return torch.addcmul(mu, eps, torch.exp(log_var / 2))


# %% ps2_elbo_answer
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    pixel_model = Normal(x_hat, torch.ones_like(x_hat))
    event_dims = x.ndim - 1
    nll = -torch.distributions.Independent(pixel_model, event_dims).log_prob(x)
    kl = gaussian_kl(mu, log_var)
    return dict(nll=nll, kl=kl, loss=torch.add(nll, kl, alpha=beta))


# %% ps2_fault_answer
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, (log_var / 2).exp())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)


# %% ps2_model_answer
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.ModuleDict(
            {"encoder": Encoder(num_outputs=2 * latent_dim), "decoder": Decoder(latent_dim)}
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        both = self.net["encoder"](x).unflatten(1, (2, self.latent_dim))
        return both[:, 0], both[:, 1]

    def decode(self, z: Tensor) -> Tensor:
        return self.net["decoder"](z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encode(x)
        return self.decode(reparameterize(mu, log_var, generator)), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        return self._calmly(lambda: self.decode(self.encode(x)[0]))

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        where = next(self.parameters())
        z = torch.empty(num_samples, self.latent_dim, device=where.device, dtype=where.dtype)
        z.normal_(generator=generator)
        return self._calmly(lambda: self.decode(z))

    def _calmly(self, draw):
        mode = self.training
        self.eval()
        try:
            with torch.no_grad():
                return draw()
        finally:
            self.train(mode)


# %% ps2_training_answer
def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    full_price = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full_price)]}
    for epoch in range(epochs):
        share = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
        discounted = partial(vae_terms, beta=share * beta)
        history["train"].append(train_epoch(model, train_loader, optimizer, discounted))
        history["held_out"].append(evaluate(model, held_out_loader, full_price))
    return history


# %% ps2_effective_beta_answer
def effective_beta(
    kl_weight: float, num_pixels: int, reconstruction: str = "squared_error"
) -> float:
    # loss * D makes the mean a sum; a Gaussian of variance one wants half that sum
    nll_per_error = {"squared_error": 0.5, "cross_entropy": 1.0}
    if reconstruction not in nll_per_error:
        raise ValueError(f"unknown reconstruction {reconstruction!r}: {sorted(nll_per_error)}")
    return kl_weight * num_pixels * nll_per_error[reconstruction]


# %% ps2_active_units_answer
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    return int(torch.count_nonzero(mu.var(dim=0, correction=0) > threshold))


# %% ps2_interpolate_answer
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    t = torch.linspace(0, 1, num_frames, dtype=z_start.dtype, device=z_start.device)
    return torch.outer(1 - t, z_start) + torch.outer(t, z_end)
