"""The Bernoulli VAE: published counts, known nats, bounds against exact answers, and old mistakes.

Where a mistake of the notebook that this assignment grew from can be shown by a program, the test
holds it beside ours: ours meets the requirement, the old way does not.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_course.bernoulli_vae import (
    BernoulliVAE,
    bernoulli_terms,
    binarize,
    binarize_randomly,
    fit,
    importance_weighted_bound,
    log_importance_weights,
    log_marginal,
    make_mlp,
    mean_terms,
    posterior_predictive,
    prior_predictive,
    prior_predictive_given,
    transform,
)
from vae_course.probability import log_mean_exp

LN2 = math.log(2)


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def black_and_white(count, pixels=12, seed=0):
    """Random images in which pixels go together, so that there is something to learn."""
    source = generator(seed)
    kinds = torch.rand(4, pixels, generator=source) < 0.5
    which = torch.randint(0, 4, (count,), generator=source)
    flips = torch.rand(count, pixels, generator=source) < 0.05
    return (kinds[which] ^ flips).float()


def small(pixels=12, hidden=(16,), latent=2, seed=0):
    torch.manual_seed(seed)
    return BernoulliVAE(pixels, hidden, latent)


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


# --- black and white --------------------------------------------------------------------------


def test_the_threshold_and_its_type():
    x = torch.tensor([[0.0, 0.49, 0.5, 0.51, 1.0]])
    before = x.clone()
    assert binarize(x).tolist() == [[0, 0, 0, 1, 1]]
    assert binarize(x, 0.2).tolist() == [[0, 1, 1, 1, 1]]
    assert binarize(x).dtype == torch.float32 and binarize(x.double()).dtype == torch.float64
    assert torch.equal(x, before)


def test_random_black_and_white_has_the_grey_as_its_mean():
    x = torch.linspace(0, 1, 11).repeat(20_000, 1)
    before = x.clone()
    drawn = binarize_randomly(x, generator(1))
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and drawn.dtype == x.dtype
    assert torch.equal(x, before)
    error = (drawn.mean(0) - x[0]).abs()
    assert (error <= 5 * (x[0] * (1 - x[0]) / 20_000).sqrt() + 1e-6).all()
    assert torch.corrcoef(drawn[:, 1:-1].T).sub(torch.eye(9)).abs().max() < 5 / math.sqrt(20_000)
    assert torch.equal(drawn, binarize_randomly(x, generator(1)))
    assert not torch.equal(drawn, binarize_randomly(x, generator(2)))
    assert not torch.equal(binarize_randomly(x), binarize_randomly(x))


# --- the network and its initial scale ----------------------------------------------------------


def test_weights_start_with_the_variance_of_he_and_biases_with_zero():
    layers = [m for m in make_mlp((400, 300, 900, 30)) if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [(400, 300), (300, 900), (900, 30)]
    for layer in layers:
        weights = layer.weight.detach().flatten() / math.sqrt(2 / layer.in_features)
        assert abs(weights.mean()) < 5 / math.sqrt(len(weights))
        assert weights.std().item() == pytest.approx(1, abs=5 / math.sqrt(2 * len(weights)))
        assert stats.kstest(weights.numpy()[:20_000], "norm").pvalue > 1e-4
        assert not layer.bias.any()


def test_the_first_draw_is_another_for_every_network():
    assert not torch.equal(make_mlp((5, 4))[0].weight, make_mlp((5, 4))[0].weight)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_network_of_any_sizes(sizes):
    net = make_mlp(tuple(sizes))
    assert size(net) == sum((a + 1) * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))
    assert net(torch.randn(3, sizes[0])).shape == (3, sizes[-1])
    relus = [m for m in net if isinstance(m, nn.ReLU)]
    assert len(relus) == len(sizes) - 2 and isinstance(net[-1], nn.Linear)


def test_a_signal_keeps_its_scale_through_twenty_layers_and_the_old_scale_does_not():
    """The old notebook's 2 / sqrt(inputs) is sqrt 2 too large at every layer."""

    def gain(net):
        x = torch.randn(64, 300)
        return (net(x).square().mean() / x.square().mean()).item()

    ours = make_mlp((300,) * 21)
    old = make_mlp((300,) * 21)
    for layer in old:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=2 / math.sqrt(layer.in_features))
    assert 0.3 < gain(ours) < 8
    assert gain(old) > 1e5


