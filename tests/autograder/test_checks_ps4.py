"""The checks of ps4: the reference and other right answers score in full, wrong ones lose points.

Each wrong answer is one that students are known to write, or a fault of the published notebook. It
names words of the message it gets, and how many of the exercise's criteria it fails: all others
must stay whole.
"""

import ast
import inspect
import re
from types import ModuleType, SimpleNamespace

import pytest
from known import assert_named, mistakes, right_answers, wrong_answers

from autograder.judge import judge
from autograder.misconceptions import swapped as swap
from autograder.misconceptions.ps4 import (
    CONVOLUTION,
    DECODER,
    EARLY_STOPPING,
    ENCODER,
    FIT,
    LOSS,
    MANIFOLD,
    MEAN,
    MODEL,
    RULE,
    SAMPLING,
    SEED_LOSS,
    TRANSPOSED,
)
from vae_course import keras_fit, keras_layers, keras_model, keras_vae
from vae_course.authoring.assignment import load_assignment

EXERCISES = {
    "padding": 3,
    "encoder": 4,
    "sampling": 2,
    "decoder": 4,
    "seed_loss": 2,
    "loss": 3,
    "tracker": 2,
    "fit": 4,
    "model": 4,
    "early_stopping": 2,
    "manifold": 2,
}
SOLUTIONS = {
    "padding": ("same_padding", "SameConv2d", "SameConvTranspose2d"),
    "encoder": ("FashionEncoder",),
    "sampling": ("Sampling",),
    "decoder": ("FashionDecoder",),
    "seed_loss": ("seed_loss", "hidden_beta"),
    "loss": ("cross_entropy_terms",),
    "tracker": ("Mean",),
    "fit": ("fit_model",),
    "model": ("KerasVAE",),
    "early_stopping": ("EarlyStopping",),
    "manifold": ("quantile_codes", "manifold_codes"),
}
SLOW = {"encoder", "decoder", "model"}
"""Their checks take about a second."""
MODULES = (keras_layers, keras_fit, keras_model, keras_vae)
GIVEN = re.sub(r"^from vae_course.*\n", "", "\n".join(map(inspect.getsource, MODULES)), flags=re.M)
"""The reference's modules are one cell: they import only each other of the course."""


def home_of(solution: str) -> ModuleType:
    """The module of the reference in which a solution stands."""
    return next(module for module in MODULES if hasattr(module, solution))


@pytest.fixture(scope="session")
def judged(student_of):
    def run(exercise: str, *cells: str, seed: int = 0, solutions=(), name_mistakes=False):
        what = SimpleNamespace(id=f"ps4_{exercise}", points=EXERCISES[exercise])
        what.solutions = solutions
        return judge(what, student_of(GIVEN, *cells), seed, name_mistakes=name_mistakes)

    return run


RELU = "            nn.ReLU(),\n"
THIRD = "            SameConv2d(64, 64, 3),\n"
"""Lines of the encoder."""

