"""Known wrong answers to ps4, the Keras-style VAE: slips, and faults of the published notebook."""

from autograder.misconceptions import Misconception, swapped

# --- padding --------------------------------------------------------------------------------

RULE = """
def same_padding(size, kernel, stride):
    outputs = math.ceil(size / stride)
    total = max(0, (outputs - 1) * stride + kernel - size)
    before = total // 2
    return before, total - before
"""
CONVOLUTION = """

class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        x = F.pad(x, (left, right, top, bottom))
        return super().forward(x)
"""
TRANSPOSED = """

class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        height, width = self.stride[0] * x.shape[2], self.stride[1] * x.shape[3]
        top, bottom = same_padding(height, self.kernel_size[0], self.stride[0])
        left, right = same_padding(width, self.kernel_size[1], self.stride[1])
        x = super().forward(x)
        return x[:, :, top : top + height, left : left + width]
"""
PADDING = RULE + CONVOLUTION + TRANSPOSED

PADDING_KNOWN = (
    Misconception(
        "ps4_padding",
        "odd zero put before the line",
        swapped(PADDING, ("return before, total - before", "return total - before, before")),
        "You add as many zeros as are needed, but where their number is odd, the odd one stands at "
        "the wrong end of the line. A kernel that moves in strides then looks at other pixels than "
        "Keras's: compare with the line of eight pixels at the start of section 2.",
    ),
    Misconception(
        "ps4_padding",
        "SameConv2d pads evenly on both sides",
        swapped(
            PADDING,
            (
                CONVOLUTION,
                """

class SameConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
""",
            ),
        ),
        "`SameConv2d` pads as PyTorch does, with as many zeros on each side. For a kernel of 3 the "
        "sizes agree, but with a stride of 2 its kernels stand on other pixels than TensorFlow's. "
        "What does your `same_padding` say of each side?",
    ),
    Misconception(
        "ps4_padding",
        "F.pad's order: height before width",
        swapped(PADDING, ("(left, right, top, bottom)", "(top, bottom, left, right)")),
        "`SameConv2d` puts the zeros of the height at the sides, and those of the width above and "
        "below. On square images nobody notices. Look up in which order `F.pad` takes its numbers.",
    ),
    Misconception(
        "ps4_padding",
        "output_padding in SameConvTranspose2d",
        swapped(
            PADDING,
            (
                TRANSPOSED,
                """

class SameConvTranspose2d(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            output_padding=stride - 1,
        )
""",
            ),
        ),
        "`SameConvTranspose2d` leaves the cutting to PyTorch's `padding` and `output_padding`. For "
        "a kernel of 3 the size comes out right, but other pixels are cut off than in TensorFlow, "
        "and for other kernels not even the size does. It should be the mirror image of your own "
        "convolution.",
    ),
    Misconception(
        "ps4_padding",
        "SameConvTranspose2d cut at the end only",
        swapped(PADDING, ("top : top + height, left : left + width", ":height, :width")),
        "`SameConvTranspose2d` keeps the upper left corner of the full map and cuts off only its "
        "end, so with a stride of 1 the picture moves. What would a convolution from the large map "
        "to the small one have put before the line?",
    ),
    Misconception(
        "ps4_padding",
        "a slice that ends at -0",
        swapped(PADDING, ("top : top + height, left : left + width", "top:-bottom, left:-right")),
        "Where nothing is to be cut off, the slice in your `SameConvTranspose2d` keeps nothing: it "
        "ends at -0, which is the very beginning. Try a kernel of 2 with a stride of 2.",
    ),
)

# --- the encoder ----------------------------------------------------------------------------

ENCODER = """
class FashionEncoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        channels, height, width = image_shape
        self.features = nn.Sequential(
            SameConv2d(channels, 32, 3),
            nn.ReLU(),
            SameConv2d(32, 64, 3, stride=2),
            nn.ReLU(),
            SameConv2d(64, 64, 3),
            nn.ReLU(),
            SameConv2d(64, 64, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (height // 2) * (width // 2), 32),
            nn.ReLU(),
        )
        self.to_mu = nn.Linear(32, latent_dim)
        self.to_log_var = nn.Linear(32, latent_dim)
        glorot_uniform(self)

    def forward(self, x):
        h = self.features(x)
        return self.to_mu(h), self.to_log_var(h)
"""

