"""The variational autoencoder: its shapes, its randomness, its training, its bound."""

import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Normal

from vae_course import vae as vae_module
from vae_course.data import make_loader
from vae_course.probability import elbo_terms, gaussian_kl
from vae_course.vae import VAE, evidence_bound, interpolate, train_vae, vae_terms


def moved(model, seed=0):
    """A model whose posterior differs from image to image, and whose BatchNorms have moved."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                scale = 0.02 if tensor.ndim > 1 else 0.2
                tensor.add_(scale * (noise if "var" in name else noise - 0.5))
    return model


@pytest.fixture
def x():
    return torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(9))


def test_parameter_counts_and_shapes(x):
    assert sum(p.numel() for p in VAE().parameters()) == 855_873
    assert sum(p.numel() for p in VAE(5).parameters()) == 855_873 - 59 * 2 * 257 - 59 * 256
    for batch in (1, 3):
        model = VAE(5).eval()
        mu, log_var = model.encode(x[:batch])
        assert mu.shape == log_var.shape == (batch, 5)
        x_hat, *_ = model(x[:batch])
        assert x_hat.shape == (batch, 1, 28, 28)
        assert 0 < x_hat.min() and x_hat.max() < 1
        assert model.decode(mu).shape == (batch, 1, 28, 28)


def test_the_mean_and_the_log_variance_are_two_answers_and_any_real_number(x):
    model = moved(VAE(5)).eval()
    mu, log_var = model.encode(x)
    assert not torch.allclose(mu, log_var)
    assert torch.equal(torch.cat([mu, log_var], 1), model.encoder(x))
    with torch.no_grad():
        for parameter in list(model.encoder.parameters())[-2:]:
            parameter.neg_()
    torch.testing.assert_close(model.encode(x)[0], -mu)  # no activation bends either of them
    torch.testing.assert_close(model.encode(x)[1], -log_var)


def test_forward_decodes_a_sample_of_the_posterior(x):
    model = moved(VAE(5)).eval()
    seen = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x_hat, mu, log_var = model(x, torch.Generator().manual_seed(1))
    assert torch.equal(mu, model.encode(x)[0]) and torch.equal(log_var, model.encode(x)[1])
    noise = (seen[0] - mu) / torch.exp(0.5 * log_var)
    torch.testing.assert_close(noise, torch.randn(3, 5, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(x_hat, model(x, torch.Generator().manual_seed(1))[0])
    assert not torch.equal(x_hat, model(x)[0])


def test_gradients_reach_every_weight(x):
    model = VAE(5)
    vae_terms(model, x)["loss"].mean().backward()
    missed = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in missed if not name.endswith("bias")] == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_reconstruct_uses_the_mean_and_leaves_no_trace(x, training, batch):
    model = moved(VAE(5)).train(training)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    random_state = torch.get_rng_state()
    x_hat = model.reconstruct(x[:batch])
    assert not x_hat.requires_grad
    assert torch.equal(random_state, torch.get_rng_state())  # nothing was sampled
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    model.eval()
    assert torch.equal(x_hat, model.decode(model.encode(x[:batch])[0]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_samples", [1, 4])
def test_sample_decodes_the_prior_and_leaves_no_trace(training, num_samples):
    model = moved(VAE(5)).train(training)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    images = model.sample(num_samples, torch.Generator().manual_seed(2))
    assert images.shape == (num_samples, 1, 28, 28) and not images.requires_grad
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    z = torch.randn(num_samples, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(images, model.eval().decode(z))
    assert not torch.equal(images, model.sample(num_samples))
    assert model.to("meta").sample(2).device.type == "meta"


def test_vae_terms_are_those_of_one_forward_pass(x):
    model = moved(VAE(5)).eval()
    torch.manual_seed(4)
    terms = vae_terms(model, x, beta=0.3)
    torch.manual_seed(4)
    x_hat, mu, log_var = model(x)
    for name, expected in elbo_terms(x, x_hat, mu, log_var, 0.3).items():
        assert torch.equal(terms[name], expected)
    assert terms["mse"].shape == (3,)
    assert terms["mse"].mean().item() == pytest.approx(nn.functional.mse_loss(x_hat, x).item())


class OnePixel(nn.Module):
    """p(z) = N(0, 1), p(x|z) = N(w z, I) with two pixels: here log p(x) is known exactly."""

    w = torch.tensor([0.8, -1.5], dtype=torch.float64)

    def terms(self, x, mu, log_var, num_samples, seed=0):
        noise = torch.randn(
            num_samples, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        z = mu + (0.5 * log_var).exp() * noise
        rows = [t.expand(num_samples, -1) for t in (x, mu, log_var)]
        return elbo_terms(rows[0], z * self.w, *rows[1:])

    def log_evidence(self, x):
        covariance = torch.eye(2, dtype=torch.float64) + torch.outer(self.w, self.w)
        return torch.distributions.MultivariateNormal(0 * self.w, covariance).log_prob(x)

    def posterior(self, x):
        precision = 1 + self.w @ self.w
        return (self.w @ x / precision).reshape(1), -precision.log().reshape(1)


def test_the_negative_loss_is_a_lower_bound_with_the_right_gap():
    """log p(x) = ELBO + KL(q || true posterior), on a model simple enough to check it on."""
    toy, x = OnePixel(), torch.tensor([1.2, 0.4], dtype=torch.float64)
    true_mu, true_log_var = toy.posterior(x)
    for mu, log_var in [(true_mu, true_log_var), (true_mu + 0.3, true_log_var + 0.5)]:
        elbo = -toy.terms(x, mu, log_var, 400_000)["loss"]
        q, p = Normal(mu, (0.5 * log_var).exp()), Normal(true_mu, (0.5 * true_log_var).exp())
        gap = torch.distributions.kl_divergence(q, p).item()
        error = elbo.std().item() / math.sqrt(len(elbo))
        assert abs(elbo.mean() + gap - toy.log_evidence(x)) < 4 * error + 1e-9
        assert elbo.mean() <= toy.log_evidence(x) + 4 * error


def small_sets(n=24, m=7):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n + m, 1, 28, 28, generator=generator)
    labels = torch.arange(n + m)
    return (
        make_loader(images[:n], labels[:n], batch_size=8),
        make_loader(images[n:], labels[n:], batch_size=3, shuffle=False),
    )


def test_train_vae_keeps_a_history_of_plain_numbers_and_learns():
    torch.manual_seed(0)
    model, (train, held_out) = VAE(4), small_sets()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    history = train_vae(model, train, held_out, optimizer, epochs=3, beta=0.5)
    assert set(history) == {"train", "held_out"}
    assert len(history["train"]) == 3 and len(history["held_out"]) == 4
    for entry in history["train"] + history["held_out"]:
        assert set(entry) == {"loss", "nll", "kl", "mse"}
        assert all(type(value) is float for value in entry.values())
        assert entry["loss"] == pytest.approx(entry["nll"] + 0.5 * entry["kl"], rel=1e-5)
    assert history["train"][-1]["loss"] < history["train"][0]["loss"]


@pytest.mark.parametrize(
    "warmup, betas",
    [(0, [2, 2, 2, 2]), (1, [0, 2, 2, 2]), (2, [0, 1, 2, 2]), (8, [0, 0.25, 0.5, 0.75])],
)
def test_warmup_is_for_training_and_evaluation_sees_the_full_beta(warmup, betas):
    model, (train, held_out) = VAE(3), small_sets(8, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    history = train_vae(model, train, held_out, optimizer, 4, beta=2.0, warmup_epochs=warmup)
    seen = [(entry["loss"] - entry["nll"]) / entry["kl"] for entry in history["train"]]
    # nll is about 740 in float32: its last digit, divided by a small KL, blurs the weight a little
    assert seen == pytest.approx(betas, abs=0.02)
    for entry in history["held_out"]:
        assert (entry["loss"] - entry["nll"]) / entry["kl"] == pytest.approx(2.0, abs=0.05)


def test_train_vae_is_its_epochs_one_after_the_other(monkeypatch):
    """Evaluate, then for each epoch train and evaluate: the order is part of the promise."""
    calls = []
    monkeypatch.setattr(
        vae_module, "train_epoch", lambda *a: calls.append(("train", a[3].keywords["beta"])) or {}
    )
    monkeypatch.setattr(
        vae_module, "evaluate", lambda *a: calls.append(("held_out", a[2].keywords["beta"])) or {}
    )
    train_vae(VAE(2), None, None, None, epochs=2, beta=4.0, warmup_epochs=2)
    assert calls == [
        ("held_out", 4.0), ("train", 0.0), ("held_out", 4.0), ("train", 2.0), ("held_out", 4.0),
    ]  # fmt: skip


def test_a_large_beta_makes_the_posterior_the_prior(x):
    torch.manual_seed(0)
    model = VAE(3)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    terms = partial(vae_terms, beta=3920.0)
    with torch.no_grad():  # start far from the prior
        list(model.encoder.parameters())[-1].add_(1.0)
    before = gaussian_kl(*model.encode(x)).mean().item()
    for _ in range(40):
        optimizer.zero_grad()
        terms(model, x)["loss"].mean().backward()
        optimizer.step()
    assert gaussian_kl(*model.encode(x)).mean().item() < 0.2 * before


@pytest.mark.parametrize("num_frames", [2, 3, 11])
def test_interpolation_starts_and_arrives_in_equal_steps(num_frames):
    z_start, z_end = torch.randn(5), torch.randn(5)
    path = interpolate(z_start, z_end, num_frames)
    assert path.shape == (num_frames, 5)
    assert torch.equal(path[0], z_start) and torch.equal(path[-1], z_end)
    steps = path.diff(dim=0)
    torch.testing.assert_close(steps, (z_end - z_start).expand_as(steps) / (num_frames - 1))
    double = interpolate(z_start.double(), z_end.double(), num_frames)
    assert double.dtype == torch.float64


@pytest.mark.parametrize("noise_var", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("shape", [(3, 7), (1, 2, 3, 4)])
def test_the_bound_is_a_log_density_less_a_divergence(noise_var, shape):
    """Each part from scipy, which knows neither our signs nor our sums."""
    generator = torch.Generator().manual_seed(1)
    x, x_hat = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    mu, log_var = torch.randn(2, shape[0], 5, generator=generator, dtype=torch.float64)
    got = evidence_bound(x, x_hat, mu, log_var, noise_var)
    assert got.shape == shape[:1]
    log_p = stats.norm(x_hat.numpy(), noise_var**0.5).logpdf(x.numpy()).reshape(shape[0], -1)
    std = log_var.div(2).exp().numpy()
    # KL(q || p) of two Gaussians is the cross-entropy less the entropy.
    cross = 0.5 * math.log(2 * math.pi) + 0.5 * (mu.numpy() ** 2 + std**2)
    want = log_p.sum(1) - (cross - stats.norm(mu.numpy(), std).entropy()).sum(1)
    assert got.tolist() == pytest.approx(want.tolist())


def test_the_bound_is_minus_the_loss_where_the_noise_has_variance_one(x):
    mu, log_var = torch.randn(2, 3, 4)
    loss = elbo_terms(x, x.flip(0), mu, log_var)["loss"]
    torch.testing.assert_close(evidence_bound(x, x.flip(0), mu, log_var), -loss)
