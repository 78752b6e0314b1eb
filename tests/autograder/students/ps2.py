# %% ps2_kl_answer
def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """The Kullback-Leibler divergence KL(q || p) of a diagonal Gaussian from the standard normal.

    Here q = N(mu, diag(exp(log_var))) is the posterior that an encoder describes, and
    p = N(0, I) is the prior. The divergence has a closed form (Kingma and Welling 2014,
    "Auto-Encoding Variational Bayes", appendix B): no sampling is needed.

    Args:
        mu: the means, of shape (..., k), one row for each example.
        log_var: the natural logarithms of the variances, of the same shape.

    Returns:
        The divergence of each example in nats, of shape (...): a sum over the k latent
        dimensions, and over nothing else.
    """
    # four terms behind one half; expm1 keeps exp(log_var) - 1 exact near log_var = 0
    per_dim = torch.expm1(log_var) - log_var + mu * mu
    return torch.einsum("...k->...", per_dim) / 2


# %% ps2_kl_monte_carlo_answer
def gaussian_kl_monte_carlo(
    mu: Tensor, log_var: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """The same divergence as `gaussian_kl`, estimated from samples instead of the closed form.

    KL(q || p) is an expectation under q, so a mean over independent samples z of q estimates it,
    without bias. Where a formula is in doubt, an estimate like this one settles the doubt; where
    p and q are too rich for a formula, it is all one has. `torch.distributions.Normal` knows the
    log-densities. An estimate is random: it may even be a little below zero.

    Args:
        mu: the means of q, of shape (B, k).
        log_var: the log-variances of q, of the same shape.
        num_samples: how many samples of z each example is given, all of them independent.
        generator: the source of the randomness; None for PyTorch's own.

    Returns:
        One estimate for each example in nats, of shape (B,).
    """
    q = Normal(mu, (log_var / 2).exp())
    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    eps = torch.empty(num_samples, *mu.shape, dtype=mu.dtype, device=mu.device)
    z = q.loc + q.scale * eps.normal_(generator=generator)
    log_ratio = q.log_prob(z) - p.log_prob(z)  # (draws, B, k)
    return torch.einsum("sbk->b", log_ratio) / num_samples


# %% ps2_reparameterize_answer
def reparameterize(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A sample z of N(mu, diag(exp(log_var))) through which gradients reach mu and log_var.

    The reparameterisation trick (Kingma and Welling 2014, section 2.4; Rezende, Mohamed and
    Wierstra 2014): the randomness comes from a source that depends on no parameter, and z is a
    differentiable function of that noise, the mean and the spread.

    Args:
        mu: the means, of shape (..., k), on any device.
        log_var: the natural logarithms of the variances, of the same shape.
        generator: the source of the randomness, on mu's device; None for PyTorch's own.
            The same generator in the same state gives the same z.

    Returns:
        z, of mu's shape, type and device, with noise of its own for every single entry.
    """
    eps = torch.empty_like(mu.detach(), memory_format=torch.contiguous_format)
    eps.normal_(generator=generator)
    return torch.addcmul(mu, eps, torch.exp(log_var / 2))


# %% ps2_elbo_answer
def elbo_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    """The terms of the negative evidence lower bound, with a weight beta on the divergence.

    The bound is  log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)).  Training maximises the
    right side, so the loss to minimise is its negative. Here p(x|z) is a Gaussian around the
    decoder's image whose variance is one in every pixel, and one sample of z stands for the
    expectation. `torch.distributions.Normal` gives log p(x|z) with its constant included, which
    makes it a true log-density. beta = 1 is the bound itself; other values are the beta-VAE of
    Higgins et al. 2017.

    Args:
        x: the images, of shape (B, ...).
        x_hat: the decoder's images, the means of p(x|z), of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the posterior log-variances, of shape (B, k).
        beta: how much the divergence counts in the loss.

    Returns:
        A dict of three tensors of shape (B,), in nats, one number for each image:
        "nll", the negative log-likelihood -log p(x|z), summed over the pixels;
        "kl", the divergence of q(z|x) from the prior, never weighted;
        "loss", what training minimises.
    """
    pixel_model = Normal(x_hat, torch.ones_like(x_hat))
    event_dims = x.ndim - 1
    nll = -torch.distributions.Independent(pixel_model, event_dims).log_prob(x)
    kl = gaussian_kl(mu, log_var)
    return dict(nll=nll, kl=kl, loss=torch.add(nll, kl, alpha=beta))


# %% ps2_fault_answer
def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    """A lower bound on log p(x): the ELBO of each image, estimated from one draw of z.

    Here p(x|z) is a Gaussian around the decoder's image with the same variance in every pixel,
    p(z) is N(0, I), and q(z|x) is the Gaussian of mu and log_var. On average over draws of z the
    bound lies below log p(x), and the gap is the divergence of q(z|x) from the true posterior:
    nothing at all if q(z|x) is that posterior. Where log p(x) is known, that can be tested.

    Args:
        x: the images, of shape (B, ...).
        x_hat: the decoder's images for one z ~ q(z|x) each, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the natural logarithms of the posterior VARIANCES, of shape (B, k).
        noise_var: the VARIANCE of p(x|z) in every pixel.

    Returns:
        One number for each image, in nats, of shape (B,): the larger, the better.
    """
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, (log_var / 2).exp())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)


# %% ps2_model_answer
class VAE(nn.Module):
    """A variational autoencoder for 28x28 grey images (Kingma and Welling 2014).

    An `Encoder` describes, for each image, a Gaussian q(z|x) over codes by its means and
    log-variances; a `Decoder` gives the mean image of p(x|z); the prior p(z) is N(0, I).
    """

    def __init__(self, latent_dim: int = 64) -> None:
        """Make both halves: 855,873 parameters for 64 latent dimensions.

        Args:
            latent_dim: the length k of a code. The encoder must say two things about each of
                the k dimensions.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.ModuleDict(
            {"encoder": Encoder(num_outputs=2 * latent_dim), "decoder": Decoder(latent_dim)}
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) of each image.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            mu and log_var, the means and the natural logarithms of the variances, of shape
            (B, latent_dim) each. Both may be any real number.
        """
        both = self.net["encoder"](x).unflatten(1, (2, self.latent_dim))
        return both[:, 0], both[:, 1]

    def decode(self, z: Tensor) -> Tensor:
        """The mean image of p(x|z) for each code: (B, latent_dim) to (B, 1, 28, 28)."""
        return self.net["decoder"](z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Args:
            x: images, of shape (B, 1, 28, 28).
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            x_hat of shape (B, 1, 28, 28), and the posterior's mu and log_var, of shape
            (B, latent_dim) each.
        """
        mu, log_var = self.encode(x)
        return self.decode(reparameterize(mu, log_var, generator)), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions to look at: decoded from the posterior mean, so nothing is random.

        The model runs in evaluation mode and without gradients, a single image must work, and
        the model is left in the mode in which it was found.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            x_hat, of the same shape.
        """
        return self._calmly(lambda: self.decode(self.encode(x)[0]))

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """New images: the decoder's mean images for codes drawn from the prior p(z).

        The same care as in `reconstruct`: evaluation mode, no gradients, the mode restored.

        Args:
            num_samples: how many images to make; one must work too.
            generator: the source of the randomness, on the model's device; None for PyTorch's own.

        Returns:
            Images, of shape (num_samples, 1, 28, 28), on the model's device.
        """
        where = next(self.parameters())
        z = torch.empty(num_samples, self.latent_dim, device=where.device, dtype=where.dtype)
        z.normal_(generator=generator)
        return self._calmly(lambda: self.decode(z))

    def _calmly(self, draw):
        """Run `draw` in evaluation mode and without gradients; put the mode back whatever happens."""
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
    """Train a VAE and watch it on images that it does not train on.

    Each epoch trains on all of `train_loader` (`train_epoch` with the terms of `vae_terms`) and
    then evaluates on all of `held_out_loader`. With a warm-up (Bowman et al. 2016; Sonderby et
    al. 2016) the weight of the divergence grows in equal steps: nothing in epoch 0, all of beta
    from epoch `warmup_epochs` on. Without one it is beta from the start. The evaluations always
    use the full beta: otherwise one curve would show two different losses.

    Args:
        model: the variational autoencoder; trained in place.
        train_loader: batches of (images, labels) to train on.
        held_out_loader: batches of (images, labels) to evaluate on.
        optimizer: over the model's parameters.
        epochs: how many times to go through the training images.
        beta: the weight of the divergence.
        warmup_epochs: over how many epochs that weight grows; 0 for no warm-up.

    Returns:
        A history: under "train" one dict of means per image for each epoch, and under
        "held_out" one more than that, for the first one is taken before any training.
    """
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
    """The beta that a loss with a hidden scale really has.

    Much published code minimises
        (MEAN over the pixels of the reconstruction error) + kl_weight * (SUM over latents of KL).
    Up to one overall factor, which does not move the minimum, that is the honest loss
        -log p(x|z) + beta * KL
    for some other beta. Which one depends on what the reconstruction error is, and on how many
    pixels the mean was taken over.

    Args:
        kl_weight: the number in front of the KL in that code.
        num_pixels: how many values the mean was taken over (784 for a 28x28 grey image).
        reconstruction: "squared_error", (x - x_hat)^2, which belongs to a Gaussian p(x|z) of
            variance one; or "cross_entropy", which belongs to a Bernoulli p(x|z).

    Returns:
        beta, the weight of the KL beside the negative log-likelihood in nats.

    Raises:
        ValueError: for any other reconstruction.
    """
    # loss * D makes the mean a sum; a Gaussian of variance one wants half that sum
    nll_per_error = {"squared_error": 0.5, "cross_entropy": 1.0}
    if reconstruction not in nll_per_error:
        raise ValueError(f"unknown reconstruction {reconstruction!r}: {sorted(nll_per_error)}")
    return kl_weight * num_pixels * nll_per_error[reconstruction]


# %% ps2_active_units_answer
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """How many latent dimensions the encoder uses (Burda, Grosse and Salakhutdinov 2016).

    A dimension that says something about the image has a posterior mean that moves from image
    to image; a collapsed one has the same mean for all of them. A unit is active when the
    variance of its posterior mean over the images exceeds the threshold.

    Args:
        mu: the posterior means of many images, of shape (N, k).
        threshold: the variance above which a dimension counts.

    Returns:
        The number of active dimensions, from 0 to k.
    """
    return int(torch.count_nonzero(mu.var(dim=0, correction=0) > threshold))


# %% ps2_interpolate_answer
def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    """Codes at equal steps on the straight line from one code to another.

    Args:
        z_start: the code of the first frame, of shape (k,).
        z_end: the code of the last frame, of shape (k,).
        num_frames: how many codes to return, both ends included; at least 2.

    Returns:
        The codes, of shape (num_frames, k): row 0 is z_start and the last row is z_end.
    """
    t = torch.linspace(0, 1, num_frames, dtype=z_start.dtype, device=z_start.device)
    return torch.outer(1 - t, z_start) + torch.outer(t, z_end)
