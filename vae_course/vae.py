"""A variational autoencoder: the autoencoder's backbone with a distribution for a code."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from vae_course.autoencoder import Decoder, Encoder
from vae_course.probability import elbo_terms, reparameterize
from vae_course.training import evaluate, train_epoch


class VAE(nn.Module):
    """A variational autoencoder for 28x28 grey images (Kingma and Welling 2014).

    An `Encoder` describes, for each image, a Gaussian q(z|x) over codes by its means and
    log-variances; a `Decoder` gives the mean image of p(x|z); the prior p(z) is N(0, I).

    Attributes:
        latent_dim: the length k of a code.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        """Make both halves: 855,873 parameters for 64 latent dimensions.

        Args:
            latent_dim: the length k of a code. The encoder must say two things about each of
                the k dimensions.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) of each image.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            mu and log_var, the means and the natural logarithms of the variances, of shape
            (B, latent_dim) each. Both may be any real number.
        """
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """The mean image of p(x|z) for each code: (B, latent_dim) to (B, 1, 28, 28)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Args:
            x: images, of shape (B, 1, 28, 28).
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            x_hat of shape (B, 1, 28, 28), and the posterior's mu and log_var, of shape
            (B, latent_dim) each.
        """
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions to look at: decoded from the posterior mean, so nothing is random.

        The model runs in evaluation mode and without gradients, a single image must work, and
        the model is left in the mode in which it was found.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            x_hat, of the same shape.
        """
        was_training = self.training
        self.eval()
        with torch.no_grad():
            mu, _ = self.encode(x)
            x_hat = self.decode(mu)
        self.train(was_training)
        return x_hat

    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """New images: the decoder's mean images for codes drawn from the prior p(z).

        The same care as in `reconstruct`: evaluation mode, no gradients, the mode restored.

        Args:
            num_samples: how many images to make; one must work too.
            generator: the source of the randomness, on the model's device; None for PyTorch's own.

        Returns:
            Images, of shape (num_samples, 1, 28, 28), on the model's device.
        """
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(was_training)
        return images


def vae_terms(model: VAE, x: Tensor, beta: float = 1.0) -> dict[str, Tensor]:
    """What training a VAE minimises and what it reports, for each image of a batch.

    Args:
        model: the variational autoencoder.
        x: images, of shape (B, 1, 28, 28).
        beta: the weight of the divergence in the loss.

    Returns:
        The terms of `elbo_terms` for one sample of z, in nats, and "mse", the mean squared
        error per pixel of that sample's image. Each has shape (B,).
    """
    x_hat, mu, log_var = model(x)
    terms = elbo_terms(x, x_hat, mu, log_var, beta)
    return terms | {"mse": ((x_hat - x) ** 2).flatten(1).mean(dim=1)}


def train_vae(
    model: VAE,
    train_loader: DataLoader,
    held_out_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    beta: float = 1.0,
    warmup_epochs: int = 0,
) -> dict[str, list[dict[str, float]]]:
    """Train a VAE and watch it on images that it does not train on.

    Each epoch trains on all of `train_loader` (`train_epoch` with the terms of `vae_terms`) and
    then evaluates on all of `held_out_loader`. With a warm-up (Bowman et al. 2016; Sonderby et
    al. 2016) the weight of the divergence grows in equal steps: nothing in epoch 0, all of beta
    from epoch `warmup_epochs` on. Without one it is beta from the start. The evaluations always
    use the full beta: otherwise one curve would show two different losses.

    Args:
        model: the variational autoencoder; trained in place.
        train_loader: batches of (images, labels) to train on.
        held_out_loader: batches of (images, labels) to evaluate on.
        optimizer: over the model's parameters.
        epochs: how many times to go through the training images.
        beta: the weight of the divergence.
        warmup_epochs: over how many epochs that weight grows; 0 for no warm-up.

    Returns:
        A history: under "train" one dict of means per image for each epoch, and under
        "held_out" one more than that, for the first one is taken before any training.
    """
    held_out_terms = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, held_out_terms)]}
    for epoch in range(epochs):
        warmth = min(1.0, epoch / warmup_epochs) if warmup_epochs > 0 else 1.0
        train_terms = partial(vae_terms, beta=beta * warmth)
        history["train"].append(train_epoch(model, train_loader, optimizer, train_terms))
        history["held_out"].append(evaluate(model, held_out_loader, held_out_terms))
    return history


def evidence_bound(
    x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor, noise_var: float = 1.0
) -> Tensor:
    """A lower bound on log p(x): the ELBO of each image, estimated from one draw of z.

    Here p(x|z) is a Gaussian around the decoder's image with the same variance in every pixel,
    p(z) is N(0, I), and q(z|x) is the Gaussian of mu and log_var. On average over draws of z the
    bound lies below log p(x), and the gap is the divergence of q(z|x) from the true posterior:
    nothing at all if q(z|x) is that posterior. Where log p(x) is known, that can be tested.

    Args:
        x: the images, of shape (B, ...).
        x_hat: the decoder's images for one z ~ q(z|x) each, of the same shape.
        mu: the posterior means, of shape (B, k).
        log_var: the natural logarithms of the posterior VARIANCES, of shape (B, k).
        noise_var: the VARIANCE of p(x|z) in every pixel.

    Returns:
        One number for each image, in nats, of shape (B,): the larger, the better.
    """
    likelihood = Normal(x_hat, noise_var**0.5)
    posterior = Normal(mu, log_var.exp().sqrt())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)


def interpolate(z_start: Tensor, z_end: Tensor, num_frames: int) -> Tensor:
    """Codes at equal steps on the straight line from one code to another.

    Args:
        z_start: the code of the first frame, of shape (k,).
        z_end: the code of the last frame, of shape (k,).
        num_frames: how many codes to return, both ends included; at least 2.

    Returns:
        The codes, of shape (num_frames, k): row 0 is z_start and the last row is z_end.
    """
    weights = torch.linspace(0, 1, num_frames, device=z_start.device, dtype=z_start.dtype)
    weights = weights.unsqueeze(1)
    return (1 - weights) * z_start + weights * z_end
