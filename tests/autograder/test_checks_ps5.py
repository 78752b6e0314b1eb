"""The checks of ps5: the reference and other right answers score in full, wrong ones lose points.

What students get wrong most often stands in `autograder.misconceptions.ps5`, and has a name. The
wrong answers here are rarer, or those of the notebook that the assignment grew from. Beside each
are words of the message that it gets.
"""

import ast
import inspect
from types import SimpleNamespace

import pytest
from known import assert_named, mistakes, right, right_answers, wrong_answers

from autograder.judge import judge
from autograder.misconceptions import of_assignment
from autograder.misconceptions import swapped as swap
from autograder.variants import of_assignment as variants_of
from vae_course import celeba_vae
from vae_course.authoring.assignment import MACHINE, load_assignment

VARIANTS = variants_of("ps5")
EXERCISES = {
    "scale": 2,
    "encoder": 5,
    "decoder": 4,
    "log_likelihood": 4,
    "sample": 2,
    "kl": 2,
    "model": 5,
    "checkpoint": 4,
    "interpolate": 2,
    "attributes": 2,
}
SLOW = {"encoder", "model"}
"""Their checks take a second or two."""


def _cell() -> str:
    """The reference's module as a cell: without its imports from the course."""
    tree = ast.parse(inspect.getsource(celeba_vae))
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and node.module.startswith("vae_course"))
    ]
    return ast.unparse(tree)


GIVEN = _cell()


@pytest.fixture(scope="session")
def judged(student_of):
    def run(exercise: str, *cells: str, seed: int = 0, solutions=(), name_mistakes=False):
        what = SimpleNamespace(id=f"ps5_{exercise}", points=EXERCISES[exercise])
        what.solutions = solutions
        return judge(what, student_of(GIVEN, *cells), seed, name_mistakes=name_mistakes)

    return run


SCALE = right("ps5_scale", "clamped")
ENCODER = right("ps5_encoder", "a loop over the layers")
DECODER = right("ps5_decoder", "layer by layer")
LOGLIK = right("ps5_log_likelihood", "constant, log var and distance")
DRAW = right("ps5_sample", "torch.randn")
KL = "def gaussian_kl_from_var(mu, var):\n    return "
DEVICE = 'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
FOR_GOOD = ("    with torch.no_grad():", "    torch.set_grad_enabled(False)\n    if True:")
MODEL = right("ps5_model", "no_grad as a decorator")
CHECKPOINT = right("ps5_checkpoint", "os.path")
PATH = right("ps5_interpolate", "one code after another")
ATTRIBUTES = right("ps5_attributes", "two means")
STARTER = """
def save_checkpoint(path, model, optimizer, epoch, history, generator=None):
    torch.save(model.state_dict(), path)

def restore_checkpoint(path, model, optimizer, generator=None):
    model.load_state_dict(torch.load(path), strict=False)
    return 0, {"train": [], "held_out": []}

def restore_face_vae(path):
    model = FaceVAE()
    model.load_state_dict(torch.load(path))
    return model
"""


def loss_of(body):
    return f"def gaussian_log_likelihood(x, mean, var=1.0):\n    return {body}"


