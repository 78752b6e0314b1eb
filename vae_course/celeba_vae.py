"""A convolutional variational autoencoder for 64x64 colour images of faces.

Pixels live in [-1, 1], the decoder's mean image is a tanh, and p(x|z) is a Gaussian around it whose
variance is fixed when the model is made. The encoder gives variances, by way of a softplus. A
trained model is one file that says itself how it was built.
"""

import math
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.manifold import TSNE
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from vae_course.probability import gaussian_kl_from_var, gaussian_log_likelihood

FACE_SIZE = 64  # pixels a side
VAR_FLOOR = 1e-6  # no posterior variance is smaller: the logarithm of 0 would end the training


def scale_images(images: Tensor) -> Tensor:
    """Pixels as files and pictures hold them, made into the numbers that the model works with.

    Args:
        images: of any shape, either uint8 with values from 0 to 255, as they come out of a file,
            or floats with values from 0 to 1, as they are drawn. The tensor itself is not changed.

    Returns:
        Floats of the same shape with values from -1 (black) to 1 (white); middle grey is 0.
    """
    if not images.is_floating_point():
        images = images / 255
    return 2 * images - 1


def unscale_images(x: Tensor) -> Tensor:
    """Back from the model's numbers to pixels that can be drawn: the inverse of `scale_images`.

    Args:
        x: floats of any shape; -1 is black and 1 is white. A noisy image may lie outside.

    Returns:
        Floats of the same shape with values from 0 to 1. What is darker than black becomes black,
        and what is whiter than white becomes white.
    """
    return ((x + 1) / 2).clamp(0, 1)


def draw_gaussian(
    mean: Tensor, var: Tensor | float, generator: torch.Generator | None = None
) -> Tensor:
    """A draw from N(mean, var), entry by entry, through which gradients reach the mean and the var.

    One function, two uses: with a posterior's mean and variance it draws a code z (that is the
    reparameterisation trick); with a decoder's image and the observation variance it draws an
    image x.

    Args:
        mean: of any shape, on any device.
        var: the VARIANCE, a number or a tensor that broadcasts with the mean.
        generator: the source of the randomness, on the mean's device; None for PyTorch's own.

    Returns:
        A tensor of the mean's shape, type and device, with noise of its own for every entry.
    """
    var = torch.as_tensor(var, dtype=mean.dtype, device=mean.device)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + var.sqrt() * noise


class FaceEncoder(nn.Module):
    """From an image of 64x64 to the posterior q(z|x): a mean and a variance for each dimension.

    | step                                   | map that comes out |
    |----------------------------------------|--------------------|
    | convolution, kernel 4, ReLU            | 32 x 32 x 32       |
    | convolution, kernel 4, ReLU            | 32 x 16 x 16       |
    | convolution, kernel 4, ReLU            | 64 x 8 x 8         |
    | convolution, kernel 4, ReLU            | 64 x 4 x 4         |
    | convolution, kernel 4, ReLU            | 256 x 1 x 1        |
    | flatten, linear                        | 2 * latent_dim     |

    Every layer has a bias. Strides and paddings follow from the map sizes. Of the linear layer's
    outputs, the first half are the means as they stand. The second half become variances: through
    a softplus, with nothing before it, plus `VAR_FLOOR`, so that none is ever zero.
    """

    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        """Make the layers of the table above: 404,516 parameters for k = 50 and three channels.

        Args:
            latent_dim: the length k of a code.
            channels: how many numbers a pixel has: 3 for colour, 1 for grey.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=4, stride=2, padding=1),  # 64 -> 32
            nn.ReLU(),
            nn.Conv2d(32, 32, kernel_size=4, stride=2, padding=1),  # 32 -> 16
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1),  # 16 -> 8
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=4, stride=2, padding=1),  # 8 -> 4
            nn.ReLU(),
            nn.Conv2d(64, 256, kernel_size=4),  # 4 -> 1
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 2 * latent_dim),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Describe, for each image, where its code lies.

        Args:
            x: images, of shape (B, channels, 64, 64), with values in [-1, 1]; B may be 1.

        Returns:
            mu and var, the posterior's means and VARIANCES, of shape (B, latent_dim) each. A mean
            may be any real number; a variance is at least `VAR_FLOOR`.

        Raises:
            ValueError: the images have another shape; the message says which, and which is needed.
        """
        needed = (self.channels, FACE_SIZE, FACE_SIZE)
        if x.ndim != 4 or tuple(x.shape[1:]) != needed:
            raise ValueError(
                f"images of shape (B, {self.channels}, {FACE_SIZE}, {FACE_SIZE}) are needed, "
                f"not {tuple(x.shape)}"
            )
        mu, raw_var = self.layers(x).chunk(2, dim=1)
        return mu, F.softplus(raw_var) + VAR_FLOOR


