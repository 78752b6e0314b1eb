# %% ps3_binarize_answer
def binarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    """Black-and-white images from grey ones: a pixel is 1 where it is brighter than a threshold.

    Args:
        x: grey values in [0, 1], of any shape. They are left as they are.
        threshold: the brightest grey that still counts as black.

    Returns:
        Zeros and ones, floating-point numbers of x's type, of x's shape.
    """
    return torch.where(x > threshold, torch.ones_like(x), torch.zeros_like(x))


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
    dice = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return dice.lt(x).type_as(x)


# %% ps3_mlp_answer
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
    net = nn.Sequential()
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        if i:
            net.append(nn.ReLU())
        layer = nn.Linear(fan_in, fan_out)
        nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
        nn.init.zeros_(layer.bias)
        net.append(layer)
    return net


# %% ps3_log_likelihood_answer
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of independent Bernoulli pixels, computed from logits so that it never overflows.

    Args:
        x: the pixels, 0 or 1, of shape (B, ...). For values in between, this is no longer the
            logarithm of a normalised probability.
        logits: log(p / (1 - p)) of each pixel, any real number, of the same shape.

    Returns:
        The log-probability of each example in nats, of shape (B,): a sum over its pixels.
    """
    per_pixel = x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)
    return torch.einsum("bd->b", per_pixel.flatten(1))


# %% ps3_kl_answer
def gaussian_kl_from_std(mu: Tensor, std: Tensor) -> Tensor:
    """KL(N(mu, diag(std^2)) || N(0, I)) for an encoder that gives standard deviations.

    Args:
        mu: the means, of shape (..., k).
        std: the standard deviations, of the same shape, all positive.

    Returns:
        The divergence of each example in nats, of shape (...).
    """
    per_dim = torch.distributions.kl_divergence(Normal(mu, std), Normal(0.0, 1.0))
    return per_dim.sum(-1)


# %% ps3_model_answer
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
        self.num_pixels, self.latent_dim = num_pixels, latent_dim
        self.encoder = make_mlp([num_pixels, *hidden_sizes, 2 * latent_dim])
        self.decoder = make_mlp([latent_dim, *hidden_sizes[::-1], num_pixels])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior q(z|x) of each image.

        Args:
            x: images, of shape (B, num_pixels), or (B, 1, H, W) with as many pixels.

        Returns:
            mu and std, the means and the standard deviations, of shape (B, latent_dim) each.
            A mean may be any real number. A standard deviation is the softplus of any real
            number, plus 0.000001, which keeps its logarithm finite.
        """
        mu, raw = self.encoder(x.flatten(1)).split(self.latent_dim, dim=1)
        return mu, F.softplus(raw) + 1e-6

    def decode(self, z: Tensor) -> Tensor:
        """The logits of p(x|z) for each code: (B, latent_dim) to (B, num_pixels)."""
        return self.decoder(z)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images, draw one code for each from its posterior, and decode it.

        Gradients pass through the draw, by the reparameterisation trick.

        Args:
            x: images, as for `encode`.
            generator: the source of the randomness, on x's device; None for PyTorch's own.

        Returns:
            The logits of shape (B, num_pixels), and the posterior's mu and std, of shape
            (B, latent_dim) each.
        """
        mu, std = self.encode(x)
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return self.decode(torch.addcmul(mu, std, eps)), mu, std


# %% ps3_terms_answer
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
    terms = {
        "nll": -bernoulli_log_likelihood(x.flatten(1), logits),
        "kl": gaussian_kl_from_std(mu, std),
    }
    return {"loss": sum(terms.values()), **terms}


# %% ps3_fit_answer
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
    the same call gives the same model.

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
    history = {"train": [], "held_out": []}
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


# %% ps3_predictive_answer
def transform(model: BernoulliVAE, x: Tensor) -> Tensor:
    """The codes of images: the posterior means. Nothing in them is random.

    Args:
        model: the model.
        x: images on the model's device, as for its `encode`.

    Returns:
        The codes, of shape (B, latent_dim), without gradients.
    """
    with torch.no_grad():
        return model.encode(x)[0]


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
        probabilities = model.decode(z).sigmoid()
        return binarize_randomly(probabilities, generator), probabilities


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
    where = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=where)
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
        probabilities = model(x, generator)[0].sigmoid()
        return binarize_randomly(probabilities, generator), probabilities


# %% ps3_log_mean_exp_answer
def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """The logarithm of the mean of exp(values) along one dimension.

    Probabilities of images are far too small to be written down: exp(-90) of them can still be,
    exp(-900) is zero. So they are kept as logarithms, and a mean of probabilities is taken without
    ever leaving them.

    Args:
        values: logarithms, of any shape. They may be as small or as large as -10,000 or 10,000.
        dim: the dimension over which the mean is taken.

    Returns:
        log(mean(exp(values))), of the shape of `values` without that dimension.
    """
    top = values.amax(dim, keepdim=True)
    return (values - top).exp().mean(dim).log() + top.squeeze(dim)


# %% ps3_bound_answer
def log_importance_weights(
    model: BernoulliVAE, x: Tensor, num_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """The logarithms of importance weights, w = p(x, z) / q(z|x) with z drawn from q(z|x).

    On average over z, a weight w is p(x) itself, whatever q is (Burda, Grosse and Salakhutdinov
    2016, "Importance weighted autoencoders", section 3). Every term is evaluated at the z that was
    drawn: no closed form takes part.

    Args:
        model: a `BernoulliVAE`, or another model with its `encode` and `decode`.
        x: black-and-white images on the model's device, of shape (B, num_pixels) or (B, 1, H, W).
        num_samples: how many z to draw for each image, K; all of them independent.
        generator: the source of the randomness, on x's device; None for PyTorch's own.

    Returns:
        log w in nats, of shape (K, B): row i holds the i-th weight of every image.
    """
    rows = x.flatten(1)
    mu, std = model.encode(x)
    noise = torch.randn(
        num_samples, *mu.shape, generator=generator, device=mu.device, dtype=mu.dtype
    )
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    copies = rows.expand(num_samples, *rows.shape).flatten(0, 1)
    log_px = bernoulli_log_likelihood(copies, logits).view(num_samples, len(rows))
    log_prior = Normal(0.0, 1.0).log_prob(z)
    log_q = Normal(mu, std).log_prob(z)
    return log_px + (log_prior - log_q).sum(-1)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """A lower bound on log p(x) from K importance weights an image (Burda et al. 2016).

    It is the logarithm of the K weights' mean. For K = 1 it is the ELBO's one-sample estimate; as
    K grows it rises, on average, towards log p(x).

    Args:
        log_weights: log w, of shape (K, B), as from `log_importance_weights`.

    Returns:
        One estimate for each image in nats, of shape (B,).
    """
    return log_mean_exp(log_weights, 0)
