"""The face VAE: its layers, its likelihood, its checkpoints, its pictures; and its seed's mistakes.

Where a mistake of the notebook that this model grew from can be shown by a program, it is written
out small beside the requirement that it fails.
"""

import math
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.manifold import TSNE
from torch import nn
from torch.distributions import Normal, kl_divergence

from vae_course.celeba_vae import (
    VAR_FLOOR,
    FaceDecoder,
    FaceEncoder,
    FaceVAE,
    attribute_direction,
    draw_gaussian,
    edit_faces,
    embed_tsne,
    encode_faces,
    evaluate_faces,
    face_bits_per_dim,
    face_terms,
    interpolate_faces,
    restore_checkpoint,
    restore_face_vae,
    save_checkpoint,
    scale_images,
    train_faces,
    unscale_images,
)
from vae_course.probability import gaussian_kl_from_var, gaussian_log_likelihood

D = 3 * 64 * 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def faces(n=6, channels=3, seed=0):
    """Small coloured blobs, as uint8."""
    coarse = torch.rand(n, channels, 4, 4, generator=generator(seed))
    return (255 * F.interpolate(coarse, size=64, mode="bilinear")).to(torch.uint8)


def scaled(n=3, channels=3, seed=0):
    return scale_images(faces(n, channels, seed))


def fresh(latent_dim=5, channels=3, var_x=0.1, seed=0):
    torch.manual_seed(seed)
    return FaceVAE(latent_dim, channels, var_x)


def rejects(requirement, *candidate, by=AssertionError):
    with pytest.raises(by):
        requirement(*candidate)


# ---- the range of the pixels -------------------------------------------------------------------


def test_scaling_of_bytes_and_of_floats():
    levels = torch.arange(256, dtype=torch.uint8)
    want = torch.from_numpy(np.linspace(-1, 1, 256))
    for images in (levels, levels / 255):
        x = scale_images(images)
        assert x.dtype == torch.float32
        torch.testing.assert_close(x.double(), want, atol=1e-6, rtol=0)
    assert torch.equal(levels, torch.arange(256, dtype=torch.uint8))


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=50))
def test_unscaling_undoes_scaling(values):
    images = torch.tensor(values, dtype=torch.uint8)
    back = (255 * unscale_images(scale_images(images))).round().to(torch.uint8)
    assert torch.equal(back, images)


def test_what_is_beyond_black_and_white_is_cut_off():
    assert unscale_images(torch.tensor([-3.0, -1.0, 0.0, 1.0, 1.2])).tolist() == [0, 0, 0.5, 1, 1]


# ---- drawing from a Gaussian given by its variance ---------------------------------------------


def spreads_by_its_variance(draw):
    for var in (0.01, 0.1, 9.0):
        z = draw(torch.full((200_000,), 0.7), torch.full((200_000,), var))
        assert z.var().item() == pytest.approx(var, rel=0.03)
        assert stats.kstest(z.numpy(), "norm", args=(0.7, var**0.5)).pvalue > 1e-4


def test_a_variance_is_no_standard_deviation():
    torch.manual_seed(0)
    spreads_by_its_variance(draw_gaussian)
    rejects(spreads_by_its_variance, lambda mean, var: mean + var * torch.randn_like(mean))


def test_a_draw_lets_gradients_through_and_obeys_its_generator():
    mean, var = torch.zeros(4, 3, requires_grad=True), torch.full((4, 3), 0.25, requires_grad=True)
    z = draw_gaussian(mean, var, generator(1))
    assert torch.equal(z, draw_gaussian(mean, var, generator(1)))
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(4, 3))
    torch.testing.assert_close(var.grad, z.detach() / (2 * 0.25))  # d(mean + sqrt(var) e) / d var
    assert draw_gaussian(torch.zeros(2, dtype=torch.float64), 0.1).dtype == torch.float64


# ---- the layers --------------------------------------------------------------------------------


def per_layer(module):
    return [
        sum(p.numel() for p in layer.parameters())
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]


@pytest.mark.parametrize(
    ("k", "encoder", "decoder", "total"),
    [
        (2, 379_844, 379_331, 759_175),
        (50, 404_516, 391_619, 796_135),
        (100, 430_216, 404_419, 834_635),
    ],
)
def test_the_table_of_layers(k, encoder, decoder, total):
    model = FaceVAE(k)
    assert per_layer(model.encoder) == [1_568, 16_416, 32_832, 65_600, 262_400, 514 * k]
    assert per_layer(model.decoder) == [256 * k + 256, 262_208, 65_600, 32_800, 16_416, 1_539]
    assert sum(per_layer(model.encoder)) == encoder
    assert sum(per_layer(model.decoder)) == decoder
    assert sum(p.numel() for p in model.parameters()) == total


