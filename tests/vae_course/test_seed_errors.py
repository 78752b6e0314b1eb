"""Mistakes of the notebooks that this course grew from, each written out small, and rejected.

Every requirement below is one function. The reference must meet it, and the old mistake, written
as a few lines beside it, must not: so each requirement is shown to be one that can fail.
"""

import math
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from vae_course.autoencoder import (
    AutoEncoder,
    Decoder,
    Encoder,
    autoencoder_terms,
    error_by_label,
    sample_prior,
    squared_error,
)
from vae_course.data import make_loader
from vae_course.probability import (
    effective_beta,
    elbo_terms,
    gaussian_kl,
    gaussian_kl_from_std,
    reparameterize,
)
from vae_course.training import train_epoch
from vae_course.vae import VAE, evidence_bound, interpolate, train_vae, vae_terms


def rejects(requirement, *candidate, by=AssertionError):
    """A candidate fails a requirement, and for that requirement's reason: no other error counts."""
    with pytest.raises(by):
        requirement(*candidate)


def posterior(batch=3, k=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(batch, k, generator=generator, dtype=torch.float64)
    return mu, torch.randn(batch, k, generator=generator, dtype=torch.float64) - 0.5


def pictures(batch=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, 1, 4, 7, generator=generator, dtype=torch.float64)


# --- the bound, printed without its logarithms ----------------------------------------------


def bounds_the_evidence(loss):
    """-E[loss] = log p(x) - KL(q || true posterior), in a model where both sides are known."""
    weights = torch.tensor([0.8, -1.5], dtype=torch.float64)  # p(z) = N(0, 1), p(x|z) = N(wz, I)
    x = torch.tensor([1.2, 0.4], dtype=torch.float64)
    covariance = torch.eye(2, dtype=torch.float64) + torch.outer(weights, weights)
    evidence = MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance).log_prob(x)
    precision = 1 + weights @ weights
    truth = Normal(weights @ x / precision, precision**-0.5)
    q = Normal(truth.mean + 0.2, truth.stddev * 1.3)
    n = 200_000
    noise = torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mu, log_var = q.mean.expand(n, 1), 2 * q.stddev.log().expand(n, 1)
    values = -loss(x.expand(n, 2), (q.mean + q.stddev * noise) * weights, mu, log_var)
    error = 4 * values.std() / math.sqrt(n)
    assert abs(values.mean() + kl_divergence(q, truth) - evidence) < error


def test_the_bound_is_on_the_log_evidence():
    def without_logs(x, x_hat, mu, log_var):
        density = Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1).exp()
        return -density + gaussian_kl(mu, log_var)

    bounds_the_evidence(lambda *a: elbo_terms(*a)["loss"])
    bounds_the_evidence(lambda *a: -evidence_bound(*a))
    rejects(bounds_the_evidence, without_logs)


def test_the_bound_holds_for_noise_of_any_variance():
    """p(z) = N(0, 1), p(x|z) = N(z, v): here log p(x) and the true posterior are known."""

    def reaches_the_evidence(bound, v, n=100_000):
        x = torch.full((n, 1), 1.5, dtype=torch.float64)
        truth = Normal(0.0, (1 + v) ** 0.5).log_prob(x[0, 0])
        noise = torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        for mean, var in ((1.5 / (1 + v), v / (1 + v)), (0.4, 0.3)):
            q = Normal(mean, var**0.5)
            posterior = Normal(1.5 / (1 + v), (v / (1 + v)) ** 0.5)
            mu, log_var = torch.full_like(x, mean), torch.full_like(x, math.log(var))
            values = bound(x, mean + var**0.5 * noise, mu, log_var, v)
            gap = kl_divergence(q, posterior)
            assert abs(values.mean() + gap - truth) < 4 * values.std() / math.sqrt(n)

    def std_for_var(x, x_hat, mu, log_var, noise_var):
        return evidence_bound(x, x_hat, mu, log_var, noise_var**2)

    def log_std_for_log_var(x, x_hat, mu, log_var, noise_var):
        return evidence_bound(x, x_hat, mu, 2 * log_var, noise_var)

    def kl_added(x, x_hat, mu, log_var, noise_var):
        return evidence_bound(x, x_hat, mu, log_var, noise_var) + 2 * gaussian_kl(mu, log_var)

    for v in (0.25, 4.0):
        reaches_the_evidence(evidence_bound, v)
        for wrong in (std_for_var, log_std_for_log_var, kl_added):
            rejects(reaches_the_evidence, wrong, v)


