"""Four small laboratories: collapse, the observation variance, importance weights, discrete codes.

The first three share one model, `GaussianVAE`, which is nothing but an encoder, a decoder and a
variance; what differs is the networks that it is given and the bound that it is trained on. All
examples are plain vectors there, (B, D): an image is flattened first. The fourth laboratory has a
model of its own, with whole numbers for codes.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from IPython.display import Image
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from vae_course.plots import BLUE, ORANGE, _picture

# ---- one model, and how it is trained ---------------------------------------------------------


class GaussianVAE(nn.Module):
    """A variational autoencoder made of any two networks, Gaussian on both sides.

    The prior is p(z) = N(0, I), the posterior q(z|x) is a diagonal Gaussian, and the likelihood is
    p(x|z) = N(decoder(z), var_x). With two linear layers it is the linear VAE of Lucas et al. 2019.

    Attributes:
        log_var_x: the logarithm of the observation variance: one number for all the values of x,
            or D of them, one for each.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        var_x: float | Sequence[float],
        learn_var_x: bool = False,
    ) -> None:
        """Put a model together.

        Args:
            encoder: from examples (B, D) to (B, 2k): the posterior means, then its log-variances.
            decoder: from codes (..., k) to the means of p(x|z), (..., D).
            var_x: the variance of p(x|z), one number, or one for each of the D values.
            learn_var_x: whether training may change it.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        log_var_x = torch.as_tensor(var_x, dtype=torch.float32).log()
        self.log_var_x = nn.Parameter(log_var_x, requires_grad=learn_var_x)

    def posterior(self, x: Tensor) -> Normal:
        """q(z|x) of each example: (B, D) to a distribution over codes (B, k)."""
        mean, log_var = self.encoder(x).chunk(2, dim=-1)
        return Normal(mean, (log_var / 2).exp(), validate_args=False)

    def likelihood(self, z: Tensor) -> Normal:
        """p(x|z) for each code: (..., k) to a distribution over examples (..., D)."""
        return Normal(self.decoder(z), (self.log_var_x / 2).exp(), validate_args=False)


def gaussian_vae_terms(model: GaussianVAE, x: Tensor) -> dict[str, Tensor]:
    """The negative ELBO of each example, and its two parts, with one draw of z.

    Args:
        model: the model.
        x: examples, of shape (B, D).

    Returns:
        "loss", "nll" and "kl" in nats, each of shape (B,).
    """
    q = model.posterior(x)
    return elbo_parts(x, q, model.likelihood(q.rsample()))


def elbo_parts(x: Tensor, q: Normal, p_x: Normal) -> dict[str, Tensor]:
    """The terms of `gaussian_vae_terms`, for a posterior q(z|x) and a likelihood p(x|z)."""
    nll = -p_x.log_prob(x).sum(-1)
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(-1)
    return {"loss": nll + kl, "nll": nll, "kl": kl}


def take_steps(
    model: nn.Module,
    x: Tensor,
    terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
    optimizer: Optimizer,
    num_steps: int,
    batch_size: int = 128,
) -> None:
    """Train a model in place, with batches drawn at random from x.

    The learning rates sink to zero along half a cosine, so that training ends at rest and not in
    the middle of a step: a model that has to match a closed form needs that.

    Args:
        model: the model.
        x: the examples to train on, of shape (N, ...), on the model's device.
        terms: from the model and a batch to a dict of tensors; the mean of "loss" is minimised.
        optimizer: over the model's parameters.
        num_steps: how many steps to take.
        batch_size: how many examples make a step.
    """
    schedule = CosineAnnealingLR(optimizer, num_steps)
    for _ in range(num_steps):
        batch = x[torch.randint(len(x), (batch_size,), device=x.device)]
        optimizer.zero_grad()
        terms(model, batch)["loss"].mean().backward()
        optimizer.step()
        schedule.step()


# ---- laboratory 1: collapse that can be explained ---------------------------------------------


def gaussian_cloud(
    variances: tuple[float, float], degrees: float = 0.0, num_points: int = 2000, seed: int = 0
) -> Tensor:
    """Points of a Gaussian in the plane, with *exactly* these variances along its two axes.

    Args:
        variances: along the first and the second principal axis.
        degrees: by how much the axes are turned, anticlockwise. At 0 they are those of the plane.
        num_points: how many points.
        seed: of the points.

    Returns:
        Points, of shape (num_points, 2). Their mean is zero, and their covariance (the one that
        divides by the number of points) is what was asked for, up to rounding: what a sample of a
        Gaussian only has on average.
    """
    points = torch.randn(num_points, 2, generator=torch.Generator().manual_seed(seed))
    points = points - points.mean(dim=0)
    whole = torch.linalg.cholesky(points.T @ points / num_points)
    points = torch.linalg.solve_triangular(whole, points.T, upper=False).T  # now exactly white
    angle = math.radians(degrees)
    axes = torch.tensor(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]],
    )
    return points * torch.tensor(variances).sqrt() @ axes


class LinearOptimum(NamedTuple):
    """The best that a linear VAE can do, in closed form.

    Attributes:
        active: how many latent dimensions are used.
        kl: the mean divergence of the posteriors from the prior, in nats.
        log_likelihood: the mean of log p(x), in nats; the ELBO at the optimum is the same number.
    """

    active: int
    kl: float
    log_likelihood: float


def linear_vae_optimum(x: Tensor, var_x: float, latent_dim: int) -> LinearOptimum:
    """What training a linear VAE with a fixed observation variance must arrive at.

    Its marginal is probabilistic PCA, whose maximum likelihood is known (Tipping and Bishop 1999,
    "Probabilistic principal component analysis", appendix A), and its ELBO is tight there (Lucas
    et al. 2019). A principal direction is modelled if the data vary along it by more than var_x,
    and left to the noise if not.

    Args:
        x: the data, of shape (N, D).
        var_x: the observation variance, the same for all D values.
        latent_dim: how many latent dimensions there are.

    Returns:
        The optimum; averages are over the data.
    """
    centred = (x - x.mean(dim=0)).double()
    variances = torch.linalg.eigvalsh(centred.T @ centred / len(x)).flip(0)
    modelled = torch.full_like(variances, var_x)
    modelled[:latent_dim] = variances[:latent_dim].clamp(min=var_x)
    log_density = -(torch.log(2 * math.pi * modelled) + variances / modelled) / 2
    information = torch.log(modelled / var_x) / 2
    return LinearOptimum(
        int((modelled > var_x).sum()), information.sum().item(), log_density.sum().item()
    )


def plot_planes(panels: Sequence[tuple[str, Tensor, Tensor]], title: str) -> Image:
    """Show clouds in the plane side by side, each with something a model makes in front of it.

    Args:
        panels: for each a caption, the data (N, 2) and what is drawn on top (M, 2).
        title: of the whole picture.
    """
    figure = Figure(figsize=(3.1 * len(panels), 3.5), layout="constrained")
    spread = max(float(data.detach().abs().max()) for _, data, _ in panels) * 1.05
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (caption, data, made) in zip(row, panels, strict=True):
        axes.scatter(*data.detach().cpu().T.numpy(), s=5, color=BLUE, alpha=0.25, label="data")
        axes.scatter(*made.detach().cpu().T.numpy(), s=5, marker="s", color=ORANGE, label="model")
        axes.set(xlim=(-spread, spread), ylim=(-spread, spread), aspect="equal")
        axes.set_title(caption, fontsize=10)
        axes.grid(alpha=0.3)
    row[0].legend(frameon=False, fontsize=8, loc="upper left", markerscale=2)
    figure.suptitle(title, fontsize=11)
    captions = "; ".join(caption for caption, _, _ in panels)
    return _picture(figure, f"{title}: the data and what a model makes of it, for {captions}")


# ---- laboratory 2: the observation variance ---------------------------------------------------


def best_variance(x: Tensor, x_hat: Tensor) -> Tensor:
    """The variance of a Gaussian around x_hat that makes x most probable: the mean squared error.

    Args:
        x: examples, of any shape.
        x_hat: the means of the Gaussian, of the same shape.

    Returns:
        One variance for all values of all examples.
    """
    return (x - x_hat).square().mean()


def calibrated_terms(model: GaussianVAE, x: Tensor) -> dict[str, Tensor]:
    """The terms of `gaussian_vae_terms`, with the variance that suits this very batch best.

    The model's own variance plays no part. This is the "optimal sigma" of Rybkin, Daniilidis and
    Levine 2021, "Simple and effective VAE training with calibrated decoders", section 3.

    Args:
        model: the model.
        x: examples, of shape (B, D).

    Returns:
        "loss", "nll" and "kl" in nats, each of shape (B,).
    """
    q = model.posterior(x)
    x_hat = model.decoder(q.rsample())
    return elbo_parts(x, q, Normal(x_hat, best_variance(x, x_hat).sqrt(), validate_args=False))


@torch.no_grad()
def calibrate(model: GaussianVAE, x: Tensor) -> None:
    """Give a trained model the observation variance that suits x best, and change nothing else.

    Args:
        model: the model; its `log_var_x` is replaced by one number.
        x: examples, of shape (N, D). Each is reconstructed from one draw of z.
    """
    x_hat = model.decoder(model.posterior(x).sample())
    model.log_var_x.data = best_variance(x, x_hat).log()


# ---- laboratory 3: importance weights ---------------------------------------------------------


def ring_points(num_points: int, std: float, seed: int = 0) -> Tensor:
    """Points on the unit circle, with Gaussian noise around them: shape (num_points, 2)."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(num_points, generator=generator)
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    return circle + std * torch.randn(num_points, 2, generator=generator)