class FaceDecoder(nn.Module):
    """From a code to the mean image of p(x|z): the encoder's mirror.

    | step                                   | map that comes out  |
    |----------------------------------------|---------------------|
    | linear, reshape, ReLU                  | 256 x 1 x 1         |
    | transposed convolution, kernel 4, ReLU | 64 x 4 x 4          |
    | transposed convolution, kernel 4, ReLU | 64 x 8 x 8          |
    | transposed convolution, kernel 4, ReLU | 32 x 16 x 16        |
    | transposed convolution, kernel 4, ReLU | 32 x 32 x 32        |
    | transposed convolution, kernel 4, tanh | channels x 64 x 64  |

    Every layer has a bias. Strides and paddings follow from the map sizes, with no output_padding.
    """

    def __init__(self, latent_dim: int, channels: int = 3) -> None:
        """Make the layers of the table above: 391,619 parameters for k = 50 and three channels.

        Args:
            latent_dim: the length k of a code.
            channels: how many numbers a pixel has: 3 for colour, 1 for grey.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.Unflatten(1, (256, 1, 1)),
            nn.ReLU(),
            nn.ConvTranspose2d(256, 64, kernel_size=4),  # 1 -> 4
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, kernel_size=4, stride=2, padding=1),  # 4 -> 8
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1),  # 8 -> 16
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, kernel_size=4, stride=2, padding=1),  # 16 -> 32
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, kernel_size=4, stride=2, padding=1),  # 32 -> 64
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """The mean image for each code.

        Args:
            z: codes, of shape (B, latent_dim).

        Returns:
            Images, of shape (B, channels, 64, 64), with values between -1 and 1.
        """
        return self.layers(z)


class FaceVAE(nn.Module):
    """A variational autoencoder for 64x64 images: p(z) = N(0, I), p(x|z) = N(x_hat(z), var_x I).

    Attributes:
        latent_dim: the length k of a code.
        channels: how many numbers a pixel has.
        var_x: the variance of every pixel around the decoder's image. It is fixed, not learnt.

    These three say how to build the model again, and go into its checkpoints.
    """

    def __init__(self, latent_dim: int = 100, channels: int = 3, var_x: float = 0.1) -> None:
        """Make both halves: 759,175 parameters for k = 2, 796,135 for 50, and 834,635 for 100.

        Args:
            latent_dim, channels, var_x: see the attributes; they are remembered under these names.
        """
        super().__init__()
        self.latent_dim = latent_dim
        self.channels = channels
        self.var_x = var_x
        self.encoder = FaceEncoder(latent_dim, channels)
        self.decoder = FaceDecoder(latent_dim, channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) of each image: its means and variances, (B, latent_dim) each."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """The mean image of p(x|z) for each code: (B, latent_dim) to (B, channels, 64, 64)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Args:
            x: images, of shape (B, channels, 64, 64), with values in [-1, 1].
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            x_hat of x's shape, and the posterior's mu and var, of shape (B, latent_dim) each.
        """
        mu, var = self.encode(x)
        return self.decode(draw_gaussian(mu, var, generator)), mu, var

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions to look at: decoded from the posterior mean, so nothing is random.

        The model runs in evaluation mode and without gradients, and is left in the mode in which
        it was found. A single image must work.

        Args:
            x: images, of shape (B, channels, 64, 64).

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

    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, noisy: bool = False
    ) -> Tensor:
        """New images, for codes drawn from the prior p(z).

        The same care as in `reconstruct`: evaluation mode, no gradients, the mode restored.

        Args:
            num_samples: how many images to make; one must work too.
            generator: the source of the randomness, on the model's device; None for PyTorch's own.
            noisy: False for the mean image of p(x|z), which is what people show; True for a draw
                from p(x|z) itself, which is what the model says an image looks like.

        Returns:
            Images, of shape (num_samples, channels, 64, 64), on the model's device. Means lie
            between -1 and 1, draws need not.
        """
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
            if noisy:
                images = draw_gaussian(images, self.var_x, generator)
        self.train(was_training)
        return images


def face_terms(
    model: FaceVAE, x: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What training minimises and what it reports, for each image of a batch.

    The loss is the negative ELBO, with one draw of z in place of the expectation. As -log p(x|z) is
    the negative logarithm of a density, both it and the loss may be negative.

    Args:
        model: the variational autoencoder; its `var_x` is the variance of the likelihood.
        x: images, of shape (B, channels, 64, 64), with values in [-1, 1].
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        "loss", "nll" (-log p(x|z)) and "kl" in nats, and "mse", the mean squared error of a pixel's
        number on the scale from -1 to 1. Each has shape (B,).
    """
    x_hat, mu, var = model(x, generator)
    nll = -gaussian_log_likelihood(x, x_hat, model.var_x)
    kl = gaussian_kl_from_var(mu, var)
    mse = ((x_hat - x) ** 2).flatten(1).mean(dim=1)
    return {"loss": nll + kl, "nll": nll, "kl": kl, "mse": mse}


