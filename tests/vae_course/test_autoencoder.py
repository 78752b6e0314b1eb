"""The autoencoder against PyTorch's own layers, rebuilt by hand, and against scikit-learn."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn

from vae_course.autoencoder import (
    AutoEncoder,
    Decoder,
    Encoder,
    autoencoder_terms,
    conv_output_size,
    conv_transpose_output_size,
    error_by_label,
    pca_reconstruct,
    sample_prior,
    squared_error,
)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def stirred(model, seed=0):
    """Move every parameter and buffer off its default, so that no layer can be skipped unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                scale = 0.02 if tensor.ndim > 1 else 0.2
                tensor.add_(scale * (noise if "var" in name else noise - 0.5))
    return model


sizes = {"size": st.integers(1, 40), "kernel": st.integers(1, 7), "stride": st.integers(1, 4),
         "padding": st.integers(0, 3)}  # fmt: skip


@given(**sizes)
@settings(max_examples=60, deadline=None)
def test_conv_output_size_is_what_pytorch_makes(size, kernel, stride, padding):
    assume(size + 2 * padding >= kernel)
    layer = nn.Conv2d(1, 1, kernel, stride, padding)
    assert conv_output_size(size, kernel, stride, padding) == layer(
        torch.zeros(1, 1, size, size)
    ).size(-1)


@given(**sizes)
@settings(max_examples=60, deadline=None)
def test_conv_transpose_output_size_is_what_pytorch_makes(size, kernel, stride, padding):
    expected = (size - 1) * stride - 2 * padding + kernel
    assume(expected >= 1)
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
    got = conv_transpose_output_size(size, kernel, stride, padding)
    assert got == layer(torch.zeros(1, 1, size, size)).size(-1)


def test_padding_is_zero_unless_given():
    assert conv_output_size(7, 3, 2) == 3
    assert conv_transpose_output_size(3, 3, 2) == 7


def test_parameter_counts():
    assert count(Encoder()) == 419_744
    assert count(Encoder(128)) == 436_192
    assert count(Decoder()) == 419_681
    assert count(AutoEncoder()) == 839_425
    assert count(Encoder(5)) == 419_744 - 59 * 257
    assert count(AutoEncoder(5)) == 839_425 - 59 * 257 - 59 * 256


def test_the_encoder_is_the_network_of_its_table():
    encoder = stirred(Encoder(5)).eval()
    sizes = []
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[1:]))
    x = torch.rand(3, 1, 28, 28)
    out = encoder(x)
    assert out.shape == (3, 5)
    assert sizes == [(32, 14, 14), (64, 7, 7), (128, 3, 3), (256, 1, 1)]

    weights = iter([t for t in encoder.state_dict().values() if t.is_floating_point()])

    def norm(h):
        weight, bias, mean, var = (next(weights) for _ in range(4))
        return F.batch_norm(h, mean, var, weight, bias)

    h = F.leaky_relu(F.conv2d(x, next(weights), next(weights), stride=2, padding=1), 0.2)
    h = F.leaky_relu(norm(F.conv2d(h, next(weights), next(weights), stride=2, padding=1)), 0.2)
    h = F.leaky_relu(norm(F.conv2d(h, next(weights), next(weights), stride=2)), 0.2)
    h = F.leaky_relu(norm(F.conv2d(h, next(weights), next(weights), stride=2)), 0.2)
    expected = F.linear(h.flatten(1), next(weights), next(weights))
    torch.testing.assert_close(out, expected)
    assert next(weights, None) is None


def test_the_decoder_is_the_network_of_its_table():
    decoder = stirred(Decoder(5)).eval()
    z = 2 * torch.randn(3, 5)
    out = decoder(z)
    assert out.shape == (3, 1, 28, 28)

    weights = iter([t for t in decoder.state_dict().values() if t.is_floating_point()])

    def norm(h):
        weight, bias, mean, var = (next(weights) for _ in range(4))
        return F.batch_norm(h, mean, var, weight, bias)

    def up(h, **options):
        return F.conv_transpose2d(h, next(weights), next(weights), stride=2, **options)

    h = F.linear(z, next(weights), next(weights)).view(3, 256, 1, 1)
    h = F.leaky_relu(norm(h), 0.2)
    h = F.leaky_relu(norm(up(h)), 0.2)
    h = F.leaky_relu(norm(up(h)), 0.2)
    h = F.leaky_relu(up(h, padding=1), 0.2)
    torch.testing.assert_close(out, torch.sigmoid(up(h, padding=1)))
    assert next(weights, None) is None


def test_batchnorm_averages_over_the_batch_only_in_training():
    model = stirred(AutoEncoder(4))
    x = torch.rand(3, 1, 28, 28)
    model.train()
    assert not torch.allclose(model(x)[:2], model(x[:2]))
    model.eval()
    torch.testing.assert_close(model(x)[:2], model(x[:2]))


def test_gradients_reach_every_parameter():
    model = AutoEncoder(5)
    autoencoder_terms(model, torch.rand(3, 1, 28, 28))["loss"].mean().backward()
    missed = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before BatchNorm is subtracted again at once: its gradient is zero but for rounding.
    assert [name for name in missed if not name.endswith("bias")] == []


