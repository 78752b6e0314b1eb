"""The probability behind a variational autoencoder: small pure functions, in nats.

One convention holds everywhere. A batch comes in, one number per example goes out, and nobody
takes a mean over the batch until the very end: a hidden mean is how scales get lost. Names say
what they hold: `_std` a standard deviation, `_var` a variance, `_log_var` its logarithm.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal


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
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(dim=-1)


def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    """KL(N(mu, diag(std^2)) || N(0, I)) for an encoder that gives standard deviations.

    Args:
        mu: the means, of shape (..., k).
        std: the standard deviations, of the same shape, all positive.

    Returns:
        The divergence of each example in nats, of shape (...).
    """
    return (0.5 * (mu**2 + std**2 - 1) - std.log()).sum(dim=-1)


def gaussian_kl_from_var(mu: Tensor, var: Tensor) -> Tensor:
    """KL(N(mu, diag(var)) || N(0, I)) for an encoder that gives variances.

    Args:
        mu: the means, of shape (..., k).
        var: the variances, of the same shape, all positive.

    Returns:
        The divergence of each example in nats, of shape (...).
    """
    return 0.5 * (mu**2 + var - 1 - var.log()).sum(dim=-1)


def gaussian_kl_between(mu_q: Tensor, log_var_q: Tensor, mu_p: Tensor, log_var_p: Tensor) -> Tensor:
    """KL(q || p) of two diagonal Gaussians, neither of them standard.

    The order matters: KL(q || p) and KL(p || q) are different numbers.

    Args:
        mu_q, log_var_q: the means and log-variances of q, of shape (..., k).
        mu_p, log_var_p: those of p, of a shape that broadcasts with it.

    Returns:
        The divergence of each example in nats, of shape (...).
    """
    var_ratio = (log_var_q - log_var_p).exp()
    squared_distance = (mu_q - mu_p) ** 2 * (-log_var_p).exp()
    return 0.5 * (var_ratio + squared_distance - 1 + log_var_p - log_var_q).sum(dim=-1)


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
    std = torch.exp(0.5 * log_var)
    noise = torch.randn(
        (num_samples, *mu.shape), generator=generator, device=mu.device, dtype=mu.dtype
    )
    z = mu + std * noise
    log_q = Normal(mu, std).log_prob(z).sum(dim=-1)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z).sum(dim=-1)
    return (log_q - log_p).mean(dim=0)


def gaussian_log_likelihood(x: Tensor, mean: Tensor, var: Tensor | float = 1.0) -> Tensor:
    """log N(x; mean, var I), the constant included, so it can be compared between models.

    A density can be larger than one, so this can be larger than zero: with a small variance and
    a good mean it is.

    Args:
        x: the data, of shape (B, ...).
        mean: the mean of each value, of the same shape.
        var: the variance, a number or a tensor that broadcasts with x.

    Returns:
        The log-density of each example in nats, of shape (B,): a sum over all its values.
    """
    var = torch.as_tensor(var, dtype=x.dtype, device=x.device)
    log_density = -0.5 * (torch.log(2 * math.pi * var) + (x - mean) ** 2 / var)
    return log_density.flatten(1).sum(dim=1)


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of independent Bernoulli pixels, computed from logits so that it never overflows.

    Args:
        x: the pixels, 0 or 1, of shape (B, ...). For values in between, this is no longer the
            logarithm of a normalised probability.
        logits: log(p / (1 - p)) of each pixel, any real number, of the same shape.

    Returns:
        The log-probability of each example in nats, of shape (B,): a sum over its pixels.
    """
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(dim=1)


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """The logarithm of the mean of exp(values) along one dimension.

    Probabilities of images are often too small for a floating-point number: in single precision,
    exp(-90) is just about representable and exp(-900) is zero. So they are kept as logarithms,
    and a mean of probabilities is taken without ever leaving them.

    Args:
        values: logarithms, of any shape. They may be as small or as large as -10,000 or 10,000.
        dim: the dimension over which the mean is taken.

    Returns:
        log(mean(exp(values))), of the shape of `values` without that dimension.
    """
    return torch.logsumexp(values, dim=dim) - math.log(values.shape[dim])


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
    noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * log_var) * noise


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
    nll = -Normal(x_hat, torch.ones_like(x_hat)).log_prob(x).flatten(1).sum(dim=1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def bits_per_dim(nats: Tensor | float, num_dims: int) -> Tensor | float:
    """Nats per example as bits per dimension, a unit that does not grow with the image.

    Image models are compared in it, by the probability of pixels of 256 levels. Nats that come from
    a density on [0, 1], as a Gaussian's do, know nothing of a level's width: they need log2(255)
    more bits before they can be compared.

    Args:
        nats: a negative log-likelihood per example.
        num_dims: how many numbers an example holds: 784 for an image of 28x28 grey pixels.

    Returns:
        The same quantity in bits for each of those numbers.
    """
    return nats / (num_dims * math.log(2))


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
    if reconstruction == "squared_error":
        return kl_weight * num_pixels / 2
    if reconstruction == "cross_entropy":
        return float(kl_weight * num_pixels)
    raise ValueError(
        f'reconstruction is {reconstruction!r}: it must be "squared_error" or "cross_entropy"'
    )


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
    return int((mu.var(dim=0, correction=0) > threshold).sum())