def importance_terms(model: GaussianVAE, x: Tensor, num_samples: int) -> dict[str, Tensor]:
    """The importance-weighted bound as a loss (Burda, Grosse and Salakhutdinov 2016).

    Args:
        model: the model.
        x: examples, of shape (B, D).
        num_samples: how many z are drawn for each example, K.

    Returns:
        "loss", of shape (B,), in nats: minus the logarithm of the mean of K weights
        p(x, z) / q(z|x). On average it is at least -log p(x), for every K.
    """
    q = model.posterior(x)
    z = q.rsample((num_samples,))
    log_joint = model.likelihood(z).log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_weights = log_joint - q.log_prob(z).sum(-1)
    return {"loss": -torch.logsumexp(log_weights - math.log(num_samples), dim=0)}


@torch.no_grad()
def log_evidence_on_grid(
    model: GaussianVAE, x: Tensor, limit: float = 8.0, num_cells: int = 4000
) -> Tensor:
    """log p(x) of a model with ONE latent number, by adding up the integral over z in small cells.

    Args:
        model: a model with a latent dimension of 1.
        x: examples, of shape (B, D).
        limit: z runs from -limit to limit. Beyond 8 lies about 1e-15 of the prior.
        num_cells: how many cells that is.

    Returns:
        log p(x) in nats, of shape (B,), as exact as the cells are small.
    """
    width = 2 * limit / num_cells
    z = (torch.arange(num_cells, device=x.device) + 0.5) * width - limit  # the middles of the cells
    p_x = model.likelihood(z.view(-1, 1, 1))
    log_cells = p_x.log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).view(-1, 1)
    return torch.logsumexp(log_cells + math.log(width), dim=0)


