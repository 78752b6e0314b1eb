"""The capstone's models, against closed forms that were computed elsewhere."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch import nn

from vae_course.capstone import (
    VQVAE,
    GaussianVAE,
    VectorQuantizer,
    best_variance,
    calibrate,
    calibrated_terms,
    code_perplexity,
    elbo_parts,
    gaussian_cloud,
    gaussian_vae_terms,
    importance_terms,
    linear_vae_optimum,
    log_evidence_on_grid,
    plot_planes,
    ring_points,
    take_steps,
    vq_terms,
)
from vae_course.probability import gaussian_kl, gaussian_log_likelihood


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def linear_vae(var_x, num_features=2, latent_dim=2, learn_var_x=False):
    encoder = nn.Linear(num_features, 2 * latent_dim)
    return GaussianVAE(encoder, nn.Linear(latent_dim, num_features), var_x, learn_var_x)


def exact_vae(points, var_x, latent_dim=2):
    """A linear VAE whose weights are set to the closed form of its optimum, not trained."""
    variances, directions = (t.flip(-1) for t in torch.linalg.eigh(torch.cov(points.T)))
    variances = variances[:latent_dim] * (len(points) - 1) / len(points)
    directions = directions[:, :latent_dim]
    signal = (variances - var_x).clamp(min=0)
    vae = linear_vae(var_x, points.shape[1], latent_dim)
    with torch.no_grad():
        vae.decoder.weight.copy_(directions * signal.sqrt())
        vae.decoder.bias.copy_(points.mean(0))
        mean_weight = (directions * signal.sqrt() / (signal + var_x)).T
        vae.encoder.weight.copy_(torch.cat([mean_weight, torch.zeros_like(mean_weight)]))
        log_var = torch.log(var_x / (signal + var_x))
        vae.encoder.bias.copy_(torch.cat([-mean_weight @ points.mean(0), log_var]))
    return vae


# ---- the model and its bound ------------------------------------------------------------------


def test_the_posterior_reads_means_first_and_then_log_variances():
    vae = linear_vae(1.0, num_features=3, latent_dim=2)
    with torch.no_grad():
        vae.encoder.weight.zero_()
        vae.encoder.bias.copy_(torch.tensor([1.0, -2.0, math.log(4.0), math.log(0.25)]))
    q = vae.posterior(torch.randn(5, 3))
    assert torch.allclose(q.mean, torch.tensor([1.0, -2.0]).expand(5, 2))
    assert torch.allclose(q.stddev, torch.tensor([2.0, 0.5]).expand(5, 2))


@pytest.mark.parametrize("var_x", [0.1, [0.1, 2.0, 30.0]])
def test_the_observation_variance_is_a_variance(var_x):
    vae = linear_vae(var_x, num_features=3)
    p_x = vae.likelihood(torch.zeros(4, 2))
    assert torch.allclose(p_x.variance, torch.as_tensor(var_x).expand(4, 3))


def test_the_parts_of_the_bound_agree_with_the_formulas_of_the_course():
    vae = linear_vae(0.3, num_features=7, latent_dim=5)
    x = torch.randn(3, 7)
    q = vae.posterior(x)
    p_x = vae.likelihood(q.rsample())
    terms = elbo_parts(x, q, p_x)
    assert torch.allclose(terms["kl"], gaussian_kl(q.mean, 2 * q.stddev.log()), atol=1e-5)
    assert torch.allclose(terms["nll"], -gaussian_log_likelihood(x, p_x.mean, 0.3), atol=1e-4)
    assert torch.allclose(terms["loss"], terms["nll"] + terms["kl"])
    assert all(value.shape == (3,) for value in terms.values())


def test_gradients_reach_both_networks_and_the_variance_only_if_it_is_learnt():
    for learnt in (False, True):
        vae = linear_vae(0.5, learn_var_x=learnt)
        gaussian_vae_terms(vae, torch.randn(6, 2))["loss"].mean().backward()
        assert all(p.grad.abs().sum() > 0 for p in vae.encoder.parameters())
        assert all(p.grad.abs().sum() > 0 for p in vae.decoder.parameters())
        assert (vae.log_var_x.grad is not None) is learnt


class Scalar(nn.Module):
    """A model with one number."""

    def __init__(self):
        super().__init__()
        self.at = nn.Parameter(torch.tensor(5.0))


def test_steps_draw_batches_from_all_examples_and_minimise_their_mean():
    seen = []

    def terms(model, batch):
        seen.append(batch)
        return {"loss": (model.at - batch.squeeze(1)) ** 2}

    x = torch.tensor([[1.0], [3.0]])
    model = Scalar()
    take_steps(model, x, terms, torch.optim.SGD(model.parameters(), lr=0.2), 60, batch_size=200)
    assert len(seen) == 60 and all(batch.shape == (200, 1) for batch in seen)
    assert set(torch.cat(seen).flatten().tolist()) == {1.0, 3.0}
    assert model.at.item() == pytest.approx(2.0, abs=0.15)


def test_steps_come_to_rest_along_half_a_cosine():
    where = []

    def slope_of_one(model, batch):
        where.append(model.at.item())
        return {"loss": model.at.expand(len(batch))}

    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    take_steps(model, torch.zeros(3, 1), slope_of_one, optimizer, 50)
    moves = -np.diff([*where, model.at.item()])
    assert np.allclose(moves, 0.1 * (1 + np.cos(np.pi * np.arange(50) / 50)), atol=1e-5)


# ---- laboratory 1 -----------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 9), st.floats(0.05, 9), st.floats(-180, 180), st.integers(0, 1000))
def test_a_cloud_has_exactly_the_variances_asked_for(first, second, degrees, seed):
    points = gaussian_cloud((first, second), degrees, num_points=300, seed=seed).double().numpy()
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wanted = turn @ np.diag([first, second]) @ turn.T
    assert points.shape == (300, 2)
    assert np.allclose(points.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(np.cov(points.T, bias=True), wanted, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.floats(0.02, 20.0), st.integers(0, 1000))
def test_the_optimum_is_the_best_ppca_likelihood(latent_dim, var_x, seed):
    """With D = 4 the log-likelihood of scipy's Gaussian with PPCA's covariance, over the data."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(60, 4)) @ generator.normal(size=(4, 4)) + 3
    optimum = linear_vae_optimum(torch.tensor(points), var_x, latent_dim)

    covariance = np.cov(points.T, bias=True)
    variances, directions = np.linalg.eigh(covariance)
    kept = np.arange(4) >= 4 - latent_dim  # eigh sorts upwards
    modelled = np.where(kept, np.maximum(variances, var_x), var_x)
    model = directions @ np.diag(modelled) @ directions.T
    log_p = multivariate_normal(points.mean(axis=0), model).logpdf(points).mean()
    assert optimum.log_likelihood == pytest.approx(log_p, rel=1e-6, abs=1e-6)
    assert optimum.active == (kept & (variances > var_x)).sum()
    # The divergence is the mutual information of x and z.
    information = 0.5 * (np.linalg.slogdet(model)[1] - 4 * np.log(var_x))
    assert optimum.kl == pytest.approx(information, abs=1e-9)