# --- the sign of the divergence, and the constant that was dropped --------------------------


def divergence_is_a_cost(loss):
    """A loss grows with beta by exactly the KL, and a posterior nearer the prior costs less."""
    (x, x_hat), (mu, log_var) = pictures(), posterior()
    more = loss(x, x_hat, mu, log_var, 3.0) - loss(x, x_hat, mu, log_var, 1.0)
    torch.testing.assert_close(more, 2 * gaussian_kl(mu, log_var))
    assert (loss(x, x_hat, mu / 2, log_var / 2, 1.0) < loss(x, x_hat, mu, log_var, 1.0)).all()


def is_a_normalised_negative_log_density(nll):
    """exp(-nll) integrates to one: checked on a grid over one pixel."""
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64).view(-1, 1)
    density = torch.exp(-nll(grid, torch.full_like(grid, 0.3)))
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1)


def test_the_divergence_is_added_to_the_loss():
    def subtracted(x, x_hat, mu, log_var, beta):
        return ((x - x_hat) ** 2).flatten(1).sum(1) - beta * gaussian_kl(mu, log_var)

    divergence_is_a_cost(lambda *a: elbo_terms(*a)["loss"])
    rejects(divergence_is_a_cost, subtracted)


def test_the_reconstruction_term_is_a_log_likelihood():
    def bare_squares(x, x_hat):
        return ((x - x_hat) ** 2).flatten(1).sum(1)

    def ours(x, x_hat):
        latent = torch.zeros(len(x), 1, dtype=x.dtype)
        return elbo_terms(x, x_hat, latent, latent)["nll"]

    is_a_normalised_negative_log_density(ours)
    rejects(is_a_normalised_negative_log_density, bare_squares)


# --- a mean beside a sum: the beta that nobody named ----------------------------------------


def has_the_beta_it_says(gradients, beta):
    """The gradients are those of -log N(x; x_hat, I) + beta KL, up to one factor for all."""
    (x, x_hat), (mu, log_var) = pictures(), posterior()
    inputs = [t.clone().requires_grad_() for t in (x_hat, mu, log_var)]
    log_density = Normal(inputs[0], 1.0).log_prob(x).sum()
    kl = kl_divergence(Normal(inputs[1], (inputs[2] / 2).exp()), Normal(0.0, 1.0)).sum()
    honest = torch.autograd.grad(-log_density + beta * kl, inputs)
    theirs = gradients(x, *inputs)
    honest, theirs = (torch.cat([g.flatten() for g in group]) for group in (honest, theirs))
    torch.testing.assert_close(theirs / theirs.norm(), honest / honest.norm())


def test_beta_is_what_the_loss_says_it_is():
    def of_mean_and_sum(weight):
        def gradients(x, x_hat, mu, log_var):
            loss = ((x - x_hat) ** 2).mean() + weight * gaussian_kl(mu, log_var).mean()
            return torch.autograd.grad(loss, (x_hat, mu, log_var))

        return gradients

    def of_ours(beta):
        def gradients(x, *inputs):
            return torch.autograd.grad(elbo_terms(x, *inputs, beta)["loss"].mean(), inputs)

        return gradients

    for weight in (1e-3, 0.1, 10.0):
        has_the_beta_it_says(of_ours(weight), weight)
        rejects(has_the_beta_it_says, of_mean_and_sum(weight), weight)
        # effective_beta says what the old loss really was, for the 28 pixels of these pictures.
        has_the_beta_it_says(of_mean_and_sum(weight), effective_beta(weight, 28))
        rejects(has_the_beta_it_says, of_mean_and_sum(weight), effective_beta(weight, 784))


def does_not_depend_on_the_batch(loss):
    """One number for each image, and each is what that image alone would get."""
    (x, x_hat), (mu, log_var) = pictures(), posterior()
    together = loss(x, x_hat, mu, log_var)
    alone = [loss(x[i : i + 1], x_hat[i : i + 1], mu[i : i + 1], log_var[i : i + 1])
             for i in range(3)]  # fmt: skip
    torch.testing.assert_close(together, torch.stack(alone).reshape(3))


def test_losses_are_per_image():
    def one_mean(x, x_hat, mu, log_var):
        return nn.functional.mse_loss(x_hat, x) + gaussian_kl(mu, log_var).mean()

    does_not_depend_on_the_batch(lambda *a: elbo_terms(*a)["loss"])
    rejects(does_not_depend_on_the_batch, one_mean)


# --- sigma: a standard deviation here, a variance there -------------------------------------