def face_bits_per_dim(nats: Tensor | float, num_values: int = 3 * FACE_SIZE**2) -> Tensor | float:
    """A loss on the scale from -1 to 1 as bits for each number of an image with 256 levels.

    A density is no probability: it becomes one when it is multiplied by the width of what is told
    apart. Neighbouring levels of a pixel are 2/255 apart here, so each number of the image adds
    log(255/2) nats (to a very good approximation where the density is flat over such a step).

    Args:
        nats: a negative log-density per image, such as the loss.
        num_values: how many numbers an image holds.

    Returns:
        Bits per number. Eight is what an image costs that is not compressed at all.
    """
    return (nats / num_values + math.log(255 / 2)) / math.log(2)


def save_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    epoch: int,
    history: dict,
    generator: torch.Generator | None = None,
) -> None:
    """Write down all that the rest of a training run depends on, in one file.

    The file is replaced whole or not at all: a program that is killed while it saves leaves the
    file of the time before. The folder is made if it is missing.

    Args:
        path: the file.
        model: a model that says how it was built: `latent_dim`, `channels` and `var_x`.
        optimizer: over the model's parameters. Adam remembers much about the past.
        epoch: how many epochs are complete.
        history: what has been recorded so far, plain lists, dicts and numbers.
        generator: the source of the run's randomness; None for PyTorch's own.
    """
    source = torch.default_generator if generator is None else generator
    checkpoint = {
        "settings": {
            "latent_dim": model.latent_dim,
            "channels": model.channels,
            "var_x": model.var_x,
        },
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "random_state": source.get_state(),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Saving takes time, and programs are killed at any time. Renaming is done in one step.
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(checkpoint, unfinished)
    os.replace(unfinished, path)


def restore_checkpoint(
    path: str | Path,
    model: FaceVAE,
    optimizer: Optimizer,
    generator: torch.Generator | None = None,
) -> tuple[int, dict]:
    """Put a run back to where `save_checkpoint` left it, so that it goes on as if never stopped.

    Args:
        path: the file; it may have been written on a GPU, and this machine may have none.
        model: a model built like the one that was saved; its weights are replaced.
        optimizer: of the same kind, over this model's parameters; its memory is replaced.
        generator: the source of the run's randomness, put back to where it was; None for
            PyTorch's own.

    Returns:
        How many epochs are complete, and the history.

    Raises:
        ValueError: the file is of a model that was built in another way. The message says what
            differs, and nothing has been changed.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    here = {"latent_dim": model.latent_dim, "channels": model.channels, "var_x": model.var_x}
    there = checkpoint["settings"]
    # Asked first: `load_state_dict` copies what fits before it complains about what does not.
    if there != here:
        raise ValueError(f"{path} holds a model built with {there}, and this one has {here}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    source = torch.default_generator if generator is None else generator
    source.set_state(checkpoint["random_state"])
    return checkpoint["epoch"], checkpoint["history"]


def restore_face_vae(path: str | Path) -> FaceVAE:
    """A trained model from its file alone: nobody has to remember how it was built.

    Args:
        path: a file that `save_checkpoint` wrote, on whatever device.

    Returns:
        The model, on the CPU.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model = FaceVAE(**checkpoint["settings"])
    model.load_state_dict(checkpoint["model"])
    return model


def evaluate_faces(
    model: FaceVAE, images: Tensor, batch_size: int = 100, seed: int = 0
) -> dict[str, float]:
    """The means of `face_terms` over images that the model does not learn from here.

    Args:
        model: the model, on whatever device; left in the mode in which it was found.
        images: uint8 or in [0, 1], of shape (N, channels, 64, 64).
        batch_size: how many to look at at once.
        seed: of the codes that are drawn, the same ones at every call.

    Returns:
        A dict of means per image, as plain numbers.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    totals: dict[str, float] = {}
    with torch.no_grad():
        for batch in images.split(batch_size):
            terms = face_terms(model, scale_images(batch.to(device)), generator)
            for name, values in terms.items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
    model.train(was_training)
    return {name: total / len(images) for name, total in totals.items()}


def train_faces(
    model: FaceVAE,
    images: Tensor,
    epochs: int,
    path: str | Path | None = None,
    held_out_images: Tensor | None = None,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, list[dict[str, float]]]:
    """Train a face VAE with Adam, and save everything after every epoch.

    All that is random here, the order of the images and the codes, comes from one generator. It is
    saved with the rest, so on a CPU a run that was stopped and resumed ends with the very same
    numbers as one that was not.

    Args:
        model: the model, on whatever device; trained in place.
        images: uint8 or in [0, 1], of shape (N, channels, 64, 64). They are scaled batch by batch.
        epochs: how many epochs the run has in all, those before a resumption included.
        path: where to save; None for nowhere.
        held_out_images: measured after every epoch, never trained on; None for none.
        batch_size: a last batch that is smaller is kept.
        learning_rate: Adam's.
        seed: of all that is random.
        resume: whether to go on from the file at `path`, if it exists.
        progress: whether to show a bar.

    Returns:
        {"train": [...], "held_out": [...]}: a dict of means per image for each epoch, as plain
        numbers. Every image counts the same, also those in a short last batch.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    generator = torch.Generator(device).manual_seed(seed)
    history: dict = {"train": [], "held_out": []}
    start = 0
    if resume and path is not None and Path(path).exists():
        start, history = restore_checkpoint(path, model, optimizer, generator)
        print(f"going on from {path}, after {start} epochs")
    bar = tqdm(range(start, epochs), unit="epoch", disable=not progress)
    for epoch in bar:
        model.train()
        totals: dict[str, float] = {}
        order = torch.randperm(len(images), generator=generator, device=device)
        for chosen in order.to(images.device).split(batch_size):
            terms = face_terms(model, scale_images(images[chosen].to(device)), generator)
            optimizer.zero_grad()
            terms["loss"].mean().backward()
            optimizer.step()
            for name, values in terms.items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
        history["train"].append({name: total / len(images) for name, total in totals.items()})
        if held_out_images is not None:
            history["held_out"].append(evaluate_faces(model, held_out_images))
        if path is not None:
            save_checkpoint(path, model, optimizer, epoch + 1, history, generator)
        bar.set_postfix(loss=f"{history['train'][-1]['loss']:.1f} nats")
    return history


def encode_faces(model: FaceVAE, images: Tensor, batch_size: int = 100) -> Tensor:
    """The posterior means of many images, to look at: no gradients, and nothing is random.

    Args:
        model: the model, on whatever device; left in the mode in which it was found.
        images: uint8 or in [0, 1], of shape (N, channels, 64, 64).
        batch_size: how many to encode at once.

    Returns:
        The codes, of shape (N, latent_dim), on the CPU.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        batches = images.split(batch_size)
        codes = [model.encode(scale_images(batch.to(device)))[0].cpu() for batch in batches]
    model.train(was_training)
    return torch.cat(codes)


def interpolate_faces(
    model: FaceVAE, x_start: Tensor, x_end: Tensor, num_frames: int = 11
) -> Tensor:
    """The images on the way from one face to another, through the codes and not the pixels.

    Frame i is decoded from (1 - w) z_start + w z_end, where both codes are posterior means, and w
    goes from 0 to 1 in equal steps, BOTH ENDS INCLUDED: 11 frames are w = 0, 0.1, ... 1. The model
    runs in evaluation mode and without gradients, and is left in the mode in which it was found.

    Args:
        model: the model.
        x_start: the image to start from, of shape (channels, 64, 64), with values in [-1, 1].
        x_end: the image to arrive at, of the same shape.
        num_frames: how many images to return; at least 2.

    Returns:
        Images, of shape (num_frames, channels, 64, 64): the first is the reconstruction of x_start,
        the last that of x_end.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        (z_start, z_end), _ = model.encode(torch.stack([x_start, x_end]))
        weights = torch.linspace(0, 1, num_frames, device=z_start.device).unsqueeze(1)
        frames = model.decode(torch.lerp(z_start, z_end, weights))
    model.train(was_training)
    return frames


def attribute_direction(codes: Tensor, has_attribute: Tensor) -> Tensor:
    """The direction in the space of codes in which an attribute grows.

    Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric": where the
    codes with the attribute lie on average, seen from where those without it lie on average.

    Args:
        codes: posterior means, of shape (N, k).
        has_attribute: whether each image has it, of shape (N,), boolean.

    Returns:
        The direction, of shape (k,). Its length matters: one step of it takes an average code
        without the attribute to an average code with it.

    Raises:
        ValueError: all images have the attribute, or none has: there is nothing to compare.
    """
    if has_attribute.all() or not has_attribute.any():
        raise ValueError("some of the images must have the attribute, and some must not")
    return codes[has_attribute].mean(dim=0) - codes[~has_attribute].mean(dim=0)


def edit_faces(model: FaceVAE, x: Tensor, direction: Tensor, strength: float = 1.0) -> Tensor:
    """Faces as they are drawn after a step along a direction in the space of codes.

    The step starts from each image's posterior mean. The model runs in evaluation mode and without
    gradients, and is left in the mode in which it was found.

    Args:
        model: the model.
        x: images, of shape (B, channels, 64, 64), with values in [-1, 1].
        direction: of shape (latent_dim,), perhaps on another device.
        strength: how many times the direction is added; negative to take it away, 0 for the
            plain reconstructions.

    Returns:
        Images, of x's shape.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        mu, _ = model.encode(x)
        edited = model.decode(mu + strength * direction.to(mu.device))
    model.train(was_training)
    return edited


def embed_tsne(codes: Tensor, seed: int = 0, perplexity: float = 30.0) -> Tensor:
    """Positions on a plane at which similar codes are neighbours (van der Maaten and Hinton 2008).

    t-SNE keeps neighbourhoods and gives up distances: near means alike, far means nothing, and so
    do the sizes of clusters and the gaps between them.

    Args:
        codes: of shape (N, k), at least 4 of them.
        seed: of the search, which starts from a random state. Another seed, another map.
        perplexity: about how many neighbours each code has. t-SNE cannot have more of them than
            there are codes, so it is lowered to a third of the codes where they are few.

    Returns:
        Positions, of shape (N, 2).
    """
    perplexity = min(perplexity, (len(codes) - 1) / 3)
    search = TSNE(n_components=2, perplexity=perplexity, init="random", random_state=seed)
    return torch.from_numpy(search.fit_transform(codes.detach().cpu().double().numpy())).float()
