"""A variational autoencoder of plain layers for black-and-white images, and bounds on log p(x).

The standard deviation is the language here: the encoder gives `std`, noise is multiplied by it,
and the divergence is written in it. The decoder speaks in logits, log(p / (1 - p)) of each pixel.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal

from vae_course.probability import bernoulli_log_likelihood, gaussian_kl_from_std, log_mean_exp


def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    """Black-and-white images from grey ones: a pixel is 1 where it is brighter than a threshold.

    Args:
        x: grey values in [0, 1], of any shape. They are left as they are.
        threshold: the brightest grey that still counts as black.

    Returns:
        Zeros and ones, floating-point numbers of x's type, of x's shape.
    """
    return (x > threshold).to(x.dtype)


def binarize_randomly(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Black-and-white images drawn from grey ones: a pixel's grey is its probability of being 1.

    Each pixel is drawn for itself, and every call draws anew (Salakhutdinov and Murray 2008, and
    most papers after them, train and test on such draws).

    Args:
        x: grey values in [0, 1], of any shape. They are left as they are.
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        Zeros and ones, floating-point numbers of x's type, of x's shape.
    """
    return torch.bernoulli(x, generator=generator)


def make_mlp(sizes: Sequence[int]) -> nn.Sequential:
    """A network of fully connected layers that starts at the right scale.

    Between any two linear layers stands a ReLU; after the last layer stands nothing, so that the
    outputs may be any real numbers. Biases start at zero. Weights start as independent draws from
    a normal distribution with mean zero whose variance is 2 divided by the number of the layer's
    inputs (He et al. 2015, "Delving deep into rectifiers", section 2.2): then a signal neither
    fades nor grows on its way through many layers.

    Args:
        sizes: the widths from input to output, at least two: (784, 200, 10) makes two layers.

    Returns:
        The network, from (B, sizes[0]) to (B, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        if layers:
            layers.append(nn.ReLU())
        linear = nn.Linear(fan_in, fan_out)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / fan_in))
        nn.init.zeros_(linear.bias)
        layers.append(linear)
    return nn.Sequential(*layers)


class BernoulliVAE(nn.Module):
    """A variational autoencoder for black-and-white images (Kingma and Welling 2014, appendix C).

    The encoder is a network of fully connected layers that gives a Gaussian q(z|x) for each image.
    The decoder has the same hidden layers in the opposite order, and gives one logit for each
    pixel: the pixels of p(x|z) are independent Bernoulli variables. The prior p(z) is N(0, I).

    Attributes:
        num_pixels: how many pixels an image has.
        latent_dim: the length k of a code.
    """

    def __init__(
        self, num_pixels: int = 784, hidden_sizes: Sequence[int] = (200,), latent_dim: int = 100
    ) -> None:
        """Make both halves: 374,984 parameters with the sizes given here.

        Args:
            num_pixels: how many pixels an image has.
            hidden_sizes: the widths of the encoder's hidden layers, from the image to the code.
            latent_dim: the length k of a code. The encoder must say two things about each of
                the k dimensions.
        """
        super().__init__()
        self.num_pixels = num_pixels
        self.latent_dim = latent_dim
        self.encoder = make_mlp((num_pixels, *hidden_sizes, 2 * latent_dim))
        self.decoder = make_mlp((latent_dim, *reversed(hidden_sizes), num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) of each image.

        Args:
            x: images, of shape (B, num_pixels), or (B, 1, H, W) with as many pixels.

        Returns:
            mu and std, the means and the standard deviations, of shape (B, latent_dim) each.
            A mean may be any real number. A standard deviation is the softplus of any real
            number, plus 0.000001, which keeps its logarithm finite.
        """
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        """The logits of p(x|z) for each code: (B, latent_dim) to (B, num_pixels)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        The model's own `encode` and `decode` do it. Gradients pass through the draw, by the
        reparameterisation trick.

        Args:
            x: images, as for `encode`.
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            The logits of shape (B, num_pixels), and the posterior's mu and std, of shape
            (B, latent_dim) each.
        """
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return self.decode(mu + std * noise), mu, std


