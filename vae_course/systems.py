"""The five systems of the course: what each is made of, trained on, and how one looks at it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vae_course.autoencoder import AutoEncoder, autoencoder_terms, sample_prior
from vae_course.bernoulli_vae import (
    BernoulliVAE,
    bernoulli_terms,
    binarize,
    prior_predictive,
    transform,
)
from vae_course.binarized import load_binarized_mnist
from vae_course.celeba_vae import (
    FaceVAE,
    face_bits_per_dim,
    face_terms,
    scale_images,
    unscale_images,
)
from vae_course.data import ImageData, load_fashion_mnist, load_mnist
from vae_course.errors import UsageError
from vae_course.face_data import load_faces
from vae_course.keras_fit import KerasAdam
from vae_course.keras_vae import KerasVAE, keras_terms
from vae_course.probability import bits_per_dim
from vae_course.trainer import from_bytes
from vae_course.vae import VAE, vae_terms


@dataclass(frozen=True)
class Settings:
    """What decides a run, besides its data and its number of epochs."""

    system: str
    latent_dim: int
    batch_size: int
    beta: float
    seed: int = 0
    threshold: bool = False
    plain: bool = False


@dataclass(frozen=True)
class System:
    """One model of the course: how to make it, train it and look at it.

    Attributes:
        title: what it is.
        load: the images to train and test on, by the folder that holds the data: bytes, or floats
            in [0, 1].
        prepare: what the model is trained on, from bytes.
        make: the untrained model.
        terms: its loss terms, by the model, the images and beta.
        optimizer: over the model's parameters.
        epochs, batch_size, latent_dim, beta: as the published run has them.
        takes_beta: whether its loss has a beta to choose.
        sample: n new images with values in [0, 1].
        reconstruct: images in [0, 1] for images as the model is trained on them.
        show: images in [0, 1] from those that the model is trained on.
        columns: the terms to report.
        posterior: the means and variances of q(z|x); an autoencoder's codes have no variance.
        bits: bits for each number of an image from -ELBO in nats; None where the loss is not the
            logarithm of a probability, or of a density.
        scale: what to divide the loss by to have it on the published scale, and its name.
        compared_at: the step at which the published run logs its terms.
    """

    title: str
    load: Callable[[Path | None, Settings], ImageData]
    make: Callable[[Settings], nn.Module]
    terms: Callable[..., dict[str, Tensor]]
    optimizer: Callable[..., Optimizer]
    epochs: int
    batch_size: int
    latent_dim: int
    sample: Callable[[nn.Module, int, torch.Generator], Tensor]
    reconstruct: Callable[[nn.Module, Tensor], Tensor]
    posterior: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor | None]]
    bits: Callable[[float], float] | None = None
    beta: float = 1.0
    takes_beta: bool = True
    prepare: Callable[[Tensor], Tensor] = from_bytes
    show: Callable[[Tensor], Tensor] = field(default=lambda images: images)
    columns: tuple[str, ...] = ("loss", "nll", "kl")
    scale: tuple[float, str] | None = None
    compared_at: int | None = None


def _mnist(root: Path | None, settings: Settings) -> ImageData:
    return load_mnist(root)


def _binary_mnist(root: Path | None, settings: Settings) -> ImageData:
    """Larochelle's fixed binarisation, or MNIST with a threshold at one half."""
    if not settings.threshold:
        return load_binarized_mnist(root)
    data = load_mnist(root)
    return data._replace(
        name=f"{data.name}, thresholded",
        train_images=binarize(data.train_images),
        test_images=binarize(data.test_images),
    )


def _fashion(root: Path | None, settings: Settings) -> ImageData:
    """Fashion-MNIST's training set, its last fifth held out: Keras's validation_split of 0.2."""
    data = load_fashion_mnist(root)
    num_train = int(0.8 * len(data.train_images))
    return data._replace(
        name=f"{data.name}, the training set's last fifth held out",
        train_images=data.train_images[:num_train],
        train_labels=data.train_labels[:num_train],
        test_images=data.train_images[num_train:],
        test_labels=data.train_labels[num_train:],
    )


def _faces(root: Path | None, settings: Settings) -> ImageData:
    """Faces, the last twentieth held out. A face has no label: all are zero."""
    if root is not None and (root / "celeba").is_dir():
        root = root / "celeba"
    faces = load_faces(root)
    images = faces.images
    labels = torch.zeros(len(images), dtype=torch.int64)
    num_train = int(0.95 * len(images))
    return ImageData(
        faces.name,
        *(images[:num_train], labels[:num_train]),
        *(images[num_train:], labels[num_train:]),
    )


