"""Estimators of log p(x) against what is known: closed forms, and an independent method."""

import math

import torch
from torch import nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from vae_course.bernoulli_vae import (
    BernoulliVAE,
    bernoulli_terms,
    importance_weighted_bound,
    log_importance_weights,
    log_marginal,
)
from vae_course.capstone import GaussianVAE, gaussian_vae_terms, importance_terms
from vae_course.vae import evidence_bound

NOISE_VAR = 0.3
LATENTS, VALUES = 2, 5


def linear_vae(shift: float = 0.0, widen: float = 0.0):
    """A linear VAE, data, their exact log p(x), and the exact KL of q(z|x) from the posterior.

    x = W z + b + noise is Gaussian, and so is p(z|x) (Bishop 2006, section 12.2). The columns of W
    are orthogonal, so that p(z|x) has no correlations and q can be exactly it.

    Args:
        shift: by how much q's means are off.
        widen: what is added to its log-variances.
    """
    generator = torch.Generator().manual_seed(0)
    columns, _ = torch.linalg.qr(torch.randn(VALUES, LATENTS, generator=generator))
    weight = (columns * torch.tensor([1.5, 0.7])).double()
    bias = torch.randn(VALUES, generator=generator).double()
    x = torch.randn(20, VALUES, generator=generator).double() * 1.3
    precision = torch.eye(LATENTS) + weight.T @ weight / NOISE_VAR
    covariance = precision.inverse()
    encoder, decoder = nn.Linear(VALUES, 2 * LATENTS), nn.Linear(LATENTS, VALUES)
    model = GaussianVAE(encoder, decoder, NOISE_VAR).double()
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        encoder.weight.zero_()
        encoder.weight[:LATENTS] = covariance @ weight.T / NOISE_VAR
        encoder.bias[:LATENTS] = -encoder.weight[:LATENTS] @ bias + shift
        encoder.bias[LATENTS:] = covariance.diag().log() + widen
        marginal = weight @ weight.T + NOISE_VAR * torch.eye(VALUES)
        truth = MultivariateNormal(bias, marginal).log_prob(x)
        per_dim = math.exp(widen) - 1 - widen + shift**2 / covariance.diag()
    return model, x, truth, float(0.5 * per_dim.sum())


def test_with_the_exact_posterior_every_estimate_is_exact():
    model, x, truth, gap = linear_vae()
    assert gap == 0
    torch.manual_seed(0)
    for count in (1, 7):
        torch.testing.assert_close(-importance_terms(model, x, count)["loss"], truth)
    # The ELBO's closed-form KL is not evaluated at the draw: right on average alone.
    bounds = -gaussian_vae_terms(model, x.repeat(4000, 1))["loss"].detach().view(-1, len(x))
    errors = (bounds.mean(0) - truth).abs() / (bounds.std(0) / math.sqrt(4000))
    assert errors.max() < 5


def test_the_bound_lies_below_by_the_divergence_from_the_true_posterior():
    model, x, truth, gap = linear_vae(shift=0.2, widen=0.6)
    torch.manual_seed(0)
    many = x.repeat(20_000, 1)
    bounds = -gaussian_vae_terms(model, many)["loss"].detach().view(-1, len(x))
    errors = (bounds.mean(0) - (truth - gap)).abs() / (bounds.std(0) / math.sqrt(20_000))
    assert errors.max() < 5 and gap > 0.1
    with torch.no_grad():
        q = model.posterior(many)
        x_hat, log_var = model.likelihood(q.sample()).mean, 2 * q.stddev.log()
        ours = evidence_bound(many, x_hat, q.mean, log_var, NOISE_VAR).view(-1, len(x))
    errors = (ours.mean(0) - (truth - gap)).abs() / (ours.std(0) / math.sqrt(20_000))
    assert errors.max() < 5


def test_bounds_rise_with_the_number_of_samples_to_the_closed_form():
    model, x, truth, gap = linear_vae(shift=0.2, widen=0.6)
    torch.manual_seed(0)
    with torch.no_grad():
        q = model.posterior(x)
        z = q.sample((100_000,))
        log_w = model.likelihood(z).log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
        log_w = log_w - q.log_prob(z).sum(-1)
    by_count = [
        importance_weighted_bound(log_w.view(count, -1, 20).flatten(1)).view(-1, 20).mean(0)
        for count in (1, 5, 50, 5000)
    ]
    torch.testing.assert_close(by_count[0], truth - gap, rtol=0, atol=0.03)
    for lower, higher in zip(by_count, [*by_count[1:], truth], strict=True):
        assert (lower <= higher + 0.01).all()  # 20 estimates of 5,000 samples scatter by 0.003
    torch.testing.assert_close(by_count[-1], truth, rtol=0, atol=0.01)