def bernoulli_terms(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What training minimises and what it reports, for each image of a batch.

    The evidence lower bound (ELBO) is  E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)),  and one
    forward pass of the model, which draws one z for each image, estimates it.

    Args:
        model: a `BernoulliVAE`, or another model whose forward pass gives logits, mu and std.
        x: black-and-white images, of shape (B, num_pixels) or (B, 1, H, W).
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        A dict of three tensors of shape (B,), in nats, one number for each image:
        "nll", the negative log-likelihood -log p(x|z), summed over the pixels;
        "kl", the divergence of q(z|x) from the prior;
        "loss", the negative ELBO: the smaller, the better the model.
    """
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    return {"loss": nll + kl, "nll": nll, "kl": kl}


def mean_terms(
    model: BernoulliVAE, x: Tensor, seed: int = 0, batch_size: int = 500
) -> dict[str, float]:
    """The terms of `bernoulli_terms` as means over many images, without learning from them.

    Every call draws the same noise for the same seed, so that two models, or two epochs, are
    compared on equal terms.

    Args:
        model: the model, on whatever device it is on.
        x: black-and-white images, of shape (N, ...).
        seed: of the noise in z.
        batch_size: how many images go through the model at once.

    Returns:
        "loss", "nll" and "kl" in nats per image, as plain Python numbers.
    """
    device = next(model.parameters()).device
    noise = torch.Generator(device).manual_seed(seed)
    totals: dict[str, float] = {}
    with torch.no_grad():
        for batch in x.split(batch_size):
            for name, values in bernoulli_terms(model, batch.to(device), noise).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item() / len(x)
    return totals


def fit(
    model: BernoulliVAE,
    x: Tensor,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    x_held_out: Tensor | None = None,
    redraw: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> dict[str, list[dict[str, float]]]:
    """Train a model with RMSprop (PyTorch's, with its own defaults), and keep a history.

    In every epoch each image is used exactly once, in a new order; the last batch is smaller if
    need be, and not left out. A step minimises the mean of "loss" over its batch. The images that
    the caller passed in, and their order, stay as they were. All randomness comes from `seed`, so
    the same call gives the same model. The model is left in the mode in which it was found.

    Args:
        model: the model; trained in place, on whatever device it is on.
        x: the images to train on, of shape (N, ...).
        epochs: how many times to go through them.
        batch_size: how many images make a step.
        learning_rate: of RMSprop.
        seed: of the orders and of the noise.
        x_held_out: images that are measured and never trained on; None for none.
        redraw: what to make of a batch before it is used, a function of the batch and a
            generator; None to use it as it is. With `binarize_randomly`, grey images become new
            black-and-white ones every time. Held-out images are never redrawn.

    Returns:
        A history of means per image in nats, "loss", "nll" and "kl", as plain numbers: under
        "train" one dict for each epoch, and under "held_out" one more than that, for the first
        is taken before any training (none at all without held-out images).
    """
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history: dict[str, list[dict[str, float]]] = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))
    for _ in range(epochs):
        totals = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            batch = x[rows].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name in totals:
                totals[name] += terms[name].sum().item()
        history["train"].append({name: total / len(x) for name, total in totals.items()})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history


def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    """The codes of images: the posterior means. Nothing in them is random.

    Args:
        model: the model.
        x: images on the model's device, as for its `encode`.

    Returns:
        The codes, of shape (B, latent_dim), without gradients.
    """
    with torch.no_grad():
        mu, _ = model.encode(x)
    return mu


def prior_predictive_given(
    model: BernoulliVAE, z: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Images of p(x|z) for codes that you choose.

    Args:
        model: the model.
        z: codes on the model's device, of shape (N, latent_dim).
        generator: the source of the randomness, on z's device; None for PyTorch's own.

    Returns:
        samples and probabilities, without gradients, of shape (N, num_pixels) each. A
        probability is that of the pixel being 1, given z; a sample is black or white in every
        pixel (0 or 1), each drawn with its own probability.
    """
    with torch.no_grad():
        probabilities = torch.sigmoid(model.decode(z))
    return torch.bernoulli(probabilities, generator=generator), probabilities


def prior_predictive(
    model: BernoulliVAE, num_samples: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """New images: a code is drawn from the prior for each, and then the image from p(x|z).

    Args:
        model: the model.
        num_samples: how many images to make; one must work too.
        generator: the source of the randomness, on the model's device; None for PyTorch's own.

    Returns:
        samples and probabilities, as from `prior_predictive_given`, of shape
        (num_samples, num_pixels) each: row i of both belongs to the same z.
    """
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(
    model: BernoulliVAE, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """New images like given ones: a code is drawn from each one's q(z|x), then an image from it.

    Args:
        model: the model.
        x: images on the model's device, as for its `encode`.
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        samples and probabilities, as from `prior_predictive_given`, of shape (B, num_pixels)
        each: row i of both belongs to the same z.
    """
    with torch.no_grad():
        logits, _, _ = model(x, generator)
        probabilities = torch.sigmoid(logits)
    return torch.bernoulli(probabilities, generator=generator), probabilities


def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """The logarithms of importance weights, w = p(x, z) / q(z|x) with z drawn from q(z|x).

    On average over z, a weight w is p(x) itself, for any q that is nowhere zero where p(x, z) is
    not; a Gaussian is zero nowhere (Burda, Grosse and Salakhutdinov 2016, "Importance weighted
    autoencoders", section 3). Every term is evaluated at the z that was drawn: no closed form
    takes part.

    Args:
        model: a `BernoulliVAE`, or another model; nothing but `encode` and `decode` is asked of it.
        x: black-and-white images on the model's device, of shape (B, num_pixels) or (B, 1, H, W).
        num_samples: how many z to draw for each image, K; all of them independent.
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        log w in nats, of shape (K, B): row i holds the i-th weight of every image.
    """
    mu, std = model.encode(x)
    noise = torch.randn(
        (num_samples, *mu.shape), generator=generator, device=mu.device, dtype=mu.dtype
    )
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.flatten(1).expand(num_samples, -1, -1).flatten(0, 1)
    log_x_given_z = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_prior = Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).sum(dim=-1)
    log_posterior = Normal(mu, std).log_prob(z).sum(dim=-1)
    return log_x_given_z + log_prior - log_posterior


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """A lower bound on log p(x) from K importance weights an image (Burda et al. 2016).

    It is the logarithm of the K weights' mean. For K = 1 it is the ELBO's one-sample estimate; as
    K grows it rises, on average, towards log p(x).

    Args:
        log_weights: log w, of shape (K, B), as from `log_importance_weights`.

    Returns:
        One estimate for each image in nats, of shape (B,).
    """
    return log_mean_exp(log_weights, dim=0)


def log_marginal(
    model: BernoulliVAE,
    x: Tensor,
    num_samples: int = 5000,
    chunk: int = 2_000,
    generator: torch.Generator | None = None,
) -> Tensor:
    """log p(x) of images, estimated with many importance weights and little memory.

    It is `importance_weighted_bound` for a large K, and so, on average, still a little too low.
    The weights are drawn in portions and never kept: a running logarithm of their sum is enough.

    Args:
        model: the model.
        x: black-and-white images on the model's device, of shape (B, num_pixels) or (B, 1, H, W).
        num_samples: how many weights for each image, K. Papers take 5,000.
        chunk: how many codes are decoded at once. Memory grows with it, and the result does not
            depend on it beyond its random noise; much larger portions are slower, not faster.
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        log p(x) of each image in nats, of shape (B,), without gradients.
    """
    estimates = []
    with torch.no_grad():
        for part in x.split(min(len(x), chunk, 100)):
            total = torch.full((len(part),), -math.inf, device=part.device)
            left = num_samples
            while left > 0:
                step = min(left, max(1, chunk // len(part)))
                log_weights = log_importance_weights(model, part, step, generator)
                total = torch.logaddexp(total, torch.logsumexp(log_weights, dim=0))
                left -= step
            estimates.append(total - math.log(num_samples))
    return torch.cat(estimates)
