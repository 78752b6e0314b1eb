"""A convolutional VAE for Fashion-MNIST behind the verbs of Keras: compile, fit, evaluate, predict.

The network is one that was published in Keras, layer for layer, down to the way TensorFlow pads a
convolution, the initial weights and the place of Adam's epsilon: with the same weights the two
give the same numbers. Only the loss is written differently, per image and in nats, so that its
beta can be seen.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_course.keras_fit import Mean
from vae_course.keras_layers import SameConv2d, SameConvTranspose2d, glorot_uniform
from vae_course.keras_model import KerasModel

# --- The network ----------------------------------------------------------------------------


class Sampling(nn.Module):
    """The layer that draws a code z from q(z|x) = N(mu, diag(exp(log_var))).

    It has no weights. The noise is drawn afresh for every image, every dimension and every call,
    from a source that depends on nothing, so that gradients pass through z to mu and log_var
    (Kingma and Welling 2014, section 2.4).
    """

    def forward(
        self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one code for each image.

        Args:
            mu: the means, of shape (B, k), on any device.
            log_var: the natural logarithms of the VARIANCES, of the same shape.
            generator: the source of the randomness, on mu's device; None for PyTorch's own.

        Returns:
            z, of shape (B, k), on mu's device.
        """
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + noise * (log_var / 2).exp()


class FashionEncoder(nn.Module):
    """From an image to the posterior q(z|x), a Gaussian over codes.

    | layer              | kernel, stride | output       | parameters |
    |--------------------|----------------|--------------|------------|
    | convolution, ReLU  | 3, 1           | 32 x 28 x 28 |        320 |
    | convolution, ReLU  | 3, 2           | 64 x 14 x 14 |     18,496 |
    | convolution, ReLU  | 3, 1           | 64 x 14 x 14 |     36,928 |
    | convolution, ReLU  | 3, 1           | 64 x 14 x 14 |     36,928 |
    | flatten            |                | 12,544       |          0 |
    | linear, ReLU       |                | 32           |    401,440 |
    | linear: mu         |                | latent_dim   |         66 |
    | linear: log_var    |                | latent_dim   |         66 |

    All convolutions are padded "same", and all weights start as Keras's would. The last two are
    layers apart (one of twice the width would start within another bound), and read the same 32
    numbers. Nothing comes after them: mu and log_var may be any real number.
    """

    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        """Make the layers of the table: 494,244 parameters for 2 latent dimensions.

        Args:
            latent_dim: the length k of a code.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        channels, height, width = image_shape
        self.conv1 = SameConv2d(channels, 32, 3)
        self.conv2 = SameConv2d(32, 64, 3, stride=2)
        self.conv3 = SameConv2d(64, 64, 3)
        self.conv4 = SameConv2d(64, 64, 3)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(64 * (height // 2) * (width // 2), 32)
        self.mu = nn.Linear(32, latent_dim)
        self.log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Describe the posterior of each image.

        Args:
            x: images, of shape (B, *image_shape), with values in [0, 1].

        Returns:
            mu and log_var, the means and the natural logarithms of the variances, of shape
            (B, latent_dim) each.
        """
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(conv(x))
        features = F.relu(self.dense(self.flatten(x)))
        return self.mu(features), self.log_var(features)