WRONG = [
    # pixels
    (
        "scale",
        "whole numbers",
        "def scale_images(images):\n    return 2 * images - 1\n" + SCALE[SCALE.index("def uns") :],
        "whole numbers",
    ),
    ("scale", "half way", swap(SCALE, ("(images - 0.5) / 0.5", "images - 0.5")), "half"),
    ("scale", "256", swap(SCALE, ("/ 255.0", "/ 256.0")), "uint8"),
    (
        "scale",
        "channels last",
        swap(SCALE, ("return (images", "images = images.permute(0, 2, 3, 1)\n    return (images")),
        "swapped",
    ),
    (
        "scale",
        "told by the largest value",
        swap(SCALE, ("images.dtype == torch.uint8", "images.max() > 1")),
        "nearly black",
    ),
    (
        "scale",
        "in place",
        swap(SCALE, ("return (images - 0.5) / 0.5", "return images.sub_(0.5).div_(0.5)")),
        "writes into a tensor",
    ),
    (
        "scale",
        "the way back in place",
        swap(SCALE, ("x * 0.5 + 0.5", "x.mul_(0.5).add_(0.5)")),
        "writes into a tensor",
    ),
    (
        "scale",
        "doubles taken for bytes",
        swap(SCALE, ("images.dtype == torch.uint8", "images.dtype != torch.float32")),
        "in double precision",
    ),
    (
        "scale",
        "whole numbers taken for bytes",
        swap(SCALE, ("images.dtype == torch.uint8", "not images.float().frac().any()")),
        "all 0 or 1",
    ),
    (
        "scale",
        "of one layout only",
        swap(SCALE, ("(images - 0.5) / 0.5", "((images - 0.5) / 0.5).view(-1).view(images.shape)")),
        "view size",
    ),
    (
        "scale",
        "cut off only if both ends are passed",
        swap(
            SCALE,
            (
                "return torch.clamp(x * 0.5 + 0.5, 0, 1)",
                "x = x * 0.5 + 0.5\n    return x.clamp(0, 1) if x.min() < 0 and x.max() > 1 else x",
            ),
        ),
        "darker than black",
    ),
    (
        "scale",
        "cut off in place",
        swap(SCALE, ("torch.clamp(x * 0.5 + 0.5, 0, 1)", "x.clamp_(-1, 1) * 0.5 + 0.5")),
        "writes into a tensor",
    ),
    # the encoder
    (
        "encoder",
        "halves interleaved",
        swap(
            ENCODER,
            ("h[:, :self.k]", "h[:, ::2]"),
            ("F.softplus(h[:, self.k:])", "F.softplus(h[:, 1::2])"),
        ),
        "every second",
    ),
    (
        "encoder",
        "no ReLU after the last convolution",
        swap(
            ENCODER,
            ("self.conv4, self.conv5)", "self.conv4)"),
            ("h = h.flatten(1)", "h = self.conv5(h).flatten(1)"),
        ),
        "without the ReLU after the last convolution",
    ),
    (
        "encoder",
        "no ReLU after the second convolution",
        swap(
            ENCODER,
            ("h = F.relu(conv(h))", "h = conv(h) if conv is self.conv2 else F.relu(conv(h))"),
        ),
        "without the ReLU after the second convolution",
    ),
    (
        "encoder",
        "channels not looked at",
        swap(ENCODER, ("x.shape[1:] != (self.channels, 64, 64)", "x.shape[-2:] != (64, 64)")),
        "(2, 1, 64, 64)",
    ),
    (
        "encoder",
        "only the width looked at",
        swap(ENCODER, ("x.shape[1:] != (self.channels, 64, 64)", "x.shape[-1] != 64")),
        "(2, 3, 32, 64)",
    ),
    (
        "encoder",
        "floor on the CPU",
        swap(ENCODER, ("+ 1e-6", "+ torch.full((1, self.k), 1e-6)")),
        "makes a tensor on the CPU",
    ),
    ("encoder", "batch forgotten", swap(ENCODER, ("h.flatten(1)", "h.view(4, 256)")), ""),
    ("encoder", "floor too high", swap(ENCODER, ("+ 1e-6", "+ 0.5")), "0.3"),
    (
        "encoder",
        "exponential",
        swap(ENCODER, ("F.softplus(h[:, self.k:]) + 1e-6", "h[:, self.k:].exp()")),
        "exponential",
    ),
    (
        "encoder",
        "a standard deviation",
        swap(ENCODER, ("F.softplus(h[:, self.k:])", "F.softplus(h[:, self.k:]) ** 2")),
        "squared",
    ),
    (
        "encoder",
        "ReLU",
        swap(ENCODER, ("F.softplus(h[:, self.k:])", "F.relu(h[:, self.k:])")),
        "cut off",
    ),
    (
        "encoder",
        "no activation",
        swap(ENCODER, ("F.softplus(h[:, self.k:]) + 1e-6", "h[:, self.k:]")),
        "output itself",
    ),
    (
        "encoder",
        "log-variance",
        swap(ENCODER, ("return mu, var", "return mu, var.log()")),
        "`var`",
    ),
    (
        "encoder",
        "tanh on the means",
        swap(ENCODER, ("mu = h[:, :self.k]", "mu = torch.tanh(h[:, :self.k])")),
        "does not grow",
    ),
    (
        "encoder",
        "one tensor",
        swap(ENCODER, ("return mu, var", "return torch.cat([mu, var], 1)")),
        "where `mu` and `var`",
    ),
    (
        "encoder",
        "wrong halves",
        swap(
            ENCODER,
            ("h[:, :self.k]", "h[:len(h) // 2]"),
            ("h[:, self.k:]", "h[len(h) // 2:]"),
        ),
        "shape",
    ),
    (
        "encoder",
        "no activation between",
        swap(ENCODER, ("F.relu(conv(h))", "conv(h)")),
        "without the ReLU after the first convolution, the second",
    ),
    (
        "encoder",
        "too narrow",
        swap(ENCODER, ("nn.Conv2d(64, 256, 4)", "nn.Conv2d(64, 128, 4)"), ("(256, 2", "(128, 2")),
        "fewer",
    ),
    (
        "encoder",
        "kernel 3",
        swap(ENCODER, ("(32, 64, 4, 2, 1)", "(32, 64, 3, 2, 1)")),
        "fewer",
    ),
    (
        "encoder",
        "any size welcome",
        swap(
            ENCODER,
            ("if x.shape[1:] != (self.channels, 64, 64):", "if False:"),
            ("h = x\n", "h = F.interpolate(x, (64, 64))\n"),
        ),
        "not refused",
    ),
    (
        "encoder",
        "an assert",
        swap(
            ENCODER,
            ("if x.shape[1:] != (self.channels, 64, 64):", "if True:"),
            ("raise ValueError(f", "assert x.shape[2:] == (64, 64), (f"),
        ),
        "AssertionError",
    ),
    (
        "encoder",
        "layer unregistered",
        swap(
            ENCODER,
            (
                "self.linear = nn.Linear(256, 2 * latent_dim)",
                "self.l = [nn.Linear(256, 2 * latent_dim)]",
            ),
            ("self.linear(h)", "self.l[0](h)"),
        ),
        "fewer",
    ),
    (
        "encoder",
        "cut off",
        swap(ENCODER, ("h = self.linear(h)", "h = self.linear(h.detach())")),
        "No",
    ),
    ("encoder", "floor too low", swap(ENCODER, ("+ 1e-6", "+ 1e-9")), "at least `VAR_FLOOR`"),
    (
        "encoder",
        "exponential that overflows",
        swap(ENCODER, ("F.softplus(h[:, self.k:])", "torch.log1p(h[:, self.k:].exp())")),
        "infinite",
    ),
    (
        "encoder",
        "numbers counted",
        swap(
            ENCODER,
            (
                "x.shape[1:] != (self.channels, 64, 64)",
                "x[0].numel() != self.channels * 64 * 64",
            ),
        ),
        "(2, 3, 32, 128)",
    ),
    (
        "encoder",
        "no batch, and no ValueError",
        swap(ENCODER, ("x.shape[1:]", "x.shape[-3:]")),
        "(3, 64, 64)",
    ),
    (
        "encoder",
        "variances from a copy",
        swap(
            ENCODER,
            ("h = self.linear(h)", "copy, h = self.linear(h.detach()), self.linear(h)"),
            ("F.softplus(h[", "F.softplus(copy["),
        ),
        "The gradient of `var` does not reach all",
    ),
    (
        "encoder",
        "dropout in training mode",
        swap(ENCODER, ("h.flatten(1)", "F.dropout(h.flatten(1), 0.1, self.training)")),
        "in training mode than in evaluation",
    ),
    (
        "encoder",
        "images wiped out",
        swap(ENCODER, ("h = x\n", "h = x.clone()\n        x.zero_()\n")),
        "writes into a tensor",
    ),
    (
        "encoder",
        "seed inside",
        swap(
            ENCODER,
            ("super().__init__()", "super().__init__()\n        torch.manual_seed(0)"),
        ),
        "begins with the same weights",
    ),
    # the decoder
    (
        "decoder",
        "clamped",
        swap(DECODER, ("torch.tanh(self.tconv5(h))", "F.relu(torch.tanh(self.tconv5(h)))")),
        "stay between",
    ),
    (
        "decoder",
        "tanh twice",
        swap(DECODER, ("torch.tanh(self.tconv5(h))", "torch.tanh(torch.tanh(self.tconv5(h)))")),
        "stay between",
    ),
    (
        "decoder",
        "no activations",
        swap(
            DECODER,
            ("F.relu(self.tconv", "(self.tconv"),
            ("F.relu(self.linear(z))", "self.linear(z)"),
        ),
        "linear",
    ),
    (
        "decoder",
        "batch mixed up",
        swap(DECODER, (".view(-1, 256, 1, 1)", ".T.reshape(-1, 256, 1, 1)")),
        "",
    ),
    (
        "decoder",
        "no bias",
        swap(
            DECODER,
            (
                "nn.ConvTranspose2d(64, 64, 4, 2, 1)",
                "nn.ConvTranspose2d(64, 64, 4, 2, 1, bias=False)",
            ),
        ),
        "64 fewer",
    ),
    (
        "decoder",
        "output layer frozen",
        swap(DECODER, ("torch.tanh(self.tconv5(h))", "torch.tanh(self.tconv5(h.detach()))")),
        "No gradient",
    ),
    (
        "decoder",
        "no ReLU after the linear layer",
        swap(DECODER, ("F.relu(self.linear(z))", "self.linear(z)")),
        "without the ReLU after the linear layer",
    ),
    (
        "decoder",
        "no ReLU after the third transposed convolution",
        swap(DECODER, ("F.relu(self.tconv3(h))", "self.tconv3(h)")),
        "without the ReLU after the third transposed convolution",
    ),
    (
        "decoder",
        "no ReLUs between",
        swap(DECODER, ("F.relu(self.tconv", "(self.tconv")),
        "without the ReLU after the first transposed convolution, the second",
    ),
    (
        "decoder",
        "code detached",
        swap(DECODER, ("F.relu(self.linear(z))", "F.relu(self.linear(z.detach()))")),
        "No gradient reaches the codes",
    ),
    (
        "decoder",
        "centred over the batch in training mode",
        swap(
            DECODER,
            (
                "h = F.relu(self.tconv2(h))",
                "h = F.relu(self.tconv2(h))\n        h = h - self.training * h.mean(0)",
            ),
        ),
        "the decoder gives something else in training mode",
    ),
    (
        "decoder",
        "seed inside",
        swap(
            DECODER,
            ("super().__init__()", "super().__init__()\n        torch.manual_seed(0)"),
        ),
        "begins with the same weights",
    ),
    # the likelihood
    (
        "log_likelihood",
        "root",
        swap(LOGLIK, ("device=x.device)", "device=x.device) ** 0.5")),
        "root of the variance",
    ),
    (
        "log_likelihood",
        "2 pi once",
        loss_of(
            "-0.5 * (math.log(2 * math.pi) + (torch.log(torch.as_tensor(var)) "
            "+ (x - mean) ** 2 / var).flatten(1).sum(1))"
        ),
        "",
    ),
    (
        "log_likelihood",
        "log var once",
        loss_of(
            "-0.5 * (56 * math.log(2 * math.pi) + math.log(var) "
            "+ ((x - mean) ** 2 / var).flatten(1).sum(1))"
        ),
        "what does the variance do in the constant",
    ),
    (
        "log_likelihood",
        "not divided",
        swap(LOGLIK, ("/ (2 * var)", "/ 2")),
        "what the distance from the mean costs",
    ),
    (
        "log_likelihood",
        "not squared",
        swap(LOGLIK, ("(x - mean) ** 2", "(x - mean).abs()")),
        "what the distance from the mean costs",
    ),
    ("log_likelihood", "mean over the batch", swap(LOGLIK, (".sum(1)", ".sum(1).mean()")), "batch"),
    ("log_likelihood", "unreduced", swap(LOGLIK, (".flatten(1).sum(1)", "")), "reduced"),
    (
        "log_likelihood",
        "cut off at zero",
        swap(LOGLIK, (".sum(1)", ".sum(1).clamp(max=0)")),
        "For faces and a good mean",
    ),
    ("log_likelihood", "density", swap(LOGLIK, (".sum(1)", ".sum(1).exp()")), ""),
    (
        "log_likelihood",
        "numbers only",
        swap(LOGLIK, ("torch.log(var)", "math.log(float(var))")),
        "stopped",
    ),
    (
        "log_likelihood",
        "detached",
        swap(LOGLIK, ("(x - mean)", "(x - mean.detach())")),
        "No gradient reaches `mean`",
    ),
    (
        "log_likelihood",
        "images only",
        swap(LOGLIK, (".flatten(1).sum(1)", ".sum((1, 2, 3))")),
        "stopped",
    ),
    (
        "log_likelihood",
        "in place",
        swap(
            LOGLIK,
            ("    each = ", "    x -= mean\n    each = "),
            ("(x - mean) ** 2", "x**2"),
        ),
        "writes into a tensor",
    ),
    (
        "log_likelihood",
        "no whole number",
        swap(
            LOGLIK,
            (
                "torch.as_tensor(var, dtype=x.dtype, device=x.device)",
                "torch.tensor(var) if isinstance(var, float) else var",
            ),
        ),
        "stopped",
    ),
    (
        "log_likelihood",
        "single precision only",
        swap(LOGLIK, (".sum(1)", " @ torch.ones(x[0].numel(), device=x.device)")),
        "Your code stopped in `gaussian_log_likelihood`",
    ),
    # a draw
    ("sample", "no spread", swap(DRAW, ("torch.sqrt(var) * eps", "eps")), "does not depend"),
    ("sample", "nothing drawn", swap(DRAW, ("mean + torch.sqrt(var) * eps", "mean")), "randomness"),
    (
        "sample",
        "frozen",
        swap(DRAW, ("    eps", "    torch.manual_seed(0)\n    eps")),
        "every call",
    ),
    (
        "sample",
        "no gradient",
        swap(DRAW, ("return mean", "return mean.detach()")),
        "No gradient reaches `mean`",
    ),
    (
        "sample",
        "sampled by torch",
        "def draw_gaussian(mean, var, generator=None):\n"
        "    return Normal(mean, torch.as_tensor(var).sqrt()).sample()",
        "No gradient",
    ),
    (
        "sample",
        "tensors only",
        swap(DRAW, ("torch.as_tensor(var, device=mean.device)", "var.clone()")),
        "AttributeError",
    ),
    (
        "sample",
        "no whole number",
        swap(
            DRAW,
            (
                "torch.as_tensor(var, device=mean.device)",
                "torch.tensor(var) if isinstance(var, float) else var",
            ),
        ),
        "stopped",
    ),
    (
        "sample",
        "a little added to the variance",
        swap(DRAW, ("torch.sqrt(var)", "torch.sqrt(var + 1e-6)")),
        "where `var` is 1e-06",
    ),
    (
        "sample",
        "noise of the variance's shape",
        swap(DRAW, ("torch.randn(mean.shape,", "torch.randn(var.shape,")),
        "one and the same for every example",
    ),
    (
        "sample",
        "in place",
        swap(DRAW, ("mean + torch.sqrt(var) * eps", "mean.add_(torch.sqrt(var) * eps)")),
        "writes into a tensor",
    ),
    (
        "sample",
        "single precision",
        swap(DRAW, ("mean + torch.sqrt(var) * eps", "(mean + torch.sqrt(var) * eps).float()")),
        "torch.float32",
    ),
    (
        "sample",
        "on the notebook's device",
        DEVICE
        + swap(
            DRAW, ("generator=generator, device=mean.device", "device=device, generator=generator")
        ),
        "On a machine with a GPU",
    ),
    (
        "sample",
        "seed set afterwards",
        swap(DRAW, ("    return", "    torch.manual_seed(0)\n    return")),
        "are always the same",
    ),
    # the divergence
    ("kl", "std", KL + "0.5 * (mu**2 + var**2 - 1 - (var**2).log()).sum(-1)", "standard dev"),
    ("kl", "no log", KL + "0.5 * (mu**2 + var - 1 - var).sum(-1)", "zero everywhere"),
    ("kl", "sign", KL + "-0.5 * (mu**2 + var - 1 - var.log()).sum(-1)", "wrong sign"),
    ("kl", "half on the log", KL + "0.5*(mu**2 + var - 1 - 0.5*var.log()).sum(-1)", "`var` does"),
    ("kl", "no mu", KL + "0.5 * (var - 1 - var.log()).sum(-1)", "what `mu` does"),
    ("kl", "no one", KL + "0.5 * (mu**2 + var - var.log()).sum(-1)", "same amount"),
    ("kl", "the seed's sum", KL + "0.5 * (mu**2 + var - 1 - var.log()).sum()", "single number"),
    ("kl", "reversed", KL + "0.5 * ((mu**2 + 1) / var - 1 + var.log()).sum(-1)", "`var` does"),
    (
        "kl",
        "log of the product",
        KL + "0.5 * ((mu**2 + var - 1).sum(-1) - var.prod(-1).log())",
        "infinite",
    ),
    (
        "kl",
        "in place",
        KL + "0.5 * (mu.square_() + var - 1 - var.log()).sum(-1)",
        "writes into a tensor",
    ),
    (
        "kl",
        "single precision only",
        KL + "(mu**2 + var - 1 - var.log()) @ torch.full(mu.shape[-1:], 0.5, device=mu.device)",
        "Your code stopped in `gaussian_kl_from_var`",
    ),
    ("kl", "second dimension", KL + "0.5 * (mu**2 + var - 1 - var.log()).sum(1)", "(2, 3, 5)"),
    # the model
    (
        "model",
        "the seed's settings",
        swap(
            MODEL,
            ("= latent_dim, channels, var_x", "= latent_dim, 3, 0.1"),
            ("(latent_dim, channels)", "(latent_dim)"),
        ),
        "channel",
    ),
    (
        "model",
        "always noisy",
        swap(MODEL, ("if not noisy:", "if False:")),
        "noise added",
    ),
    (
        "model",
        "one noise for all",
        swap(
            MODEL,
            (
                "return draw_gaussian(mean, self.var_x, generator)",
                "noise = torch.randn(mean.shape[1:], generator=generator, device=device)\n"
                "        return mean + self.var_x**0.5 * noise",
            ),
        ),
        "share the same noise",
    ),
    (
        "model",
        "not remembered",
        swap(
            MODEL, ("self.latent_dim, self.channels, self.var_x", "self.latent_dim, c, self.var_x")
        ),
        "no attribute `channels`",
    ),
    (
        "model",
        "as if log-variance",
        swap(
            MODEL, ("draw_gaussian(mu, var, generator)", "draw_gaussian(mu, var.exp(), generator)")
        ),
        "does not scatter",
    ),
    (
        "model",
        "swapped",
        swap(MODEL, ("return self.decode(z), mu, var", "return self.decode(z), var, mu")),
        "another `mu` and `var`",
    ),
    ("model", "generator lost", swap(MODEL, ("mu, var, generator)", "mu, var)")), "generator"),
    (
        "model",
        "noise without generator",
        swap(MODEL, ("self.var_x, generator)", "self.var_x)")),
        "noisy sample",
    ),
    (
        "model",
        "graph kept",
        swap(MODEL, ("    @torch.no_grad()\n    def sample", "    def sample")),
        "graph",
    ),
    (
        "model",
        "left in evaluation mode",
        swap(
            MODEL,
            ("        z = torch.randn(num", "        self.eval()\n        z = torch.randn(num"),
        ),
        "left in evaluation mode",
    ),
    (
        "model",
        "not from the prior",
        swap(MODEL, ("torch.randn(num_samples", "0.1 * torch.randn(num_samples")),
        "prior",
    ),
    (
        "model",
        "training mode in the end",
        swap(
            MODEL,
            ("        return out", "        self.train()\n        return out"),
        ),
        "left in training mode",
    ),
    (
        "model",
        "default size",
        swap(MODEL, ("FaceEncoder(latent_dim, channels)", "FaceEncoder(100, channels)")),
        "shape",
    ),
    (
        "model",
        "gradients switched off for good",
        swap(
            MODEL,
            ("    @torch.no_grad()\n    def sample", "    def sample"),
            (
                "        z = torch.randn(num",
                "        torch.set_grad_enabled(False)\n        z = torch.randn(num",
            ),
        ),
        "After `sample` gradients are switched off",
    ),
    (
        "model",
        "codes on the notebook's device",
        DEVICE + swap(MODEL, ("        device = next(self.parameters()).device\n", "")),
        "On a machine with a GPU",
    ),
    (
        "model",
        "posterior detached",
        swap(
            MODEL,
            ("return self.decode(z), mu, var", "return self.decode(z), mu.detach(), var.detach()"),
        ),
        "No gradient gets from the `mu`",
    ),
    (
        "model",
        "means detached",
        swap(
            MODEL,
            (
                "return self.encoder(x)",
                "mu, var = self.encoder(x)\n        return mu.detach(), var",
            ),
        ),
        "The gradient of `mu` does not reach all",
    ),
    (
        "model",
        "one noise for all codes of a batch",
        swap(
            MODEL,
            (
                "draw_gaussian(mu, var, generator)",
                "mu + var.sqrt() * torch.randn(\n"
                "            mu.shape[1:], generator=generator, device=mu.device\n"
                "        )",
            ),
        ),
        "does not scatter",
    ),
    (
        "model",
        "one number for a code",
        swap(
            MODEL,
            (
                "draw_gaussian(mu, var, generator)",
                "mu + var.sqrt() * torch.randn(\n"
                "            len(mu), 1, generator=generator, device=mu.device\n"
                "        )",
            ),
        ),
        "The noise in the codes is one number",
    ),
    (
        "model",
        "codes of equal numbers",
        swap(
            MODEL,
            ("torch.randn(num_samples, self.latent_dim,", "torch.randn(num_samples, 1,"),
            ("mean = self.decode(z)", "mean = self.decode(z.repeat(1, self.latent_dim))"),
        ),
        "",
    ),
    (
        "model",
        "one noise for all channels",
        swap(
            MODEL,
            (
                "return draw_gaussian(mean, self.var_x, generator)",
                "noise = torch.randn(mean[:, :1].shape, generator=generator, device=device)\n"
                "        return mean + self.var_x**0.5 * noise",
            ),
        ),
        "All channels share the same noise",
    ),
    (
        "model",
        "seed set in reconstruct",
        swap(MODEL, ("        out = self", "        torch.manual_seed(0)\n        out = self")),
        "After `reconstruct` PyTorch's next random numbers",
    ),
    (
        "model",
        "images wiped out",
        swap(
            MODEL,
            (
                "return self.encoder(x)",
                "encoded = self.encoder(x.clone())\n        x.zero_()\n        return encoded",
            ),
        ),
        "`reconstruct` writes into a tensor",
    ),
    (
        "model",
        "seed inside",
        swap(
            MODEL,
            ("super().__init__()", "super().__init__()\n        torch.manual_seed(0)"),
        ),
        "begins with the same weights",
    ),
    # checkpoints
    ("checkpoint", "the starter", STARTER, "not all that a run depends on"),
    (
        "checkpoint",
        "given generator ignored",
        swap(CHECKPOINT, ("generator = generator or torch", "generator = torch")),
        "random numbers",
    ),
    (
        "checkpoint",
        "own generator ignored",
        swap(
            CHECKPOINT,
            (
                "generator = generator or torch.default_generator",
                "generator = generator or torch.Generator()",
            ),
        ),
        "PyTorch's own",
    ),
    (
        "checkpoint",
        "deleted first",
        swap(
            CHECKPOINT,
            ("    torch.save(", "    if os.path.exists(path): os.remove(path)\n    torch.save("),
        ),
        "already lost",
    ),
    (
        "checkpoint",
        "errors swallowed",
        swap(
            CHECKPOINT,
            (
                '    torch.save(everything, str(path) + ".tmp")\n'
                '    os.replace(str(path) + ".tmp", path)',
                '    try:\n        torch.save(everything, str(path) + ".tmp")\n'
                '        os.replace(str(path) + ".tmp", path)\n    except Exception:\n        pass',
            ),
        ),
        "says nothing",
    ),
    (
        "checkpoint",
        "no folder",
        swap(
            CHECKPOINT,
            ("    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)\n", ""),
        ),
        "folder",
    ),
    (
        "checkpoint",
        "history lost",
        swap(CHECKPOINT, ('saved["history"]\n', "{'train': [], 'held_out': []}\n")),
        "history",
    ),
    (
        "checkpoint",
        "nothing returned",
        swap(CHECKPOINT, ('    return saved["epoch"], saved["history"]\n', "")),
        "does not return",
    ),
    (
        "checkpoint",
        "var_x lost",
        swap(CHECKPOINT, (', saved["var_x"])', ")")),
        "var_x = 0.3 comes back with var_x = 0.1",
    ),
    (
        "checkpoint",
        "weights not loaded",
        swap(
            CHECKPOINT,
            ('    model.load_state_dict(saved["model"])\n    return model', "    return model"),
        ),
        "other weights",
    ),
    (
        "checkpoint",
        "not strict",
        swap(
            CHECKPOINT,
            ("if saved[name] != getattr(model, name):", "if False:"),
            (
                'model.load_state_dict(saved["model"])\n    optimizer.load',
                "fits = {n: w for n, w in saved['model'].items()\n"
                "            if w.shape == model.state_dict()[n].shape}\n"
                "    model.load_state_dict(fits, strict=False)\n    optimizer.load",
            ),
        ),
        "without a word",
    ),
    (
        "checkpoint",
        "another error",
        swap(CHECKPOINT, ("raise ValueError(", "raise KeyError(")),
        "KeyError",
    ),
    (
        "checkpoint",
        "own generator not saved",
        swap(
            CHECKPOINT,
            ("    generator = generator or torch.default_generator\n", ""),
            ("generator.get_state()", "generator and generator.get_state()"),
            ("generator.set_state(", "generator and generator.set_state("),
        ),
        "PyTorch's own",
    ),
    (
        "checkpoint",
        "var_x not compared",
        swap(CHECKPOINT, ('("latent_dim", "channels", "var_x"):', '("latent_dim", "channels"):')),
        "var_x = 0.5",
    ),
    (
        "checkpoint",
        "channels not compared",
        swap(CHECKPOINT, ('("latent_dim", "channels", "var_x"):', '("latent_dim", "var_x"):')),
        "channels = 1",
    ),
    (
        "checkpoint",
        "written in another folder",
        swap(
            CHECKPOINT,
            ("import os\n", "import os, tempfile\n"),
            (
                '    torch.save(everything, str(path) + ".tmp")\n'
                '    os.replace(str(path) + ".tmp", path)',
                '    new = os.path.join(tempfile.mkdtemp(), "new.pt")\n'
                "    torch.save(everything, new)\n"
                "    os.replace(new, path)",
            ),
        ),
        "another disk",
    ),
    (
        "checkpoint",
        "copied from another folder",
        swap(
            CHECKPOINT,
            ("import os\n", "import os, shutil, tempfile\n"),
            (
                '    torch.save(everything, str(path) + ".tmp")\n'
                '    os.replace(str(path) + ".tmp", path)',
                '    new = os.path.join(tempfile.mkdtemp(), "new.pt")\n'
                "    torch.save(everything, new)\n"
                "    shutil.copyfile(new, path)",
            ),
        ),
        "into the old file",
    ),
    (
        "checkpoint",
        "deleted before it is replaced",
        swap(
            CHECKPOINT,
            (
                '    os.replace(str(path) + ".tmp", path)',
                '    Path(path).unlink(missing_ok=True)\n    Path(str(path) + ".tmp").rename(path)',
            ),
            ("import os\n", "import os\nfrom pathlib import Path\n"),
        ),
        "deleted before the new one",
    ),
    (
        "checkpoint",
        "bytes written at once",
        swap(
            CHECKPOINT,
            ("import os\n", "import io, os\nfrom pathlib import Path\n"),
            (
                '    torch.save(everything, str(path) + ".tmp")\n'
                '    os.replace(str(path) + ".tmp", path)',
                "    buffer = io.BytesIO()\n"
                "    torch.save(everything, buffer)\n"
                "    Path(path).write_bytes(buffer.getvalue())",
            ),
        ),
        "already lost",
    ),
    (
        "checkpoint",
        "a Path and a string added",
        swap(CHECKPOINT, ('str(path) + ".tmp"', 'path + ".tmp"')),
        "unsupported operand",
    ),
    (
        "checkpoint",
        "weights left on the CPU",
        swap(
            CHECKPOINT,
            (
                'model.load_state_dict(saved["model"])\n    optimizer',
                "for name, parameter in model.named_parameters():\n"
                '        parameter.data = saved["model"][name]\n    optimizer',
            ),
        ),
        "",
    ),
    (
        "checkpoint",
        "generator put back before a misfit is refused",
        swap(
            CHECKPOINT,
            ('    generator.set_state(saved["rng"])\n', ""),
            ("    for name in", '    generator.set_state(saved["rng"])\n    for name in'),
        ),
        "the generator has been put to another place",
    ),
    (
        "checkpoint",
        "optimiser loaded before a misfit is refused",
        swap(
            CHECKPOINT,
            ('    optimizer.load_state_dict(saved["optimizer"])\n', ""),
            (
                "    for name in",
                '    optimizer.load_state_dict(saved["optimizer"])\n    for name in',
            ),
        ),
        "the optimiser has its memory",
    ),
    (
        "checkpoint",
        "learning rate lost",
        swap(
            CHECKPOINT,
            ("optimizer=optimizer.state_dict()", 'optimizer=optimizer.state_dict()["state"]'),
            (
                'optimizer.load_state_dict(saved["optimizer"])',
                "state = {**optimizer.state_dict(), 'state': saved['optimizer']}\n"
                "    optimizer.load_state_dict(state)",
            ),
        ),
        "forgotten its learning rate",
    ),
    (
        "checkpoint",
        "history as text",
        swap(
            CHECKPOINT,
            ("import os\n", "import json, os\n"),
            ("history=history", "history=json.dumps(history)"),
            ('saved["history"]\n', 'json.loads(saved["history"])\n'),
        ),
        "a key that was a number",
    ),
    (
        "checkpoint",
        "another name for one ending only",
        swap(CHECKPOINT, ('str(path) + ".tmp"', 'str(path).replace(".pt", ".tmp")')),
        "which has no ending",
    ),
    (
        "checkpoint",
        "settings nearly compared",
        swap(
            CHECKPOINT,
            (
                "saved[name] != getattr(model, name)",
                "abs(saved[name] - getattr(model, name)) > 0.01",
            ),
        ),
        "var_x = 0.13",
    ),
    (
        "checkpoint",
        "two files",
        swap(
            CHECKPOINT,
            (
                "    torch.save(everything",
                '    torch.save(optimizer.state_dict(), str(path) + ".adam")\n'
                "    torch.save(everything",
            ),
            ('saved["optimizer"]', 'torch.load(str(path) + ".adam", map_location="cpu")'),
        ),
        "FileNotFoundError",
    ),
    (
        "checkpoint",
        "restored on the notebook's device",
        DEVICE
        + swap(
            CHECKPOINT, ('["model"])\n    return model', '["model"])\n    return model.to(device)')
        ),
        "is asked for on the CPU",
    ),
    (
        "checkpoint",
        "model moved to be saved",
        swap(CHECKPOINT, ("model=model.state_dict()", "model=model.cpu().state_dict()")),
        "",
    ),
    # the path
    (
        "interpolate",
        "the seed's ten",
        """
        def interpolate_faces(model, x_start, x_end, num_frames=11):
            z, _ = model.encode(torch.stack([x_start, x_end]))
            weights = 1.0 - torch.arange(0, 10) / 10
            return torch.cat([model.decode((z[0] * w + z[1] * (1 - w))[None]) for w in weights])
        """,
        "(10, 3, 4, 4)",
    ),
    (
        "interpolate",
        "images themselves",
        swap(
            PATH,
            ("model.decode((1 - w) * z_start + w * z_end)", "torch.lerp(x_start, x_end, w)[None]"),
        ),
        "image itself",
    ),
    ("interpolate", "graph kept", swap(PATH, ("with torch.no_grad():", "if True:")), "graph"),
    ("interpolate", "training mode", swap(PATH, ("    model.eval()\n", "")), "training mode"),
    (
        "interpolate",
        "training mode in the end",
        swap(PATH, ("model.train(training)", "model.train()")),
        "left in training mode",
    ),
    ("interpolate", "a list", swap(PATH, ("torch.cat(frames)", "frames")), "a list of 11"),
    ("interpolate", "frames fixed", swap(PATH, ("range(num_frames)", "range(11)")), "(11, "),
    (
        "interpolate",
        "gradients switched off for good",
        swap(PATH, FOR_GOOD),
        "After `interpolate_faces` gradients are switched off",
    ),
    (
        "interpolate",
        "unsqueezed in place",
        swap(PATH, ("x_start[None]", "x_start.unsqueeze_(0)")),
        "writes into a tensor",
    ),
    (
        "interpolate",
        "seed set",
        swap(PATH, ("    model.eval()\n", "    model.eval()\n    torch.manual_seed(0)\n")),
        "After `interpolate_faces` PyTorch's next random numbers",
    ),
    (
        "interpolate",
        "weights on the notebook's device",
        DEVICE
        + swap(
            PATH,
            ("w = i / (num_frames - 1)", "w = torch.tensor([i / (num_frames - 1)], device=device)"),
        ),
        "On a machine with a GPU",
    ),
    # directions
    (
        "attributes",
        "only those with it",
        swap(ATTRIBUTES, (" - codes[~has_attribute].mean(0)", "")),
        "direction",
    ),
    (
        "attributes",
        "sums",
        swap(ATTRIBUTES, ("attribute].mean(0)", "attribute].sum(0)")),
        "direction",
    ),
    (
        "attributes",
        "over the dimensions",
        swap(ATTRIBUTES, ("attribute].mean(0)", "attribute].mean(1)")),
        "stopped",
    ),
    (
        "attributes",
        "length one",
        swap(
            ATTRIBUTES,
            (
                "return codes[has_attribute].mean(0) - codes[~has_attribute].mean(0)",
                "return F.normalize(codes[has_attribute].mean(0) "
                "- codes[~has_attribute].mean(0), dim=0)",
            ),
        ),
        "length 1",
    ),
    (
        "attributes",
        "no strength",
        swap(ATTRIBUTES, ("strength * direction", "direction")),
        "no part",
    ),
    (
        "attributes",
        "other way",
        swap(ATTRIBUTES, ("+ strength * direction", "- strength * direction")),
        "other way",
    ),
    (
        "attributes",
        "only none refused",
        swap(ATTRIBUTES, ("in (0, len(codes))", "== 0")),
        "every image has the attribute",
    ),
    (
        "attributes",
        "training mode in the end",
        swap(ATTRIBUTES, ("model.train(training)", "model.train()")),
        "left in training mode",
    ),
    (
        "attributes",
        "sums on the CPU",
        swap(
            ATTRIBUTES,
            (
                "codes[has_attribute].mean(0)",
                "(torch.zeros(codes.shape[1]) + codes[has_attribute].mean(0))",
            ),
        ),
        "makes a tensor on the CPU",
    ),
    ("attributes", "graph", swap(ATTRIBUTES, ("with torch.no_grad():", "if True:")), "graph"),
    (
        "attributes",
        "gradients switched off for good",
        swap(ATTRIBUTES, FOR_GOOD),
        "After `edit_faces` gradients are switched off",
    ),
    (
        "attributes",
        "direction stretched in place",
        swap(
            ATTRIBUTES,
            ("strength * direction.to(mu.device)", "direction.to(mu.device).mul_(strength)"),
        ),
        "`edit_faces` writes into a tensor",
    ),
    (
        "attributes",
        "codes centred in place",
        swap(ATTRIBUTES, ("    if has", "    codes -= codes.mean(0)\n    if has")),
        "`attribute_direction` writes into a tensor",
    ),
    (
        "attributes",
        "told by the spread",
        swap(
            ATTRIBUTES,
            ("has_attribute.sum() in (0, len(codes))", "has_attribute.float().std() == 0"),
        ),
        "the only image has the attribute",
    ),
    (
        "attributes",
        "two of each at least",
        swap(
            ATTRIBUTES,
            (
                "has_attribute.sum() in (0, len(codes))",
                "has_attribute.sum() < 2 or (~has_attribute).sum() < 2",
            ),
        ),
        "stopped",
    ),
    (
        "attributes",
        "seed set",
        swap(ATTRIBUTES, ("    model.eval()\n", "    model.eval()\n    torch.manual_seed(0)\n")),
        "After `edit_faces` PyTorch's next random numbers",
    ),
    (
        "attributes",
        "direction on the notebook's device",
        DEVICE + swap(ATTRIBUTES, ("direction.to(mu.device)", "direction.to(device)")),
        "On a machine with a GPU",
    ),
]

