"""ps3, the Bernoulli VAE on black-and-white images: what each exercise must show."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from autograder import expect
from autograder.checks import reference
from autograder.checks.common import (
    FIT,
    Convergence,
    converged,
    draws_afresh,
    ends_on_gpu,
    function_of,
    has_size,
    is_nonlinear,
    is_raw,
    judges_rows_apart,
    leaves_no_trace,
    reaches_every_parameter,
    uses_generator,
    works_on_gpu,
)
from autograder.criterion import Criterion, criterion
from autograder.draw import Draw
from autograder.student import Module, Ref, Seed, Student, StudentError, Target, unfit

PER_IMAGE = "one number for each image"


def binarize(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Black-and-white images, by a threshold and by chance."""
    grey = draw.uniform(3, 1, 4, 7)
    # Nothing lies near a threshold, where > and >= would differ.
    grey = torch.where((grey * 20 % 1 - 0.5).abs() > 0.45, grey + 0.01, grey).clamp(0.005, 0.995)
    sizes = ((3, 1, 4, 7), (84,), (3, 2, 2, 1, 7))

    @criterion("by a threshold", 0.5)
    def threshold() -> str | None:
        cases = (({}, 0.5), *(({"threshold": level}, level) for level in (0.2, 0.8, 0.0, 1.0)))
        for settings, level in cases:
            got = student.call("binarize", grey, **settings)
            want = (grey > level).float()
            problem = expect.shape(got, want.shape, "the result") or _is_black_or_white(
                got, "the result of `binarize`"
            )
            if problem:
                return problem
            if expect.alike(got.float(), 1 - want):
                return "Black and white are swapped: bright pixels become 0."
            if not expect.alike(got.float(), want):
                side = "more" if float(got.float().sum()) > float(want.sum()) else "fewer"
                return (
                    f"With a threshold of {level:g}, {side} pixels are 1 than are brighter than it."
                )
        return expect.first(
            expect.shape(student.call("binarize", grey.view(size)), size, "the result")
            for size in sizes
        ) or leaves_no_trace(student, "binarize", grey)

    @criterion("a grey just at the threshold, and the type of the numbers", 0.25)
    def contract() -> str | None:
        level = torch.full((2, 3), 0.25)
        for settings, at in (({}, 0.5), ({"threshold": 0.25}, 0.25)):
            got = student.call("binarize", torch.full((2, 3), at), **settings)
            if isinstance(got, Tensor) and bool(got.bool().any()):
                return (
                    f"With a threshold of {at:g}, a pixel of just {at:g} becomes white. The "
                    "threshold is the brightest grey that still counts as black."
                )
        for name in ("binarize", "binarize_randomly"):
            for dtype in (torch.float64, torch.float32):
                got = student.call(name, level.to(dtype))
                if isinstance(got, Tensor) and got.dtype is not dtype:
                    kinds = [str(t).removeprefix("torch.") for t in (dtype, got.dtype)]
                    return (
                        f"From greys of type {kinds[0]}, `{name}` makes {kinds[1]}: keep x's type."
                    )
        return None

    @criterion("by chance, with each pixel's grey as its probability", 0.75)
    def chance() -> str | None:
        count = 3000
        levels = torch.tensor([0.0, 0.1, 0.35, 0.6, 0.9, 1.0])
        got = student.call("binarize_randomly", levels.expand(count, 6), seed=draw.seed())
        what = "the result of `binarize_randomly`"
        if problem := expect.shape(got, (count, 6), what) or _is_black_or_white(got, what):
            return problem
        got = got.double()
        if expect.alike(got, got[:1].expand_as(got)):
            return "Images that are alike all become the same picture: each needs its own draw."
        share = got.mean(0)
        error = (levels * (1 - levels) / count).sqrt() * expect.STANDARD_ERRORS + 1e-6
        if bool(((share - levels).abs() > error).any()):
            seen = ", ".join(f"{float(s):.2f}" for s in share)
            return (
                "Of many pixels of grey 0, 0.1, 0.35, 0.6, 0.9 and 1, these shares become 1: "
                f"{seen}."
            )
        together = torch.corrcoef(got[:, 1:5].T) - torch.eye(4)
        if float(together.abs().max()) > expect.STANDARD_ERRORS / math.sqrt(count):
            return "Pixels of one image are drawn together: each needs a draw of its own."
        return (
            expect.first(
                expect.shape(student.call("binarize_randomly", grey.view(size)), size, what)
                for size in sizes
            )
            or independent()
            or leaves_no_trace(student, "binarize_randomly", grey)
        )

    def independent() -> str | None:
        """Nothing is shared along any dimension of a batch of images."""
        size = (12, 10, 9, 8)
        got = student.call("binarize_randomly", torch.full(size, 0.5), seed=draw.seed())
        if not _shared(2 * expect.needed(got, size, "the result of `binarize_randomly`") - 1):
            return None
        return (
            f"In a batch of images of the shape {size}, pixels are drawn together: every pixel of "
            "every image needs a draw of its own."
        )

    @criterion("the generator decides the draw, and every call draws afresh", 0.25)
    def generator() -> str | None:
        return _is_random(student, "binarize_randomly", "the drawn image", grey)

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, "binarize", grey) or _is_random_on_gpu(
            student, "binarize_randomly", grey
        )

    yield from (threshold, contract, chance, generator, gpu)


