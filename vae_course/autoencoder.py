"""A convolutional autoencoder for 28x28 grey images, and what to compare it with.

The backbone is small on purpose: four strided convolutions down to a 1x1 map, one linear layer
to the latent code, and the mirror image of it all on the way back.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def conv_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """The side of the map that a convolution makes from a square map of side `size`.

    The arithmetic is in the documentation of `torch.nn.Conv2d` (section Shape), and drawn in
    Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning".

    Args:
        size: the side of the incoming map, in pixels.
        kernel: the side of the kernel.
        stride: how far the kernel moves at each step.
        padding: how many zeros are put on each of the four sides.

    Returns:
        The side of the outgoing map. Steps that do not fit whole are dropped.
    """
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """The side of the map that a transposed convolution makes from a map of side `size`.

    The arithmetic is in the documentation of `torch.nn.ConvTranspose2d` (section Shape); here
    output_padding is 0 and dilation is 1. Note that a transposed convolution undoes the *sizes*
    of a convolution, and that its padding takes pixels away.

    Args:
        size: the side of the incoming map, in pixels.
        kernel: the side of the kernel.
        stride: how far apart neighbouring inputs land in the output.
        padding: how many pixels are cut from each of the four sides.

    Returns:
        The side of the outgoing map.
    """
    return (size - 1) * stride - 2 * padding + kernel


class Encoder(nn.Module):
    """From an image of 28x28 to a short vector that describes it.

    | step                                   | map that comes out |
    |----------------------------------------|--------------------|
    | convolution, kernel 4, LeakyReLU       | 32 x 14 x 14       |
    | convolution, kernel 4, BatchNorm, LeakyReLU | 64 x 7 x 7    |
    | convolution, kernel 3, BatchNorm, LeakyReLU | 128 x 3 x 3   |
    | convolution, kernel 3, BatchNorm, LeakyReLU | 256 x 1 x 1   |
    | flatten, linear                        | num_outputs        |

    Every convolution has a bias, and every LeakyReLU the slope 0.2. Strides and paddings follow
    from the map sizes: `conv_output_size` helps to find them. Nothing comes after the linear
    layer, for a code may be any real number.
    """

    def __init__(self, num_outputs: int = 64) -> None:
        """Make the layers of the table above: 419,744 parameters for 64 outputs.

        Args:
            num_outputs: the length of the vector that comes out.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=4, stride=2, padding=1),  # 28 -> 14
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1),  # 14 -> 7
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, kernel_size=3, stride=2),  # 7 -> 3
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, kernel_size=3, stride=2),  # 3 -> 1
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(256, num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Describe a batch of images.

        Args:
            x: images, of shape (B, 1, 28, 28), with values in [0, 1].

        Returns:
            One vector for each image, of shape (B, num_outputs).
        """
        return self.layers(x)


class Decoder(nn.Module):
    """From a latent code back to an image: the encoder's mirror.

    | step                                              | map that comes out |
    |---------------------------------------------------|--------------------|
    | linear, reshape, BatchNorm, LeakyReLU             | 256 x 1 x 1        |
    | transposed convolution, kernel 3, BatchNorm, LeakyReLU | 128 x 3 x 3   |
    | transposed convolution, kernel 3, BatchNorm, LeakyReLU | 64 x 7 x 7    |
    | transposed convolution, kernel 4, LeakyReLU       | 32 x 14 x 14       |
    | transposed convolution, kernel 4, sigmoid         | 1 x 28 x 28        |

    Every layer has a bias, and every LeakyReLU the slope 0.2. The BatchNorms are those of maps
    (`nn.BatchNorm2d`), the first one included. Strides and paddings follow from the map sizes,
    with no output_padding: `conv_transpose_output_size` helps to find them. The sigmoid keeps
    the pixels between 0 and 1.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        """Make the layers of the table above: 419,681 parameters for 64 latent dimensions.

        Args:
            latent_dim: the length of the code that comes in.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, kernel_size=3, stride=2),  # 1 -> 3
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, kernel_size=3, stride=2),  # 3 -> 7
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1),  # 7 -> 14
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 1, kernel_size=4, stride=2, padding=1),  # 14 -> 28
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Draw the images that a batch of codes stands for.

        Args:
            z: latent codes, of shape (B, latent_dim).

        Returns:
            Images, of shape (B, 1, 28, 28), with values between 0 and 1.
        """
        return self.layers(z)


class AutoEncoder(nn.Module):
    """An `Encoder` and a `Decoder` that meet at a code of `latent_dim` numbers.

    Attributes:
        encoder, decoder: the two halves.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        """Make both halves: 839,425 parameters for 64 latent dimensions.

        Args:
            latent_dim: the length of the code between them.
        """
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        """The codes of a batch of images: (B, 1, 28, 28) to (B, latent_dim)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """The images of a batch of codes: (B, latent_dim) to (B, 1, 28, 28)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze images through the code and draw them again, for training.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            x_hat, the reconstructions, of the same shape.
        """
        return self.decode(self.encode(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions to look at, not to train on.

        What comes back must not depend on which other images share the batch (that is BatchNorm's
        evaluation mode), must keep no graph for gradients, and must work for a single image. The
        mode of the model as a whole, training or evaluation, is left as it was found.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            x_hat, of the same shape.
        """
        was_training = self.training
        self.eval()
        with torch.no_grad():
            x_hat = self(x)
        self.train(was_training)
        return x_hat


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """The squared distance between each image and its reconstruction.

    Args:
        x_hat: reconstructions, of shape (B, ...).
        x: the images, of the same shape.

    Returns:
        One number for each image, of shape (B,): a sum over all of its pixels, not a mean, and
        nothing is shared between the images of a batch. Gradients flow through it to x_hat.
    """
    return ((x_hat - x) ** 2).flatten(1).sum(dim=1)


def autoencoder_terms(model: AutoEncoder, x: Tensor) -> dict[str, Tensor]:
    """What training an autoencoder minimises and what it reports, for each image of a batch.

    Half the squared error is the negative log-likelihood of a Gaussian with variance one around
    the reconstruction, up to a constant: so the loss is in nats already, and a variational
    autoencoder's can be compared with it.

    Args:
        model: the autoencoder.
        x: images, of shape (B, 1, 28, 28).

    Returns:
        "loss": half the squared error in nats, and "mse": the mean squared error per pixel.
        Each has shape (B,).
    """
    error = squared_error(model(x), x)
    return {"loss": error / 2, "mse": error / x[0].numel()}


def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    """How well each kind of image is reconstructed: the mean squared distance, label by label.

    Measuring must leave no trace. The model runs in evaluation mode and without gradients; the
    mode of the model as a whole is left as it was found, and nothing else about it changes. The
    answer depends on the images alone: not on the size of the batches, nor on which images share
    one.

    Args:
        model: an autoencoder, on whatever device it is on; `model(x)` is the reconstruction of x.
        loader: batches of (images, labels), perhaps of unequal size.

    Returns:
        For each label that occurs, in rising order, the mean over its images of the image's
        `squared_error`, as a plain Python number that holds on to no graph.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    errors: dict[int, list[float]] = {}
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            distances = squared_error(model(images), images)
            for label, distance in zip(labels.tolist(), distances.tolist(), strict=True):
                errors.setdefault(int(label), []).append(distance)
    model.train(was_training)
    return {label: sum(found) / len(found) for label, found in sorted(errors.items())}


def sample_prior(
    decoder: nn.Module,
    num_samples: int,
    latent_dim: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Decode codes drawn from the standard normal distribution N(0, I).

    For an autoencoder this is an experiment: nothing in its training asks that such codes mean
    anything. For a variational autoencoder it is how new images are made.

    As with `AutoEncoder.reconstruct`, the decoder runs in evaluation mode and without gradients,
    one sample alone must work, and the mode of the decoder as a whole is left as it was found.

    Args:
        decoder: a module from (B, latent_dim) to images, on any device.
        num_samples: how many images to make.
        latent_dim: the length of a code.
        generator: the source of the randomness, on the decoder's device; None for PyTorch's own.
            It moves on with every call, so that the next call draws other codes.

    Returns:
        Images, of shape (num_samples, 1, 28, 28), on the decoder's device.
    """
    was_training = decoder.training
    decoder.eval()
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    with torch.no_grad():
        images = decoder(z)
    decoder.train(was_training)
    return images


def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    """Reconstruct x by principal component analysis, which is linear autoencoding at its best.

    The components are learnt from `train` alone: the directions, around its mean, in which it
    varies most. They are found exactly (`torch.linalg.svd` does that; `torch.pca_lowrank` is
    random and approximate). x is expressed by its coordinates along the first few of these
    directions, and rebuilt from them. Baldi and Hornik 1989 show that on `train` itself no linear
    autoencoder with a code of the same length does better.

    Args:
        train: examples to learn from, of shape (N, D).
        x: examples to reconstruct, of shape (n, D).
        num_components: how many directions to keep, at most min(N, D).

    Returns:
        The reconstructions of x, of shape (n, D).
    """
    mean = train.mean(dim=0)
    directions = torch.linalg.svd(train - mean, full_matrices=False).Vh[:num_components]
    codes = (x - mean) @ directions.T
    return mean + codes @ directions
