"""The checks of ps2: the reference and other right answers score in full, wrong ones lose points.

The wrong answers that students often write stand in `autograder.misconceptions.ps2`, and others
here; each names words of the message it gets.
"""

import pytest
import torch
from known import assert_named, mistakes, right, right_answers, wrong_answers

from autograder.checks.common import reaches_every_parameter
from autograder.misconceptions import swapped as swap
from autograder.student import Module
from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "kl": "vae_course.probability.gaussian_kl",
    "kl_monte_carlo": "vae_course.probability.gaussian_kl_monte_carlo",
    "reparameterize": "vae_course.probability.reparameterize",
    "elbo": "vae_course.probability.elbo_terms",
    "fault": "vae_course.vae.evidence_bound",
    "model": "vae_course.vae.VAE",
    "training": "vae_course.vae.train_vae",
    "effective_beta": "vae_course.probability.effective_beta",
    "active_units": "vae_course.probability.active_units",
    "interpolate": "vae_course.vae.interpolate",
}
SLOW = {"model"}
"""Their checks take about a second."""


KL = "def gaussian_kl(mu, log_var):\n    return "
MC = right("ps2_kl_monte_carlo", "all draws at once")
REPARAM = right("ps2_reparameterize", "noise of mu's shape and type")
ELBO = right("ps2_elbo", "Normal of variance one")
BOUND = right("ps2_fault", "written out")
MODEL = right("ps2_model", "two slices")
TRAINING = right("ps2_training", "lambdas, the weight from a condition")
OWN_LOOP = right("ps2_training", "its own loop over batches")
BETA = right("ps2_effective_beta", "if and elif")
UNITS = "def active_units(mu, threshold=0.01):\n    return "
LINE = right("ps2_interpolate", "a comprehension")
STARTER = next(e.body for e in load_assignment("ps2").exercises if e.id == "ps2_fault")
MENDED = {
    "pixels": (".mean(dim=1)", ".sum(dim=1)"),
    "noise": ("Normal(x_hat, noise_var)", "Normal(x_hat, math.sqrt(noise_var))"),
    "sign": ("explained + kl", "explained - kl"),
    "spread": ("log_var.exp())", "(log_var / 2).exp())"),
}
"""What each of the starter's four faults is mended by."""