# --- the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden, latent, count",
    [((200,), 100, 374_984), ((200, 100), 2, 355_588)],
)
def test_published_numbers_of_parameters(hidden, latent, count):
    assert size(BernoulliVAE(784, hidden, latent)) == count


def test_rows_of_the_parameter_table():
    model = BernoulliVAE()
    rows = [weight.numel() + bias.numel() for weight, bias in _pairs(model)]
    assert rows == [157_000, 40_200, 20_200, 157_584]


def _pairs(model):
    parameters = list(model.parameters())
    return zip(parameters[::2], parameters[1::2], strict=True)


@pytest.mark.parametrize("hidden", [(), (7,), (9, 5), (9, 5, 4)])
@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_for_any_number_of_hidden_layers(hidden, batch):
    model = BernoulliVAE(12, hidden, 5)
    for x in (torch.rand(batch, 12), torch.rand(batch, 1, 3, 4)):
        mu, std = model.encode(x)
        assert mu.shape == std.shape == (batch, 5)
        assert model.decode(mu).shape == (batch, 12)
        logits, mu, std = model(x)
        assert logits.shape == (batch, 12) and mu.shape == std.shape == (batch, 5)
    widths = [linear.out_features for linear in model.decoder if isinstance(linear, nn.Linear)]
    assert widths == [*reversed(hidden), 12]  # a mirror image of the encoder


def test_images_and_rows_of_pixels_are_the_same():
    model, x = small(), torch.rand(3, 12)
    for a, b in zip(model.encode(x), model.encode(x.view(3, 1, 4, 3)), strict=True):
        assert torch.equal(a, b)


def test_a_standard_deviation_is_a_softplus_and_never_zero():
    model = small(hidden=())
    linear = model.encoder[0]
    with torch.no_grad():
        linear.bias[2:] = torch.tensor([-200.0, 3.0])
        linear.weight[2:] = 0
    _, std = model.encode(torch.rand(4, 12))
    assert std[:, 0].tolist() == pytest.approx([1e-6] * 4)
    assert std[:, 1].tolist() == pytest.approx([math.log1p(math.exp(3)) + 1e-6] * 4)
    terms = bernoulli_terms(model, black_and_white(4))
    assert all(torch.isfinite(value).all() for value in terms.values())


def test_forward_draws_from_the_posterior_with_its_standard_deviation():
    model = small(pixels=6, hidden=(), latent=2)
    with torch.no_grad():
        model.encoder[0].weight[2:] = 0
        model.encoder[0].bias[2:] = torch.tensor([-3.0, 3.0])
        model.decoder[0].weight.zero_()
        model.decoder[0].weight[:2] = torch.eye(2)
    x = torch.rand(1, 6).expand(20_000, 6)
    logits, mu, std = model(x, generator(3))
    noise = ((logits[:, :2] - mu) / std).detach().double()
    assert std[0, 0] < 0.05 and std[0, 1] > 3
    for column in noise.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4
    assert abs(torch.corrcoef(noise.T)[0, 1]) < 5 / math.sqrt(20_000)


def test_the_generator_decides_the_draw():
    model, x = small(), black_and_white(3)
    assert torch.equal(model(x, generator(1))[0], model(x, generator(1))[0])
    assert not torch.equal(model(x, generator(1))[0], model(x, generator(2))[0])
    state = torch.get_rng_state()
    model(x, generator(1))
    assert torch.equal(state, torch.get_rng_state())


def test_gradients_reach_every_parameter():
    model = small(hidden=(16, 8))
    bernoulli_terms(model, black_and_white(40))["loss"].mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_noise_is_made_where_the_model_is():
    model = small().to("meta")
    x = torch.empty(3, 12, device="meta")
    bernoulli_terms(model, x)["loss"].sum().backward()
    assert prior_predictive(model, 2)[0].device.type == "meta"


# --- the bound's terms --------------------------------------------------------------------------