def test_no_other_covariance_of_the_family_does_better_than_the_optimum():
    points = gaussian_cloud((3.0, 0.6), 25.0)
    best = linear_vae_optimum(points, 1.0, latent_dim=2).log_likelihood
    generator = np.random.default_rng(0)
    for scale in np.geomspace(1e-3, 3, 40):
        weight = generator.normal(size=(2, 2)) * scale
        other = multivariate_normal([0, 0], weight @ weight.T + np.eye(2)).logpdf(points.numpy())
        assert other.mean() <= best + 1e-6


@pytest.mark.parametrize("var_x", [0.1, 1.0, 9.0])
@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_at_the_optimum_the_bound_is_tight(degrees, var_x):
    points = gaussian_cloud((4.0, 0.25), degrees)
    optimum = linear_vae_optimum(points, var_x, latent_dim=2)
    vae = exact_vae(points, var_x)
    with torch.no_grad():
        terms = gaussian_vae_terms(vae, points.repeat(50, 1))
    assert terms["kl"].mean().item() == pytest.approx(optimum.kl, abs=1e-4)
    assert -terms["loss"].mean().item() == pytest.approx(optimum.log_likelihood, abs=0.02)
    assert optimum.active == {0.1: 2, 1.0: 1, 9.0: 0}[var_x]