ENCODER_KNOWN = (
    Misconception(
        "ps4_encoder",
        "padding=1 at the stride of 2",
        swapped(
            ENCODER,
            ("SameConv2d(32, 64, 3, stride=2)", "nn.Conv2d(32, 64, 3, stride=2, padding=1)"),
        ),
        "Your convolution with the stride pads evenly on all sides, as PyTorch's `padding=1` does. "
        "All sizes agree with Keras's and the numbers do not, for its kernels stand on other "
        "pixels. In section 2 you wrote a layer for this.",
    ),
    Misconception(
        "ps4_encoder",
        "no ReLU after the linear layer of 32",
        swapped(ENCODER, ("32),\n            nn.ReLU(),\n        )", "32),\n        )")),
        "Nothing stands between your linear layer of 32 and the two heads, and two linear layers "
        "in a row can do no more than one. Compare your encoder with the table, row by row.",
    ),
    Misconception(
        "ps4_encoder",
        "ReLU after mu and log_var",
        swapped(
            ENCODER,
            (
                "self.to_mu(h), self.to_log_var(h)",
                "F.relu(self.to_mu(h)), F.relu(self.to_log_var(h))",
            ),
        ),
        "In your encoder neither `mu` nor `log_var` can be negative. With two latent dimensions "
        "all means then lie in one quarter of the plane, and no posterior is narrower than the "
        "prior. Look at what comes after the last layers.",
    ),
    Misconception(
        "ps4_encoder",
        "one layer gives both mu and log_var",
        swapped(ENCODER, ("self.to_mu(h), self.to_log_var(h)", "self.to_mu(h), self.to_mu(h)")),
        "`mu` and `log_var` are the same numbers for every image, so how wide a posterior is "
        "follows from where it lies. Look at which layers the end of `forward` calls.",
    ),
    Misconception(
        "ps4_encoder",
        "PyTorch's initial weights",
        swapped(ENCODER, ("        glorot_uniform(self)\n", "")),
        "The layers of your encoder are those of the table, but they start from PyTorch's own "
        "random weights and biases. Keras starts from others: see the text before this exercise.",
    ),
    Misconception(
        "ps4_encoder",
        "maps of 14 x 14 fixed",
        swapped(ENCODER, ("64 * (height // 2) * (width // 2)", "64 * 14 * 14")),
        "Your encoder can read images of 28 by 28 only: the size of the flattened map stands there "
        "as a number. Ask for other sizes in `image_shape`, and see which layer depends on them.",
    ),
    Misconception(
        "ps4_encoder",
        "images taken for channels-last and reshaped",
        swapped(
            ENCODER,
            (
                "        h = self.features(x)",
                "        x = x.reshape(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)\n"
                "        h = self.features(x)",
            ),
        ),
        "Your encoder lays out the numbers of its images anew, as if the channels came last. With "
        "a single channel nothing changes, and a picture in colour is scrambled: the red picture "
        "of section 1 shows it. How do images come here?",
    ),
)

# --- sampling -------------------------------------------------------------------------------

SAMPLING = """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        std = torch.exp(0.5 * log_var)
        eps = torch.randn(mu.shape, generator=generator, device=mu.device)
        return mu + std * eps
"""

