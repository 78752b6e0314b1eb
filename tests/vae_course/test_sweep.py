"""Models trained at once against the same models trained one by one."""

from functools import partial

import pytest
import torch

from vae_course.autoencoder import AutoEncoder, autoencoder_terms
from vae_course.faces import draw_faces
from vae_course.sweep import Sweep
from vae_course.trainer import Batches, Trainer
from vae_course.vae import VAE, vae_terms

adam = partial(torch.optim.Adam, lr=1e-3)


def digits() -> Batches:
    torch.set_num_threads(1)
    images = draw_faces(40, 28)[0][:, :1]
    return Batches(images, 16, torch.Generator().manual_seed(0))


def scaled_terms(model, x, scale):
    terms = autoencoder_terms(model, x)
    return {"loss": scale * terms["loss"], "mse": terms["mse"]}


def test_each_model_learns_as_if_it_were_alone():
    """Without noise the two must agree, BatchNorm's averages included."""
    scales = torch.tensor([1.0, 0.1, 3.0])

    def models():
        torch.manual_seed(1)
        return [AutoEncoder(4) for _ in scales]

    together, alone = models(), models()
    sweep = Sweep(together, scales, scaled_terms, digits(), adam)
    found = [sweep.epoch() for _ in range(2)][-1]
    sweep.unstack()
    for model, scale, other, means in zip(alone, scales, together, found, strict=True):
        terms = partial(scaled_terms, scale=scale)
        trainer = Trainer(model, digits(), terms, adam(model.parameters()))
        want = [trainer.epoch() for _ in range(2)][-1]
        assert means == pytest.approx(want, rel=1e-3)
        x, _ = next(iter(digits()))
        ours, theirs = (one.eval()(x).detach() for one in (other, model))
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)


def test_a_larger_beta_buys_a_smaller_divergence_and_noise_is_not_shared():
    torch.manual_seed(0)
    first = VAE(4)
    models = [VAE(4) for _ in range(3)]
    for model in models:
        model.load_state_dict(first.state_dict())
    sweep = Sweep(models, torch.tensor([1.0, 1.0, 50.0]), vae_terms, digits(), adam)
    means = [sweep.epoch() for _ in range(8)]
    assert means[0][0]["nll"] != means[0][1]["nll"]
    assert means[-1][2]["kl"] < 0.5 * means[-1][0]["kl"]


def test_every_model_has_a_setting():
    with pytest.raises(ValueError, match="2 models and 3 settings"):
        Sweep([VAE(2), VAE(2)], torch.ones(3), vae_terms, digits(), adam)
