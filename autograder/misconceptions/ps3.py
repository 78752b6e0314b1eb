"""Known wrong answers of ps3, the Bernoulli VAE on black-and-white images."""

from autograder.misconceptions import Misconception, swapped

BINARIZE = """\
def binarize(x, threshold=0.5):
    return (x > threshold).to(x.dtype)


def binarize_randomly(x, generator=None):
    return torch.bernoulli(x, generator=generator)
"""

MLP = """\
def make_mlp(sizes):
    layers = []
    for i in range(len(sizes) - 1):
        layer = nn.Linear(sizes[i], sizes[i + 1])
        nn.init.normal_(layer.weight, std=math.sqrt(2 / sizes[i]))
        nn.init.zeros_(layer.bias)
        layers.append(layer)
        if i < len(sizes) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
"""

LIKELIHOOD = """\
def bernoulli_log_likelihood(x, logits):
    loss = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -loss.flatten(1).sum(dim=1)
"""

KL = """\
def gaussian_kl_from_std(mu, std):
    kl = 0.5 * (mu**2 + std**2 - 1) - torch.log(std)
    return kl.sum(dim=-1)
"""

MODEL = """\
class BernoulliVAE(nn.Module):
    def __init__(self, num_pixels=784, hidden_sizes=(200,), latent_dim=100):
        super().__init__()
        self.num_pixels = num_pixels
        self.latent_dim = latent_dim
        self.encoder = make_mlp([num_pixels, *hidden_sizes, 2 * latent_dim])
        self.decoder = make_mlp([latent_dim, *reversed(hidden_sizes), num_pixels])

    def encode(self, x):
        mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)
        std = F.softplus(raw) + 1e-6
        return mu, std

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        z = mu + std * noise
        return self.decode(z), mu, std
"""

TERMS = """\
def bernoulli_terms(model, x, generator=None):
    logits, mu, std = model(x, generator)
    nll = -bernoulli_log_likelihood(x.flatten(1), logits)
    kl = gaussian_kl_from_std(mu, std)
    loss = nll + kl
    return {"loss": loss, "nll": nll, "kl": kl}
"""

# The loop that students are given, with its four faults mended in the cell itself.
FIT = """\
def fit(model, x, epochs, batch_size=64, learning_rate=1e-3, seed=0, x_held_out=None, redraw=None):
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=learning_rate)
    history = {"train": [], "held_out": []}
    if x_held_out is not None:
        history["held_out"].append(mean_terms(model, x_held_out))

    num_batches = math.ceil(len(x) / batch_size)
    for _ in range(epochs):
        rows = torch.randperm(len(x), generator=order)
        cost, nll, kl = 0.0, 0.0, 0.0
        for i in range(num_batches):
            batch = x[rows[i * batch_size : (i + 1) * batch_size]].to(device)
            if redraw is not None:
                batch = redraw(batch, noise)
            terms = bernoulli_terms(model, batch, noise)
            loss = terms["loss"].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cost += terms["loss"].sum().item()
            nll += terms["nll"].sum().item()
            kl += terms["kl"].sum().item()
        history["train"].append({"loss": cost / len(x), "nll": nll / len(x), "kl": kl / len(x)})
        if x_held_out is not None:
            history["held_out"].append(mean_terms(model, x_held_out))
    return history
"""

PREDICTIVE = """\
def transform(model, x):
    with torch.no_grad():
        mu, std = model.encode(x)
    return mu


def prior_predictive_given(model, z, generator=None):
    with torch.no_grad():
        probabilities = torch.sigmoid(model.decode(z))
        samples = torch.bernoulli(probabilities, generator=generator)
    return samples, probabilities


def prior_predictive(model, num_samples, generator=None):
    device = next(model.parameters()).device
    z = torch.randn(num_samples, model.latent_dim, generator=generator, device=device)
    return prior_predictive_given(model, z, generator)


def posterior_predictive(model, x, generator=None):
    with torch.no_grad():
        logits, mu, std = model(x, generator)
        probabilities = torch.sigmoid(logits)
        samples = torch.bernoulli(probabilities, generator=generator)
    return samples, probabilities
"""

LOG_MEAN_EXP = """\
def log_mean_exp(values, dim):
    return torch.logsumexp(values, dim=dim) - math.log(values.shape[dim])
"""

BOUND = """\
def log_importance_weights(model, x, num_samples, generator=None):
    mu, std = model.encode(x)
    noise = torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)
    z = mu + std * noise
    logits = model.decode(z.flatten(0, 1))
    pixels = x.flatten(1).repeat(num_samples, 1)
    log_x = bernoulli_log_likelihood(pixels, logits).view(num_samples, len(x))
    log_prior = Normal(0.0, 1.0).log_prob(z).sum(dim=-1)
    log_q = Normal(mu, std).log_prob(z).sum(dim=-1)
    return log_x + log_prior - log_q


def importance_weighted_bound(log_weights):
    return log_mean_exp(log_weights, 0)
"""