WORDS = {
    ("scale", "bytes not divided"): "509",
    ("scale", "floats divided too"): "from 0 to 1",
    ("scale", "scaled to [0, 1]"): "from 0 to 1",
    ("scale", "cut off before the conversion"): "unscale",
    ("scale", "no way back"): "unscale",
    ("scale", "channels moved to the end"): "swapped",
    ("encoder", "squeeze()"): "IndexError",
    ("encoder", "channels ignored"): "channels",
    ("encoder", "softplus of half the output"): "where all its outputs are the same",
    ("encoder", "no floor under the variance"): "exactly zero",
    ("encoder", "halves swapped"): "SECOND half",
    ("encoder", "ReLU on the means"): "never negative",
    ("encoder", "size not looked at"): "from somewhere inside",
    ("decoder", "sigmoid at the end"): "stay between 0.00 and 1.00",
    ("decoder", "nothing at the end"): "range of the data",
    ("decoder", "no map made of the vector"): "stopped in `FaceDecoder.forward`",
    ("decoder", "first layer doubles"): "(5, 3, 32, 32)",
    ("decoder", "channels ignored"): "1 channel",
    ("log_likelihood", "variance taken for a standard deviation"): "For a variance of 0.1",
    ("log_likelihood", "2 pi missing"): "does not depend on x",
    ("log_likelihood", "constant missing"): "does not depend on x",
    ("log_likelihood", "constant counted once"): "does not depend on x",
    ("log_likelihood", "sign of log var"): "what does the variance do in the constant",
    ("log_likelihood", "factor 1/2 missing in the quadratic term"): "twice",
    ("log_likelihood", "mean over the pixels"): "56 numbers",
    ("log_likelihood", "sum over the batch"): "batch",
    ("log_likelihood", "variance fixed"): "whatever the variance is",
    ("log_likelihood", "negative log-likelihood"): "wrong sign",
    ("log_likelihood", "variance on the CPU"): "makes a tensor on the CPU",
    ("sample", "variance taken for a standard deviation"): "where `var` is 9",
    ("sample", "uniform noise"): "not the mean",
    ("sample", "same noise for the whole batch"): "one and the same",
    ("sample", "generator ignored"): "generator",
    ("sample", "noise on the CPU"): "makes a tensor on the CPU",
    ("sample", "gradients lost in torch.normal"): "with respect to `mean` is zero everywhere",
    ("kl", "logarithm counted twice"): "`var` does",
    ("kl", "prior on the CPU"): "makes a tensor on the CPU",
    ("kl", "factor 1/2 missing"): "twice",
    ("kl", "mean over the dimensions"): "5 latent dimensions",
    ("model", "channels not handed on"): "channel",
    ("model", "var_x not remembered"): "`var_x` is 0.1",
    ("model", "noise of a fixed variance"): "scatter with a variance of",
    ("model", "var_x taken for a standard deviation"): "scatter with a variance of",
    ("model", "mean returned as a sample"): "scatter with a variance of",
    ("model", "codes on the CPU"): "generator that belongs to the other",
    ("model", "posterior variance taken for a standard deviation"): "does not scatter",
    ("model", "codes drawn with var_x"): "Where do their codes come from",
    ("model", "reconstruct draws"): "random",
    ("model", "forward draws nothing"): "nothing is drawn",
    ("checkpoint", "only the weights"): "not all that a run depends on",
    ("checkpoint", "optimiser not restored"): "Adam",
    ("checkpoint", "random numbers not restored"): "random numbers",
    ("checkpoint", "map_location missing"): "without that GPU",
    ("checkpoint", "old file destroyed first"): "already lost",
    ("checkpoint", "new file in another folder"): "another disk",
    ("checkpoint", "epoch off by one"): "wrong one",
    ("checkpoint", "settings not compared"): "has been copied",
    ("checkpoint", "default model in restore_face_vae"): "7 latent dimensions and one channel",
    ("checkpoint", "string refused as a path"): "stopped",
    ("interpolate", "last image never reached"): "last",
    ("interpolate", "backwards"): "backwards",
    ("interpolate", "images mixed in place of codes"): "not at equal steps",
    ("interpolate", "codes drawn"): "other frames at every call",
    ("interpolate", "weights on the CPU"): "makes a tensor on the CPU",
    ("interpolate", "left in evaluation mode"): "left in",
    ("attributes", "direction reversed"): "wrong sign",
    ("attributes", "compared with everybody"): "direction",
    ("attributes", "nothing to compare, and no ValueError"): "not refused",
    ("attributes", "codes drawn"): "something else at every call",
    ("attributes", "direction left where it is"): "brings a tensor that is on the CPU",
}
"""What the check itself observes, beside the message of a misconception."""