def maps(module, x):
    """The shapes of the maps that the convolutions give."""
    found = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return found


def test_the_sizes_of_the_maps():
    assert maps(FaceEncoder(2), scaled()) == [
        (32, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (64, 4, 4),
        (256, 1, 1),  # spatial size one by one, whatever the batch
    ]
    assert maps(FaceDecoder(2), torch.zeros(3, 2)) == [
        (64, 4, 4),
        (64, 8, 8),
        (32, 16, 16),
        (32, 32, 32),
        (3, 64, 64),
    ]


def works_for_any_batch(encoder):
    for batch in (1, 3):
        mu, var = encoder(scaled(batch))
        assert mu.shape == var.shape == (batch, 5)


def test_a_batch_of_one():
    class Squeezes(FaceEncoder):
        def forward(self, x):
            h = torch.squeeze(self.layers[:-2](x))
            h = self.layers[-1](h)
            return h[:, :5], F.softplus(h[:, 5:])

    works_for_any_batch(FaceEncoder(5))
    rejects(works_for_any_batch, Squeezes(5), by=IndexError)
    model = fresh()
    assert model.sample(1).shape == (1, 3, 64, 64)
    assert model.reconstruct(scaled(1)).shape == (1, 3, 64, 64)
    assert face_terms(model, scaled(1))["loss"].shape == (1,)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_are_honoured(channels):
    model, x = fresh(channels=channels), scaled(2, channels)
    assert model(x)[0].shape == model.sample(2).shape == (2, channels, 64, 64)
    assert face_terms(model, x)["loss"].shape == (2,)


@pytest.mark.parametrize(
    "shape", [(2, 3, 32, 32), (2, 3, 128, 128), (2, 1, 64, 64), (2, 64, 64, 3), (3, 64, 64)]
)
def test_other_sizes_are_refused_with_a_clear_word(shape):
    with pytest.raises(ValueError, match=r"\(B, 3, 64, 64\) are needed") as caught:
        fresh()(torch.zeros(shape))
    assert str(tuple(shape)) in str(caught.value)


def test_the_variance_is_a_softplus_of_the_layer_and_never_zero():
    encoder = FaceEncoder(5)
    with torch.no_grad():
        encoder.layers[-1].weight.zero_()
        encoder.layers[-1].bias.copy_(torch.tensor([-3.0, 0, 1, 2, 3, -200, -2, 0, 1, 30]))
    mu, var = encoder(scaled(1))
    assert mu[0].tolist() == [-3, 0, 1, 2, 3]
    want = np.log1p(np.exp(np.array([-200, -2, 0, 1, 30.0]))) + VAR_FLOOR
    np.testing.assert_allclose(var[0].detach(), want, rtol=1e-5)
    assert var[0, 2].item() == pytest.approx(0.693147, abs=2e-6)
    assert torch.isfinite(gaussian_kl_from_var(mu, var)).all()
    # Without a floor a softplus reaches zero, and the KL with it infinity.
    assert torch.isinf(gaussian_kl_from_var(mu, F.softplus(torch.full_like(var, -200.0)))).all()


def test_an_untrained_encoder_says_little():
    # The seed prints variances of 0.69 to 0.70 and a KL of 1.852 for 32 images and k = 2.
    torch.manual_seed(0)
    mu, var = FaceEncoder(2)(scaled(32))
    assert mu.abs().max() < 0.1
    assert (var - math.log(2)).abs().max() < 0.05
    at_ln2 = gaussian_kl_from_var(torch.zeros(1, 2), torch.full((1, 2), math.log(2)))
    assert 32 * at_ln2.item() == pytest.approx(1.909, abs=1e-3)
    assert gaussian_kl_from_var(mu, var).sum().item() == pytest.approx(1.85, abs=0.3)


def test_decoded_pixels_lie_in_the_range_of_the_data():
    torch.manual_seed(0)
    decoder = FaceDecoder(5)
    near, far = decoder(torch.randn(2, 5)), decoder(1e5 * torch.randn(8, 5))
    assert near.min() > -1 and near.max() < 1
    assert far.min() < -0.95 and far.max() > 0.95


# ---- the likelihood ----------------------------------------------------------------------------


def test_the_constant_of_the_likelihood():
    x = torch.zeros(32, 3, 64, 64)
    perfect = gaussian_log_likelihood(x, x, 0.1)
    assert perfect.shape == (32,)
    want = D * stats.norm(scale=0.1**0.5).logpdf(0)
    assert perfect[0].item() == pytest.approx(want, rel=1e-6) == pytest.approx(2855.17, abs=0.005)
    # The most that a batch of 32 can reach: the seed's loss can go down to -91,365.
    assert -perfect.double().sum().item() == pytest.approx(-91_365, abs=1)


@pytest.mark.parametrize("var", [0.01, 0.1, 1.0, 4.0])
def test_the_likelihood_agrees_with_torch_distributions(var):
    x, mean = torch.randn(2, 3, 3, 64, 64, generator=generator(1), dtype=torch.float64)
    want = Normal(mean, var**0.5).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_log_likelihood(x, mean, var), want)