def mlp(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Fully connected layers at the right initial scale."""
    seed = draw.seed()
    sizes = (6, 9, 5, 11)

    def build(*sizes: int, seed: int = seed) -> Module:
        return Module.build(student, "make_mlp", sizes, seed=seed)

    @criterion("the layers: as many and as wide as asked for", 0.5)
    def layers() -> str | None:
        for widths in (sizes, (7, 4), (784, 200, 200)):
            net = build(*widths)
            what = f"a network of the sizes {widths}"
            want = sum((a + 1) * b for a, b in itertools.pairwise(widths))
            x = draw.normal(3, widths[0])
            if problem := (
                expect.shape(net(x), (3, widths[-1]), f"the output of {what}")
                or has_size(net, want, what)
                or judges_rows_apart(net, x, "the output")
            ):
                return problem
        found = build(*sizes).gradients(draw.normal(3, sizes[0])).parameters
        if not (frozen := sum(gradient is None for gradient in found)):
            return None
        return (
            f"{frozen} of the {len(found)} weight and bias tensors of a network get no gradient, "
            "so they never learn. Is each of them used when the network runs, and is its gradient "
            "switched on?"
        )

    @criterion("a ReLU between layers and nothing after the last", 0.75)
    def activations() -> str | None:
        net = build(5, 40, 40, 6)
        x = draw.normal(8, 5)
        linear = build(5, 6)
        if problem := is_nonlinear(net, x[:4], x[4:], "the output"):
            return problem
        if problem := is_raw(net, x, "the output"):
            return problem
        # Without biases a network of ReLUs answers twice the input with twice the output.
        _clear_biases(net)
        if not expect.alike(net(2 * x), 2 * net(x), rtol=1e-3, atol=1e-4):
            return "Between the layers stands something that bends where a ReLU is straight."
        _clear_biases(linear)
        if not expect.alike(linear(x) + linear(-x), torch.zeros(8, 6)):
            return "With two sizes there is one linear layer, and nothing before or after it."
        hidden = build(1, 4000, 1)
        _clear_biases(hidden)
        line = torch.tensor([[1.0], [-1.0]])
        if _differs_from_relus(hidden, (1, 4000, 1), line):
            return "Between the layers stands something else than a ReLU."
        if _differs_from_relus(net, (5, 40, 40, 6), x):
            return "In a network of three layers, a ReLU does not stand between every two of them."
        # A width may come back: a hidden layer as wide as the output, or as the input.
        for widths in ((5, 8, 11, 8), (8, 11, 8, 5)):
            net = build(*widths)
            _clear_biases(net)
            if _differs_from_relus(net, widths, draw.normal(8, widths[0])):
                return (
                    f"In a network of the sizes {widths}, where one width occurs twice, not every "
                    "two layers have a ReLU between them. How does your code tell which layer is "
                    "the first or the last?"
                )
        return None

    @criterion("the weights' initial scale, and biases of zero", 1.5)
    def scale() -> str | None:
        # With few inputs weights are large, and one input more or less makes a difference.
        return expect.first(
            _starts_right(build(*widths).parameters(), widths)
            for widths in ((300, 120, 700, 250), (2, 20_000, 3))
        )

    @criterion("a draw of its own for every network", 0.25)
    def fresh() -> str | None:
        first, second = build(*sizes, seed=1).parameters(), build(*sizes, seed=2).parameters()
        return expect.different(
            [p for p in first if p.ndim == 2],
            [p for p in second if p.ndim == 2],
            "Two networks start with the very same weights: is a seed set inside?",
        )

    yield from (layers, activations, scale, fresh)


def log_likelihood(student: Student, draw: Draw) -> Iterator[Criterion]:
    """log p(x) of Bernoulli pixels, from logits."""
    name = "bernoulli_log_likelihood"
    x = (draw.uniform(3, 7) < 0.5).float()
    x[0, 0], x[0, 1] = 0, 1
    logits = draw.normal(3, 7, std=2.0)
    sizes = {"pixels": 7, "images": 3}

    @criterion("one number for each image", 0.5)
    def shape() -> str | None:
        cases = (
            ((3, 7), "the log-likelihood"),
            ((1, 7), "the log-likelihood for a batch of one"),
            ((3, 1, 7, 1), "the log-likelihood for images"),
            ((3, 2, 4), "for inputs of shape (3, 2, 4) the log-likelihood"),
            ((3, 2, 3, 2), "for images of two channels the log-likelihood"),
            ((3, 2, 1, 3, 2), "for inputs of five dimensions the log-likelihood"),
        )
        return expect.first(
            expect.shape(
                student.call(name, draw.uniform(*size).round(), draw.normal(*size)),
                size[:1],
                what,
                PER_IMAGE,
            )
            for size, what in cases
        )

    @criterion("the value", 1)
    def value() -> str | None:
        want = Bernoulli(logits=logits).log_prob(x).sum(1)
        got = student.call(name, x, logits)
        if problem := expect.close(got, want, "the log-likelihood", sizes=sizes):
            return problem
        flat = student.call(name, x, torch.zeros(3, 7))
        even = torch.full((3,), -7 * math.log(2))
        return expect.close(flat, even, "at logits of zero the log-likelihood") or leaves_no_trace(
            student, name, x, logits
        )

    @criterion("huge logits", 1)
    def extremes() -> str | None:
        for size in (60.0, 300.0, 1e4):
            far = size * torch.where(draw.uniform(3, 7) < 0.5, -1.0, 1.0)
            far[0, :2] = torch.tensor([size, -size])  # x is 0 and 1 there: both entirely wrong
            want = -torch.where(x == (far > 0).float(), 0.0, far.abs()).sum(1)
            got = student.call(name, x, far)
            what = f"at logits of {size:g} and {-size:g} the log-likelihood"
            if problem := expect.close(got, want, what):
                return problem + _explain_far(student, name)
        return None

    @criterion("gradients with respect to the logits", 0.5)
    def gradient() -> str | None:
        weights = draw.uniform(3, low=0.5, high=2.0)
        found = student.gradients(name, x, logits, wrt=(1,), cotangent=weights).inputs[0]
        want = weights[:, None] * (x - torch.sigmoid(logits))
        if problem := expect.gradient(found, want, "the logits", sizes=sizes):
            return problem
        far = torch.tensor([[500.0, -500.0]])
        ones = torch.tensor([[0.0, 1.0]])
        found = student.gradients(name, ones, far, wrt=(1,)).inputs[0]
        return expect.gradient(found, torch.tensor([[-1.0, 1.0]]), "logits of 500 and -500")

    yield from (shape, value, extremes, gradient)


def kl(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The divergence in closed form, from standard deviations."""
    name = "gaussian_kl_from_std"
    mu, std = draw.normal(3, 5, std=1.5), draw.uniform(3, 5, low=0.2, high=2.5)
    sizes = {"latent dimensions": 5, "examples": 3}
    zeros, ones = torch.zeros(3, 5), torch.ones(3, 5)

    def compare(mu: Tensor, std: Tensor, what: str) -> str | None:
        want = reference().call(name, mu, std)
        return expect.close(student.call(name, mu, std), want, what, sizes=sizes)

    @criterion("one number for each example", 0.25)
    def shape() -> str | None:
        return expect.first(
            expect.shape(student.call(name, mu[:batch], std[:batch]), (batch,), what, PER_IMAGE)
            for batch, what in ((3, "the divergence"), (1, "the divergence for a batch of one"))
        )

    @criterion("the value", 1.25)
    def value() -> str | None:
        problem = compare(mu, std, "the divergence")
        if problem is None:
            return compare(
                zeros, ones, "the divergence of the prior from itself"
            ) or leaves_no_trace(student, name, mu, std)
        if compare(mu, ones, "") is None:
            return f"{problem} Where all deviations are 1 it is right: look at what `std` does."
        if compare(zeros, std, "") is None:
            return f"{problem} Where all means are 0 it is right: look at what `mu` does."
        return problem

    @criterion("the gradients with respect to mu and std", 0.75)
    def gradient() -> str | None:
        weights = draw.uniform(3, low=0.5, high=2.0)
        found = student.gradients(name, mu, std, wrt=(0, 1), cotangent=weights).inputs
        want = (weights[:, None] * mu, weights[:, None] * (std - 1 / std))
        return expect.first(
            expect.gradient(*pair, what, sizes=sizes)
            for *pair, what in zip(found, want, ("`mu`", "`std`"), strict=True)
        )

    @criterion("tiny and large deviations, many dimensions, leading dimensions", 0.5)
    def extremes() -> str | None:
        tiny = torch.full((3, 5), 1e-6) * draw.uniform(3, 5, low=1, high=5)
        many = draw.uniform(3, 300, low=0.05, high=0.3)
        return (
            compare(mu, tiny, "for deviations near 0.000001 the divergence")
            or compare(mu, draw.uniform(3, 5, low=200, high=900), "for large deviations it")
            or compare(torch.zeros_like(many), many, "for 300 latent dimensions the divergence")
            or expect.first(
                compare(
                    draw.normal(*size),
                    draw.uniform(*size, low=0.5, high=2),
                    f"for inputs of shape {size} the divergence",
                )
                for size in ((2, 3, 5), (2, 1, 3, 5), (1, 2, 1, 3, 1), (5,))
            )
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, name, mu, std, backward=True)

    yield from (shape, value, gradient, extremes, gpu)


def model(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The whole model, in small and in the published sizes."""
    seed = draw.seed()
    x = (draw.uniform(4, 1, 3, 4) < 0.5).float()

    def build(pixels: int = 12, hidden: tuple = (9, 6), latent: int = 5) -> Module:
        return Module.build(student, "BernoulliVAE", pixels, hidden, latent, seed=seed)

    @criterion("encode, decode and forward: shapes, for a single image too", 0.75)
    def shapes() -> str | None:
        for hidden in ((9,), (9, 6), (8, 7, 6)):
            vae = build(hidden=hidden)
            for batch in (4, 1):
                for images in (x[:batch], x[:batch].flatten(1)):
                    what = f"for images of shape {tuple(images.shape)}"
                    encoded = vae.call("encode", images)
                    if problem := _is_posterior(encoded, batch, 5, f"what `encode` gives {what}"):
                        return problem
                    logits, mu, std = _outputs(vae, images, seed=1)
                    if problem := (
                        expect.shape(vae.call("decode", mu), (batch, 12), "what `decode` gives")
                        or expect.shape(logits, (batch, 12), f"{what}, the first output")
                        or _is_posterior((mu, std), batch, 5, f"what a forward pass gives {what}")
                        or expect.same(
                            [mu, std],
                            list(encoded),
                            "A forward pass gives another `mu` and `std` than `encode` does for "
                            "the same image.",
                        )
                    ):
                        return problem
        return None

    @criterion("the number of parameters", 1)
    def size() -> str | None:
        cases = [(784, (200,), 100), (784, (200, 100), 2), (12, (9, 6, 8), 5)]
        for pixels, hidden, latent in cases:
            want = _parameters(pixels, hidden, latent)
            what = f"a model of {pixels} pixels, hidden sizes {hidden} and {latent} latents"
            vae = build(pixels, hidden, latent)
            if problem := has_size(vae, want, what):
                return problem
        default = Module.build(student, "BernoulliVAE", seed=seed)
        return has_size(default, 374_984, "a model with the default sizes")

    @criterion("mu is any real number, std a softplus that never reaches zero", 1.25)
    def posterior() -> str | None:
        vae = build(12, (40, 30), 16)
        noise = draw.normal(7, 12)
        mu, std = vae.call("encode", noise)
        if problem := _is_posterior((mu, std), 7, 16, "what `encode` gives"):
            return problem
        return (
            expect.different(mu, std, "`mu` and `std` are one and the same.")
            or is_raw(lambda z: vae.call("encode", z)[0], noise, "`mu`")
            or _is_softplus(vae, noise)
        )

    @criterion("decode gives logits, and both halves have hidden layers", 0.75)
    def logits() -> str | None:
        vae = build(12, (30, 20), 5)
        z, images = draw.normal(8, 5), draw.normal(8, 12)

        def decode(z: Tensor) -> Tensor:
            return vae.call("decode", z)

        if problem := is_raw(decode, z, "what `decode` gives"):
            return f"{problem} A logit is any real number; the sigmoid belongs to the likelihood."
        return is_nonlinear(decode, z[:4], z[4:], "what `decode` gives") or is_nonlinear(
            lambda x: vae.call("encode", x)[0], images[:4], images[4:], "`mu`"
        )

    @criterion("forward decodes a draw from the posterior", 1.25)
    def sampling() -> str | None:
        straight = build(12, (30,), 5)
        return converged(student, SCATTER, draw) or _draws_every_dimension(straight, draw)

    @criterion("randomness: fresh at each call, and decided by the generator", 0.25)
    def randomness() -> str | None:
        vae = build()

        def decoded(**source) -> Tensor:
            return _outputs(vae, x, **source)[0]

        what = "what a forward pass decodes"
        problem = (
            draws_afresh(decoded, what)
            or _draws_by_pytorch(student, vae.ref, what, x, part=lambda got: got[0])
            or uses_generator(student, decoded, what)
        )
        if problem:
            return problem
        vae.eval()
        return draws_afresh(
            decoded, "what a forward pass of a model in evaluation mode decodes"
        ) or expect.first(
            leaves_no_trace(
                student, *target, named="a forward pass" if target[0] is vae.ref else ""
            )
            for target in (
                (vae.ref, x),
                ((vae.ref, "decode"), draw.normal(4, 5)),
            )
        )

    @criterion("gradients reach every parameter", 0.5)
    def gradients() -> str | None:
        # Through the logits alone: mu and std also stand beside them in the result.
        through = [torch.ones(20, 12), None, None]
        vae, inputs = build(12, (9, 6), 5), draw.normal(20, 12)
        if problem := reaches_every_parameter(vae, inputs, seed=seed, cotangent=through):
            return problem
        found = vae.gradients(inputs, seed=seed, cotangent=through).parameters
        for values in found:
            # The encoder's last layer, where one matrix gives both mu and std: ten rows.
            if len(values) == 10 and int((values.view(10, -1) == 0).all(1).sum()) == 5:
                return (
                    "Gradients of the logits reach only one half of what the encoder gives. Both "
                    "`mu` and `std` decide which z is drawn."
                )
        return None

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return _is_random_on_gpu(student, build().ref, x, backward=True)

    yield from (shapes, size, posterior, logits, sampling, randomness, gradients, gpu)


TOLD = '''
import torch
from torch import nn


class Told(nn.Module):
    """Answers any images with the logits, mu and std that it was told, and some noise on top."""

    def __init__(self, logits, mu, std, spread=0.0):
        super().__init__()
        self.logits, self.mu, self.std = (nn.Parameter(t.clone()) for t in (logits, mu, std))
        self.spread = spread
        self.passes = 0

    def count(self):
        return torch.tensor(self.passes)

    def forward(self, x, generator=None):
        self.passes += 1
        noise = torch.randn(self.logits.shape, generator=generator)
        logits = self.logits + self.spread * noise
        return logits[: len(x)], self.mu[: len(x)], self.std[: len(x)]
'''


def terms(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The negative ELBO and its parts."""
    name = "bernoulli_terms"
    x = (draw.uniform(3, 1, 3, 4) < 0.5).float()
    logits = draw.normal(3, 12, std=2.0)
    mu, std = draw.normal(3, 5), draw.uniform(3, 5, low=0.3, high=2.0)
    sizes = {"pixels": 12, "latent dimensions": 5, "images": 3}

    def build(spread: float = 0.0) -> Module:
        told = student.define(TOLD)["Told"]
        return Module.build(student, told, logits, mu, std, spread=spread)

    def ask(images: Tensor = x, model: Module | None = None, **source) -> dict[str, Tensor]:
        got = student.call(name, (model or build()).ref, images, **source)
        if not isinstance(got, dict) or not {"loss", "nll", "kl"} <= got.keys():
            raise unfit(
                f'The result is {expect.describe(got)}, where a dict of "loss", "nll" and "kl" '
                "was expected."
            )
        return got

    @criterion("a dict of three terms, one number for each image in each", 0.5)
    def shape() -> str | None:
        cases = ((x, 3, ""), (x.flatten(1), 3, " for rows of pixels"), (x[:1], 1, " for one image"))
        return expect.first(
            expect.shape(ask(images)[key], (batch,), f'"{key}"{what}', PER_IMAGE)
            for images, batch, what in cases
            for key in ("nll", "kl", "loss")
        )

    @criterion("the negative log-likelihood", 0.75)
    def nll() -> str | None:
        pixels = x.flatten(1)
        want = -Bernoulli(logits=logits).log_prob(pixels).sum(1)
        got = ask()["nll"]
        problem = expect.close(got, want, '"nll"', sizes=sizes)
        if problem and _is_own(student, got, "bernoulli_log_likelihood", pixels, logits, sign=-1):
            return None
        return problem

    @criterion("the divergence", 0.5)
    def divergence() -> str | None:
        want = reference().call("gaussian_kl_from_std", mu, std)
        got = ask()["kl"]
        problem = expect.close(got, want, '"kl"', sizes=sizes)
        if problem and _is_own(student, got, "gaussian_kl_from_std", mu, std):
            return None
        return problem

    @criterion("the loss: the negative of the bound", 0.75)
    def loss() -> str | None:
        got = ask()
        if problem := expect.first(
            expect.shape(got[key], (3,), f'"{key}"') for key in ("loss", "nll", "kl")
        ):
            return problem
        return expect.close(got["loss"], got["nll"] + got["kl"], '"loss"', atol=1e-3)

    @criterion("one draw, from the generator; gradients of the loss", 0.5)
    def generator() -> str | None:
        noisy = build(spread=1.0)

        def ask_nll(**source) -> Tensor:
            return ask(model=noisy, **source)["nll"]

        if problem := (
            draws_afresh(ask_nll, "the loss")
            or _draws_by_pytorch(
                student, name, "the loss", noisy.ref, x, part=lambda got: got["nll"]
            )
            or uses_generator(student, ask_nll, "the loss")
        ):
            return problem
        problem = leaves_no_trace(student, name, noisy.ref, x)
        if problem and not _leaves_traces(student, "bernoulli_log_likelihood", x, 1 - x):
            return problem
        counted = build()
        ask(model=counted)
        if (passes := int(counted.call("count"))) != 1:
            return (
                f"The model is asked {passes} times for one set of terms. One forward pass gives "
                "all three; another one draws another z, and takes as long again."
            )
        weights = draw.uniform(3, low=0.5, high=2.0)
        told = build()
        found = student.gradients(
            name, told.ref, x, of=told.ref, cotangent={"loss": weights}
        ).parameters
        names = ("the logits", "`mu`", "`std`")
        return expect.first(
            expect.no_gradient(what) if got is None else expect.finite(got, f"the gradient: {what}")
            for got, what in zip(found, names, strict=True)
        )

    yield from (shape, nll, divergence, loss, generator)


MARKED = '''
import torch
from torch import nn


class Marked(nn.Module):
    """One number for each pixel: an image of one white pixel moves that pixel's number only.

    The gradients are proportional to `scale`, and in evaluation mode they are zero.
    """

    def __init__(self, start, scale=1.0):
        super().__init__()
        self.weight = nn.Parameter(start.clone())
        self.scale = scale

    def forward(self, x, generator=None):
        x = x.flatten(1)
        weight = self.weight if self.training else self.weight.detach() + 0 * self.weight
        ones = torch.ones(len(x), 1)  # a divergence of 1.307 for every image
        return x * weight * self.scale, ones, 2 * ones


class Heard(Marked):
    """The same model; it notes which images it is trained on, and what its generator draws."""

    def __init__(self, start, scale=1.0):
        super().__init__(start, scale)
        self.batches, self.noise = [], []

    def forward(self, x, generator=None):
        if torch.is_grad_enabled():
            self.batches.append(x.flatten(1).argmax(1))
            self.noise.append(torch.rand(len(x), generator=generator))
        return super().forward(x, generator)


def batches_of(model):
    return list(model.batches)


def noise_of(model):
    return list(model.noise)


def hands_on(terms, model, x):
    """Whether loss terms draw from the generator that they are given, and from no other."""
    drawn = []
    for own, other in ((1, 1), (1, 2), (2, 1)):
        torch.manual_seed(other)
        model.noise.clear()
        terms(model, x, torch.Generator().manual_seed(own))
        drawn.append(torch.cat([torch.zeros(1), *model.noise]))
    return torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def identity(x):
    return x


def blank(batch, generator=None):
    return torch.zeros_like(batch)


def shower(batch, generator):
    """Images become black, each with a chance of one half."""
    kept = torch.rand(len(batch), generator=generator, device=batch.device) < 0.5
    return batch * kept[:, None]


def fit_from_the_cpu(fit, model, x, x_held_out):
    """The model is on its device, and the images are on the CPU, as they are in the notebook."""
    images, others = (t.detach().cpu() for t in (x, x_held_out))
    return fit(model, images, 2, x_held_out=others, redraw=shower)
'''


def fit(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The training loop, judged by what it does to a model whose weights tell who was trained on.

    With RMSprop a number that receives its first gradient moves by 10 learning rates, whatever the
    gradient's size (the mean square starts at zero and takes on a hundredth of the first square);
    a number without a gradient stays where it is.
    """
    probe = student.define(MARKED)
    rate = 0.01

    def train(
        x: Tensor | Ref, pixels: int, epochs: int, batch_size: int, **settings
    ) -> tuple[Any, Tensor]:
        """A fit of a fresh model: its history, and how far each pixel's number moved.

        `world` is the seed of the global generators, on which a fit does not depend.
        """
        scale, world = settings.pop("scale", 1.0), settings.pop("world", 0)
        start = settings.pop("start", torch.zeros(pixels))
        marked = Module.build(student, probe["Marked"], start, scale)
        settings = {"learning_rate": rate, "batch_size": batch_size, **settings}
        history = _fit(student, marked.ref, x, epochs, world, settings)
        return history, marked.parameters()[0] - start

    @criterion("the caller's images, and their order, stay as they were", 1)
    def untouched() -> str | None:
        x = draw.uniform(9, 6).round()
        x[:, 0] = torch.arange(9) % 2
        held_out = draw.uniform(5, 6).round()
        tensors = [student.call(probe["identity"], t, keep=True) for t in (x, held_out)]
        train(tensors[0], 6, 2, 4, x_held_out=tensors[1], redraw=probe["blank"])
        after, held_out_after = (student.fetch(t) for t in tensors)
        if expect.alike(after, x) and expect.alike(held_out_after, held_out):
            return None
        if isinstance(after, Tensor) and after.shape == x.shape:
            if sorted(after.tolist()) == sorted(x.tolist()):
                return (
                    "After `fit`, the images that the caller passed in stand in another order and "
                    "no longer go with their labels. What is shuffled in place?"
                )
        return "After `fit`, the images that the caller passed in are no longer what they were."

    @criterion("every image once in an epoch, the last batch too, in an order of its own", 1)
    def epochs() -> str | None:
        for count, batch_size in ((10, 4), (3, 64), (9, 3), (5, 4)):
            _, moved = train(torch.eye(count), count, 1, batch_size)
            if problem := _explain_use(moved.abs(), rate, count, batch_size):
                return problem
        # A pixel that is white in all images; its gradient stays the same, as weak as it is here.
        _, moved = train(torch.ones(9, 1), 1, 1, 3, scale=1e-3)
        if problem := _explain_steps(float(moved.abs()) / rate, 3):
            return problem
        orders = [
            train(torch.eye(24), 24, 2, 4, seed=seed, world=world)[1].abs()
            for seed, world in ((3, 1), (3, 2), (4, 1))
        ]
        # The second step of a pixel depends on how many batches lie between its two visits.
        if float(orders[0].max() - orders[0].min()) < 1e-2 * rate:
            heard = batches()
            if set(heard) != set(heard[: len(heard) // 2]):
                return (
                    "In the second epoch the steps have the size that they would have without a "
                    "first: the optimiser has lost its memory of earlier gradients. Where is it "
                    "made, and how often?"
                )
            return (
                "The images come in the same order in every epoch. Where is a new order drawn: "
                "once, or once in an epoch?"
            )
        return (
            expect.same(
                orders[0],
                orders[1],
                "Two calls with the same `seed` train in different orders.",
            )
            or expect.different(
                orders[0], orders[2], "The order of the images does not depend on `seed`."
            )
            or company()
        )

    def batches() -> list[tuple[int, ...]]:
        """The images in each batch of two epochs, six batches each."""
        heard = Module.build(student, probe["Heard"], torch.zeros(24))
        _fit(student, heard.ref, torch.eye(24), 2, 0, {"batch_size": 4, "learning_rate": rate})
        found = student.call(probe["batches_of"], heard.ref)
        return [tuple(sorted(batch.tolist())) for batch in found]

    def company() -> str | None:
        """An image meets others in its batch from epoch to epoch."""
        heard = batches()
        half = len(heard) // 2
        first, second = (
            {pair for batch in part for pair in itertools.combinations(batch, 2)}
            for part in (heard[:half], heard[half:])
        )
        # Of an epoch's 36 pairs a new order leaves 4.7 together, on average; in 100,000 draws it
        # was never more than 17.
        if len(first & second) <= 24:
            return None
        return (
            "From epoch to epoch it is the same images that share a batch. Is it the images that "
            "are put in a new order, or only the batches?"
        )

    @criterion("a step: RMSprop's, for the mean over the batch, on what `redraw` makes", 0.75)
    def steps() -> str | None:
        # Far below RMSprop's epsilon its steps are proportional to the gradient: a mean over 8
        # makes half of what a mean over 4 makes, a sum the same.
        small, large = (
            float(train(torch.eye(8), 8, 1, size, scale=1e-9)[1].abs().median()) for size in (4, 8)
        )
        if small == 0 or large == 0:
            return "The model's weights do not move."
        if abs(small / large - 1) < 0.1:
            return (
                "The size of a step does not shrink as it should when a batch holds more images: "
                "is it the sum over the batch that is minimised, and not the mean?"
            )
        if abs(small / large - 2) > 0.2:
            return "The steps do not follow the gradient of the mean loss over the batch."
        short, full = (
            float(train(torch.eye(3), 3, 1, size, scale=1e-9)[1].abs().median()) for size in (64, 3)
        )
        if abs(short / full - 1) > 0.1:
            return (
                f"Three images make {short / full:.3g} times the step in a batch meant for 64 that "
                "they make in a batch meant for 3: a short batch is divided by its own size."
            )
        _, moved = train(torch.eye(6), 6, 1, 6)
        if problem := _explain_direction(student, probe, moved, rate):
            return problem
        _, moved = train(torch.eye(6), 6, 1, 6, redraw=probe["blank"])
        if bool(moved.any()):
            return (
                "Where `redraw` makes every image black, the model still trains on the images as "
                "they were passed in."
            )
        one, other = (
            train(torch.eye(60), 60, 6, 20, redraw=probe["shower"], world=world)[1]
            for world in (1, 2)
        )
        # Of 60 images one stays black in all of 6 epochs, on average; if what is drawn once serves
        # them all, 30 do. More than 12 happens once in 100 billion times.
        if (left := int((one == 0).sum())) > 12:
            return (
                "Where `redraw` makes half of the images black, by chance, "
                f"{left} of 60 stay black for all of 6 epochs. Each image is to be redrawn every "
                "time that it is used."
            )
        return (
            expect.same(
                one,
                other,
                "Two calls with the same `seed` train on different images, where `redraw` draws "
                "them: which generator is it given?",
            )
            or noise()
        )

    def noise() -> str | None:
        """What the model draws is decided by the seed, and new in every batch."""

        def hear(seed: int, world: int) -> list[Tensor]:
            heard = Module.build(student, probe["Heard"], torch.zeros(8))
            settings = {"batch_size": 4, "learning_rate": rate, "seed": seed}
            _fit(student, heard.ref, torch.eye(8), 2, world, settings)
            return student.call(probe["noise_of"], heard.ref)

        heard = Module.build(student, probe["Heard"], torch.zeros(4))
        terms = student.ref("bernoulli_terms")
        if not student.call(probe["hands_on"], terms, heard.ref, torch.eye(4)):
            return None  # the terms themselves are at fault
        once = hear(3, 1)
        if any(torch.equal(a, b) for a, b in itertools.combinations(once, 2)):
            return (
                "The model draws the very same noise for different batches. Where is the noise's "
                "generator made, and how often is it given its seed?"
            )
        return expect.same(
            once,
            hear(3, 2),
            "In two calls with the same `seed` the model draws different noise: which generator "
            "do the loss terms get?",
        ) or expect.different(
            once, hear(4, 1), "The noise that the model draws does not depend on `seed`."
        )

    @criterion("the history: nats per image, of the loss, each image counted once", 1)
    def history() -> str | None:
        start = draw.normal(14, std=2.0)
        x = torch.cat([torch.tril(torch.ones(10, 10)), torch.zeros(10, 4)], dim=1)
        held_out = torch.cat([torch.zeros(4, 10), torch.eye(4)], dim=1)
        marked = Module.build(student, probe["Marked"], start)

        def means(images: Tensor) -> dict[str, float]:
            terms = student.call("bernoulli_terms", marked.ref, images)
            return {key: float(terms[key].double().mean()) for key in ("loss", "nll", "kl")}

        want = {"train": [means(x)] * 3, "held_out": [means(held_out)] * 4}
        # Ten images in batches of 4 leave a short batch, in batches of 5 none.
        for batch_size in (4, 5):
            got, _ = train(
                x, 14, 3, batch_size, start=start, learning_rate=0.0, x_held_out=held_out
            )
            if problem := _explain_history(_as_history(got), want):
                return problem
        got, _ = train(x, 14, 1, 4, start=start)
        if list(_as_history(got)["held_out"]):
            return 'Without held-out images there is nothing to put under "held_out".'
        got, moved = train(x, 14, 0, 4, start=start, x_held_out=held_out)
        counts = [len(_as_history(got)[part]) for part in ("train", "held_out")]
        if counts != [0, 1] or bool(moved.any()):
            return (
                f"With 0 epochs the history has {counts[0]} entries for training and {counts[1]} "
                "for held-out images: only the measurement before any training was expected."
            )
        return measures(x, held_out, start)

    def measures(x: Tensor, held_out: Tensor, start: Tensor) -> str | None:
        """Held-out images are measured as they are, and otherwise leave no trace."""
        _, moved = train(x, 14, 2, 4, x_held_out=held_out)
        if bool(moved[10:].any()):
            return "The model is trained on the held-out images too."
        if not expect.alike(moved, train(x, 14, 2, 4)[1]):
            return (
                "When held-out images are measured between the epochs, the model is trained "
                "otherwise than without them. In which mode does it go on after a measurement?"
            )
        marked = Module.build(student, probe["Marked"], start)
        still = {"batch_size": 4, "learning_rate": 0.0, "x_held_out": held_out}
        plain, blank = (
            _as_history(_fit(student, marked.ref, x, 1, 0, still | redraw))
            for redraw in ({}, {"redraw": probe["blank"]})
        )
        if not all(marked.modes()):
            return "A model in training mode is in evaluation mode after `fit`."
        if not expect.alike(blank["held_out"], plain["held_out"]):
            return (
                "Where `redraw` makes every image black, what is measured on held-out images "
                "changes too. They are never redrawn."
            )
        if expect.alike(blank["train"], plain["train"]):
            return (
                "Where `redraw` makes every image black, the history tells what the images as they "
                "were passed in cost, and not what was trained on."
            )
        return None

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        # Fewer images than a batch may hold: the loop as it was handed out stops on any device.
        x, held_out = draw.uniform(5, 4).round(), draw.uniform(3, 4).round()
        model = _open(student, draw.normal(4, 2), draw.normal(4, 2), draw.normal(2, 4), x[0])
        return ends_on_gpu(
            student, probe["fit_from_the_cpu"], student.ref("fit"), model.ref, x, held_out
        )

    yield from (untouched, epochs, steps, history, gpu)


OPEN = '''
import torch
from torch import nn


class Open(nn.Module):
    """A VAE of which everything is known: linear maps from images to mu and log std, and back."""

    def __init__(self, to_mu, to_log_std, weight, bias):
        super().__init__()
        self.to_mu, self.to_log_std = nn.Parameter(to_mu.clone()), nn.Parameter(to_log_std.clone())
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        self.latent_dim, self.num_pixels = weight.shape

    def encode(self, x):
        x = x.flatten(1)
        return x @ self.to_mu, (x @ self.to_log_std).exp()

    def decode(self, z):
        return z @ self.weight + self.bias

    def forward(self, x, generator=None):
        mu, std = self.encode(x)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.decode(mu + std * noise), mu, std
'''


def _open(student: Student, *parameters: Tensor) -> Module:
    return Module.build(student, student.define(OPEN)["Open"], *parameters)


def predictive(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Codes, samples and probabilities, of a model whose codes can be read off its images."""
    count = 3000
    images = (draw.uniform(3, 1, 2, 2) < 0.5).float()
    images[0, 0, 0, 0], images[1, 0, 0, 0] = 1, 0
    to_mu, to_log_std = 0.7 * draw.normal(4, 4), 0.2 * draw.uniform(4, 4, low=-1.0)
    bias = 0.3 * draw.normal(4)

    def build(pixels: int = 4) -> Module:
        weight = torch.eye(4) if pixels == 4 else draw.normal(4, pixels)
        offset = bias if pixels == 4 else draw.normal(pixels)
        return _open(student, to_mu, to_log_std, weight, offset)

    def codes(probabilities: Tensor) -> Tensor:
        return torch.logit(probabilities.double()) - bias

    @criterion("transform: the posterior means, nothing random", 0.75)
    def transform() -> str | None:
        model = build()
        mu, _ = model.call("encode", images)
        got = student.call("transform", model.ref, images, seed=1)
        return (
            expect.shape(got, mu.shape, "what `transform` gives")
            or expect.same(
                got,
                student.call("transform", model.ref, images, seed=2),
                "`transform` gives other codes at each call.",
            )
            or expect.close(got, mu, "the code")
            or expect.close(
                student.call("transform", model.ref, images[:1]), mu[:1], "the code of one image"
            )
            or _holds_no_graph(student, "transform", model.ref, images)
            or leaves_no_trace(student, "transform", model.ref, images)
        )

    @criterion("prior_predictive_given: samples and probabilities for given codes", 1)
    def given() -> str | None:
        model, name = build(6), "prior_predictive_given"
        z = draw.normal(5, 4)
        want = torch.sigmoid(model.call("decode", z))
        samples, probabilities = _pair(student, name, model.ref, z)
        if problem := _is_predictive(samples, probabilities, (5, 6), name) or expect.close(
            probabilities, want, f"the probability in `{name}`"
        ):
            return problem
        many = z[:1].expand(count, 4)
        return (
            _follows(_pair(student, name, model.ref, many, seed=draw.seed()), name)
            or _is_random(student, name, f"what `{name}` gives", model.ref, z)
            or _holds_no_graph(student, name, model.ref, z)
            or leaves_no_trace(student, name, model.ref, z)
        )

    @criterion("prior_predictive: a code from the prior for each image", 1)
    def prior() -> str | None:
        model, name = build(), "prior_predictive"
        for size in (3, 1):
            pair = _pair(student, name, model.ref, size)
            if problem := _is_predictive(*pair, (size, 4), f"{name}({size})"):
                return problem
        pair = _pair(student, name, model.ref, count, seed=draw.seed())
        z = codes(pair[1])
        if problem := expect.standard_normal(z, f"the code behind an image of `{name}`"):
            return f"{problem} Codes of the prior are draws from N(0, I)."
        return (
            _follows(pair, name)
            or _is_random(student, name, f"what `{name}` gives", model.ref, 3)
            or _holds_no_graph(student, name, model.ref, 3)
            or leaves_no_trace(student, name, model.ref, 3)
        )

    @criterion("posterior_predictive: a code from each image's posterior", 1)
    def posterior() -> str | None:
        model, name = build(), "posterior_predictive"
        for batch in (3, 1):
            pair = _pair(student, name, model.ref, images[:batch])
            if problem := _is_predictive(*pair, (batch, 4), name):
                return problem
        mu, std = model.call("encode", images[:1])
        pair = _pair(student, name, model.ref, images[:1].expand(count, -1, -1, -1), seed=7)
        noise = (codes(pair[1]) - mu) / std
        if float(noise.std(0).max()) < 1e-3:
            return f"`{name}` gives the same probabilities for an image every time."
        if problem := expect.standard_normal(noise, "(z - mu) / std, for the codes behind images,"):
            return f"{problem} The codes of `{name}` are not draws from q(z|x)."
        return (
            _follows(pair, name)
            or _is_random(student, name, f"what `{name}` gives", model.ref, images)
            or _holds_no_graph(student, name, model.ref, images)
            or leaves_no_trace(student, name, model.ref, images)
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        model = build().ref
        return works_on_gpu(student, "transform", model, images) or expect.first(
            _is_random_on_gpu(student, name, model, given)
            for name, given in (
                ("prior_predictive_given", draw.normal(5, 4)),
                ("prior_predictive", 5),
                ("posterior_predictive", images),
            )
        )

    yield from (transform, given, prior, posterior, gpu)


def log_mean_exp(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The logarithm of a mean of exponentials."""
    name = "log_mean_exp"
    values = draw.normal(4, 3, 5, std=2.0)

    @criterion("the value, along any dimension", 0.5)
    def value() -> str | None:
        for dim in (0, 1, 2, -1):
            want = values.double().exp().mean(dim).log()
            got = student.call(name, values, dim)
            if problem := expect.close(got, want, f"along dimension {dim} the result"):
                return problem
        for part, dim in ((values[:1, :, :1], 1), (values[:1, :, :1], 0), (values[0, 0], 0)):
            want = part.double().exp().mean(dim).log()
            what = f"for values of shape {tuple(part.shape)}, along dimension {dim}, the result"
            if problem := expect.close(student.call(name, part, dim), want, what):
                return problem
        return leaves_no_trace(student, name, values, 0)

    @criterion("values far beyond what exp can bear", 0.5)
    def extremes() -> str | None:
        for shift in (-1e4, -300.0, 300.0, 1e4):
            want = (values.double().exp().mean(0).log() + shift).float()
            problem = expect.close(
                student.call(name, values + shift, 0),
                want,
                f"for values around {shift:g} the result",
                rtol=1e-6,
                atol=5e-3,
            )
            if problem:
                return problem
        rows = torch.tensor([-90.0, -600.0, 500.0])[:, None] + draw.normal(3, 4)
        want = rows.double().logsumexp(1) - math.log(4)
        problem = expect.close(
            student.call(name, rows, 1),
            want.float(),
            "for rows around -90, -600 and 500 in one tensor, the result",
            atol=1e-3,
        )
        if problem:
            return f"{problem} Is one number pulled out of all rows, where each needs its own?"
        apart = torch.tensor(
            [[1e4, -1e4, 0], [-300, 250, 40], [-1e4, 0, -2000], [-500, -1e4, -1e4]]
        )
        return expect.close(
            student.call(name, apart, 1),
            (apart.double().logsumexp(1) - math.log(3)).float(),
            "for values that lie hundreds and thousands apart in one row, the result",
            rtol=1e-6,
            atol=5e-3,
        )

    yield from (value, extremes)


def bound(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Importance weights, in models whose evidence is known."""
    name = "log_importance_weights"
    images = (draw.uniform(3, 1, 2, 3) < 0.5).float()
    images[0, 0, 0, 0], images[1, 0, 0, 0] = 1, 0
    images[:, 0, 1, 0] = 1  # no image is black all over: its posterior would be the prior
    pixels = images.flatten(1)
    bias = draw.normal(6)

    def build(weight: Tensor, to_mu: Tensor, to_log_std: Tensor) -> Module:
        return _open(student, to_mu, to_log_std, weight, bias)

    def deaf(latent: int = 2) -> Module:
        """Its decoder ignores z: then log w = log p(x) + log p(z) - log q(z|x)."""
        return build(
            torch.zeros(latent, 6),
            draw.uniform(6, latent, low=0.1, high=0.5),
            draw.uniform(6, latent, low=0.02, high=0.08),
        )

    evidence = Bernoulli(logits=bias).log_prob(pixels).sum(1)

    @criterion("a row for each sample, a column for each image", 0.25)
    def shape() -> str | None:
        return expect.first(
            expect.shape(
                student.call(name, deaf().ref, images[:batch], samples),
                (samples, batch),
                f"the result for {samples} sample(s) of {batch} image(s)",
            )
            for samples, batch in ((7, 3), (1, 3), (7, 1))
        )

    @criterion("the weights, where the proposal is the prior and the decoder ignores z", 0.5)
    def exact() -> str | None:
        model = build(torch.zeros(2, 6), torch.zeros(6, 2), torch.zeros(6, 2))
        got = student.call(name, model.ref, images, 5)
        problem = expect.close(got, evidence.expand(5, 3), "log w", sizes={"pixels": 6})
        if problem is None:
            return large()
        return (
            f"{problem} With a proposal equal to the prior and a decoder that ignores z, every "
            "weight is p(x|z)."
        )

    def large() -> str | None:
        """The same of images of 400 pixels, whose weights are numbers like exp(-300)."""
        strength, no_latent = draw.normal(400), torch.zeros(400, 2)
        model = _open(student, no_latent, no_latent, no_latent.T, strength)
        x = (draw.uniform(3, 1, 20, 20) < 0.5).float()
        want = Bernoulli(logits=strength).log_prob(x.flatten(1)).sum(1)
        got = student.call(name, model.ref, x, 5)
        return expect.close(got, want.expand(5, 3), "for images of 400 pixels log w")

    @criterion("log p(z) - log q(z|x) at the drawn z", 0.75)
    def densities() -> str | None:
        model, samples = deaf(), 4003
        mu, std = model.call("encode", images)
        got = student.call(name, model.ref, images, samples, seed=draw.seed())
        got = expect.needed(got, (samples, 3), "log w").double() - evidence
        var = std.double() ** 2
        divergence = (0.5 * (mu**2 + var - 1) - std.log()).sum(1)
        # In the noise e: (1 - var) e^2 / 2 - mu std e + constant, summed over the dimensions.
        spread = ((1 - var) ** 2 / 2 + mu**2 * var).sum(1).sqrt()
        together = torch.corrcoef(got.T) - torch.eye(3)
        if float(got.std(0).min()) > 1e-4 and float(together.abs().max()) > 0.5:
            return "All images of a batch share their noise; each needs a draw of its own."
        if float(got.std(0).max()) < 1e-4:
            return (
                "log w does not depend on z where p(z) and q(z|x) differ: are both densities in "
                "it, at the z that was drawn?"
            )
        error = spread / math.sqrt(samples) + 1e-5
        what = "in log w, log p(z) - log q(z|x)"
        if problem := expect.estimate(got.mean(0), -divergence, error, what):
            return problem
        ratio = float((got.std(0) / spread).log().abs().max())
        # The logarithm of a sample's standard deviation has an error of 1 / sqrt(2 * 4003) times
        # the root of half the kurtosis: below 0.03 here.
        return None if ratio < 0.2 else "log w does not scatter as log p(z) - log q(z|x) does."

    @criterion("on average a weight is p(x): z is what is decoded, drawn afresh for each", 0.75)
    def unbiased() -> str | None:
        samples, weight = 6007, 1.3 * draw.normal(1, 6)
        # A proposal a little wider than any posterior: no weight is ever huge.
        model = build(weight, 0.1 * draw.normal(6, 1), torch.full((6, 1), 0.03))
        got = student.call(name, model.ref, images, samples, seed=draw.seed())
        log_w = expect.needed(got, (samples, 3), "log w").double()
        truth = _evidence(weight, bias, pixels)
        if float(log_w.std(0).min()) < 1e-6:
            return "All weights of an image are the same: one z is used again and again."
        ratio = (log_w - truth).exp()
        z_score = (ratio.mean(0) - 1) / (ratio.std(0) / math.sqrt(samples))
        if float(z_score.abs().max()) > expect.STANDARD_ERRORS:
            return (
                "The mean of many weights is not p(x): "
                + ", ".join(f"{float(r):.3g}" for r in ratio.mean(0))
                + " times it, for three images. Is the z that is decoded the z at which the "
                "densities are taken?"
            )
        together = torch.corrcoef(log_w.T) - torch.eye(3)
        if float(together.abs().max()) > 0.95:
            return "All images of a batch share their noise; each needs a draw of its own."
        return (
            independent()
            or _is_random(student, name, "log w", model.ref, images, 4)
            or leaves_no_trace(student, name, model.ref, images, 4)
        )

    def independent() -> str | None:
        """Weights of one image, given many times, go their own ways."""
        # With a deviation of 1, log w is a straight line in the noise: no square hides its sign.
        shift = draw.uniform(6, 1, low=0.1, high=0.5)
        model = build(torch.zeros(1, 6), shift, torch.zeros(6, 1))
        many = images[:1].expand(500, 1, 2, 3)
        got = student.call(name, model.ref, many, 6, seed=draw.seed())
        log_w = expect.needed(got, (6, 500), "log w").double()
        if expect.alike(log_w, log_w[:, :1].expand_as(log_w)):
            return "All images of a batch share their noise; each needs a draw of its own."
        if 0 not in _shared(_standardised(log_w)):
            return None
        return (
            "The weights of one image are not independent: when one comes out high, the others "
            "tend to come out low, or high as well. Is a separate z drawn for each of them?"
        )

    @criterion("the bound: the logarithm of the weights' mean, image by image", 0.5)
    def average() -> str | None:
        own = "importance_weighted_bound"
        # Once in a while a weight is above 1, whatever p(x) is.
        for samples, mean in ((5, -90.0), (1, -90.0), (5, -600.0), (5, 8.0)):
            log_w = draw.normal(samples, 3, mean=mean, std=3.0)
            want = torch.logsumexp(log_w, 0) - math.log(samples)
            got = student.call(own, log_w)
            what = f"the bound from {samples} weight(s) with logarithms around {mean:g}"
            problem = expect.close(got, want, what, rtol=1e-5)
            if problem and not _is_own(student, got, "log_mean_exp", log_w, 0):
                return problem
        log_w = draw.normal(5, 3)
        problem = leaves_no_trace(student, own, log_w)
        return None if _leaves_traces(student, "log_mean_exp", log_w, 0) else problem

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return _is_random_on_gpu(
            student, name, deaf().ref, images, 4, backward=True
        ) or works_on_gpu(student, "importance_weighted_bound", draw.normal(4, 3), backward=True)

    yield from (shape, exact, densities, unbiased, average, gpu)


# ---- black, white and chance -------------------------------------------------------------------


def _is_black_or_white(got: Tensor, what: str) -> str | None:
    if got.dtype is torch.bool or not got.is_floating_point():
        kind = str(got.dtype).removeprefix("torch.")
        return (
            f"{expect.upper(what)} is of type {kind}. A likelihood computes with zeros and ones as "
            "floating-point numbers."
        )
    if bool(((got == 0) | (got == 1)).all()):
        return None
    grey = float(got[(got != 0) & (got != 1)][0])
    return f"{expect.upper(what)} holds {grey:.3g}, and only 0 and 1 are black and white."


SEEDED = '''
import torch


def after_seed(function, *args):
    """A result that depends on PyTorch's generator, and on no other that the judge has seeded."""
    torch.manual_seed(5)
    return function(*args)
'''


def _leaves_traces(student: Student, name: str, *args: Any) -> bool:
    """Whether it is an earlier answer that does: no mistake of here."""
    try:
        return leaves_no_trace(student, name, *args) is not None
    except StudentError:
        return False


def _draws_by_pytorch(
    student: Student,
    target: Target,
    what: str,
    *args: Any,
    part: Callable[[Any], Any] = lambda got: got,
) -> str | None:
    """Without a generator it is PyTorch's own that draws: its seed decides, and no other."""
    after_seed = student.define(SEEDED)["after_seed"]
    function = function_of(student, target)
    # The seed of a call is that of Python's and NumPy's numbers, too.
    once, again = (part(student.call(after_seed, function, *args, seed=seed)) for seed in (1, 2))
    return expect.same(
        once,
        again,
        f"Without a generator, {what} should come from PyTorch's own generator, but setting that "
        "generator's seed does not determine it. Which source of randomness is used instead?",
    )


def _shared(noise: Tensor) -> list[int]:
    """The dimensions along which independent numbers of variance 1 are not independent.

    A sum of n independent ones has the variance n, of n equal ones n^2, of opposite ones 0. That
    squared sums, on average, stray further than here from n happens once in 200 million times
    (Laurent and Massart 2000, lemma 1, for 20 nats).
    """
    found = []
    for dim, size in enumerate(noise.shape):
        squares = noise.double().sum(dim).square() / size
        spread, far = 2 * math.sqrt(20 / squares.numel()), 40 / squares.numel()
        if size > 1 and not 1 - spread < float(squares.mean()) < 1 + spread + far:
            found.append(dim)
    return found


def _standardised(values: Tensor) -> Tensor:
    """The values with a mean of 0 and a variance of 1, all of them together."""
    return (values - values.mean()) / values.std().clamp_min(1e-9)


def _is_random(student: Student, name: str, what: str, *args) -> str | None:
    return (
        draws_afresh(lambda seed: student.call(name, *args, seed=seed), what)
        or _draws_by_pytorch(student, name, what, *args)
        or uses_generator(
            student,
            lambda seed, generator: student.call(name, *args, generator=generator, seed=seed),
            what,
        )
    )


def _is_random_on_gpu(student: Student, target: Target, *args, **kwargs) -> str | None:
    """A draw ends there, from PyTorch's own generator and from one that is handed in."""
    return expect.first(
        works_on_gpu(student, target, *args, **source, **kwargs)
        for source in ({}, {"generator": Seed(1)})
    )


def _holds_no_graph(student: Student, name: str, *args) -> str | None:
    kept = student.call(name, *args, keep=True)
    if student.carries_graph(kept):
        return f"What `{name}` gives still holds on to the graph for gradients."
    return None


def _pair(student: Student, name: str, *args, **source) -> tuple[Tensor, Tensor]:
    got = student.call(name, *args, **source)
    if isinstance(got, tuple | list) and len(got) == 2:
        return got[0], got[1]
    raise unfit(
        f"`{name}` gives {expect.describe(got)}, where `(samples, probabilities)` was expected."
    )


def _is_predictive(samples: Any, probabilities: Any, shape: tuple, name: str) -> str | None:
    if problem := expect.first(
        expect.shape(part, shape, f"the {what} of `{name}`") or expect.finite(part, f"the {what}")
        for part, what in ((samples, "first result"), (probabilities, "second result"))
    ):
        return problem
    first, second = (bool(((t == 0) | (t == 1)).all()) for t in (samples, probabilities))
    if second and not first:
        return f"`{name}` gives probabilities first and samples second: the order is the other one."
    if float(probabilities.min()) < 0 or float(probabilities.max()) > 1:
        return (
            f"The probabilities of `{name}` reach from {float(probabilities.min()):.3g} to "
            f"{float(probabilities.max()):.3g}. Are they logits still?"
        )
    if expect.alike(samples, probabilities):
        return f"The samples of `{name}` are the probabilities themselves: nothing is drawn."
    if not first:
        return f"The samples of `{name}` hold other numbers than 0 and 1."
    return None


def _follows(pair: tuple[Tensor, Tensor], name: str) -> str | None:
    """Each pixel of a sample is a draw with the probability that stands in its place."""
    samples, chances = (part.double() for part in pair)
    if expect.alike(samples, (chances > 0.5).double()):
        return (
            f"In the samples of `{name}` a pixel is 1 wherever its probability is above one half: "
            "that is a threshold, and no draw."
        )
    surprise, spread = samples - chances, chances * (1 - chances)
    for weights in (torch.ones_like(chances), chances - chances.mean()):
        limit = expect.STANDARD_ERRORS * float((weights**2 * spread).sum().sqrt())
        if abs(float((weights * surprise).sum())) > limit:
            return (
                f"The samples of `{name}` do not go with the probabilities beside them. Are both "
                "made from one z, and is each pixel drawn with its own probability?"
            )
    # Pixels of one image, drawn with one number for all, go up and down together.
    standard = surprise / spread.clamp_min(1e-6).sqrt()
    common = float((standard.sum(1) ** 2).mean()) / samples.shape[1]
    if abs(common - 1) > 0.4:
        return f"In the samples of `{name}`, pixels are not drawn independently of one another."
    return None


# ---- likelihoods -------------------------------------------------------------------------------


def _explain_far(student: Student, name: str) -> str:
    """What single pixels show of a log-likelihood that fails at huge logits, or nothing."""
    sizes = torch.tensor([3.0, 60.0, 300.0, 1e4])
    x = torch.tensor([0.0, 1.0]).repeat(4)[:, None]
    logits = torch.stack([sizes, -sizes], dim=1).view(8, 1)  # each pixel is entirely wrong
    try:
        got = student.call(name, x, logits)
    except StudentError:
        return ""
    if not isinstance(got, Tensor) or got.shape != (8,):
        return ""
    (black, white), (far_black, far_white), *_ = costs = -got.double().view(4, 2)
    near = 3 + math.log1p(math.exp(-3))
    if not all(math.isclose(cost, near, rel_tol=1e-3) for cost in (black, white)):
        return ""
    # No exponential overflows at 60 yet. But there 1 - p is lost, and log p at -60 is not: which
    # of the two a pixel needs is told by its colour.
    if math.isclose(far_white, 60, rel_tol=1e-3) and not far_black < 60.1:
        return (
            " The result is right for a white pixel with a logit of -60, but not for a black one "
            "with a logit of 60. Is a probability computed on the way, and rounded to exactly 1?"
        )
    if expect.alike(costs[2], costs[3]) and float(costs[3].max()) < 299:
        return (
            f" A pixel that is entirely wrong costs {float(costs[3].max()):.3g} nats at a logit of "
            "300, and no more at one of 10,000: something is cut off on the way."
        )
    return ""


# ---- networks ----------------------------------------------------------------------------------


def _differs_from_relus(net: Module, sizes: tuple[int, ...], x: Tensor) -> bool:
    """Whether a network without biases, where its matrices can be told, is no chain of ReLUs."""
    weights = [p for p in net.parameters() if p.ndim == 2]
    if [tuple(w.shape) for w in weights] != [(b, a) for a, b in itertools.pairwise(sizes)]:
        return False
    want = x
    for w in weights[:-1]:
        want = (want @ w.T).clamp_min(0)
    return not expect.alike(net(x), want @ weights[-1].T, atol=1e-3)


def _starts_right(parameters: list[Tensor], widths: tuple[int, ...]) -> str | None:
    """Weights are independent draws from N(0, 2 / inputs), and biases zero."""
    matrices = [p for p in parameters if p.ndim == 2]
    if len(matrices) != len(widths) - 1:
        return (
            f"{len(widths) - 1} layers have {len(matrices)} matrices of weights, where "
            f"{len(widths) - 1} were expected."
        )
    ratios = []
    for weights, fan_in in zip(matrices, widths[:-1], strict=True):
        values = weights.double().flatten()
        if float(values.std()) == 0:
            return "All weights of a layer are the same, so all its units stay the same."
        if _shared(_standardised(weights)):
            return "The weights of a layer share their draws: every weight needs one of its own."
        limit = expect.STANDARD_ERRORS * float(values.std()) / math.sqrt(len(values))
        if abs(float(values.mean())) > limit:
            return "The weights of a layer do not have a mean of zero."
        ratios.append((float(values.std()) / math.sqrt(2 / fan_in), fan_in))
    # The standard error of a ratio is 1 / sqrt(2 * 36,000) = 0.004 or less.
    if not all(abs(ratio - 1) < 0.025 for ratio, _ in ratios):
        seen = ", ".join(f"{ratio:.3g} (for {fan_in:,} inputs)" for ratio, fan_in in ratios)
        return (
            f"In the layers of a network of the sizes {widths}, the weights' standard deviation is "
            f"{seen} times what it should be."
        )
    for weights in matrices:
        values = (weights / weights.std()).double().flatten()[:20_000]
        fourth = float((values - values.mean()).pow(4).mean())
        if abs(fourth - 3) > expect.STANDARD_ERRORS * math.sqrt(96 / len(values)):
            return "The weights have the right spread and are not drawn from a normal one."
    if any(bool(p.any()) for p in parameters if p.ndim == 1):
        return "Biases do not start at zero."
    for pair in itertools.combinations([_standardised(w).flatten() for w in matrices], 2):
        count = min(map(len, pair))
        if _shared(torch.stack([values[:count] for values in pair])):
            return (
                "Two layers of a network start with the same random numbers, but for their scale: "
                "every weight needs a draw of its own."
            )
    return None


def _clear_biases(net: Module) -> None:
    """Set all biases to zero."""
    net.load_state([t if t.ndim != 1 else torch.zeros_like(t) for t in net.state()])


# ---- the model ---------------------------------------------------------------------------------


def _chain(*sizes: int) -> int:
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def _parameters(pixels: int, hidden: tuple[int, ...], latent: int) -> int:
    return _chain(pixels, *hidden, 2 * latent) + _chain(latent, *reversed(hidden), pixels)


def _is_posterior(value: Any, batch: int, latent: int, what: str) -> str | None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return (
            f"{expect.upper(what)} is {expect.describe(value)}, where `mu` and `std` were expected."
        )
    if problem := expect.first(
        expect.shape(part, (batch, latent), f"{name} in {what}")
        for part, name in zip(value, ("`mu`", "`std`"), strict=True)
    ):
        return problem
    if float(value[1].min()) <= 0:
        return (
            f"{expect.upper(what)} holds a standard deviation of {float(value[1].min()):.3g}: it "
            "must be positive. What makes any real number positive?"
        )
    return None


def _outputs(vae: Module, x: Tensor, **source) -> list:
    outputs = vae(x, **source)
    if isinstance(outputs, tuple | list) and len(outputs) == 3:
        return list(outputs)
    raise unfit(
        f"A forward pass gives {expect.describe(outputs)}, where `(logits, mu, std)` was expected."
    )


def _is_softplus(vae: Module, noise: Tensor) -> str | None:
    """std is softplus(raw) + 0.000001, for a raw value that the judge never sees.

    Without biases a network of ReLUs grows in proportion to its input. So far out softplus(raw) is
    raw itself, where raw is positive, and nothing at all where it is negative; and what raw is at
    the input itself follows from there.
    """
    _clear_biases(vae)

    def std_at(distance: float) -> Tensor:
        return vae.call("encode", distance * noise)[1].double()

    near, far, farther = std_at(1.0), std_at(1e4), std_at(1e5)
    for std in (near, far, farther):
        if problem := expect.finite(std, "`std`, for huge inputs,"):
            return f"{problem} An exponential grows too fast here."
    least = float(torch.minimum(far, farther).min())
    if least <= 0:
        return "`std` can become 0, whose logarithm is infinite: a little has to be added to it."
    if least > 0.1:
        return f"`std` never falls below {least:.2g}; for some inputs it should come close to 0."
    if not 0.7e-6 < least < 1.5e-6:
        return (
            f"`std` does not fall below {least:.2g}, where 0.000001 was expected. To what is the "
            "little number added, and after which step?"
        )
    positive = far > 30
    growth = farther[positive] / far[positive]
    if not bool(positive.any()) or float((growth - 10).abs().max()) > 0.1:
        return "A large `std` does not grow in proportion to what the last layer gives."
    raw = farther[positive] / 1e5
    if not expect.alike(near[positive], F.softplus(raw) + 1e-6, rtol=1e-3, atol=1e-4):
        return "Between small and large, `std` is not a softplus of what the last layer gives."
    return None


def _draws_every_dimension(vae: Module, draw: Draw) -> str | None:
    """The noise in a code is a draw from N(0, I): each dimension has one of its own.

    The codes are hidden. But where all of the decoder's ReLUs are open, it is a straight map, and
    from its answer to each dimension alone one can tell which code it was given.
    """
    image, count = draw.normal(1, 12), 3000
    _open_decoder(vae, image)
    encoded = vae.call("encode", image)
    if problem := _is_posterior(encoded, 1, 5, "what `encode` gives for one image"):
        return problem
    mu, std = encoded

    def decoded(codes: Tensor) -> Tensor:
        logits = vae.call("decode", codes)
        return expect.needed(logits, (len(codes), 12), "what `decode` gives").double()

    centre = decoded(mu)
    each, back = (decoded(mu + far * torch.diag(std[0])) - centre for far in (1, -5))
    # Of 1,000 right models 9 were so narrow or bent that their codes could not be told: they pass.
    if float(std.min()) < 0.01 or not expect.alike(back, -5 * each, rtol=0.01, atol=0.01):
        return None
    logits = _outputs(vae, image.expand(count, 12), seed=draw.seed())[0]
    scattered = expect.needed(logits, (count, 12), "`logits`").double() - centre
    noise = torch.linalg.lstsq(each.T, scattered.T).solution.T
    return expect.standard_normal(noise, "(z - mu) / std, for the codes that are decoded,")


def _open_decoder(vae: Module, image: Tensor) -> None:
    """Raise the biases of the decoder's one hidden layer, of 30 units, until its ReLUs are open."""
    before, kept = vae.call("encode", image), vae.state()
    for place, values in enumerate(kept):
        if values.shape != (30,):
            continue
        vae.load_state([*kept[:place], values + 100, *kept[place + 1 :]])
        if expect.alike(vae.call("encode", image), before):  # not the encoder's
            return
    vae.load_state(kept)


def _scatter_of_passes(student: Student, images: Tensor, draw: Draw) -> tuple[float, str]:
    """How many times too much or too little that scatters which forward passes decode.

    It should be distributed as `decode` of draws from N(mu, std^2). At first all deviations are
    alike. So the encoder is first taught very different ones; then many forward passes are compared
    with `decode` of codes that the judge draws.
    """
    copies, pixels = 150, images[0].numel()
    vae = Module.build(student, "BernoulliVAE", pixels, (20,), 3, seed=draw.seed())
    fit = student.define(FIT)["fit"]
    mu = draw.normal(4, 3)
    std = torch.tensor([0.1, 0.4, 1.0, 3.0])[:, None].expand(4, 3)
    student.call(fit, vae.ref, "encode", images, [mu, std], steps=150, lr=1e-2)
    encoded = vae.call("encode", images)
    if problem := _is_posterior(encoded, 4, 3, "what `encode` gives"):
        raise unfit(problem)
    mu, std = encoded
    batch = images.repeat(copies, 1, 1, 1)
    size = 4 * copies, pixels
    logits = expect.needed(_outputs(vae, batch, seed=draw.seed())[0], size, "`logits`")
    noise = draw.normal(copies, 4, 3)
    codes = (mu + std * noise).flatten(0, 1)
    right = expect.needed(vae.call("decode", codes), size, "what `decode` gives")
    centre = expect.needed(vae.call("decode", mu), (4, pixels), "what `decode` gives")
    got, want = (
        (side.view(copies, 4, pixels) - centre).double().square().sum(2).mean(0)
        for side in (logits, right)
    )
    ratio = got / want
    if float(ratio.max()) < 1e-6:
        raise unfit(
            "A forward pass always gives the same logits: nothing is drawn from the posterior."
        )
    seen = ", ".join(
        f"{float(ratio[i]):.3g} where `std` is about {float(std[i].mean()):.2g}"
        for i in std.mean(1).argsort()
    )
    return float(torch.maximum(ratio, 1 / ratio).max()), (
        "Over many forward passes, the logits do not scatter as they do for codes drawn from the "
        f"posterior. Their variance is that of right draws times {seen}."
    )


SCATTER = Convergence(
    "ps3_model",
    "variance of what forward passes decode, too large or too small by a factor of",
    threshold=2.0,
    # Four patterns, far enough apart that a small network can tell them from one another.
    images=lambda draw: 2 * torch.eye(4).repeat_interleave(3, dim=1).view(4, 1, 3, 4),
    measure=_scatter_of_passes,
)


# ---- terms and loops ---------------------------------------------------------------------------


def _is_own(student: Student, got: Any, name: str, *args, sign: int = 1) -> bool:
    """Whether a result is what the student's own earlier answer makes it: no mistake of here."""
    try:
        own = student.call(name, *args)
    except StudentError:
        return False
    return isinstance(own, Tensor) and isinstance(got, Tensor) and expect.alike(got, sign * own)


def _fit(student: Student, model: Ref, x: Tensor | Ref, epochs: int, world: int, settings: dict):
    """Call `fit`, its own `seed` by place: as a name, the handle takes it for itself."""
    place = [settings.pop("batch_size"), settings.pop("learning_rate"), settings.pop("seed", 0)]
    return student.call("fit", model, x, epochs, *place, **settings, **{"seed": world})


def _explain_use(moved: Tensor, rate: float, count: int, batch_size: int) -> str | None:
    """How often each of some images was trained on in one epoch, from how far its pixel moved."""
    once = 10 * rate
    where = f"With {count} images in batches of {batch_size}"
    if not bool(moved.any()):
        if count < batch_size:
            return f"{where}, nothing is trained at all: the last batch may be a smaller one."
        return f"{where}, the model does not move at all."
    unused = int((moved == 0).sum())
    if unused:
        hint = " The last batch may be a smaller one." if unused == count % batch_size else ""
        those = "one of them is" if unused == 1 else f"{unused} of them are"
        return f"{where}, {those} never used in an epoch.{hint}"
    if bool(((moved / once - 1).abs() < 0.05).all()):
        return None
    if (
        expect.alike(moved, moved[:1].expand_as(moved), rtol=0.02)
        or float(moved.max()) < 0.9 * once
    ):
        return (
            f"{where}, one step moves the weights by {float(moved.median()) / rate:.3g} learning "
            "rates, where RMSprop with its defaults moves them by 10 at first. Are the optimiser "
            "and the learning rate those that are asked for, and is there one step a batch?"
        )
    return (
        f"{where}, some move the weights more than once in an epoch. Are they visited twice, or is "
        "the gradient of a batch still there when the next one comes?"
    )


def _explain_steps(moved: float, batches: int) -> str | None:
    """How many steps an epoch has, from how far they go with an equal gradient in each batch.

    Args:
        moved: the way, in learning rates.
        batches: how many there are.
    """
    lengths = [1 / math.sqrt(1 - 0.99**step) for step in range(1, 20)]  # of RMSprop's steps
    ways = list(itertools.accumulate(lengths))
    if abs(moved / ways[batches - 1] - 1) < 0.02:
        return None
    found = min(range(len(ways)), key=lambda number: abs(moved - ways[number])) + 1
    if found != batches and abs(moved / ways[found - 1] - 1) < 0.02:
        times = "one step" if found == 1 else f"{found} steps"
        return f"In an epoch of {batches} batches the optimiser takes {times}."
    return f"The steps in an epoch of {batches} batches are not one for each of them."


def _explain_direction(student: Student, probe: dict, moved: Tensor, rate: float) -> str | None:
    marked = Module.build(student, probe["Marked"], torch.zeros(6))
    found = student.gradients(
        "bernoulli_terms",
        marked.ref,
        torch.eye(6),
        of=marked.ref,
        cotangent={"loss": torch.ones(6)},
    ).parameters[0]
    if found is None or not bool(found.any()):
        return None  # the terms themselves are at fault
    if bool((found.sign() == moved.sign()).all()):
        return 'The steps make "loss" larger: the sign of what is minimised is wrong.'
    return None


def _as_history(value: Any) -> dict[str, list]:
    if (
        isinstance(value, dict)
        and {"train", "held_out"} <= value.keys()
        and all(isinstance(value[part], list | tuple) for part in ("train", "held_out"))
    ):
        return {part: list(value[part]) for part in ("train", "held_out")}
    raise unfit(
        f'The history is {expect.describe(value)}, where a dict of two lists, "train" and '
        '"held_out", was expected.'
    )


def _explain_history(got: dict[str, list], want: dict[str, list]) -> str | None:
    for part, words in (("train", "training"), ("held_out", "held-out")):
        if len(got[part]) != len(want[part]):
            return (
                f'After 3 epochs the history has {len(got[part])} entries under "{part}", where '
                f"{len(want[part])} were expected."
            )
        for entry, right in zip(got[part], want[part], strict=True):
            if not isinstance(entry, dict) or not right.keys() <= entry.keys():
                return (
                    f"An entry of the history is {expect.describe(entry)}, where a dict with "
                    '"loss", "nll" and "kl" was expected.'
                )
            for name, value in right.items():
                if isinstance(entry[name], bool) or not isinstance(entry[name], int | float):
                    return (
                        f'In the history "{name}" is {expect.describe(entry[name])}, where a '
                        "plain number was expected."
                    )
                found = entry[name]
                if not math.isfinite(found):
                    return (
                        f'The {words} "{name}" of the history is {found}. Is there an empty batch '
                        "at the end where the images go evenly into batches?"
                    )
                if math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-4):
                    continue
                if math.isclose(found, -value, rel_tol=1e-3, abs_tol=1e-4):
                    return (
                        f'The {words} "{name}" of the history has the wrong sign: a curve of it '
                        "would rise as the model gets better."
                    )
                hint = ""
                if name == "loss" and value * found < 0:
                    hint = " Even its sign is wrong: the bound itself, and not its negative?"
                times = f"{found / value:.4g} times" if value else "not"
                return (
                    f'The {words} "{name}" of the history is {times} the mean over all images, '
                    f"though nothing moves here.{hint} Does every image count once, those of a "
                    "short last batch too, and is the sum divided by the number of images?"
                )
    return None


def _evidence(weight: Tensor, bias: Tensor, pixels: Tensor) -> Tensor:
    """log p(x) of a model with one latent dimension, by adding up over a fine grid of z."""
    z = torch.linspace(-10, 10, 4001, dtype=torch.float64)[:, None]
    logits = z @ weight.double() + bias.double()
    log_x = torch.stack([Bernoulli(logits=logits).log_prob(row).sum(1) for row in pixels.double()])
    log_prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    return torch.logsumexp(log_x + log_prior, dim=1) + math.log(20 / 4000)
