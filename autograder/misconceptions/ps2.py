"""ps2, the variational autoencoder and beta: the wrong answers that students are known to give."""

from autograder.misconceptions import Misconception, swapped

KL = """
def gaussian_kl(mu, log_var):
    var = log_var.exp()
    per_dim = 0.5 * (mu**2 + var - 1 - log_var)
    return per_dim.sum(dim=-1)
"""
MONTE_CARLO = """
def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):
    std = (0.5 * log_var).exp()
    noise = torch.randn(num_samples, *mu.shape, generator=generator, device=mu.device)
    z = mu + std * noise
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    log_p = Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
"""
REPARAMETERIZE = """
def reparameterize(mu, log_var, generator=None):
    std = torch.exp(0.5 * log_var)
    noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return mu + std * noise
"""
ELBO = """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    log_density = Normal(x_hat, torch.ones_like(x_hat)).log_prob(x)
    nll = -log_density.flatten(1).sum(1)
    kl = gaussian_kl(mu, log_var)
    loss = nll + beta * kl
    return {"loss": loss, "nll": nll, "kl": kl}
"""
BOUND = """
def evidence_bound(x, x_hat, mu, log_var, noise_var=1.0):
    likelihood = Normal(x_hat, math.sqrt(noise_var))
    posterior = Normal(mu, (0.5 * log_var).exp())
    prior = Normal(torch.zeros_like(mu), 1.0)
    explained = likelihood.log_prob(x).flatten(1).sum(dim=1)
    return explained - kl_divergence(posterior, prior).sum(dim=1)
"""
MODEL = """
class VAE(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(2 * latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x):
        out = self.encoder(x)
        mu, log_var = out.chunk(2, dim=1)
        return mu, log_var

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, generator=None):
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, generator)
        return self.decode(z), mu, log_var

    def reconstruct(self, x):
        training = self.training
        self.eval()
        with torch.no_grad():
            mu, log_var = self.encode(x)
            x_hat = self.decode(mu)
        self.train(training)
        return x_hat

    def sample(self, num_samples, generator=None):
        training = self.training
        self.eval()
        device = next(self.parameters()).device
        with torch.no_grad():
            z = torch.randn(num_samples, self.latent_dim, generator=generator, device=device)
            images = self.decode(z)
        self.train(training)
        return images
"""
TRAINING = """
def train_vae(model, train_loader, held_out_loader, optimizer, epochs, beta=1.0, warmup_epochs=0):
    full = partial(vae_terms, beta=beta)
    history = {"train": [], "held_out": [evaluate(model, held_out_loader, full)]}
    for epoch in range(epochs):
        if warmup_epochs == 0:
            weight = beta
        else:
            weight = beta * min(1, epoch / warmup_epochs)
        terms = partial(vae_terms, beta=weight)
        history["train"].append(train_epoch(model, train_loader, optimizer, terms))
        history["held_out"].append(evaluate(model, held_out_loader, full))
    return history
"""
EFFECTIVE_BETA = """
def effective_beta(kl_weight, num_pixels, reconstruction="squared_error"):
    if reconstruction == "squared_error":
        scale = num_pixels / 2
    elif reconstruction == "cross_entropy":
        scale = num_pixels
    else:
        raise ValueError(f"unknown reconstruction: {reconstruction}")
    return kl_weight * scale
"""
ACTIVE_UNITS = """
def active_units(mu, threshold=0.01):
    spread = mu.var(dim=0)
    return int((spread > threshold).sum())
"""
INTERPOLATE = """
def interpolate(z_start, z_end, num_frames):
    frames = []
    for i in range(num_frames):
        w = i / (num_frames - 1)
        frames.append((1 - w) * z_start + w * z_end)
    return torch.stack(frames)
"""