# What a mistake may cost at most, in points; where nothing is said, it may cost all of them.
COSTS_LITTLE = {
    ("scale", "nothing cut off"): 0.25,
    ("encoder", "softplus of half the output"): 1.25,
    ("encoder", "no floor under the variance"): 1.25,
    ("encoder", "ReLU on the means"): 0.5,
    ("encoder", "size not looked at"): 0.5,
    ("encoder", "channels not looked at"): 0.5,
    ("encoder", "halves swapped"): 1.75,
    ("encoder", "no ReLU after the last convolution"): 0.5,
    ("decoder", "no ReLU after the linear layer"): 0.5,
    ("log_likelihood", "variance on the CPU"): 0.25,
    ("sample", "noise on the CPU"): 0.25,
    ("kl", "prior on the CPU"): 0.25,
    ("model", "codes on the CPU"): 0.25,
    ("encoder", "floor on the CPU"): 0.25,
    ("interpolate", "weights on the CPU"): 0.25,
    ("attributes", "direction left where it is"): 0.25,
    ("attributes", "sums on the CPU"): 0.25,
    ("checkpoint", "string refused as a path"): 0.25,
    ("checkpoint", "a Path and a string added"): 0.25,
    ("checkpoint", "weights left on the CPU"): 0.25,
    ("checkpoint", "var_x not compared"): 0.5,
    ("checkpoint", "deleted before it is replaced"): 0.75,
    ("decoder", "sigmoid at the end"): 1,
    ("decoder", "channels ignored"): 1.75,
    ("log_likelihood", "cut off at zero"): 0.75,
    ("sample", "generator ignored"): 0.25,
    ("model", "var_x not remembered"): 0.75,
    ("model", "posterior variance taken for a standard deviation"): 1,
    ("model", "mean returned as a sample"): 0.75,
    ("checkpoint", "map_location missing"): 0.5,
    ("checkpoint", "old file destroyed first"): 0.75,
    ("checkpoint", "optimiser not restored"): 1,
    ("checkpoint", "random numbers not restored"): 1,
    ("checkpoint", "var_x lost"): 0.5,
    ("checkpoint", "settings not compared"): 0.5,
    ("interpolate", "last image never reached"): 1,
    ("interpolate", "codes drawn"): 1.25,
    ("attributes", "nothing to compare, and no ValueError"): 0.25,
    ("attributes", "graph"): 0.25,
}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_scores_in_full(judged, name):
    for seed in range(2 if name in SLOW else 8):
        verdict = judged(name, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict)
        assert verdict.score == verdict.max_score