@pytest.mark.parametrize(("var_x", "in_use"), [(0.1, 2), (1.0, 1), (9.0, 0)])
def test_training_arrives_at_the_optimum(var_x, in_use):
    points = gaussian_cloud((4.0, 0.25), 30.0)
    vae = linear_vae(var_x)
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.05)
    take_steps(vae, points, gaussian_vae_terms, optimizer, 800, 256)
    with torch.no_grad():
        terms = gaussian_vae_terms(vae, points.repeat(100, 1))
        spread = vae.posterior(points).mean.std(dim=0)
    optimum = linear_vae_optimum(points, var_x, latent_dim=2)
    assert (spread > 0.1).sum() == in_use == optimum.active
    assert terms["kl"].mean().item() == pytest.approx(optimum.kl, abs=0.03)
    assert -terms["loss"].mean().item() == pytest.approx(optimum.log_likelihood, abs=0.02)


def test_a_noise_for_each_coordinate_explains_the_upright_cloud_but_not_the_turned_one():
    kl = {}
    for degrees in (0.0, 30.0):
        points = gaussian_cloud((4.0, 0.25), degrees)
        vae = linear_vae([1.0, 1.0], learn_var_x=True)
        torch.manual_seed(0)
        optimizer = torch.optim.Adam(vae.parameters(), lr=0.05)
        take_steps(vae, points, gaussian_vae_terms, optimizer, 600, 256)
        with torch.no_grad():
            terms = gaussian_vae_terms(vae, points.repeat(100, 1))
        kl[degrees] = terms["kl"].mean().item()
        log_p = multivariate_normal([0, 0], np.cov(points.numpy().T, bias=True))
        log_p = log_p.logpdf(points.numpy()).mean()
        assert -terms["loss"].mean().item() == pytest.approx(log_p, abs=0.03)
    correlation = 1.875 * math.sin(math.radians(60)) / math.sqrt(3.0625 * 1.1875)
    least = 0.5 * math.log((1 + correlation) / (1 - correlation))
    assert least == pytest.approx(1.26, abs=0.01)  # as the text says
    assert least - 0.05 < kl[30.0] < least + 0.3
    assert kl[0.0] < 0.5 * least


# ---- laboratory 2 -----------------------------------------------------------------------------


def test_the_best_variance_is_the_mean_squared_error():
    x, x_hat = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    mse = ((x - x_hat).numpy() ** 2).mean()
    assert best_variance(x, x_hat).item() == pytest.approx(mse, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 5.0), st.floats(0.2, 5.0), st.integers(0, 1000))
def test_no_other_variance_makes_the_data_more_probable(spread, factor, seed):
    generator = torch.Generator().manual_seed(seed)
    x, x_hat = (spread * torch.randn(4, 6, generator=generator).double() for _ in range(2))
    best = best_variance(x, x_hat).item()
    at_best, elsewhere = (
        norm(x_hat.numpy(), math.sqrt(var)).logpdf(x.numpy()).sum() for var in (best, best * factor)
    )
    assert elsewhere <= at_best + 1e-9
    if abs(factor - 1) > 0.01:
        assert elsewhere < at_best


def test_calibrated_terms_use_the_best_variance_and_not_the_models():
    vae = linear_vae(7.0, num_features=4)
    x = torch.randn(9, 4)
    torch.manual_seed(3)
    terms = calibrated_terms(vae, x)
    torch.manual_seed(3)
    x_hat = vae.decoder(vae.posterior(x).rsample())
    mse = ((x - x_hat) ** 2).mean().item()
    # At the optimum the squared errors cost exactly half a nat for each value.
    wanted = 9 * 4 / 2 * (math.log(2 * math.pi * mse) + 1)
    assert terms["nll"].sum().item() == pytest.approx(wanted, rel=1e-5)
    assert torch.allclose(terms["kl"], gaussian_vae_terms(vae, x)["kl"])