KNOWN: tuple[Misconception, ...] = (
    Misconception(
        "ps2_kl",
        "factor 1/2 missing",
        swapped(KL, ("0.5 * (mu**2 + var - 1 - log_var)", "mu**2 + var - 1 - log_var")),
        "Every part of your divergence is there, and all of it is too large by one and the same "
        "factor. Try a mean of 1 with a variance of 1, and compare with the facts in hint 1: a "
        "factor lost here is a wrong beta in everything that follows.",
    ),
    Misconception(
        "ps2_kl",
        "log_var taken for log std",
        swapped(KL, ("log_var.exp()", "(2 * log_var).exp()"), ("1 - log_var", "1 - 2 * log_var")),
        "Your formula reads `log_var` as the logarithm of a standard deviation. In this course it "
        "is the logarithm of a variance: follow it to every place where it comes in.",
    ),
    Misconception(
        "ps2_kl",
        "std where the variance belongs",
        swapped(KL, ("log_var.exp()", "(0.5 * log_var).exp()")),
        "Where the closed form has the variance, yours has the standard deviation. Look at what "
        "you take the exponential of, and what `log_var` is the logarithm of.",
    ),
    Misconception(
        "ps2_kl",
        "sign of log_var",
        swapped(KL, ("- 1 - log_var", "- 1 + log_var")),
        "`log_var` comes in with the wrong sign, so that a posterior gets cheaper and cheaper the "
        "narrower it is. Go once more through the signs when you subtract the two expectations.",
    ),
    Misconception(
        "ps2_kl",
        "KL(p || q) instead of KL(q || p)",
        swapped(KL, ("mu**2 + var - 1 - log_var", "(mu**2 + 1) / var - 1 + log_var")),
        "You have the divergence the other way round, that of the prior from the posterior. The "
        "two directions are different numbers: under which of the two is the mean taken?",
    ),
    Misconception(
        "ps2_kl",
        "the -1 missing",
        swapped(KL, ("var - 1 - log_var", "var - log_var")),
        "A constant of the closed form is missing, once for every latent dimension. Try a "
        "posterior that is the prior itself: nothing should be left.",
    ),
    Misconception(
        "ps2_kl",
        "mu missing",
        swapped(KL, ("mu**2 + var", "var")),
        "Your divergence takes no notice of `mu`, so a posterior far from the prior costs no more "
        "than one in its middle. Which of the two expectations brings the mean in?",
    ),
    Misconception(
        "ps2_kl",
        "mu not squared",
        swapped(KL, ("mu**2", "mu")),
        "The mean goes into your divergence as it is, so a negative one makes it smaller. The "
        "prior lies around zero: can it matter on which side of it a posterior lies?",
    ),
    Misconception(
        "ps2_kl",
        "mean over the latent dimensions",
        swapped(KL, (".sum(dim=-1)", ".mean(dim=-1)")),
        "The divergences of the latent dimensions are averaged here. Every dimension can give away "
        "something of its own: what does that say about how they combine?",
    ),
    Misconception(
        "ps2_kl",
        "sum over the batch",
        swapped(KL, (".sum(dim=-1)", ".sum(dim=0)")),
        "Your sum runs over the examples of the batch and keeps the latent dimensions apart. Look "
        "at the dimension that you reduce: examples are never to be mixed.",
    ),
    Misconception(
        "ps2_kl",
        "sum over everything",
        swapped(KL, (".sum(dim=-1)", ".sum()")),
        "Everything is added up, over the latent dimensions and over the batch. Each example "
        "should keep a divergence of its own: which dimensions belong to one example?",
    ),
    Misconception(
        "ps2_kl",
        "mean over the batch",
        swapped(KL, (".sum(dim=-1)", ".sum(dim=-1).mean()")),
        "The mean over the batch is taken here already. In this course it comes at the very end, "
        "so that until then each example has a number of its own.",
    ),
    Misconception(
        "ps2_kl",
        "sign of everything",
        swapped(KL, ("0.5 * (", "-0.5 * (")),
        "Your result is minus the divergence, and a divergence is never negative. Papers often "
        "print the formula of -KL, for the bound: check which of the two you have.",
    ),
    Misconception(
        "ps2_kl",
        "dimension 1 for the last one",
        swapped(KL, (".sum(dim=-1)", ".sum(dim=1)")),
        "Your sum runs over dimension 1, which is that of the latents only as long as the input "
        "has two dimensions. The docstring allows any number of them in front.",
    ),
    Misconception(
        "ps2_kl",
        "logarithm of a product of variances",
        swapped(
            KL,
            ("    per_dim = 0.5 * (mu**2 + var - 1 - log_var)\n", ""),
            (
                "per_dim.sum(dim=-1)",
                "0.5 * ((mu**2 + var - 1).sum(dim=-1) - var.prod(dim=-1).log())",
            ),
        ),
        "The variances seem to be multiplied before a logarithm is taken. Such a product soon "
        "leaves the range of floating-point numbers, with tiny or huge variances or many "
        "dimensions: what were you given to begin with?",
    ),
    Misconception(
        "ps2_kl",
        "exponential forgotten",
        swapped(KL, ("var = log_var.exp()", "var = log_var")),
        "Where the closed form has a variance, yours has its logarithm: `log_var` goes in as it "
        "came, and cancels against the other place where it stands. What has to happen to it in "
        "one of them?",
    ),
    Misconception(
        "ps2_kl",
        "log_var taken for the standard deviation",
        swapped(
            KL,
            ("log_var.exp()", "log_var**2"),
            ("- 1 - log_var", "- 1 - var.log()"),
        ),
        "You read `log_var` as a standard deviation and square it for the variance. It may well be "
        "negative, which no spread is: say its name aloud, and what undoes what was done to the "
        "variance.",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "closed form instead of draws",
        "def gaussian_kl_monte_carlo(mu, log_var, num_samples, generator=None):\n"
        "    return gaussian_kl(mu, log_var)\n",
        "Nothing in your estimate is random: it is the closed form over again, and shares every "
        "mistake with it. What is wanted here are draws of `z`, and what they say on average.",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "log p minus log q",
        swapped(MONTE_CARLO, ("log_q - log_p", "log_p - log_q")),
        "The two log-densities are subtracted the wrong way round. Ask which of them is larger, on "
        "average, at a `z` that was drawn from q.",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "variance as a standard deviation",
        swapped(MONTE_CARLO, ("(0.5 * log_var).exp()", "log_var.exp()")),
        "Your q is another Gaussian than the one that `mu` and `log_var` describe: it has the "
        "variance for a standard deviation. Find the line that leads from `log_var` to a spread.",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "mean over the latent dimensions",
        swapped(MONTE_CARLO, (".sum(-1)", ".mean(-1)")),
        "The log-densities are averaged over the latent dimensions as well. Draws are many tries "
        "of one thing; are dimensions?",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "one noise for the whole batch",
        swapped(MONTE_CARLO, ("*mu.shape", "1, mu.shape[-1]")),
        "In every draw all examples get the same noise, so their errors rise and fall together. "
        "Look at the shape in which the noise is drawn.",
    ),
    Misconception(
        "ps2_kl_monte_carlo",
        "noise made on the CPU",
        swapped(MONTE_CARLO, (", device=mu.device", "")),
        "Your draws are made on the CPU, and `mu` may be on a GPU: there the estimate stops. Look "
        "at the line that draws, and ask where a new tensor lives unless it is told.",
    ),
    Misconception(
        "ps2_reparameterize",
        "exponential forgotten",
        swapped(REPARAMETERIZE, ("torch.exp(0.5 * log_var)", "log_var")),
        "Your noise is multiplied with `log_var` itself, as if that were the spread. It is a "
        "logarithm, and may well be negative: what has to happen to it first?",
    ),
    Misconception(  # that is exp(log_var) without its half, and a sigma that is squared again
        "ps2_reparameterize",
        "variance as a standard deviation",
        swapped(REPARAMETERIZE, ("torch.exp(0.5 * log_var)", "torch.exp(log_var)")),
        "Your noise is multiplied with the variance where a standard deviation belongs. For a "
        "variance of 1 they are the same, so this is easily missed: try one that is far from it.",
    ),
    Misconception(
        "ps2_reparameterize",
        "one noise for the whole batch",
        swapped(REPARAMETERIZE, ("mu.shape,", "mu.shape[-1:],")),
        "Every example in the batch gets the same noise: look at the shape in which it is drawn.",
    ),
    Misconception(
        "ps2_reparameterize",
        "one noise for all dimensions",
        swapped(REPARAMETERIZE, ("torch.randn(mu.shape,", "torch.randn(*mu.shape[:-1], 1,")),
        "One random number serves all dimensions of a code, so that they rise and fall together. "
        "Look at the shape in which the noise is drawn.",
    ),
    Misconception(
        "ps2_reparameterize",
        "uniform noise",
        swapped(REPARAMETERIZE, ("torch.randn", "torch.rand")),
        "Your noise is never negative, so `z` always lies on one side of `mu`. From which "
        "distribution is it drawn? In PyTorch two names differ by a single letter.",
    ),
    Misconception(
        "ps2_reparameterize",
        "sample() of a distribution",
        "def reparameterize(mu, log_var, generator=None):\n"
        "    return Normal(mu, torch.exp(0.5 * log_var)).sample()\n",
        "Your `z` lets no gradient back to `mu` and `log_var`, and takes no notice of `generator`. "
        "So it is with a draw made in one go, such as that of `sample()`: keep apart what is "
        "random and what is arithmetic.",
    ),
    Misconception(  # detach and no_grad alike
        "ps2_reparameterize",
        "z cut off from mu and log_var",
        swapped(REPARAMETERIZE, ("mu + std * noise", "(mu + std * noise).detach()")),
        "The numbers are right, and yet `z` is cut off from `mu` and `log_var`. An encoder behind "
        "it would learn nothing from its pictures, which is what the trick is there to prevent.",
    ),
    Misconception(
        "ps2_reparameterize",
        "seed set inside",
        swapped(REPARAMETERIZE, ("    noise =", "    torch.manual_seed(0)\n    noise =")),
        "Without a `generator`, every call uses the very same noise, as if a seed were set inside. "
        "Training would see one and the same draw for ever: seeds are for the caller to set.",
    ),
    Misconception(
        "ps2_reparameterize",
        "generator not handed on",
        swapped(
            REPARAMETERIZE,
            (
                "torch.randn(mu.shape, generator=generator, device=mu.device)",
                "torch.randn_like(mu)",
            ),
        ),
        "The noise does not come from the `generator` that was handed in, so nobody can repeat a "
        "draw. Not every function that draws takes one.",
    ),
    Misconception(
        "ps2_reparameterize",
        "half outside the exponential",
        swapped(REPARAMETERIZE, ("torch.exp(0.5 * log_var)", "0.5 * torch.exp(log_var)")),
        "Your noise is multiplied with half the variance. The half that makes a standard deviation "
        "of a variance is there, and in the wrong place: try a variance of 1, and then one of 16.",
    ),
    Misconception(
        "ps2_reparameterize",
        "torch.normal with mu and std",
        "def reparameterize(mu, log_var, generator=None):\n"
        "    return torch.normal(mu, torch.exp(0.5 * log_var), generator=generator)\n",
        "Your `z` has the right distribution, and no gradient goes back through it: a draw that is "
        "given `mu` and a spread knows no way back to them. Keep apart what is random and what is "
        "arithmetic.",
    ),
    Misconception(
        "ps2_reparameterize",
        "noise made on the CPU",
        swapped(REPARAMETERIZE, (", device=mu.device", "")),
        "Your noise is made on the CPU, wherever `mu` is: on a GPU the two cannot be added. Look "
        "at the line that draws, and ask where a new tensor lives unless it is told.",
    ),
    Misconception(
        "ps2_elbo",
        "mean over the pixels",
        swapped(ELBO, ("flatten(1).sum(1)", "flatten(1).mean(1)")),
        'Your "nll" is averaged over the pixels, while the divergence is a sum over dimensions. '
        "That hides a much larger beta: what do the log-densities of independent pixels do?",
    ),
    Misconception(
        "ps2_elbo",
        "constant of the Gaussian missing",
        swapped(
            ELBO,
            ("    log_density = Normal(x_hat, torch.ones_like(x_hat)).log_prob(x)\n", ""),
            ("-log_density.flatten(1).sum(1)", "0.5 * ((x - x_hat) ** 2).flatten(1).sum(1)"),
        ),
        'Your "nll" is 0 for a perfect image: it is made of squared errors alone, and is not yet '
        "a log-density. Without the rest it cannot be compared with other models.",
    ),
    Misconception(
        "ps2_elbo",
        "mu and log_var swapped",
        swapped(ELBO, ("gaussian_kl(mu, log_var)", "gaussian_kl(log_var, mu)")),
        "In your divergence `mu` and `log_var` have changed places. Compare the order in which you "
        "pass them on with the order in which they are expected.",
    ),
    Misconception(
        "ps2_elbo",
        "KL reported with its weight",
        swapped(
            ELBO,
            ("kl = gaussian_kl(mu, log_var)", "kl = beta * gaussian_kl(mu, log_var)"),
            ("nll + beta * kl", "nll + kl"),
        ),
        'Your loss is right, but `beta` also stands in what is reported as "kl". Runs with '
        "different betas could not be compared by it: read again what that entry should hold.",
    ),
    Misconception(
        "ps2_elbo",
        "beta applied twice",
        swapped(ELBO, ("kl = gaussian_kl(mu, log_var)", "kl = beta * gaussian_kl(mu, log_var)")),
        '`beta` comes in twice: in "kl", which should know nothing of it, and once more in the '
        "loss. With a beta of 1 nothing shows, so try another one.",
    ),
    Misconception(
        "ps2_elbo",
        "KL subtracted",
        swapped(ELBO, ("nll + beta * kl", "nll - beta * kl")),
        "In your loss the divergence has the sign that it has in the bound. A bound is raised and "
        "a loss is lowered: what becomes of both terms on the way?",
    ),
    Misconception(
        "ps2_elbo",
        "beta on the likelihood",
        swapped(ELBO, ("nll + beta * kl", "beta * nll + kl")),
        "In your loss `beta` weighs the reconstruction and leaves the divergence alone. A large "
        "beta then does the opposite of what it is meant for: whose weight is it?",
    ),
    Misconception(
        "ps2_elbo",
        "beta ignored",
        swapped(ELBO, ("nll + beta * kl", "nll + kl")),
        "Your loss takes no notice of `beta`, so every experiment would train the plain bound. "
        "Where should the argument come in?",
    ),
    Misconception(
        "ps2_elbo",
        "loss averaged over the batch",
        swapped(ELBO, ("nll + beta * kl", "(nll + beta * kl).mean()")),
        'Your "loss" is averaged over the batch already. Here every image keeps its own; the mean '
        "is taken at the very end, where the optimiser takes its step.",
    ),
    Misconception(
        "ps2_elbo",
        "mean squared error",
        swapped(
            ELBO,
            ("    log_density = Normal(x_hat, torch.ones_like(x_hat)).log_prob(x)\n", ""),
            ("-log_density.flatten(1).sum(1)", "((x - x_hat) ** 2).flatten(1).mean(1)"),
        ),
        'Your "nll" is the mean squared error of an image. That is no log-density: beside a '
        "divergence in nats it weighs hundreds of times too little. Write down the density of one "
        "pixel, then of all.",
    ),
    Misconception(
        "ps2_elbo",
        "whole squared error",
        swapped(
            ELBO,
            ("    log_density = Normal(x_hat, torch.ones_like(x_hat)).log_prob(x)\n", ""),
            ("-log_density.flatten(1).sum(1)", "((x - x_hat) ** 2).flatten(1).sum(1)"),
        ),
        'Your "nll" is the whole squared error. Write down the density of a Gaussian and take its '
        "logarithm: something stands before the square, and something beside it.",
    ),
    Misconception(
        "ps2_fault",
        "mean over the pixels",
        swapped(BOUND, ("flatten(1).sum(dim=1)", "flatten(1).mean(dim=1)")),
        "The log-density of an image is averaged over its pixels, so a larger image is no harder "
        "to explain than a small one. What do the log-densities of independent pixels do?",
    ),
    Misconception(
        "ps2_fault",
        "noise variance taken for a standard deviation",
        swapped(BOUND, ("math.sqrt(noise_var)", "noise_var")),
        "`noise_var` goes into the likelihood as if it were a standard deviation. At 1 the two are "
        "the same, which is why the author's own test saw nothing.",
    ),
    Misconception(
        "ps2_fault",
        "KL added",
        swapped(BOUND, ("explained - kl", "explained + kl")),
        "The divergence comes into your bound with the wrong sign, and can lift it above the "
        "truth. What should giving much away do to a bound?",
    ),
    Misconception(
        "ps2_fault",
        "log_var taken for log std",
        swapped(BOUND, ("(0.5 * log_var).exp()", "log_var.exp()")),
        "Your posterior has the wrong spread wherever its variance is not 1, for `log_var` is read "
        "as the logarithm of a standard deviation. Compare what it holds with what `Normal` takes.",
    ),
    Misconception(
        "ps2_fault",
        "noise variance ignored",
        swapped(BOUND, ("math.sqrt(noise_var)", "1.0")),
        "Whatever `noise_var` is, your bound stays the same: the likelihood has its variance "
        "fixed. Hold the signature against the body, argument by argument.",
    ),
    Misconception(
        "ps2_model",
        "encoder gives latent_dim numbers",
        swapped(MODEL, ("Encoder(2 * latent_dim)", "Encoder(latent_dim)")),
        "Your encoder gives `latent_dim` numbers in all, and `mu` and `log_var` have to share "
        "them. How many numbers must it say about one image?",
    ),
    Misconception(
        "ps2_model",
        "split along the batch",
        swapped(MODEL, ("chunk(2, dim=1)", "chunk(2)")),
        "The encoder's output is parted between images and not within each of them: some images "
        "become `mu`, the others `log_var`. Along which dimension do you split?",
    ),
    Misconception(
        "ps2_model",
        "one output for mu and log_var",
        swapped(
            MODEL,
            ("Encoder(2 * latent_dim)", "Encoder(latent_dim)"),
            ("out.chunk(2, dim=1)", "out, out"),
        ),
        "`mu` and `log_var` are read off the same outputs of the encoder. An image could then not "
        "say where its code lies without also saying how widely: each needs outputs of its own.",
    ),
    Misconception(
        "ps2_model",
        "ReLU on log_var",
        swapped(MODEL, ("return mu, log_var", "return mu, F.relu(log_var)")),
        "Your `log_var` never falls below zero, so no posterior can be narrower than the prior. A "
        "variance cannot be negative, but this is its logarithm: what stands after the encoder?",
    ),
    Misconception(
        "ps2_model",
        "log_var clamped",
        swapped(MODEL, ("return mu, log_var", "return mu, log_var.clamp(-10, 10)")),
        "Your `log_var` is held between two bounds. Beyond them its gradient is zero, so an "
        "encoder that strays there is never called back: does anything have to limit it?",
    ),
    Misconception(
        "ps2_model",
        "mu and log_var swapped in the draw",
        swapped(MODEL, ("reparameterize(mu, log_var,", "reparameterize(log_var, mu,")),
        "In `forward`, `mu` and `log_var` change places on their way into the draw: the one acts "
        "as the other. Compare the order in which you pass them on with the one expected.",
    ),
    Misconception(
        "ps2_model",
        "no draw in evaluation mode",
        swapped(
            MODEL,
            ("generator)\n        return", "generator) if self.training else mu\n        return"),
        ),
        "In evaluation mode your `forward` decodes the mean. Held-out images would be measured by "
        "another yardstick than training images; for pictures without noise there is a method of "
        "its own.",
    ),
    Misconception(
        "ps2_model",
        "seed set in forward",
        swapped(MODEL, ("        z = rep", "        torch.manual_seed(0)\n        z = rep")),
        "Without a `generator`, every forward pass uses the very same noise, as if a seed were set "
        "inside. The decoder would see one draw for ever: seeds are for the caller to set.",
    ),
    Misconception(
        "ps2_model",
        "noise is a parameter",
        swapped(
            MODEL,
            (
                "Decoder(latent_dim)\n",
                "Decoder(latent_dim)\n        self.noise = nn.Parameter(torch.randn(latent_dim))\n",
            ),
            (
                "reparameterize(mu, log_var, generator)",
                "mu + torch.exp(0.5 * log_var) * self.noise",
            ),
        ),
        "Your noise is one of the model's parameters: the same for every image and every pass, and "
        "training would even learn it. Noise comes from outside the model, new each time.",
    ),
    Misconception(
        "ps2_model",
        "reconstruct decodes a draw",
        swapped(
            MODEL,
            (
                "            mu, log_var = self.encode(x)\n            x_hat = self.decode(mu)",
                "            x_hat, mu, log_var = self(x)",
            ),
        ),
        "Your `reconstruct` decodes a draw from the posterior, so the same image comes out "
        "differently each time. Which of its codes needs no noise?",
    ),
    Misconception(
        "ps2_model",
        "mode not restored",
        swapped(MODEL, ("        self.train(training)\n", "")),
        "Your `reconstruct` or your `sample` switches to evaluation mode and leaves it at that: "
        "look at both. A training loop that goes on afterwards would train in the wrong mode.",
    ),
    Misconception(
        "ps2_model",
        "sample decodes the prior's mean",
        swapped(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator, device=device)",
                "torch.zeros(num_samples, self.latent_dim, device=device)",
            ),
        ),
        "Your `sample` decodes the middle of the prior again and again. New images come from codes "
        "that are drawn from the prior, with all its spread.",
    ),
    Misconception(
        "ps2_model",
        "draw without a way back",
        swapped(
            MODEL,
            (
                "reparameterize(mu, log_var, generator)",
                "torch.normal(mu, (0.5 * log_var).exp(), generator=generator)",
            ),
        ),
        "Your `forward` draws a code that has no way back to `mu` and `log_var`, so the encoder "
        "learns nothing from the images that are decoded. You have written a function for just "
        "this step.",
    ),
    Misconception(
        "ps2_model",
        "codes drawn on the CPU",
        swapped(MODEL, ("generator=generator, device=device", "generator=generator")),
        "Your `sample` draws its codes on the CPU, wherever the model is: on a GPU the decoder "
        "stops. No image comes in that could tell the device, so what else of the model knows it?",
    ),
    Misconception(
        "ps2_training",
        "beta not handed to the training",
        swapped(TRAINING, ("optimizer, terms", "optimizer, vae_terms")),
        "Your epochs train with a weight of 1, whatever `beta` and `warmup_epochs` say. Follow "
        "the weight from where it is made to the function that `train_epoch` is given.",
    ),
    Misconception(
        "ps2_training",
        "warm-up one epoch early",
        swapped(TRAINING, ("epoch / warmup_epochs", "(epoch + 1) / warmup_epochs")),
        "Your warm-up is one epoch ahead of its time: it does not begin at nothing, and arrives "
        "an epoch too soon. Write down the weights that you expect for a short one.",
    ),
    Misconception(
        "ps2_training",
        "warm-up over all epochs",
        swapped(TRAINING, ("epoch / warmup_epochs", "epoch / epochs")),
        "Your warm-up is stretched over the whole of training, so the weight never arrives at "
        "`beta`. Over how many epochs is it to grow?",
    ),
    Misconception(
        "ps2_training",
        "warm-up counted in batches",
        swapped(
            TRAINING,
            ("    for epoch in", "    step = 0\n    for epoch in"),
            (
                """
        if warmup_epochs == 0:
            weight = beta
        else:
            weight = beta * min(1, epoch / warmup_epochs)
        terms = partial(vae_terms, beta=weight)
""",
                """
        def terms(model, x):
            nonlocal step
            weight = beta * min(1, step / warmup_epochs) if warmup_epochs else beta
            step += 1
            return vae_terms(model, x, weight)

""",
            ),
        ),
        "The weight of the divergence grows from batch to batch, so your warm-up is over after a "
        "handful of them. In which unit is `warmup_epochs` given?",
    ),
    Misconception(
        "ps2_training",
        "held-out images at the weight of the epoch",
        swapped(TRAINING, ("held_out_loader, full))", "held_out_loader, terms))")),
        "During the warm-up your held-out images are measured with the weight of the epoch. Their "
        "curve then shows a loss that changes its meaning from one point to the next.",
    ),
    Misconception(
        "ps2_effective_beta",
        "factor 1/2 of the Gaussian missing",
        swapped(EFFECTIVE_BETA, ("num_pixels / 2", "num_pixels")),
        "A sum of squares is taken for the negative log-likelihood of a Gaussian, and something "
        "stands before it there. Write that likelihood down for a single pixel.",
    ),
    Misconception(
        "ps2_effective_beta",
        "cross-entropy halved too",
        swapped(EFFECTIVE_BETA, ("= num_pixels\n", "= num_pixels / 2\n")),
        "You treat the cross-entropy like the squared error. One of the two steps to a negative "
        "log-likelihood is not needed for it: what is a cross-entropy already?",
    ),
    Misconception(
        "ps2_effective_beta",
        "divided by the scale",
        swapped(EFFECTIVE_BETA, ("kl_weight * scale", "kl_weight / scale")),
        "Your scale works the wrong way: the more pixels the mean was taken over, the smaller your "
        "beta. Do it on paper for the whole loss, and watch what happens to the KL.",
    ),
    Misconception(
        "ps2_effective_beta",
        "number of pixels forgotten",
        swapped(EFFECTIVE_BETA, ("num_pixels / 2", "1 / 2"), ("= num_pixels\n", "= 1.0\n")),
        "Your beta is the same whatever the number of pixels. A mean hides that number: what makes "
        "a sum of it, and what then happens to the weight of the KL?",
    ),
    Misconception(
        "ps2_effective_beta",
        "784 written in",
        swapped(EFFECTIVE_BETA, ("num_pixels / 2", "784 / 2"), ("= num_pixels\n", "= 784.0\n")),
        "One size of image is written into your function, so that for any other its answer is "
        "wrong. Look for a number that came in as an argument.",
    ),
    Misconception(
        "ps2_active_units",
        "standard deviation compared",
        swapped(ACTIVE_UNITS, ("mu.var", "mu.std")),
        "You compare a standard deviation with the threshold, which is meant for a variance. Units "
        "that hardly whisper then pass for active.",
    ),
    Misconception(
        "ps2_active_units",
        "variance over the latent dimensions",
        swapped(ACTIVE_UNITS, ("dim=0", "dim=1")),
        "Your variance runs over the latent dimensions of each image. The question is which "
        "dimensions move from image to image: look at the dimension that you reduce.",
    ),
    Misconception(
        "ps2_active_units",
        "second moment for the variance",
        swapped(ACTIVE_UNITS, ("mu.var(dim=0)", "(mu**2).mean(dim=0)")),
        "A dimension counts here as soon as its means lie far from zero, even if they are the same "
        "for all images. Such a dimension shouts, and says nothing.",
    ),
    Misconception(
        "ps2_active_units",
        "size of the mean for its variance",
        swapped(ACTIVE_UNITS, ("mu.var(dim=0)", "mu.mean(dim=0).abs()")),
        "You look at where the means of a dimension lie, and not at how far they move. One that is "
        "large and the same for all images says nothing about any of them.",
    ),
    Misconception(
        "ps2_active_units",
        "silent ones counted",
        swapped(ACTIVE_UNITS, ("spread > threshold", "spread < threshold")),
        "Your count is of the dimensions that hardly move. Which side of the threshold is it that "
        "speaks?",
    ),
    Misconception(
        "ps2_interpolate",
        "end left out",
        swapped(INTERPOLATE, ("i / (num_frames - 1)", "i / num_frames")),
        "Your line stops one step short of `z_end`. How many steps lie between the first frame and "
        "the last?",
    ),
    Misconception(
        "ps2_interpolate",
        "one frame too many",
        swapped(
            INTERPOLATE,
            ("range(num_frames)", "range(num_frames + 1)"),
            ("i / (num_frames - 1)", "i / num_frames"),
        ),
        "Both ends are there, but you return one code more than was asked for. `num_frames` counts "
        "the codes, and not the steps between them.",
    ),
    Misconception(
        "ps2_interpolate",
        "from the end to the start",
        swapped(INTERPOLATE, ("(1 - w) * z_start + w * z_end", "w * z_start + (1 - w) * z_end")),
        "Your two weights have changed places. How much of `z_start` should there be in the first "
        "frame, and how much of `z_end`?",
    ),
    Misconception(
        "ps2_interpolate",
        "weights made on the CPU",
        """
def interpolate(z_start, z_end, num_frames):
    w = torch.linspace(0, 1, num_frames).unsqueeze(1)
    return (1 - w) * z_start + w * z_end
""",
        "Your weights are made on the CPU, and codes may be on a GPU: there the two cannot be "
        "multiplied. Ask where a new tensor lives unless it is told.",
    ),
)