# ---- laboratory 4: codes that are whole numbers -----------------------------------------------


class VectorQuantizer(nn.Module):
    """A codebook: every vector is replaced by the nearest of K learnt ones.

    From "Neural discrete representation learning" (van den Oord, Vinyals and Kavukcuoglu 2017).

    Attributes:
        codebook: the K codes, of shape (K, d).
    """

    def __init__(self, num_codes: int, code_dim: int) -> None:
        """Make a codebook of num_codes vectors of length code_dim, all close to zero at first."""
        super().__init__()
        start = torch.empty(num_codes, code_dim).uniform_(-1 / num_codes, 1 / num_codes)
        self.codebook = nn.Parameter(start)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Replace each vector by its nearest code.

        Choosing the nearest has no useful derivative: a small change of z changes nothing, until
        suddenly another code is nearest. The straight-through estimator pretends that nothing was
        replaced: what the decoder asks of the code is passed on to z as it is.

        Args:
            z: vectors, of shape (..., d).

        Returns:
            the codes' vectors in z's place, of shape (..., d), with gradients that go to z, and
            none that go to the codebook;
            the codes' numbers, of shape (...);
            the codes' vectors once more, of shape (..., d), with gradients that go to the codebook.
        """
        distances = torch.cdist(z.flatten(0, -2), self.codebook)
        numbers = distances.argmin(dim=1).view(z.shape[:-1])
        codes = self.codebook[numbers]
        straight_through = z + (codes - z).detach()
        return straight_through, numbers, codes


class VQVAE(nn.Module):
    """A small VQ-VAE: an image of 32x32 becomes a map of 8x8 whole numbers, and an image again."""

    def __init__(self, num_codes: int = 64, code_dim: int = 16, channels: int = 3) -> None:
        """Make encoder, codebook and decoder.

        Args:
            num_codes: how many codes there are to choose from, K.
            code_dim: the length d of a code's vector.
            channels: how many numbers a pixel has.
        """
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=4, stride=2, padding=1),  # 32 -> 16
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1),  # 16 -> 8
            nn.ReLU(),
            nn.Conv2d(64, code_dim, kernel_size=1),
        )
        self.quantizer = VectorQuantizer(num_codes, code_dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(code_dim, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1),  # 8 -> 16
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, kernel_size=4, stride=2, padding=1),  # 16 -> 32
            nn.Tanh(),
        )

    def encode(self, x: Tensor) -> Tensor:
        """What the encoder proposes for each place, before any code is chosen.

        Args:
            x: images, of shape (B, channels, 32, 32), with values in [-1, 1].

        Returns:
            A vector for each of 8x8 places, of shape (B, 8, 8, code_dim).
        """
        return self.encoder(x).movedim(1, -1)

    def decode(self, codes: Tensor) -> Tensor:
        """From a map of codes' vectors, (B, 8, 8, code_dim), to images (B, channels, 32, 32)."""
        return self.decoder(codes.movedim(-1, 1))