WRONG = [
    # padding
    (
        "padding",
        "always even",
        swap(RULE, ("return before, total - before", "return kernel // 2, kernel // 2")),
        "more than are needed",
        4,
    ),
    (
        "padding",
        "stride forgotten",
        swap(RULE, ("(outputs - 1) * stride", "(size - 1)")),
        "more",
        4,
    ),
    (
        "padding",
        "negative",
        swap(
            RULE,
            (
                "max(0, (outputs - 1) * stride + kernel - size)",
                "(outputs - 1) * stride + kernel - size",
            ),
        ),
        "negative",
        1,
    ),
    (
        "padding",
        "rounded down",
        swap(RULE, ("math.ceil(size / stride)", "size // stride")),
        "fewer",
        3,
    ),
    (
        "padding",
        "one number",
        swap(RULE, ("return before, total - before", "return total")),
        "where two numbers",
        5,
    ),
    (
        "padding",
        "left and above",
        swap(CONVOLUTION, ("left, right, top, bottom)", "right, left, bottom, top)")),
        "wrong sides",
        1,
    ),
    (
        "padding",
        "only a side",
        swap(CONVOLUTION, ("(left, right, top, bottom)", "(left, right)")),
        "shape",
        1,
    ),
    (
        "padding",
        "cropped at the wrong end",
        swap(
            TRANSPOSED,
            ("top, bottom = same", "bottom, top = same"),
            ("left, right = same", "right, left = same"),
        ),
        "wrong end",
        1,
    ),
    (
        "padding",
        "cropped not at all",
        swap(TRANSPOSED, ("[:, :, top : top + height, left : left + width]", "")),
        "shape",
        1,
    ),
    (
        "padding",
        "resized",
        swap(
            TRANSPOSED,
            (
                "x[:, :, top : top + height, left : left + width]",
                "F.interpolate(x, size=(height, width))",
            ),
        ),
        "enlarged, and not cut",
        1,
    ),
    (
        "padding",
        "a canvas on the CPU",
        swap(
            CONVOLUTION,
            (
                "        x = F.pad(x, (left, right, top, bottom))",
                "        height, width = x.shape[2:]\n"
                "        canvas = torch.zeros(\n"
                "            len(x), x.shape[1], top + height + bottom, left + width + right)\n"
                "        canvas[:, :, top : top + height, left : left + width] = x\n"
                "        x = canvas",
            ),
        ),
        "makes a tensor on the CPU",
        1,
    ),
    (
        "padding",
        "negative beside a remainder",
        swap(
            RULE,
            (
                "    total = max(0, (outputs - 1) * stride + kernel - size)\n",
                "    rest = size % stride\n"
                "    total = kernel - rest if rest else max(0, kernel - stride)\n",
            ),
        ),
        "negative",
        1,
    ),
    (
        "padding",
        "the zeros of the first map",
        swap(
            CONVOLUTION,
            (
                "(left, right, top, bottom)",
                'vars(self).setdefault("zeros", (left, right, top, bottom))',
            ),
        ),
        "Does the layer keep anything from an earlier call",
        1,
    ),
    (
        "padding",
        "the map is emptied",
        swap(
            TRANSPOSED,
            (
                "x = super().forward(x)",
                "x, given = super().forward(x), x\n        given.data.zero_()",
            ),
        ),
        "writes into a tensor",
        1,
    ),
    # encoder
    (
        "encoder",
        "one ReLU missing",
        swap(
            ENCODER,
            ("            nn.ReLU(),\n            nn.Flatten()", "            nn.Flatten()"),
        ),
        "after the fourth convolution",
        1,
    ),
    (
        "encoder",
        "softplus on log_var",
        swap(ENCODER, ("self.to_log_var(h)\n", "F.softplus(self.to_log_var(h))\n")),
        "`log_var` is never negative",
        3,
    ),
    (
        "encoder",
        "tanh on mu",
        swap(ENCODER, ("self.to_mu(h), ", "torch.tanh(self.to_mu(h)), ")),
        "`mu` does not grow",
        2,
    ),
    (
        "encoder",
        "no ReLU at any convolution",
        swap(ENCODER, (RELU, ""), (", 32),\n", ", 32),\n" + RELU)),
        "without the ReLUs after its convolutions",
        1,
    ),
    (
        "encoder",
        "no ReLU at all",
        swap(ENCODER, (RELU, "")),
        "without any ReLU",
        1,
    ),
    (
        "encoder",
        "stride in the third",
        swap(
            ENCODER,
            ("SameConv2d(32, 64, 3, stride=2)", "SameConv2d(32, 64, 3)"),
            (
                f"{RELU}{THIRD}{RELU}            SameConv2d(",
                f"{RELU}{THIRD.replace('3)', '3, stride=2)')}{RELU}            SameConv2d(",
            ),
        ),
        "third convolution has the stride",
        1,
    ),
    (
        "encoder",
        "only biases as in Keras",
        swap(
            ENCODER,
            (
                "glorot_uniform(self)",
                "[nn.init.zeros_(p) for p in self.parameters() if p.ndim == 1]",
            ),
        ),
        "Glorot's bound",
        1,
    ),
    (
        "encoder",
        "leaky",
        swap(
            ENCODER,
            ("nn.ReLU()", "nn.LeakyReLU(0.2)"),
        ),
        "leaky ReLUs",
        1,
    ),
    (
        "encoder",
        "stride in the wrong layer",
        swap(
            ENCODER,
            ("SameConv2d(32, 64, 3, stride=2)", "SameConv2d(32, 64, 3)"),
            ("SameConv2d(channels, 32, 3)", "SameConv2d(channels, 32, 3, stride=2)"),
        ),
        "first convolution has the stride",
        1,
    ),
    (
        "encoder",
        "a layer short",
        swap(
            ENCODER,
            (
                f"{RELU}{THIRD}{RELU}            SameConv2d(",
                f"{RELU}            SameConv2d(",
            ),
        ),
        "fewer than the table",
        2,
    ),
    (
        "encoder",
        "pooling",
        swap(
            ENCODER,
            (
                "SameConv2d(32, 64, 3, stride=2),\n" + RELU,
                "SameConv2d(32, 64, 3),\n" + RELU + "            nn.MaxPool2d(2),\n",
            ),
        ),
        "other numbers than the layers",
        1,
    ),
    (
        "encoder",
        "flattened batch",
        swap(
            ENCODER,
            ("nn.Flatten()", "Flatten()"),
            (
                "class FashionEncoder",
                "class Flatten(nn.Module):\n    def forward(self, h):\n"
                "        return h.transpose(0, 1).reshape(len(h), -1)\n\n\nclass FashionEncoder",
            ),
        ),
        "changes with the other images",
        2,
    ),
    (
        "encoder",
        "mu only",
        swap(ENCODER, ("return self.to_mu(h), self.to_log_var(h)", "return self.to_mu(h)")),
        "a tensor of shape",
        4,
    ),
    (
        "encoder",
        "plain list",
        swap(
            ENCODER,
            ("self.to_log_var =", "self.heads = [None]; self.heads[0] ="),
            ("self.to_log_var(h)", "self.heads[0](h)"),
        ),
        "fewer",
        4,
    ),
    (
        "encoder",
        "batch norm",
        swap(ENCODER, ("(channels, 32, 3),", "(channels, 32, 3), nn.BatchNorm2d(32),")),
        "more than the table",
        2,
    ),
    (
        "encoder",
        "a narrow start of the heads",
        swap(
            ENCODER,
            (
                "        glorot_uniform(self)\n",
                "        glorot_uniform(self)\n"
                "        nn.init.normal_(self.to_mu.weight, std=0.01)\n",
            ),
        ),
        "the layer of shape (64, 32) is 0.1",
        1,
    ),
    (
        "encoder",
        "one head of twice the width",
        swap(
            ENCODER,
            ("        self.to_log_var = nn.Linear(32, latent_dim)\n", ""),
            (
                "self.to_mu = nn.Linear(32, latent_dim)",
                "self.to_both = nn.Linear(32, 2 * latent_dim)",
            ),
            ("self.to_mu(h), self.to_log_var(h)", "self.to_both(h).chunk(2, dim=1)"),
        ),
        "taken as the two of the table, is 0.7",
        1,
    ),
    (
        "encoder",
        "a seed",
        swap(ENCODER, ("        glorot", "        torch.manual_seed(3)\n        glorot")),
        "next random numbers are always the same",
        1,
    ),
    (
        "encoder",
        "one start for all",
        swap(
            ENCODER,
            (
                "        glorot_uniform(self)",
                "        with torch.random.fork_rng():\n"
                "            torch.manual_seed(3)\n"
                "            glorot_uniform(self)",
            ),
        ),
        "starts with the same weights",
        1,
    ),
    (
        "encoder",
        "log_var does not teach",
        swap(ENCODER, ("self.to_log_var(h)\n", "self.to_log_var(h.detach())\n")),
        "No gradient comes from `log_var`",
        1,
    ),
    (
        "encoder",
        "ReLUs with a lid",
        swap(ENCODER, ("nn.ReLU()", "nn.ReLU6()")),
        "with larger weights it does not",
        2,
    ),
    (
        "encoder",
        "the images are emptied",
        swap(
            ENCODER,
            ("        return self.to_mu", "        x.data.zero_()\n        return self.to_mu"),
        ),
        "writes into a tensor",
        1,
    ),
    # sampling
    (
        "sampling",
        "standard noise",
        swap(SAMPLING, ("mu + std * eps", "mu + eps")),
        "scatters equally",
        2,
    ),
    (
        "sampling",
        "one number a row",
        swap(SAMPLING, ("torch.randn(mu.shape,", "torch.randn(mu.shape[0], 1,")),
        "every dimension",
        1,
    ),
    ("sampling", "uniform", swap(SAMPLING, ("torch.randn(", "torch.rand(")), "On average", 2),
    (
        "sampling",
        "nothing drawn",
        swap(SAMPLING, ("mu + std * eps", "mu + 0 * std")),
        "no randomness",
        3,
    ),
    (
        "sampling",
        "draws only while it is trained",
        swap(SAMPLING, ("mu + std * eps", "mu + std * eps if self.training else mu")),
        "In evaluation mode",
        1,
    ),
    (
        "sampling",
        "detached",
        """
class Sampling(nn.Module):
    def forward(self, mu, log_var, generator=None):
        torch.manual_seed(torch.randint(9**9, (), generator=generator).item())
        return torch.distributions.Normal(mu, (log_var / 2).exp()).sample()
""",
        "No gradient reaches",
        3,
    ),
    (
        "sampling",
        "a clamp",
        swap(SAMPLING, ("0.5 * log_var", "0.5 * log_var.clamp(-8, 8)")),
        "where `log_var` is -12",
        1,
    ),
    (
        "sampling",
        "log_var halved for good",
        swap(SAMPLING, ("torch.exp(0.5 * log_var)", "log_var.mul_(0.5).exp()")),
        "writes into a tensor",
        1,
    ),
    (
        "sampling",
        "only the generator's seed",
        swap(
            SAMPLING,
            (
                "        eps =",
                "        if generator is not None:\n"
                "            generator.manual_seed(generator.initial_seed())\n"
                "        eps =",
            ),
        ),
        "a generator moves on",
        1,
    ),
    (
        "sampling",
        "a seed beside the generator",
        swap(
            SAMPLING,
            (
                "        eps =",
                "        if generator is not None:\n"
                "            torch.manual_seed(generator.initial_seed())\n"
                "        eps =",
            ),
        ),
        "next random numbers are always the same",
        1,
    ),
    # decoder
    (
        "decoder",
        "ReLU before the sigmoid",
        swap(DECODER, ("torch.sigmoid(self.out(h))", "torch.sigmoid(F.relu(self.out(h)))")),
        "pixels stay between 0.5",
        2,
    ),
    (
        "decoder",
        "no ReLU after the dense layer",
        swap(DECODER, ("F.relu(self.dense(z))", "self.dense(z)")),
        "after the linear layer",
        1,
    ),
    (
        "decoder",
        "no ReLU between",
        swap(DECODER, ("F.relu(self.up(h))", "self.up(h)")),
        "after the first transposed",
        1,
    ),
    (
        "decoder",
        "no ReLU at all",
        swap(
            DECODER,
            ("F.relu(self.up(h))", "self.up(h)"),
            ("F.relu(self.dense(z))", "self.dense(z)"),
        ),
        "without any ReLU",
        1,
    ),
    (
        "decoder",
        "stride in the last layer",
        swap(
            DECODER,
            ("64, 32, 3, stride=2", "64, 32, 3"),
            ("channels, 3)", "channels, 3, stride=2)"),
        ),
        "second transposed convolution",
        1,
    ),
    (
        "decoder",
        "PyTorch's initial weights",
        swap(DECODER, ("        glorot_uniform(self)\n", "")),
        "one half",
        1,
    ),
    (
        "decoder",
        "a batch of fixed size",
        swap(DECODER, ("view(-1, *self.maps)", "view(3, *self.maps)")),
        "",
        4,
    ),
    (
        "decoder",
        "an encoder's convolution",
        swap(DECODER, ("SameConvTranspose2d(32,", "SameConv2d(32,")),
        "weights are not those",
        1,
    ),
    (
        "decoder",
        "a tensor that does not move with it",
        swap(
            DECODER,
            ("        glorot", "        self.scale = torch.ones(1)\n        glorot"),
            ("self.out(h)", "self.scale * self.out(h)"),
        ),
        "that is on the CPU",
        1,
    ),
    (
        "decoder",
        "a clamp",
        swap(
            DECODER, ("torch.sigmoid(self.out(h))", "torch.sigmoid(self.out(h)).clamp(0.01, 0.99)")
        ),
        "with larger weights it does not",
        1,
    ),
    (
        "decoder",
        "a ReLU with a lid",
        swap(DECODER, ("F.relu(self.up(h))", "F.relu6(self.up(h))")),
        "with larger weights it does not",
        1,
    ),
    (
        "decoder",
        "cut off from the code",
        swap(DECODER, ("self.dense(z)", "self.dense(z.detach())")),
        "No gradient reaches the code",
        1,
    ),
    (
        "decoder",
        "a seed",
        swap(DECODER, ("        glorot", "        torch.manual_seed(3)\n        glorot")),
        "next random numbers are always the same",
        1,
    ),
    (
        "decoder",
        "a narrow start of the last layer",
        swap(
            DECODER,
            (
                "        glorot_uniform(self)\n",
                "        glorot_uniform(self)\n"
                "        nn.init.normal_(self.out.weight, std=0.01)\n",
            ),
        ),
        "the layer of shape (32, 3, 3, 3) is 0.",
        1,
    ),
    (
        "decoder",
        "the codes are emptied",
        swap(DECODER, ("        return torch", "        z.data.zero_()\n        return torch")),
        "writes into a tensor",
        2,
    ),
    # the published loss
    (
        "seed_loss",
        "an honest KL",
        swap(SEED_LOSS, ("-5e-4 * (1", "-5e-4 * 0.5 * (1"), (".mean(-1)", ".sum(-1)")),
        "2.5 times as much",
        1,
    ),
    (
        "seed_loss",
        "x and x_hat swapped",
        swap(SEED_LOSS, ("entropy(x_hat, x)", "entropy(x, x_hat)")),
        "are swapped",
        1,
    ),
    (
        "seed_loss",
        "the weight ignored",
        swap(SEED_LOSS, ("2 * kl_weight", "2 * 5e-4")),
        "a weight of",
        1,
    ),
    ("seed_loss", "the sign", swap(SEED_LOSS, ("-5e-4 *", "5e-4 *")), "-1 times as much", 1),
    ("seed_loss", "no weight", swap(SEED_LOSS, ("-5e-4 *", "-1 *")), "2e+03 times as much", 1),
    (
        "seed_loss",
        "per image",
        swap(SEED_LOSS, ("(bce + kl).mean()", "bce + kl")),
        "a single number",
        1,
    ),
    (
        "seed_loss",
        "784 forgotten",
        swap(SEED_LOSS, ("* num_pixels / latent_dim", "/ latent_dim")),
        "times smaller",
        2,
    ),
    (
        "seed_loss",
        "not divided by latents",
        swap(SEED_LOSS, (" / latent_dim", "")),
        "a mean over them",
        2,
    ),
    (
        "seed_loss",
        "784 fixed",
        swap(SEED_LOSS, ("kl_weight * num_pixels", "kl_weight * 784")),
        "pixels",
        1,
    ),
    (
        "seed_loss",
        "mu squared for good",
        swap(SEED_LOSS, ("mu.pow(2)", "mu.pow_(2)")),
        "`seed_loss` writes into a tensor",
        1,
    ),
    (
        "seed_loss",
        "four dimensions only",
        swap(
            SEED_LOSS,
            (
                "F.binary_cross_entropy(x_hat, x)",
                'F.binary_cross_entropy(x_hat, x, reduction="none").mean((1, 2, 3))',
            ),
        ),
        "Dimension out of range",
        1,
    ),
    # the loss
    (
        "loss",
        "mean over pixels and latents",
        swap(
            LOSS,
            ("bce.flatten(1).sum(1)", "bce.flatten(1).mean(1)"),
            ("log_var.exp()).sum(1)", "log_var.exp()).mean(1)"),
        ),
        "56 pixels",
        3,
    ),
    (
        "loss",
        "only rows and columns summed",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce.sum((2, 3))")),
        "",
        7,
    ),
    (
        "loss",
        "four dimensions only",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce.sum((1, 2, 3))")),
        "Dimension out of range",
        1,
    ),
    (
        "loss",
        "nan for a perfect copy",
        swap(
            LOSS,
            (
                'F.binary_cross_entropy(x_hat, x, reduction="none")',
                "-(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).clamp(min=-100)",
            ),
        ),
        "perfect copy",
        1,
    ),
    (
        "loss",
        "first channel",
        swap(LOSS, ("bce.flatten(1).sum(1)", "bce[:, 0].sum((1, 2))")),
        "too small",
        3,
    ),
    (
        "loss",
        "squared error",
        swap(LOSS, ('F.binary_cross_entropy(x_hat, x, reduction="none")', "(x - x_hat) ** 2")),
        "squared error",
        2,
    ),
    ("loss", "the sign", swap(LOSS, ("nll = bce", "nll = -bce")), "wrong sign", 3),
    (
        "loss",
        "white pixels only",
        swap(LOSS, ('F.binary_cross_entropy(x_hat, x, reduction="none")', "-x * x_hat.log()")),
        "black ones count too",
        3,
    ),
    ("loss", "sign of the KL", swap(LOSS, ("-0.5 *", "0.5 *")), "wrong sign", 2),
    (
        "loss",
        "KL subtracted",
        swap(LOSS, ("nll + beta * kl", "nll - beta * kl")),
        "larger divergence makes it smaller",
        2,
    ),
    (
        "loss",
        "beta on the pixels",
        swap(LOSS, ("nll + beta * kl", "beta * nll + kl")),
        '"nll" that beta',
        2,
    ),
    (
        "loss",
        "weighted KL",
        swap(
            LOSS,
            ("log_var.exp()).sum(1)", "log_var.exp()).sum(1) * beta"),
            ("nll + beta * kl", "nll + kl"),
        ),
        "beta other than 1",
        2,
    ),
    (
        "loss",
        "beta of the seed inside",
        swap(LOSS, ("nll + beta * kl", "nll + 0.392 * beta * kl")),
        "0.392 times",
        2,
    ),
    (
        "loss",
        "infinite",
        swap(
            LOSS,
            (
                'F.binary_cross_entropy(x_hat, x, reduction="none")',
                "-(x * x_hat.log() + (1 - x) * (1 - x_hat).log())",
            ),
        ),
        "infinite",
        1,
    ),
    (
        "loss",
        "a tuple",
        swap(LOSS, ('{"loss": loss, "nll": nll, "kl": kl}', "(loss, nll, kl)")),
        "a tuple of 3",
        6,
    ),
    (
        "loss",
        "a clamp",
        swap(LOSS, ("entropy(x_hat, x,", "entropy(x_hat.clamp(1e-4, 1 - 1e-4), x,")),
        "a probability of 0.000020 is too small",
        1,
    ),
    (
        "loss",
        "mu squared for good",
        swap(LOSS, ("mu.pow(2)", "mu.pow_(2)")),
        "`cross_entropy_terms` writes into a tensor",
        1,
    ),
    # the metric
    (
        "tracker",
        "count not reset",
        swap(
            MEAN,
            (
                "def reset_state(self):\n        self.total, self.count = 0.0, 0",
                "def reset_state(self):\n        self.total = 0.0",
            ),
        ),
        "After a reset",
        2,
    ),
    ("tracker", "divided by batches", swap(MEAN, ("len(values)", "1")), "number of batches", 2),
    (
        "tracker",
        "sum",
        swap(MEAN, ("return self.total / self.count", "return self.total")),
        "sum over all examples",
        2,
    ),
    ("tracker", "zero for nothing", swap(MEAN, ('float("nan")', "0.0")), "nan was expected", 1),
    (
        "tracker",
        "a graph behind a number",
        swap(
            MEAN,
            ("values.sum().item()", "values.sum()"),
            ("return self.total / self.count", "return float(self.total / self.count)"),
        ),
        "graphs of all its batches",
        1,
    ),
    (
        "tracker",
        "divides by zero",
        swap(MEAN, ('        if self.count == 0:\n            return float("nan")\n', "")),
        "ZeroDivisionError",
        1,
    ),
    (
        "tracker",
        "examples that are nan left out",
        swap(
            MEAN,
            (
                "        self.total += values",
                "        values = values[values == values]\n        self.total += values",
            ),
        ),
        "a loss that has gone wrong",
        1,
    ),
    (
        "tracker",
        "a sum of zero taken for nothing",
        swap(MEAN, ("if self.count == 0", "if self.total == 0")),
        "add up to zero is nan",
        1,
    ),
    (
        "tracker",
        "asked once only",
        swap(
            MEAN,
            (
                "        return self.total / self.count",
                "        found = self.total / self.count\n"
                "        self.reset_state()\n"
                "        return found",
            ),
        ),
        "asked for a second time",
        1,
    ),
    (
        "tracker",
        "the tensors themselves",
        """
class Mean:
    def __init__(self, name):
        self.name, self.all = name, []

    def reset_state(self):
        self.all = []

    def update_state(self, values):
        self.all.append(values.detach())

    def result(self):
        return float(torch.cat(self.all).mean()) if self.all else math.nan
""",
        "still holds that very tensor",
        1,
    ),
    (
        "tracker",
        "a number of NumPy's",
        "import numpy as np\n"
        + swap(MEAN, ("self.total / self.count", "np.float32(self.total / self.count)")),
        "none of Python's own",
        1,
    ),
    (
        "tracker",
        "the values are emptied",
        swap(MEAN, ("values)\n", "values)\n        values.data.zero_()\n")),
        "writes into a tensor",
        1,
    ),
    # fit
    (
        "fit",
        "first part held out",
        swap(
            FIT,
            (
                "train, val = x[:num_train], x[num_train:]",
                "val, train = x[: len(x) - num_train], x[len(x) - num_train :]",
            ),
        ),
        "FIRST part",
        2,
    ),
    (
        "fit",
        "parts swapped",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "int(len(x) * validation_split) or len(x)"),
        ),
        "it trains on 4",
        2,
    ),
    (
        "fit",
        "rounded up",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "math.ceil(len(x) * (1 - validation_split))"),
        ),
        "it trains on 9",
        2,
    ),
    (
        "fit",
        "the held-out part rounded down",
        swap(
            FIT,
            ("int(len(x) * (1 - validation_split))", "len(x) - int(len(x) * validation_split)"),
        ),
        "it trains on 9",
        2,
    ),
    (
        "fit",
        "PyTorch's own generator",
        swap(
            FIT,
            ("generator = torch.Generator().manual_seed(seed)", "torch.manual_seed(seed)"),
            (", generator=generator", ""),
        ),
        "a generator of their own",
        1,
    ),
    (
        "fit",
        "stops before all are told",
        swap(
            FIT,
            (
                "            callback.on_epoch_end(epoch, logs)\n",
                "            callback.on_epoch_end(epoch, logs)\n"
                "            if model.stop_training:\n                break\n",
            ),
        ),
        "when all were told",
        1,
    ),
    (
        "fit",
        "trains on validation",
        swap(
            FIT,
            (
                "        val_logs =",
                "        if len(val) > 0:\n            model.train_step(val.to(model.device))\n"
                "        val_logs =",
            ),
        ),
        "it trains on 13",
        1,
    ),
    (
        "fit",
        "evaluated once",
        swap(FIT, ("if len(val) > 0 else", "if len(val) and epoch == 0 else")),
        "evaluated 1 times",
        3,
    ),
    (
        "fit",
        "evaluates training images",
        swap(FIT, ("model.evaluate(val)", "model.evaluate(train)")),
        "Other images are evaluated",
        2,
    ),
    (
        "fit",
        "no shuffling",
        swap(FIT, ("torch.randperm(len(train), generator=generator)", "torch.arange(len(train))")),
        "never shuffled",
        1,
    ),
    (
        "fit",
        "one order",
        swap(FIT, ("order = torch", "order = order if epoch else torch")),
        "same order",
        1,
    ),
    ("fit", "seed ignored", swap(FIT, (", generator=generator", "")), "differs from run to run", 1),
    ("fit", "seed fixed", swap(FIT, ("manual_seed(seed)", "manual_seed(0)")), "another seed", 1),
    (
        "fit",
        "evaluation mode",
        swap(FIT, ("        model.train()\n", "        model.eval()\n")),
        "evaluation mode",
        1,
    ),
    ("fit", "no gradients", "@torch.no_grad()" + FIT, "without gradients", 1),
    (
        "fit",
        "reset once",
        swap(
            FIT,
            ("    for epoch in range", "    model.reset_metrics()\n    for epoch in range"),
            ("        model.reset_metrics()\n        order", "        order"),
            ("model.evaluate(val)", "keep(model, val)"),
            (
                "def fit_model",
                "def keep(m, x):\n    v = m.values\n    r = m.evaluate(x)\n    m.values = v"
                "\n    return r\n\n\ndef fit_model",
            ),
        ),
        "are of [8, 16, 24] images",
        1,
    ),
    ("fit", "val_ forgotten", swap(FIT, ('"val_" + name', "name")), "val_loss", 2),
    (
        "fit",
        "last epoch only",
        swap(
            FIT,
            ("        history.record(epoch, logs)\n", ""),
            ("    return history", "    history.record(epoch, logs)\n    return history"),
        ),
        "After 3 epochs",
        1,
    ),
    ("fit", "one epoch more", swap(FIT, ("range(epochs)", "range(epochs + 1)")), "", 4),
    (
        "fit",
        "returns the dict",
        swap(FIT, ("return history", "return history.history")),
        "no `history`",
        2,
    ),
    (
        "fit",
        "callbacks forgotten",
        swap(FIT, ("            callback.on_epoch_end(epoch, logs)", "            pass")),
        "told set_model, on_train_begin, on_train_end",
        1,
    ),
    ("fit", "set_model forgotten", swap(FIT, ("        callback.set_model(model)\n", "")), "", 4),
    (
        "fit",
        "training metrics only",
        swap(
            FIT,
            (
                "callback.on_epoch_end(epoch, logs)",
                "callback.on_epoch_end(epoch, {k: logs[k] for k in logs if k[:4] != 'val_'})",
            ),
        ),
        "is told the metrics",
        1,
    ),
    (
        "fit",
        "never stops",
        swap(FIT, ("        if model.stop_training:\n            break\n", "")),
        "asked to stop",
        1,
    ),
    ("fit", "stop flag not cleared", swap(FIT, ("    model.stop_training = False\n", "")), "", 4),
    (
        "fit",
        "no end when stopped",
        swap(FIT, ("            break\n", "            return history\n")),
        "`on_train_end` is not called",
        1,
    ),
    (
        "fit",
        "with replacement",
        swap(FIT, ("torch.randperm(len(train)", "torch.randint(len(train), (len(train),)")),
        "does not see every image once",
        3,
    ),
    (
        "fit",
        "orders drawn where the model is",
        swap(FIT, (", generator=generator)", ", generator=generator, device=model.device)")),
        "with a generator that belongs to the other",
        1,
    ),
    (
        "fit",
        "epochs recorded from 1",
        swap(FIT, ("record(epoch,", "record(epoch + 1,")),
        "epochs are counted from 0",
        1,
    ),
    (
        "fit",
        "only the validation empties the metrics",
        swap(
            FIT,
            ("    for epoch in range", "    model.reset_metrics()\n    for epoch in range"),
            ("        model.reset_metrics()\n        order", "        order"),
        ),
        "are of [13, 26, 39] images, not of 13",
        1,
    ),
    (
        "fit",
        "NumPy's own generator",
        "import numpy as np\n"
        + swap(
            FIT,
            ("generator = torch.Generator().manual_seed(seed)", "np.random.seed(seed)"),
            (
                "torch.randperm(len(train), generator=generator)",
                "torch.from_numpy(np.random.permutation(len(train)))",
            ),
        ),
        "a generator of their own",
        1,
    ),
    (
        "fit",
        "a seed for the others",
        swap(FIT, ("    history = H", "    torch.manual_seed(seed)\n    history = H")),
        "something set it",
        1,
    ),
    (
        "fit",
        "x itself is shuffled",
        swap(
            FIT,
            ("order[start:start + batch_size]", "start:start + batch_size"),
            ("        for start", "        train[:] = train[order]\n        for start"),
        ),
        "`fit_model` writes into a tensor",
        1,
    ),
    (
        "fit",
        "the last epoch is not recorded",
        swap(
            FIT,
            ("        history.record(epoch, logs)\n", ""),
            (
                "            break\n",
                "            break\n        history.record(epoch, logs)\n",
            ),
        ),
        "does not hold two epochs",
        1,
    ),
    # the model
    (
        "model",
        "latents fixed",
        swap(
            MODEL,
            ("FashionEncoder(latent_dim,", "FashionEncoder(2,"),
            ("FashionDecoder(latent_dim,", "FashionDecoder(2,"),
        ),
        "parameters",
        1,
    ),
    (
        "model",
        "beta ignored",
        swap(MODEL, ("self.beta = beta", "self.beta = 0.392")),
        "beta = 0.392",
        1,
    ),
    (
        "model",
        "beta changes with the latents",
        swap(MODEL, ("self.beta = beta", "self.beta = beta * 2 / latent_dim")),
        "beta = 1.66",
        1,
    ),
    (
        "model",
        "swapped in the layer",
        swap(MODEL, ("self.sampling(mu, log_var, g", "self.sampling(log_var, mu, g")),
        "wrong order",
        1,
    ),
    (
        "model",
        "swapped on return",
        swap(MODEL, ("self.decoder(z), mu, log_var", "self.decoder(z), log_var, mu")),
        "`mu` of a forward pass",
        1,
    ),
    (
        "model",
        "generator lost",
        swap(MODEL, ("log_var, generator)", "log_var)")),
        "generator handed on",
        1,
    ),
    (
        "model",
        "image only",
        swap(MODEL, ("self.decoder(z), mu, log_var", "self.decoder(z)")),
        "a tensor of shape",
        7,
    ),
    (
        "model",
        "zero_grad too late",
        swap(
            MODEL,
            (
                "        self.optimizer.zero_grad()\n        loss.backward()\n",
                "        loss.backward()\n        self.optimizer.zero_grad()\n",
            ),
        ),
        "no step was taken",
        1,
    ),
    ("model", "no step", swap(MODEL, ("        self.optimizer.step()\n", "")), "no step", 1),
    (
        "model",
        "nll minimised",
        swap(MODEL, ('terms["loss"].mean()', 'terms["nll"].mean()')),
        "not down the gradient",
        1,
    ),
    (
        "model",
        "latent_dim not kept",
        swap(MODEL, ("        self.latent_dim = latent_dim\n", "")),
        "it has latent_dim = None",
        1,
    ),
    (
        "model",
        "image_shape not kept",
        swap(MODEL, ("        self.image_shape = image_shape\n", "")),
        "it has image_shape = [1, 28, 28]",
        1,
    ),
    (
        "model",
        "uphill",
        swap(MODEL, ('terms["loss"].mean()', '-terms["loss"].mean()')),
        "goes up",
        1,
    ),
    (
        "model",
        "an optimiser of its own",
        swap(
            MODEL,
            (
                "        self.optimizer.zero_grad()\n",
                "        self.optimizer = torch.optim.Adam(self.parameters())\n"
                "        self.optimizer.zero_grad()\n",
            ),
        ),
        "",
        2,
    ),
    (
        "model",
        "kl not tracked",
        swap(MODEL, ('        self.kl_tracker.update_state(terms["kl"])\n', "")),
        "does not update the metric 'kl'",
        1,
    ),
    (
        "model",
        "metrics in a dict",
        swap(
            MODEL,
            (
                '        self.loss_tracker = Mean("loss")\n'
                '        self.nll_tracker = Mean("nll")\n'
                '        self.kl_tracker = Mean("kl")\n',
                '        self.all = {k: Mean(k) for k in ("loss", "nll", "kl")}\n',
            ),
            ("self.loss_tracker.", 'self.all["loss"].'),
            ("self.nll_tracker.", 'self.all["nll"].'),
            ("self.kl_tracker.", 'self.all["kl"].'),
        ),
        "loss, nll and kl were expected",
        1,
    ),
    (
        "model",
        "tracks only the last batch",
        swap(
            MODEL,
            (
                "    def update_metrics(self, terms):\n",
                "    def update_metrics(self, terms):\n        self.reset_metrics()\n",
            ),
        ),
        "knows one only",
        1,
    ),
    (
        "model",
        "train_step does not track",
        swap(
            MODEL,
            (
                "        self.optimizer.step()\n        self.update_metrics(terms)\n",
                "        self.optimizer.step()\n",
            ),
        ),
        "`train_step` does not update",
        1,
    ),
    (
        "model",
        "predict returns x",
        swap(MODEL, ("return self.decoder(mu)", "return batch")),
        "hands back its input",
        1,
    ),
    (
        "model",
        "predict returns the codes",
        swap(MODEL, ("return self.decoder(mu)", "return mu")),
        "shape",
        1,
    ),
    (
        "model",
        "two steps a batch",
        swap(MODEL, ("        self.optimizer.step()\n", 2 * "        self.optimizer.step()\n")),
        "2 times as long",
        1,
    ),
    (
        "model",
        "the terms of all steps are kept",
        swap(
            MODEL,
            ("        self.beta = beta\n", "        self.beta = beta\n        self.all = []\n"),
            ("        loss = terms", "        self.all.append(terms)\n        loss = terms"),
        ),
        "holds on to one more graph",
        1,
    ),
    (
        "model",
        "trained in evaluation mode",
        swap(MODEL, ("        loss.backward()", "        self.eval()\n        loss.backward()")),
        "not in training mode any more",
        1,
    ),
    (
        "model",
        "predict_step leaves evaluation mode behind",
        swap(
            MODEL,
            (
                "        return self.decoder(mu)",
                "        self.eval()\n        return self.decoder(mu)",
            ),
        ),
        "left in evaluation mode by `predict_step`",
        1,
    ),
    (
        "model",
        "the divergence does not teach",
        swap(
            MODEL,
            ("self.decoder(z), mu, log_var", "self.decoder(z), mu.detach(), log_var.detach()"),
        ),
        "does not train it as it should",
        1,
    ),
    (
        "model",
        "the code does not teach",
        swap(MODEL, ("self.decoder(z), mu", "self.decoder(z.detach()), mu")),
        "Of `x_hat`: No gradient reaches",
        1,
    ),
    (
        "model",
        "draws only while it is trained",
        swap(
            MODEL,
            (
                "z = self.sampling(mu, log_var, generator)",
                "z = self.sampling(mu, log_var, generator) if self.training else mu",
            ),
        ),
        "In evaluation mode `x_hat` is the same",
        1,
    ),
    (
        "model",
        "a seed",
        swap(
            MODEL,
            (
                "        self.beta = beta\n",
                "        self.beta = beta\n        torch.manual_seed(3)\n",
            ),
        ),
        "next random numbers are always the same",
        1,
    ),
    (
        "model",
        "the losses of all steps added up",
        swap(
            MODEL,
            ("        self.beta = beta\n", "        self.beta = beta\n        self.all = 0.0\n"),
            (
                "        loss.backward()",
                "        self.all = self.all + loss\n        loss.backward()",
            ),
        ),
        "holds on to one more graph",
        1,
    ),
    # early stopping
    (
        "early_stopping",
        "default is the training loss",
        swap(EARLY_STOPPING, ('monitor="val_loss"', 'monitor="loss"')),
        "training is not ended",
        1,
    ),
    (
        "early_stopping",
        "a shallow copy",
        swap(
            EARLY_STOPPING,
            ("copy.deepcopy(self.model.state_dict())", "dict(self.model.state_dict())"),
        ),
        "weights of the last one",
        2,
    ),
    (
        "early_stopping",
        "never restored",
        swap(
            EARLY_STOPPING,
            (
                "        if self.best_weights is not None:\n"
                "            self.model.load_state_dict(self.best_weights)",
                "        pass",
            ),
        ),
        "the last one",
        2,
    ),
    (
        "early_stopping",
        "waits too short",
        swap(EARLY_STOPPING, ("without_improvement >= self", "without_improvement + 1 >= self")),
        "patience",
        1,
    ),
    (
        "early_stopping",
        "waits too long",
        swap(EARLY_STOPPING, ("without_improvement >= self", "without_improvement > self")),
        "where Keras makes",
        1,
    ),
    (
        "early_stopping",
        "all losses nan",
        swap(EARLY_STOPPING, ("if self.best_weights is not None:", "if True:")),
        "NoneType",
        2,
    ),
    (
        "early_stopping",
        "forgets only the best",
        swap(
            EARLY_STOPPING,
            (
                "        self.best_weights = None\n        self.epochs_without_improvement = 0\n",
                "",
            ),
            (
                "        self.patience = patience\n",
                "        self.patience = patience\n"
                "        self.epochs_without_improvement, self.best_weights = 0, None\n",
            ),
        ),
        "of the FIRST one",
        1,
    ),
    (
        "early_stopping",
        "equal is better",
        swap(EARLY_STOPPING, ("logs[self.monitor] < self.best", "logs[self.monitor] <= self.best")),
        "5, 5, 5, 5",
        1,
    ),
    (
        "early_stopping",
        "nan is better",
        swap(
            EARLY_STOPPING,
            ("if logs[self.monitor] < self.best:", "if not logs[self.monitor] >= self.best:"),
        ),
        "nan",
        1,
    ),
    (
        "early_stopping",
        "compared with the last",
        swap(
            EARLY_STOPPING,
            ("        else:\n", "        else:\n            self.best = logs[self.monitor]\n"),
        ),
        "",
        1,
    ),
    (
        "early_stopping",
        "the monitor ignored",
        swap(EARLY_STOPPING, ("logs[self.monitor]", 'logs["val_loss"]')),
        "`monitor` names another metric",
        1,
    ),
    (
        "early_stopping",
        "only positive losses",
        swap(EARLY_STOPPING, ("if logs[", "if 0 < logs[")),
        "the losses 1, 0, -1, -2",
        2,
    ),
    (
        "early_stopping",
        "small improvements do not count",
        swap(EARLY_STOPPING, ("< self.best:", "< self.best - 0.001:")),
        "0.5003",
        1,
    ),
    (
        "early_stopping",
        "another's wish taken back",
        swap(
            EARLY_STOPPING,
            (
                "            if self.epochs_without_improvement >= self.patience:\n"
                "                self.model.stop_training = True",
                "            bad = self.epochs_without_improvement\n"
                "            self.model.stop_training = bad >= self.patience",
            ),
        ),
        "ever set it to False",
        1,
    ),
    (
        "early_stopping",
        "gives back only where nobody stopped",
        swap(
            EARLY_STOPPING,
            (
                "                self.model.stop_training = True\n",
                "                self.model.stop_training = True\n"
                "                if self.best_weights:\n"
                "                    self.model.load_state_dict(self.best_weights)\n",
            ),
            (
                "if self.best_weights is not None:",
                "if self.best_weights is not None and not self.model.stop_training:",
            ),
        ),
        "After epochs with the losses 5, 3, 4 the model",
        1,
    ),
    (
        "early_stopping",
        "forgets all but the count",
        swap(
            EARLY_STOPPING,
            (
                "        self.best_weights = None\n        self.epochs_without_improvement = 0\n",
                "        self.best_weights = None\n",
            ),
            (
                "        self.patience = patience\n",
                "        self.patience = patience\n        self.epochs_without_improvement = 0\n",
            ),
        ),
        "Has everything from the first training been forgotten",
        1,
    ),
    # the map
    (
        "manifold",
        "tail ignored",
        swap(MANIFOLD, ("linspace(tail, 1 - tail,", "linspace(0.01, 0.99,")),
        "below the first",
        1,
    ),
    (
        "manifold",
        "middles of equal cells",
        swap(MANIFOLD, ("torch.linspace(tail, 1 - tail, num)", "(torch.arange(num) + 0.5) / num")),
        "below the first",
        1,
    ),
    (
        "manifold",
        "never far out",
        swap(MANIFOLD, (", num)", ", num).clamp(0.01, 0.99)")),
        "a tail of 0.0002, the prior has 0.01 below the first",
        1,
    ),
    (
        "manifold",
        "the values are turned round for good",
        swap(
            MANIFOLD,
            ("    return torch.stack", "    values.copy_(values.flip(0))\n    return torch.stack"),
            ("values.flip(0) for", "values for"),
            ("for x in values]", "for x in values.flip(0)]"),
        ),
        "`manifold_codes` writes into a tensor",
        1,
    ),
    ("manifold", "cdf", swap(MANIFOLD, (".icdf(", ".cdf(")), "below the first", 1),
    ("manifold", "falling", swap(MANIFOLD, ("tail, 1 - tail", "1 - tail, tail")), "fall", 1),
    (
        "manifold",
        "by columns",
        swap(
            MANIFOLD,
            ("for y in values.flip(0) for x in values", "for x in values for y in values.flip(0)"),
        ),
        "Columns are filled first",
        1,
    ),
    (
        "manifold",
        "mirrored",
        swap(MANIFOLD, ("for x in values]", "for x in values.flip(0)]")),
        "mirrored",
        1,
    ),
    (
        "manifold",
        "a square",
        swap(MANIFOLD, ("for x in values])", "for x in values]).view(len(values), -1, 2)")),
        "shape",
        1,
    ),
]