def annealed(log_likelihood, shape, steps: int, chains: int, step_size: float) -> torch.Tensor:
    """log p(x) by annealed importance sampling (Neal 2001; Wu et al. 2017), without any encoder.

    From the prior to the posterior over p(z) p(x|z)^t with t from 0 to 1, each time with one
    leapfrog trajectory of Hamiltonian Monte Carlo, accepted or not by Metropolis's rule.

    Args:
        log_likelihood: log p(x|z) for z of shape (chains, *shape): (chains, N).
        shape: (N, k).

    Returns:
        Estimates, of shape (N,): unbiased before the logarithm.
    """
    z = torch.randn(chains, *shape, dtype=torch.float64)
    log_w = torch.zeros(chains, shape[0], dtype=torch.float64)
    # Steps close together at both ends, where most changes.
    schedule = torch.sigmoid(torch.linspace(-5, 5, steps + 1, dtype=torch.float64))
    schedule = (schedule - schedule[0]) / (schedule[-1] - schedule[0])

    def potential(z, t):
        return 0.5 * z.square().sum(-1) - t * log_likelihood(z)

    def slope(z, t):
        z = z.detach().requires_grad_()
        return torch.autograd.grad(potential(z, t).sum(), z)[0]

    for before, t in zip(schedule[:-1], schedule[1:], strict=True):
        log_w += (t - before) * log_likelihood(z).detach()
        momentum = torch.randn_like(z)
        position, moved = z, momentum - 0.5 * step_size * slope(z, t)
        for number in range(5):
            position = position + step_size * moved
            factor = 1.0 if number < 4 else 0.5
            moved = moved - factor * step_size * slope(position, t)
        old = potential(z, t) + 0.5 * momentum.square().sum(-1)
        new = potential(position, t) + 0.5 * moved.square().sum(-1)
        accepted = torch.rand_like(old).log() < (old - new)
        z = torch.where(accepted.unsqueeze(-1), position, z).detach()
    return torch.logsumexp(log_w, dim=0) - math.log(chains)


def test_annealing_finds_the_closed_form():
    model, x, truth, _ = linear_vae()
    torch.manual_seed(0)
    found = annealed(
        lambda z: model.likelihood(z).log_prob(x).sum(-1), (20, LATENTS), 120, 300, 0.2
    )
    # In 20 seeds the worst of the 20 examples was off by at most 0.20.
    torch.testing.assert_close(found, truth, rtol=0, atol=0.3)


def test_two_independent_estimators_agree_on_a_bernoulli_vae():
    """Importance sampling uses the encoder, annealing does not."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = BernoulliVAE(30, (20,), 3).double()
    x = (torch.rand(6, 30) < 0.4).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        bernoulli_terms(model, x.repeat(10, 1))["loss"].mean().backward()
        optimizer.step()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weighted = log_marginal(model, x, 20_000)
    found = annealed(
        lambda z: (
            Bernoulli(logits=model.decode(z.flatten(0, 1)).view(len(z), 6, 30)).log_prob(x).sum(-1)
        ),
        (6, 3),
        150,
        100,
        0.15,
    )
    # In 21 seeds of the annealing the two were at most 0.14 apart.
    torch.testing.assert_close(found, weighted.double(), rtol=0, atol=0.25)
    elbo = -bernoulli_terms(model, x.repeat(2000, 1))["loss"].view(-1, len(x)).mean(0)
    assert (elbo < found + 0.25).all()


def test_one_sample_of_the_bound_has_the_gradient_of_the_elbo_on_average():
    """k = 1 is the ELBO: the same expectation, hence the same slope."""
    torch.manual_seed(0)
    model = BernoulliVAE(12, (8,), 2).double()
    x = (torch.rand(4, 12) < 0.5).double().repeat(3000, 1)
    slopes = []
    for loss in (
        bernoulli_terms(model, x)["loss"].mean(),
        -importance_weighted_bound(log_importance_weights(model, x, 1)).mean(),
    ):
        slopes.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters())])
        )
    assert (slopes[0] - slopes[1]).norm() < 0.05 * slopes[0].norm()