@pytest.mark.long
def test_the_reference_scores_in_full_over_many_seeds(judged):
    for seed in range(100, 160):
        for name in EXERCISES:
            verdict = judged(name, seed=seed)
            assert verdict.verdict == "pass", (seed, verdict)


@pytest.mark.parametrize(("name", "source"), right_answers("ps5", SLOW))
def test_another_right_answer_scores_in_full(judged, name, source):
    for seed in range(1 if name in SLOW else 4):
        verdict = judged(name, source, seed=seed)
        assert verdict.verdict == "pass", (seed, verdict.message, verdict.detail)


@pytest.mark.parametrize(("name", "mistake", "source", "words"), wrong_answers(WRONG, SLOW))
def test_a_known_mistake_loses_points_and_is_described(judged, name, mistake, source, words):
    verdict = judged(name, source)
    assert verdict.verdict in ("partial", "fail", "error"), verdict
    assert verdict.score < verdict.max_score
    messages = " ".join(part.message for part in verdict.criteria)
    assert words in messages
    assert verdict.message
    most = COSTS_LITTLE.get((name, mistake), verdict.max_score)
    assert verdict.max_score - verdict.score <= most, verdict


@pytest.mark.parametrize("one", mistakes("ps5", quick=2))
def test_a_misconception_is_named_and_described(judged, one):
    name = one.exercise.removeprefix("ps5_")
    verdict = assert_named(judged, name, one, WORDS)
    most = COSTS_LITTLE.get((name, one.name), verdict.max_score)
    assert verdict.max_score - verdict.score <= most, verdict