WORDS = {
    ("padding", "odd zero put before the line"): "it gives 1 before and 0 after",
    ("padding", "SameConv2d pads evenly on both sides"): "stride 2, a map of 8x7",
    ("padding", "F.pad's order: height before width"): "shape",
    ("padding", "SameConvTranspose2d cut at the end only"): "`SameConvTranspose2d`",
    ("padding", "a slice that ends at -0"): "shape",
    ("padding", "output_padding in SameConvTranspose2d"): "stride 2, a map of 8x7",
    ("encoder", "padding=1 at the stride of 2"): "other numbers than the layers",
    ("encoder", "no ReLU after the linear layer of 32"): "other numbers than the layers",
    ("encoder", "ReLU after mu and log_var"): "`mu` is never negative",
    ("encoder", "one layer gives both mu and log_var"): "one and the same",
    ("encoder", "PyTorch's initial weights"): "biases are not zero",
    ("encoder", "images taken for channels-last and reshaped"): "other numbers than the layers",
    ("sampling", "log_var taken for the standard deviation"): "where `log_var` is",
    ("sampling", "variance in place of the standard deviation"): "where `log_var` is",
    ("sampling", "one noise for the whole batch"): "every example",
    ("sampling", "the same noise at every call"): "same at every call",
    ("sampling", "generator ignored"): "generator handed on",
    ("sampling", "noise drawn on the CPU"): "makes a tensor on the CPU",
    ("decoder", "output_padding"): "cut off at the wrong end",
    ("decoder", "no sigmoid"): "pixel reaches from",
    ("decoder", "sigmoid twice"): "pixels stay between 0.50",
    ("decoder", "ReLU in place of the sigmoid"): "pixel reaches from",
    ("decoder", "height and width swapped"): "Two dimensions are swapped",
    ("decoder", "image brought to its shape by reshape"): "other numbers than the layers",
    ("seed_loss", "sum over the latent dimensions"): "5 times as much",
    ("seed_loss", "factor 1/2 put in"): "0.5 times as much",
    ("seed_loss", "pixels added up"): "56 times the right value",
    ("seed_loss", "beta does not depend on the latents"): "2.5 times the right value",
    ("seed_loss", "factor 2 missing in beta"): "half the right value",
    ("loss", "mean over the pixels"): "56 pixels here",
    ("loss", "mean over the batch"): "one number for",
    ("loss", "x and x_hat swapped"): '"nll" is',
    ("loss", "probabilities taken for logits"): '"nll" is',
    ("loss", "factor 1/2 missing"): "twice the right",
    ("loss", "log_var taken for log std"): '"kl" is',
    ("loss", "mean over the latent dimensions"): "5 latent dimensions here",
    ("loss", "beta ignored"): "whatever beta",
    ("loss", "prior made on the CPU"): "a tensor on the CPU",
    ("tracker", "mean of the batches' means"): "The result is",
    ("tracker", "never reset"): "After a reset",
    ("tracker", "only the last batch"): "The result is",
    ("tracker", "a tensor with its graph is kept"): "plain number",
    ("tracker", "a tensor of the GPU handed to NumPy"): "on the GPU to NumPy",
    ("fit", "validation images are trained on"): "it trains on 13",
    ("fit", "shuffled before the split"): "not the last ones",
    ("fit", "trained in evaluation mode or without gradients"): "evaluation mode",
    ("fit", "metrics read after the validation"): "are of [0, 0, 0] images",
    ("fit", "last batch dropped"): "come as batches of 4, 4, 4, 4, 4, 4",
    ("fit", "divided by 255 once more"): "an image that is not in `x`",
    ("fit", "metrics not reset"): "are of [9, 8, 8] images",
    ("fit", "batches left on the CPU"): "that is on the CPU",
    ("model", "forward decodes mu"): "same at every call",
    ("model", "no zero_grad"): "second is not that of its own batch",
    ("model", "sum over the batch minimised"): "4 times as long",
    ("model", "beta left out of the step"): "not down the gradient",
    ("model", "test_step learns"): "`test_step` changes the weights",
    ("model", "two metrics of one name"): "loss, nll and kl were expected",
    ("model", "predict_step draws"): "something in it is random",
    ("model", "test_step leaves the model in evaluation mode"): "left in evaluation mode",
    ("early_stopping", "training loss watched"): "training is not ended",
    ("early_stopping", "bad epochs counted over the whole training"): "do not follow one another",
    ("early_stopping", "best weights not copied, or never given back"): "the last one",
    ("early_stopping", "best weights given back only when stopped"): "the last one",
    ("early_stopping", "first training remembered in the second"): "a second training",
    ("manifold", "even grid from -5 to 5"): "evenly spaced",
    ("manifold", "probabilities from 0 to 1"): "infinite",
    ("manifold", "rows from the bottom up"): "What `manifold_codes` gives",
    ("manifold", "the two dimensions swapped"): "What `manifold_codes` gives",
    (
        "manifold",
        "columns from the bottom up, as meshgrid gives them",
    ): "What `manifold_codes` gives",
    ("manifold", "codes made on the CPU"): "The result is on the CPU",
}
"""What the check itself observes of a known misconception, beside the message."""


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(3 if name in SLOW else 8):
        verdict = judged(name, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)
        assert verdict.score == verdict.max_score == EXERCISES[name]