def test_the_gradient_does_not_change_if_the_best_variance_is_held_fixed():
    """By the envelope theorem, for the variance is itself at a minimum."""
    vae = linear_vae(1.0, num_features=4)
    x = torch.randn(9, 4)
    gradients = []
    for held_fixed in (False, True):
        vae.zero_grad()
        torch.manual_seed(5)
        if held_fixed:
            q = vae.posterior(x)
            x_hat = vae.decoder(q.rsample())
            std = best_variance(x, x_hat).detach().sqrt()
            elbo_parts(x, q, torch.distributions.Normal(x_hat, std))["loss"].mean().backward()
        else:
            calibrated_terms(vae, x)["loss"].mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in vae.decoder.parameters()]))
    assert torch.allclose(*gradients, atol=1e-5)


def test_calibration_changes_the_variance_alone_and_helps():
    points = gaussian_cloud((4.0, 0.25), 30.0)
    vae = exact_vae(points, 1.0)
    vae.log_var_x.data.fill_(math.log(25.0))
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    loss_before = gaussian_vae_terms(vae, points)["loss"].mean().item()
    calibrate(vae, points)
    for name, value in vae.state_dict().items():
        assert torch.equal(value, before[name]) is (name != "log_var_x")
    with torch.no_grad():
        x_hat = vae.decoder(vae.posterior(points).sample())
    assert vae.log_var_x.exp().item() == pytest.approx(best_variance(points, x_hat).item(), rel=0.1)
    assert gaussian_vae_terms(vae, points)["loss"].mean().item() < loss_before - 1


def test_a_learnt_variance_arrives_at_the_mean_squared_error():
    points = gaussian_cloud((4.0, 0.25), 0.0)
    vae = linear_vae(5.0, latent_dim=1, learn_var_x=True)
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.05)
    take_steps(vae, points, gaussian_vae_terms, optimizer, 800, 256)
    learnt = vae.log_var_x.exp().item()
    with torch.no_grad():
        repeated = points.repeat(20, 1)
        mse = best_variance(repeated, vae.decoder(vae.posterior(repeated).sample())).item()
    assert learnt == pytest.approx(mse, rel=0.05)
    # PPCA: the noise is the mean of the variances that are left out, here the only one.
    assert learnt == pytest.approx(0.25, rel=0.1)


# ---- laboratory 3 -----------------------------------------------------------------------------


def curved_vae(std=0.3):
    def mlp(first):
        return nn.Sequential(nn.Linear(first, 8), nn.Tanh(), nn.Linear(8, 2))

    return GaussianVAE(mlp(2), mlp(1), std**2)


def test_ring_points_lie_around_the_unit_circle():
    ring = ring_points(4000, std=0.1, seed=4)
    assert ring.shape == (4000, 2) and torch.equal(ring, ring_points(4000, std=0.1, seed=4))
    assert ring.norm(dim=1).mean().item() == pytest.approx(1.005, abs=0.01)
    assert ring.norm(dim=1).std().item() == pytest.approx(0.1, abs=0.01)
    assert ring.mean(dim=0).abs().max() < 0.06
    assert torch.allclose(ring_points(50, std=0.0).norm(dim=1), torch.ones(50))


def test_the_grid_gives_the_evidence_of_a_linear_model():
    """x = W z + b + noise is a Gaussian, which scipy knows."""
    vae = linear_vae(0.09, num_features=3, latent_dim=1)
    x = torch.randn(6, 3)
    weight, bias = (p.detach().double().numpy() for p in vae.decoder.parameters())
    wanted = multivariate_normal(bias, weight @ weight.T + 0.09 * np.eye(3)).logpdf(x.numpy())
    assert np.allclose(log_evidence_on_grid(vae, x).numpy(), wanted, atol=1e-4)


def test_the_grid_gives_the_evidence_of_a_curved_model():
    vae, x = curved_vae(), torch.tensor([[0.4, -0.3]])

    @torch.no_grad()
    def density(z):
        mean = vae.decoder(torch.tensor([[z]], dtype=torch.float32))[0].numpy()
        return norm.pdf(z) * norm(mean, 0.3).pdf(x[0].numpy()).prod()

    wanted = math.log(quad(density, -8, 8, limit=200)[0])
    assert log_evidence_on_grid(vae, x).item() == pytest.approx(wanted, abs=1e-4)