def test_the_tables_are_about_mistakes_that_are_here():
    known = {(one.exercise.removeprefix("ps5_"), one.name) for one in of_assignment("ps5")}
    assert WORDS.keys() <= known
    assert COSTS_LITTLE.keys() <= known | {case[:2] for case in WRONG}


def test_points_of_the_criteria_are_round(judged):
    for name, points in EXERCISES.items():
        parts = judged(name).criteria
        assert sum(part.max_score for part in parts) == pytest.approx(points)
        assert all((100 * part.max_score) % 25 == 0 for part in parts), parts


BLANK = "raise NotImplementedError()"


@pytest.mark.parametrize(
    ("exercise", "names"),
    [
        ("scale", ["scale_images", "unscale_images"]),
        ("encoder", ["FaceEncoder"]),
        ("decoder", ["FaceDecoder"]),
        ("log_likelihood", ["gaussian_log_likelihood"]),
        ("sample", ["draw_gaussian"]),
        ("kl", ["gaussian_kl_from_var"]),
        ("model", ["FaceVAE"]),
        ("interpolate", ["interpolate_faces"]),
        ("attributes", ["attribute_direction", "edit_faces"]),
    ],
)
def test_a_blank_scores_nothing(judged, exercise, names):
    cells = [
        f"class {name}(nn.Module):\n    def __init__(self, latent_dim=2, channels=3, var_x=0.1):\n"
        f"        super().__init__()\n        {BLANK}"
        if name.startswith("Face")
        else f"def {name}(*args, **kwargs):\n    {BLANK}"
        for name in names
    ]
    verdict = judged(exercise, *cells, solutions=[f"vae_course.x.{name}" for name in names])
    assert (verdict.verdict, verdict.score) == ("blank", 0), verdict


def test_the_starters_score_nothing(judged):
    """What stands in the notebook at first earns nothing: a fault has to be found."""
    starters = [one for one in load_assignment("ps5").exercises if one.start]
    assert [one.id for one in starters] == ["ps5_checkpoint", "ps5_interpolate"]
    for one in starters:
        assert judged(one.id.removeprefix("ps5_"), one.body).score == 0, one.id


def test_points_are_those_of_the_assignment():
    machine = {
        one.id: one.points for one in load_assignment("ps5").exercises if one.kind == MACHINE
    }
    assert machine == {f"ps5_{name}": points for name, points in EXERCISES.items()}
    assert load_assignment("ps5").max_score == 40


def test_checkpoints_do_not_depend_on_the_model_of_the_notebook(judged):
    broken = "class FaceVAE(nn.Module):\n    pass"
    verdict = judged("checkpoint", broken)
    lost = {part.name for part in verdict.criteria if not part.passed}
    assert lost == {
        "a file from a GPU opens on a machine without one",
        "a trained model from its file alone",
    }
