"""The formulas against torch.distributions, scipy, quadrature and large samples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch.distributions import Normal, kl_divergence

from vae_course.probability import (
    active_units,
    bernoulli_log_likelihood,
    bits_per_dim,
    effective_beta,
    elbo_terms,
    gaussian_kl,
    gaussian_kl_between,
    gaussian_kl_from_std,
    gaussian_kl_from_var,
    gaussian_kl_monte_carlo,
    gaussian_log_likelihood,
    reparameterize,
)

SHAPES = [(3, 5), (1, 5), (3, 1), (5,), (2, 3, 4)]


def posterior(shape, seed=0, scale=1.5):
    """Means and log-variances that are neither zero nor one nor equal."""
    generator = torch.Generator().manual_seed(seed)
    mu = scale * torch.randn(shape, generator=generator, dtype=torch.float64) + 0.3
    log_var = scale * torch.randn(shape, generator=generator, dtype=torch.float64) - 0.7
    return mu, log_var


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_gaussian_kl_agrees_with_torch_distributions(shape):
    mu, log_var = posterior(shape)
    std, var = torch.exp(0.5 * log_var), log_var.exp()
    expected = kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(-1)
    assert expected.shape == shape[:-1]
    for got in (
        gaussian_kl(mu, log_var),
        gaussian_kl_from_std(mu, std),
        gaussian_kl_from_var(mu, var),
        gaussian_kl_between(mu, log_var, torch.zeros_like(mu), torch.zeros_like(mu)),
    ):
        assert got.shape == shape[:-1]
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_between_two_gaussians_agrees_with_torch_distributions(shape):
    mu_q, log_var_q = posterior(shape, seed=1)
    mu_p, log_var_p = posterior(shape, seed=2)
    q, p = Normal(mu_q, (0.5 * log_var_q).exp()), Normal(mu_p, (0.5 * log_var_p).exp())
    got = gaussian_kl_between(mu_q, log_var_q, mu_p, log_var_p)
    torch.testing.assert_close(got, kl_divergence(q, p).sum(-1), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(got, kl_divergence(p, q).sum(-1))  # the order is not a detail


@pytest.mark.parametrize("mu, std", [(0.0, 1.0), (1.3, 0.4), (-0.7, 2.5)])
def test_the_kl_is_the_integral_that_defines_it(mu, std):
    q, p = stats.norm(mu, std), stats.norm(0, 1)
    integral, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mu - 12 * std, mu + 12 * std
    )
    log_var = torch.tensor([2 * math.log(std)], dtype=torch.float64)
    got = gaussian_kl(torch.tensor([mu], dtype=torch.float64), log_var)
    assert got.item() == pytest.approx(integral, abs=1e-9)


@pytest.mark.parametrize(
    "mu, log_var, nats",
    [(0, 0, 0), (1, 0, 0.5), (2, 0, 2), (0, 2, 2.194528), (0, 1, 0.359141), (0, -2, 0.567668)],
)
def test_kl_constants_worked_out_by_hand(mu, log_var, nats):
    got = gaussian_kl(torch.tensor([[float(mu)]]), torch.tensor([[float(log_var)]]))
    assert got.item() == pytest.approx(nats, abs=1e-6)


numbers = st.floats(-8, 8, allow_subnormal=False)
codes = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6)


@given(codes)
@settings(max_examples=60, deadline=None)
def test_the_kl_is_never_negative_and_adds_up_over_dimensions(pairs):
    mu, log_var = torch.tensor(pairs, dtype=torch.float64).T
    whole = gaussian_kl(mu, log_var)
    assert whole >= -1e-12
    parts = gaussian_kl(mu[:, None], log_var[:, None])  # each dimension as an example of its own
    torch.testing.assert_close(whole, parts.sum())
    torch.testing.assert_close(whole, gaussian_kl(-mu, log_var))


def test_gradients_of_the_differentiable_functions():
    mu, log_var = (t.requires_grad_() for t in posterior((3, 5)))
    other = [t.requires_grad_() for t in posterior((3, 5), seed=4)]
    x = torch.rand(3, 7, dtype=torch.float64)
    x_hat = torch.rand(3, 7, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(gaussian_kl, (mu, log_var))
    assert check(lambda m, s: gaussian_kl_from_std(m, s.exp()), (mu, log_var))
    assert check(lambda m, s: gaussian_kl_from_var(m, s.exp()), (mu, log_var))
    assert check(gaussian_kl_between, (mu, log_var, *other))
    assert check(lambda m, v: reparameterize(m, v, generator(3)), (mu, log_var))
    assert check(lambda m, v: gaussian_kl_monte_carlo(m, v, 4, generator(3)), (mu, log_var))
    assert check(lambda h, m, v: elbo_terms(x, h, m, v, 0.4)["loss"], (x_hat, mu, log_var))
    assert check(lambda h: gaussian_log_likelihood(x, h, 0.3), (x_hat,))
    assert check(lambda h: bernoulli_log_likelihood(x, h), (x_hat,))


def test_monte_carlo_kl_is_unbiased_with_the_right_spread():
    mu, log_var = posterior((3, 5), scale=0.6)
    num_samples, repeats = 200, 300
    estimates = torch.stack(
        [gaussian_kl_monte_carlo(mu, log_var, num_samples, generator(s)) for s in range(repeats)]
    )
    assert estimates.shape == (repeats, 3)
    # Var of log q - log p = sum over dims of (mu sigma)^2 + (sigma^2 - 1)^2 / 2, worked by hand.
    var = log_var.exp()
    variance = (mu**2 * var + (var - 1) ** 2 / 2).sum(-1) / num_samples
    z_scores = (estimates.mean(0) - gaussian_kl(mu, log_var)) / (variance / repeats).sqrt()
    assert z_scores.abs().max() < 4.5
    ratio = estimates.var(0) / variance  # correlated samples would make it larger
    assert ratio.min() > 0.65 and ratio.max() < 1.45


def test_monte_carlo_kl_takes_its_randomness_from_the_generator():
    mu, log_var = posterior((2, 3))
    source = generator(1)
    first, second = (gaussian_kl_monte_carlo(mu, log_var, 3, source) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, gaussian_kl_monte_carlo(mu, log_var, 3, generator(1)))
    state = torch.get_rng_state()
    gaussian_kl_monte_carlo(mu, log_var, 3, source)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("var", [1.0, 0.1, torch.tensor([[0.3], [2.0], [9.0]])])
def test_gaussian_log_likelihood_agrees_with_scipy(var):
    x, mean = torch.randn(3, 7, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    std = np.sqrt(np.asarray(var, dtype=np.float64))
    expected = stats.norm.logpdf(x.numpy(), mean.numpy(), std).sum(1)
    got = gaussian_log_likelihood(x, mean, var)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)
    as_images = gaussian_log_likelihood(x.view(3, 1, 7, 1), mean.view(3, 1, 7, 1), 1.0)
    assert as_images.shape == (3,)


def test_a_density_may_exceed_one():
    """The constant of N(0, 0.1 I) in 12,288 dimensions: a loss with it may well be negative."""
    x = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    assert gaussian_log_likelihood(x, x, 0.1).item() == pytest.approx(2855.166, abs=1e-3)


def test_bernoulli_log_likelihood_agrees_with_scipy_and_stays_finite():
    x = torch.randint(0, 2, (3, 7)).double()
    logits = 3 * torch.randn(3, 7, dtype=torch.float64)
    expected = stats.bernoulli.logpmf(x.numpy(), torch.sigmoid(logits).numpy()).sum(1)
    np.testing.assert_allclose(bernoulli_log_likelihood(x, logits).numpy(), expected)
    even = bernoulli_log_likelihood(torch.ones(2, 784), torch.zeros(2, 784))
    torch.testing.assert_close(even, torch.full((2,), -543.4274))
    extreme = bernoulli_log_likelihood(torch.tensor([[1.0, 0.0]]), torch.tensor([[-1e4, 1e4]]))
    assert extreme.item() == pytest.approx(-2e4)


@pytest.mark.parametrize("log_var", [2 * math.log(0.1), 0.0, 2 * math.log(3.0)])
def test_reparameterized_samples_have_the_right_distribution(log_var):
    mu = torch.full((4000, 5), 1.7)
    z = reparameterize(mu, torch.full_like(mu, log_var), generator(5))
    standardised = ((z - 1.7) / math.exp(log_var / 2)).double().flatten()
    assert stats.kstest(standardised.numpy(), "norm").pvalue > 1e-4
    # Independent noise in every entry: no two rows and no two columns move together.
    columns = np.corrcoef(z.numpy().T) - np.eye(5)
    assert np.abs(columns).max() < 5 / math.sqrt(4000)
    assert abs(np.corrcoef(z[:-1].flatten(), z[1:].flatten())[0, 1]) < 5 / math.sqrt(20_000)


def test_reparameterize_lets_gradients_through_to_both_inputs():
    mu, log_var = (t.requires_grad_() for t in posterior((3, 5)))
    z = reparameterize(mu, log_var)
    to_mu, to_log_var = torch.autograd.grad(z.sum(), (mu, log_var))
    torch.testing.assert_close(to_mu, torch.ones_like(mu))
    torch.testing.assert_close(to_log_var, 0.5 * (z - mu).detach())


def test_reparameterize_repeats_with_the_generator_and_keeps_shape_and_type():
    for shape in SHAPES:
        mu, log_var = posterior(shape)
        z = reparameterize(mu, log_var, generator(1))
        assert z.shape == shape and z.dtype == torch.float64
        assert torch.equal(z, reparameterize(mu, log_var, generator(1)))
        assert not torch.equal(z, reparameterize(mu, log_var, generator(2)))
        assert not torch.equal(reparameterize(mu, log_var), reparameterize(mu, log_var))
    meta = reparameterize(torch.zeros(2, 3, device="meta"), torch.zeros(2, 3, device="meta"))
    assert meta.device.type == "meta"  # the noise is made where mu is


@pytest.mark.parametrize("beta", [0.0, 0.392, 1.0, 10.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_elbo_terms_agree_with_scipy(batch, beta):
    mu, log_var = posterior((batch, 5))
    x = torch.rand(batch, 1, 7, 6, dtype=torch.float64)
    x_hat = torch.rand(batch, 1, 7, 6, dtype=torch.float64)
    terms = elbo_terms(x, x_hat, mu, log_var, beta)
    log_density = stats.norm.logpdf(x.numpy(), x_hat.numpy(), 1.0).reshape(batch, -1).sum(1)
    kl = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0)).sum(-1).numpy()
    assert set(terms) == {"loss", "nll", "kl"}
    np.testing.assert_allclose(terms["nll"].numpy(), -log_density)
    np.testing.assert_allclose(terms["kl"].numpy(), kl)
    np.testing.assert_allclose(terms["loss"].numpy(), -log_density + beta * kl)


def test_bits_per_dim():
    assert bits_per_dim(784 * math.log(2), 784) == pytest.approx(1)
    assert bits_per_dim(784 * math.log(256), 784) == pytest.approx(8)
    torch.testing.assert_close(bits_per_dim(torch.tensor([0.0, 543.4274]), 784).round(decimals=5),
                               torch.tensor([0.0, 1.0]))  # fmt: skip


def test_effective_beta_of_published_losses():
    assert effective_beta(1e-3, 784) == pytest.approx(0.392)
    assert effective_beta(10, 784) == pytest.approx(3920)
    assert effective_beta(5e-4, 784, "cross_entropy") == pytest.approx(0.392)
    assert effective_beta(0, 784) == 0
    with pytest.raises(ValueError, match="mse.*squared_error.*cross_entropy"):
        effective_beta(1, 784, "mse")


@given(st.floats(1e-6, 100), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_effective_beta_gives_a_loss_with_the_same_minimum(kl_weight, num_pixels):
    """Up to one factor, the two losses have the same gradient everywhere."""
    x = torch.rand(2, num_pixels, dtype=torch.float64)
    x_hat = torch.rand(2, num_pixels, dtype=torch.float64, requires_grad=True)
    mu, log_var = (t.requires_grad_() for t in posterior((2, 3)))
    squared = ((x - x_hat) ** 2).mean(1) + kl_weight * gaussian_kl(mu, log_var)
    honest = elbo_terms(x, x_hat, mu, log_var, effective_beta(kl_weight, num_pixels))["loss"]
    pairs = [(squared, honest, num_pixels / 2)]
    pixel_nats = torch.nn.functional.binary_cross_entropy_with_logits(x_hat, x, reduction="none")
    crossed = pixel_nats.mean(1) + kl_weight * gaussian_kl(mu, log_var)
    beta = effective_beta(kl_weight, num_pixels, "cross_entropy")
    honest = -bernoulli_log_likelihood(x, x_hat) + beta * gaussian_kl(mu, log_var)
    pairs.append((crossed, honest, num_pixels))
    for published, honest, factor in pairs:
        inputs = (x_hat, mu, log_var)
        theirs = torch.autograd.grad(published.sum(), inputs, retain_graph=True)
        ours = torch.autograd.grad(honest.sum(), inputs, retain_graph=True)
        for a, b in zip(theirs, ours, strict=True):
            torch.testing.assert_close(factor * a, b)


def test_active_units_on_an_encoder_whose_answer_is_known():
    steps = torch.linspace(-1, 1, 101, dtype=torch.float64)
    # Variances 0.34, 0, 0.0085, 0.0136, and a constant far from zero, which is no activity.
    mu = torch.stack([steps, 0 * steps, 0.158 * steps, 0.2 * steps, 0 * steps + 9], dim=1)
    assert np.allclose(np.var(mu.numpy(), axis=0), [0.34, 0, 0.0085, 0.0136, 0], atol=1e-3)
    assert active_units(mu) == 2
    assert active_units(mu, threshold=0.005) == 3
    assert active_units(mu, threshold=1.0) == 0
    assert type(active_units(mu)) is int
    assert active_units(mu[:1]) == 0  # one image moves nothing