def samples_have_the_spread_of(sample, variance_of):
    mu, number = torch.full((20_000, 2), 0.7), torch.tensor([-1.5, 0.8]).expand(20_000, 2)
    z = sample(mu, number)
    torch.testing.assert_close(z.var(0), variance_of(number[0]), rtol=0.05, atol=0)


def test_a_log_variance_is_not_a_log_standard_deviation():
    def as_if_log_std(mu, log_var):
        return mu + log_var.exp() * torch.randn_like(mu)

    def as_if_it_were_its_own_exponential(mu, log_var):
        return mu + log_var * torch.randn_like(mu)

    torch.manual_seed(0)
    samples_have_the_spread_of(reparameterize, torch.exp)
    rejects(samples_have_the_spread_of, as_if_log_std, torch.exp)
    rejects(samples_have_the_spread_of, as_if_it_were_its_own_exponential, torch.exp)
    mu, std = posterior()[0], posterior()[1].exp()
    torch.testing.assert_close(gaussian_kl(mu, 2 * std.log()), gaussian_kl_from_std(mu, std))
    assert not torch.allclose(gaussian_kl(mu, std.log()), gaussian_kl_from_std(mu, std))


# --- a history that holds on to every graph -------------------------------------------------


def keeps_plain_numbers(train):
    torch.manual_seed(0)
    model = VAE(2)
    loader = make_loader(torch.rand(8, 1, 28, 28), torch.zeros(8), 4)
    entry = train(model, loader, torch.optim.Adam(model.parameters()), vae_terms)
    assert entry and all(type(value) is float for value in entry.values())


def test_the_history_keeps_no_graph():
    def keeps_the_last_tensors(model, loader, optimizer, loss_terms):
        for x, _ in loader:
            losses = {name: t.mean() for name, t in loss_terms(model, x).items()}
            optimizer.zero_grad()
            losses["loss"].backward()
            optimizer.step()
        return losses

    keeps_plain_numbers(train_epoch)
    rejects(keeps_plain_numbers, keeps_the_last_tensors)

    model = VAE(2)
    loader = make_loader(torch.rand(4, 1, 28, 28), torch.zeros(4), 4)
    history = train_vae(model, loader, loader, torch.optim.Adam(model.parameters()), epochs=1)
    entries = history["train"] + history["held_out"]
    assert all(type(value) is float for entry in entries for value in entry.values())


# --- the interpolation that never arrives ---------------------------------------------------


def arrives(path_between):
    z_start, z_end = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    path = path_between(z_start, z_end, 7)
    assert path.shape == (7, 5)
    torch.testing.assert_close(path[0], z_start)
    torch.testing.assert_close(path[-1], z_end)


def test_interpolation_includes_both_ends():
    def stops_short(z_start, z_end, num_frames):
        return torch.stack([z_start + i / num_frames * (z_end - z_start)
                            for i in range(num_frames)])  # fmt: skip

    arrives(interpolate)
    rejects(arrives, stops_short)


# --- pictures made in training mode, with gradients -----------------------------------------


def looked_at_with_care(model, draw):
    """Drawing pictures must not change the model, hold a graph, or fail for a single one."""
    model.train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    for count in (3, 1):
        assert not draw(model, count).requires_grad
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert model.training


def no_neighbour_matters(model, reconstruct):
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    model.train()
    torch.testing.assert_close(reconstruct(model, x)[:2], reconstruct(model, x[:2]))
    model.train()
    assert torch.equal(reconstruct(model, x), reconstruct(model, x))  # and no dice are rolled


def test_samples_are_drawn_in_evaluation_mode_without_gradients():
    def bare(model, count):
        return model.decode(torch.randn(count, 4))

    def evaluated_for_good(model, count):
        model.eval()
        with torch.no_grad():
            return bare(model, count)

    def without_gradients_only(model, count):
        with torch.no_grad():
            return bare(model, max(count, 2))[:count]

    looked_at_with_care(VAE(4), lambda model, count: model.sample(count))
    looked_at_with_care(AutoEncoder(4), lambda model, n: sample_prior(model.decoder, n, 4))
    for wrong in (bare, evaluated_for_good, without_gradients_only):
        rejects(looked_at_with_care, VAE(4), wrong)
        rejects(looked_at_with_care, AutoEncoder(4), wrong)