@pytest.mark.parametrize(("name", "source"), right_answers("ps4", SLOW))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 4):
        verdict = judged(name, source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(
    ("name", "mistake", "source", "words", "num_lost"), wrong_answers(WRONG, SLOW)
)
def test_a_known_mistake_loses_points_and_is_described(
    judged, name, mistake, source, words, num_lost
):
    verdict = judged(name, source)
    lost = [part.name for part in verdict.criteria if not part.passed]
    messages = " ".join(part.message for part in verdict.criteria)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert words in messages, messages
    assert len(lost) == num_lost, (lost, messages)
    assert verdict.message


@pytest.mark.parametrize(
    "change",
    [
        ("    def test_step", "        return loss\n\n    def test_step"),
        ("        loss = terms", "        self.terms = terms\n        loss = terms"),
    ],
)
def test_a_step_may_give_back_or_keep_what_is_its_own(judged, change):
    verdict = judged("model", swap(MODEL, change))
    assert verdict.verdict == "pass", (verdict.message, verdict.detail)


@pytest.mark.parametrize("one", mistakes("ps4"))
def test_a_misconception_is_named_and_described(judged, one):
    assert_named(judged, one.exercise.partition("_")[2], one, WORDS)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_scores_nothing(judged, name):
    blanks = []
    for solution in SOLUTIONS[name]:
        if solution[0].islower():
            blanks.append(f"def {solution}(*args, **kwargs):\n    raise NotImplementedError()\n")
            continue
        reference = getattr(home_of(solution), solution)
        base = reference.__mro__[1].__name__
        base = f"nn.{base}" if reference.__mro__[1].__module__.startswith("torch") else base
        base = "" if base == "object" else f"({base})"
        methods = [
            f"    def {member}(self, *args, **kwargs):\n        raise NotImplementedError()\n"
            for member, value in vars(reference).items()
            if inspect.isfunction(value) and (member != "__init__" or name != "padding")
        ]
        blanks.append(f"class {solution}{base}:\n" + "\n".join(methods))
    dotted = [f"{home_of(solution).__name__}.{solution}" for solution in SOLUTIONS[name]]
    verdict = judged(name, *blanks, solutions=dotted)
    assert (verdict.verdict, verdict.score) == ("blank", 0), verdict


def test_the_course_asks_for_these_points():
    assert sum(EXERCISES.values()) == 32
    tree = ast.parse(inspect.getsource(__import__("autograder.checks.ps4", fromlist=["ps4"])))
    checks = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name[0] != "_"
        and any(isinstance(part, ast.YieldFrom) for part in ast.walk(node))
    }
    assert checks == set(EXERCISES)


def test_the_faulty_starter_scores_nothing(judged):
    exercises = load_assignment("ps4").exercises
    starter = next(exercise.body for exercise in exercises if exercise.start)
    verdict = judged("early_stopping", starter)
    assert verdict.score == 0, [part.name for part in verdict.criteria if part.passed]