def test_autoencoder_is_decode_after_encode():
    model = stirred(AutoEncoder(3)).eval()
    x = torch.rand(2, 1, 28, 28)
    assert model.encode(x).shape == (2, 3)
    assert torch.equal(model(x), model.decode(model.encode(x)))
    assert torch.equal(model.encode(x), model.encoder(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_reconstruct_evaluates_and_leaves_no_trace(training, batch):
    model = stirred(AutoEncoder(3)).train(training)
    x = torch.rand(batch, 1, 28, 28)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    x_hat = model.reconstruct(x)
    assert x_hat.shape == x.shape and not x_hat.requires_grad
    assert model.training is training
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert torch.equal(x_hat, model.eval()(x))


def test_squared_error_sums_pixels_and_nothing_else():
    x, x_hat = torch.rand(3, 1, 7, 5), torch.rand(3, 1, 7, 5)
    got = squared_error(x_hat, x)
    assert got.shape == (3,)
    for b in range(3):
        pixels = zip(x[b].flatten().tolist(), x_hat[b].flatten().tolist(), strict=True)
        assert got[b].item() == pytest.approx(sum((p - q) ** 2 for p, q in pixels), rel=1e-5)
    assert squared_error(x_hat[:1], x[:1]).shape == (1,)
    x_hat.requires_grad_()
    (gradient,) = torch.autograd.grad(squared_error(x_hat, x).sum(), x_hat)
    torch.testing.assert_close(gradient, 2 * (x_hat - x).detach())


def test_autoencoder_terms_are_nats_and_a_mean_over_pixels():
    model = stirred(AutoEncoder(3)).eval()
    x = torch.rand(3, 1, 28, 28)
    terms = autoencoder_terms(model, x)
    assert {name: t.shape for name, t in terms.items()} == {"loss": (3,), "mse": (3,)}
    assert terms["mse"].mean().item() == pytest.approx(F.mse_loss(model(x), x).item(), rel=1e-5)
    constant = 392 * torch.log(torch.tensor(2 * torch.pi))
    log_density = torch.distributions.Normal(model(x), 1.0).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(terms["loss"], -log_density - constant, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_samples", [1, 6])
def test_sample_prior_decodes_standard_normal_codes(training, num_samples):
    seen = []
    decoder = stirred(Decoder(4)).train(training)
    decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    before = {name: t.clone() for name, t in decoder.state_dict().items()}
    images = sample_prior(decoder, num_samples, 4, torch.Generator().manual_seed(3))
    assert images.shape == (num_samples, 1, 28, 28) and not images.requires_grad
    assert decoder.training is training
    assert all(torch.equal(before[name], t) for name, t in decoder.state_dict().items())
    assert torch.equal(images, decoder.eval()(seen[0]))
    again = sample_prior(decoder, num_samples, 4, torch.Generator().manual_seed(3))
    assert torch.equal(images, again)
    assert not torch.equal(images, sample_prior(decoder, num_samples, 4))


def test_sample_prior_draws_from_n_0_i():
    seen = []
    decoder = nn.Linear(3, 1)
    decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sample_prior(decoder, 20_000, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen[0].mean(0), torch.zeros(3), rtol=0, atol=0.035)
    torch.testing.assert_close(seen[0].T.cov(), torch.eye(3), rtol=0, atol=0.05)


def test_samples_are_made_on_the_decoders_device():
    assert sample_prior(Decoder(4).to("meta"), 2, 4).device.type == "meta"


@pytest.mark.parametrize("num_components", [1, 3, 7])
def test_pca_agrees_with_scikit_learn(num_components):
    train = torch.randn(40, 7, dtype=torch.float64) @ torch.randn(7, 7, dtype=torch.float64) + 3
    x = torch.randn(5, 7, dtype=torch.float64) + 3
    pca = PCA(num_components).fit(train.numpy())
    expected = torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))
    torch.testing.assert_close(pca_reconstruct(train, x, num_components), expected)


def test_pca_learns_from_the_training_set_only_and_takes_one_example():
    train, x = torch.randn(40, 7), torch.randn(5, 7)
    together = pca_reconstruct(train, x, 2)
    torch.testing.assert_close(pca_reconstruct(train, x[:1], 2), together[:1])
    wide = pca_reconstruct(torch.randn(4, 9), torch.randn(3, 9), 2)  # fewer examples than pixels
    assert wide.shape == (3, 9)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 20])
def test_errors_by_label_are_those_of_the_images_one_by_one(batch_size):
    torch.manual_seed(0)
    model, x = stirred(AutoEncoder(3)).eval(), torch.rand(20, 1, 28, 28)
    labels = torch.arange(20) ** 2 % 7  # 0, 1, 2 and 4, unequally often
    with torch.no_grad():
        alone = torch.cat([(model(image[None]) - image).square().sum((1, 2, 3)) for image in x])
    want = {label: alone[labels == label].mean().item() for label in (0, 1, 2, 4)}
    batches = list(zip(x.split(batch_size), labels.split(batch_size), strict=True))
    for training in (True, False):
        model.train(training)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        table = error_by_label(model, batches)
        assert table == pytest.approx(want, rel=1e-4)
        assert list(table) == [0, 1, 2, 4] and all(type(v) is float for v in table.values())
        assert model.training is training
        after = model.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        assert all(parameter.grad is None for parameter in model.parameters())


def test_errors_by_label_of_nothing_are_nothing():
    assert error_by_label(AutoEncoder(2), []) == {}