def test_one_weight_gives_the_elbo_on_average():
    vae, x = curved_vae(), ring_points(20, 0.1)
    with torch.no_grad():
        repeated = x.repeat(3000, 1)
        one = importance_terms(vae, repeated, 1)["loss"].mean().item()
        elbo = gaussian_vae_terms(vae, repeated)["loss"].mean().item()
    assert importance_terms(vae, x, 7)["loss"].shape == (20,)
    assert one == pytest.approx(elbo, rel=0.01)


def test_the_bound_rises_with_the_weights_and_stays_below_the_evidence():
    vae, x = curved_vae(), ring_points(20, 0.1)
    with torch.no_grad():
        bounds = [
            -importance_terms(vae, x.repeat(400, 1), k)["loss"].mean().item() for k in (1, 4, 32)
        ]
        many = -importance_terms(vae, x, 20_000)["loss"]
    exact = log_evidence_on_grid(vae, x)
    assert bounds[0] < bounds[1] < bounds[2] < exact.mean().item()
    assert torch.allclose(many, exact, atol=0.15)


def test_with_the_true_posterior_every_weight_is_the_evidence():
    points = gaussian_cloud((4.0, 0.25), 30.0, num_points=50)
    vae = exact_vae(points, 1.0)
    covariance = np.cov(points.numpy().T, bias=True)
    variances, directions = np.linalg.eigh(covariance)
    modelled = directions @ np.diag(np.maximum(variances, 1.0)) @ directions.T
    wanted = multivariate_normal([0, 0], modelled).logpdf(points.numpy())
    for k in (1, 3):
        bound = -importance_terms(vae, points, k)["loss"].detach().numpy()
        assert np.allclose(bound, wanted, atol=1e-3)