def test_reconstructions_are_drawn_in_evaluation_mode_without_gradients():
    def bare(model, x):
        out = model(x)
        return out[0] if isinstance(out, tuple) else out

    def images(count):
        return torch.rand(count, 1, 28, 28)

    for model in (VAE(4), AutoEncoder(4)):
        no_neighbour_matters(model, lambda model, x: model.reconstruct(x))
        looked_at_with_care(model, lambda model, count: model.reconstruct(images(count)))
        rejects(no_neighbour_matters, model, bare)
        rejects(looked_at_with_care, model, lambda model, n: bare(model, images(n)))


# --- a measurement that moves what it measures, and averages batches ------------------------


def measures_and_leaves_alone(measure):
    """The same table whatever the batches, plain numbers, and a model that did not notice."""
    torch.manual_seed(0)
    model = AutoEncoder(2)
    x, labels = torch.rand(12, 1, 28, 28), torch.tensor([0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0])
    model(x)  # so that BatchNorm's averages are not what they were made with
    before = {name: t.clone() for name, t in model.state_dict().items()}
    tables = [
        measure(model, list(zip(x.split(size), labels.split(size), strict=True)))
        for size in (12, 5, 3)
    ]
    assert all(type(value) is float for table in tables for value in table.values())
    assert tables[0] == pytest.approx(tables[1], rel=1e-4)
    assert tables[0] == pytest.approx(tables[2], rel=1e-4)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert model.training


def test_measuring_by_label_changes_nothing():
    def measure_in(mode, average, number):
        def measure(model, batches):
            sums, counts = {}, {}
            with mode(model):
                for x, y in batches:
                    errors = squared_error(model(x), x)
                    for label in y.unique().tolist():
                        found = errors[y == label]
                        sums[label] = sums.get(label, 0.0) + number(
                            found.mean() if average else found.sum()
                        )
                        counts[label] = counts.get(label, 0) + (1 if average else len(found))
            return {label: sums[label] / counts[label] for label in sums}

        return measure

    @contextmanager
    def evaluation(model):
        model.eval()
        with torch.no_grad():
            yield
        model.train()

    @contextmanager
    def as_found(model):
        yield

    measures_and_leaves_alone(error_by_label)
    measures_and_leaves_alone(measure_in(evaluation, False, torch.Tensor.item))
    rejects(measures_and_leaves_alone, measure_in(as_found, False, torch.Tensor.item))
    rejects(measures_and_leaves_alone, measure_in(evaluation, True, torch.Tensor.item))
    rejects(measures_and_leaves_alone, measure_in(as_found, False, lambda tensor: tensor))


# --- BatchNorm at a batch of one ------------------------------------------------------------


def trains_through_an_epoch(loader):
    model = AutoEncoder(2)
    optimizer = torch.optim.Adam(model.parameters())
    train_epoch(model, loader, optimizer, autoencoder_terms)


def test_no_number_of_images_makes_an_epoch_crash():
    x = torch.rand(9, 1, 28, 28)
    plain = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), batch_size=4)
    trains_through_an_epoch(make_loader(x, torch.arange(9), batch_size=4))
    rejects(trains_through_an_epoch, plain, by=ValueError)  # 4, 4 and 1


# --- globals inside classes -----------------------------------------------------------------


def stands_on_its_own(make):
    """Models of two sizes live side by side, and one on another device stays there."""
    small, large = make(3), make(8)
    x = torch.rand(2, 1, 28, 28)
    for model, k in ((small, 3), (large, 8)):
        mu, log_var = model.encode(x)
        assert mu.shape == log_var.shape == (2, k)
        assert model.sample(2).shape == (2, 1, 28, 28)
    elsewhere = make(3).to("meta")
    assert elsewhere(x.to("meta"))[0].device.type == "meta"
    assert elsewhere.sample(2).device.type == "meta"


def test_models_read_no_globals():
    nz, device = 8, torch.device("cpu")  # the notebook's own

    class Global(VAE):
        def __init__(self, latent_dim):
            super().__init__()
            self.encoder, self.decoder = Encoder(2 * nz), Decoder(nz)

        def forward(self, x):
            mu, log_var = self.encode(x)
            noise = torch.randn(len(x), nz, device=device)
            return self.decode(mu + (log_var / 2).exp() * noise), mu, log_var

        def sample(self, num_samples):
            return self.decoder.eval()(torch.randn(num_samples, nz, device=device))

    class OnlyTheDevice(VAE):
        def sample(self, num_samples):
            return self.decoder.eval()(torch.randn(num_samples, self.latent_dim, device=device))

    stands_on_its_own(VAE)
    rejects(stands_on_its_own, Global)
    rejects(stands_on_its_own, OnlyTheDevice, by=RuntimeError)
