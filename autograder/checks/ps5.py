"""ps5, the convolutional VAE of faces: what each exercise must show."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder import expect, pretend
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
    keeps_modes,
    leaves_arguments,
    leaves_gradients,
    reaches_every_parameter,
    reconstructs,
    sets_no_seed,
    uses_generator,
    works_on_gpu,
)
from autograder.criterion import Criterion, criterion
from autograder.draw import Draw
from autograder.student import Module, Ref, Seed, Student, StudentError, unfit

PER_IMAGE = "one number for each image"
VAR_FLOOR = 1e-6

LAYOUT = '''
def with_channels_last(function, images):
    """What a function gives for images that lie in memory as files hold them, colour by colour."""
    return function(images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))
'''


def _faces(draw: Draw, count: int, channels: int = 3, size: int = 64) -> Tensor:
    """Smooth coloured images, no two alike, with values in [-1, 1]."""
    coarse = draw.uniform(count, channels, 4, 4, low=-1.0, high=1.0)
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)


# ---- pixels ------------------------------------------------------------------------------------


def scale(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From pixels to the range of the model, and back."""
    levels = torch.cat([torch.tensor([0, 255, 127]), 255 * draw.uniform(3 * 5 * 4 - 3)])
    stored = levels.to(torch.uint8).view(1, 3, 5, 4)
    floats = stored / 255
    probe = student.define(LAYOUT)["with_channels_last"]

    def compare(name: str, x: Tensor, what: str) -> str | None:
        return is_right(name, student.call(name, x), x, what)

    def is_right(name: str, got: object, x: Tensor, what: str) -> str | None:
        if problem := expect.shape(got, x.shape, what):
            return problem
        if not got.is_floating_point():
            kind = str(got.dtype).removeprefix("torch.")
            return (
                f"{expect.upper(what)} holds whole numbers ({kind}), which wrap around or are cut "
                "off; numbers with fractions were expected."
            )
        want = reference().call(name, x)
        problem = expect.close(got, want, what)
        if problem is None:
            return None
        low, high = float(got.min()), float(got.max())
        return f"{problem} It reaches from {low:.4g} to {high:.4g}."

    def of_any_kind(name: str, x: Tensor, kind: str) -> str | None:
        """The same for a row of pixels, for films, and for images that lie in memory otherwise."""
        result = f"the result of `{name}`"
        return (
            compare(name, x.flatten(), f"for {kind} of one dimension, {result}")
            or compare(name, x.repeat(2, 1, 1, 1, 1), f"for {kind} of five dimensions, {result}")
            or is_right(
                name,
                student.call(probe, student.ref(name), x),
                x,
                f"for {kind} that were stored with the channels last, {result}",
            )
        )

    @criterion("stored images, uint8", 0.75)
    def bytes_() -> str | None:
        dark = torch.tensor([0, 1, 1, 0], dtype=torch.uint8).view(1, 1, 2, 2)
        return (
            compare("scale_images", stored, "for uint8 images, the result of `scale_images`")
            or compare(
                "scale_images",
                dark,
                "for a nearly black uint8 image (what tells it is its type, not its largest "
                "value) the result of `scale_images`",
            )
            or of_any_kind("scale_images", stored, "uint8 images")
        )

    @criterion("drawn images, from 0 to 1", 0.5)
    def fractions() -> str | None:
        return (
            compare("scale_images", floats, "for images from 0 to 1, the result of `scale_images`")
            or compare(
                "scale_images",
                floats.double(),
                "for images from 0 to 1 in double precision, the result of `scale_images`",
            )
            or compare(
                "scale_images",
                (floats > 0.5).float(),
                "for floats that are all 0 or 1 (black and white, and still floats) the result "
                "of `scale_images`",
            )
            or leaves_arguments(student, "scale_images", floats)
        )

    @criterion("the way back", 0.5)
    def back() -> str | None:
        x = 2 * floats - 1
        return (
            compare("unscale_images", x, "the result of `unscale_images`")
            or compare(
                "unscale_images", x.double(), "in double precision, the result of `unscale_images`"
            )
            or of_any_kind("unscale_images", x, "images")
            or leaves_arguments(student, "unscale_images", x)
        )

    @criterion("what is darker than black or whiter than white", 0.25)
    def beyond() -> str | None:
        noisy = draw.normal(2, 3, 4, 4, std=2.0)

        def is_cut(x: Tensor, kind: str) -> str | None:
            got = student.call("unscale_images", x)
            what = f"for {kind}, the result of `unscale_images`"
            return expect.within(
                got, 0.0, 1.0, what, "Pixels beyond black and white cannot be drawn."
            ) or is_right("unscale_images", got, x, what)

        return (
            is_cut(noisy, "a noisy image")
            or is_cut(noisy.clamp(max=0.9), "an image with pixels darker than black")
            or is_cut(noisy.clamp(min=-0.9), "an image with pixels whiter than white")
            or leaves_arguments(student, "unscale_images", noisy)
        )

    yield from (bytes_, fractions, back, beyond)


# ---- the two networks --------------------------------------------------------------------------


def encoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From images to posteriors."""
    seed = draw.seed()
    noise = draw.normal(7, 3, 64, 64)

    def build(latent_dim: int = 5, channels: int = 3) -> Module:
        return Module.build(student, "FaceEncoder", latent_dim, channels, seed=seed)

    @criterion("a mean and a variance for each dimension; one image, other channels", 1.25)
    def shapes() -> str | None:
        for channels, batch in ((3, 4), (3, 1), (1, 3), (1, 1)):
            x = _faces(draw, batch, channels)
            what = f"what the encoder gives for {batch} image(s) of {channels} channel(s)"
            if problem := _is_posterior(build(5, channels)(x), batch, 5, what):
                return problem
        return None

    @criterion("the number of parameters", 0.75)
    def size() -> str | None:
        return expect.first(
            has_size(
                build(k, channels),
                Module.build(reference(), "FaceEncoder", k, channels).size(),
                f"an encoder of {k} latent dimensions and {channels} channel(s)",
            )
            for k, channels in ((50, 3), (2, 3), (11, 1))
        )

    @criterion("the variance: a softplus, and never zero", 1.25)
    def variance() -> str | None:
        module = build(5)
        module.eval()
        x = _faces(draw, 2)
        values = (2.0, -2.0, 0.3, -200.0, 200.0)
        seen = [_with_last_bias(module, x, 5, value) for value in values]
        if seen[0] is not None and expect.alike(seen[0][0], torch.full((2, 5), 2.0)):
            return _explain_variance(dict(zip(values, seen, strict=True)))
        # The network is put together in another way: then look at what it does far out.
        return expect.first(_is_positive(module(scale * noise), 5) for scale in (1.0, 1e3, 1e5))

    @criterion("the means: as the table says, and any real number", 0.5)
    def means() -> str | None:
        if problem := _encodes_as_the_table(build(5), draw):
            return problem
        module = build(16)
        module.eval()

        def ask(x: Tensor) -> Tensor:
            encoded = module(x)
            if problem := _is_posterior(encoded, len(x), 16, "what the encoder gives"):
                raise unfit(problem)
            return expect.needed(encoded[0], (len(x), 16), "`mu`")

        return is_nonlinear(ask, noise, noise.flip(0), "the encoder") or is_raw(ask, noise, "`mu`")

    @criterion("no image disturbs another", 0.25)
    def apart() -> str | None:
        module = build(5)
        module.eval()
        x = _faces(draw, 4)
        return (
            expect.first(
                judges_rows_apart(lambda x, part=part: module(x)[part], x, name)
                for part, name in enumerate(("`mu`", "`var`"))
            )
            or _is_the_same_in_training(module, x, "the encoder")
            or leaves_arguments(student, module.ref, x)
        )

    @criterion("gradients reach every parameter", 0.25)
    def gradients() -> str | None:
        module, x = build(5), _faces(draw, 3)
        return (
            reaches_every_parameter(module, x)
            or _both_learn(student, module.ref, module, x)
            or _begins_anew(student, "FaceEncoder", "encoder")
        )

    @criterion("a ValueError for images of another shape", 0.5)
    def refusal() -> str | None:
        module = build(5)
        return expect.first(
            _refuses(lambda x=x: module(x), f"A tensor of shape {tuple(x.shape)}")
            for x in (
                torch.zeros(2, 3, 32, 32),
                torch.zeros(2, 3, 128, 128),
                torch.zeros(2, 3, 66, 66),
                torch.zeros(2, 3, 64, 32),
                torch.zeros(2, 3, 32, 64),
                torch.zeros(2, 1, 64, 64),
                # As many numbers as there should be.
                torch.zeros(2, 3, 32, 128),
                torch.zeros(2, 12, 32, 32),
                # One image, and no batch.
                torch.zeros(3, 64, 64),
            )
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, build(5).ref, _faces(draw, 2), backward=True)

    yield from (shapes, size, variance, means, apart, gradients, refusal, gpu)


def decoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From codes to images."""
    seed = draw.seed()
    codes = draw.normal(5, 7)

    def build(latent_dim: int = 7, channels: int = 3) -> Module:
        return Module.build(student, "FaceDecoder", latent_dim, channels, seed=seed)

    def ask(module: Module, z: Tensor) -> Tensor:
        return expect.needed(module(z), (len(z), 3, 64, 64), "the decoder's output")

    @criterion("one image for each code; one code, other channels", 1)
    def shapes() -> str | None:
        return expect.first(
            expect.shape(
                build(7, channels)(codes[:batch]),
                (batch, channels, 64, 64),
                f"the decoder's output for {batch} code(s) and {channels} channel(s)",
            )
            for channels, batch in ((3, 5), (3, 1), (1, 2))
        )

    @criterion("the number of parameters", 0.75)
    def size() -> str | None:
        return expect.first(
            has_size(
                build(k, channels),
                Module.build(reference(), "FaceDecoder", k, channels).size(),
                f"a decoder of {k} latent dimensions and {channels} channel(s)",
            )
            for k, channels in ((50, 3), (2, 3), (11, 1))
        )

    @criterion("pixels between -1 and 1, and all of that range", 1)
    def pixels() -> str | None:
        module = build()
        module.eval()
        far = ask(module, 1e5 * draw.normal(30, 7))
        if problem := expect.within(
            far, -1.0, 1.0, "a pixel", "What keeps the decoder in the range of the data?"
        ):
            return problem
        least, most = float(far.min()), float(far.max())
        if least < -0.9 and most > 0.9:
            return None
        return (
            f"However extreme the code, pixels stay between {least:.2f} and {most:.2f}, and the "
            "data reach from -1 to 1. Which function has that range, and is it there once?"
        )

    @criterion("inside as the table says, and no code disturbs another", 0.5)
    def inside() -> str | None:
        module = build()
        module.eval()
        return (
            judges_rows_apart(lambda z: ask(module, z), codes, "the decoder's output")
            or _is_the_same_in_training(module, codes, "the decoder")
            or is_nonlinear(
                lambda z: torch.atanh(0.999999 * ask(module, z)),
                20 * codes,
                20 * codes.flip(0),
                "the decoder",
            )
            or _decodes_as_the_table(build(), draw)
            or leaves_arguments(student, module.ref, codes)
        )

    @criterion("gradients reach every parameter", 0.75)
    def gradients() -> str | None:
        module = build()
        to_codes = student.gradients(module.ref, codes, wrt=(0,)).inputs[0]
        return (
            reaches_every_parameter(module, codes)
            # An encoder learns through the codes alone.
            or (
                expect.no_gradient("the codes")
                if to_codes is None or not bool(to_codes.any())
                else None
            )
            or _begins_anew(student, "FaceDecoder", "decoder")
        )

    yield from (shapes, size, pixels, inside, gradients)


