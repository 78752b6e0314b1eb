# %% ps1_conv_size_answer
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
    last_start = size + 2 * padding - kernel
    return len(range(0, last_start + 1, stride))


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
    covered = kernel + stride * (size - 1)
    return covered - 2 * padding


# %% ps1_encoder_answer
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
        # (channels in, channels out, kernel, padding, BatchNorm?)
        plan = [(1, 32, 4, 1, False), (32, 64, 4, 1, True), (64, 128, 3, 0, True), (128, 256, 3, 0, True)]
        self.convs = nn.ModuleList()
        for a, b, k, p, norm in plan:
            block = nn.Sequential(nn.Conv2d(a, b, k, stride=2, padding=p))
            if norm:
                block.append(nn.BatchNorm2d(b))
            block.append(nn.LeakyReLU(0.2))
            self.convs.append(block)
        self.head = nn.Linear(256, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Describe a batch of images.

        Args:
            x: images, of shape (B, 1, 28, 28), with values in [0, 1].

        Returns:
            One vector for each image, of shape (B, num_outputs).
        """
        for block in self.convs:
            x = block(x)
        return self.head(x.flatten(start_dim=1))


# %% ps1_decoder_answer
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
    the pixels strictly between 0 and 1.
    """

    def __init__(self, latent_dim: int = 64) -> None:
        """Make the layers of the table above: 419,681 parameters for 64 latent dimensions.

        Args:
            latent_dim: the length of the code that comes in.
        """
        super().__init__()
        self.fc = nn.Linear(latent_dim, 256)
        self.bn0, self.bn1, self.bn2 = (nn.BatchNorm2d(c) for c in (256, 128, 64))
        self.up1 = nn.ConvTranspose2d(256, 128, 3, stride=2)
        self.up2 = nn.ConvTranspose2d(128, 64, 3, stride=2)
        self.up3 = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.up4 = nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Draw the images that a batch of codes stands for.

        Args:
            z: latent codes, of shape (B, latent_dim).

        Returns:
            Images, of shape (B, 1, 28, 28), with values in (0, 1).
        """
        act = lambda t: F.leaky_relu(t, 0.2)
        h = self.fc(z)[:, :, None, None]
        h = act(self.bn0(h))
        h = act(self.bn1(self.up1(h)))
        h = act(self.bn2(self.up2(h)))
        h = act(self.up3(h))
        return self.up4(h).sigmoid()


# %% ps1_autoencoder_answer
class AutoEncoder(nn.Module):
    """An `Encoder` and a `Decoder` that meet at a code of `latent_dim` numbers."""

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
        model is left in the mode, training or evaluation, in which it was found.

        Args:
            x: images, of shape (B, 1, 28, 28).

        Returns:
            x_hat, of the same shape.
        """
        was_training = self.training
        try:
            with torch.inference_mode():
                return self.eval()(x)
        finally:
            self.train(was_training)


# %% ps1_squared_error_answer
def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """The squared distance between each image and its reconstruction.

    Args:
        x_hat: reconstructions, of shape (B, ...).
        x: the images, of the same shape.

    Returns:
        One number for each image, of shape (B,): a sum over all of its pixels, not a mean, and
        nothing is shared between the images of a batch.
    """
    d = (x_hat - x).flatten(1)
    return torch.einsum("bi,bi->b", d, d)


# %% ps1_train_epoch_answer
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    """Go through the training images once, and take one optimiser step for each batch.

    The model is put in training mode. A step minimises the mean over the batch of the term
    "loss". The labels are not used: the images are their own targets.

    Args:
        model: the model; trained in place, on whatever device it is on.
        loader: batches of (images, labels), perhaps on another device, perhaps of unequal size.
        optimizer: over the model's parameters.
        loss_terms: what to compute for a batch. `loss_terms(model, images)` returns a dict of
            tensors of shape (B,), one number for each image; one of them is called "loss".

    Returns:
        For each term its mean over the images of the epoch, as plain Python numbers that hold on
        to no graph. Every image counts the same, also those in a short last batch.
    """
    device = next(model.parameters()).device
    model.train()
    collected = {}
    for images, _ in loader:
        terms = loss_terms(model, images.to(device))
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            collected.setdefault(name, []).append(values.detach())
    return {name: torch.cat(parts).mean().item() for name, parts in collected.items()}


# %% ps1_evaluate_answer
def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    """Measure the same terms as `train_epoch` without learning from them.

    The model runs in evaluation mode and without gradients. It is left in the mode, training or
    evaluation, in which it was found, and nothing else about it changes.

    Args:
        model: the model, on whatever device it is on.
        loader: batches of (images, labels), as for `train_epoch`.
        loss_terms: what to compute for a batch, as for `train_epoch`.

    Returns:
        For each term its mean over all the images, as plain Python numbers.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    collected = {}
    with torch.no_grad():
        for images, _ in loader:
            for name, values in loss_terms(model, images.to(device)).items():
                collected.setdefault(name, []).append(values)
    model.train(was_training)
    return {name: torch.cat(parts).mean().item() for name, parts in collected.items()}


# %% ps1_fault_answer
def error_by_label(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[int, float]:
    """How well each kind of image is reconstructed: the mean squared distance, label by label.

    Measuring must leave no trace. The model runs in evaluation mode and without gradients, is
    left in the mode in which it was found, and nothing else about it changes. The answer depends
    on the images alone: not on the size of the batches, nor on which images share one.

    Args:
        model: an autoencoder, on whatever device it is on; `model(x)` is the reconstruction of x.
        loader: batches of (images, labels), perhaps of unequal size.

    Returns:
        For each label that occurs, in rising order, the mean over its images of the image's
        `squared_error`, as a plain Python number that holds on to no graph.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    seen, errors = [], []
    with torch.no_grad():
        for images, labels in loader:
            images = images.to(device)
            errors.append(squared_error(model(images), images).cpu())
            seen.append(labels.cpu())
    model.train(was_training)
    seen, errors = torch.cat(seen), torch.cat(errors)
    return {label: errors[seen == label].mean().item() for label in seen.unique().tolist()}


# %% ps1_pca_answer
def pca_reconstruct(train: Tensor, x: Tensor, num_components: int) -> Tensor:
    """Reconstruct x by principal component analysis: the best that any linear autoencoder does.

    The components are learnt from `train` alone: the directions, around its mean, in which it
    varies most (`torch.linalg.svd` finds them). x is expressed by its coordinates along the
    first few of these directions, and rebuilt from them. Baldi and Hornik 1989 show that a
    linear autoencoder with a code of the same length can do no better.

    Args:
        train: examples to learn from, of shape (N, D).
        x: examples to reconstruct, of shape (n, D).
        num_components: how many directions to keep, at most min(N, D).

    Returns:
        The reconstructions of x, of shape (n, D).
    """
    mean = train.mean(dim=0, keepdim=True)
    centred = train - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # eigenvalues rise: the best are last
    v = vectors[:, vectors.shape[1] - num_components :]
    return torch.einsum("nd,dk,ek->ne", x - mean, v, v) + mean


# %% ps1_sample_prior_answer
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
    one sample alone must work, and the decoder is left in the mode in which it was found.

    Args:
        decoder: a module from (B, latent_dim) to images, on any device.
        num_samples: how many images to make.
        latent_dim: the length of a code.
        generator: the source of the randomness, on the decoder's device; None for PyTorch's own.

    Returns:
        Images, of shape (num_samples, 1, 28, 28), on the decoder's device.
    """
    device = next(decoder.parameters()).device
    z = torch.randn(num_samples, latent_dim, generator=generator, device=device)
    mode = decoder.training
    decoder.eval()
    with torch.inference_mode():
        images = decoder(z)
    decoder.train(mode)
    return images