class FashionDecoder(nn.Module):
    """From a code to an image.

    | layer                          | kernel, stride | output       | parameters |
    |--------------------------------|----------------|--------------|------------|
    | linear, ReLU                   |                | 12,544       |     37,632 |
    | reshape                        |                | 64 x 14 x 14 |          0 |
    | transposed convolution, ReLU   | 3, 2           | 32 x 28 x 28 |     18,464 |
    | transposed convolution, sigmoid| 3, 1           | 1 x 28 x 28  |        289 |

    Both transposed convolutions are padded "same", and all weights start as Keras's would.
    """

    def __init__(
        self, latent_dim: int = 2, image_shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        """Make the layers of the table: 56,385 parameters for 2 latent dimensions.

        Args:
            latent_dim: the length k of a code.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        channels, height, width = image_shape
        self.dense = nn.Linear(latent_dim, 64 * (height // 2) * (width // 2))
        self.reshape = nn.Unflatten(1, (64, height // 2, width // 2))
        self.deconv1 = SameConvTranspose2d(64, 32, 3, stride=2)
        self.deconv2 = SameConvTranspose2d(32, channels, 3)
        glorot_uniform(self)

    def forward(self, z: Tensor) -> Tensor:
        """Draw the image of each code.

        Args:
            z: codes, of shape (B, latent_dim).

        Returns:
            x_hat, of shape (B, *image_shape), with values between 0 and 1: the probability that a
            pixel is white.
        """
        maps = self.reshape(F.relu(self.dense(z)))
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(maps))))


# --- The loss, as it should be and as it was published --------------------------------------


def cross_entropy_terms(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, beta: float = 1.0
) -> dict[str, Tensor]:
    """The terms of the negative ELBO for a Bernoulli decoder, with a weight beta on the KL.

    The decoder gives probabilities, and the binary cross-entropy of a pixel is the negative
    logarithm of the probability that the pixel was given. Of a black or white pixel, that is; for
    greys in between it is still a good loss, but no longer a likelihood.

    Args:
        x: the images, of shape (B, ...), with values in [0, 1].
        x_hat: the decoder's probabilities, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the posterior log-variances, of shape (B, k).
        beta: how much the divergence counts in the loss.

    Returns:
        A dict of three tensors of shape (B,), in nats, one number for each image:
        "nll", the cross-entropy, summed over everything that belongs to the image;
        "kl", the divergence of q(z|x) from the prior N(0, I), never weighted;
        "loss", what training minimises.
    """
    nll = F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(dim=1)
    kl = 0.5 * (mu.square() + torch.expm1(log_var) - log_var).sum(dim=1)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}


def seed_loss(x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """The loss of the published notebook, as it stands there: to compare with, not to use.

    All pixels of all images of the batch go into ONE mean of the binary cross-entropy. For the
    divergence, each image's latent dimensions go into a MEAN of
        1 + log_var - mu^2 - exp(log_var),
    which is multiplied by -5e-4. Then comes the mean over the batch.

    Args:
        x: the images, of shape (B, ...), with values in [0, 1].
        x_hat: the decoder's probabilities, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the posterior log-variances, of shape (B, k).

    Returns:
        A single number for the whole batch, of shape (). Its unit is nobody's.
    """
    reconstruction = F.binary_cross_entropy(x_hat, x)
    divergence = -5e-4 * (1 + log_var - mu**2 - log_var.exp()).mean(dim=1)
    return (reconstruction + divergence).mean()


def hidden_beta(latent_dim: int, num_pixels: int = 784, kl_weight: float = 5e-4) -> float:
    """The beta that the published loss really has.

    Up to one overall factor, which moves no minimum, `seed_loss` is the mean over the batch of
        (SUM over pixels of the cross-entropy) + beta * KL,
    where KL is the divergence with its factor of one half and its sum over latent dimensions.

    Args:
        latent_dim: the length k of a code.
        num_pixels: how many numbers an image holds.
        kl_weight: what the mean in the divergence is multiplied by, without its sign.

    Returns:
        beta. For the published notebook, with its 2 latent dimensions, it is 0.392.
    """
    return 2 * kl_weight * num_pixels / latent_dim


# --- The model --------------------------------------------------------------------------------


def keras_terms(
    model: nn.Module, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What training the model minimises and what it reports, for each image of a batch.

    Args:
        model: a `KerasVAE`, or any model with a `beta` whose forward pass gives x_hat, mu and
            log_var.
        x: images, of shape (B, C, H, W), with values in [0, 1].
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        The terms of `cross_entropy_terms` for one sample of z, with the model's beta: "loss",
        "nll" and "kl", in nats, of shape (B,) each.
    """
    x_hat, mu, log_var = model(x, generator)
    return cross_entropy_terms(x, x_hat, mu, log_var, model.beta)


class KerasVAE(KerasModel):
    """The variational autoencoder of `FashionEncoder`, `Sampling` and `FashionDecoder`.

    Its beta is its own: another number of latent dimensions does not change it. Training and
    evaluation keep three metrics: "loss", "nll" and "kl", in nats per image.
    """

    def __init__(
        self,
        latent_dim: int = 2,
        beta: float = 0.392,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        """Make the three parts, 550,629 parameters for 2 latent dimensions, and three metrics.

        The attributes `latent_dim`, `beta` and `image_shape` keep the arguments; `encoder` and
        `decoder` hold those two parts.

        Args:
            latent_dim: the length k of a code.
            beta: the weight of the divergence in the loss.
            image_shape: channels, height and width of an image; the last two are even.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.image_shape = tuple(image_shape)
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_tracker = Mean("loss")
        self.nll_tracker = Mean("nll")
        self.kl_tracker = Mean("kl")

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Args:
            x: images, of shape (B, *image_shape), with values in [0, 1].
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            x_hat of shape (B, *image_shape), and the posterior's mu and log_var, of shape
            (B, latent_dim) each.
        """
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def train_step(self, batch: Tensor) -> None:
        """Take one step of `self.optimizer` on a batch, and add its terms to the metrics.

        The step minimises the mean of `keras_terms`' "loss" over the batch.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.
        """
        terms = keras_terms(self, batch)
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def test_step(self, batch: Tensor) -> None:
        """Add a batch's terms to the metrics. Nothing is learnt from it.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.
        """
        terms = keras_terms(self, batch)
        for metric in self.metrics:
            metric.update_state(terms[metric.name])

    def predict_step(self, batch: Tensor) -> Tensor:
        """Reconstruct images from their posterior means, so that nothing is random.

        Args:
            batch: images, of shape (B, *image_shape), on the model's device.

        Returns:
            x_hat, of the same shape.
        """
        mu, _ = self.encoder(batch)
        return self.decoder(mu)


# --- A map of the latent plane --------------------------------------------------------------


def quantile_codes(num: int, tail: float = 0.01) -> Tensor:
    """Values of one latent dimension at equal steps of probability under the prior N(0, 1).

    Evenly spaced PROBABILITIES, from `tail` to 1 - tail, turned into the values below which a
    standard normal falls with those probabilities: dense in the middle, where codes are likely,
    and sparse far out (Kingma and Welling 2014, figure 4).

    Args:
        num: how many values; at least 2.
        tail: the probability beyond the first value, and beyond the last one.

    Returns:
        The values in rising order, of shape (num,). Between neighbours lies the same probability;
        beyond the ends lies `tail`, whatever that is.
    """
    return torch.special.ndtri(torch.linspace(tail, 1 - tail, num))


def manifold_codes(values: Tensor) -> Tensor:
    """The codes of a square map of the latent plane, in the order in which pictures are laid out.

    Row by row from the TOP, and from left to right within a row. The first latent dimension runs
    to the right and the second one upwards, as on the axes of any plot, so the top row has the
    largest value of the second dimension.

    Args:
        values: the values that each dimension takes, in rising order, of shape (n,).

    Returns:
        All n * n codes at once, of shape (n * n, 2), on the device of `values`.
    """
    y, x = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)
