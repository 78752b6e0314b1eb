"""The Keras-style VAE: layer table, padding, losses, the training loop, and equality with Keras.

The mistakes of the published notebook that a program can show each stand in a test in which this
code does right; the tests say which.
"""

import math
import os
import pickle
from importlib.resources import files

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_course.keras_fit import (
    Callback,
    EarlyStopping,
    History,
    KerasAdam,
    Mean,
    ModelCheckpoint,
    fit_model,
)
from vae_course.keras_layers import (
    SameConv2d,
    SameConvTranspose2d,
    glorot_uniform,
    same_padding,
    set_by_formula,
)
from vae_course.keras_model import KerasModel, predict_in_batches, summary_rows
from vae_course.keras_vae import (
    FashionDecoder,
    FashionEncoder,
    KerasVAE,
    Sampling,
    cross_entropy_terms,
    hidden_beta,
    keras_terms,
    manifold_codes,
    quantile_codes,
    seed_loss,
)

SMALL = (1, 8, 12)  # a hundredth of the work of 28x28, and not square


@pytest.fixture(autouse=True)
def one_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def images(count, shape=SMALL, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def small_vae(latent_dim=2, beta=0.392, **settings):
    return KerasVAE(latent_dim, beta, SMALL, **settings)


def posterior(batch=3, k=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, k, generator=generator).unbind()


# --- layers ---------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 6))
def test_padding_is_that_of_tensorflows_guide(size, kernel, stride):
    remainder = size % stride
    total = max(kernel - (stride if remainder == 0 else remainder), 0)
    assert same_padding(size, kernel, stride) == (total // 2, total - total // 2)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 6))
def test_padding_gives_one_output_for_every_stride_pixels_or_part_of_them(size, kernel, stride):
    padded = size + sum(same_padding(size, kernel, stride))
    assert (padded - kernel) // stride + 1 == math.ceil(size / stride)


def test_the_stride_of_two_pads_right_and_below_only():
    assert same_padding(28, 3, 2) == (0, 1)
    conv = SameConv2d(1, 1, 3, stride=2)
    x = torch.randn(2, 1, 28, 28)
    asymmetric = F.conv2d(F.pad(x, (0, 1, 0, 1)), conv.weight, conv.bias, stride=2)
    assert torch.equal(conv(x), asymmetric)
    symmetric = F.conv2d(x, conv.weight, conv.bias, stride=2, padding=1)
    assert conv(x).shape == symmetric.shape and not torch.allclose(conv(x), symmetric)


@settings(deadline=None, max_examples=40)
@given(st.integers(3, 11), st.integers(3, 11), st.integers(1, 5), st.integers(1, 3))
def test_sizes_of_any_shape(height, width, kernel, stride):
    conv = SameConv2d(2, 3, kernel, stride)
    x = torch.zeros(1, 2, height, width)
    assert conv(x).shape == (1, 3, math.ceil(height / stride), math.ceil(width / stride))
    if kernel >= stride:
        back = SameConvTranspose2d(2, 3, kernel, stride)
        assert back(x).shape == (1, 3, height * stride, width * stride)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
def test_the_transposed_convolution_is_the_transpose(height, width, kernel, stride):
    """<conv(x), y> = <x, transposed(y)> for the same weights: the definition, bias aside."""
    kernel = max(kernel, stride)
    conv = SameConv2d(2, 3, kernel, stride).double()
    back = SameConvTranspose2d(3, 2, kernel, stride).double()
    with torch.no_grad():
        back.weight.copy_(conv.weight)
        conv.bias.zero_(), back.bias.zero_()
        x = torch.randn(1, 2, height * stride, width * stride, dtype=torch.float64)
        y = torch.randn(1, 3, height, width, dtype=torch.float64)
        assert torch.allclose((conv(x) * y).sum(), (x * back(y)).sum())


def test_initial_weights_are_glorots_and_biases_zero():
    model = nn.Sequential(nn.Linear(400, 200), nn.Sequential(nn.ConvTranspose2d(40, 30, 3)))
    glorot_uniform(model)
    for layer, fans in ((model[0], 600), (model[1][0], 70 * 9)):
        limit = math.sqrt(6 / fans)
        assert layer.weight.abs().max() <= limit
        assert layer.weight.abs().max() > 0.99 * limit
        assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
        assert not layer.bias.any()


def test_a_code_has_the_standard_deviation_that_its_log_variance_says():
    """The notebook calls its log-variance sigma, and says "mu + sigma squared x eps"."""
    mu = torch.full((40_000, 3), 2.0)
    log_var = torch.tensor([0.01, 1.0, 9.0]).log().expand_as(mu)
    z = Sampling()(mu, log_var, torch.Generator().manual_seed(0))
    assert z.mean(0).tolist() == pytest.approx([2, 2, 2], abs=0.06)
    assert z.std(0).tolist() == pytest.approx([0.1, 1, 3], rel=0.02)
    for column in ((z - mu) / (log_var / 2).exp()).T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4


def test_noise_is_fresh_for_every_image_dimension_and_call():
    layer, zeros = Sampling(), torch.zeros(6, 4)
    first, second = layer(zeros, zeros), layer(zeros, zeros)
    assert len(torch.cat([first, second]).unique()) == 48
    again = [layer(zeros, zeros, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*again)


# --- the table ------------------------------------------------------------------------------

ENCODER = [
    ("conv1", "SameConv2d", (32, 28, 28), 320),
    ("conv2", "SameConv2d", (64, 14, 14), 18_496),
    ("conv3", "SameConv2d", (64, 14, 14), 36_928),
    ("conv4", "SameConv2d", (64, 14, 14), 36_928),
    ("flatten", "Flatten", (12_544,), 0),
    ("dense", "Linear", (32,), 401_440),
    ("mu", "Linear", (2,), 66),
    ("log_var", "Linear", (2,), 66),
]
DECODER = [
    ("dense", "Linear", (12_544,), 37_632),
    ("reshape", "Unflatten", (64, 14, 14), 0),
    ("deconv1", "SameConvTranspose2d", (32, 28, 28), 18_464),
    ("deconv2", "SameConvTranspose2d", (1, 28, 28), 289),
]


def test_the_layer_table_row_by_row():
    x = torch.zeros(1, 1, 28, 28)
    assert summary_rows(FashionEncoder(), x) == ENCODER
    assert summary_rows(FashionDecoder(), torch.zeros(1, 2)) == DECODER
    assert sum(row[3] for row in ENCODER) == 494_244
    assert sum(row[3] for row in DECODER) == 56_385
    assert sum(parameter.numel() for parameter in KerasVAE().parameters()) == 550_629


def test_the_summary_is_keras_table(capsys):
    assert KerasVAE().summary() is None
    text = capsys.readouterr().out
    assert "Layer (type)" in text and "Output Shape" in text and "Param #" in text
    for name, kind, shape, count in ENCODER:
        line = next(line for line in text.splitlines() if f" encoder.{name} (" in line)
        assert kind in line and f"{count:,}" in line
        assert str((None, *shape)) in line
    assert "Total params: 550,629 (2.10 MB)" in text
    assert "Non-trainable params: 0" in text
    assert len({len(line) for line in text.splitlines() if line[0] in "┏┃┡│├└"}) == 1


@pytest.mark.parametrize("shape", [(1, 8, 12), (3, 6, 4), (2, 2, 2)])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_other_images_and_other_codes(shape, latent_dim):
    """Width and height are swapped in the notebook, which only squares forgive."""
    vae = KerasVAE(latent_dim, image_shape=shape)
    for batch in (1, 3):
        x_hat, mu, log_var = vae(images(batch, shape))
        assert x_hat.shape == (batch, *shape)
        assert mu.shape == log_var.shape == (batch, latent_dim)
        assert 0 < x_hat.min() and x_hat.max() < 1


def test_untrained_heads_are_apart_and_unbounded():
    mu, log_var = FashionEncoder(16)(images(8, (1, 28, 28)))
    assert not torch.allclose(mu, log_var)
    for part in (mu, log_var):
        assert (part < 0).any() and (part > 0).any()


# --- losses ---------------------------------------------------------------------------------


def test_terms_are_log_probabilities_and_divergences_for_each_image():
    """The notebook's loss flattens the batch, so an image's own loss is not to be had."""
    mu, log_var = posterior()
    x, x_hat = images(3).round(), images(3, seed=1).clamp(0.01, 0.99)
    terms = cross_entropy_terms(x, x_hat, mu, log_var, beta=2.5)
    nll = -Bernoulli(probs=x_hat).log_prob(x).flatten(1).sum(1)
    kl = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(terms["nll"], nll, rtol=1e-5)
    assert torch.allclose(terms["kl"], kl, rtol=1e-5)
    assert torch.allclose(terms["loss"], nll + 2.5 * kl, rtol=1e-5)
    assert all(values.shape == (3,) for values in terms.values())
    weighted = (terms["loss"] * torch.tensor([1.0, 0.0, 3.0])).sum()
    assert torch.isfinite(weighted)


def test_an_undecided_decoder_costs_log_two_per_pixel():
    x, half = images(2, (1, 28, 28)), torch.full((2, 1, 28, 28), 0.5)
    nothing = torch.zeros(2, 2)
    nll = cross_entropy_terms(x, half, nothing, nothing)["nll"]
    assert nll.tolist() == pytest.approx([784 * math.log(2)] * 2, rel=1e-6)  # 543.43


def test_the_best_possible_cross_entropy_of_a_grey_image_is_its_entropy_and_not_zero():
    x = images(4)
    nothing = torch.zeros(4, 1)
    floor = cross_entropy_terms(x, x, nothing, nothing)["nll"]
    entropy = stats.entropy(torch.stack([x, 1 - x]).double().numpy(), axis=0).sum((1, 2, 3))
    assert floor.tolist() == pytest.approx(entropy.tolist(), rel=1e-5)
    for other in (x * 0.9, (x + 0.01).clamp(max=1), x.round()):
        assert (cross_entropy_terms(x, other, nothing, nothing)["nll"] > floor).all()


def test_pixels_of_exactly_zero_and_one_cost_a_finite_amount():
    x = torch.tensor([[[[0.0, 1.0]]]])
    terms = cross_entropy_terms(x, 1 - x, torch.zeros(1, 2), torch.zeros(1, 2))
    assert torch.isfinite(terms["loss"]).all()


def test_the_published_loss_is_what_its_formula_says():
    mu, log_var = posterior(4, 2)
    x, x_hat = images(4), images(4, seed=1)
    cross = -(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).double().mean()
    mean_type = (1 + log_var - mu**2 - log_var.exp()).double().mean(1)
    want = (cross - 5e-4 * mean_type).mean()
    assert seed_loss(x, x_hat, mu, log_var).shape == ()
    assert seed_loss(x, x_hat, mu, log_var).item() == pytest.approx(want.item(), rel=1e-5)


@given(st.integers(1, 30), st.integers(2, 20))
@settings(deadline=None, max_examples=30)
def test_the_published_loss_hides_a_beta_that_depends_on_the_latent_dimensions(k, side):
    mu, log_var = posterior(4, k)
    x, x_hat = images(4, (1, side, 7)), images(4, (1, side, 7), seed=1)
    num_pixels = 7 * side
    beta = hidden_beta(k, num_pixels)
    honest = cross_entropy_terms(x, x_hat, mu, log_var, beta)["loss"].mean()
    scaled = num_pixels * seed_loss(x, x_hat, mu, log_var)
    assert scaled.item() == pytest.approx(honest.item(), rel=1e-4)


def test_the_hidden_beta_in_numbers():
    assert hidden_beta(2) == pytest.approx(0.392)
    assert hidden_beta(5) == pytest.approx(0.784 / 5)
    assert hidden_beta(10) == pytest.approx(0.0784)


def test_five_latent_dimensions_change_neither_beta_nor_scale():
    two, five = small_vae(2), small_vae(5)
    assert two.beta == five.beta == 0.392
    x = images(6)
    for vae in (two, five):
        terms = keras_terms(vae, x)
        ratio = (terms["loss"] - terms["nll"]) / terms["kl"]
        assert torch.allclose(ratio, torch.tensor(0.392), rtol=0.05)
    # The same posterior in more dimensions: each adds its own divergence, and the pixels' part
    # stays what it was. In the published loss the divergence would be divided among them.
    mu, log_var = posterior(4, 1)
    one = cross_entropy_terms(x[:4], x[:4], mu, log_var)
    many = cross_entropy_terms(x[:4], x[:4], mu.repeat(1, 5), log_var.repeat(1, 5))
    assert torch.allclose(many["kl"], 5 * one["kl"])
    assert torch.equal(many["nll"], one["nll"])
    thin = seed_loss(x[:4], x[:4], mu, log_var) - one["nll"].mean() / 96
    thick = seed_loss(x[:4], x[:4], mu.repeat(1, 5), log_var.repeat(1, 5)) - one["nll"].mean() / 96
    assert thick.item() == pytest.approx(thin.item(), abs=1e-7)


def test_terms_belong_to_the_model_and_not_to_whatever_was_last_encoded():
    """The notebook's loss layer reads z_mu and z_sigma from global variables."""
    first, second = small_vae(), small_vae()
    x = images(3)
    before = keras_terms(first, x, torch.Generator().manual_seed(1))
    keras_terms(second, images(3, seed=9))
    after = keras_terms(first, x, torch.Generator().manual_seed(1))
    assert torch.equal(before["loss"], after["loss"])


# --- metrics, fit, evaluate, predict --------------------------------------------------------


def test_a_mean_counts_examples_and_not_batches():
    mean = Mean("loss")
    assert math.isnan(mean.result())
    mean.update_state(torch.tensor([1.0, 2.0, 3.0]))
    mean.update_state(torch.tensor([10.0]))
    assert mean.result() == 4.0 and isinstance(mean.result(), float)
    mean.reset_state()
    mean.update_state(torch.tensor([7.0], requires_grad=True))
    assert mean.result() == 7.0
    assert pickle.loads(pickle.dumps(mean)).result() == 7.0  # no graph hangs on it


class Recorder(KerasModel):
    """Learns nothing, and notes which numbers it is shown, in which mode."""

    image_shape = (1, 1, 1)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.loss_tracker = Mean("loss")
        self.trained, self.tested = [], []

    def train_step(self, batch):
        assert self.training and torch.is_grad_enabled()
        self.trained.append(batch.flatten().tolist())
        self.loss_tracker.update_state(batch.flatten())

    def test_step(self, batch):
        assert not self.training and not torch.is_grad_enabled()
        self.tested.append(batch.flatten().tolist())
        self.loss_tracker.update_state(batch.flatten())


def numbered(count):
    return (torch.arange(count) / count).view(-1, 1, 1, 1)


def test_the_last_part_is_held_out_and_the_rest_is_shuffled_afresh_every_epoch():
    model, x = Recorder(), numbered(11)
    model.compile()
    history = model.fit(x, epochs=3, batch_size=3, validation_split=0.3, verbose=False)
    epochs = [model.trained[i : i + 3] for i in (0, 3, 6)]
    assert [len(batch) for batch in epochs[0]] == [3, 3, 1]
    orders = [sum(epoch, []) for epoch in epochs]
    assert all(sorted(order) == x.flatten()[:7].tolist() for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert [sum(model.tested, [])] == [x.flatten()[7:].tolist() * 3]
    assert history.epoch == [0, 1, 2]
    assert history.history["loss"] == pytest.approx([x[:7].mean().item()] * 3)
    assert history.history["val_loss"] == pytest.approx([x[7:].mean().item()] * 3)


def test_the_split_is_keras_own():
    model = Recorder()
    fit_model(model, numbered(60), batch_size=60, validation_split=0.2, verbose=False)
    assert (len(model.trained[0]), len(model.tested[0])) == (48, 12)
    model = Recorder()
    with pytest.raises(ValueError, match=r"leaves nothing to\s+train on"):
        model.compile()
        model.image_shape = (1, 1, 1)
        model.fit(numbered(10) / 10, validation_split=0.9, verbose=False)  # int(10 * (1 - 0.9)) = 0


@pytest.mark.parametrize("split", [0.0, 0.25])
def test_orders_come_from_a_generator_of_their_own(split):
    before = torch.get_rng_state()
    fit_model(Recorder(), numbered(10), 2, 3, split, verbose=False)
    assert torch.equal(before, torch.get_rng_state())


def test_without_a_split_there_is_no_validation():
    model = Recorder()
    model.compile()
    assert set(model.fit(numbered(5), verbose=False).history) == {"loss"}
    assert not model.tested


def test_the_same_seed_gives_the_same_run():
    """The notebook sets no seed."""
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        vae = small_vae()
        vae.compile()
        vae.fit(images(12), epochs=2, batch_size=5, seed=4, verbose=False)
        states.append(torch.cat([p.flatten() for p in vae.parameters()]))
    assert torch.equal(*states)


def test_training_goes_down_and_its_parts_are_told_apart():
    vae = small_vae()
    vae.compile(learning_rate=5e-3)
    x = images(1).expand(16, -1, -1, -1).contiguous()
    history = vae.fit(x, epochs=12, batch_size=4, validation_split=0.25, verbose=False).history
    assert set(history) == {"loss", "nll", "kl", "val_loss", "val_nll", "val_kl"}
    assert history["loss"][-1] < 0.97 * history["loss"][0]
    assert all(isinstance(value, float) for values in history.values() for value in values)
    for prefix in ("", "val_"):
        parts = zip(*(history[prefix + name] for name in ("loss", "nll", "kl")), strict=True)
        for loss, nll, kl in parts:
            assert loss == pytest.approx(nll + 0.392 * kl, rel=1e-5)


def test_evaluation_never_changes_the_model():
    vae = small_vae()
    vae.compile()
    vae.fit(images(8), verbose=False)
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    slots = {id(p): vae.optimizer.state[p]["step"].clone() for p in vae.parameters()}
    for training in (True, False):
        vae.train(training)
        results = vae.evaluate(images(7, seed=2), batch_size=3)
        assert set(results) == {"loss", "nll", "kl"}
        vae.predict(images(7))
        assert vae.training is training
    assert all(torch.equal(value, before[name]) for name, value in vae.state_dict().items())
    assert all(torch.equal(vae.optimizer.state[p]["step"], slots[id(p)]) for p in vae.parameters())


def test_validation_images_teach_nothing():
    """With other held-out images, and equal noise, training ends at the same weights."""
    ends = []
    for seed in (1, 2):
        torch.manual_seed(0)
        vae = small_vae()
        vae.compile()
        vae.fit(torch.cat([images(9), images(3, seed=seed)]), 2, 4, 0.25, verbose=False)
        ends.append(torch.cat([p.flatten() for p in vae.parameters()]))
    assert torch.equal(*ends)


def test_evaluate_is_the_mean_over_the_images():
    vae = small_vae()
    x = images(7)
    torch.manual_seed(5)
    got = vae.evaluate(x, batch_size=7)
    torch.manual_seed(5)
    want = keras_terms(vae, x)["loss"].mean().item()
    assert got["loss"] == pytest.approx(want, rel=1e-6)


def test_predict_reconstructs_and_does_not_hand_back_its_input():
    """The notebook's model returns x itself: `predict` would look perfect untrained."""
    vae, x = small_vae(), images(5)
    x_hat = vae.predict(x, batch_size=2)
    assert x_hat.shape == x.shape and not x_hat.requires_grad
    assert (x_hat - x).abs().mean() > 0.05
    assert torch.equal(x_hat, vae.predict(x, batch_size=2))
    with torch.no_grad():
        assert torch.allclose(x_hat, vae.decoder(vae.encoder(x)[0]))


def test_predictions_of_a_module_with_two_outputs():
    vae, x = small_vae(), images(5)
    mu, log_var = predict_in_batches(vae.encoder, x, batch_size=2)
    assert mu.shape == log_var.shape == (5, 2)
    assert torch.allclose(mu, vae.encoder(x)[0], atol=1e-6)


def test_a_progress_bar_and_a_line_an_epoch(capsys):
    vae = small_vae()
    vae.compile()
    vae.fit(images(6), epochs=2, batch_size=2, validation_split=0.5)
    out, err = capsys.readouterr()
    assert out.startswith("Epoch 1/2  loss ") and "val_loss" in out
    assert len(out.splitlines()) == 2
    assert "2/2" in err
    vae.fit(images(6), verbose=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.permute(0, 2, 3, 1), "permute"),
        (lambda x: (x * 255).to(torch.uint8), "float"),
        (lambda x: x * 255, "between 0 and 1"),
        (lambda x: x[:0], "at least one image"),
        (lambda x: x.flatten(1), "shape"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(change, words):
    vae = small_vae()
    vae.compile()
    with pytest.raises(ValueError, match=words):
        vae.fit(change(images(4)), verbose=False)


def test_other_wrong_uses_are_refused():
    vae = small_vae()
    with pytest.raises(RuntimeError, match="compile"):
        vae.fit(images(4))
    with pytest.raises(ValueError, match="optimiser 'sgdd'"):
        vae.compile("sgdd")
    vae.compile()
    for split in (1.0, -0.1, 0.9):
        with pytest.raises(ValueError, match="validation_split"):
            vae.fit(images(4), validation_split=split)
    vae.compile(torch.optim.SGD(vae.parameters(), lr=0.1))
    assert isinstance(vae.optimizer, torch.optim.SGD)


# --- callbacks ------------------------------------------------------------------------------


class Script(KerasModel):
    """Its validation loss follows a script, and its one weight is the number of its epoch."""

    image_shape = (1, 1, 1)

    def __init__(self, values, train=None):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), -1.0))
        self.values, self.train_values = values, train or [-i for i in range(len(values))]
        self.loss_tracker = Mean("loss")
        self.done = -1

    def train_step(self, batch):
        self.done += 1
        with torch.no_grad():
            self.weight += 1
        self.loss_tracker.update_state(torch.full((1,), float(self.train_values[self.done])))

    def test_step(self, batch):
        self.loss_tracker.update_state(torch.full((1,), float(self.values[self.done])))


def run_script(values, callback, epochs=None):
    model = Script(values)
    model.compile()
    settings = {"batch_size": 9, "validation_split": 0.5, "callbacks": [callback]}
    history = model.fit(numbered(4), epochs or len(values), verbose=False, **settings)
    return model, history


@pytest.mark.parametrize(
    ("values", "patience", "num_epochs", "best"),
    [
        ([5, 4, 3, 2, 1], 0, 5, 4),
        ([5, 4, 6, 1, 0], 0, 3, 1),
        ([5, 4, 6, 1, 0], 1, 3, 1),
        ([5, 4, 6, 7, 0], 2, 4, 1),
        ([5, 4, 6, 3, 7, 2, 8, 9, 9], 2, 8, 5),
        ([5, 5, 5, 5], 2, 3, 0),
        ([5, math.nan, math.nan, 1], 2, 3, 0),
        ([math.nan, math.nan], 3, 2, 1),
        ([5, 4, 6], 5, 3, 1),
    ],
)
def test_early_stopping_waits_stops_and_restores(values, patience, num_epochs, best):
    model, history = run_script(values, EarlyStopping(patience=patience))
    assert len(history.epoch) == num_epochs
    assert model.weight.item() == best


def test_early_stopping_does_not_listen_to_the_training_loss():
    # It falls all the time in this script.
    model, history = run_script([1, 2, 3, 4], EarlyStopping(patience=2))
    assert history.history["loss"] == [0, -1, -2]
    assert model.weight.item() == 0


def test_early_stopping_can_be_used_again():
    callback = EarlyStopping()
    run_script([1, 2], callback)
    model, history = run_script([7, 6, 8], callback)
    assert len(history.epoch) == 3 and model.weight.item() == 1
    callback = EarlyStopping(patience=5)
    run_script([1, 2], callback)
    assert run_script([math.nan, math.nan], callback)[0].weight.item() == 1


def test_a_checkpoint_is_the_best_epoch_and_needs_no_pickle(tmp_path):
    path = tmp_path / "new folder" / "vae.pt"
    run_script([5, 3, 4, 2, 9], ModelCheckpoint(path))
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 3 and content["logs"]["val_loss"] == 2
    assert content["weights"]["weight"].item() == 3
    fresh = Script([0])
    fresh.load_weights(path)
    assert fresh.weight.item() == 3
    assert [file.name for file in path.parent.iterdir()] == ["vae.pt"]


def test_every_epoch_is_saved_when_asked(tmp_path):
    path = tmp_path / "vae.pt"
    run_script([5, 6, 7], ModelCheckpoint(path, save_best_only=False))
    assert torch.load(path, weights_only=True)["epoch"] == 2


def test_a_failed_save_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "vae.pt"
    run_script([5], ModelCheckpoint(path))
    old = path.read_bytes()
    write = torch.save

    def die(content, file):
        write(content, file)
        file.write_bytes(file.read_bytes()[:100])
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", die)
    with pytest.raises(OSError, match="no space"):
        run_script([1], ModelCheckpoint(path))
    assert path.read_bytes() == old


def test_callbacks_are_told_in_order():
    events = []

    class Listener(Callback):
        def set_model(self, model):
            super().set_model(model)
            events.append("model")

        def on_train_begin(self):
            events.append("begin")

        def on_epoch_end(self, epoch, logs):
            events.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

        def on_train_end(self):
            events.append("end")

    run_script([1, 2, 3, 4], Listener())
    names = ["loss", "val_loss"]
    assert events == ["model", "begin", (0, names), (1, names), "end"]


def test_a_history_starts_empty_and_grows():
    history = History()
    history.record(0, {"loss": 2.0})
    history.record(1, {"loss": 1.0})
    assert (history.epoch, history.history) == ([0, 1], {"loss": [2.0, 1.0]})


# --- the map --------------------------------------------------------------------------------


@given(st.integers(2, 60), st.floats(1e-4, 0.4))
def test_quantiles_part_the_prior_evenly(num, tail):
    values = quantile_codes(num, tail).double().numpy()
    want = stats.norm.ppf(np.linspace(tail, 1 - tail, num))
    assert values.shape == (num,)
    assert np.allclose(values, want, atol=2e-3)
    assert np.allclose(values, -values[::-1], atol=2e-3) and (np.diff(values) > 0).all()


def test_the_maps_rows_run_downwards_and_its_columns_to_the_right():
    codes = manifold_codes(torch.tensor([-1.0, 0.0, 2.0]))
    assert codes.tolist() == [
        *([-1, 2], [0, 2], [2, 2]),
        *([-1, 0], [0, 0], [2, 0]),
        *([-1, -1], [0, -1], [2, -1]),
    ]


def test_our_map_shows_what_the_prior_holds_and_the_published_grid_does_not():
    def share_off_the_prior(values):  # cells farther out than 99 % of all codes
        return (manifold_codes(values).norm(dim=1) > stats.chi(2).ppf(0.99)).double().mean()

    assert share_off_the_prior(torch.linspace(-5, 5, 20)) > 0.7
    assert share_off_the_prior(quantile_codes(20)) < 0.02


def test_the_whole_map_is_decoded_in_one_call():
    """The notebook calls its decoder 400 times."""
    decoder = FashionDecoder(2, SMALL)
    calls = []
    decoder.register_forward_hook(lambda *_: calls.append(1))
    codes = manifold_codes(quantile_codes(20))
    sheet = predict_in_batches(decoder, codes, batch_size=400)
    assert sheet.shape == (400, *SMALL) and len(calls) == 1
    with torch.no_grad():
        assert torch.allclose(sheet[7], decoder(codes[7:8])[0], atol=1e-6)


# --- the optimiser --------------------------------------------------------------------------


def test_adam_is_the_one_with_epsilon_hat():
    """The last formula of section 2 of Kingma and Ba (2015), on gradients as small as epsilon."""
    gradients = torch.tensor([1e-8, 1e-6, 1e-3, 1.0], dtype=torch.float64)
    weight = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = KerasAdam([weight], lr=0.1)
    m = v = torch.zeros(4, dtype=torch.float64)
    want = torch.zeros(4, dtype=torch.float64)
    for t in range(1, 6):
        g = gradients * (-1) ** t * t
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        want = want - rate * m / (v.sqrt() + 1e-7)
        weight.grad = g
        optimizer.step()
    assert torch.allclose(weight.data, want, rtol=1e-9, atol=0)
    plain = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    assert plain.defaults["eps"] == 1e-8  # what one gets without thinking of it


def test_the_optimiser_resumes_from_its_state():
    def run(steps, interrupt):
        weight = nn.Parameter(torch.ones(3))
        optimizer = KerasAdam([weight])
        for step in range(steps):
            if step == interrupt:
                state = optimizer.state_dict()
                optimizer = KerasAdam([weight])
                optimizer.load_state_dict(state)
            weight.grad = weight.detach() * 1e-6
            optimizer.step()
        return weight.detach()

    assert torch.equal(run(6, interrupt=3), run(6, interrupt=99))


# --- the same numbers as Keras --------------------------------------------------------------


@pytest.fixture(scope="module")
def keras():
    """Keras 3 on PyTorch, if it is installed; the backend is chosen before its first import.

    Before 3.15 Keras on PyTorch cropped transposed convolutions otherwise than on TensorFlow.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", minversion="3.15")
    if keras.backend.backend() != "torch":
        pytest.skip("this comparison needs Keras on PyTorch: KERAS_BACKEND=torch")
    return keras


def build_keras(keras, latent_dim, shape):
    """The published network as one would write it today, with the noise as a second input."""
    channels, height, width = shape
    layers = keras.layers
    picture = keras.Input((height, width, channels))
    h = layers.Conv2D(32, 3, padding="same", activation="relu")(picture)
    h = layers.Conv2D(64, 3, padding="same", activation="relu", strides=2)(h)
    h = layers.Conv2D(64, 3, padding="same", activation="relu")(h)
    h = layers.Conv2D(64, 3, padding="same", activation="relu")(h)
    h = layers.Dense(32, activation="relu")(layers.Flatten()(h))
    mu, log_var = layers.Dense(latent_dim)(h), layers.Dense(latent_dim)(h)
    encoder = keras.Model(picture, [mu, log_var])

    code = keras.Input((latent_dim,))
    h = layers.Dense(height // 2 * (width // 2) * 64, activation="relu")(code)
    h = layers.Reshape((height // 2, width // 2, 64))(h)
    h = layers.Conv2DTranspose(32, 3, padding="same", activation="relu", strides=2)(h)
    image = layers.Conv2DTranspose(channels, 3, padding="same", activation="sigmoid")(h)
    decoder = keras.Model(code, image)

    noise = keras.Input((latent_dim,))
    z = mu + keras.ops.exp(log_var / 2) * noise
    return encoder, decoder, keras.Model([picture, noise], [decoder(z), mu, log_var])


def copied_weights(keras_model, shape):
    """Keras's weights, in the order and the layout of ours.

    Keras keeps channels last, so kernels are transposed; and it flattens and reshapes maps as
    (row, column, channel), ours as (channel, row, column), so the two dense layers beside them
    have their 12,544 places reordered.
    """
    _, height, width = shape
    maps = (height // 2, width // 2, 64)
    for variable in keras_model.weights:
        weight = variable.value.detach().clone()
        if weight.ndim == 4:  # Conv2D: (kh, kw, in, out); Conv2DTranspose: (kh, kw, out, in)
            weight = weight.permute(3, 2, 0, 1)
        elif weight.ndim == 2:
            inputs, outputs = weight.shape
            if inputs == math.prod(maps):
                weight = weight.view(*maps, outputs).permute(2, 0, 1, 3).reshape(inputs, outputs)
            if outputs == math.prod(maps):
                weight = weight.view(inputs, *maps).permute(0, 3, 1, 2).reshape(inputs, outputs)
            weight = weight.T
        elif len(weight) == math.prod(maps):
            weight = weight.view(maps).permute(2, 0, 1).flatten()
        yield weight.contiguous()


def copy_weights(encoder, decoder, ours):
    pairs = ((encoder, ours.encoder), (decoder, ours.decoder))
    with torch.no_grad():
        for theirs, part in pairs:
            for mine, weight in zip(
                part.parameters(), copied_weights(theirs, ours.image_shape), strict=True
            ):
                mine.copy_(weight)


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def channels_first(x):
    return x.detach().permute(0, 3, 1, 2)


def pair(keras, latent_dim=2, shape=(1, 28, 28)):
    keras.utils.set_random_seed(3)
    encoder, decoder, theirs = build_keras(keras, latent_dim, shape)
    rng = np.random.default_rng(0)
    for model in (encoder, decoder):  # biases of zero would hide a mistake in them
        for variable in model.weights:
            if len(variable.shape) == 1:
                variable.assign(0.1 * rng.normal(size=variable.shape))
    ours = KerasVAE(latent_dim, image_shape=shape)
    copy_weights(encoder, decoder, ours)
    return encoder, decoder, theirs, ours


def keras_seed_loss(keras, x, x_hat, mu, log_var):
    ops = keras.ops
    flat = (ops.reshape(x, (-1,)), ops.reshape(x_hat, (-1,)))
    cross_entropy = keras.losses.binary_crossentropy(*flat)
    mean_type = ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    return ops.mean(cross_entropy - 5e-4 * mean_type)


def keras_nats(keras, x, x_hat, mu, log_var, beta):
    ops = keras.ops
    cross_entropy = ops.sum(keras.losses.binary_crossentropy(x, x_hat), axis=(1, 2)) * x.shape[-1]
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=1)
    return cross_entropy + beta * kl


def test_keras_has_the_parameters_of_the_table(keras):
    encoder, decoder, theirs, ours = pair(keras)
    assert encoder.count_params() == 494_244
    assert decoder.count_params() == 56_385
    assert theirs.count_params() == sum(p.numel() for p in ours.parameters()) == 550_629


@pytest.mark.parametrize(("latent_dim", "shape"), [(2, (1, 28, 28)), (5, (3, 8, 12))])
def test_the_same_weights_give_the_same_outputs_as_keras(keras, latent_dim, shape):
    encoder, decoder, _, ours = pair(keras, latent_dim, shape)
    x, z = images(4, shape), torch.randn(4, latent_dim)
    with torch.no_grad():
        for mine, theirs in zip(ours.encoder(x), encoder(channels_last(x)), strict=True):
            assert torch.allclose(mine, torch.as_tensor(theirs), atol=1e-5)
        assert torch.allclose(ours.decoder(z), channels_first(decoder(z)), atol=1e-5)


def formula_weights(keras_model, shape):
    """The weights of `set_by_formula` for a Keras model, worked out anew and laid out as Keras's.

    This undoes what `copied_weights` does.
    """
    maps = (64, shape[1] // 2, shape[2] // 2)
    places = np.arange(math.prod(maps)).reshape(maps).transpose(1, 2, 0).flatten()
    for variable in keras_model.weights:
        size = tuple(variable.shape)
        turned = (size[3], size[2], *size[:2]) if len(size) == 4 else size[::-1]
        field = math.prod(turned[2:])
        scale = 2 * math.sqrt(6 / (turned[0] + turned[1]) / field) if len(size) > 1 else 0.1
        values = scale * np.cos(np.arange(math.prod(size), dtype=float) ** 2).reshape(turned)
        values = values.transpose(2, 3, 1, 0) if len(size) == 4 else values.T
        if values.shape[0] == len(places):
            values = values[places]
        elif values.shape[-1] == len(places):
            values = values[:, places]
        yield variable, values


def test_the_numbers_in_the_notebook_are_those_of_keras(keras):
    encoder, decoder, _ = build_keras(keras, 2, SMALL)
    for model in (encoder, decoder):
        for variable, values in formula_weights(model, SMALL):
            variable.assign(values)
    x = (torch.arange(96.0).square().cos().view(1, *SMALL) + 1) / 2
    z = torch.tensor([[1.0, -2.0]])
    mu, log_var = (torch.as_tensor(part).detach() for part in encoder(channels_last(x)))
    image = channels_first(decoder(z))
    pixels = [image[0, 0, row, column].item() for row, column in ((0, 0), (0, 1), (1, 0), (-1, -1))]
    notebook = files("vae_course.authoring").joinpath("assignments/ps4.md").read_text("utf-8")
    for numbers in (mu[0].tolist(), pixels):
        assert ", ".join(f"{number:.4f}" for number in numbers) in notebook, numbers

    ours = KerasVAE(image_shape=SMALL)
    set_by_formula(ours)
    with torch.no_grad():
        assert torch.allclose(torch.cat(ours.encoder(x)), torch.cat([mu, log_var]), atol=1e-4)
        assert torch.allclose(ours.decoder(z), image, atol=1e-5)


def test_keras_counts_bad_epochs_as_ours_does(keras):
    class Watched:
        stop_training = False

    for patience in range(4):
        for values in ([5, 4, 6, 7, 8, 9, 10], [5, 6, 4, 5, 5, 3, 3, 3, 3], [3, 2, 1]):
            callback = keras.callbacks.EarlyStopping("val_loss", patience=patience, mode="min")
            callback.set_model(Watched())
            callback.on_train_begin()
            num_epochs = 0
            for epoch, value in enumerate(values):
                callback.on_epoch_end(epoch, {"val_loss": value})
                num_epochs += 1
                if callback.model.stop_training:
                    break
            history = run_script(values, EarlyStopping(patience=patience))[1]
            assert len(history.epoch) == num_epochs, (patience, values)


def test_the_same_losses_as_keras(keras):
    _, _, theirs, ours = pair(keras)
    x = images(4, (1, 28, 28))
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4, 2, generator=generator)
    x_hat, mu, log_var = theirs([channels_last(x), noise])
    with torch.no_grad():
        outputs = ours(x, torch.Generator().manual_seed(1))
        published = keras_seed_loss(keras, channels_last(x), x_hat, mu, log_var)
        assert seed_loss(x, *outputs).item() == pytest.approx(float(published), rel=1e-5)
        nats = keras_nats(keras, channels_last(x), x_hat, mu, log_var, 0.392)
        mine = keras_terms(ours, x, torch.Generator().manual_seed(1))["loss"]
        assert torch.allclose(mine, torch.as_tensor(nats), rtol=1e-5)
        assert 784 * float(published) == pytest.approx(mine.mean().item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["nats", "published"])
def test_the_same_training_steps_as_keras(keras, loss):
    """Five steps of Keras's own Adam, and five of ours: with the course's loss, and the seed's."""
    shape = (1, 12, 12)
    encoder, decoder, theirs, ours = pair(keras, shape=shape)
    ours.compile()
    optimizer = keras.optimizers.Adam()
    variables = theirs.trainable_variables
    optimizer.build(variables)
    x = images(4, shape)
    for step in range(5):
        torch.manual_seed(step)
        noise = torch.randn(4, 2)
        theirs.zero_grad()
        x_hat, mu, log_var = theirs([channels_last(x), noise])
        outputs = (channels_last(x), x_hat, mu, log_var)
        if loss == "nats":
            theirs_loss = keras.ops.mean(keras_nats(keras, *outputs, 0.392))
        else:
            theirs_loss = keras_seed_loss(keras, *outputs)
        theirs_loss.backward()
        with torch.no_grad():
            optimizer.apply([variable.value.grad for variable in variables], variables)

        torch.manual_seed(step)
        if loss == "nats":
            ours.reset_metrics()
            ours.train_step(x)
            mine = ours.get_metrics_result()["loss"]
        else:
            mine_loss = seed_loss(x, *ours(x))
            ours.optimizer.zero_grad()
            mine_loss.backward()
            ours.optimizer.step()
            mine = mine_loss.item()
        assert mine == pytest.approx(theirs_loss.item(), rel=1e-5), step
    moved = 0.0
    fresh = pair(keras, shape=shape)[3]
    expected = KerasVAE(image_shape=shape)
    copy_weights(encoder, decoder, expected)
    states = (model.state_dict() for model in (ours, expected, fresh))
    for mine, want, start in zip(*(state.values() for state in states), strict=True):
        # Seen: 1.3e-6. With `torch.optim.Adam(eps=1e-7)` it is 4e-3, four whole steps, at a bias
        # whose first gradient is tiny.
        assert torch.allclose(mine, want, rtol=0, atol=1e-5)
        moved = max(moved, (mine - start).abs().max().item())
    assert moved > 3e-3  # five steps of 1e-3, so there was something to compare


def test_keras_starts_its_weights_as_ours_do(keras):
    keras.utils.set_random_seed(0)
    encoder, decoder, _ = build_keras(keras, 2, (1, 28, 28))
    ours = KerasVAE()
    theirs = [*copied_weights(encoder, (1, 28, 28)), *copied_weights(decoder, (1, 28, 28))]
    for mine, other in zip(ours.parameters(), theirs, strict=True):
        if mine.ndim == 1:
            assert not mine.any() and not other.any()
        elif mine.numel() > 500:
            assert mine.std().item() == pytest.approx(other.std().item(), rel=0.05)
            limits = mine.abs().max().item(), other.abs().max().item()
            assert limits[0] == pytest.approx(limits[1], rel=0.02)


def test_keras_splits_off_the_same_validation_images(keras):
    seen = []

    class Spy(keras.Model):
        def __init__(self):
            super().__init__()
            self.weight = self.add_weight(shape=())

        def call(self, x):
            return x

        def train_step(self, data):
            return {"loss": 0.0}

        def test_step(self, data):
            seen.extend(keras.ops.convert_to_numpy(data[0]).flatten().tolist())
            return {"loss": 0.0}

    spy = Spy()
    spy.compile(optimizer="adam")
    x = numbered(11)
    spy.fit(x.numpy(), x.numpy(), batch_size=3, validation_split=0.3, verbose=0)
    model = Recorder()
    fit_model(model, x, batch_size=3, validation_split=0.3, verbose=False)
    assert sorted(set(seen)) == pytest.approx(sorted(set(sum(model.tested, []))))