def _bernoulli_reconstruct(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.decode(transform(model, x)).sigmoid().view(-1, 1, 28, 28)


def _bernoulli_sample(model: BernoulliVAE, n: int, generator: torch.Generator) -> Tensor:
    return prior_predictive(model, n, generator)[1].view(-1, 1, 28, 28)


def _keras_sample(model: KerasVAE, n: int, generator: torch.Generator) -> Tensor:
    z = torch.randn(n, model.latent_dim, generator=generator, device=generator.device)
    with torch.no_grad():
        return model.decoder(z)


def _bits_of_greys(nats: float) -> float:
    """A density of pixels in [0, 1] becomes a probability by the width of one of 256 levels."""
    return (nats / 784 + math.log(255)) / math.log(2)


def _with_var(mu: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    return mu, log_var.exp()


def _with_squared(mu: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    return mu, std.square()


SYSTEMS = {
    "autoencoder": System(
        title="ps1, a convolutional autoencoder",
        load=_mnist,
        make=lambda settings: AutoEncoder(settings.latent_dim),
        terms=lambda model, x, beta: autoencoder_terms(model, x),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=10,
        batch_size=64,
        latent_dim=64,
        sample=lambda model, n, generator: sample_prior(
            model.decoder, n, model.decoder.layers[0].in_features, generator
        ),
        reconstruct=lambda model, x: model.reconstruct(x),
        posterior=lambda model, x: (model.encode(x), None),
        takes_beta=False,
        columns=("loss", "mse"),
        compared_at=900,
    ),
    "vae": System(
        title="ps2, the same backbone made variational",
        load=_mnist,
        make=lambda settings: VAE(settings.latent_dim),
        terms=vae_terms,
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=5,
        batch_size=64,
        latent_dim=64,
        sample=lambda model, n, generator: model.sample(n, generator),
        reconstruct=lambda model, x: model.reconstruct(x),
        posterior=lambda model, x: _with_var(*model.encode(x)),
        bits=_bits_of_greys,
        columns=("loss", "nll", "kl", "mse"),
        compared_at=500,
    ),
    "bernoulli": System(
        title="ps3, a Bernoulli MLP VAE",
        load=_binary_mnist,
        make=lambda settings: BernoulliVAE(latent_dim=settings.latent_dim),
        terms=lambda model, x, beta: bernoulli_terms(model, x),
        optimizer=partial(torch.optim.RMSprop, lr=1e-3),
        epochs=30,
        batch_size=64,
        latent_dim=100,
        sample=_bernoulli_sample,
        reconstruct=_bernoulli_reconstruct,
        posterior=lambda model, x: _with_squared(*model.encode(x)),
        bits=partial(bits_per_dim, num_dims=784),
        takes_beta=False,
    ),
    "keras": System(
        title="ps4, a Keras-style convolutional VAE",
        load=_fashion,
        make=lambda settings: KerasVAE(settings.latent_dim, settings.beta),
        terms=lambda model, x, beta: keras_terms(model, x),
        optimizer=KerasAdam,
        epochs=10,
        batch_size=32,
        latent_dim=2,
        beta=0.392,
        sample=_keras_sample,
        reconstruct=lambda model, x: model.predict(x).to(x.device),
        posterior=lambda model, x: _with_var(*model.encoder(x)),
        scale=(784, "per pixel, the seed's scale"),
    ),
    "celeba": System(
        title="ps5, a convolutional VAE of 64x64 faces",
        load=_faces,
        make=lambda settings: FaceVAE(settings.latent_dim),
        terms=lambda model, x, beta: face_terms(model, x),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=40,
        batch_size=32,
        latent_dim=100,
        sample=lambda model, n, generator: unscale_images(model.sample(n, generator)),
        reconstruct=lambda model, x: unscale_images(model.reconstruct(x)),
        posterior=lambda model, x: model.encode(x),
        bits=face_bits_per_dim,
        takes_beta=False,
        prepare=scale_images,
        show=unscale_images,
    ),
}


def default_settings(name: str) -> Settings:
    """The settings of the published run of a system.

    Raises:
        UsageError: there is no such system.
    """
    system = find_system(name)
    return Settings(name, system.latent_dim, system.batch_size, system.beta)


def find_system(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"there is no system {name} (known: {', '.join(SYSTEMS)})")
    return SYSTEMS[name]