def test_training_on_more_weights_closes_the_ring():
    """The text's claim: a better log p(x), a wider q, and for it a worse ELBO."""
    ring, held_out = ring_points(1000, 0.1), ring_points(300, 0.1, seed=1)
    log_p, elbo, width = {}, {}, {}
    for k in (1, 10):
        torch.manual_seed(0)
        encoder, decoder = (
            nn.Sequential(
                *(nn.Linear(first, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
            )
            for first in (2, 1)
        )
        vae = GaussianVAE(encoder, decoder, 0.01)
        terms = partial(importance_terms, num_samples=k)
        take_steps(vae, ring, terms, torch.optim.Adam(vae.parameters(), lr=3e-3), 700)
        log_p[k] = log_evidence_on_grid(vae, held_out).mean().item()
        with torch.no_grad():
            elbo[k] = -importance_terms(vae, held_out, 1)["loss"].mean().item()
            width[k] = vae.posterior(held_out).stddev.mean().item()
    assert log_p[10] > log_p[1] + 0.3
    assert elbo[10] < elbo[1] - 1
    assert width[10] > 1.5 * width[1]


# ---- laboratory 4 -----------------------------------------------------------------------------


def test_every_vector_is_replaced_by_its_nearest_code():
    quantizer = VectorQuantizer(11, 5)
    quantizer.codebook.data.normal_()
    z = torch.randn(2, 3, 4, 5)
    passed_on, numbers, codes = quantizer(z)
    codebook = quantizer.codebook.detach().numpy()
    for index in np.ndindex(2, 3, 4):
        nearest = ((codebook - z[index].numpy()) ** 2).sum(axis=1).argmin()
        assert numbers[index] == nearest
        assert np.allclose(codes[index].detach().numpy(), codebook[nearest])
    assert torch.allclose(passed_on, codes, atol=1e-6)
    assert numbers.shape == (2, 3, 4) and not numbers.is_floating_point()


def test_the_straight_through_gradient_is_that_at_the_code():
    quantizer = VectorQuantizer(6, 3)
    quantizer.codebook.data.normal_()
    z = torch.randn(4, 3, requires_grad=True)
    passed_on, _, codes = quantizer(z)

    def error(at):
        return (at.sin() * torch.arange(1.0, 4.0)).sum() ** 2

    at_code = codes.detach().requires_grad_()
    error(at_code).backward()
    error(passed_on).backward()
    assert torch.allclose(z.grad, at_code.grad, rtol=1e-4, atol=1e-4)
    assert quantizer.codebook.grad is None
    codes.sum().backward()
    assert quantizer.codebook.grad.sum().item() == pytest.approx(12.0)  # 4 vectors of 3 numbers


def test_the_terms_of_a_vq_vae_go_where_they_should():
    vq, x = VQVAE(num_codes=9, code_dim=4), torch.rand(3, 3, 32, 32) * 2 - 1
    terms = vq_terms(vq, x, commitment_weight=3.0)
    for name in ("loss", "nll", "codebook", "commitment"):
        assert terms[name].shape == (3,)
    assert terms["numbers"].shape == (3, 8, 8)
    assert torch.allclose(terms["codebook"], terms["commitment"])
    whole = terms["nll"] + terms["codebook"] + 3 * terms["commitment"]
    assert torch.allclose(terms["loss"], whole)

    def reached(term):
        vq.zero_grad()
        vq_terms(vq, x)[term].sum().backward()
        return {
            name
            for name, part in (
                ("encoder", vq.encoder),
                ("codebook", vq.quantizer),
                ("decoder", vq.decoder),
            )
            if any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
        }

    assert reached("nll") == {"encoder", "decoder"}
    assert reached("codebook") == {"codebook"}
    assert reached("commitment") == {"encoder"}


def test_the_likelihood_of_a_vq_vae_is_calibrated():
    vq, x = VQVAE(num_codes=9, code_dim=4, channels=1), torch.rand(5, 1, 32, 32) * 2 - 1
    with torch.no_grad():
        x_hat = vq.decode(vq.quantizer(vq.encode(x))[0])
        nll = vq_terms(vq, x)["nll"].sum().item()
    mse = ((x - x_hat) ** 2).mean().item()
    assert x_hat.shape == x.shape and x_hat.abs().max() <= 1
    assert nll == pytest.approx(5 * 1024 / 2 * (math.log(2 * math.pi * mse) + 1), rel=1e-4)
    assert vq.encode(x[:1]).shape == (1, 8, 8, 4)


def test_a_vq_vae_learns_with_a_codebook_that_keeps_up():
    """The text's claim: a slow codebook leaves its codes dead."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(60, 3, 4, 4, generator=generator) * 2 - 1
    x = nn.functional.interpolate(colours, size=32, mode="nearest")
    perplexity, nll = {}, {}
    for speed in (1, 10):
        torch.manual_seed(0)
        vq = VQVAE(num_codes=32, code_dim=8)
        networks = {"params": [*vq.encoder.parameters(), *vq.decoder.parameters()]}
        codebook = {"params": [vq.quantizer.codebook], "lr": 2e-3 * speed}
        optimizer = torch.optim.Adam([networks, codebook], lr=2e-3)
        take_steps(vq, x, vq_terms, optimizer, 150, 16)
        with torch.no_grad():
            terms = vq_terms(vq, x)
        perplexity[speed] = code_perplexity(terms["numbers"], 32)
        nll[speed] = terms["nll"].mean().item()
    assert perplexity[10] > 1.5 * perplexity[1]
    assert nll[10] < nll[1]


@pytest.mark.parametrize("num_codes", [1, 2, 7, 64])
def test_the_perplexity_of_uniform_use_is_the_number_of_codes(num_codes):
    numbers = torch.arange(num_codes).repeat(5).view(5, num_codes)
    assert code_perplexity(numbers, num_codes) == pytest.approx(num_codes)


def test_the_perplexity_counts_what_is_used():
    assert code_perplexity(torch.full((4, 8, 8), 3), 64) == pytest.approx(1.0)
    assert code_perplexity(torch.tensor([0, 5, 0, 5]), 64) == pytest.approx(2.0)
    weighted = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert code_perplexity(torch.tensor([1, 1, 1, 2]), 8) == pytest.approx(weighted)


def test_planes_show_a_panel_for_each_model_and_say_so():
    points = gaussian_cloud((4.0, 0.25))
    picture = plot_planes([("one", points, points[:5]), ("two", points, points[:1])], "Two clouds")
    assert picture.data.startswith(b"\x89PNG")
    assert "Two clouds" in picture.metadata["alt"] and "one; two" in picture.metadata["alt"]