# ---- the likelihood, a draw, the divergence ----------------------------------------------------


def log_likelihood(student: Student, draw: Draw) -> Iterator[Criterion]:
    """log N(x; mean, var I)."""
    name = "gaussian_log_likelihood"
    x, mean = draw.normal(3, 2, 4, 7), draw.normal(3, 2, 4, 7)
    sizes = {"numbers in an image": 56, "images": 3}

    def ask(x: Tensor, mean: Tensor, *var) -> Tensor:
        return student.call(name, x, mean, *var)

    def right(x: Tensor, mean: Tensor, *var) -> Tensor:
        return reference().call(name, x, mean, *var)

    def compare(x: Tensor, mean: Tensor, *var, what: str = "the log-likelihood") -> str | None:
        return expect.close(
            ask(x, mean, *var), right(x, mean, *var), what, sizes=sizes, meaning=PER_IMAGE
        )

    @criterion("one number for each image", 0.5)
    def shape() -> str | None:
        return expect.first(
            expect.shape(ask(x[:batch], mean[:batch], 0.1), (batch,), what, PER_IMAGE)
            for batch, what in ((3, "the log-likelihood"), (1, "that of a batch of one"))
        ) or expect.first(
            expect.shape(
                ask(x.view(sides), mean.view(sides), 0.1), (3,), f"for data of shape {sides}, it"
            )
            for sides in ((3, 56), (3, 2, 4, 7, 1))
        )

    @criterion("the value, for several variances", 1.5)
    def value() -> str | None:
        for var in (0.1, 1.0, 0.37, 4.0):
            what = f"for a variance of {var:g}, the log-likelihood"
            if problem := compare(x, mean, var, what=what):
                return f"{problem}{_explain_likelihood(ask, right, x, mean)}"
        return compare(x, mean, what="without a third argument (variance 1), the log-likelihood")

    @criterion("a variance of any kind: a tensor, a whole number", 0.5)
    def tensors() -> str | None:
        var = draw.uniform(3, 2, 4, 7, low=0.05, high=3.0)
        kinds = {
            "a variance for every value": var,
            "a variance for each channel": var[:1, :, :1, :1],
            "a variance for each image": var[:, :1, :1, :1],
            "one variance, a tensor": var[0, 0, 0, 0],
            "a whole number as the variance": 2,
        }
        return (
            expect.first(
                compare(x, mean, some, what=f"with {kind}, the log-likelihood")
                for kind, some in kinds.items()
            )
            or compare(
                x.double(), mean.double(), 0.1, what="in double precision, the log-likelihood"
            )
            or leaves_arguments(student, name, x, mean, var)
        )

    @criterion("gradients with respect to the mean and the variance", 0.5)
    def gradient() -> str | None:
        var = draw.uniform(3, 2, 4, 7, low=0.2, high=2.0)
        weights = draw.uniform(3, low=0.5, high=2.0)
        want = (x - mean) / var, ((x - mean) ** 2 / var - 1) / (2 * var)
        got = student.gradients(name, x, mean, var, wrt=(1, 2), cotangent=weights).inputs
        return expect.first(
            expect.gradient(
                part, weights[:, None, None, None] * right_part, what, sizes=sizes, rtol=1e-3
            )
            for part, right_part, what in zip(got, want, ("`mean`", "`var`"), strict=True)
        )

    @criterion("positive where the density is high, and any size of image and of variance", 0.75)
    def extremes() -> str | None:
        face, near = _faces(draw, 2), 1e-3 * draw.normal(2, 3, 64, 64)
        return (
            compare(face, face + near, 0.1, what="for faces and a good mean, the log-likelihood")
            or compare(face, face + near, 1e-6, what="for a tiny variance and a good mean, it")
            or compare(x, mean, 1e-6, what="for a tiny variance and a bad mean, it")
            or compare(x, mean, 1e6, what="for a huge variance, it")
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return expect.first(
            works_on_gpu(student, name, x, mean, var, backward=True)
            for var in (0.3, draw.uniform(3, 2, 4, 7, low=0.2, high=2.0))
        )

    yield from (shape, value, tensors, gradient, extremes, gpu)


TYPE_OF = """
def type_of_draw(function, *args):
    return str(function(*args).dtype)
"""


def sample(student: Student, draw: Draw) -> Iterator[Criterion]:
    """A draw from a Gaussian that is given by its variance."""
    name = "draw_gaussian"
    count = 4000
    means = draw.normal(1, 4, std=2.0).expand(count, 4)
    # From the smallest variance that a posterior can have.
    vars_ = torch.tensor([1e-6, 0.01, 1.0, 9.0]).expand(count, 4)
    mean, var = draw.normal(3, 5, std=2.0), draw.uniform(3, 5, low=0.1, high=3.0)
    seed = draw.seed()

    def noise_of(what: str) -> Tensor:
        got = student.call(name, means, vars_, seed=seed)
        return expect.needed(got, means.shape, what).double() - means.double()

    @criterion("the shape of the mean, for variances of every kind", 0.25)
    def shape() -> str | None:
        image = draw.normal(2, 3, 4, 4)
        if problem := expect.first(
            expect.shape(student.call(name, *inputs, seed=seed), inputs[0].shape, "the draw")
            for inputs in (
                (mean, var),
                (mean[:1], var[:1]),
                (image, 0.1),
                (image, 2),
                (image, torch.tensor(0.1)),
                (image, draw.uniform(1, 3, 1, 1)),
                (mean[0], var[0]),
            )
        ):
            return problem
        # Its type alone: which noise is drawn depends on the precision in which it is drawn.
        type_of = student.define(TYPE_OF)["type_of_draw"]
        kind = student.call(type_of, student.ref(name), mean.double(), 0.1)
        if kind != "torch.float64":
            return f"For a mean in double precision (torch.float64) the draw is a {kind}."
        return leaves_arguments(student, name, mean, var)

    @criterion("the mean and the spread", 0.5)
    def moments() -> str | None:
        error = noise_of("the draw")
        got, want = error.std(0), vars_[0].double().sqrt()
        limit = expect.STANDARD_ERRORS / math.sqrt(count)
        if float(error.abs().max()) < 1e-6:
            return "The draw is the mean itself: there is no randomness in it."
        if bool((error.mean(0).abs() > limit * got + 1e-4).any()):
            return "On average the draw is not the mean."
        if float((got / want - 1).abs().max()) < limit:
            return None
        seen = ", ".join(
            f"{float(g):.3g} where `var` is {float(v):g}"
            for g, v in zip(got, vars_[0], strict=True)
        )
        hint = " It does not depend on `var`." if float(got.max() / got.min()) < 1.2 else ""
        return f"The standard deviation of the draw is {seen}.{hint} What does `var` hold?"

    @criterion("fresh normal noise for every entry and every call", 0.25)
    def noise() -> str | None:
        error = noise_of("the draw")
        return (
            draws_afresh(lambda seed: student.call(name, mean, var, seed=seed), "the draw")
            or expect.standard_normal(
                error / error.std(0).clamp_min(1e-12), "the noise in the draw"
            )
            or every_pixel_its_own()
            or sets_no_seed(student, name, mean, var)
            or sets_no_seed(student, name, mean, var, generator=Seed(1))
        )

    def every_pixel_its_own() -> str | None:
        images = draw.normal(500, 2, 3, 2)
        for var, kind in ((0.25, "one variance"), (torch.tensor([[[0.25]], [[4.0]]]), "two")):
            got = student.call(name, images, var, seed=seed)
            error = expect.needed(got, images.shape, "the draw") - images
            what = f"the noise in a draw of images with {kind} for all their pixels"
            error = error.flatten(1)
            problem = expect.standard_normal(error / error.std(0).clamp_min(1e-12), what)
            if problem:
                return problem
        return None

    @criterion("gradients with respect to the mean and the variance", 0.5)
    def gradient() -> str | None:
        weights = draw.normal(3, 5)
        found = student.gradients(name, mean, var, wrt=(0, 1), cotangent=weights, seed=seed)
        to_mean, to_var = found.inputs
        # Whatever the noise was: d(mean + sqrt(var) e) / d var = (draw - mean) / (2 var).
        return expect.gradient(to_mean, weights, "`mean`") or expect.gradient(
            to_var, weights * (found.output - mean) / (2 * var), "`var`", rtol=1e-3, atol=1e-4
        )

    @criterion("the generator decides the draw", 0.25)
    def generator() -> str | None:
        return uses_generator(
            student,
            lambda seed, generator: student.call(name, mean, var, generator=generator, seed=seed),
            "the draw",
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        on_cpu = student.define(ON_CPU, function=student.ref(name))["of_cpu_tensors"]
        return expect.first(
            works_on_gpu(student, name, mean, spread, source, backward=True)
            for spread, source in ((var, None), (0.3, Seed(1)))
        ) or _stays_on_cpu(student, on_cpu, name, mean, 0.3)

    yield from (shape, moments, noise, gradient, generator, gpu)


def kl(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The divergence, from variances."""
    name = "gaussian_kl_from_var"
    mu, var = draw.normal(3, 5, std=1.5), draw.uniform(3, 5, low=0.1, high=4.0)
    weights = draw.uniform(3, low=0.5, high=2.0)
    sizes = {"latent dimensions": 5, "images": 3}
    zeros, ones = torch.zeros(3, 5), torch.ones(3, 5)

    def compare(mu: Tensor, var: Tensor, what: str = "the divergence") -> str | None:
        want = reference().call(name, mu, var)
        return expect.close(student.call(name, mu, var), want, what, sizes=sizes, meaning=PER_IMAGE)

    @criterion("one number for each image", 0.25)
    def shape() -> str | None:
        return expect.first(
            expect.shape(student.call(name, mu[:batch], var[:batch]), (batch,), what, PER_IMAGE)
            for batch, what in ((3, "the divergence"), (1, "the divergence for a batch of one"))
        ) or expect.shape(
            student.call(name, mu[:, :1], var[:, :1]), (3,), "for codes of one number it", PER_IMAGE
        )

    @criterion("the value", 0.75)
    def value() -> str | None:
        problem = compare(mu, var)
        if problem is None:
            return compare(zeros, ones, "the divergence of the prior from itself")
        got = student.call(name, mu, var)
        if expect.alike(got, reference().call("gaussian_kl_from_std", mu, var), rtol=1e-3):
            return f"{problem} It is what it would be if `var` held a standard deviation."
        if compare(mu, ones) is None:
            return f"{problem} Where all variances are 1 it is right: look at what `var` does."
        if compare(zeros, var) is None:
            return f"{problem} Where all means are 0 it is right: look at what `mu` does."
        return problem

    @criterion("gradients with respect to mu and var", 0.25)
    def gradient() -> str | None:
        got = student.gradients(name, mu, var, wrt=(0, 1), cotangent=weights).inputs
        want = weights[:, None] * mu, weights[:, None] * (1 - 1 / var) / 2
        return expect.first(
            expect.gradient(part, right, what, sizes=sizes)
            for part, right, what in zip(got, want, ("`mu`", "`var`"), strict=True)
        ) or leaves_arguments(student, name, mu, var)

    @criterion("tiny and huge variances, and many dimensions", 0.25)
    def extremes() -> str | None:
        many = draw.uniform(3, 300, low=1e-6, high=0.1)
        return (
            compare(mu, draw.uniform(3, 5, low=1e-8, high=1e-6), "for tiny variances it")
            or compare(mu, draw.uniform(3, 5, low=1e4, high=1e6), "for huge variances it")
            or compare(torch.zeros_like(many), many, "for 300 dimensions it")
            or compare(mu.double(), var.double(), "in double precision it")
        )

    @criterion("any number of leading dimensions", 0.25)
    def leading() -> str | None:
        return expect.first(
            compare(
                draw.normal(*sides),
                draw.uniform(*sides, low=0.1, high=4.0),
                f"for inputs of shape {sides} it",
            )
            for sides in ((2, 3, 5), (5,), (2, 1, 3, 5))
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, name, mu, var, backward=True)

    yield from (shape, value, gradient, extremes, leading, gpu)


# ---- the model ---------------------------------------------------------------------------------

LOOK_AT_FACE_VAE = '''
import torch


def settings_of(model):
    """What the model remembers of how it was built."""
    return {
        name: float(getattr(model, name))
        for name in ("latent_dim", "channels", "var_x")
        if hasattr(model, name)
    }


def codes_in(model, method, size, *args):
    """What a method gives, and the last codes, of shape `size`, that a part of the model gets."""
    seen = []

    def note(part, inputs):
        if inputs and isinstance(inputs[0], torch.Tensor) and list(inputs[0].shape) == size:
            seen.append(inputs[0].detach().clone())

    hooks = [part.register_forward_pre_hook(note) for part in model.modules()]
    try:
        result = getattr(model, method)(*args)
    finally:
        for hook in hooks:
            hook.remove()
    return result, seen[-1] if seen else None
'''


def model(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The whole variational autoencoder."""
    seed = draw.seed()
    images = _faces(draw, 4)

    def build(latent_dim: int = 5, **settings) -> Module:
        return Module.build(student, "FaceVAE", latent_dim, seed=seed, **settings)

    @criterion("encode, decode and forward, for a single image too", 0.5)
    def shapes() -> str | None:
        vae = build()
        for batch in (4, 1):
            x = images[:batch]
            encoded = vae.call("encode", x)
            if problem := _is_posterior(encoded, batch, 5, "what `encode` gives"):
                return problem
            outputs = _outputs(vae, x, seed=1)
            what = f"for a batch of {batch}, "
            if problem := (
                expect.shape(vae.call("decode", encoded[0]), x.shape, "what `decode` gives")
                or expect.shape(outputs[0], x.shape, f"{what}`x_hat`")
                or _is_posterior(outputs[1:], batch, 5, "what a forward pass gives")
                or expect.same(
                    list(outputs[1:]),
                    list(encoded),
                    "A forward pass gives another `mu` and `var` than `encode` does for the same "
                    "image.",
                )
            ):
                return problem
        return None

    @criterion("latent_dim and channels are honoured", 0.75)
    def sizes() -> str | None:
        for k, channels in ((100, 3), (2, 3), (7, 1)):
            vae = build(k, channels=channels)
            x = _faces(draw, 2, channels)
            outputs = _outputs(vae, x, seed=1)
            if problem := (
                expect.shape(outputs[0], x.shape, f"with {channels} channel(s), `x_hat`")
                or _is_posterior(outputs[1:], 2, k, "what a forward pass gives")
                or has_size(
                    vae,
                    Module.build(reference(), "FaceVAE", k, channels).size(),
                    f"a model of {k} latent dimensions and {channels} channel(s)",
                )
            ):
                return problem
        return None

    @criterion("var_x is honoured: it is remembered, and noisy samples have it", 0.75)
    def observation() -> str | None:
        settings_of = student.define(LOOK_AT_FACE_VAE)["settings_of"]
        for var_x in (0.04, 0.5, 0.1):
            vae = build(5, var_x=var_x)
            found = student.call(settings_of, vae.ref)
            for attribute, want in (("latent_dim", 5), ("channels", 3), ("var_x", var_x)):
                if attribute not in found:
                    return f"The model has no attribute `{attribute}`, which others will look for."
                if abs(found[attribute] - want) > 1e-6:
                    return (
                        f"Built with {attribute} = {want:g}, the model says that its "
                        f"`{attribute}` is {found[attribute]:g}. Is a number fixed somewhere?"
                    )
            if problem := _noise_has(vae, var_x, seed):
                return problem
        return None

    @criterion("forward decodes a draw from the posterior", 1)
    def sampling() -> str | None:
        return converged(student, SCATTER, draw) or _every_image_draws(student, build(), draw)

    @criterion("randomness: fresh at each call, and decided by the generator", 0.5)
    def randomness() -> str | None:
        vae = build()

        def noisy(**source) -> Tensor:
            return vae.call("sample", 2, noisy=True, **source)

        return expect.first(
            draws_afresh(ask, what) or uses_generator(student, ask, what)
            for ask, what in (
                (lambda **source: _outputs(vae, images, **source)[0], "`x_hat`"),
                (lambda **source: vae.call("sample", 2, **source), "the sample"),
                (noisy, "the noisy sample"),
            )
        ) or expect.first(
            sets_no_seed(student, (vae.ref, name), *args)
            for name, args in (
                ("forward", (images,)),
                ("reconstruct", (images,)),
                ("sample", (2, Seed(1), True)),
            )
        )

    @criterion("reconstruct: from the mean, nothing random, no gradients", 0.5)
    def reconstruct() -> str | None:
        vae = build()
        own = function_of(student, (vae.ref, "reconstruct"))
        return (
            reconstructs(vae, images, lambda: vae.call("decode", vae.call("encode", images)[0]))
            or leaves_gradients(student, own, images, named="`reconstruct`")
            or leaves_arguments(student, own, images, named="`reconstruct`")
        )

    @criterion("sample: mean images for codes from the prior, no gradients", 0.5)
    def sample() -> str | None:
        vae = build(3)
        return _samples_prior(vae, draw) or expect.first(
            leaves_gradients(student, (vae.ref, "sample"), 2, None, noisy)
            for noisy in (False, True)
        )

    @criterion("gradients reach every parameter", 0.25)
    def gradients() -> str | None:
        # Through the image alone: mu and var also stand beside it in the result.
        through = [torch.ones_like(images), None, None]
        vae = build()
        return (
            reaches_every_parameter(vae, images, seed=seed, cotangent=through)
            or _both_learn(student, (vae.ref, "encode"), vae, images)
            or _divergence_learns(student, vae, images)
            or leaves_arguments(student, (vae.ref, "forward"), images)
            or _begins_anew(student, "FaceVAE", "model")
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        vae, x = build(), images[:2]
        return (
            works_on_gpu(student, vae.ref, x, Seed(1), backward=True)
            or works_on_gpu(student, (vae.ref, "reconstruct"), x)
            or works_on_gpu(student, (vae.ref, "sample"), 2, Seed(1), noisy=True)
            or works_on_gpu(student, (vae.ref, "sample"), 2)
            or _stays_on_cpu(
                student, student.define(ON_CPU, model=vae.ref)["sample_on_cpu"], "sample"
            )
        )

    # What takes long comes last: a known mistake that differs before it need not be put through it.
    yield from (shapes, sizes, observation, randomness)
    yield from (reconstruct, sample, gradients, gpu, sampling)


# ---- checkpoints -------------------------------------------------------------------------------

RUNS = '''
import contextlib
import os
import tempfile
from pathlib import Path

import torch
from torch import nn


def with_any_path(function):
    """The function, given a `Path` or else a string: that it takes both is asked apart."""

    def call(path, *args):
        try:
            return function(Path(path), *args)
        except (AttributeError, TypeError):
            with contextlib.suppress(AttributeError, TypeError):
                return function(str(path), *args)
            raise

    return call


save, restore = with_any_path(save_checkpoint), with_any_path(restore_checkpoint)
restore_alone = with_any_path(restore_face_vae)


class Tiny(nn.Module):
    """As small as a model can be that says how it was built."""

    def __init__(self, latent_dim, channels=3, var_x=0.125):
        super().__init__()
        self.latent_dim, self.channels, self.var_x = latent_dim, channels, var_x
        self.head = nn.Linear(6, 4)  # fits whatever latent_dim is
        self.body = nn.Linear(latent_dim, 6)

    def forward(self, z):
        return self.head(torch.tanh(self.body(z)))


def start(seed, latent_dim=5, device="cpu", lr=0.02, **settings):
    torch.manual_seed(seed)
    model = Tiny(latent_dim, **settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    return model, optimizer, torch.Generator(device).manual_seed(seed)


def go(model, optimizer, generator, steps):
    for _ in range(steps):
        z = torch.randn(6, model.latent_dim, generator=generator, device=generator.device)
        loss = (model(z) - z[:, :4]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def memory(optimizer):
    """What Adam remembers of each parameter, and its learning rate."""
    states = optimizer.state_dict()
    moments = [state["exp_avg"].clone() for state in states["state"].values()]
    return moments, [group["lr"] for group in states["param_groups"]]


def counted(result):
    """The epoch and the history that restoring gave; twice None if it gave something else."""
    fits = isinstance(result, tuple | list) and len(result) == 2
    return result if fits else (None, None)


HISTORY = {
    "train": [{"loss": 3.25, "kl": 0.5}, {"loss": 2.5, "kl": 0.75}],
    "held_out": [],
    "best": {2: 2.5},
}


def uninterrupted(seed, before, after):
    model, optimizer, generator = start(seed)
    go(model, optimizer, generator, before + after)
    return weights(model)


def stopped(seed, before, after, lose=(), inside=""):
    """Stop after some steps, save, and go on with new objects that were restored.

    With `lose`, nothing is saved: everything but these parts is carried over in memory, which shows
    what a run looks like that has lost them.
    """
    model, optimizer, generator = start(seed)
    go(model, optimizer, generator, before)
    saved = weights(model)
    other, other_optimizer, other_generator = start(seed + 1, lr=0.05)
    epoch, history = None, None
    if lose:
        if "weights" not in lose:
            other.load_state_dict(model.state_dict())
        if "optimizer" not in lose:
            state, own = optimizer.state_dict(), other_optimizer.state_dict()
            kept = {"param_groups": own["param_groups"]} if "learning rate" in lose else {}
            other_optimizer.load_state_dict({**state, **kept})
        if "generator" not in lose:
            other_generator.set_state(generator.get_state())
    else:
        with tempfile.TemporaryDirectory() as folder:
            path, moved = os.path.join(folder, inside, "run.pt"), os.path.join(folder, "moved.pt")
            save(path, model, optimizer, 2, HISTORY, generator)
            model = optimizer = generator = None
            os.rename(path, moved)  # all of it is in that one file
            epoch, history = counted(restore(moved, other, other_optimizer, other_generator))
    restored = weights(other)
    go(other, other_optimizer, other_generator, after)
    return {
        "saved": saved,
        "restored": restored,
        "end": weights(other),
        "epoch": epoch,
        "history": history,
    }


def under_a_name(seed, is_string):
    """Save and restore under a name that is a string, or a `Path`. How many epochs come back?"""
    model, optimizer, generator = start(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = (str if is_string else Path)(os.path.join(folder, "run.pt"))
        save_checkpoint(path, model, optimizer, 2, HISTORY, generator)
        return counted(restore_checkpoint(path, *start(seed + 1)))[0]


def on_a_gpu(seed):
    """What `stopped` does, on a GPU: it comes to its end, or does not."""
    model, optimizer, generator = start(seed, device="cuda")
    go(model, optimizer, generator, 1)
    other = start(seed + 1, device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        save(path, model, optimizer, 2, HISTORY, generator)
        restore(path, *other)
    go(*other, 1)
    go(model, optimizer, generator, 1)  # the run that was saved goes on, too


def alone_on_a_gpu(seed, make):
    """The weights of a model from its file alone, on a machine with a GPU."""
    model = make(2)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        save(path, model, torch.optim.Adam(model.parameters()), 1, {})
        return list(restore_alone(path).parameters())


def on_own_generator(seed, other):
    """Without a generator: what PyTorch's own draws after saving, and again after restoring."""
    model, optimizer, _ = start(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        save(path, model, optimizer, 1, {})
        first = torch.rand(4)
        torch.manual_seed(other)
        restore(path, model, optimizer)
        return first, torch.rand(4)


@contextlib.contextmanager
def lying_on_a_gpu():
    """Tensors that are saved are said to lie on a GPU that this machine has not."""
    told = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:99"
    try:
        yield
    finally:
        torch.serialization.location_tag = told


def from_gpu(seed, make=None):
    model, optimizer, generator = start(seed)
    if make is not None:
        model = make(5)
        optimizer = torch.optim.Adam(model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        with lying_on_a_gpu():
            save(path, model, optimizer, 1, {}, generator)
        if make is not None:
            return weights(model), weights(restore_alone(path))
        other, other_optimizer, other_generator = start(seed + 1)
        restore(path, other, other_optimizer, other_generator)
        return weights(model), weights(other)


@contextlib.contextmanager
def disk_full_after(size):
    """Files may not grow beyond `size` bytes: writing more of them fails, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def cut_short(seed, name):
    """Save, train on, and save again on a disk that is full half-way. What does the file hold?"""
    model, optimizer, generator = start(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        save(path, model, optimizer, 1, {}, generator)
        saved = weights(model)
        go(model, optimizer, generator, 3)
        failed = False
        with disk_full_after(os.path.getsize(path) // 2):
            try:
                save(path, model, optimizer, 2, {}, generator)
            except (OSError, RuntimeError):
                failed = True
        other, other_optimizer, other_generator = start(seed + 1)
        try:
            restore(path, other, other_optimizer, other_generator)
        except Exception:
            return {"failed": failed, "readable": False}
        return {"failed": failed, "readable": True, "saved": saved, "restored": weights(other)}


def replaced(seed):
    """Save twice under one name, and look at the moment when the second file takes its place."""
    model, optimizer, generator = start(seed)
    moves = []
    real = {name: getattr(os, name) for name in ("rename", "replace")}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.realpath(os.path.join(folder, "run.pt"))

        def watched(name):
            def move(source, target, *args, **kwargs):
                if os.path.realpath(target) == path:
                    here = os.path.dirname(os.path.realpath(source)) == os.path.dirname(path)
                    moves.append({"here": here, "old": os.path.exists(path)})
                return real[name](source, target, *args, **kwargs)

            return move

        save(path, model, optimizer, 1, {}, generator)
        # The old file stays open, so that the new one cannot be given its number.
        with open(path, "rb") as old:
            number = os.fstat(old.fileno()).st_ino
            moves.clear()
            try:
                for name in real:
                    setattr(os, name, watched(name))
                save(path, model, optimizer, 2, {}, generator)
            finally:
                for name in real:
                    setattr(os, name, real[name])
            in_place = os.stat(path).st_ino == number
    return {"moves": moves, "in_place": in_place}


def misfit(seed, **settings):
    """Restore a model that was built with other settings into one of 5 latent dimensions."""
    model, optimizer, generator = start(seed, **settings)
    go(model, optimizer, generator, 1)
    other, other_optimizer, other_generator = start(seed + 1, lr=0.05)
    go(other, other_optimizer, other_generator, 1)

    def all_of_it():
        state = other_generator.get_state(), torch.get_rng_state()
        return {"model": weights(other), "optimizer": memory(other_optimizer), "random": state}

    before = all_of_it()
    raised = ""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        save(path, model, optimizer, 1, {}, generator)
        try:
            restore(path, other, other_optimizer, other_generator)
        except NotImplementedError:
            raise
        except Exception as error:
            raised = type(error).__name__
    return {"raised": raised, "before": before, "after": all_of_it()}


def alone(make, latent_dim, channels, var_x):
    model = make(latent_dim, channels, var_x)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.pt")
        save(path, model, torch.optim.Adam(model.parameters()), 1, {})
        found = restore_alone(path)
    settings = {name: float(getattr(found, name)) for name in ("latent_dim", "channels", "var_x")}
    return {"saved": weights(model), "found": weights(found), "settings": settings}
'''


def checkpoint(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Saving and restoring, tried on a tiny model that says how it was built."""
    seed = draw.seed() // 2

    def runs(of: Student) -> dict[str, Ref]:
        names = ("save_checkpoint", "restore_checkpoint", "restore_face_vae")
        return of.define(RUNS, **{name: of.ref(name) for name in names})

    def run(name: str, *args, **settings) -> object:
        return student.call(runs(student)[name], *args, seed=1, **settings)

    @criterion("weights, epoch and history come back; a missing folder is made", 0.5)
    def comes_back() -> str | None:
        got = run("stopped", seed, 2, 0, (), "a folder/in another")
        if not expect.alike(got["restored"], got["saved"]):
            return "After restoring, the model has not the weights that it was saved with."
        if got["epoch"] is None:
            return "`restore_checkpoint` does not return the epoch and the history."
        if expect.as_number(got["epoch"]) != 2:
            return (
                f"Saved with 2 complete epochs, the run is said to have {got['epoch']}: it would "
                "begin at the wrong one."
            )
        want = {
            "train": [{"loss": 3.25, "kl": 0.5}, {"loss": 2.5, "kl": 0.75}],
            "held_out": [],
            "best": {2: 2.5},
        }
        if expect.alike(got["history"], want):
            return None
        if expect.alike(got["history"], {**want, "best": {"2": 2.5}}):
            return (
                "The history that is returned is not the one that was saved: a key that was a "
                "number has become a string."
            )
        return "The history that is returned is not the one that was saved."

    @criterion("a path may be a string, and may be a `Path`", 0.25)
    def paths() -> str | None:
        for is_string, kind in ((False, "a `Path`"), (True, "a string")):
            if expect.as_number(run("under_a_name", seed, is_string)) != 2:
                return f"Under a name that is {kind}, the run does not come back as it was saved."
        return None

    @criterion("the run goes on as if it had never been stopped", 0.75)
    def goes_on() -> str | None:
        judge = reference()
        ours = runs(judge)
        end = run("stopped", seed, 5, 4)["end"]
        if expect.alike(end, judge.call(ours["uninterrupted"], seed, 5, 4)):
            return _own_generator(run, seed)
        for lost, words in (
            (
                ("learning rate",),
                "its optimiser had forgotten its learning rate, which may have been lowered on "
                "the way. Is all of its state in the file?",
            ),
            (("optimizer",), "its optimiser had forgotten everything. What does Adam remember?"),
            (("generator",), "the random numbers went on from another place."),
            (
                ("optimizer", "generator"),
                "its optimiser had forgotten everything, and the random numbers went on from "
                "another place: the weights are not all that a run depends on.",
            ),
            (("weights",), "the weights were never put back."),
        ):
            if expect.alike(end, judge.call(ours["stopped"], seed, 5, 4, lost)["end"]):
                return f"The run goes on as if {words}"
        return "Four steps after restoring, the weights are not those of a run that never stopped."

    @criterion("a file from a GPU opens on a machine without one", 0.5)
    def elsewhere() -> str | None:
        words = (
            "A checkpoint that was written on a GPU cannot be opened on a machine without that "
            "GPU. `torch.load` puts every tensor back to where it was, unless it is told otherwise."
        )
        for make in (None, "FaceVAE"):
            try:
                extra = () if make is None else (student.ref(make),)
                saved, restored = run("from_gpu", seed, *extra)
            except StudentError as error:
                if "cuda" in error.message.lower():
                    return words
                raise
            if not expect.alike(saved, restored):
                return "From a file that was written on a GPU, other weights come back."
        return None

    @criterion("saving that is cut short leaves the old file whole", 0.75)
    def whole() -> str | None:
        # Whoever makes the other name out of this one must not count on its ending.
        return (
            is_kept_whole(run("cut_short", seed, "run.pt"), "")
            or is_kept_whole(
                run("cut_short", seed, "latest"), 'Under the name "latest", which has no ending: '
            )
            or _is_replaced_at_once(run("replaced", seed))
        )

    def is_kept_whole(got: dict, where: str) -> str | None:
        if not got["readable"]:
            return (
                f"{where}When saving fails half-way (the disk is full, or the program is killed), "
                "the previous checkpoint is already lost. Where should the new one be written, and "
                "when should it take the old one's place?"
            )
        if not got["failed"]:
            return (
                f"{where}When the disk is full, saving says nothing: an exception was expected, "
                "so that nobody believes that the run is safe."
            )
        return expect.same(
            got["restored"],
            got["saved"],
            f"{where}After a save that was interrupted, the file holds neither the old state nor "
            "the new one. At what moment does the new file take the old one's place, and is it "
            "complete by then?",
        )

    @criterion("a trained model from its file alone", 0.5)
    def alone() -> str | None:
        try:
            got = run("alone", student.ref("FaceVAE"), 7, 1, 0.3)
        except StudentError as error:
            if "loading state_dict" in error.message:
                return (
                    "The weights of a model of 7 latent dimensions and one channel do not fit into "
                    "the model that `restore_face_vae` makes: the file must say how its model was "
                    "built."
                )
            raise
        for name, want in (("latent_dim", 7), ("channels", 1), ("var_x", 0.3)):
            if abs(got["settings"][name] - want) > 1e-6:
                return (
                    f"A model saved with {name} = {want:g} comes back with {name} = "
                    f"{got['settings'][name]:g}: the file must say how its model was built."
                )
        if not expect.alike(got["saved"], got["found"]):
            return (
                "The model that comes back from its file alone has other weights than were saved."
            )
        if "gpu" in student.on_gpu(runs(student)["alone_on_a_gpu"], seed, student.ref("FaceVAE")):
            return "`restore_face_vae` gives a model on the GPU, and it is asked for on the CPU."
        return None

    @criterion("a model that does not fit is refused and left as it was", 0.5)
    def misfit() -> str | None:
        got = run("misfit", seed, latent_dim=9)
        if not got["raised"]:
            return (
                "A checkpoint of a model of 9 latent dimensions is restored into a model of 5 "
                "without a word. Nobody would know that most of its weights are random."
            )
        if problem := is_untouched(got, "a part of its weights has been copied into the model"):
            return problem
        if got["raised"] != "ValueError":
            return (
                f"A checkpoint of another model raises {got['raised']}, where a ValueError that "
                "says what differs is asked for."
            )
        for name, there, here in (
            ("var_x", 0.5, 0.125),
            ("channels", 1, 3),
            ("var_x", 0.13, 0.125),
        ):
            got = run("misfit", seed, **{name: there})
            if got["raised"] != "ValueError":
                return (
                    f"A checkpoint of a model with {name} = {there} is restored into one with "
                    f"{name} = {here} without a ValueError. Its weights fit, and the model is "
                    "another one all the same: compare all three settings."
                )
            if problem := is_untouched(got, "its weights have been copied into the model"):
                return problem
        return None

    def is_untouched(got: dict, copied: str) -> str | None:
        for part, words in (
            ("model", copied),
            ("optimizer", "the optimiser has its memory"),
            ("random", "the generator has been put to another place"),
        ):
            if not expect.alike(got["before"][part], got["after"][part]):
                return (
                    f"A checkpoint that does not fit is refused, and by then {words}. What can be "
                    "compared before anything is changed?"
                )
        return None

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        if expect.as_number(run("stopped", seed, 1, 1)["epoch"]) != 2:
            return "Already on the CPU the run does not come back as it was saved."
        return ends_on_gpu(student, runs(student)["on_a_gpu"], seed)

    yield from (comes_back, paths, goes_on, elsewhere, whole, alone, misfit, gpu)


def _is_replaced_at_once(seen: dict) -> str | None:
    """The new file took the old one's place by one renaming within one folder."""
    if seen["in_place"]:
        return (
            "The new checkpoint is written into the old file and does not replace it: whoever is "
            "killed just then has neither. Write to another name, and rename at the end."
        )
    for move in seen["moves"]:
        if not move["here"]:
            return (
                "The new file is written in another folder and moved from there. That may be "
                "another disk, where moving means copying (or fails) and takes time: write it "
                "beside the old one."
            )
        if not move["old"]:
            return (
                "The old file is deleted before the new one takes its place. Whoever is killed "
                "between the two has no file under that name: rename over the old one at once."
            )
    return None


def _own_generator(run: Callable, seed: int) -> str | None:
    first, again = run("on_own_generator", seed, seed + 3)
    return expect.same(
        first,
        again,
        "Without a generator, PyTorch's own is the source of the randomness, and restoring does "
        "not put it back to where it was.",
    )


# ---- paths and directions ----------------------------------------------------------------------

CODES = '''
import torch
from torch import nn


class ShowCodes(nn.Module):
    """Codes are linear in the image, images bend with the code; doubled in training mode.

    The posterior is wide, so that a code that was drawn differs much from the mean.
    """

    def __init__(self, matrix, channels, size):
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.latent_dim, self.channels, self.size, self.var_x = len(matrix.T), channels, size, 0.1

    def encode(self, x):
        mu = x.flatten(1) @ self.matrix * (2.0 if self.training else 1.0)
        return mu, torch.full_like(mu, 4.0)

    def decode(self, z):
        images = (z + 0.2 * z**3) @ self.matrix.T * (2.0 if self.training else 1.0)
        return images.view(-1, self.channels, self.size, self.size)

    def forward(self, x, generator=None):
        mu, var = self.encode(x)
        return self.decode(mu + var.sqrt() * torch.randn_like(mu)), mu, var

    def reconstruct(self, x):
        return self.decode(self.encode(x)[0])
'''


# Nothing is said of where results are to be, so none is given back.
ON_GPU = '''
def walk(interpolate_faces, model, x):
    interpolate_faces(model, x[0], x[1], 5)


def find(attribute_direction, codes, has_attribute):
    attribute_direction(codes, has_attribute)


def step(edit_faces, model, x, direction):
    """The direction stays on the CPU, where codes are collected."""
    edit_faces(model, x, direction.cpu(), 0.5)
'''

# The other way round: the machine has a GPU, and what comes in is on the CPU.
ON_CPU = '''
def of_cpu_tensors(first, *rest):
    return function(first.cpu(), *rest)


def sample_on_cpu():
    return model.sample(2, noisy=True)


def walk_on_cpu(x):
    return function(model, *x.cpu(), 5)


def step_on_cpu(x, direction):
    """The direction stays on the GPU."""
    return function(model, x.cpu(), direction, 0.5)
'''


class _ShowCodes:
    """The model of `CODES` on the student's side, and what it does, on the judge's."""

    def __init__(self, student: Student, draw: Draw, latent_dim: int = 5):
        self.student = student
        self.matrix = 0.4 * draw.normal(3 * 4 * 4, latent_dim)
        build = student.define(CODES)["ShowCodes"]
        self.module = Module.build(student, build, self.matrix, 3, 4)
        self.module.eval()

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix

    def decode(self, z: Tensor) -> Tensor:
        return ((z + 0.2 * z**3) @ self.matrix.T).view(-1, 3, 4, 4)


def interpolate(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Images on the way from one to another."""
    name = "interpolate_faces"
    x = draw.uniform(2, 3, 4, 4, low=-1.0, high=1.0)

    def ask(model: _ShowCodes, frames: int | None = None, seed: int = 1) -> Tensor:
        count = 11 if frames is None else frames
        extra = () if frames is None else (frames,)
        got = student.call(name, model.module.ref, x[0], x[1], *extra, seed=seed)
        return expect.needed(got, (count, 3, 4, 4), f"the result for {count} frames")

    @criterion("as many frames as asked for, 11 if nothing is said", 0.25)
    def shape() -> str | None:
        model = _ShowCodes(student, draw)
        for frames in (None, 7, 2, 4, 10, 30):
            ask(model, frames)
        return None

    @criterion("the first image first, the last one reached", 0.5)
    def ends() -> str | None:
        model = _ShowCodes(student, draw)
        first, last = model.decode(model.encode(x))
        for frames in (None, 5, 2):
            got = ask(model, frames)
            if expect.alike(got[0], first) and expect.alike(got[-1], last):
                continue
            if expect.alike(got[0], last, rtol=1e-3) or expect.alike(got[-1], first, rtol=1e-3):
                return "The path runs backwards: it begins at `x_end`."
            if expect.alike(got[0], x[0]):
                return "The first frame is the image itself and not its reconstruction."
            for frame, want, which in ((got[0], first, "first"), (got[-1], last, "last")):
                if not expect.alike(frame, want):
                    return (
                        f"Of {len(got)} frames the {which} one is not the reconstruction of "
                        f"`{'x_start' if which == 'first' else 'x_end'}`: is w there what it "
                        "should be, and is the code the posterior's mean?"
                    )
        return None

    @criterion("equal steps on a straight line between the codes", 0.5)
    def steps() -> str | None:
        model = _ShowCodes(student, draw)
        z_start, z_end = model.encode(x)
        got = ask(model, 5)
        w = torch.linspace(0, 1, 5)[:, None]
        want = model.decode((1 - w) * z_start + w * z_end)
        inner, right = got[1:-1], want[1:-1]
        if expect.alike(inner, right):
            return None
        if expect.alike(inner, right.flip(0)):
            return "The path runs backwards."
        return "The frames between the ends are not at equal steps between the two codes."

    @criterion("nothing random", 0.25)
    def certain() -> str | None:
        model = _ShowCodes(student, draw)
        return expect.same(
            ask(model, seed=1),
            ask(model, seed=2),
            "The same two images give other frames at every call.",
        ) or sets_no_seed(student, name, model.module.ref, x[0], x[1])

    @criterion("evaluation mode, no gradients, the mode restored", 0.25)
    def care() -> str | None:
        model = _ShowCodes(student, draw)
        want = ask(model)
        model.module.train()
        return (
            expect.same(
                ask(model),
                want,
                "For a model in training mode the frames are others: they are made in training "
                "mode.",
            )
            or keeps_modes(model.module, lambda: ask(model), "`interpolate_faces`")
            or _holds_no_graph(student, name, model.module.ref, x[0], x[1])
            or leaves_gradients(student, name, model.module.ref, x[0], x[1])
            or leaves_arguments(student, name, model.module.ref, x[0], x[1])
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        model = _ShowCodes(student, draw)
        ask(model, 5)  # on the CPU it works
        probe = student.define(ON_GPU)
        on_cpu = student.define(ON_CPU, function=student.ref(name), model=model.module.ref)
        return ends_on_gpu(
            student, probe["walk"], student.ref(name), model.module.ref, x
        ) or _stays_on_cpu(student, on_cpu["walk_on_cpu"], name, x)

    yield from (shape, ends, steps, certain, care, gpu)


def attributes(student: Student, draw: Draw) -> Iterator[Criterion]:
    """A direction, and steps along it."""
    name = "attribute_direction"
    has = torch.zeros(23, dtype=torch.bool)
    has[torch.randperm(23, generator=torch.Generator().manual_seed(draw.seed()))[:7]] = True
    codes = draw.normal(23, 5) + 3.0
    codes[has] += draw.normal(5, std=2.0)
    x = draw.uniform(3, 3, 4, 4, low=-1.0, high=1.0)
    direction = draw.normal(5)

    @criterion("the direction", 0.75)
    def value() -> str | None:
        got = student.call(name, codes, has)
        want = codes[has].mean(0) - codes[~has].mean(0)
        problem = expect.close(got, want, "the direction", sizes={"images": 23})
        if problem is None:
            return None
        if expect.alike(got, want / want.norm(), rtol=1e-3):
            return "The direction has the length 1: its own length was taken from it."
        return problem

    def of_few() -> str | None:
        """Groups of one image, and codes of one number, are answered."""
        for few, flags, what in (
            (codes[:4], torch.tensor([False, True, False, False]), "one image has the attribute"),
            (codes[:4], torch.tensor([True, True, False, True]), "one image lacks the attribute"),
            (codes[:4, :1], torch.tensor([True, True, False, False]), "codes hold one number"),
        ):
            got, words = student.call(name, few, flags), f"where {what}, the direction"
            if problem := expect.shape(got, few[0].shape, words) or expect.finite(got, words):
                return problem
        return None

    @criterion("a ValueError where there is nothing to compare", 0.25)
    def refusal() -> str | None:
        return (
            expect.first(
                _refuses(
                    lambda flags=flags: student.call(name, codes[: len(flags)], flags),
                    f"A set where {words}",
                )
                for flags, words in (
                    (torch.zeros_like(has), "no image has the attribute"),
                    (torch.ones_like(has), "every image has the attribute"),
                    (torch.tensor([True]), "the only image has the attribute"),
                    (torch.tensor([False]), "the only image has not the attribute"),
                )
            )
            or of_few()
        )

    @criterion("a step from the posterior's mean, of any strength", 0.5)
    def edit() -> str | None:
        model = _ShowCodes(student, draw)
        mu = model.encode(x)
        for strength in (1.0, -2.0, 0.0, 0.5):
            got = student.call("edit_faces", model.module.ref, x, direction, strength, seed=1)
            what = f"for a strength of {strength:g}, the result of `edit_faces`"
            if problem := expect.close(got, model.decode(mu + strength * direction), what):
                again = student.call("edit_faces", model.module.ref, x, direction, strength, seed=2)
                if not expect.alike(got, again):
                    return "`edit_faces` gives something else at every call."
                if expect.alike(got, model.decode(mu - strength * direction)):
                    return f"{problem} The step goes the other way."
                if expect.alike(got, model.decode(mu + direction)):
                    return f"{problem} The strength plays no part."
                return problem
        return expect.shape(
            student.call("edit_faces", model.module.ref, x[:1], direction),
            (1, 3, 4, 4),
            "for a single image, the result of `edit_faces`",
        )

    @criterion("evaluation mode, no gradients, the mode restored", 0.25)
    def care() -> str | None:
        model = _ShowCodes(student, draw)

        def act() -> Tensor:
            return student.call("edit_faces", model.module.ref, x, direction, 1.0, seed=1)

        want = act()
        model.module.train()
        return (
            expect.same(
                act(), want, "For a model in training mode, `edit_faces` gives other images."
            )
            or keeps_modes(model.module, act, "`edit_faces`")
            or _holds_no_graph(student, "edit_faces", model.module.ref, x, direction)
            or leaves_gradients(student, "edit_faces", model.module.ref, x, direction)
            or sets_no_seed(student, "edit_faces", model.module.ref, x, direction)
            or leaves_arguments(student, "edit_faces", model.module.ref, x, direction, 0.5)
            or leaves_arguments(student, name, codes, has)
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        model = _ShowCodes(student, draw)
        probe, edit = student.define(ON_GPU), student.ref("edit_faces")
        on_cpu = student.define(ON_CPU, function=edit, model=model.module.ref)["step_on_cpu"]
        return (
            ends_on_gpu(student, probe["find"], student.ref(name), codes, has)
            or ends_on_gpu(student, probe["step"], edit, model.module.ref, x, direction)
            or _stays_on_cpu(student, on_cpu, "edit_faces", x, direction)
        )

    yield from (value, refusal, edit, care, gpu)


# ---- what they share ---------------------------------------------------------------------------


def _is_posterior(value, batch: int, latent_dim: int, what: str) -> str | None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        seen = f"{expect.upper(what)} is {expect.describe(value)}"
        return f"{seen}, where `mu` and `var` were expected."
    return expect.first(
        expect.shape(part, (batch, latent_dim), f"{name} in {what}")
        for part, name in zip(value, ("`mu`", "`var`"), strict=True)
    )


def _is_positive(encoded, latent_dim: int) -> str | None:
    if problem := _is_posterior(encoded, 7, latent_dim, "what the encoder gives"):
        return problem
    if problem := expect.finite(encoded[1], "`var`"):
        return problem
    least = float(encoded[1].min())
    if least <= 0:
        return f"`var` goes down to {least:.3g}: a variance that is not positive has no logarithm."
    return _is_above_the_floor(least)


def _is_above_the_floor(least: float) -> str | None:
    if least > 0.99 * VAR_FLOOR:
        return None
    return f"`var` goes down to {least:.3g}, and it is to be at least `VAR_FLOOR`, {VAR_FLOOR:g}."


def _with_last_bias(module: Module, x: Tensor, latent_dim: int, value: float):
    """mu and var when the last layer puts out `value` everywhere, whatever the image.

    All parameters are set to zero but those that can be the last layer's bias: vectors of twice
    the latent dimensions, or of as many (where there is a layer for each half).
    """
    kept = module.state()
    lengths = {latent_dim, 2 * latent_dim}
    module.load_state(
        [
            torch.full_like(t, value if t.ndim == 1 and len(t) in lengths else 0.0)
            if t.is_floating_point()
            else t
            for t in kept
        ]
    )
    encoded = module(x)
    module.load_state(kept)
    problem = _is_posterior(encoded, len(x), latent_dim, "what the encoder gives")
    return None if problem else encoded


def _is_the_same_in_training(module: Module, x: Tensor, what: str) -> str | None:
    """No layer of the table works otherwise in training mode, or looks at a whole batch."""
    before = module.state()
    answers = []
    for training in (True, False):
        module.train(training)
        answers.append(module(x, seed=1))
    module.load_state(before)
    return expect.same(
        *answers,
        f"For the same batch, {what} gives something else in training mode than in evaluation "
        "mode. Nothing in the table depends on the mode: is there a dropout or a BatchNorm, or is "
        "`self.training` asked?",
    )


def _both_learn(student: Student, target: Ref | tuple, module: Module, x: Tensor) -> str | None:
    """The gradients of means and of variances go back as far."""
    reached = []
    for part in (0, 1):
        weights = [None, None]
        weights[part] = torch.ones(len(x), 5)
        found = student.gradients(target, x, of=module.ref, cotangent=weights)
        reached.append([gradient is not None for gradient in found.parameters])
    for own, other, name in ((*reached, "`mu`"), (*reversed(reached), "`var`")):
        missing = sum(there and not here for here, there in zip(own, other, strict=True))
        # Where each half has a layer of its own, the other's weight and bias are out of reach.
        if missing > 2:
            return (
                f"The gradient of {name} does not reach all of the encoder: {missing} of its "
                f"weight and bias tensors get nothing from {name}, although the encoder's other "
                "output does reach them. Is something detached?"
            )
    return None


def _divergence_learns(student: Student, vae: Module, images: Tensor) -> str | None:
    """The `mu` and `var` beside an image lead back to the encoder, as those of `encode` do."""
    for part, name in ((1, "`mu`"), (2, "`var`")):
        weights = [None, None, None]
        weights[part] = torch.ones(len(images), 5)
        got = vae.gradients(images, cotangent=weights, seed=1).parameters
        encode = (vae.ref, "encode")
        want = student.gradients(encode, images, of=vae.ref, cotangent=weights[1:]).parameters
        if any(
            there is not None and bool(there.any()) and (here is None or not bool(here.any()))
            for here, there in zip(got, want, strict=True)
        ):
            return (
                f"No gradient gets from the {name} that a forward pass returns back to the "
                "encoder, so the divergence cannot train the encoder through it. Is it detached on "
                "the way?"
            )
    return None


def _begins_anew(student: Student, name: str, what: str) -> str | None:
    first, second = (Module.build(student, name, 5, seed=seed).state() for seed in (1, 2))
    return expect.different(
        first,
        second,
        f"Every {what} begins with the same weights. Is a seed set inside?",
    ) or sets_no_seed(student, name, 5)


def _stays_on_cpu(student: Student, target: Ref, name: str, *args) -> str | None:
    """On a machine with a GPU, what is asked of the CPU is answered there.

    Args:
        target: asks it; whatever tensors it gets are on the GPU.
    """
    try:
        if "gpu" not in student.on_gpu(target, *args):
            return None
    except StudentError as error:
        if not pretend.is_about_devices(error.message):
            raise
    return (
        f"On a machine with a GPU, everything that `{name}` is given is on the CPU, and yet it "
        "puts something on the GPU. What tells it where new tensors belong?"
    )


def _same_weights(module: Module, like: Module, draw: Draw) -> list[Tensor] | None:
    """Give a network of the table and the reference the same weights; None if they do not match.

    Tensors are matched by their shapes (ones aside), so whatever they are called and wherever they
    stand. Shapes that occur more than once are biases, and these are set to zero.

    Returns:
        The weights, in the reference's order: a weight and a bias for each layer.
    """

    def key(tensor: Tensor) -> tuple[int, ...]:
        return tuple(side for side in tensor.shape if side > 1)

    theirs, ours = module.state(), like.state()
    keys = [key(tensor) for tensor in ours]
    if sorted(keys) != sorted(key(tensor) for tensor in theirs):
        return None
    fresh = {}
    for name in sorted(set(keys)):
        if len(name) == 1:
            fresh[name] = draw.normal(*name) if keys.count(name) == 1 else torch.zeros(name)
        elif keys.count(name) > 1:
            return None
        else:
            fresh[name] = draw.normal(*name, std=math.sqrt(2 / math.prod(name[1:])))
    like.load_state([fresh[key(tensor)].view(tensor.shape) for tensor in ours])
    module.load_state([fresh[key(tensor)].view(tensor.shape) for tensor in theirs])
    return [fresh[key(tensor)].view(tensor.shape) for tensor in ours]


def _without_relus(h: Tensor, weights: list[Tensor], steps: list[Callable], lost: set) -> Tensor:
    """What comes out of a chain of layers when the ReLUs behind those in `lost` are left out."""
    for number, step in enumerate(steps):
        h = step(h, weights[2 * number], weights[2 * number + 1])
        if number < len(steps) - 1 and number not in lost:
            h = F.relu(h)
    return h


def _name_lost_relus(
    got: Tensor, h: Tensor, weights: list[Tensor], steps: list[Callable], names: list[str]
) -> str:
    """Behind which layers a ReLU is missing, as a sentence; "" if that is not what is wrong."""
    few = [{number} for number in range(len(names))]
    most = [set(range(first, last)) for first in (0, 1) for last in (len(names), len(names) - 1)]
    for lost in few + most:
        if expect.alike(got, _without_relus(h, weights, steps, lost), rtol=1e-3, atol=1e-4):
            listed = ", ".join(names[number] for number in sorted(lost))
            return f" It is what it would be without the ReLU after {listed}."
    return ""


def _encodes_as_the_table(module: Module, draw: Draw) -> str | None:
    """With the reference's weights in its layers, an encoder gives the reference's means."""
    x = _faces(draw, 3)
    like = Module.build(reference(), "FaceEncoder", 5, 3)
    weights = _same_weights(module, like, draw)
    if weights is None:
        return None  # the layers are put together in another way; other criteria look at them
    encoded, want = module(x), like(x)
    if problem := _is_posterior(encoded, 3, 5, "what the encoder gives"):
        return problem
    got = encoded[0]
    if expect.alike(got, want[0], rtol=1e-3, atol=1e-4):
        return None
    words = "With the same weights in every layer, `mu` is not what the table of layers gives."
    halved, last = partial(F.conv2d, stride=2, padding=1), F.conv2d
    steps = [halved] * 4 + [last, lambda h, weight, bias: F.linear(h.flatten(1), weight, bias)]
    outputs = _without_relus(x, weights, steps, set())
    for chosen, cause in (
        (outputs[:, 5:], "It is the SECOND half of the linear layer's outputs, and the first"),
        (outputs[:, ::2], "It is every second of the linear layer's outputs, and the first half"),
    ):
        if expect.alike(got, chosen, rtol=1e-3, atol=1e-4):
            return f"{words} {cause} is what holds the means."
    if any(expect.alike(got, f(outputs[:, :5]), rtol=1e-3) for f in (F.relu, torch.tanh)):
        return None  # an activation after the last layer, of which is_raw speaks
    names = [f"the {ordinal} convolution" for ordinal in ("first", "second", "third", "fourth")]
    halves = [lambda h, weight, bias: F.linear(h.flatten(1), weight[:5], bias[:5])]
    lost = _name_lost_relus(got, x, weights, steps[:-1] + halves, [*names, "the last convolution"])
    return words + (lost or " Is a ReLU after every convolution, and nothing else between?")


def _decodes_as_the_table(module: Module, draw: Draw) -> str | None:
    """With the reference's weights in its layers, a decoder gives the reference's images."""
    z = draw.normal(4, 7)
    like = Module.build(reference(), "FaceDecoder", 7, 3)
    weights = _same_weights(module, like, draw)
    if weights is None:
        return None
    got = expect.needed(module(z), (4, 3, 64, 64), "the decoder's output")
    if expect.alike(got, like(z), rtol=1e-3, atol=1e-4):
        return None
    doubled = partial(F.conv_transpose2d, stride=2, padding=1)
    steps = [
        lambda h, weight, bias: F.linear(h, weight, bias).view(-1, 256, 1, 1),
        F.conv_transpose2d,
        *[doubled] * 4,
    ]
    before = _without_relus(z, weights, steps, set())
    for last in (torch.sigmoid, F.relu, lambda h: h, lambda h: torch.tanh(torch.tanh(h))):
        for end in (last(before), last(torch.tanh(before)), torch.tanh(last(before))):
            if expect.alike(got, end, rtol=1e-3, atol=1e-4):
                return None  # right but for what stands at the end, which has a criterion
    ordinals = ("first", "second", "third", "fourth")
    names = ["the linear layer", *(f"the {name} transposed convolution" for name in ordinals)]
    inverse = torch.atanh(got.double().clamp(-1 + 1e-7, 1 - 1e-7)).float()
    lost = _name_lost_relus(inverse, z, weights, steps, names)
    return (
        "With the same weights in every layer, the images are not what the table of layers gives."
        + (lost or " Is a ReLU after every layer but the last, and nothing else between?")
    )


def _explain_variance(seen: dict[float, tuple[Tensor, Tensor]]) -> str | None:
    """Whether `var` is a softplus of the last layer's output with a floor; if not, what it is."""
    outputs = [value for value in seen if abs(value) < 100]
    got = torch.tensor([float(seen[value][1].mean()) for value in outputs])
    raw = torch.tensor(outputs)
    tiny = seen[-200.0][1]
    if not expect.alike(got, F.softplus(raw), rtol=1e-3, atol=1e-3):
        listed = ", ".join(f"{g:.3g} for {v:g}" for g, v in zip(got, outputs, strict=True))
        for function, words in (
            (raw.exp(), "It is the output's exponential."),
            ((raw / 2).exp(), "It is the exponential of half of the output."),
            (F.relu(raw), "It is cut off at zero."),
            (raw, "It is the output itself, which may be negative."),
            (F.softplus(raw) ** 2, "It is a softplus, squared."),
            (F.softplus(raw).sqrt(), "It is the root of a softplus."),
        ):
            if expect.alike(got, function, rtol=1e-3, atol=1e-3):
                return f"`var` is not the softplus of the linear layer's output. {words}"
        return (
            "`var` is not the softplus of the linear layer's output: where all its outputs are the "
            f"same, `var` is {listed}."
        )
    if problem := expect.finite(tiny, "for a very negative output, `var`"):
        return problem
    if float(tiny.min()) <= 0:
        return (
            "For a very negative output `var` is exactly zero, and its logarithm minus infinity: "
            "one such pixel and the whole loss is NaN. What keeps it away from zero?"
        )
    if float(tiny.max()) > 1e-2:
        return f"`var` never goes below {float(tiny.min()):.3g}: that floor is too high."
    large = seen[200.0][1]
    return (
        _is_above_the_floor(float(tiny.min()))
        or expect.finite(large, "for a large output, `var`")
        or expect.close(large, torch.full_like(large, 200.0), "for a large output, `var`")
    )


def _refuses(act: Callable[[], object], what: str) -> str | None:
    """`act` raises the ValueError that the docstring asks for."""
    try:
        result = act()
    except StudentError as error:
        if error.type == "ValueError":
            return None
        if error.kind in ("missing", "blank", "result"):
            raise
        return (
            f"{what} is answered by a {error.type} from somewhere inside, where a ValueError that "
            "says what is wrong is asked for."
        )
    return (
        f"{what} is not refused: the result is {expect.describe(result)}. A ValueError is asked "
        "for."
    )


def _explain_likelihood(ask: Callable, right: Callable, x: Tensor, mean: Tensor) -> str:
    """Which part of a wrong log-likelihood is wrong, after a space; "" if nothing helps."""
    try:
        got = {v: ask(x, mean, v).double() for v in (0.25, 1.0, 4.0)}
        centre = {v: ask(mean, mean, v).double() for v in (0.25, 1.0, 4.0)}
    except (StudentError, AttributeError):
        return ""
    want = {v: right(x, mean, v).double() for v in got}
    middle = {v: right(mean, mean, v).double() for v in got}
    if any(got[v].shape != want[v].shape for v in got):
        return ""
    if expect.alike(got[0.25], got[4.0]):
        return " It is the same whatever the variance is."
    if all(expect.alike(got[v], right(x, mean, v**0.5).double(), rtol=1e-3) for v in got):
        return " It is what it would be for the root of the variance."
    distance = all(expect.alike(got[v] - centre[v], want[v] - middle[v], rtol=1e-3) for v in got)
    constant = all(expect.alike(centre[v], middle[v], rtol=1e-3) for v in got)
    if distance and expect.alike(centre[1.0], middle[1.0], rtol=1e-3):
        return (
            " What the distance from the mean costs is right, and so is the constant where the "
            "variance is 1: what does the variance do in the constant?"
        )
    if distance:
        return (
            " What the distance from the mean costs is right: look at the part that does not "
            "depend on x."
        )
    if constant:
        problem = expect.close(
            got[1.0] - centre[1.0], want[1.0] - middle[1.0], "at a variance of 1, that part"
        )
        return (
            " For a perfect mean it is right: look at what the distance from the mean costs. "
            + (problem or "At a variance of 1 that part is right.")
        )
    return ""


def _outputs(vae: Module, x: Tensor, **source) -> list:
    """The three parts of a forward pass."""
    outputs = vae(x, **source)
    if isinstance(outputs, tuple | list) and len(outputs) == 3:
        return list(outputs)
    raise unfit(
        f"A forward pass gives {expect.describe(outputs)}, where `(x_hat, mu, var)` was expected."
    )


def _noise_has(vae: Module, var_x: float, seed: int) -> str | None:
    """Draws from p(x|z) scatter within an image by var_x, and each image has noise of its own."""
    shape = (3, 3, 64, 64)
    noisy = expect.needed(vae.call("sample", 3, noisy=True, seed=seed), shape, "the noisy sample")
    means = expect.needed(vae.call("sample", 3, seed=seed), shape, "the sample")
    noisy, means = noisy.double().flatten(1), means.double().flatten(1)
    # 12,288 numbers an image: the standard error of a variance is 1.3 %.
    got, own = float(noisy.var(1).mean()), float(means.var(1).mean())
    if abs(got / (var_x + own) - 1) > 0.08:
        return (
            f"With var_x = {var_x:g}, the pixels of a noisy sample scatter with a variance of "
            f"{got:.3g}, of which {own:.3g} is the mean image's."
        )
    pixels = noisy.view(shape)
    # Neighbours along each dimension in turn: the shortest of these slices hold 576 numbers. For
    # the reference the correlation was 0.26 at most in 60 runs; noise that is shared makes it 0.9.
    for dim, words in enumerate(("noisy samples", "channels", "rows", "columns")):
        pair = pixels.narrow(dim, 0, 2).transpose(0, dim).flatten(1)
        if float(torch.corrcoef(pair)[0, 1]) > 0.5 + own / (own + var_x):
            return f"All {words} share the same noise."
    return None


def _are_decoded(vae: Module, codes: Tensor | None, images: Tensor) -> bool:
    """Whether these are the codes of images; None is what was found where none are to be seen."""
    return codes is not None and expect.alike(vae.call("decode", codes[:4]), images[:4])


def _every_image_draws(student: Student, vae: Module, draw: Draw) -> str | None:
    """Each image of a batch has noise of its own in its code, and so has each dimension."""
    images = _faces(draw, 64)
    vae.eval()
    codes_in = student.define(LOOK_AT_FACE_VAE)["codes_in"]
    outputs, codes = student.call(codes_in, vae.ref, "__call__", [64, 5], images, seed=draw.seed())
    x_hat, mu, var = outputs
    if not _are_decoded(vae, codes, x_hat):
        return None
    return expect.standard_normal((codes - mu) / var.sqrt(), "the noise in the codes")


def _scatter_of_passes(student: Student, images: Tensor, draw: Draw) -> tuple[float, str]:
    """How many times too much or too little that scatters which forward passes decode.

    It should be distributed as `decode` of draws from N(mu, var). At first all variances are near
    0.69, where a standard deviation is hard to tell from a variance. So the encoder is first taught
    very different ones.
    """
    copies = 40
    vae, fit = Module.build(student, "FaceVAE", 3, seed=draw.seed()), student.define(FIT)["fit"]
    mu = draw.normal(4, 3)
    var = torch.tensor([0.02, 0.2, 1.0, 4.0])[:, None].expand(4, 3)
    # In greater steps one encoder in ten dies and gives all images the same variance.
    student.call(fit, vae.ref, "encode", images, [mu, var], steps=80, lr=1e-3)
    vae.eval()
    encoded = vae.call("encode", images)
    if problem := _is_posterior(encoded, 4, 3, "what `encode` gives"):
        raise unfit(problem)
    mu, var = encoded
    batch = images.repeat(copies, 1, 1, 1)
    x_hat = expect.needed(_outputs(vae, batch, seed=draw.seed())[0], batch.shape, "`x_hat`")
    noise = draw.normal(copies, 4, 3)
    right = vae.call("decode", (mu + var.clamp_min(0).sqrt() * noise).flatten(0, 1))
    right = expect.needed(right, batch.shape, "what `decode` gives")
    centre = vae.call("decode", mu)
    got, want = (
        (side.view(copies, *images.shape) - centre).double().square().flatten(2).sum(2).mean(0)
        for side in (x_hat, right)
    )
    ratio = got / want
    if float(ratio.max()) < 1e-6:
        raise unfit(
            "In a forward pass `x_hat` is always the same: nothing is drawn from the posterior."
        )
    # A variance in place of a standard deviation makes the ratio 1/50 where var is 0.02.
    seen = ", ".join(
        f"{float(ratio[i]):.2g} where `var` is about {float(var[i].mean()):.2g}"
        for i in var.mean(1).argsort()
    )
    return float(torch.maximum(ratio, 1 / ratio).max()), (
        "Over many forward passes, `x_hat` does not scatter as it does for codes drawn from the "
        f"posterior. Its variance is that of right draws times {seen}."
    )


SCATTER = Convergence(
    "ps5_model",
    "variance of what forward passes decode, too large or too small by a factor of",
    threshold=3.0,
    images=lambda draw: _faces(draw, 4),
    measure=_scatter_of_passes,
)


def _samples_prior(vae: Module, draw: Draw) -> str | None:
    count = 120
    for batch in (3, 1):
        got = vae.call("sample", batch, seed=draw.seed())
        if problem := expect.shape(got, (batch, 3, 64, 64), f"the result for {batch} sample(s)"):
            return problem
    codes_in = vae.student.define(LOOK_AT_FACE_VAE)["codes_in"]
    got, codes = vae.student.call(codes_in, vae.ref, "sample", [count, 3], count, seed=draw.seed())
    got = expect.needed(got, (count, 3, 64, 64), "the sample")
    right = vae.call("decode", draw.normal(count, 3))
    spread, want = (float(side.double().var(0).sum()) for side in (got, right))
    shift = float((got.double().mean(0) - right.double().mean(0)).square().sum())
    if spread / want > 3:
        return (
            "Without `noisy`, the samples scatter far more than the decoder's mean images do: is "
            "noise added to them all the same?"
        )
    if not 0.5 < spread / want < 2 or shift > 0.3 * want:
        return (
            "The samples are not those of codes from the prior: their variance is "
            f"{spread / want:.2g} times what it should be. Where do their codes come from?"
        )
    if _are_decoded(vae, codes, got):
        problem = expect.standard_normal(codes, "what `sample` draws for its codes")
        if problem:
            return problem
    for noisy in (False, True):
        if problem := keeps_modes(vae, lambda n=noisy: vae.call("sample", 2, noisy=n), "`sample`"):
            return problem
        if vae.carries_graph("sample", 2, noisy=noisy):
            return "Samples still hold on to the graph for gradients."
    return None


def _holds_no_graph(student: Student, name: str, *args) -> str | None:
    kept = student.call(name, *args, keep=True)
    if student.carries_graph(kept):
        return f"What `{name}` gives still holds on to the graph for gradients."
    return None
