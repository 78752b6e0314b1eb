"""Evaluation against scipy, closed forms and torch.distributions."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch.distributions import Normal, kl_divergence

from vae_course.evaluation import (
    aggregate_moments,
    frechet_distance,
    kl_per_dimension,
    principal_components,
)
from vae_course.probability import gaussian_kl_from_var


def posterior(count: int = 50, dims: int = 4):
    generator = torch.Generator().manual_seed(0)
    mu = 2 * torch.randn(count, dims, generator=generator)
    return mu, torch.rand(count, dims, generator=generator) + 0.1


def test_nats_of_each_dimension():
    mu, var = posterior()
    found = kl_per_dimension(mu, var)
    want = kl_divergence(Normal(mu, var.sqrt()), Normal(0.0, 1.0)).mean(0)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(found.sum(), gaussian_kl_from_var(mu, var).mean())


def test_the_moments_of_the_aggregate_posterior_are_those_of_its_draws():
    mu, var = posterior()
    mean, covariance = aggregate_moments(mu, var)
    generator = torch.Generator().manual_seed(1)
    draws = mu + var.sqrt() * torch.randn(20_000, *mu.shape, generator=generator)
    draws = draws.flatten(0, 1)
    # A million draws: standard errors are below 0.01.
    torch.testing.assert_close(mean, draws.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(covariance, torch.cov(draws.T), atol=0.05, rtol=0)


@pytest.mark.parametrize("num_images", [200, 20])
def test_principal_components_are_those_of_scikit_learn(num_images):
    from sklearn.decomposition import PCA

    images = torch.randn(num_images, 1, 6, 8, generator=torch.Generator().manual_seed(2))
    found = principal_components(images, 5)
    want = PCA(5, svd_solver="full").fit(images.flatten(1).double().numpy()).components_.T
    torch.testing.assert_close(found.T @ found, torch.eye(5).double())
    np.testing.assert_allclose(np.abs((found.numpy() * want).sum(0)), 1, atol=1e-9)


def test_the_distance_is_the_formula():
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(300, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    second = torch.randn(200, 6, generator=generator) * 2 + 1
    a, b = np.cov(first.double().T), np.cov(second.double().T)
    shift = (first.double().mean(0) - second.double().mean(0)).square().sum().item()
    want = shift + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(first, second) == pytest.approx(want, rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(want, rel=1e-6)


def test_the_distance_of_gaussians_side_by_side():
    """Diagonal covariances: a sum of squared differences of means and of standard deviations."""
    generator = torch.Generator().manual_seed(4)
    base = torch.randn(4000, 3, generator=generator).double()
    base = (base - base.mean(0)) @ torch.linalg.cholesky(torch.cov(base.T)).inverse().T
    scales, shift = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, -1.0])
    assert frechet_distance(base, base * scales + shift) == pytest.approx(1.25 + 1 + 4, rel=1e-6)
    assert frechet_distance(base, base) == pytest.approx(0, abs=1e-9)


def test_clouds_of_fewer_points_than_dimensions():
    few = torch.randn(5, 20, generator=torch.Generator().manual_seed(5))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(frechet_distance(few, few + 1))