WRONG = [
    # the divergence
    (
        "kl",
        "unreduced",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var)",
        "still has to be reduced",
    ),
    (
        "kl",
        "keepdim",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1, keepdim=True)",
        "shape (3, 1)",
    ),
    (
        "kl",
        "clamped",
        KL + "0.5 * (mu**2 + log_var.clamp(-10, 10).exp() - 1 - log_var.clamp(-10, 10)).sum(-1)",
        "variances",
    ),
    (
        "kl",
        "detached",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).detach()",
        "No gradient reaches `mu`",
    ),
    (
        "kl",
        "mu detached",
        KL + "0.5 * (mu.detach()**2 + log_var.exp() - 1 - log_var).sum(-1)",
        "No gradient reaches `mu`",
    ),
    (
        "kl",
        "floats",
        KL + "[float(v) for v in 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)]",
        "a list of 3",
    ),
    ("kl", "abs", KL + "0.5 * (mu.abs() + log_var.exp() - 1 - log_var).sum(-1)", "what `mu` does"),
    ("kl", "returns nothing", "def gaussian_kl(mu, log_var):\n    0.5 * mu", "return"),
    ("kl", "crashes", KL + "mu @ log_var", "RuntimeError"),
    (
        "kl",
        "a prior made on the CPU",
        KL + "kl_divergence(Normal(mu, (log_var / 2).exp()), "
        "Normal(torch.zeros(mu.shape), torch.ones(mu.shape))).sum(-1)",
        "On a GPU",
    ),
    (
        "kl",
        "in place",
        KL + "0.5 * (log_var.exp() - 1 - log_var + mu.mul_(mu)).sum(-1)",
        "writes into a tensor",
    ),
    (
        "kl",
        "rows of a batch only",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).flatten(0, -2).sum(1)",
        "(2, 3, 5)",
    ),
    (
        "kl",
        "one and two leading dimensions only",
        KL + "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(2 if mu.ndim == 3 else 1)",
        "IndexError",
    ),
    # the estimate
    ("kl_monte_carlo", "sampled from p", swap(MC, ("z = mu + std * eps", "z = eps")), "on average"),
    ("kl_monte_carlo", "sum over samples", swap(MC, (".mean(0)", ".sum(0)")), "on average"),
    ("kl_monte_carlo", "mean over batch", swap(MC, (".mean(0)", ".mean(1)")), "shape"),
    (
        "kl_monte_carlo",
        "one sample",
        swap(MC, ("(num_samples, *mu.shape)", "(1, *mu.shape)")),
        "8 sample(s)",
    ),
    (
        "kl_monte_carlo",
        "one noise for all samples",
        swap(
            MC,
            (
                "torch.randn((num_samples, *mu.shape), generator=generator, device=mu.device)",
                "torch.randn(mu.shape, generator=generator).expand(num_samples, *mu.shape)",
            ),
        ),
        "scatters more",
    ),
    (
        "kl_monte_carlo",
        "one noise for all dimensions",
        swap(MC, ("*mu.shape)", "mu.shape[0], 1)")),
        "dimensions of a draw share",
    ),
    ("kl_monte_carlo", "uniform", swap(MC, ("torch.randn(", "torch.rand(")), "on average"),
    ("kl_monte_carlo", "no generator", swap(MC, (", generator=generator", "")), "generator"),
    (
        "kl_monte_carlo",
        "seeded",
        swap(MC, ("    std =", "    torch.manual_seed(0)\n    std =")),
        "every call",
    ),
    (
        "kl_monte_carlo",
        "in place",
        swap(MC, ("0.5 * log_var", "log_var.mul_(0.5)")),
        "writes into a tensor",
    ),
    (
        "kl_monte_carlo",
        "the size of the difference",
        swap(MC, ("(log_q - log_p).mean(0)", "(log_q - log_p).mean(0).abs()")),
        "below zero",
    ),
    (
        "kl_monte_carlo",
        "a second draw for the prior",
        swap(
            MC,
            (
                "    log_p =",
                "    z = mu + std * torch.randn(z.shape, generator=generator, device=mu.device)\n"
                "    log_p =",
            ),
        ),
        "At which draws are log q",
    ),
    (
        "kl_monte_carlo",
        "whole hundreds",
        swap(
            MC,
            (
                "    std",
                "    if num_samples > 100:\n        num_samples -= num_samples % 100\n    std",
            ),
        ),
        "From 191 sample(s)",
    ),
    (
        "kl_monte_carlo",
        "the generator asked for its seed",
        swap(
            MC,
            (
                "    std",
                "    if generator is not None:\n"
                "        generator = torch.Generator("
                "mu.device).manual_seed(generator.initial_seed())\n    std",
            ),
        ),
        "moves on",
    ),
    (
        "kl_monte_carlo",
        "a seed for everybody after",
        swap(MC, ("    return", "    torch.manual_seed(1)\n    return")),
        "next random numbers are always the same",
    ),
    # the trick
    (
        "reparameterize",
        "variance squared",
        swap(REPARAM, ("(0.5 * log_var).exp()", "log_var.exp() ** 2")),
        "standard deviation of `z`",
    ),
    (
        "reparameterize",
        "uniform, scaled",
        swap(
            REPARAM,
            (
                "torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)",
                "(torch.rand(mu.shape, generator=generator) - 0.5) * 12 ** 0.5",
            ),
        ),
        "normal distribution",
    ),
    (
        "reparameterize",
        "spread detached",
        swap(REPARAM, ("std * eps", "std.detach() * eps")),
        "No gradient reaches `log_var`",
    ),
    (
        "reparameterize",
        "mean only",
        "def reparameterize(mu, log_var, generator=None):\n    return mu",
        "no randomness",
    ),
    ("reparameterize", "standard noise", swap(REPARAM, ("mu + std * eps", "mu + eps")), "equally"),
    ("reparameterize", "no mean", swap(REPARAM, ("mu + std * eps", "std * eps")), "not `mu`"),
    (
        "reparameterize",
        "learnt noise",
        swap(
            REPARAM,
            ("    return mu", "    eps = nn.Parameter(torch.ones(mu.shape))\n    return mu"),
        ),
        "all get the same `z`",
    ),
    (
        "reparameterize",
        "in place",
        swap(REPARAM, ("mu + std * eps", "mu.add_(std * eps)")),
        "writes into a tensor",
    ),
    (
        "reparameterize",
        "one noise for all leading dimensions but the last",
        swap(REPARAM, ("torch.randn(mu.shape,", "torch.randn(mu.shape[-2:],")),
        "(2, 2, 1000, 3) the noise is correlated",
    ),
    (
        "reparameterize",
        "noise centred",
        swap(REPARAM, ("    return", "    eps = eps - eps.mean()\n    return")),
        "a single entry",
    ),
    (
        "reparameterize",
        "noise standardised",
        swap(REPARAM, ("    return", "    eps = (eps - eps.mean()) / eps.std()\n    return")),
        "a single entry is NaN",
    ),
    (
        "reparameterize",
        "the mean where no gradient is asked for",
        swap(
            REPARAM,
            ("    return", "    if not torch.is_grad_enabled():\n        return mu\n    return"),
        ),
        "not tracked",
    ),
    (
        "reparameterize",
        "single precision",
        swap(REPARAM, ("mu + std * eps", "(mu + std * eps).float()")),
        "type float32",
    ),
    (
        "reparameterize",
        "log_var bounded",
        swap(REPARAM, ("0.5 * log_var", "0.5 * log_var.clamp(-10, 10)")),
        "very small or very large variances",
    ),
    (
        "reparameterize",
        "the generator asked for its seed",
        swap(
            REPARAM,
            (
                "    std",
                "    if generator is not None:\n        generator = torch.Generator("
                "mu.device).manual_seed(generator.initial_seed())\n    std",
            ),
        ),
        "moves on",
    ),
    (
        "reparameterize",
        "a seed for everybody after",
        swap(REPARAM, ("    return", "    torch.manual_seed(1)\n    return")),
        "next random numbers are always the same",
    ),
    # the terms of the bound
    ("elbo", "beta twice", swap(ELBO, ("nll + beta * kl", "nll + beta**2 * kl")), "beta"),
    ("elbo", "maximised", swap(ELBO, ("nll + beta * kl,", "-(nll + beta * kl),")), "loss"),
    ("elbo", "likelihood not negative", swap(ELBO, ("nll = -", "nll = ")), '"nll"'),
    (
        "elbo",
        "image dimensions by hand",
        swap(ELBO, (".flatten(1).sum(1)", ".sum((1, 2, 3))")),
        "dimension",
    ),
    ("elbo", "always 784", swap(ELBO, (".flatten(1)", ".view(-1, 784)")), "784"),
    (
        "elbo",
        "the constant of 784 pixels",
        swap(
            ELBO,
            (
                "-Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)",
                "0.5 * ((x - x_hat) ** 2).flatten(1).sum(1) + 720.44",
            ),
        ),
        "constant",
    ),
    ("elbo", "scalars", swap(ELBO, (".flatten(1).sum(1)", ".sum()")), "single number"),
    (
        "elbo",
        "a tuple",
        swap(ELBO, ('{"loss": nll + beta * kl, "nll": nll, "kl": kl}', "nll + beta * kl, nll, kl")),
        "a tuple of 3",
    ),
    (
        "elbo",
        "items",
        swap(ELBO, ("nll + beta * kl,", "(nll + beta * kl).detach(),")),
        "No gradient reaches `x_hat`",
    ),
    (
        "elbo",
        "kl detached",
        swap(ELBO, ("nll + beta * kl,", "nll + beta * kl.detach(),")),
        "No gradient reaches `mu`",
    ),
    (
        "elbo",
        "swapped with detach",
        swap(ELBO, ("Normal(x_hat, 1.0).log_prob(x)", "Normal(x, 1.0).log_prob(x_hat.detach())")),
        "No gradient reaches `x_hat`",
    ),
    ("elbo", "variance guessed", swap(ELBO, ("Normal(x_hat, 1.0)", "Normal(x_hat, 0.5)")), '"nll"'),
    (
        "elbo",
        "kl mean over k",
        swap(ELBO, ("gaussian_kl(mu, log_var)", "gaussian_kl(mu, log_var) / mu.shape[1]")),
        "5 latent",
    ),
    (
        "elbo",
        "a variance made on the CPU",
        swap(ELBO, ("Normal(x_hat, 1.0)", "Normal(x_hat, torch.ones(x_hat.shape))")),
        "On a GPU",
    ),
    ("elbo", "default beta", swap(ELBO, ("beta=1.0", "beta=0.5")), "default"),
    (
        "elbo",
        "in place",
        swap(
            ELBO,
            (
                "-Normal(x_hat, 1.0).log_prob(x).flatten(1).sum(1)",
                "0.5 * (x.sub_(x_hat) ** 2 + math.log(2 * math.pi)).flatten(1).sum(1)",
            ),
        ),
        "writes into a tensor",
    ),
    # the bound that had faults
    (
        "fault",
        "a loss",
        swap(BOUND, ("-0.5 * squares.sum(1) - kl", "0.5 * squares.sum(1) + kl")),
        "wrong sign",
    ),
    ("fault", "kl mean over k", swap(BOUND, ("log_var).sum(1)", "log_var).mean(1)")), "4 latent"),
    ("fault", "no kl", swap(BOUND, (" - kl", "")), "zero everywhere"),
    (
        "fault",
        "no logarithm",
        swap(BOUND, ("-0.5 * squares.sum(1) - kl", "(-0.5 * squares.sum(1)).exp() - kl")),
        "the bound",
    ),
    (
        "fault",
        "no constant",
        swap(BOUND, (" + math.log(2 * math.pi * noise_var)", "")),
        "same amount",
    ),
    (
        "fault",
        "pixels of the whole batch",
        swap(STARTER, *MENDED.values(), (".flatten(1).sum(dim=1)", ".sum()")),
        "the same for every example",
    ),
    (
        "fault",
        "divergence of the whole batch",
        swap(STARTER, *MENDED.values(), ("prior).sum(dim=1)", "prior).sum()")),
        "posterior mean",
    ),
    (
        "fault",
        "divergence as a mean",
        swap(STARTER, *MENDED.values(), ("prior).sum(dim=1)", "prior).mean()")),
        "posterior mean",
    ),
    (
        "fault",
        "one number",
        swap(BOUND, ("- kl", "- kl.mean()"), (".sum(1) -", ".sum() -")),
        "shape",
    ),
    (
        "fault",
        "a smallest spread",
        swap(STARTER, *MENDED.values(), ("(log_var / 2).exp()", "(log_var / 2).exp().clamp(0.05)")),
        "posterior variances other than 1",
    ),
    (
        "fault",
        "a smallest noise",
        swap(BOUND, ("    squares", "    noise_var = max(noise_var, 1e-3)\n    squares")),
        "variance 0.0001",
    ),
    (
        "fault",
        "in place",
        swap(BOUND, ("(x - x_hat) ** 2", "x.sub_(x_hat) ** 2")),
        "writes into a tensor",
    ),
    # the model
    (
        "model",
        "both the same",
        swap(MODEL, ("h[:, self.latent_dim:]", "h[:, :self.latent_dim]")),
        "one and the same",
    ),
    (
        "model",
        "softplus on log_var",
        swap(MODEL, ("h[:, self.latent_dim:]", "F.softplus(h[:, self.latent_dim:])")),
        "`log_var` is never negative",
    ),
    (
        "model",
        "tanh on mu",
        swap(MODEL, ("return h[:, :self.latent_dim]", "return torch.tanh(h[:, :self.latent_dim])")),
        "`mu` does not grow",
    ),
    (
        "model",
        "tanh on log_var",
        swap(MODEL, ("h[:, self.latent_dim:]", "torch.tanh(h[:, self.latent_dim:])")),
        "`log_var` does not grow",
    ),
    (
        "model",
        "leaky relu on mu",
        swap(
            MODEL,
            ("return h[:, :self.latent_dim]", "return F.leaky_relu(h[:, :self.latent_dim], 0.2)"),
        ),
        "damped where it is negative",
    ),
    (
        "model",
        "swapped in forward",
        swap(
            MODEL, ("        mu, log_var = self.encode(x)", "        log_var, mu = self.encode(x)")
        ),
        "another `mu` and `log_var`",
    ),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("return self.decode(z), mu, log_var", "return self.decode(z), log_var, mu")),
        "another `mu` and `log_var`",
    ),
    (
        "model",
        "nothing is drawn",
        swap(MODEL, ("z = reparameterize(mu, log_var, generator)", "z = mu")),
        "nothing is drawn",
    ),
    (
        "model",
        "variance as std",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + log_var.exp() * torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "multiplied by a variance",
    ),
    (
        "model",
        "log-var as std",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + log_var * torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "`log_var` itself",
    ),
    (
        "model",
        "standard noise",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "ignores the posterior's spread",
    ),
    (
        "model",
        "from the prior",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "does not scatter",
    ),
    ("model", "generator lost", swap(MODEL, ("log_var, generator)", "log_var)")), "generator"),
    (
        "model",
        "reconstruct in training mode",
        swap(
            MODEL,
            (
                "        self.eval()\n        out = self.decode(self.encode",
                "        out = self.decode(self.encode",
            ),
        ),
        "in evaluation mode",
    ),
    (
        "model",
        "always back to training",
        swap(MODEL, ("self.train(training)", "self.train()")),
        "left in training mode",
    ),
    ("model", "graph kept", swap(MODEL, ("    @torch.no_grad()\n", "")), "graph"),
    (
        "model",
        "returns a tuple",
        swap(MODEL, ("out = self.decode(self.encode(x)[0])", "out = self(x)")),
        "tuple",
    ),
    (
        "model",
        "sample from one posterior",
        swap(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator, device=where)",
                "0.1 * torch.randn(num_samples, self.latent_dim, generator=generator)",
            ),
        ),
        "prior",
    ),
    (
        "model",
        "sample uniform",
        swap(MODEL, ("torch.randn(num_samples", "torch.rand(num_samples")),
        "prior",
    ),
    (
        "model",
        "sample one image",
        swap(
            MODEL,
            (
                "torch.randn(num_samples, self.latent_dim, generator=generator, device=where)",
                "torch.randn(1, self.latent_dim, generator=generator).expand(num_samples, -1)",
            ),
        ),
        "all the same image",
    ),
    (
        "model",
        "latents fixed",
        swap(
            MODEL,
            ("Decoder(latent_dim)", "Decoder(64)"),
            ("Encoder(2 * latent_dim)", "Encoder(128)"),
            ("self.latent_dim = latent_dim", "self.latent_dim = 64"),
        ),
        "shape",
    ),
    (
        "model",
        "half unregistered",
        swap(
            MODEL,
            ("self.enc = Encoder(2 * latent_dim)", "self.parts = [Encoder(2 * latent_dim)]"),
            ("self.enc(x)", "self.parts[0](x)"),
        ),
        "fewer",
    ),
    (
        "model",
        "encoder cut off",
        swap(MODEL, ("h = self.enc(x)", "h = self.enc(x).detach()")),
        "No gradient reaches",
    ),
    (
        "model",
        "z cut off",
        swap(MODEL, ("log_var, generator)", "log_var, generator).detach()")),
        "No gradient reaches",
    ),
    (
        "model",
        "noise made on the CPU",
        swap(
            MODEL,
            (
                "z = reparameterize(mu, log_var, generator)",
                "z = mu + (log_var / 2).exp() * torch.randn(mu.shape, generator=generator)",
            ),
        ),
        "On a GPU",
    ),
    (
        "model",
        "forward returns the image",
        swap(MODEL, ("return self.decode(z), mu, log_var", "return self.decode(z)")),
        "a tensor of shape",
    ),
    (
        "model",
        "sigmoid twice",
        swap(MODEL, ("return self.dec(z)", "return torch.sigmoid(self.dec(z))")),
        "between 0.50 and 0.73",
    ),
    (
        "model",
        "one noise for the whole batch",
        swap(
            MODEL,
            (
                "log_var, generator)\n",
                "log_var, generator)\n        z = mu + (z - mu)[:1] / "
                "(log_var[:1] / 2).exp() * (log_var / 2).exp()\n",
            ),
        ),
        "images that are alike",
    ),
    (
        "model",
        "one noise for all dimensions",
        swap(
            MODEL,
            (
                "log_var, generator)\n",
                "log_var, generator)\n        z = mu + ((z - mu) / "
                "(log_var / 2).exp())[:, :1] * (log_var / 2).exp()\n",
            ),
        ),
        "serves all dimensions",
    ),
    (
        "model",
        "nothing drawn without gradients",
        swap(
            MODEL,
            (
                "log_var, generator)\n",
                "log_var, generator)\n        z = z if z.requires_grad else mu\n",
            ),
        ),
        "without gradients",
    ),
    (
        "model",
        "images darkened in place",
        swap(MODEL, ("h = self.enc(x)", "h = self.enc(x.mul_(0.5))")),
        "`forward` writes into a tensor",
    ),
    (
        "model",
        "a code of one number for all dimensions",
        swap(
            MODEL,
            ("torch.randn(num_samples, self.latent_dim,", "torch.randn(num_samples, 1,"),
            (
                "        out = self.decode(z)",
                "        out = self.decode(z.expand(-1, self.latent_dim))",
            ),
        ),
        "one number for a whole row",
    ),
    (
        "model",
        "a seed for everybody after",
        swap(
            MODEL,
            (
                "        return self.decode(z), mu",
                "        torch.manual_seed(1)\n        return self.decode(z), mu",
            ),
        ),
        "next random numbers are always the same",
    ),
    # the loop over epochs
    (
        "training",
        "never reaches one",
        swap(TRAINING, ("epoch / warmup_epochs", "epoch / (warmup_epochs + 1)")),
        "times beta",
    ),
    (
        "training",
        "does not stop at one",
        swap(TRAINING, ("min(1.0, epoch / warmup_epochs)", "epoch / warmup_epochs")),
        "times beta",
    ),
    ("training", "no warm-up", swap(TRAINING, ("warmup_epochs > 0", "False")), "times beta"),
    ("training", "beta lost in the warm-up", swap(TRAINING, ("beta * min(", "min(")), "times beta"),
    (
        "training",
        "held-out on training images",
        swap(TRAINING, ("evaluate(model, held_out_loader", "evaluate(model, train_loader")),
        "held-out",
    ),
    (
        "training",
        "trained on held-out images",
        swap(TRAINING, ("train_epoch(model, train_loader", "train_epoch(model, held_out_loader")),
        "weights",
    ),
    (
        "training",
        "evaluated with train_epoch",
        swap(
            TRAINING,
            (
                "evaluate(model, held_out_loader, full))\n    return",
                "train_epoch(model, held_out_loader, optimizer, full))\n    return",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "one evaluation repeated",
        swap(
            TRAINING,
            (
                'history["held_out"].append(evaluate(model, held_out_loader, full))\n    return',
                'history["held_out"].append(history["held_out"][0])\n    return',
            ),
        ),
        "held-out",
    ),
    (
        "training",
        "evaluated before each epoch",
        swap(
            TRAINING,
            (
                '        history["held_out"].append(evaluate(model, held_out_loader, full))\n'
                "    return",
                "    return",
            ),
            (
                "        weight = beta\n",
                '        history["held_out"].append(evaluate(model, held_out_loader, full))\n'
                "        weight = beta\n",
            ),
        ),
        "held-out",
    ),
    (
        "training",
        "a warm-up of two whatever was asked",
        swap(TRAINING, ("epoch / warmup_epochs", "epoch / 2")),
        "times beta",
    ),
    (
        "training",
        "nothing before training",
        swap(
            TRAINING,
            (
                '    history["held_out"].append(evaluate(model, held_out_loader, full))\n    for',
                "    for",
            ),
        ),
        "3 entries",
    ),
    (
        "training",
        "one epoch too few",
        swap(TRAINING, ("range(epochs)", "range(epochs - 1)")),
        "2 entries",
    ),
    (
        "training",
        "one epoch too many",
        swap(TRAINING, ("range(epochs)", "range(epochs + 1)")),
        "4 entries",
    ),
    (
        "training",
        "one list",
        swap(TRAINING, ("return history", "return history['train']")),
        "history",
    ),
    (
        "training",
        "only losses",
        swap(
            TRAINING,
            ("return history", "return {k: [e['loss'] for e in v] for k, v in history.items()}"),
        ),
        "dict was expected",
    ),
    (
        "training",
        "a new optimiser",
        swap(
            TRAINING,
            (
                "        weight = beta\n",
                "        optimizer = torch.optim.Adam(model.parameters())\n        weight = beta\n",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "a copy is trained",
        swap(
            TRAINING,
            ("    history =", "    import copy\n    model = copy.deepcopy(model)\n    history ="),
        ),
        "weights",
    ),
    (
        "training",
        "held-out without beta",
        swap(TRAINING, ("vae_terms(m, x, beta)", "vae_terms(m, x)")),
        "held-out",
    ),
    (
        "training",
        "trains twice an epoch",
        swap(
            TRAINING,
            (
                '        history["train"].append(',
                "        train_epoch(model, train_loader, optimizer, terms)\n        "
                'history["train"].append(',
            ),
        ),
        "once in an epoch",
    ),
    (
        "training",
        "no warm-up of one epoch",
        swap(TRAINING, ("warmup_epochs > 0", "warmup_epochs > 1")),
        "1, 1 times beta",
    ),
    (
        "training",
        "a beta of 0 taken for none",
        swap(TRAINING, ("    history =", "    beta = beta or 1.0\n    history =")),
        "With a beta of 0",
    ),
    (
        "training",
        "the best epoch's weights",
        swap(
            TRAINING,
            (
                "    return",
                "    if history['held_out'][0]['loss'] < history['held_out'][-1]['loss']:\n"
                "        model.load_state_dict(first)\n    return",
            ),
            (
                "    history =",
                "    first = {k: v.clone() for k, v in model.state_dict().items()}\n    history =",
            ),
        ),
        "weights of the last epoch",
    ),
    (
        "training",
        "one history for all calls",
        swap(
            TRAINING,
            ("warmup_epochs=0)", "warmup_epochs=0, history={'train': [], 'held_out': []})"),
            ('    history = {"train": [], "held_out": []}\n', ""),
        ),
        "entries",
    ),
    (
        "training",
        "a history that the model keeps",
        swap(
            TRAINING,
            (
                '    history = {"train": [], "held_out": []}\n',
                "    history = vars(model).setdefault('kept', {'train': [], 'held_out': []})\n",
            ),
        ),
        "in a second call",
    ),
    (
        "training",
        "nothing for no epochs",
        swap(
            TRAINING,
            (
                "    history =",
                "    if not epochs:\n        return {'train': [], 'held_out': []}\n    history =",
            ),
        ),
        "After 0 epochs",
    ),
    (
        "training",
        "a seed set inside",
        swap(TRAINING, ("    history =", "    torch.manual_seed(0)\n    history =")),
        "next random numbers are always the same",
    ),
    # a loop of one's own
    (
        "training",
        "gradients never zeroed",
        swap(OWN_LOOP, ("            optimizer.zero_grad(set_to_none=True)\n", "")),
        "weights",
    ),
    (
        "training",
        "gradients zeroed before the step",
        swap(
            OWN_LOOP,
            ("            optimizer.zero_grad(set_to_none=True)\n", ""),
            ("optimizer.step()", "optimizer.zero_grad()\n            optimizer.step()"),
        ),
        "weights",
    ),
    (
        "training",
        "one step an epoch",
        swap(
            OWN_LOOP,
            (
                "            optimizer.step()\n            optimizer.zero_grad(set_to_none=True)\n",
                "",
            ),
            (
                "        train.append",
                "        optimizer.step()\n        optimizer.zero_grad()\n        train.append",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "the first batch only",
        swap(OWN_LOOP, ("        train.append", "            break\n        train.append")),
        "weights",
    ),
    (
        "training",
        "the short last batch left out",
        swap(
            OWN_LOOP,
            (
                "            terms = vae",
                "            if len(images) < train_loader.batch_size:\n"
                "                continue\n            terms = vae",
            ),
        ),
        "weights",
    ),
    (
        "training",
        "the batches of the first epoch, kept",
        swap(
            OWN_LOOP,
            ("    device =", "    batches = list(train_loader)\n    device ="),
            ("in train_loader:", "in batches:"),
        ),
        "as the loader gives them",
    ),
    (
        "training",
        "the loss summed over a batch",
        swap(OWN_LOOP, ('terms["loss"].mean()', 'terms["loss"].sum()')),
        "weights",
    ),
    (
        "training",
        "trained in the mode it was in",
        swap(OWN_LOOP, ("        model.train()\n", "")),
        "in training mode",
    ),
    (
        "training",
        "evaluated in training mode",
        swap(
            right("ps2_training", "its own loop over epochs and evaluations"),
            ("        model.eval()\n", "        model.train()\n"),
        ),
        "held-out",
    ),
    (
        "training",
        "a mean of means of batches",
        swap(OWN_LOOP, ("float(value.sum())", "float(value.mean())"), ("len(images)", "1")),
        "in training",
    ),
    (
        "training",
        "the last batch counted as a whole one",
        swap(OWN_LOOP, ("len(images)", "train_loader.batch_size")),
        "in training",
    ),
    (
        "training",
        "graphs in the history",
        swap(OWN_LOOP, ("float(value.sum())", "value.sum()")),
        "plain number",
    ),
    (
        "training",
        "images left on the CPU",
        swap(OWN_LOOP, ("images.to(device)", "images")),
        "On a GPU",
    ),
    # the effective beta
    (
        "effective_beta",
        "returns the error",
        swap(BETA, ("raise ValueError(reconstruction)", "return ValueError")),
        "not refused",
    ),
    (
        "effective_beta",
        "KeyError",
        swap(BETA, ("raise ValueError(reconstruction)", "raise KeyError(reconstruction)")),
        "KeyError",
    ),
    (
        "effective_beta",
        "a string",
        swap(BETA, ("return 0.5 * num_pixels * kl_weight", "return f'{kl_weight}'")),
        "a string",
    ),
    (
        "effective_beta",
        "rounded",
        swap(
            BETA,
            (
                "return 0.5 * num_pixels * kl_weight",
                "return round(0.5 * num_pixels * kl_weight, 6)",
            ),
        ),
        "tiny weights",
    ),
    (
        "effective_beta",
        "half of the pixels, rounded down",
        swap(BETA, ("0.5 * num_pixels", "(num_pixels // 2)")),
        "places",
    ),
    (
        "effective_beta",
        "a name that ends alike",
        swap(BETA, ('reconstruction == "cross_entropy"', '"cross_entropy" in reconstruction')),
        "binary_cross_entropy_with_logits",
    ),
    (
        "effective_beta",
        "a part of a name",
        swap(BETA, ('reconstruction == "squared_error"', 'reconstruction in "squared_error"')),
        '"error"',
    ),
    (
        "effective_beta",
        "no weight, no question",
        swap(BETA, ("    if recon", "    if not kl_weight:\n        return 0.0\n    if recon")),
        "a weight of 0",
    ),
    # active units
    ("active_units", "threshold fixed", UNITS + "int((mu.var(0) > 0.01).sum())", "threshold of"),
    (
        "active_units",
        "a share",
        UNITS + "float((mu.var(0) > threshold).float().mean())",
        "units are counted",
    ),
    ("active_units", "a tensor", UNITS + "(mu.var(0) > threshold).sum()", "whole number"),
    ("active_units", "a mask", UNITS + "mu.var(0) > threshold", "where a number was expected"),
    ("active_units", "not below", UNITS + "int((mu.var(0) >= threshold).sum())", "variance 0"),
    (
        "active_units",
        "mean deviation for the standard deviation",
        UNITS + "int(((mu - mu.mean(0)).abs().mean(0) ** 2 > threshold).sum())",
        "a few images",
    ),
    (
        "active_units",
        "a part of the images",
        UNITS + "int((mu[:500].var(0) > threshold).sum())",
        "a few images",
    ),
    (
        "active_units",
        "in place",
        UNITS + "int((mu.sub_(mu.mean(0)).square().mean(0) > threshold).sum())",
        "writes into a tensor",
    ),
    # interpolation
    (
        "interpolate",
        "start left out",
        swap(LINE, ("* i / (num_frames - 1)", "* (i + 1) / num_frames")),
        "first",
    ),
    (
        "interpolate",
        "a list",
        swap(
            LINE,
            ("return torch.stack([", "return list(["),
        ),
        "a list",
    ),
    (
        "interpolate",
        "uneven",
        swap(LINE, ("i / (num_frames - 1)", "(i / (num_frames - 1)) ** 2")),
        "not equal",
    ),
    (
        "interpolate",
        "left on the CPU",
        swap(right("ps2_interpolate", "NumPy, and back"), (".to(z_start)", ".float()")),
        "The result is on the CPU",
    ),
    (
        "interpolate",
        "squeezed",
        swap(LINE, ("    ])", "    ]).squeeze()")),
        "squeezed away",
    ),
    (
        "interpolate",
        "in place",
        swap(LINE, ("(z_end - z_start)", "(z_end.sub_(z_start) if i == 0 else z_end)")),
        "writes into a tensor",
    ),
    ("interpolate", "transposed", swap(LINE, ("    ])", "    ], 1)")), "swapped"),
]

WORDS = {
    ("kl", "factor 1/2 missing"): "twice",
    ("kl", "log_var taken for log std"): "what `log_var` does",
    ("kl", "std where the variance belongs"): "what `log_var` does",
    ("kl", "sign of everything"): "wrong sign",
    ("kl", "sign of log_var"): "`log_var`",
    ("kl", "KL(p || q) instead of KL(q || p)"): "what `log_var` does",
    ("kl", "the -1 missing"): "same amount",
    ("kl", "mu missing"): "what `mu` does",
    ("kl", "mu not squared"): "what `mu` does",
    ("kl", "mean over the latent dimensions"): "5 latent",
    ("kl", "sum over the batch"): "shape (5,)",
    ("kl", "sum over everything"): "single number",
    ("kl", "mean over the batch"): "single",
    ("kl", "dimension 1 for the last one"): "(2, 3, 5)",
    ("kl", "logarithm of a product of variances"): "infinite",
    ("kl_monte_carlo", "closed form instead of draws"): "draws nothing",
    ("kl_monte_carlo", "log p minus log q"): "wrong sign",
    ("kl_monte_carlo", "variance as a standard deviation"): "on average",
    ("kl_monte_carlo", "mean over the latent dimensions"): "on average",
    ("kl_monte_carlo", "one noise for the whole batch"): "share their noise",
    ("kl_monte_carlo", "noise made on the CPU"): "On a GPU",
    ("reparameterize", "exponential forgotten"): "standard deviation of `z`",
    ("reparameterize", "variance as a standard deviation"): "standard deviation of `z`",
    ("reparameterize", "half outside the exponential"): "standard deviation of `z`",
    ("reparameterize", "torch.normal with mu and std"): "zero everywhere",
    ("reparameterize", "noise made on the CPU"): "makes a tensor on the CPU",
    ("reparameterize", "one noise for the whole batch"): "one and the same for every example",
    ("reparameterize", "one noise for all dimensions"): "whole row",
    ("reparameterize", "uniform noise"): "not `mu`",
    ("reparameterize", "sample() of a distribution"): "No gradient reaches `mu`",
    ("reparameterize", "z cut off from mu and log_var"): "No gradient reaches `mu`",
    ("reparameterize", "seed set inside"): "every call",
    ("reparameterize", "generator not handed on"): "generator",
    ("elbo", "KL subtracted"): "grows by -1 times",
    ("elbo", "beta on the likelihood"): "does not fit together",
    ("elbo", "beta ignored"): "grows by 0 times",
    ("elbo", "KL reported with its weight"): "beta other than 1",
    ("elbo", "beta applied twice"): "beta other than 1",
    ("elbo", "mean over the pixels"): "56 pixels",
    ("elbo", "constant of the Gaussian missing"): "constant",
    ("elbo", "loss averaged over the batch"): "single number",
    ("fault", "mean over the pixels"): "28 pixels",
    ("fault", "noise variance taken for a standard deviation"): "noise of variance 0.09",
    ("fault", "KL added"): "wrong sign",
    ("fault", "log_var taken for log std"): "posterior variances other than 1",
    ("model", "encoder gives latent_dim numbers"): "16,448 fewer",
    ("model", "split along the batch"): "shape",
    ("model", "one output for mu and log_var"): "fewer",
    ("model", "ReLU on log_var"): "`log_var` is never negative",
    ("model", "log_var clamped"): "clamp",
    ("model", "mu and log_var swapped in the draw"): "draw",
    ("model", "no draw in evaluation mode"): "nothing is drawn",
    ("model", "seed set in forward"): "every call",
    ("model", "reconstruct decodes a draw"): "random",
    ("model", "mode not restored"): "left in evaluation mode",
    ("model", "sample decodes the prior's mean"): "all the same image",
    ("model", "draw without a way back"): "The gradient is zero for 16 of the 32",
    ("model", "codes drawn on the CPU"): "On a GPU",
    ("training", "warm-up one epoch early"): "times beta",
    ("training", "warm-up over all epochs"): "times beta",
    ("training", "beta not handed to the training"): "times beta",
    ("training", "held-out images at the weight of the epoch"): "held-out",
    ("effective_beta", "factor 1/2 of the Gaussian missing"): "twice",
    ("effective_beta", "divided by the scale"): "too small",
    ("effective_beta", "cross-entropy halved too"): "half",
    ("active_units", "standard deviation compared"): "more than there are",
    ("active_units", "variance over the latent dimensions"): "more than there are",
    ("active_units", "second moment for the variance"): "not around zero",
    ("interpolate", "end left out"): "last",
    ("interpolate", "one frame too many"): "shape",
    ("interpolate", "from the end to the start"): "the first one is not",
    ("interpolate", "weights made on the CPU"): "On a GPU",
}
"""What the check itself observes of a known mistake, beside its message."""


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 20):
        verdict = judged(f"ps2_{name}", seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score


@pytest.mark.long
def test_the_reference_model_scores_in_full_over_many_seeds(judged):
    for seed in range(100, 160):
        assert judged("ps2_model", seed=seed).verdict == "pass", seed


@pytest.mark.parametrize(("name", "source"), right_answers("ps2", SLOW))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 5):
        verdict = judged(f"ps2_{name}", source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), wrong_answers(WRONG, SLOW))
def test_a_known_mistake_loses_points_and_is_described(judged, name, mistake, source, words):
    verdict = judged(f"ps2_{name}", source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert words in messages
    assert verdict.message


@pytest.mark.parametrize("one", [*mistakes("ps2", quick=2)])
def test_a_misconception_is_named_and_described(judged, one):
    assert_named(judged, one.exercise, one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    solution = EXERCISES[name].rpartition(".")[2]
    blank = "    raise NotImplementedError()"
    source = (
        f"class {solution}(nn.Module):\n    def __init__(self, latent_dim=64):\n"
        f"        super().__init__()\n    {blank}"
        if solution == "VAE"
        else f"def {solution}(*args, **kwargs):\n{blank}"
    )
    verdict = judged(f"ps2_{name}", source, solutions=[EXERCISES[name]])
    assert (verdict.verdict, verdict.score) == ("blank", 0)


def test_a_wrong_divergence_does_not_cost_the_training_loop(judged):
    wrong = KL + "(mu**2 + log_var.exp() - 1 - log_var).sum(-1)"
    assert judged("ps2_training", wrong).verdict == "pass"
    assert judged("ps2_kl_monte_carlo", wrong).verdict == "pass"


def test_an_unwritten_divergence_is_named_where_it_is_needed(judged):
    blank = "def gaussian_kl(mu, log_var):\n    raise NotImplementedError"
    verdict = judged("ps2_elbo", blank, solutions=["vae_course.probability.elbo_terms"])
    assert verdict.verdict == "error"
    assert "`gaussian_kl`, which this exercise uses, is not written yet" in verdict.message


def test_the_starter_as_it_was_handed_out_scores_nothing(judged):
    for seed in range(5):
        verdict = judged("ps2_fault", STARTER, seed=seed)
        assert (verdict.verdict, verdict.score) == ("fail", 0), verdict


@pytest.mark.parametrize("fault", MENDED)
def test_each_fault_that_is_mended_earns_its_share_and_no_more(judged, fault):
    for seed in range(3):
        alone = judged("ps2_fault", swap(STARTER, MENDED[fault]), points=2, seed=seed)
        assert alone.score == 0.5, alone
        others = [pair for name, pair in MENDED.items() if name != fault]
        rest = judged("ps2_fault", swap(STARTER, *others), points=2, seed=seed)
        assert rest.score == 1.5, rest
    assert judged("ps2_fault", swap(STARTER, *MENDED.values()), points=2).score == 2


ZERO_GRADIENTS = """
class Drawn(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.last = nn.Linear(6, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(torch.normal(self.mean(x), torch.ones(len(x), 3)))


class Closed(Drawn):
    def forward(self, x):
        return self.last(F.relu(self.mean(x) - 50))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))

    def forward(self, x):
        return self.layers(x)


class StartsAtZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.last = nn.Linear(6, 4), nn.Linear(4, 6), nn.Linear(3, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        mu, log_var = self.head(self.body(x)).chunk(2, dim=1)
        return self.last(reparameterize(mu, log_var)), mu
"""


@pytest.mark.parametrize(
    ("name", "cotangent", "is_wrong"),
    [
        ("Drawn", None, True),
        ("Closed", None, False),
        ("Normed", None, False),
        ("StartsAtZero", None, False),
        ("StartsAtZero", [torch.ones(8, 2), None], False),
    ],
)
def test_a_gradient_of_zero_is_wrong_only_where_the_result_moves(
    student_of, name, cotangent, is_wrong
):
    module = Module.build(student_of(ZERO_GRADIENTS), name, seed=1)
    before = module.parameters()
    said = reaches_every_parameter(module, torch.randn(8, 6), seed=2, cotangent=cotangent)
    assert bool(said) == is_wrong
    assert not said or "zero for 2 of the 4 parameter tensors" in said
    assert all(map(torch.equal, module.parameters(), before))