NOT_SEEN: dict[str, str] = {
    "noise that requires a gradient of its own": (
        "Drawn afresh at each call it changes neither `z` nor a gradient that is asked for; noise "
        "that is kept and learnt is known, in ps2_model."
    ),
}

EQUIVALENT: dict[str, str] = {
    (
        "ps2_kl_monte_carlo: - noise = torch.randn((num_samples, *mu.shape), "
        "generator=generator, device=mu.device, dtype=mu.dtype); + noise = "
        "torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
    (
        "ps2_reparameterize: - noise = torch.randn(mu.shape, generator=generator, "
        "device=mu.device, dtype=mu.dtype); + noise = torch.randn(mu.shape, "
        "generator=generator, device=mu.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
    (
        "ps2_reparameterize: - return mu + torch.exp(0.5 * log_var) * noise; + return mu "
        "- torch.exp(0.5 * log_var) * noise"
    ): ("Noise is as likely to be negative as positive."),
    ("ps2_model: - return (mu, log_var); + return (log_var, mu)"): (
        "Which half of the encoder's numbers is called what is for the model to learn."
    ),
    (
        "ps2_training: - warmth = min(1.0, epoch / warmup_epochs) if warmup_epochs > 0 "
        "else 1.0; + warmth = min(epoch / warmup_epochs, 1.0) if warmup_epochs > 0 else "
        "1.0"
    ): ("The smaller of two numbers is the same in either order."),
    (
        "ps2_active_units: - return int((mu.var(dim=0, correction=0) > "
        "threshold).sum()); + return int((mu.var(dim=0, correction=0) >= "
        "threshold).sum())"
    ): ("No variance of drawn codes is exactly the threshold."),
    (
        "ps2_active_units: - return int((mu.var(dim=0, correction=0) > "
        "threshold).sum()); + return int((mu.var(dim=0) > threshold).sum())"
    ): ("The docstring leaves either variance to the student."),
    (
        "ps2_active_units: - return int((mu.var(dim=0, correction=0) > "
        "threshold).sum()); + return int((mu.var(dim=0, correction=1) > threshold).sum())"
    ): ("The docstring leaves either variance to the student."),
    (
        "ps2_interpolate: - weights = torch.linspace(0, 1, num_frames, "
        "device=z_start.device, dtype=z_start.dtype); + weights = torch.linspace(0, 1, "
        "num_frames, device=z_start.device)"
    ): ("Drawn in single precision, and of the other tensor's type after the sum."),
}
"""Mutants of the right answer that change nothing, and why."""