SAMPLING_KNOWN = (
    Misconception(
        "ps4_sampling",
        "log_var taken for the standard deviation",
        swapped(SAMPLING, ("std = torch.exp(0.5 * log_var)", "std = log_var")),
        "Your noise is multiplied by `log_var` as it is, so a posterior as wide as the prior, "
        "whose log-variance is 0, does not scatter at all. Think of what the name says that the "
        "number is.",
    ),
    Misconception(
        "ps4_sampling",
        "variance in place of the standard deviation",
        swapped(SAMPLING, ("torch.exp(0.5 * log_var)", "torch.exp(log_var)")),
        "Your noise is multiplied by the variance: narrow posteriors scatter too little, wide ones "
        'too much. That is the published comment\'s "sigma squared"; try the known case of hint '
        "2.",
    ),
    Misconception(
        "ps4_sampling",
        "one noise for the whole batch",
        swapped(SAMPLING, ("torch.randn(mu.shape,", "torch.randn(mu.shape[1:],")),
        "Every image of a batch gets the same noise, so all their codes are pushed the same way. "
        "Look at the shape in which it is drawn.",
    ),
    Misconception(
        "ps4_sampling",
        "the same noise at every call",
        swapped(SAMPLING, ("        eps =", "        torch.manual_seed(0)\n        eps =")),
        "Without a generator your layer draws the same noise at every call, and a decoder can "
        "learn noise that never changes by heart. Look for a seed that is set inside the layer.",
    ),
    Misconception(
        "ps4_sampling",
        "generator ignored",
        swapped(
            SAMPLING,
            (
                "torch.randn(mu.shape, generator=generator, device=mu.device)",
                "torch.randn_like(mu)",
            ),
        ),
        "The `generator` that is handed in has no say in your draws: they come from PyTorch's own. "
        "Then nobody can draw the same codes a second time. Look at where the noise is made.",
    ),
    Misconception(
        "ps4_sampling",
        "no gradient through the draw",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        std = torch.exp(0.5 * log_var)
        return torch.normal(mu, std, generator=generator)
""",
        "Your codes have the right mean and the right spread, but no gradient comes back through "
        "the draw, so the encoder would never learn from the pictures. Look at how noise becomes "
        "`z`, and at hint 1.",
    ),
    Misconception(
        "ps4_sampling",
        "noise drawn on the CPU",
        swapped(SAMPLING, (", device=mu.device", "")),
        "Your noise is drawn on the CPU wherever the codes are, so on a GPU the layer stops. The "
        "docstring says where `z` is to be; ask of each new tensor where it is made.",
    ),
)

# --- the decoder ----------------------------------------------------------------------------

DECODER = """
class FashionDecoder(nn.Module):
    def __init__(self, latent_dim=2, image_shape=(1, 28, 28)):
        super().__init__()
        channels, height, width = image_shape
        self.maps = (64, height // 2, width // 2)
        self.dense = nn.Linear(latent_dim, 64 * (height // 2) * (width // 2))
        self.up = SameConvTranspose2d(64, 32, 3, stride=2)
        self.out = SameConvTranspose2d(32, channels, 3)
        glorot_uniform(self)

    def forward(self, z):
        h = F.relu(self.dense(z))
        h = h.view(-1, *self.maps)
        h = F.relu(self.up(h))
        return torch.sigmoid(self.out(h))
"""

DECODER_KNOWN = (
    Misconception(
        "ps4_decoder",
        "output_padding",
        swapped(
            DECODER,
            (
                "SameConvTranspose2d(64, 32, 3, stride=2)",
                "nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)",
            ),
        ),
        "Your first transposed convolution uses PyTorch's `padding` and `output_padding`. The "
        "image has the right size, but all of it is moved by a pixel against Keras's. In section 2 "
        "you wrote a layer for this.",
    ),
    Misconception(
        "ps4_decoder",
        "no sigmoid",
        swapped(DECODER, ("torch.sigmoid(self.out(h))", "self.out(h)")),
        "The pixels of your decoder may be any number, and those below 0 or above 1 are no "
        "probabilities. Look at the last row of the table.",
    ),
    Misconception(
        "ps4_decoder",
        "sigmoid twice",
        swapped(
            DECODER, ("torch.sigmoid(self.out(h))", "torch.sigmoid(torch.sigmoid(self.out(h)))")
        ),
        "Your pixels are squashed twice, so that none is ever darker than a middle grey, however "
        "far out the code lies. Count the sigmoids on the way to the image.",
    ),
    Misconception(
        "ps4_decoder",
        "ReLU in place of the sigmoid",
        swapped(DECODER, ("torch.sigmoid(self.out(h))", "F.relu(self.out(h))")),
        "Your decoder ends in a ReLU: its pixels have no upper limit, and those that are 0 get no "
        "gradient. Look at the last row of the table.",
    ),
    Misconception(
        "ps4_decoder",
        "height and width swapped",
        swapped(DECODER, ("(64, height // 2, width // 2)", "(64, width // 2, height // 2)")),
        "Where your decoder turns numbers into maps, height and width have changed places. On "
        "square images nobody notices; draw one that is wider than high.",
    ),
    Misconception(
        "ps4_decoder",
        "channels last, turned by transpose",
        swapped(
            DECODER,
            ("(64, height // 2, width // 2)", "(height // 2, width // 2, 64)"),
            ("h.view(-1, *self.maps)", "h.view(-1, *self.maps).transpose(1, 3)"),
        ),
        "Your decoder makes maps with the channels last, as Keras does, and brings them to the "
        "front by exchanging two axes, which lays every map on its side. On square images nobody "
        "notices; the red picture of section 1 shows it.",
    ),
    Misconception(
        "ps4_decoder",
        "image brought to its shape by reshape",
        swapped(
            DECODER,
            (
                "        return torch.sigmoid(self.out(h))",
                "        image = torch.sigmoid(self.out(h)).permute(0, 2, 3, 1)\n"
                "        return image.reshape(-1, image.shape[3], *image.shape[1:3])",
            ),
        ),
        "At its end your decoder turns the channels to the back, as Keras has them, and a reshape "
        "then gives the image its shape. With a single channel nothing changes, and a picture in "
        "colour is scrambled: the red picture of section 1 shows it.",
    ),
)

# --- the loss, as published and as it should be ---------------------------------------------

SEED_LOSS = """
def seed_loss(x, x_hat, mu, log_var):
    bce = F.binary_cross_entropy(x_hat, x)
    kl = -5e-4 * (1 + log_var - mu.pow(2) - log_var.exp()).mean(-1)
    return (bce + kl).mean()


def hidden_beta(latent_dim, num_pixels=784, kl_weight=5e-4):
    return 2 * kl_weight * num_pixels / latent_dim
"""

SEED_LOSS_KNOWN = (
    Misconception(
        "ps4_seed_loss",
        "sum over the latent dimensions",
        swapped(SEED_LOSS, (".mean(-1)", ".sum(-1)")),
        "You add the bracket up over the latent dimensions, as one should. The published loss "
        "does something else with them, and here it is to be written as it stands, faults and "
        "all.",
    ),
    Misconception(
        "ps4_seed_loss",
        "factor 1/2 put in",
        swapped(SEED_LOSS, ("-5e-4 * (1", "-5e-4 * 0.5 * (1")),
        "Your divergence has the factor of one half that belongs to a KL. The published one has "
        "none, and here it is to be written as it stands, faults and all.",
    ),
    Misconception(
        "ps4_seed_loss",
        "pixels added up",
        swapped(
            SEED_LOSS,
            (
                "F.binary_cross_entropy(x_hat, x)",
                'F.binary_cross_entropy(x_hat, x, reduction="none").flatten(1).sum(1)',
            ),
        ),
        "Your cross-entropy is added up over the pixels of an image. That is the honest loss; the "
        "published one does something else with its pixels, which the sentence before the formula "
        "says.",
    ),
    Misconception(
        "ps4_seed_loss",
        "beta does not depend on the latents",
        swapped(SEED_LOSS, ("2 * kl_weight * num_pixels / latent_dim", "kl_weight * num_pixels")),
        "Your `hidden_beta` is the same for any number of latent dimensions. For two of them, two "
        "factors happen to cancel. Work out by hand what is left over for four.",
    ),
    Misconception(
        "ps4_seed_loss",
        "factor 2 missing in beta",
        swapped(SEED_LOSS, ("2 * kl_weight", "kl_weight")),
        "Your `hidden_beta` is too small by the same factor for any number of latent dimensions. "
        "The mean over them is accounted for; compare the published bracket with the KL once more.",
    ),
)

LOSS = """
def cross_entropy_terms(x, x_hat, mu, log_var, beta=1.0):
    bce = F.binary_cross_entropy(x_hat, x, reduction="none")
    nll = bce.flatten(1).sum(1)
    kl = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp()).sum(1)
    loss = nll + beta * kl
    return {"loss": loss, "nll": nll, "kl": kl}
"""

LOSS_KNOWN = (
    Misconception(
        "ps4_loss",
        "mean over the pixels",
        swapped(LOSS, ("bce.flatten(1).sum(1)", "bce.flatten(1).mean(1)")),
        "Your cross-entropy is a mean over the pixels: nats for a pixel, and not for an image. "
        "Beside it the divergence weighs far too much. Look at how the pixels of an image are put "
        "together.",
    ),
    Misconception(
        "ps4_loss",
        "mean over the batch",
        swapped(
            LOSS,
            (
                '{"loss": loss, "nll": nll, "kl": kl}',
                '{"loss": loss.mean(), "nll": nll.mean(), "kl": kl.mean()}',
            ),
        ),
        "Your terms are means over the batch, and from one number for all nobody can tell what an "
        "image costs. The docstring says what each term is to hold; a mean is taken later, by "
        "whoever takes a step.",
    ),
    Misconception(
        "ps4_loss",
        "x and x_hat swapped",
        swapped(LOSS, ("(x_hat, x, reduction", "(x, x_hat, reduction")),
        "Your cross-entropy takes the images for probabilities and the decoder's probabilities for "
        "data, so a black or white pixel costs far too much. Look up which of its arguments is "
        "which.",
    ),
    Misconception(
        "ps4_loss",
        "probabilities taken for logits",
        swapped(LOSS, ("F.binary_cross_entropy(", "F.binary_cross_entropy_with_logits(")),
        "Your cross-entropy puts `x_hat` through a sigmoid, and the decoder has done that already: "
        "even a perfect copy costs a lot. Look at the name of the function that you call.",
    ),
    Misconception(
        "ps4_loss",
        "factor 1/2 missing",
        swapped(LOSS, ("-0.5 *", "-1 *")),
        "Your divergence is twice the right value on every input: the factor of one half, which "
        "the published bracket lacks, is missing here too.",
    ),
    Misconception(
        "ps4_loss",
        "log_var taken for log std",
        swapped(
            LOSS,
            (
                "(1 + log_var - mu.pow(2) - log_var.exp())",
                "(1 + 2 * log_var - mu.pow(2) - log_var.exp().pow(2))",
            ),
        ),
        "Your divergence takes `log_var` for the logarithm of a standard deviation. Where it is 0 "
        "nobody notices, and everywhere else a posterior pays the wrong price for its width. Mind "
        "what the name says.",
    ),
    Misconception(
        "ps4_loss",
        "mean over the latent dimensions",
        swapped(LOSS, ("log_var.exp()).sum(1)", "log_var.exp()).mean(1)")),
        "Your divergence is a mean over the latent dimensions, so the more of them there are, the "
        "less each one costs. That is how the published beta changes behind one's back.",
    ),
    Misconception(
        "ps4_loss",
        "the published weight and mean left in the KL",
        swapped(
            LOSS,
            ("-0.5 *", "-5e-4 *"),
            ("log_var.exp()).sum(1)", "log_var.exp()).mean(1)"),
        ),
        "Your divergence is the published one, with its weight and its mean over the latent "
        'dimensions. What "kl" holds is to be the divergence itself, in nats and without a weight.',
    ),
    Misconception(
        "ps4_loss",
        "beta ignored",
        swapped(LOSS, ("nll + beta * kl", "nll + kl")),
        "Your loss is the same whatever `beta` is. Look at the line that puts the two terms "
        "together.",
    ),
    Misconception(
        "ps4_loss",
        "prior made on the CPU",
        swapped(
            LOSS,
            (
                "    kl = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp()).sum(1)\n",
                "    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * log_var))\n"
                "    zeros, ones = torch.zeros(mu.shape[1]), torch.ones(mu.shape[1])\n"
                "    prior = torch.distributions.Normal(zeros, ones)\n"
                "    kl = torch.distributions.kl_divergence(posterior, prior).sum(1)\n",
            ),
        ),
        "Your divergence compares the posterior with something that is always made on the CPU, so "
        "on a GPU the loss stops. Look at the tensors that you make yourself.",
    ),
)

# --- training -------------------------------------------------------------------------------

MEAN = """
class Mean:
    def __init__(self, name):
        self.name = name
        self.total, self.count = 0.0, 0

    def reset_state(self):
        self.total, self.count = 0.0, 0

    def update_state(self, values):
        self.total += values.sum().item()
        self.count += len(values)

    def result(self):
        if self.count == 0:
            return float("nan")
        return self.total / self.count
"""

TRACKER_KNOWN = (
    Misconception(
        "ps4_tracker",
        "mean of the batches' means",
        swapped(
            MEAN,
            ("values.sum().item()", "values.mean().item()"),
            ("self.count += len(values)", "self.count += 1"),
        ),
        "Your metric averages the means of the batches, so an image in a small last batch counts "
        "more than any other. Look at `update_state`: what do its two sums add up?",
    ),
    Misconception(
        "ps4_tracker",
        "never reset",
        swapped(
            MEAN,
            (
                "def reset_state(self):\n        self.total, self.count = 0.0, 0",
                "def reset_state(self):\n        pass",
            ),
        ),
        "`reset_state` does not make your metric forget what it saw. In a training the loss of an "
        "epoch would then be an average over all epochs so far.",
    ),
    Misconception(
        "ps4_tracker",
        "only the last batch",
        swapped(MEAN, ("self.total +=", "self.total ="), ("self.count +=", "self.count =")),
        "Your metric knows only the batch that came last, so the loss of an epoch is that of a few "
        "images. Look at what `update_state` does with what was there before.",
    ),
    Misconception(
        "ps4_tracker",
        "a tensor with its graph is kept",
        swapped(MEAN, ("values.sum().item()", "values.sum()")),
        "Your metric keeps and returns a tensor, and with it the graphs of all its batches: over "
        "an epoch the memory fills up. Hint 2 is about this.",
    ),
    Misconception(
        "ps4_tracker",
        "a tensor of the GPU handed to NumPy",
        swapped(MEAN, ("values.sum().item()", "float(values.detach().numpy().sum())")),
        "Your metric hands the values to NumPy as they come, and NumPy cannot read what is on a "
        "GPU. Hint 2 names another way from a tensor to a plain number.",
    ),
)

FIT = """
def fit_model(model, x, epochs=1, batch_size=32, validation_split=0.0, callbacks=(), seed=0,
              verbose=True):
    num_train = int(len(x) * (1 - validation_split))
    generator = torch.Generator().manual_seed(seed)
    train, val = x[:num_train], x[num_train:]
    history = History()
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        model.train()
        model.reset_metrics()
        order = torch.randperm(len(train), generator=generator)
        for start in range(0, len(train), batch_size):
            batch = train[order[start:start + batch_size]]
            model.train_step(batch.to(model.device))
        logs = model.get_metrics_result()
        val_logs = model.evaluate(val) if len(val) > 0 else {}
        logs = logs | {"val_" + name: value for name, value in val_logs.items()}
        history.record(epoch, logs)
        if verbose:
            print(epoch_line(epoch, epochs, logs))
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    for callback in callbacks:
        callback.on_train_end()
    return history
"""

FIT_KNOWN = (
    Misconception(
        "ps4_fit",
        "validation images are trained on",
        swapped(FIT, ("train, val = x[:num_train]", "train, val = x")),
        "The images that your loop holds out are among those that it trains on. Then the "
        "validation loss falls even while the model only learns by heart, and says nothing about "
        "new images. Look at how `x` is split.",
    ),
    Misconception(
        "ps4_fit",
        "shuffled before the split",
        swapped(
            FIT,
            (
                "    train, val =",
                "    x = x[torch.randperm(len(x), generator=generator)]\n    train, val =",
            ),
        ),
        "Your loop shuffles the images before it splits them, so which ones are held out depends "
        "on the seed. The docstring says which part it is to be, and what comes first.",
    ),
    Misconception(
        "ps4_fit",
        "batches unpacked into images and labels",
        swapped(
            FIT,
            ("            batch = train", "            images, labels = train"),
            ("model.train_step(batch.to", "model.train_step(images.to"),
        ),
        "Your loop takes each batch apart into images and labels, and there are none: `x` is a "
        "tensor of images, and a VAE learns without labels. Look at what an index into `x` gives.",
    ),
    Misconception(
        "ps4_fit",
        "divided by 255 once more",
        swapped(FIT, ("    num_train =", "    x = x / 255\n    num_train =")),
        "Your loop divides the images by 255, and they come with values between 0 and 1 already. "
        "All that the model gets to see is nearly black. Look at what is done to `x` before the "
        "first batch.",
    ),
    Misconception(
        "ps4_fit",
        "metrics not reset",
        swapped(FIT, ("        model.reset_metrics()\n", "")),
        "Your loop begins an epoch with whatever is in the metrics, so earlier losses are mixed "
        "with those of this epoch. Look at what happens before the first batch of an epoch.",
    ),
    Misconception(
        "ps4_fit",
        "trained in evaluation mode or without gradients",
        swapped(FIT, ("        model.train()\n", "")),
        "While your loop trains the model, it is in evaluation mode or gradients are switched "
        "off. Layers such as dropout then do not do their work, or nothing can be learnt at all. "
        "Look at what an epoch begins with, and at what stands around the loop.",
    ),
    Misconception(
        "ps4_fit",
        "metrics read after the validation",
        swapped(
            FIT,
            (
                "        logs = model.get_metrics_result()\n"
                "        val_logs = model.evaluate(val) if len(val) > 0 else {}\n",
                "        val_logs = model.evaluate(val) if len(val) > 0 else {}\n"
                "        logs = model.get_metrics_result()\n",
            ),
        ),
        "Your loop reads the metrics of an epoch when the validation has used them and left them "
        "empty, so the training's own losses never reach the history. Mind the order of the two.",
    ),
    Misconception(
        "ps4_fit",
        "last batch dropped",
        swapped(
            FIT,
            (
                "range(0, len(train), batch_size)",
                "range(0, len(train) - batch_size + 1, batch_size)",
            ),
        ),
        "Images that do not fill a whole batch are left out at the end of each epoch. Look at "
        "where your loop over the batches ends.",
    ),
    Misconception(
        "ps4_fit",
        "batches left on the CPU",
        swapped(FIT, ("batch.to(model.device)", "batch")),
        "Your loop hands the batches over where they are. The images are on the CPU, and on a GPU "
        "the model is not, so the first step stops. Read again what the docstring says of `x`.",
    ),
)

MODEL = """
class KerasVAE(KerasModel):
    def __init__(self, latent_dim=2, beta=0.392, image_shape=(1, 28, 28)):
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.image_shape = image_shape
        self.encoder = FashionEncoder(latent_dim, image_shape)
        self.sampling = Sampling()
        self.decoder = FashionDecoder(latent_dim, image_shape)
        self.loss_tracker = Mean("loss")
        self.nll_tracker = Mean("nll")
        self.kl_tracker = Mean("kl")

    def forward(self, x, generator=None):
        mu, log_var = self.encoder(x)
        z = self.sampling(mu, log_var, generator)
        return self.decoder(z), mu, log_var

    def update_metrics(self, terms):
        self.loss_tracker.update_state(terms["loss"])
        self.nll_tracker.update_state(terms["nll"])
        self.kl_tracker.update_state(terms["kl"])

    def train_step(self, batch):
        terms = keras_terms(self, batch)
        loss = terms["loss"].mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.update_metrics(terms)

    def test_step(self, batch):
        terms = keras_terms(self, batch)
        self.update_metrics(terms)

    def predict_step(self, batch):
        mu, log_var = self.encoder(batch)
        return self.decoder(mu)
"""

MODEL_KNOWN = (
    Misconception(
        "ps4_model",
        "forward decodes mu",
        swapped(MODEL, ("z = self.sampling(mu, log_var, generator)", "z = mu")),
        "Your forward pass decodes `mu`: nothing is drawn, and what you would train is an "
        "autoencoder with a penalty on its codes. Look at what your decoder is given.",
    ),
    Misconception(
        "ps4_model",
        "no zero_grad",
        swapped(MODEL, ("        self.optimizer.zero_grad()\n", "")),
        "The gradients of earlier batches are still there when those of the next one come, and all "
        "are added up. Your first step is right and the second one is not: what is to happen in "
        "between?",
    ),
    Misconception(
        "ps4_model",
        "sum over the batch minimised",
        swapped(MODEL, ('terms["loss"].mean()', 'terms["loss"].sum()')),
        "Your step follows the losses of a batch added up, so its gradient grows with the number "
        "of images in it. Look at how the losses become the number that you go down.",
    ),
    Misconception(
        "ps4_model",
        "beta left out of the step",
        swapped(MODEL, ('terms["loss"].mean()', '(terms["nll"] + terms["kl"]).mean()')),
        "Your step goes down the cross-entropy plus the unweighted divergence, so the model's "
        "`beta` has no say in what is learnt. Look at which of the terms you go down.",
    ),
    Misconception(
        "ps4_model",
        "test_step learns",
        swapped(
            MODEL,
            (
                "def test_step(self, batch):\n"
                "        terms = keras_terms(self, batch)\n"
                "        self.update_metrics(terms)",
                "def test_step(self, batch):\n        self.train_step(batch)",
            ),
        ),
        "Your `test_step` takes a step of the optimiser. A model that learns from its validation "
        "images cannot be judged by them. Look at which lines of a training step learn, and which "
        "only report.",
    ),
    Misconception(
        "ps4_model",
        "two metrics of one name",
        swapped(MODEL, ('Mean("kl")', 'Mean("nll")')),
        "Two of your metrics have the same name, and where they are read out, one takes the "
        "other's place: a number is missing, and another one is not what it is called. Look at "
        "`__init__`.",
    ),
    Misconception(
        "ps4_model",
        "predict_step draws",
        swapped(
            MODEL,
            (
                "mu, log_var = self.encoder(batch)\n        return self.decoder(mu)",
                "x_hat, mu, log_var = self(batch)\n        return x_hat",
            ),
        ),
        "Your `predict_step` decodes a draw from the posterior, so the same image comes out "
        "differently each time. Read in its docstring what it is to start from.",
    ),
    Misconception(
        "ps4_model",
        "test_step leaves the model in evaluation mode",
        swapped(
            MODEL,
            (
                "def test_step(self, batch):\n        terms",
                "def test_step(self, batch):\n        self.eval()\n        terms",
            ),
        ),
        "Your `test_step` switches the model to evaluation mode and leaves it there, so whoever "
        "goes on to train it does so in the wrong mode. Look at what `evaluate` does before the "
        "first batch and after the last.",
    ),
)

# --- early stopping -------------------------------------------------------------------------

EARLY_STOPPING = """
import copy


class EarlyStopping(Callback):
    def __init__(self, monitor="val_loss", patience=0):
        super().__init__()
        self.monitor = monitor
        self.patience = patience

    def on_train_begin(self):
        self.best = math.inf
        self.best_weights = None
        self.epochs_without_improvement = 0

    def on_epoch_end(self, epoch, logs):
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            self.best_weights = copy.deepcopy(self.model.state_dict())
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
            if self.epochs_without_improvement >= self.patience:
                self.model.stop_training = True

    def on_train_end(self):
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
"""
# The five faults of the class that is handed out, as what they replace and what they are.
WATCHES_TRAINING = ("logs[self.monitor]", 'logs["loss"]')
NO_COPY = ("copy.deepcopy(self.model.state_dict())", "self.model.state_dict()")
COUNTS_ON = (
    "state_dict())\n            self.epochs_without_improvement = 0\n",
    "state_dict())\n",
)
FORGETS_NOTHING = (
    (
        "        self.patience = patience\n\n    def on_train_begin(self):\n",
        "        self.patience = patience\n",
    ),
    (
        "        self.epochs_without_improvement = 0\n\n    def on_epoch_end",
        "        self.epochs_without_improvement = 0\n\n"
        "    def on_train_begin(self):\n        pass\n\n    def on_epoch_end",
    ),
)
ONLY_IF_STOPPED = ("if self.best_weights is not None:", "if self.model.stop_training:")

EARLY_STOPPING_KNOWN = (
    Misconception(
        "ps4_early_stopping",
        "handed in as it was handed out",
        swapped(
            EARLY_STOPPING,
            WATCHES_TRAINING,
            COUNTS_ON,
            NO_COPY,
            *FORGETS_NOTHING,
            ONLY_IF_STOPPED,
        ),
        "The class behaves as it did when you got it: none of its five faults is mended. Run the "
        "experiment under it, and change one of the two lists of losses at a time.",
    ),
    Misconception(
        "ps4_early_stopping",
        "training loss watched",
        swapped(EARLY_STOPPING, WATCHES_TRAINING),
        "Your callback watches the loss on the training images, which goes on falling while the "
        "model learns them by heart. What is `monitor` there for, and what is it if nobody says?",
    ),
    Misconception(
        "ps4_early_stopping",
        "bad epochs counted over the whole training",
        swapped(EARLY_STOPPING, COUNTS_ON),
        "Your callback counts the bad epochs of the whole training, so even one that goes well is "
        "ended sooner or later. Look at what an improvement does to the count.",
    ),
    Misconception(
        "ps4_early_stopping",
        "best weights not copied, or never given back",
        swapped(EARLY_STOPPING, NO_COPY),
        "After training the model has its last weights, and not its best. Either those are never "
        "given back, or what you kept are the model's own tensors, which went on changing with it.",
    ),
    Misconception(
        "ps4_early_stopping",
        "best weights given back only when stopped",
        swapped(EARLY_STOPPING, ONLY_IF_STOPPED),
        "The best weights come back only where the callback has ended the training. One that uses "
        "up all its epochs is left with its last ones. Read the docstring of `on_train_end` again.",
    ),
    Misconception(
        "ps4_early_stopping",
        "first training remembered in the second",
        swapped(EARLY_STOPPING, *FORGETS_NOTHING),
        "In a second training your callback still holds the first one's best loss, weights and "
        "count. Look at what is set only once, and when `on_train_begin` is called.",
    ),
)

# --- the map --------------------------------------------------------------------------------

MANIFOLD = """
def quantile_codes(num, tail=0.01):
    probabilities = torch.linspace(tail, 1 - tail, num)
    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)


def manifold_codes(values):
    return torch.stack([torch.stack([x, y]) for y in values.flip(0) for x in values])
"""

MANIFOLD_KNOWN = (
    Misconception(
        "ps4_manifold",
        "even grid from -5 to 5",
        swapped(
            MANIFOLD,
            (
                "    probabilities = torch.linspace(tail, 1 - tail, num)\n"
                "    return torch.distributions.Normal(0.0, 1.0).icdf(probabilities)",
                "    return torch.linspace(-5, 5, num)",
            ),
        ),
        "Your values are the published grid, evenly spaced from -5 to 5: most of its cells show "
        "codes that the prior hardly ever draws. Equal steps of what are asked for?",
    ),
    Misconception(
        "ps4_manifold",
        "probabilities from 0 to 1",
        swapped(MANIFOLD, ("linspace(tail, 1 - tail, num)", "linspace(0, 1, num)")),
        "Your probabilities reach 0 and 1, and a normal distribution has no smallest and no "
        "largest value. What is `tail` there for?",
    ),
    Misconception(
        "ps4_manifold",
        "rows from the bottom up",
        swapped(MANIFOLD, ("for y in values.flip(0)", "for y in values")),
        "Your map stands on its head: its top row has the smallest second values, and on the axes "
        "of a plot the top is where they are largest. Look at the order of your rows.",
    ),
    Misconception(
        "ps4_manifold",
        "the two dimensions swapped",
        swapped(MANIFOLD, ("torch.stack([x, y])", "torch.stack([y, x])")),
        "In your codes the two dimensions have changed places: the first one runs upwards and the "
        "second one to the right. Compare with the axes of any plot.",
    ),
    Misconception(
        "ps4_manifold",
        "columns from the bottom up, as meshgrid gives them",
        swapped(
            MANIFOLD,
            (
                "    return torch.stack([torch.stack([x, y]) for y in values.flip(0) "
                "for x in values])",
                '    x, y = torch.meshgrid(values, values, indexing="ij")\n'
                "    return torch.stack([x.flatten(), y.flatten()], dim=1)",
            ),
        ),
        "Your codes come column by column, each from the bottom up, and pictures are laid out like "
        "text. Print the codes for three values, and read them in that order.",
    ),
    Misconception(
        "ps4_manifold",
        "codes made on the CPU",
        swapped(
            MANIFOLD,
            (
                "    return torch.stack([torch.stack([x, y]) for y in values.flip(0) "
                "for x in values])",
                "    line = values.tolist()\n"
                "    return torch.tensor([[x, y] for y in reversed(line) for x in line])",
            ),
        ),
        "Your codes are made anew from plain numbers, and so on the CPU, wherever the values are. "
        "The last words of the docstring say where they belong.",
    ),
)

KNOWN: tuple[Misconception, ...] = (
    *PADDING_KNOWN,
    *ENCODER_KNOWN,
    *SAMPLING_KNOWN,
    *DECODER_KNOWN,
    *SEED_LOSS_KNOWN,
    *LOSS_KNOWN,
    *TRACKER_KNOWN,
    *FIT_KNOWN,
    *MODEL_KNOWN,
    *EARLY_STOPPING_KNOWN,
    *MANIFOLD_KNOWN,
)

NOT_SEEN: dict[str, str] = {
    "axis=1 in place of -1 in the KL (6)": (
        "Of codes of shape (B, k) the two are the same axis, so nothing differs."
    ),
    "loss over global names (14)": (
        "All functions get what they need as arguments; sizes written as numbers are in KNOWN."
    ),
    "one prediction for each cell of the map (22)": (
        "The map is drawn by given code; `manifold_codes` can only give all codes at once."
    ),
    "validation in training mode or with gradients (24)": (
        "`evaluate` is given and sees to both; a `test_step` that learns is in KNOWN."
    ),
    "scatter of samples in place of means (26)": (
        "The plot is given code; a `predict_step` that draws is in KNOWN."
    ),
    "continuous colour map for kinds (27)": (
        "A figure is criticised in words, and a person reads them."
    ),
    "a Lambda layer that is not saved or has the wrong shape (28)": (
        "It is Keras's own; here the sampling layer is a module without weights."
    ),
}

EQUIVALENT: dict[str, str] = {
    (
        "ps4_padding: - height, width = (x.shape[-2] * self.stride[0], x.shape[-1] * "
        "self.stride[1]); + height, width = (x.shape[-2] * self.stride[1], x.shape[-1] * "
        "self.stride[1])"
    ): ("The stride is one number for both directions."),
    (
        "ps4_padding: - height, width = (x.shape[-2] * self.stride[0], x.shape[-1] * "
        "self.stride[1]); + height, width = (x.shape[+2] * self.stride[0], x.shape[-1] * "
        "self.stride[1])"
    ): ("Of four dimensions the third is the last but one."),
    (
        "ps4_padding: - total = max((num_outputs - 1) * stride + kernel - size, 0); + "
        "total = max(0, (num_outputs - 1) * stride + kernel - size)"
    ): ("The larger of two numbers is the same in either order."),
    (
        "ps4_sampling: - noise = torch.randn(mu.shape, generator=generator, "
        "device=mu.device, dtype=mu.dtype); + noise = torch.randn(mu.shape, "
        "generator=generator, device=mu.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
    (
        "ps4_sampling: - return mu + noise * (log_var / 2).exp(); + return mu - noise * "
        "(log_var / 2).exp()"
    ): ("Noise is as likely to be negative as positive."),
    (
        "ps4_seed_loss: - divergence = -0.0005 * (1 + log_var - mu ** 2 - "
        "log_var.exp()).mean(dim=1); + divergence = -0.0005 * (1 + log_var - mu ** 2 - "
        "log_var.exp()).mean()"
    ): ("The mean of rows' means is the mean of all, for rows are equally long."),
    (
        "ps4_tracker: - self.total += values.detach().sum().item(); + self.total += "
        "values.sum().item()"
    ): ("A plain number holds no graph."),
    ("ps4_fit: - if verbose:; + if not verbose:"): (
        "Only what is shown on the screen changes, and that is not judged."
    ),
    ("ps4_fit: - bar = f'Epoch {epoch + 1}/{epochs}'; + bar = f'Epoch {epoch + 2}/{epochs}'"): (
        "Only what is shown on the screen changes, and that is not judged."
    ),
    ("ps4_fit: - bar = f'Epoch {epoch + 1}/{epochs}'; + bar = f'Epoch {epoch - 1}/{epochs}'"): (
        "Only what is shown on the screen changes, and that is not judged."
    ),
    (
        "ps4_fit: - print(epoch_line(epoch, epochs, logs)); + print(epoch_line(epochs, "
        "epoch, logs))"
    ): ("Only what is shown on the screen changes, and that is not judged."),
    (
        "ps4_fit: - for indices in tqdm(batches, desc=bar, leave=False, disable=not "
        "verbose):; + for indices in tqdm(batches, desc=bar, leave=False):"
    ): ("Only what is shown on the screen changes, and that is not judged."),
    (
        "ps4_manifold: - y, x = torch.meshgrid(values.flip(0), values, indexing='ij'); + "
        "y, x = torch.meshgrid(values.flip(0), values)"
    ): ("PyTorch's default is the same, and warns."),
}
"""Mutants of the right answer that change nothing, and why."""