def silent(pixels=784):
    """A model whose logits are all zero, and whose posterior is the prior but for one mean."""
    model = BernoulliVAE(pixels, (), 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.encoder[0].bias[0] = 2.0
        model.encoder[0].bias[3:] = math.log(math.e - 1)  # softplus gives 1
    return model


def test_logits_of_zero_cost_784_bits():
    terms = bernoulli_terms(silent(), black_and_white(3, 784))
    torch.testing.assert_close(terms["nll"], torch.full((3,), 543.4274))
    torch.testing.assert_close(terms["kl"], torch.full((3,), 2.0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["loss"], torch.full((3,), 545.4274))
    assert 784 * LN2 == pytest.approx(543.4274, abs=1e-4)


def test_terms_agree_with_torch_distributions():
    model, x = small(hidden=(16, 8), latent=3), black_and_white(5)
    logits, mu, std = model(x, generator(1))
    terms = bernoulli_terms(model, x.view(5, 1, 3, 4), generator(1))
    nll = -Bernoulli(logits=logits).log_prob(x).sum(1)
    kl = kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(terms["nll"], nll)
    torch.testing.assert_close(terms["kl"], kl)
    torch.testing.assert_close(terms["loss"], nll + kl)


@pytest.mark.parametrize("logit", [-1e4, -100.0, 100.0, 1e4])
def test_terms_stay_finite_at_huge_logits(logit):
    model = silent(20)
    with torch.no_grad():
        model.decoder[0].bias.fill_(logit)
    x = torch.tensor([[1.0] * 7 + [0.0] * 13])
    terms = bernoulli_terms(model, x)
    wrong = 7 if logit < 0 else 13
    assert terms["nll"].item() == pytest.approx(wrong * abs(logit), rel=1e-6)
    assert torch.isfinite(torch.autograd.grad(terms["loss"].sum(), model.decoder[0].bias)[0]).all()
    # The old way, through probabilities, is infinite there (or cut off at 100 by PyTorch's BCE).
    assert (-Bernoulli(logits=torch.tensor(-1e4)).probs.log()).isinf()


def test_mean_terms_weigh_every_image_alike():
    model = silent(12)
    x = black_and_white(7)
    with torch.no_grad():
        model.decoder[0].bias.copy_(torch.linspace(-2, 2, 12))
    whole = bernoulli_terms(model, x)
    for batch_size in (1, 3, 7, 500):
        got = mean_terms(model, x, batch_size=batch_size)
        for name, values in whole.items():
            assert got[name] == pytest.approx(values.mean().item(), rel=1e-5)
            assert type(got[name]) is float
    assert mean_terms(small(), x) == mean_terms(small(), x)
    assert mean_terms(small(), x, seed=1) != mean_terms(small(), x, seed=2)
    assert all(p.grad is None for p in model.parameters())


# --- fit, and what the old one got wrong --------------------------------------------------------


class Marked(nn.Module):
    """One logit a pixel: images with one white pixel each show in the weights who was trained on.

    `scale` makes the gradients as small as one likes.
    """

    def __init__(self, pixels, scale=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(pixels))
        self.scale = scale
        self.seen = []

    def forward(self, x, generator=None):
        if torch.is_grad_enabled():
            self.seen.append(x.detach().argmax(1).tolist())
        nothing = torch.zeros(len(x), 1)
        return x * self.weight * self.scale, nothing, nothing + 1


def test_the_callers_images_are_untouched_and_labels_still_fit():
    """The old `fit` shuffled its argument in place: images and labels no longer went together."""
    x, labels = black_and_white(10), torch.arange(10)
    x[:, 0] = labels  # an image says which it is
    before = x.clone()
    fit(small(), x, epochs=3, batch_size=4)
    assert torch.equal(x, before) and torch.equal(x[:, 0].long(), labels)

    def old(x):
        np.random.default_rng(0).shuffle(x.numpy())

    old(x)
    assert not torch.equal(x[:, 0].long(), labels)


@pytest.mark.parametrize("count, batch_size", [(10, 4), (3, 64), (8, 4), (5, 1)])
def test_every_image_is_used_once_in_an_epoch_the_last_batch_too(count, batch_size):
    """The old loop ran over count // batch_size batches: of 10 images by 4 it never saw two."""
    model = Marked(count)
    fit(model, torch.eye(count), epochs=3, batch_size=batch_size)
    steps = math.ceil(count / batch_size)
    assert len(model.seen) == 3 * steps
    for epoch in range(3):
        rows = model.seen[epoch * steps : (epoch + 1) * steps]
        assert sorted(sum(rows, [])) == list(range(count))
        assert all(len(row) == batch_size for row in rows[:-1])


def test_each_epoch_has_an_order_of_its_own_and_the_seed_decides():
    orders = []
    for seed in (0, 0, 1):
        model = Marked(20)
        fit(model, torch.eye(20), epochs=2, batch_size=4, seed=seed)
        orders.append(sum(model.seen, []))
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:20] != orders[0][20:]


def test_a_step_is_that_of_rmsprop_on_the_mean_over_the_batch():
    """With gradients far below RMSprop's epsilon a sum would show: 4 times the mean's step."""
    x = torch.eye(8)
    for scale in (1.0, 1e-9):
        model = Marked(8, scale)
        fit(model, x, epochs=1, batch_size=4, learning_rate=0.01)
        gradient = 0.5 * scale / 4  # of the mean loss, for the one white pixel of an image
        step = 0.01 * gradient / (math.sqrt(0.01 * gradient**2) + 1e-8)
        torch.testing.assert_close(model.weight.detach(), torch.full((8,), step), rtol=2e-3, atol=0)
        if scale < 1:
            summed = 0.01 * 4 * gradient / (math.sqrt(0.01) * 4 * gradient + 1e-8)
            assert summed > 3.5 * step


def test_the_history_is_the_negative_bound_per_image_and_falls():
    """The old curve was of a "cost" that rose: the bound itself, with its sign forgotten."""
    x, held_out = black_and_white(200), black_and_white(50)
    model = small(latent=3)
    untrained = mean_terms(model, held_out)
    history = fit(model, x, epochs=15, batch_size=16, learning_rate=3e-3, x_held_out=held_out)
    assert {part: len(entries) for part, entries in history.items()} == {
        "train": 15,
        "held_out": 16,
    }
    assert history["held_out"][0] == untrained
    assert history["held_out"][-1] == mean_terms(model, held_out)
    for part in history.values():
        for entry in part:
            assert set(entry) == {"loss", "nll", "kl"}
            assert all(type(value) is float for value in entry.values())
            assert entry["loss"] == pytest.approx(entry["nll"] + entry["kl"], rel=1e-5)
    losses = [entry["loss"] for entry in history["held_out"]]
    assert min(losses) > 0 and losses[-1] < 0.75 * losses[0]
    # As good as the source allows: four kinds, 5 % of pixels flipped, 2 bits and their entropy.
    floor = 2 * LN2 + 12 * float(stats.entropy([0.05, 0.95]))
    assert losses[-1] > 0.9 * floor


def test_the_history_counts_images_not_batches():
    x = torch.cat([torch.zeros(9, 6), torch.ones(1, 6)])
    model = silent(6)
    with torch.no_grad():
        model.decoder[0].bias.fill_(-3.0)
    history = fit(model, x, epochs=1, batch_size=9, learning_rate=0.0)
    want = bernoulli_terms(model, x)["loss"].mean().item()
    assert history["train"][0]["loss"] == pytest.approx(want, rel=1e-5)
    assert history["held_out"] == []


def test_watching_does_not_change_the_run_and_the_same_call_gives_the_same_model():
    x = black_and_white(20)
    models = [small() for _ in range(3)]
    torch.manual_seed(123)
    fit(models[0], x, epochs=2, batch_size=6)
    fit(models[1], x, epochs=2, batch_size=6, x_held_out=black_and_white(5))
    fit(models[2], x, epochs=2, batch_size=6, seed=1)
    first, second, other = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_redraw_makes_new_images_of_each_batch_and_leaves_held_out_ones_alone():
    grey, held_out = torch.full((6, 40), 0.5), torch.full((2, 40), 0.5)
    seen = []

    def watched(batch, source):
        drawn = binarize_randomly(batch, source)
        seen.append(drawn)
        return drawn

    history = fit(silent(40), grey, 2, batch_size=6, redraw=watched, x_held_out=held_out)
    assert len(seen) == 2 and not torch.equal(*seen)
    assert all(set(drawn.unique().tolist()) == {0, 1} for drawn in seen)
    assert history["held_out"][0]["nll"] == pytest.approx(40 * LN2, rel=1e-5)


# --- looking: samples and probabilities ---------------------------------------------------------


def test_transform_gives_the_means_and_nothing_random():
    model, x = small(), black_and_white(4)
    codes = transform(model, x)
    assert torch.equal(codes, model.encode(x)[0]) and torch.equal(codes, transform(model, x))
    assert not codes.requires_grad


def looks(model):
    x = black_and_white(3)
    return {
        "posterior": lambda source=None: posterior_predictive(model, x, source),
        "prior": lambda source=None: prior_predictive(model, 3, source),
        "given": lambda source=None: prior_predictive_given(model, torch.ones(3, 2), source),
    }


@pytest.mark.parametrize("which", ["posterior", "prior", "given"])
def test_predictive_images_are_black_or_white_and_their_probabilities_between(which):
    look = looks(small())[which]
    samples, probabilities = look(generator(1))
    assert samples.shape == probabilities.shape == (3, 12)
    assert set(samples.unique().tolist()) <= {0.0, 1.0}
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert not samples.requires_grad and not probabilities.requires_grad
    again = look(generator(1))
    assert torch.equal(samples, again[0]) and torch.equal(probabilities, again[1])
    assert not torch.equal(samples, look(generator(2))[0])


def test_samples_follow_the_probabilities_that_come_with_them():
    model = small(pixels=30, latent=2)
    samples, probabilities = prior_predictive(model, 4000, generator(0))
    surprise = (samples - probabilities).double()
    spread = (probabilities * (1 - probabilities)).double()
    for weights in (torch.ones(30), probabilities - 0.5, torch.randn(4000, 30)):
        z_score = (weights * surprise).sum() / (weights.double() ** 2 * spread).sum().sqrt()
        assert abs(z_score) < 5
    drawn = (surprise**2).sum() / spread.sum()  # a threshold at one half makes it smaller
    assert drawn == pytest.approx(1, abs=0.02)


def test_the_prior_predictive_draws_a_code_for_each_image_and_many_in_a_call():
    """The old one gave a single image a call."""
    model = small(pixels=2, hidden=(), latent=2)
    with torch.no_grad():
        model.decoder[0].weight.copy_(torch.eye(2))
    _, probabilities = prior_predictive(model, 5000, generator(2))
    z = torch.logit(probabilities.double())
    for column in z.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4
    assert prior_predictive(model, 1)[0].shape == (1, 2)


def test_given_codes_decode_to_their_own_probabilities():
    model, z = small(), torch.randn(5, 2)
    _, probabilities = prior_predictive_given(model, z)
    torch.testing.assert_close(probabilities, torch.sigmoid(model.decode(z)).detach())


# --- log-mean-exp and the importance-weighted bound ---------------------------------------------


@given(
    st.lists(st.lists(st.floats(-300, 300), min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from([0, 1, -1]),
)
@settings(max_examples=60, deadline=None)
def test_log_mean_exp_agrees_with_scipy_and_lies_between_mean_and_maximum(rows, dim):
    values = torch.tensor(rows, dtype=torch.float64)
    got = log_mean_exp(values, dim)
    want = special.logsumexp(values.numpy(), axis=dim) - math.log(values.shape[dim])
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-9)
    assert (got >= values.mean(dim) - 1e-9).all() and (got <= values.amax(dim) + 1e-9).all()
    shifted = log_mean_exp(values + 5, dim)
    torch.testing.assert_close(shifted, got + 5)


def test_log_mean_exp_survives_where_probabilities_do_not():
    values = torch.tensor([[-1e4, -1e4 + LN2], [1e4, 1e4]])
    got = log_mean_exp(values, 1)
    assert got.tolist() == pytest.approx([-1e4 + math.log(1.5), 1e4])
    assert values.exp().mean(1).log().isinf().all()


def exact(model, x, points=4001):
    """log p(x) of a model with one latent dimension, by adding up over a fine grid of z."""
    z = torch.linspace(-12, 12, points, dtype=torch.float64)[:, None]
    log_prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    logits = model.decode(z)
    log_x = torch.stack([Bernoulli(logits=logits).log_prob(row).sum(1) for row in x], dim=1)
    return torch.logsumexp(log_x + log_prior[:, None], dim=0) + math.log(24 / (points - 1))


def toy(pixels=6):
    """One latent dimension, so that everything about it can be added up exactly.

    The proposals are a little wider than the posteriors, so that no weight is ever huge.
    """
    model = small(pixels, (), 1, seed=3).double()
    with torch.no_grad():
        model.encoder[0].weight *= torch.tensor([[0.3], [0.0]])
        model.encoder[0].bias[1] = 0.8
    x = (torch.rand(5, pixels, generator=generator(4)) < 0.5).double()
    return model, x


def test_the_grid_itself_adds_up_to_one_over_all_images():
    model, _ = toy(6)
    every = torch.tensor([[i >> b & 1 for b in range(6)] for i in range(64)], dtype=torch.float64)
    assert exact(model, every).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_importance_weights_have_the_evidence_as_their_mean():
    model, x = toy()
    weights = log_importance_weights(model, x, 40_000, generator(0)).exp()
    assert weights.shape == (40_000, 5)
    z_scores = (weights.mean(0) - exact(model, x).exp()) / (weights.std(0) / 200)
    assert z_scores.abs().max() < 5


def test_many_samples_reach_the_evidence_and_the_bounds_order_themselves():
    model, x = toy()
    truth = exact(model, x)
    log_weights = log_importance_weights(model, x, 60_000, generator(1)).detach()
    torch.testing.assert_close(importance_weighted_bound(log_weights), truth, rtol=0, atol=0.02)
    by_count = [
        importance_weighted_bound(log_weights.view(count, -1, 5).flatten(1)).view(-1, 5).mean(0)
        for count in (1, 5, 50, 500)
    ]
    for lower, higher in zip(by_count, [*by_count[1:], truth], strict=True):
        assert (lower <= higher + 0.01).all()
    assert (by_count[0] < truth - 0.01).any()  # there is a gap to close
    elbo = -bernoulli_terms(model, x.repeat(40_000, 1), generator(5))["loss"].view(-1, 5)
    error = (elbo.var(0) / 40_000 + log_weights.var(0) / 60_000).sqrt()
    assert ((by_count[0] - elbo.mean(0)).abs() < 5 * error).all()


def test_the_exact_posterior_makes_every_weight_the_evidence():
    """A decoder that ignores z: the posterior is the prior, and the bound has no gap left."""
    model = silent(12)
    with torch.no_grad():
        model.encoder[0].bias[0] = 0.0
        model.decoder[0].bias.copy_(torch.linspace(-3, 3, 12))
    x = black_and_white(4)
    truth = Bernoulli(logits=torch.linspace(-3, 3, 12)).log_prob(x).sum(1)
    for count in (1, 7):
        log_weights = log_importance_weights(model, x, count, generator(count)).detach()
        torch.testing.assert_close(log_weights, truth.expand(count, 4), rtol=1e-4, atol=1e-4)


def test_weights_use_the_logs_of_the_drawn_z_not_the_closed_form():
    """Where the decoder ignores z, log w still scatters: as log p(z) - log q(z|x) does."""
    model = silent(12)  # a mean of 2, variances of 1: log p(z) - log q(z|x) = -2 - 2 noise
    log_weights = log_importance_weights(model, black_and_white(1), 20_000, generator(0)).detach()
    assert log_weights.std().item() == pytest.approx(2, rel=0.03)
    assert log_weights.mean().item() == pytest.approx(-12 * LN2 - 2, abs=0.08)


def test_log_marginal_is_the_bound_in_portions():
    model, x = toy()
    truth = exact(model, x)
    for chunk in (7, 500, 20_000):
        got = log_marginal(model, x, 4000, chunk, generator(2))
        torch.testing.assert_close(got.double(), truth, rtol=0, atol=0.06)
        assert not got.requires_grad
    one = log_marginal(model, x, 10, 5, generator(1))  # 5 images: a sample at a time
    rows = generator(1)
    weights = torch.cat([log_importance_weights(model, x, 1, rows) for _ in range(10)]).detach()
    torch.testing.assert_close(one.double(), importance_weighted_bound(weights))
    assert log_marginal(model, x.repeat(50, 1), 3).shape == (250,)


def test_gradients_pass_through_the_bound():
    model = small(hidden=(16, 8))
    bound = importance_weighted_bound(log_importance_weights(model, black_and_white(40), 3))
    bound.mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_divergence_from_a_standard_deviation_is_not_that_of_a_variance():
    """The old text wrote N(mu, sigma) for both; the code's formula wants the deviation."""
    model, x = small(), black_and_white(3)
    mu, std = model.encode(x)
    right = kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum(1)
    wrong = kl_divergence(Normal(mu, std.sqrt()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(bernoulli_terms(model, x)["kl"], right)
    assert not torch.allclose(right, wrong)


def test_probabilities_in_place_of_logits_are_another_likelihood():
    """Sigmoid before a likelihood that already has one: it looks like training, and is not."""
    logits, x = torch.tensor([[3.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    double = -F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction="sum")
    model = silent(2)
    with torch.no_grad():
        model.decoder[0].bias.copy_(logits[0])
    ours = -bernoulli_terms(model, x)["nll"]
    assert ours.item() == pytest.approx(float(Bernoulli(logits=logits).log_prob(x).sum()), rel=1e-5)
    assert abs(ours.item() - double.item()) > 0.5