def vq_terms(model: VQVAE, x: Tensor, commitment_weight: float = 2.0) -> dict[str, Tensor]:
    """What training a VQ-VAE minimises, for each image: three terms, each for other parameters.

    "nll" trains the decoder and, straight through, the encoder. "codebook" moves the chosen codes
    towards what the encoder proposed. "commitment" keeps the encoder's proposals near the codes.

    Args:
        model: the VQ-VAE.
        x: images, of shape (B, channels, 32, 32), with values in [-1, 1].
        commitment_weight: the weight of "commitment". The 0.25 of the paper's code stands beside
            means over pixels and over codes; beside our sums, in nats, that is about 2.

    Returns:
        "nll", -log p(x|z) in nats for a Gaussian with the best variance for this batch;
        "codebook" and "commitment", squared distances summed over all places (no nats: they shape
        the codes and are no part of any bound); "loss", what training minimises. Each is (B,).
        And "numbers", the codes chosen, of shape (B, 8, 8).
    """
    proposals = model.encode(x)
    straight_through, numbers, codes = model.quantizer(proposals)
    x_hat = model.decode(straight_through)
    p_x = Normal(x_hat, best_variance(x, x_hat).sqrt(), validate_args=False)
    nll = -p_x.log_prob(x).flatten(1).sum(1)
    codebook = (codes - proposals.detach()).square().flatten(1).sum(1)
    commitment = (proposals - codes.detach()).square().flatten(1).sum(1)
    loss = nll + codebook + commitment_weight * commitment
    return {
        **{"loss": loss, "nll": nll},
        **{"codebook": codebook, "commitment": commitment, "numbers": numbers},
    }


def code_perplexity(numbers: Tensor, num_codes: int) -> float:
    """How many codes are in use, weighted by how often: exp of the entropy of their frequencies.

    Args:
        numbers: the codes chosen, whole numbers from 0 to num_codes - 1, of any shape.
        num_codes: how many there are to choose from, K.

    Returns:
        From 1, when one code does it all, to num_codes, when all are used equally.
    """
    counts = torch.bincount(numbers.flatten(), minlength=num_codes)
    return Categorical(counts.double()).entropy().exp().item()