# Pieces that several mistakes replace.
CUT = "(x > threshold).to(x.dtype)"
DRAW = "torch.bernoulli(x, generator=generator)"
SCALE = "nn.init.normal_(layer.weight, std=math.sqrt(2 / sizes[i]))"
BCE = 'F.binary_cross_entropy_with_logits(logits, x, reduction="none")'
DIVERGENCE = "0.5 * (mu**2 + std**2 - 1) - torch.log(std)"
STD = "F.softplus(raw) + 1e-6"
NOISE = "        noise = torch.randn(mu.shape, generator=generator, device=mu.device)\n"
REDRAW = """\
            if redraw is not None:
                batch = redraw(batch, noise)
"""
ONCE = """\
    if redraw is not None:
        x = redraw(x.to(device), noise)
"""
PIXELS = "torch.bernoulli(probabilities, generator=generator)"
RATIO = "log_x + log_prior - log_q"
AVERAGE = "log_mean_exp(log_weights, 0)"

KNOWN: tuple[Misconception, ...] = (
    Misconception(
        "ps3_binarize",
        "truth values or whole numbers",
        swapped(BINARIZE, (CUT, "x > threshold")),
        "`binarize` finds the right pixels and hands them over in a type that a likelihood does "
        "not compute with. Look at the type that a comparison of tensors has, and at the one that "
        "the docstring asks for.",
    ),
    Misconception(
        "ps3_binarize",
        "white at the threshold",
        swapped(BINARIZE, ("x > threshold", "x >= threshold")),
        "A pixel that lies exactly at the threshold becomes white in your `binarize`. The "
        "docstring says on which side of the cut it belongs.",
    ),
    Misconception(
        "ps3_binarize",
        "always single precision",
        swapped(BINARIZE, (CUT, "(x > threshold).float()")),
        "Your `binarize` turns greys of double precision into zeros and ones of single precision. "
        "See in the docstring which type the result should have.",
    ),
    Misconception(
        "ps3_binarize",
        "the caller's image overwritten",
        swapped(
            BINARIZE,
            (
                f"    return {CUT}",
                "    x[x > threshold] = 1\n    x[x <= threshold] = 0\n    return x",
            ),
        ),
        "Your `binarize` puts its zeros and ones into the very image that it was given, so whoever "
        "called it has lost the grey one. Look for what writes into `x`.",
    ),
    Misconception(
        "ps3_binarize",
        "threshold instead of a draw",
        swapped(BINARIZE, (DRAW, "(x > 0.5).to(x.dtype)")),
        "Your `binarize_randomly` cuts the greys at one half, so it gives the same picture every "
        "time. Here a grey is a probability, and a dark pixel should be white now and then.",
    ),
    Misconception(
        "ps3_binarize",
        "generator ignored",
        swapped(BINARIZE, (DRAW, "torch.bernoulli(x)")),
        "Your `binarize_randomly` draws as it should, but not from the `generator` that it is "
        "given, so nobody can repeat the draw. Follow that argument through your code and see "
        "where it gets lost.",
    ),
    Misconception(
        "ps3_binarize",
        "numbers drawn on the CPU",
        swapped(BINARIZE, (DRAW, "(torch.rand(x.shape, generator=generator) < x).to(x.dtype)")),
        "Your `binarize_randomly` draws its numbers on the CPU, wherever the image is, and on a "
        "GPU the two cannot be compared. See what the function that draws is told about them: a "
        "shape, and what else?",
    ),
    Misconception(
        "ps3_mlp",
        "2 outside the root",
        swapped(MLP, ("math.sqrt(2 / sizes[i])", "2 / math.sqrt(sizes[i])")),
        "Your weights start too large by the same factor in every layer, and a deep network "
        "multiplies these factors. It is the slip of row 3 in the experiment of this section: "
        "look at what stands under your root, and what outside.",
    ),
    Misconception(
        "ps3_mlp",
        "2 missing",
        swapped(MLP, ("math.sqrt(2 / sizes[i])", "math.sqrt(1 / sizes[i])")),
        "Your weights start as if nothing stood between the layers. A ReLU wipes out half of "
        "the signal's power, and the experiment of this section shows in row 1 what becomes of "
        "that: compare your root with the docstring's variance.",
    ),
    Misconception(
        "ps3_mlp",
        "outputs counted",
        swapped(MLP, ("(2 / sizes[i])", "(2 / sizes[i + 1])")),
        "Your weights are scaled by the number of a layer's outputs. Where a layer has as many "
        "inputs nobody notices; elsewhere signals grow or fade. The docstring says of which of "
        "the two the variance depends.",
    ),
    Misconception(
        "ps3_mlp",
        "Glorot's scale",
        swapped(MLP, (SCALE, "nn.init.xavier_normal_(layer.weight)")),
        "Your weights have the scale of Glorot and Bengio, which goes by inputs and outputs and "
        "knows of no ReLU. Another one is named in the docstring.",
    ),
    Misconception(
        "ps3_mlp",
        "standard normal weights",
        swapped(MLP, (SCALE, "nn.init.normal_(layer.weight)")),
        "Your weights are draws from N(0, 1), however many inputs a layer has, so a signal "
        "grows at every layer. See which spread is asked for, and what yours is when nobody "
        "names one.",
    ),
    Misconception(
        "ps3_mlp",
        "variance used as standard deviation",
        swapped(MLP, ("math.sqrt(2 / sizes[i])", "2 / sizes[i]")),
        "Your weights start far too small, so signals fade from layer to layer. The number in the "
        "docstring is a variance: see which kind of spread your code takes it for.",
    ),
    Misconception(
        "ps3_mlp",
        "no initialisation at all",
        swapped(MLP, (f"        {SCALE}\n        nn.init.zeros_(layer.bias)\n", "")),
        "Your layers keep the numbers that PyTorch gives every new `nn.Linear`, and its weights "
        "are much smaller than those asked for. The docstring says how weights and biases are to "
        "start.",
    ),
    Misconception(
        "ps3_mlp",
        "uniform instead of normal",
        swapped(MLP, (SCALE, 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")')),
        "Your weights have the right spread, and a sharp edge beyond which there are none: they "
        "come from a uniform distribution. See in the docstring which one is asked for.",
    ),
    Misconception(
        "ps3_mlp",
        "biases left as they are",
        swapped(MLP, ("        nn.init.zeros_(layer.bias)\n", "")),
        "Your weights start well, but the biases keep the small random numbers that a new "
        "`nn.Linear` comes with. The docstring has a word on biases too.",
    ),
    Misconception(
        "ps3_mlp",
        "ReLU after the last layer",
        swapped(
            MLP,
            ("        if i < len(sizes) - 2:\n            layers", "        layers"),
        ),
        "A ReLU stands after your last layer too, so the network can never answer with a negative "
        "number. Its outputs are to become means and logits: what values may those have?",
    ),
    Misconception(
        "ps3_log_likelihood",
        "sigmoid twice",
        swapped(LIKELIHOOD, ("(logits, x", "(torch.sigmoid(logits), x")),
        "Your logits go through a sigmoid twice: once in your code, and once inside the function "
        "that you hand them to. See what its name says about the input that it expects.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "logits taken for probabilities",
        swapped(LIKELIHOOD, ("entropy_with_logits", "entropy")),
        "Your code stops with an error as soon as a logit is below 0 or above 1: the function that "
        "you call expects probabilities. It has a relative that is made for logits.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "sigmoid, then logarithm",
        swapped(
            LIKELIHOOD,
            (f"loss = {BCE}", "p = torch.sigmoid(logits)"),
            (
                "    return -loss.flatten",
                "    log_p = x * torch.log(p) + (1 - x) * torch.log(1 - p)\n"
                "    return log_p.flatten",
            ),
        ),
        "For moderate logits your value is right. For strong ones the sigmoid is rounded to "
        "exactly 0 or 1, and the logarithm after it makes the result infinite or no number at all. "
        "Is there a way that never leaves the logits?",
    ),
    Misconception(
        "ps3_log_likelihood",
        "sigmoid, then PyTorch's clamp",
        swapped(
            LIKELIHOOD,
            (BCE, 'F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none")'),
        ),
        "For moderate logits your value is right. For strong ones the sigmoid is rounded to "
        "exactly 0 or 1, and PyTorch quietly cuts the logarithm of that off at -100: a pixel that "
        "is badly wrong then costs 100 nats whatever its logit, and teaches nothing. Is there a "
        "way that never leaves the logits?",
    ),
    Misconception(
        "ps3_log_likelihood",
        "mean over the pixels",
        swapped(LIKELIHOOD, (".sum(dim=1)", ".mean(dim=1)")),
        "Your log-likelihood is a mean over the pixels of an image. Given z the pixels are "
        "independent: think what becomes of their probabilities, and so of the logarithms.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "mean over the whole batch",
        swapped(
            LIKELIHOOD,
            (', reduction="none"', ""),
            ("-loss.flatten(1).sum(dim=1)", "-loss"),
        ),
        "You get one number for the whole batch, a mean over all of its pixels. Asked for is one "
        "number for each image: look at how PyTorch's losses are told what to do with the pixels.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "a loss, with the opposite sign",
        swapped(LIKELIHOOD, ("-loss", "loss")),
        "Your values are positive, and the logarithm of a probability never is. What you return is "
        "a loss: ask which of the two becomes larger as a model gets better.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "white pixels only",
        swapped(LIKELIHOOD, (f"loss = {BCE}", "loss = -x * F.logsigmoid(logits)")),
        "Only the white pixels count in your sum, so a model that calls everything white would "
        "be perfect. A black pixel has a probability too: see the second term of the formula.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "squared error",
        swapped(LIKELIHOOD, (f"loss = {BCE}", "loss = (torch.sigmoid(logits) - x) ** 2")),
        "You sum up squared errors, which belong to a Gaussian. The pixels here are coins: look "
        "again at what the logarithm of a coin's probability is.",
    ),
    Misconception(
        "ps3_log_likelihood",
        "images and logits swapped",
        swapped(LIKELIHOOD, ("(logits, x,", "(x, logits,")),
        "The images and the logits have changed places: your pixels are taken for logits. Compare "
        "the order of the arguments here with that of the function that you call.",
    ),
    Misconception(
        "ps3_kl",
        "std taken for log-variance",
        swapped(KL, (DIVERGENCE, "0.5 * (mu**2 + torch.exp(std) - 1 - std)")),
        "Your code treats `std` as the logarithm of a variance, which it was in assignment 2. This "
        "encoder speaks another language: go through the terms that hold `std` one by one.",
    ),
    Misconception(
        "ps3_kl",
        "std taken for a variance",
        swapped(KL, (DIVERGENCE, "0.5 * (mu**2 + std - 1 - torch.log(std))")),
        "Your code treats `std` as a variance. Where it is 1 nobody notices, so try a value far "
        "from 1 and compare with the facts in hint 3.",
    ),
    Misconception(
        "ps3_kl",
        "logarithm halved",
        swapped(KL, (DIVERGENCE, "0.5 * (mu**2 + std**2 - 1 - torch.log(std))")),
        "The logarithm counts only half as much as it should, which makes narrow posteriors too "
        "cheap. Look at the half before it: of what was the logarithm taken in assignment 2, and "
        "of what do you take it here?",
    ),
    Misconception(
        "ps3_kl",
        "logarithm counted twice",
        swapped(KL, (DIVERGENCE, "0.5 * (mu**2 + std**2 - 1) - 2 * torch.log(std)")),
        "The logarithm counts twice as much as it should, so posteriors want to be wider than "
        "the prior. A factor of 2 was brought in for the square; see whether a half was there "
        "to meet it.",
    ),
    Misconception(
        "ps3_kl",
        "logarithm with the opposite sign",
        swapped(KL, (DIVERGENCE, "0.5 * (mu**2 + std**2 - 1) + torch.log(std)")),
        "The logarithm is added, so that a posterior without any spread would be free, and even "
        "be paid for. Look at the sign with which it stands in the formula.",
    ),
    Misconception(
        "ps3_kl",
        "posterior and prior swapped",
        swapped(KL, (DIVERGENCE, "0.5 * ((mu**2 + 1) / std**2 - 1) + torch.log(std)")),
        "Yours is the divergence of the prior from the posterior. The two are different "
        "numbers: ask which distribution the mean is taken over.",
    ),
    Misconception(
        "ps3_kl",
        "opposite sign",
        swapped(KL, (DIVERGENCE, "0.5 * (1 + torch.log(std**2) - mu**2 - std**2)")),
        "Your divergence is never above 0, and a divergence is never below it. Papers often print "
        "this term as it stands in the bound: what sign has it there?",
    ),
    Misconception(
        "ps3_kl",
        "mean over the latent dimensions",
        swapped(KL, (".sum(dim=-1)", ".mean(dim=-1)")),
        "Your divergence is a mean over the latent dimensions, so ten of them seem to cost no more "
        "than one. See in the docstring how their divergences belong together.",
    ),
    Misconception(
        "ps3_kl",
        "second dimension instead of the last",
        swapped(KL, ("dim=-1", "dim=1")),
        "For an input of shape (B, k) your divergence is right. With more dimensions in front you "
        "sum over the second one: which one holds the latent numbers, however many there are?",
    ),
    Misconception(
        "ps3_kl",
        "prior made on the CPU",
        "from torch.distributions import kl_divergence\n\n\n"
        + swapped(
            KL,
            (DIVERGENCE, "kl_divergence(Normal(mu, std), prior)"),
            (
                "    kl =",
                "    prior = Normal(torch.zeros(mu.shape), torch.ones(mu.shape))\n    kl =",
            ),
        ),
        "Your prior is made of zeros and ones on the CPU, wherever the posterior is, and on a "
        "GPU the two cannot meet. Look at the line that makes them: does it name a device, or "
        "take one over?",
    ),
    Misconception(
        "ps3_model",
        "decoder not mirrored",
        swapped(MODEL, ("*reversed(hidden_sizes)", "*hidden_sizes")),
        "Your decoder takes the hidden layers in the same order as the encoder. With one hidden "
        "layer nobody notices; with two it is no mirror image any more, and the number of "
        "parameters is another one.",
    ),
    Misconception(
        "ps3_model",
        "encoder half as wide as needed",
        swapped(MODEL, ("2 * latent_dim", "latent_dim")),
        "Your encoder gives one number for each latent dimension, and `mu` and `std` have to share "
        "them. Count the things that it must say about every dimension.",
    ),
    Misconception(
        "ps3_model",
        "mu and std from the same numbers",
        swapped(
            MODEL,
            ("2 * latent_dim", "latent_dim"),
            (
                "mu, raw = self.encoder(x.flatten(1)).chunk(2, dim=1)",
                "mu = raw = self.encoder(x.flatten(1))",
            ),
        ),
        "Your `mu` and `std` are made from the very same numbers, so a posterior cannot be "
        "narrow without being far to the left. Count the things that the encoder must say about "
        "each dimension.",
    ),
    Misconception(
        "ps3_model",
        "softplus missing",
        swapped(MODEL, (STD, "raw")),
        "Your `std` is what the last layer gives, so it is negative for many images, and a "
        "standard deviation never is. See in the docstring of `encode` what that raw number goes "
        "through.",
    ),
    Misconception(
        "ps3_model",
        "little number missing or inside the softplus",
        swapped(MODEL, (STD, "F.softplus(raw + 1e-6)")),
        "Your `std` can become exactly 0, and then its logarithm is infinite. The docstring of "
        "`encode` has a little number against that: it must be there, and it helps only after the "
        "right step.",
    ),
    Misconception(
        "ps3_model",
        "softplus taken for a variance",
        swapped(MODEL, (STD, "torch.sqrt(F.softplus(raw) + 1e-6)")),
        "You take a root on the way to `std`, as if the softplus gave a variance. So deviations "
        "below 1 come out too large, and those above 1 too small: see in the docstring of "
        "`encode` what the softplus gives.",
    ),
    Misconception(
        "ps3_model",
        "activation after the encoder",
        swapped(
            MODEL,
            ("self.encoder(x.flatten(1)).chunk", "F.relu(self.encoder(x.flatten(1))).chunk"),
        ),
        "An activation stands after the encoder's last layer, so no `mu` is ever negative and no "
        "`std` ever small. Which of the numbers there may be any real number?",
    ),
    Misconception(
        "ps3_model",
        "probabilities instead of logits",
        swapped(MODEL, ("self.decoder(z)", "torch.sigmoid(self.decoder(z))")),
        "Your `decode` squeezes its answer between 0 and 1. The likelihood does that too, so it "
        "would happen twice and no pixel could ever be certain. The docstring says what `decode` "
        "gives.",
    ),
    Misconception(
        "ps3_model",
        "noise times std squared",
        swapped(MODEL, ("std * noise", "std**2 * noise")),
        "Your codes do not scatter as `std` says: in narrow posteriors they scatter too little, in "
        "wide ones too much. `std` is a standard deviation: look at what the noise is multiplied "
        "by.",
    ),
    Misconception(
        "ps3_model",
        "draw without gradients",
        swapped(MODEL, ("z = mu + std * noise", "z = (mu + std * noise).detach()")),
        "Your draw cuts the gradients off, so the pixels never teach the encoder anything. Look at "
        "how z is made: can the result be differentiated with respect to `mu` and `std`?",
    ),
    Misconception(
        "ps3_model",
        "drawn by torch.normal",
        swapped(
            MODEL,
            (NOISE, ""),
            ("z = mu + std * noise", "z = torch.normal(mu, std, generator=generator)"),
        ),
        "Your draw has the right distribution, and PyTorch makes it in one go: the gradients "
        "that it hands back to `mu` and `std` are zero, so the pixels never teach the encoder "
        "anything. Which form of the same draw can be differentiated?",
    ),
    Misconception(
        "ps3_model",
        "generator ignored",
        swapped(
            MODEL,
            (
                "torch.randn(mu.shape, generator=generator, device=mu.device)",
                "torch.randn_like(mu)",
            ),
        ),
        "Your noise does not come from the `generator` that `forward` is given, so no draw can be "
        "repeated. See whether the function that makes the noise can be told about one.",
    ),
    Misconception(
        "ps3_model",
        "noise made on the CPU",
        swapped(MODEL, (", device=mu.device", "")),
        "Your noise is made on the CPU, wherever the model is, and on a GPU it cannot be "
        "multiplied by `std`. See what the function that draws is told, and what it has to "
        "guess.",
    ),
    Misconception(
        "ps3_terms",
        "the bound as the loss",
        swapped(TERMS, ("loss = nll + kl", "loss = -(nll + kl)")),
        'Your "loss" is the bound itself. Training makes a loss smaller, so this model would get '
        "worse with every step: say what is to become larger, and what smaller.",
    ),
    Misconception(
        "ps3_terms",
        "divergence subtracted",
        swapped(TERMS, ("loss = nll + kl", "loss = nll - kl")),
        'Your "loss" falls as the divergence grows, so training would drive posteriors away from '
        "the prior. Turn the sign of the whole bound, and mind both of its terms.",
    ),
    Misconception(
        "ps3_terms",
        "log-likelihood with its own sign",
        swapped(TERMS, ("nll = -", "nll = ")),
        'Your "nll" is below 0: it is the log-likelihood as it comes, and the loss takes the '
        "mistake over. Ask what the first letter of its name stands for.",
    ),
    Misconception(
        "ps3_terms",
        "sigmoid twice",
        swapped(TERMS, (", logits)", ", torch.sigmoid(logits))")),
        "You put the logits through a sigmoid before the likelihood is asked, and it does that "
        "itself. See what `bernoulli_log_likelihood` wants for its second argument.",
    ),
    Misconception(
        "ps3_terms",
        "images and logits swapped",
        swapped(TERMS, ("(x.flatten(1), logits)", "(logits, x.flatten(1))")),
        "You hand the logits over as the image and the image as the logits. Look at the order "
        "of the two in the first line of `bernoulli_log_likelihood`.",
    ),
    Misconception(
        "ps3_terms",
        "means over the batch",
        swapped(
            TERMS,
            ('"loss": loss,', '"loss": loss.mean(),'),
            ('"nll": nll,', '"nll": nll.mean(),'),
            ('"kl": kl}', '"kl": kl.mean()}'),
        ),
        "Each of your terms is a single number, a mean over the batch. Here every image keeps its "
        "own: whoever wants a mean takes it later.",
    ),
    Misconception(
        "ps3_terms",
        "generator not handed on",
        swapped(TERMS, ("model(x, generator)", "model(x)")),
        "The `generator` comes as far as this function and no further, so the same one gives other "
        "terms at each call. Who draws the noise, and how does it get hold of the generator?",
    ),
    Misconception(
        "ps3_fit",
        "caller's images shuffled",
        swapped(
            FIT,
            (
                "rows = torch.randperm(len(x), generator=order)",
                "x[:] = x[torch.randperm(len(x), generator=order)]",
            ),
            (
                "x[rows[i * batch_size : (i + 1) * batch_size]]",
                "x[i * batch_size : (i + 1) * batch_size]",
            ),
        ),
        "Your loop shuffles the images in the caller's own tensor. Whoever holds labels for them "
        "holds wrong ones after training: see which line writes into `x`.",
    ),
    Misconception(
        "ps3_fit",
        "last batch dropped",
        # The history is then right for the images that are used, so it was left as it stood.
        swapped(
            FIT,
            ("math.ceil(len(x) / batch_size)", "len(x) // batch_size"),
            (".sum().item()", ".sum().item() / batch_size"),
            (" / len(x),", " / num_batches,"),
            (" / len(x)}", " / num_batches}"),
        ),
        "Images that do not fill a whole batch are left out of every epoch, and a set smaller than "
        "one batch never gets its turn. Look at how the batches are counted, and which way that "
        "rounds.",
    ),
    Misconception(
        "ps3_fit",
        "sum over the batch minimised",
        swapped(FIT, ('loss = terms["loss"].mean()', 'loss = terms["loss"].sum()')),
        "Your step minimises a sum over the batch, so its gradient grows with the batch size. "
        "RMSprop mostly hides that; where gradients are tiny it shows. Look at what `backward` is "
        "called on.",
    ),
    Misconception(
        "ps3_fit",
        "order drawn once",
        swapped(
            FIT,
            ("        rows = torch.randperm(len(x), generator=order)\n", ""),
            (
                "    for _ in range(epochs):\n",
                "    rows = torch.randperm(len(x), generator=order)\n    for _ in range(epochs):\n",
            ),
        ),
        "Your images come in the same order in every epoch, so the same ones always share a batch. "
        "See where an order is drawn, and how often that line runs.",
    ),
    Misconception(
        "ps3_fit",
        "steps uphill",
        swapped(FIT, ("loss.backward()", "(-loss).backward()")),
        "Your steps go uphill: every one of them makes the loss larger. Follow the sign of the "
        "loss on its way to `backward`.",
    ),
    Misconception(
        "ps3_fit",
        "bound in the history",
        swapped(FIT, ("cost +=", "cost -=")),
        'What your history keeps under "loss" is the bound: its curve would rise as the model gets '
        "better. The steps themselves are right, so look at what is added up after them.",
    ),
    Misconception(
        "ps3_fit",
        "mean of the batches' means",
        swapped(
            FIT,
            (".sum().item()", ".mean().item()"),
            (" / len(x),", " / num_batches,"),
            (" / len(x)}", " / num_batches}"),
        ),
        "Your history is a mean of the batches' means, so the images of a short last batch count "
        "for more than the others. Each image should count once: look at what is added up, and "
        "what it is divided by.",
    ),
    Misconception(
        "ps3_fit",
        "short batch counted as a full one",
        swapped(
            FIT,
            (".sum().item()", ".sum().item() / batch_size"),
            (" / len(x),", " / num_batches,"),
            (" / len(x)}", " / num_batches}"),
        ),
        "Your history treats every batch as a full one, so its numbers are too small whenever the "
        "last batch is shorter. Look at everything that is divided there, and by what.",
    ),
    Misconception(
        "ps3_fit",
        "mean in place of a sum in the history",
        swapped(FIT, ('cost += terms["loss"].sum().item()', "cost += loss.item()")),
        'Your history adds up a mean for each batch under "loss" and divides the result by the '
        'number of images. Compare with "nll" and "kl", which are right, and look at what goes '
        "into each of the three.",
    ),
    Misconception(
        "ps3_fit",
        "gradients never cleared",
        swapped(FIT, ("            optimizer.zero_grad()\n", "")),
        "The gradients of all batches pile up, so every step also goes where earlier batches "
        "wanted to go. Ask what is left in the parameters' gradients when the next batch comes.",
    ),
    Misconception(
        "ps3_fit",
        "one step an epoch",
        swapped(
            FIT,
            ("            optimizer.zero_grad()\n", ""),
            ("            optimizer.step()\n", ""),
            ("        for i in", "        optimizer.zero_grad()\n        for i in"),
            ('        history["train"]', '        optimizer.step()\n        history["train"]'),
        ),
        "Your optimiser takes one step in an epoch, with the gradients of all batches together. "
        "See in which of the two loops the line stands that takes it.",
    ),
    Misconception(
        "ps3_fit",
        "held-out images redrawn",
        swapped(
            FIT,
            (
                "mean_terms(model, x_held_out)",
                "mean_terms(model, redraw(x_held_out.to(device), noise) if redraw else x_held_out)",
            ),
        ),
        "Your held-out images go through `redraw` before they are measured, so other images are "
        "measured each time and two epochs cannot be compared. The docstring says which images "
        "it is for.",
    ),
    Misconception(
        "ps3_fit",
        "redrawn once for all epochs",
        swapped(
            FIT,
            (REDRAW, ""),
            ("    num_batches =", f"{ONCE}    num_batches ="),
        ),
        "You redraw the images once, before training, so every epoch sees the same black-and-"
        "white ones. See in the docstring when an image is to be made anew, and which loop that "
        "is.",
    ),
    Misconception(
        "ps3_fit",
        "left in evaluation mode",
        swapped(FIT, ("mean_terms(model,", "mean_terms(model.eval(),")),
        "After the held-out images have been measured the model stays in evaluation mode, and "
        "is trained in it from then on. This model has no layer that minds; the next one may "
        "have. Look for what switches back.",
    ),
    Misconception(
        "ps3_fit",
        "graph kept in the history",
        swapped(FIT, (".sum().item()", ".sum()")),
        "What your history keeps are tensors that still hold on to the graph for gradients, "
        "with everything that was computed in their epoch. The docstring asks for plain "
        "numbers: where does a tensor become one?",
    ),
    Misconception(
        "ps3_fit",
        "images left on the CPU",
        swapped(FIT, (".to(device)", "")),
        "Your batches stay where the data set is, on the CPU, and a model on a GPU cannot look "
        "at them. The loop knows the model's device: see what becomes of a batch before it is "
        "used.",
    ),
    Misconception(
        "ps3_fit",
        "noise from the CPU",
        swapped(FIT, ("torch.Generator(device)", "torch.Generator()")),
        "The generator of your noise is the CPU's, and on a GPU nothing can be drawn with it. "
        "The orders and the noise are drawn on different devices: look at where the two "
        "generators are made.",
    ),
    Misconception(
        "ps3_predictive",
        "transform draws a code",
        swapped(PREDICTIVE, ("    return mu\n", "    return mu + std * torch.randn_like(mu)\n")),
        "Your `transform` gives other codes at each call: it draws from the posterior. Nothing in "
        "it should be random: see in the docstring what the code of an image is.",
    ),
    Misconception(
        "ps3_predictive",
        "threshold instead of a draw",
        swapped(PREDICTIVE, (PIXELS, "(probabilities > 0.5).float()")),
        "Your samples are the probabilities, cut at one half, so one code always gives the same "
        "picture. A sample is a draw: a pixel with a probability of 0.3 should be white now and "
        "then.",
    ),
    Misconception(
        "ps3_predictive",
        "probabilities as samples",
        swapped(
            PREDICTIVE, ("return samples, probabilities", "return probabilities, probabilities")
        ),
        "What you return as samples are the probabilities themselves. They are grey, and a sample "
        "is black or white in every pixel: something is still to be drawn.",
    ),
    Misconception(
        "ps3_predictive",
        "samples and probabilities swapped",
        swapped(PREDICTIVE, ("return samples, probabilities", "return probabilities, samples")),
        "Samples and probabilities have changed places in what you return. The docstring says "
        "which of them comes first.",
    ),
    Misconception(
        "ps3_predictive",
        "logits taken for probabilities",
        swapped(
            PREDICTIVE,
            ("torch.sigmoid(model.decode(z))", "model.decode(z)"),
            ("torch.sigmoid(logits)", "logits"),
        ),
        "You draw pixels with the logits of the decoder, and the draw stops with an error, for a "
        "logit may be below 0 or above 1. Look at what turns one into a probability.",
    ),
    Misconception(
        "ps3_predictive",
        "posterior mean decoded",
        swapped(
            PREDICTIVE,
            (
                "logits, mu, std = model(x, generator)\n",
                "mu, std = model.encode(x)\n        logits = model.decode(mu)\n",
            ),
        ),
        "Your `posterior_predictive` decodes the mean of the posterior, so an image always gets "
        "the same probabilities. Another image like this one has a code of its own: where should "
        "that come from?",
    ),
    Misconception(
        "ps3_predictive",
        "pixels without the generator",
        swapped(PREDICTIVE, (PIXELS, "torch.bernoulli(probabilities)")),
        "With the same `generator` your probabilities are the same again and your samples are not. "
        "Go through all the draws, down to the last one.",
    ),
    Misconception(
        "ps3_predictive",
        "graph kept",
        swapped(PREDICTIVE, ("    with torch.no_grad():\n", ""), ("        ", "    ")),
        "What your functions return still holds on to the graph for gradients, and a graph that "
        "is kept takes memory. Nothing is trained here: where is PyTorch told so?",
    ),
    Misconception(
        "ps3_predictive",
        "code drawn on the CPU",
        swapped(PREDICTIVE, (", device=device", "")),
        "Your `prior_predictive` draws its codes on the CPU, wherever the model is, and a "
        "decoder on a GPU cannot take them. No image comes in that you could ask: who else "
        "knows the device?",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "mean of the logarithms",
        "def log_mean_exp(values, dim):\n    return values.mean(dim=dim)\n",
        "You take the mean of the logarithms, in which one tiny probability can outweigh all "
        "others. Put the three steps of the name in order: which one comes first?",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "-log K missing",
        swapped(LOG_MEAN_EXP, (" - math.log(values.shape[dim])", "")),
        "You have the logarithm of a sum: for equal values it grows with their number, and a mean "
        "would not. What is still to be done, inside the logarithm or outside?",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "exponentials that overflow",
        swapped(
            LOG_MEAN_EXP,
            (
                "torch.logsumexp(values, dim=dim) - math.log(values.shape[dim])",
                "torch.log(torch.exp(values).mean(dim=dim))",
            ),
        ),
        "On paper your formula is right. In single precision the exponentials of large values are "
        "infinite and those of very negative ones are 0, and no logarithm brings them back. Hint 1 "
        "shows a way around them.",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "size of the first dimension",
        swapped(LOG_MEAN_EXP, ("values.shape[dim]", "len(values)")),
        "Along the first dimension your result is right, along the others it is off by a constant. "
        "You always count the rows: of which dimension do you want the size?",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "logarithm missing",
        swapped(
            LOG_MEAN_EXP, ("    return ", "    return torch.exp("), ("shape[dim])", "shape[dim]))")
        ),
        "You give the mean itself. In single precision it is 0 or infinite wherever it matters: "
        "see the first word of the function's name.",
    ),
    Misconception(
        "ps3_log_mean_exp",
        "log K added",
        swapped(LOG_MEAN_EXP, (" - math", " + math")),
        "Yours grows with the number of values even where they are all equal. A mean divides by "
        "that number: what does a division become outside of a logarithm?",
    ),
    Misconception(
        "ps3_bound",
        "closed form of the KL in the weights",
        swapped(BOUND, (RATIO, "log_x - gaussian_kl_from_std(mu, std)")),
        "The closed form of the divergence stands in your weights. It is a mean over all z, and a "
        "weight belongs to one: look at which densities the text divides by one another, and at "
        "which z.",
    ),
    Misconception(
        "ps3_bound",
        "prior and proposal swapped",
        swapped(BOUND, (RATIO, "log_x - log_prior + log_q")),
        "The prior and the proposal have each other's signs in your weights. Look at the fraction "
        "in the text: which of them stands below the line?",
    ),
    Misconception(
        "ps3_bound",
        "one z for all weights of an image",
        swapped(
            BOUND,
            (
                "torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)",
                "torch.randn(mu.shape, generator=generator, device=mu.device)",
            ),
            ("z = mu + std * noise", "z = (mu + std * noise).expand(num_samples, -1, -1)"),
        ),
        "Each image gets one z, which serves for all of its weights: they are equal, and a larger "
        "K wins nothing. Look at the shape in which the noise is drawn.",
    ),
    Misconception(
        "ps3_bound",
        "images in another order than codes",
        swapped(
            BOUND,
            (
                "x.flatten(1).repeat(num_samples, 1)",
                "x.flatten(1).repeat_interleave(num_samples, dim=0)",
            ),
        ),
        "Your images and your codes stand in different orders, so pixels are judged by logits of "
        "another image. Write down for a small K which image each of the first rows belongs to, on "
        "both sides.",
    ),
    Misconception(
        "ps3_bound",
        "proposal with std squared",
        swapped(BOUND, ("Normal(mu, std)", "Normal(mu, std**2)")),
        "The density of the proposal is taken with the square of `std`, though z was drawn with "
        "`std` itself. See what the second argument of `Normal` means.",
    ),
    Misconception(
        "ps3_bound",
        "weights instead of their logarithms",
        swapped(BOUND, (f"return {RATIO}", f"return torch.exp({RATIO})")),
        "You return the weights themselves, which for real images are too small for a number of "
        "single precision. Their logarithms are asked for: what does your last step do to them?",
    ),
    Misconception(
        "ps3_bound",
        "noise made on the CPU",
        swapped(BOUND, (", device=mu.device", "")),
        "Your noise is made on the CPU, wherever the model is, and on a GPU it cannot be "
        "multiplied by `std`. See what the function that draws is told, and what it has to "
        "guess.",
    ),
    Misconception(
        "ps3_bound",
        "mean of log w",
        swapped(BOUND, (AVERAGE, "log_weights.mean(dim=0)")),
        "Your bound is the mean of log w. That is the ELBO again, however many weights there are: "
        "ask what comes first, the mean or the logarithm.",
    ),
    Misconception(
        "ps3_bound",
        "-log K missing",
        swapped(BOUND, (AVERAGE, "torch.logsumexp(log_weights, dim=0)")),
        "Your bound is the logarithm of the weights' sum: it grows with K even where all weights "
        "are equal. A mean is meant.",
    ),
    Misconception(
        "ps3_bound",
        "mean over the images",
        swapped(BOUND, (AVERAGE, "log_mean_exp(log_weights, 1)")),
        "Your bound mixes the images and keeps the samples apart. Look at the shape of "
        "`log_weights` in the docstring: which dimension counts what?",
    ),
)

NOT_SEEN: dict[str, str] = {
    "prior predictive uses posterior means": (
        "`prior_predictive` gets a number and no images, so there is no posterior to take a mean "
        "of; its like is seen at `posterior_predictive`."
    ),
    "the bound plotted as a cost": (
        "The curves are drawn by given code; the same slip is seen in the history that it draws."
    ),
    "uint8 images as input": "The notebook's loader gives floats, and no exercise is given bytes.",
    "nats of different binarisations compared": (
        "It is said in words, in an answer that a person reads (ps3_q_binarisation)."
    ),
}
"""What the catalogue of mistakes has and `KNOWN` has not, and why."""

EQUIVALENT: dict[str, str] = {
    (
        "ps3_mlp: - for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):; + "
        "for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=False):"
    ): ("Both slices have the same length."),
    (
        "ps3_mlp: - for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):; + "
        "for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):"
    ): ("Both slices have the same length."),
    (
        "ps3_model: - return (self.decode(mu + std * noise), mu, std); + return "
        "(self.decode(mu - std * noise), mu, std)"
    ): ("Noise is as likely to be negative as positive."),
    (
        "ps3_model: - noise = torch.randn(mu.shape, generator=generator, "
        "device=mu.device, dtype=mu.dtype); + noise = torch.randn(mu.shape, "
        "generator=generator, device=mu.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
}
"""Mutants of the right answer that change nothing, and why."""