def test_the_loss_may_be_negative_and_is_a_number_for_each_image():
    model, x = fresh(var_x=1e-3), scaled(4)
    with torch.no_grad():
        model.decoder.layers[-2].weight.zero_()
        model.decoder.layers[-2].bias.zero_()
    grey = torch.zeros_like(x)
    terms = face_terms(model, grey)
    assert (terms["loss"] < 0).all() and (terms["kl"] > 0).all()
    for i in range(4):  # each image's loss is that of the image alone
        alone = face_terms(model, x[i : i + 1], generator(0))["kl"]
        torch.testing.assert_close(face_terms(model, x, generator(0))["kl"][i : i + 1], alone)


def test_terms_against_torch_distributions():
    model, x = fresh(var_x=0.3), scaled(4)
    terms = face_terms(model, x, generator(5))
    x_hat, mu, var = model(x, generator(5))
    nll = -Normal(x_hat, 0.3**0.5).log_prob(x).flatten(1).sum(1)
    kl = kl_divergence(Normal(mu, var.sqrt()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(terms["nll"], nll)
    torch.testing.assert_close(terms["kl"], kl)
    torch.testing.assert_close(terms["loss"], nll + kl)
    torch.testing.assert_close(terms["mse"], F.mse_loss(x_hat, x, reduction="none").mean((1, 2, 3)))


def honours_its_settings(make):
    model = make(channels=1, var_x=0.5)
    x = scaled(2, 1)
    noisy = model.sample(4, generator(0), noisy=True) - model.sample(4, generator(0))
    assert noisy.shape == (4, 1, 64, 64)
    assert noisy.var().item() == pytest.approx(0.5, rel=0.05)
    terms = face_terms(model, x, generator(0))
    want = 64 * 64 / 2 * (math.log(2 * math.pi * 0.5) + terms["mse"].double() / 0.5)
    torch.testing.assert_close(terms["nll"].double(), want, rtol=1e-5, atol=0)


def test_settings_are_not_hard_coded():
    class Extended(FaceVAE):
        def __init__(self, latent_dim=2, channels=3, var_x=0.1):
            super().__init__(latent_dim, channels=3, var_x=0.1)

    class KeepsItToItself(FaceVAE):
        def __init__(self, latent_dim=2, channels=3, var_x=0.1):
            super().__init__(latent_dim, channels, 0.1)

    honours_its_settings(lambda **choices: FaceVAE(2, **choices))
    rejects(honours_its_settings, lambda **c: Extended(2, **c), by=(AssertionError, ValueError))
    rejects(honours_its_settings, lambda **c: KeepsItToItself(2, **c))


def test_a_sum_over_the_batch_in_float32_loses_the_divergence():
    # What the seed prints: 653016 + 1.8520 = 653017.8750, for floats this large are 1/16 apart.
    nll, kl = torch.tensor(653_016.0), torch.tensor(1.8520)
    assert torch.nextafter(nll, torch.tensor(1e9)) - nll == 0.0625
    assert (nll + kl).item() == 653_017.875
    # Per image the same loss keeps 32 times more of it, and a sum in Python loses nothing.
    assert (nll / 32 + kl / 32).item() - 653_016 / 32 == pytest.approx(1.852 / 32, abs=1e-3)
    assert nll.item() + kl.item() - 653_016 == pytest.approx(1.852)


def test_bits_per_number():
    # A uniform density over the 255 steps from -1 to 1 costs nearly the eight bits of a byte.
    assert face_bits_per_dim(D * math.log(2.0)) == pytest.approx(math.log2(255))
    # At a variance of 0.1, even a perfect mean image costs more than six and a half of them.
    assert face_bits_per_dim(-2855.166) == pytest.approx(6.659, abs=1e-3)
    # What a discretised Gaussian pays, number by number, agrees.
    edges = (np.arange(257) - 0.5) * 2 / 255 - 1
    mass = np.diff(stats.norm(0.1, 0.1**0.5).cdf(edges))
    level = 150
    density = stats.norm(0.1, 0.1**0.5).logpdf(2 * level / 255 - 1)
    assert face_bits_per_dim(-density, 1) == pytest.approx(-np.log2(mass[level]), abs=1e-4)


# ---- the three ways to use the model -----------------------------------------------------------


def spread(model):
    """Make the decoder care about its code."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def test_forward_draws_and_reconstruct_does_not():
    model, x = spread(fresh()), scaled()
    assert not torch.equal(model(x)[0], model(x)[0])
    assert torch.equal(model(x, generator(1))[0], model(x, generator(1))[0])
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))
    torch.testing.assert_close(model.reconstruct(x), model.decode(model.encode(x)[0]))


class Posterior(nn.Module):
    """An encoder that says the same of every image."""

    def forward(self, x):
        mu, var = torch.tensor([1.5, -1.0]), torch.tensor([0.02, 3.0])
        return mu.expand(len(x), 2), var.expand(len(x), 2)


def test_forward_decodes_a_draw_from_the_posterior():
    model = fresh(latent_dim=2)
    model.encoder, model.decoder = Posterior(), nn.Identity()  # so that z itself comes back
    z, mu, var = model(torch.zeros(20_000, 1), generator(0))
    torch.testing.assert_close(z.mean(0), mu[0], atol=0.06, rtol=0)
    torch.testing.assert_close(z.var(0), var[0], rtol=0.06, atol=0)


def test_pictures_need_no_gradients_and_leave_the_model_alone():
    model, x = fresh(), scaled()
    direction = torch.ones(5)
    for mode in (True, False):
        model.train(mode)
        for made in (
            model.sample(2),
            model.sample(2, noisy=True),
            model.reconstruct(x),
            interpolate_faces(model, x[0], x[1]),
            edit_faces(model, x, direction),
            encode_faces(model, faces(3)),
        ):
            assert not made.requires_grad
        evaluate_faces(model, faces(3))
        assert model.training is mode


def is_a_sample_of_x(draw, model):
    """What is drawn from p(x|z) scatters around its mean image by the observation variance."""
    codes_only = draw(model, generator(3), False)
    with_noise = draw(model, generator(3), True)
    assert (with_noise - codes_only).var().item() == pytest.approx(model.var_x, rel=0.03)


def test_a_mean_image_is_no_sample():
    is_a_sample_of_x(lambda m, g, noisy: m.sample(3, g, noisy), fresh(var_x=0.2))
    rejects(is_a_sample_of_x, lambda m, g, noisy: m.sample(3, g), fresh(var_x=0.2))


# ---- training and checkpoints ------------------------------------------------------------------


def equal_states(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def run(path, epochs, resume=False, seed=0, batch_size=4):
    model = fresh(latent_dim=3, seed=0 if not resume else 99)
    history = train_faces(
        model,
        faces(10),
        epochs,
        path,
        held_out_images=faces(3, seed=7),
        batch_size=batch_size,
        seed=seed,
        resume=resume,
        progress=False,
    )
    return model, history


def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path, capsys):
    whole, history = run(tmp_path / "whole.pt", 4)
    run(tmp_path / "parts.pt", 1)
    torch.rand(17)  # whatever else is drawn in between
    run(tmp_path / "parts.pt", 3, resume=True)
    assert "after 1 epochs" in capsys.readouterr().out
    resumed, parts = run(tmp_path / "parts.pt", 4, resume=True)
    assert equal_states(whole.state_dict(), resumed.state_dict())
    assert history == parts
    assert len(history["train"]) == len(history["held_out"]) == 4
    again, same = run(tmp_path / "parts.pt", 4, resume=True)
    assert same == parts and equal_states(again.state_dict(), whole.state_dict())


def test_training_neither_uses_nor_moves_the_global_generator():
    def trained(global_seed):
        model = fresh(latent_dim=2)
        torch.manual_seed(global_seed)
        train_faces(model, faces(6), 1, batch_size=4, progress=False)
        return model.state_dict(), torch.rand(1)

    (first, drawn), (second, _) = trained(1), trained(2)
    assert equal_states(first, second)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))


def test_the_history_holds_means_per_image_as_plain_numbers():
    # With a learning rate of zero nothing moves, so the numbers can be had in another way.
    def terms_of(batch_size):
        model = fresh(latent_dim=2)
        history = train_faces(
            model, faces(10), 1, batch_size=batch_size, learning_rate=0.0, progress=False
        )
        return history["train"][0]

    entry = terms_of(4)  # batches of 4, 4 and 2
    assert all(type(value) is float for value in entry.values())
    exact = evaluate_faces(fresh(latent_dim=2), faces(10))
    for batch_size in (4, 10, 32):
        # Only the codes that are drawn differ, and an untrained decoder hardly minds them.
        assert terms_of(batch_size)["kl"] == pytest.approx(exact["kl"], rel=1e-4)
        assert terms_of(batch_size)["loss"] == pytest.approx(exact["loss"], rel=0.01)


def test_every_image_counts_once_an_epoch(monkeypatch):
    from vae_course import celeba_vae

    seen = []

    def watched(model, x, source=None):
        seen.append(x)
        return face_terms(model, x, source)

    monkeypatch.setattr(celeba_vae, "face_terms", watched)
    images = faces(10)
    train_faces(fresh(latent_dim=2), images, 2, batch_size=4, progress=False)
    assert [len(x) for x in seen] == [4, 4, 2] * 2
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    for epoch in (first, second):
        order = sorted(epoch.flatten(1).sum(1).tolist())
        assert order == pytest.approx(sorted(scale_images(images).flatten(1).sum(1).tolist()))
    assert not torch.equal(first, second)


def test_training_learns():
    model = fresh(latent_dim=4)
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(8)[:, None, None, None]
    images = images.expand(16, 3, 64, 64)  # black ones and white ones: the code must tell them
    train_faces(model, images, 15, batch_size=4, progress=False)
    assert evaluate_faces(model, images)["mse"] < 0.1
    assert model.reconstruct(scale_images(images[:2])).mean((1, 2, 3)).tolist() == pytest.approx(
        [-1, 1], abs=0.3
    )


def test_a_model_comes_back_from_its_file_alone(tmp_path):
    model = fresh(latent_dim=7, channels=1, var_x=0.03)
    path = tmp_path / "new folder" / "grey.pt"
    save_checkpoint(path, model, torch.optim.Adam(model.parameters()), 0, {})
    restored = restore_face_vae(path)
    assert (restored.latent_dim, restored.channels, restored.var_x) == (7, 1, 0.03)
    assert equal_states(model.state_dict(), restored.state_dict())
    assert list(path.parent.iterdir()) == [path]


def snapshot(model, optimizer):
    return [t.clone() for t in model.state_dict().values()], str(optimizer.state_dict())


def leaves_the_model_as_it_was(restore, path):
    model = fresh(latent_dim=100, seed=3)
    optimizer = torch.optim.Adam(model.parameters())
    before = snapshot(model, optimizer)
    with pytest.raises(Exception) as caught:  # noqa: B017 - which one is not the point
        restore(path, model, optimizer)
    after = snapshot(model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1]
    assert "50" in str(caught.value) and "100" in str(caught.value)


def test_a_misfit_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "fifty.pt"
    fifty = fresh(latent_dim=50)
    save_checkpoint(path, fifty, torch.optim.Adam(fifty.parameters()), 3, {})

    def loads_what_fits(path, model, optimizer):
        model.load_state_dict(torch.load(path, weights_only=True)["model"])

    leaves_the_model_as_it_was(restore_checkpoint, path)
    rejects(leaves_the_model_as_it_was, loads_what_fits, path)
    for other in (fresh(50, channels=1), fresh(50, var_x=0.2)):
        with pytest.raises(ValueError, match="built with"):
            restore_checkpoint(path, other, torch.optim.Adam(other.parameters()))


def test_a_file_from_a_gpu_opens_without_one(tmp_path, monkeypatch):
    model = fresh()
    optimizer = torch.optim.Adam(model.parameters())
    path = tmp_path / "gpu.pt"
    # A CPU cannot hold a GPU's tensors, but it can write down where they are said to lie.
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:99")
        save_checkpoint(path, model, optimizer, 1, {})
    with pytest.raises(RuntimeError, match="(?i)cuda"):
        torch.load(path, weights_only=True)
    other = fresh(seed=1)
    restore_checkpoint(path, other, torch.optim.Adam(other.parameters()))
    assert equal_states(model.state_dict(), other.state_dict())
    assert equal_states(model.state_dict(), restore_face_vae(path).state_dict())


KILLED = """
import os, signal, sys
import torch
from vae_course.celeba_vae import FaceVAE, save_checkpoint, train_faces

whole = torch.save

def cut_short(checkpoint, path):
    whole(checkpoint, path)
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, 2) // 2)
    os.kill(os.getpid(), signal.SIGKILL)

torch.save = cut_short
model = FaceVAE(3)
{save}
"""


def survives_being_killed(path, save):
    """The file of the time before is whole after a program was killed while it saved."""
    model = fresh(latent_dim=3)
    save_checkpoint(path, model, torch.optim.Adam(model.parameters()), 5, {"train": [1.0]})
    program = KILLED.format(save=textwrap.dedent(save).format(path=str(path)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    try:
        restored = restore_face_vae(path)
    except RuntimeError as error:
        raise AssertionError(f"the old file is gone: {error}") from error
    assert equal_states(restored.state_dict(), model.state_dict())


@pytest.mark.long
def test_a_kill_during_saving_leaves_the_old_file(tmp_path):
    ours = """
    save_checkpoint({path!r}, model, torch.optim.Adam(model.parameters()), 6, {{}})
    """
    survives_being_killed(tmp_path / "a.pt", ours)
    in_place = "torch.save(model.state_dict(), {path!r})"
    rejects(survives_being_killed, tmp_path / "b.pt", in_place)


def test_weights_alone_do_not_continue_a_run(tmp_path):
    """The seed saved the model only: Adam then starts with an empty memory."""

    def goes_on_as_if_never_stopped(stop_and_go_on):
        model, x = fresh(latent_dim=2), scaled(4)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

        def step(model, optimizer, source):
            optimizer.zero_grad()
            face_terms(model, x, source)["loss"].mean().backward()
            optimizer.step()

        source = generator(4)
        step(model, optimizer, source)
        step(model, optimizer, source)
        model_too, optimizer_too, source_too = stop_and_go_on(model, optimizer, source)
        step(model, optimizer, source)
        step(model_too, optimizer_too, source_too)
        assert equal_states(model.state_dict(), model_too.state_dict())

    def ours(model, optimizer, source):
        save_checkpoint(tmp_path / "c.pt", model, optimizer, 1, {}, source)
        other, other_source = fresh(latent_dim=2, seed=9), generator(1000)
        other_optimizer = torch.optim.Adam(other.parameters(), lr=1e-3)
        restore_checkpoint(tmp_path / "c.pt", other, other_optimizer, other_source)
        return other, other_optimizer, other_source

    def weights_only(model, optimizer, source):
        other, other_source = fresh(latent_dim=2, seed=9), generator(0)
        other.load_state_dict(model.state_dict())
        other_source.set_state(source.get_state())
        return other, torch.optim.Adam(other.parameters(), lr=1e-3), other_source

    goes_on_as_if_never_stopped(ours)
    rejects(goes_on_as_if_never_stopped, weights_only)


def test_without_a_generator_pytorchs_own_is_kept(tmp_path):
    model = fresh(latent_dim=2)
    optimizer = torch.optim.Adam(model.parameters())
    save_checkpoint(tmp_path / "d.pt", model, optimizer, 2, {"train": []})
    expected = torch.rand(3)
    torch.rand(100)
    assert restore_checkpoint(tmp_path / "d.pt", model, optimizer) == (2, {"train": []})
    assert torch.equal(torch.rand(3), expected)


# ---- paths, directions, maps -------------------------------------------------------------------


def arrives(path_between):
    """Eleven frames, from the first image's reconstruction to the second's."""
    model, x = spread(fresh()), scaled(2)
    frames = path_between(model, x[0], x[1])
    assert frames.shape == (11, 3, 64, 64)
    ends = model.reconstruct(x)
    torch.testing.assert_close(frames[0], ends[0])
    torch.testing.assert_close(frames[-1], ends[1])
    middle = model.decode(model.encode(x)[0].mean(0, keepdim=True))
    torch.testing.assert_close(frames[5], middle[0])
    assert not frames.requires_grad


def test_the_interpolation_has_both_ends():
    def ten_weights_from_the_far_end(model, x_start, x_end):
        z_1, z_2 = model.encode(torch.stack([x_start, x_end]))[0]
        weights = 1.0 - torch.arange(10) / 10
        return torch.cat([model.decode((z_1 * w + z_2 * (1 - w))[None]) for w in weights])

    arrives(interpolate_faces)
    rejects(arrives, ten_weights_from_the_far_end)


def test_the_number_of_frames():
    model, x = fresh(), scaled(2)
    two = interpolate_faces(model, x[0], x[1], 2)
    torch.testing.assert_close(two, model.reconstruct(x))


def test_an_attribute_points_from_those_without_to_those_with():
    rng = np.random.default_rng(0)
    has = rng.random(200) < 0.3
    codes = rng.normal(size=(200, 4)) + np.outer(has, [2.0, 0, -1, 0])
    direction = attribute_direction(torch.from_numpy(codes), torch.from_numpy(has))
    np.testing.assert_allclose(direction, codes[has].mean(0) - codes[~has].mean(0))
    for all_alike in (torch.ones(5, dtype=torch.bool), torch.zeros(5, dtype=torch.bool)):
        with pytest.raises(ValueError, match="some must not"):
            attribute_direction(torch.zeros(5, 2), all_alike)


def test_an_edit_is_a_step_from_the_posterior_mean():
    model, x = spread(fresh()), scaled(3)
    direction = torch.randn(5, generator=generator(1))
    torch.testing.assert_close(edit_faces(model, x, direction, 0.0), model.reconstruct(x))
    want = model.decode(model.encode(x)[0] - 2 * direction).detach()
    torch.testing.assert_close(edit_faces(model, x, direction, -2.0), want)


def test_codes_of_many_faces_are_their_posterior_means():
    model = fresh()
    codes = encode_faces(model, faces(5), batch_size=2)
    torch.testing.assert_close(codes, model.encode(scaled(5))[0].detach())


def test_tsne_copes_with_few_codes_and_repeats_itself():
    codes = torch.randn(20, 5, generator=generator(0))
    with pytest.raises(ValueError, match="perplexity"):
        TSNE(perplexity=30.0).fit_transform(codes.numpy())  # what the seed's default comes to
    positions = embed_tsne(codes, seed=1)
    assert positions.shape == (20, 2) and torch.isfinite(positions).all()
    assert torch.equal(positions, embed_tsne(codes, seed=1))


def test_another_seed_gives_another_map():
    """So it says. A start from principal components would make all of them alike."""

    def differs_by_seed(embed):
        codes = torch.randn(40, 5, generator=generator(0))
        assert not torch.allclose(embed(codes, 0), embed(codes, 1))

    def from_principal_components(codes, seed):
        # By hand: with some versions of scikit-learn its own init="pca" is drawn in part.
        components = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)[0][:, :2]
        search = TSNE(perplexity=10.0, init=components.numpy() * 1e-4, random_state=seed)
        return torch.from_numpy(search.fit_transform(codes.numpy()))

    differs_by_seed(embed_tsne)
    rejects(differs_by_seed, from_principal_components)


def test_tsne_keeps_neighbours():
    centres = 20 * torch.eye(3, 8)
    codes = (centres[:, None] + 0.1 * torch.randn(3, 15, 8, generator=generator(0))).flatten(0, 1)
    positions = embed_tsne(codes, perplexity=5.0)
    distances = torch.cdist(positions, positions).fill_diagonal_(torch.inf)
    nearest = distances.argmin(1) // 15
    assert (nearest == torch.arange(3).repeat_interleave(15)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu(tmp_path):
    model = fresh().cuda()
    history = train_faces(model, faces(6), 2, tmp_path / "g.pt", faces(2), 4, progress=False)
    assert math.isfinite(history["train"][-1]["loss"])
    assert model.sample(2, torch.Generator("cuda").manual_seed(0), noisy=True).device.type == "cuda"
    on_cpu = restore_face_vae(tmp_path / "g.pt")
    assert next(on_cpu.parameters()).device.type == "cpu"
