"""ps4, the Keras-style VAE for Fashion-MNIST: what each exercise must show.

Networks are compared with the table of layers number by number: the student's own weights are put
into a plain computation of the judge's. Which of a student's layers is which follows from the
shapes of their weights, so that names, order and building blocks are free.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder import expect
from autograder.checks import reference
from autograder.checks.common import (
    draws_afresh,
    ends_on_gpu,
    has_size,
    is_raw,
    judges_rows_apart,
    keeps_modes,
    leaves_arguments,
    reaches_every_parameter,
    sets_no_seed,
    spans_black_to_white,
    uses_generator,
    works_on_gpu,
)
from autograder.criterion import Criterion, criterion
from autograder.draw import Draw
from autograder.student import Module, Ref, Seed, Student, StudentError, unfit

PER_IMAGE = "one number for each image"
SHAPE = (3, 8, 12)
"""Images for most questions: coloured and not square, so that a dimension out of place shows."""


# --- padding --------------------------------------------------------------------------------

ASKED = """
def answers(function, cases):
    return [function(*case) for case in cases]
"""

SMALL_CASES = [
    (size, kernel, stride)
    for size in range(1, 10)
    for kernel in range(1, 6)
    for stride in range(1, 5)
]
"""Every way in which kernel, stride and size can lie to one another."""


def padding(student: Student, draw: Draw) -> Iterator[Criterion]:
    """TensorFlow's padding, in numbers and in two layers."""
    cases = [(28, 3, 2), (28, 3, 1), (14, 3, 1), (13, 3, 2), (9, 5, 3), (10, 4, 2), (7, 4, 1)]
    cases += [(draw.integer(8, 40), draw.integer(2, 7), draw.integer(1, 4)) for _ in range(6)]
    cases += SMALL_CASES

    def answers(of: Student) -> list:
        return of.call(of.define(ASKED)["answers"], of.ref("same_padding"), cases)

    def zeros() -> Iterator[tuple[tuple[float, float], tuple[int, int], str]]:
        """For each case what the answer gives, what is right, and the case in words."""
        for case, got, want in zip(cases, answers(student), answers(reference()), strict=True):
            where = "For size {}, kernel {} and stride {}".format(*case)
            yield two_numbers(got), tuple(want), where

    def two_numbers(got: object) -> tuple[float, float]:
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise unfit(
                f"`same_padding` gives {expect.describe(got)}, where two numbers were expected."
            )
        numbers = [expect.as_number(value) for value in got]
        if None in numbers:
            raise unfit(f"`same_padding` gives {expect.describe(got[0])} among its two numbers.")
        return numbers[0], numbers[1]

    @criterion("same_padding: how many zeros in all", 0.5)
    def total() -> str | None:
        for got, want, where in zeros():
            if min(got) < 0:
                return f"{where} it gives a negative number of zeros: {got[0]:g} and {got[1]:g}."
            if sum(got) != sum(want):
                side = "more" if sum(got) > sum(want) else "fewer"
                return (
                    f"{where} it gives {sum(got):g} zeros in all, {side} than are needed for one "
                    "output for every stride of pixels."
                )
        return None

    @criterion("same_padding: where they go", 0.5)
    def halves() -> str | None:
        for got, want, where in zeros():
            if sum(want) and got != want:
                return f"{where} it gives {got[0]:g} before and {got[1]:g} after."
        return None

    usual = [(2, 3, 3, 2, (8, 7)), (1, 4, 3, 1, (6, 7)), (3, 2, 4, 2, (9, 6))]
    unpadded = [(2, 2, 2, 2, (5, 6))]

    def layer_like_reference(name: str, wrong: dict[str, Callable]) -> str | None:
        return (
            _like_reference(name, usual, wrong)
            or _like_reference(name, unpadded, {})
            or _like_reference_again(name)
        )

    def _like_reference(name: str, settings: list, wrong: dict[str, Callable]) -> str | None:
        asked = []
        for inputs, outputs, kernel, stride, size in settings:
            mine = Module.build(student, name, inputs, outputs, kernel, stride, seed=draw.seed())
            found = [part.shape for part in mine.parameters()]
            theirs = Module.build(reference(), name, inputs, outputs, kernel, stride)
            if sorted(found, key=len) != sorted((p.shape for p in theirs.parameters()), key=len):
                return (
                    f"A `{name}` has parameters of the shapes {[tuple(s) for s in found]}: one "
                    "kernel and one bias were expected."
                )
            weight, bias = draw.normal(*max(found, key=len)), draw.normal(outputs)
            mine.load_state([weight if len(shape) == 4 else bias for shape in found])
            theirs.load_state([weight, bias])
            x = draw.normal(2, inputs, *size)
            asked.append(((x, weight, bias, stride), mine(x), theirs(x)))
        for (x, weight, *_, stride), got, want in asked:
            what = (
                f"with kernel {weight.shape[-1]} and stride {stride}, a map of {x.shape[-2]}x"
                f"{x.shape[-1]} after `{name}`"
            )
            if problem := expect.close(got, want, what, atol=1e-4):
                for words, compute in wrong.items():
                    if all(_is_that(compute, given, seen) for given, seen, _ in asked):
                        return f"{expect.upper(what)} is that of {words}."
                return problem
        return None

    def _like_reference_again(name: str) -> str | None:
        """One layer works on maps of one size after another, and leaves them as they are."""
        mine = Module.build(student, name, 2, 3, 3, 2, seed=draw.seed())
        theirs = Module.build(reference(), name, 2, 3, 3, 2)
        theirs.load_state(sorted(mine.parameters(), key=lambda tensor: -tensor.ndim))
        for size in ((8, 7), (5, 6), (9, 10)):
            x = draw.normal(2, 2, *size)
            what = f"what one and the same `{name}` makes of a map of another size, {size},"
            if problem := expect.close(mine(x), theirs(x), what, atol=1e-4):
                return (
                    f"{problem} Does the layer keep anything from an earlier call, such as a size "
                    "or a padding?"
                )
        return leaves_arguments(student, mine.ref, x)

    @criterion("SameConv2d", 1)
    def convolution() -> str | None:
        return layer_like_reference(
            "SameConv2d",
            {"zeros on the wrong sides: an odd zero goes to the right and below": _padded_before},
        )

    @criterion("SameConvTranspose2d", 1)
    def transposed() -> str | None:
        return layer_like_reference(
            "SameConvTranspose2d",
            {
                "a map that was cut off at the wrong end": _cropped_before,
                "a map that was enlarged, and not cut, to the right size": _stretched,
            },
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return expect.first(
            works_on_gpu(
                student,
                Module.build(student, name, 2, 3, 3, 2).ref,
                draw.normal(2, 2, 5, 4),
                backward=True,
            )
            for name in ("SameConv2d", "SameConvTranspose2d")
        )

    yield from (total, halves, convolution, transposed, gpu)


def _is_that(compute: Callable[..., Tensor], given: tuple, seen: Tensor) -> bool:
    """Whether a known mistake explains what was seen; one that does not apply explains nothing."""
    try:
        return expect.alike(seen, compute(*given), atol=1e-4)
    except RuntimeError:
        return False


def _zeros_around(size: int, kernel: int, stride: int) -> tuple[int, int]:
    return tuple(reference().call("same_padding", size, kernel, stride))


def _conv_padded(x: Tensor, weight: Tensor, bias: Tensor, stride: int, pads: tuple) -> Tensor:
    return F.conv2d(F.pad(x, pads), weight, bias, stride)


def _both(x: Tensor, weight: Tensor, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The right zeros: (top, bottom) and (left, right)."""
    kernel = weight.shape[-1]
    return tuple(_zeros_around(size, kernel, stride) for size in x.shape[-2:])


def _padded_before(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    (top, bottom), (left, right) = _both(x, weight, stride)
    return _conv_padded(x, weight, bias, stride, (right, left, bottom, top))


def _cropped(x: Tensor, weight: Tensor, bias: Tensor, stride: int, before: bool = False) -> Tensor:
    full = F.conv_transpose2d(x, weight, bias, stride)
    height, width = (size * stride for size in x.shape[-2:])
    index = 1 if before else 0
    kernel = weight.shape[-1]
    top = _zeros_around(height, kernel, stride)[index]
    left = _zeros_around(width, kernel, stride)[index]
    return full[..., top : top + height, left : left + width]


def _cropped_before(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    return _cropped(x, weight, bias, stride, before=True)


def _stretched(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    full = F.conv_transpose2d(x, weight, bias, stride)
    size = [side * stride for side in x.shape[-2:]]
    return F.interpolate(full, size=size)


# --- the two halves of the network ----------------------------------------------------------

Layer = tuple[Tensor, Tensor]
"""A weight and its bias."""


def encoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From an image to a posterior."""
    seed = draw.seed()

    def build(latent_dim: int = 5, shape: tuple[int, ...] = SHAPE) -> Module:
        return Module.build(student, "FashionEncoder", latent_dim, shape, seed=seed)

    @criterion("shapes: other latents, colour and grey, other sizes, a batch of one", 1)
    def shapes() -> str | None:
        for latent_dim, shape, batch in ((5, SHAPE, 3), (2, (1, 6, 4), 1), (1, (1, 4, 6), 2)):
            found = _posterior(build(latent_dim, shape), draw.uniform(batch, *shape))
            for part, name in zip(found, ("`mu`", "`log_var`"), strict=True):
                what = f"{name} for {batch} image(s) of shape {shape}"
                if problem := expect.shape(part, (batch, latent_dim), what):
                    return problem
        module = build()
        module.eval()
        return judges_rows_apart(
            lambda x: torch.cat(_posterior(module, x), dim=1), draw.uniform(3, *SHAPE), "the code"
        ) or leaves_arguments(student, module.ref, draw.uniform(3, *SHAPE))

    @criterion("the number of parameters", 0.75)
    def size() -> str | None:
        for latent_dim, shape in ((2, (1, 28, 28)), (7, (3, 6, 4))):
            right = Module.build(reference(), "FashionEncoder", latent_dim, shape).size()
            mine = Module.build(student, "FashionEncoder", latent_dim, shape, seed=seed)
            what = f"an encoder of {latent_dim} latents for images of shape {shape}"
            if problem := has_size(mine, right, what):
                return problem
        return None

    @criterion("the layers of the table, in their order", 1.25)
    def layers() -> str | None:
        return _is_encoder(build(), draw)

    @criterion("mu and log_var are apart, and may be any real number", 0.5)
    def raw() -> str | None:
        module = build(16)
        module.eval()
        noise = draw.normal(7, *SHAPE)
        mu, log_var = _posterior(module, noise)
        return (
            expect.different(mu, log_var, "`mu` and `log_var` are one and the same.")
            or is_raw(lambda x: _posterior(module, x)[0], noise, "`mu`")
            or is_raw(lambda x: _posterior(module, x)[1], noise, "`log_var`")
        )

    @criterion("the initial weights, and gradients to all of them", 0.5)
    def initial() -> str | None:
        module = build()
        dark = torch.cat(_posterior(module, torch.zeros(1, *SHAPE)), dim=1)
        if bool(dark.any()):
            return (
                "A black image is not encoded to zeros by a new encoder, so its biases are not "
                "zero. Does every layer get Keras's initial weights?"
            )
        images = draw.uniform(6, *SHAPE)
        return (
            _starts_like_keras(build(64), latent_dim=64)
            or _starts_at_random(student, "FashionEncoder")
            or reaches_every_parameter(module, images)
            or _both_reach_the_maps(module, images)
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, build().ref, draw.uniform(2, *SHAPE), backward=True)

    yield from (shapes, size, layers, raw, initial, gpu)


def decoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From a code to an image."""
    seed = draw.seed()

    def build(latent_dim: int = 5, shape: tuple[int, ...] = SHAPE) -> Module:
        return Module.build(student, "FashionDecoder", latent_dim, shape, seed=seed)

    @criterion("shapes: other latents, colour and grey, other sizes, a batch of one", 1)
    def shapes() -> str | None:
        for latent_dim, shape, batch in ((5, SHAPE, 3), (2, (1, 6, 4), 1), (1, (1, 4, 6), 2)):
            got = build(latent_dim, shape)(draw.normal(batch, latent_dim))
            what = f"the image of {batch} code(s) of length {latent_dim}"
            if problem := expect.shape(got, (batch, *shape), what):
                return problem
        module = build()
        module.eval()
        return judges_rows_apart(module, draw.normal(3, 5), "the image") or leaves_arguments(
            student, module.ref, draw.normal(3, 5)
        )

    @criterion("the number of parameters", 0.75)
    def size() -> str | None:
        for latent_dim, shape in ((2, (1, 28, 28)), (7, (3, 6, 4))):
            right = Module.build(reference(), "FashionDecoder", latent_dim, shape).size()
            mine = Module.build(student, "FashionDecoder", latent_dim, shape, seed=seed)
            what = f"a decoder of {latent_dim} latents for images of shape {shape}"
            if problem := has_size(mine, right, what):
                return problem
        return None

    @criterion("the layers of the table, in their order", 1.25)
    def layers() -> str | None:
        return _is_decoder(build(), draw)

    @criterion("pixels between 0 and 1, both ends within reach", 0.5)
    def pixels() -> str | None:
        module = build()
        got = module(1e5 * draw.normal(16, 5))
        return expect.within(got, 0.0, 1.0, "a pixel") or spans_black_to_white(got)

    @criterion("the initial weights, and gradients to all of them", 0.5)
    def initial() -> str | None:
        module = build()
        middle = module(torch.zeros(1, 5))
        if not expect.alike(middle, torch.full_like(middle, 0.5)):
            return (
                "A new decoder does not draw the code of all zeros as an even grey of one half. "
                "Are all biases zero, and is the last step the right one?"
            )
        codes = draw.normal(6, 5)
        return (
            _starts_like_keras(build(64), latent_dim=64)
            or _starts_at_random(student, "FashionDecoder")
            or reaches_every_parameter(module, codes)
            or _reaches_codes(student, module, codes)
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, build().ref, draw.normal(2, 5), backward=True)

    yield from (shapes, size, layers, pixels, initial, gpu)


def _posterior(module: Module, x: Tensor) -> tuple[Tensor, Tensor]:
    got = module(x)
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise unfit(
            f"The encoder gives {expect.describe(got)}, where mu and log_var were expected."
        )
    for part in got:
        if problem := expect.tensor(part, "a part of what the encoder gives"):
            raise unfit(problem)
    return got[0], got[1]


def _starts_like_keras(module: Module, latent_dim: int) -> str | None:
    """The largest weights reach, and do not exceed, the bound of Glorot and Bengio."""
    for weight in module.parameters():
        if weight.ndim < 2:
            continue
        layer, parts = f"the layer of shape {tuple(weight.shape)}", [weight]
        if tuple(weight.shape) == (2 * latent_dim, 32):  # both heads in one
            layer, parts = f"{layer}, taken as the two of the table,", weight.chunk(2)
        for part in parts:
            fans = (part.shape[0] + part.shape[1]) * part[0, 0].numel()
            ratio = float(part.abs().max()) / math.sqrt(6 / fans)
            # The largest of n uniform draws is below this part of the bound once in 100 million.
            least = 1e-8 ** (1 / part.numel())
            if not least < ratio < 1.0001:
                return (
                    f"The largest initial weight of {layer} is {ratio:.2f} times Glorot's bound. "
                    "Does every layer get Keras's initial weights?"
                )
    return None


def _starts_at_random(student: Student, name: str) -> str | None:
    """Two new networks start with other weights, and leave PyTorch's own generator alone."""
    first, second = (
        Module.build(student, name, 2, SHAPE, seed=seed).parameters() for seed in (1, 2)
    )
    return sets_no_seed(student, name, 2, SHAPE) or expect.first(
        expect.different(
            one,
            other,
            f"Every new `{name}` starts with the same weights in its layer of shape "
            f"{tuple(one.shape)}, where Keras draws them anew.",
        )
        for one, other in zip(first, second, strict=False)
        if one.ndim > 1
    )


def _both_reach_the_maps(module: Module, images: Tensor) -> str | None:
    """Gradients come to the convolutions from mu alone, and from log_var alone."""
    ones = torch.ones(len(images), 5)
    for name, cotangent in (("`mu`", [ones, None]), ("`log_var`", [None, ones])):
        found = module.gradients(images, cotangent=cotangent).parameters
        if any(
            gradient is None
            for gradient, weight in zip(found, module.parameters(), strict=True)
            if weight.ndim == 4
        ):
            return (
                f"No gradient comes from {name} to the convolutions. Do both heads read the same "
                "numbers, and is nothing detached?"
            )
    return None


def _reaches_codes(student: Student, module: Module, codes: Tensor) -> str | None:
    """Gradients pass through the decoder to the codes, and so to the encoder that made them."""
    (to_codes,) = student.gradients(module.ref, codes, wrt=(0,)).inputs
    if to_codes is None or not bool(to_codes.any()):
        return expect.no_gradient("the code")
    return None


def _layers_of(module: Module, draw: Draw, scale: float) -> list[Layer]:
    """The module's weights, scaled, and random biases in place of zeros: one left out shows."""
    weights = {tuple(weight.shape) for weight in module.parameters() if weight.ndim > 1}

    def changed(tensor: Tensor) -> Tensor:
        if tuple(tensor.shape) in weights:
            return scale * tensor
        return tensor if bool(tensor.any()) else 0.3 * draw.normal(*tensor.shape)

    module.load_state([changed(tensor) for tensor in module.state()])
    layers: list[Layer] = []
    for tensor in module.parameters():
        if tensor.ndim > 1:
            layers.append((tensor, torch.zeros(0)))
        elif layers and layers[-1][1].numel() == 0:
            layers[-1] = (layers[-1][0], tensor)
        else:
            raise unfit("Its parameters are not pairs of a weight and a bias.")
    return layers


def _sorted_out(layers: list[Layer], shapes: list[tuple[int, ...]]) -> list[list[Layer]]:
    """All ways in which the layers can be those of these shapes, in this order."""
    if len(layers) != len(shapes):
        return []
    return [
        list(order)
        for order in itertools.permutations(layers)
        if all(
            tuple(weight.shape) == shape
            for (weight, _), shape in zip(order, shapes, strict=True)
        )
    ]  # fmt: skip


def _places(maps: tuple[int, int, int]) -> list[Tensor]:
    """Where number i of a flattened map stands: channels first as PyTorch's, or last as Keras's."""
    channels, height, width = maps
    index = torch.arange(channels * height * width)
    return [index, index.view(height, width, channels).permute(2, 0, 1).flatten()]


ENCODER_MISTAKES = {
    "a table without the ReLU after the first convolution": {"no_relu": (0,)},
    "a table without the ReLU after the second convolution": {"no_relu": (1,)},
    "a table without the ReLU after the third convolution": {"no_relu": (2,)},
    "a table without the ReLU after the fourth convolution": {"no_relu": (3,)},
    "a table without the ReLUs after its convolutions": {"no_relu": (0, 1, 2, 3)},
    "a table without any ReLU": {"no_relu": (0, 1, 2, 3, 4)},
    "a table with a ReLU after mu": {"heads": (F.relu, None)},
    "a table with a ReLU after log_var": {"heads": (None, F.relu)},
    "a table whose first convolution has the stride of 2": {"strides": (2, 1, 1, 1)},
    "a table whose third convolution has the stride of 2": {"strides": (1, 1, 2, 1)},
    "a table whose fourth convolution has the stride of 2": {"strides": (1, 1, 1, 2)},
    "a table with leaky ReLUs of slope 0.2": {"slope": 0.2},
    "a table with leaky ReLUs of slope 0.01": {"slope": 0.01},
}
"""How a computation differs from the table's, and the words for it."""


def _encode(
    layers: list[Layer],
    x: Tensor,
    places: Tensor,
    *,
    no_relu: tuple[int, ...] = (),
    heads: tuple = (None, None),
    strides: tuple[int, ...] = (1, 2, 1, 1),
    slope: float = 0.0,
) -> list[Tensor]:
    for number, ((weight, bias), stride) in enumerate(zip(layers[:4], strides, strict=True)):
        x = _convolved(x, weight, bias, stride)
        x = x if number in no_relu else F.leaky_relu(x, slope)
    features = F.linear(x.flatten(1)[:, places.argsort()], *layers[4])
    features = features if 4 in no_relu else F.leaky_relu(features, slope)
    outputs = [F.linear(features, *layer) for layer in layers[5:]]
    return [end(part) if end else part for part, end in zip(outputs, heads, strict=True)]


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    (top, bottom), (left, right) = _both(x, weight, stride)
    return _conv_padded(x, weight, bias, stride, (left, right, top, bottom))


def _encoder_layers(module: Module, draw: Draw, scale: float) -> list[Layer]:
    layers = _layers_of(module, draw, scale)
    both = [layer for layer in layers if layer[0].shape == (10, 32)]
    if len(layers) == 6 and both:  # one linear layer for both heads
        halves = zip(*(part.chunk(2) for part in both[0]), strict=True)
        layers = [layer for layer in layers if layer is not both[0]] + list(halves)
    return layers


def _is_encoder(module: Module, draw: Draw) -> str | None:
    module.eval()
    channels, height, width = SHAPE
    maps = (64, height // 2, width // 2)
    shapes = [(32, channels, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3)]
    shapes += [(32, math.prod(maps)), (5, 32), (5, 32)]
    x = draw.uniform(3, *SHAPE)
    asked = []
    for scale in SCALES:
        orders = _sorted_out(_encoder_layers(module, draw, scale), shapes)
        asked.append((orders, list(_posterior(module, x))))

    def compute(order: list[Layer], places: Tensor, **mistake) -> list[Tensor]:
        return _encode(order, x, places, **mistake)

    return _tell_apart(asked, compute, maps, ENCODER_MISTAKES)


DECODER_MISTAKES = {
    "transposed convolutions that are cut off at the wrong end": {"before": True},
    "a table without the ReLU after the linear layer": {"no_relu": (0,)},
    "a table without the ReLU after the first transposed convolution": {"no_relu": (1,)},
    "a table without any ReLU": {"no_relu": (0, 1)},
    "a table with a ReLU before the sigmoid": {"end": lambda x: torch.sigmoid(F.relu(x))},
    "a table with a tanh in place of the sigmoid": {"end": torch.tanh},
    "a table whose second transposed convolution has the stride of 2": {"strides": (1, 2)},
    "a table with leaky ReLUs of slope 0.2": {"slope": 0.2},
    "a table with leaky ReLUs of slope 0.01": {"slope": 0.01},
}


def _decode(
    layers: list[Layer],
    z: Tensor,
    maps: tuple[int, int, int],
    places: Tensor,
    *,
    before: bool = False,
    no_relu: tuple[int, ...] = (),
    end: Callable[[Tensor], Tensor] = torch.sigmoid,
    strides: tuple[int, int] = (2, 1),
    slope: float = 0.0,
) -> Tensor:
    spread = _cropped_before if before else _cropped
    x = F.linear(z, *layers[0])
    x = x if 0 in no_relu else F.leaky_relu(x, slope)
    x = spread(x[:, places].view(-1, *maps), *layers[1], strides[0])
    x = x if 1 in no_relu else F.leaky_relu(x, slope)
    return end(spread(x, *layers[2], strides[1]))


def _is_decoder(module: Module, draw: Draw) -> str | None:
    module.eval()
    channels, height, width = SHAPE
    maps = (64, height // 2, width // 2)
    shapes = [(math.prod(maps), 5), (64, 32, 3, 3), (32, channels, 3, 3)]
    z = draw.normal(3, 5, std=2.0)
    asked = []
    for scale in SCALES:
        orders = _sorted_out(_layers_of(module, draw, scale), shapes)
        asked.append((orders, [module(z)]))

    def compute(order: list[Layer], places: Tensor, **mistake) -> list[Tensor]:
        return [_decode(order, z, maps, places, **mistake)]

    return _tell_apart(asked, compute, maps, DECODER_MISTAKES)


SCALES = (1.0, 8.0)
"""A network is asked with its own weights, and with eight times these: numbers on the way are then
as large as after a training, and a limit to them shows."""


def _agree(got: list[Tensor], want: list[Tensor]) -> bool:
    """Equal up to rounding, which grows with the largest of the numbers that cancel.

    Right answers, five encoders and five decoders asked 60 times each, used a twentieth of the
    tolerance at most.
    """
    return len(got) == len(want) and all(
        expect.alike(one, other, atol=1e-4 * max(1.0, float(other.abs().max())))
        for one, other in zip(got, want, strict=True)
    )


def _tell_apart(
    asked: list[tuple[list[list[Layer]], list[Tensor]]],
    compute: Callable[..., list[Tensor]],
    maps: tuple[int, int, int],
    mistakes: dict[str, dict],
) -> str | None:
    """None if the table's own computation is found, else which other one is.

    Args:
        asked: for each of SCALES, the ways in which the layers can be the table's, and what the
            network gave.
        compute: what it should give, for layers in their order, places, and a mistake.
        maps: the shape of the maps that are flattened.
        mistakes: by the words for each, how it differs from the table.
    """

    def found(where: list, **mistake) -> bool:
        return all(
            any(
                _agree(got, compute(order, places, **mistake))
                for order in orders
                for places in _places(maps)
            )
            for orders, got in where
        )

    if not asked[0][0]:
        return (
            "Its weights are not those of the table: compare the channels and kernels of its "
            "layers with the rows."
        )
    if found(asked):
        return None
    for words, mistake in mistakes.items():
        if found(asked, **mistake):
            return f"With its own weights it computes what {words} gives."
    if found(asked[:1]):
        return (
            "With the weights that it starts with, the network agrees with the table; with larger "
            "weights it does not. Is something cut off on the way, by a clamp or an activation "
            "that is not in the table?"
        )
    return (
        "With its own weights it gives other numbers than the layers of the table do. Compare "
        "strides, paddings and activations row by row, and the order of the rows."
    )


# --- sampling -------------------------------------------------------------------------------


def sampling(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The layer that draws codes."""
    mu, log_var = draw.normal(3, 5, std=2.0), draw.normal(3, 5)
    count = 4000
    means = draw.normal(1, 3, std=2.0).expand(count, 3)
    log_vars = torch.tensor([-12.0, 1.0, 12.0]).expand(count, 3)
    seed = draw.seed()

    def layer() -> Module:
        return Module.build(student, "Sampling")

    @criterion("one code for each image", 0.25)
    def shape() -> str | None:
        return expect.first(
            expect.shape(layer()(*inputs, seed=seed), inputs[0].shape, "`z`")
            for inputs in ((mu, log_var), (mu[:1], log_var[:1]), (mu[:, :1], log_var[:, :1]))
        ) or leaves_arguments(student, layer().ref, mu, log_var)

    @criterion("the mean and the spread of z", 0.5)
    def moments() -> str | None:
        z = expect.needed(layer()(means, log_vars, seed=seed), means.shape, "`z`")
        error = (z - means).double()
        got, want = error.std(0), (log_vars[0] / 2).exp().double()
        limit = expect.STANDARD_ERRORS / math.sqrt(count)
        if expect.alike(z, means):
            return "`z` is `mu` itself: there is no randomness in it."
        if float(got.max()) < 1e-5:
            return "Images with the same `mu` and `log_var` all get the same `z`."
        if bool((error.mean(0).abs() > limit * got + 1e-4).any()):
            return "On average `z` is not `mu`."
        if float((got / want - 1).abs().max()) < limit:
            return None
        if float((got / got[:1] - 1).abs().max()) < 2 * limit:
            return "`z` scatters equally, whether `log_var` is small or large."
        seen = ", ".join(
            f"{float(g):.3g} where `log_var` is {float(lv):g}"
            for g, lv in zip(got, log_vars[0], strict=True)
        )
        return f"The standard deviation of `z` around `mu` is {seen}."

    @criterion("fresh normal noise for every entry and every call", 0.5)
    def noise() -> str | None:
        module = layer()
        z = expect.needed(module(means, log_vars, seed=seed), means.shape, "`z`")
        error = (z - means).double()
        scale = error.std(0).clamp_min(1e-12)
        module.eval()
        if expect.alike(module(mu, log_var, seed=seed), mu):
            return "In evaluation mode `z` is `mu`: the layer is to draw in either mode."
        module.train()
        return draws_afresh(
            lambda seed: module(mu, log_var, seed=seed), "`z`"
        ) or expect.standard_normal(error / scale, "the noise in `z`")

    @criterion("gradients to mu and log_var", 0.5)
    def gradient() -> str | None:
        weights = draw.normal(3, 5)
        module = layer()
        found = student.gradients(module.ref, mu, log_var, wrt=(0, 1), cotangent=weights, seed=seed)
        to_mu, to_log_var = found.inputs
        # z = mu + std * noise, and std depends on log_var: whatever the noise was.
        return expect.gradient(to_mu, weights, "`mu`") or expect.gradient(
            to_log_var, weights * (found.output - mu) / 2, "`log_var`", rtol=1e-3, atol=1e-4
        )

    @criterion("the generator decides the draw", 0.25)
    def generator() -> str | None:
        module = layer()
        return uses_generator(
            student,
            lambda seed, generator: module(mu, log_var, generator=generator, seed=seed),
            "`z`",
        ) or sets_no_seed(student, module.ref, mu, log_var, generator=Seed(3))

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        module = layer()
        return works_on_gpu(student, module.ref, mu, log_var, backward=True) or works_on_gpu(
            student, module.ref, mu, log_var, generator=Seed(3)
        )

    yield from (shape, moments, noise, gradient, generator, gpu)


# --- the loss -------------------------------------------------------------------------------


def loss(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The terms of the loss, for each image and in nats."""
    name = "cross_entropy_terms"
    x, x_hat = draw.uniform(3, 2, 4, 7), draw.uniform(3, 2, 4, 7, low=0.03, high=0.97)
    mu, log_var = draw.normal(3, 5, std=1.5), draw.normal(3, 5, std=1.5)
    sizes = {"pixels": 56, "latent dimensions": 5, "images": 3}

    def ask(beta: float | None = None, batch: int = 3, **other: Tensor) -> dict[str, Tensor]:
        given = {"x": x, "x_hat": x_hat, "mu": mu, "log_var": log_var} | other
        arguments = [given[key][:batch] for key in ("x", "x_hat", "mu", "log_var")]
        terms = student.call(name, *arguments, **({} if beta is None else {"beta": beta}))
        if not isinstance(terms, dict) or not {"loss", "nll", "kl"} <= terms.keys():
            raise unfit(
                f'The result is {expect.describe(terms)}, where a dict of "loss", "nll" and "kl" '
                "was expected."
            )
        return terms

    @criterion("a dict of three terms, one number for each image in each", 0.5)
    def shape() -> str | None:
        return expect.first(
            expect.shape(ask(batch=batch)[key], (batch,), f'"{key}"{what}', PER_IMAGE)
            for batch, what in ((3, ""), (1, " for a batch of one"))
            for key in ("nll", "kl", "loss")
        ) or expect.shape(
            ask(x=x.flatten(1), x_hat=x_hat.flatten(1))["nll"],
            (3,),
            '"nll" of images of shape (B, pixels)',
            PER_IMAGE,
        )

    @criterion("the cross-entropy", 0.75)
    def nll() -> str | None:
        want = reference().call(name, x, x_hat, mu, log_var)["nll"]
        got = ask()["nll"]
        problem = expect.close(got, want, '"nll"', sizes=sizes)
        if problem is None:
            return expect.close(ask(beta=3.7)["nll"], want, '"nll", for a beta other than 1,')
        for words, other in _other_cross_entropies(x, x_hat).items():
            if expect.alike(got, other, rtol=1e-3):
                return f'"nll" is {words}.'
        return problem

    @criterion("the divergence, unweighted", 0.5)
    def divergence() -> str | None:
        want = reference().call("gaussian_kl", mu, log_var)
        got = ask()["kl"]
        problem = expect.close(got, want, '"kl"', sizes=sizes)
        if problem is None:
            return expect.close(ask(beta=3.7)["kl"], want, '"kl", for a beta other than 1,')
        return problem

    @criterion("the loss, made of the two with beta", 0.5)
    def total() -> str | None:
        for beta in (None, 0.0, 0.392, 3.7):
            terms = ask(beta)
            for key in ("loss", "nll", "kl"):
                if problem := expect.shape(terms[key], (3,), f'"{key}"', PER_IMAGE):
                    return problem
            weight = 1.0 if beta is None else beta
            if not expect.alike(terms["loss"], terms["nll"] + weight * terms["kl"], atol=1e-3):
                return _explain_loss(ask, beta)
        return None

    @criterion("gradients of the loss", 0.5)
    def gradient() -> str | None:
        weights = draw.uniform(3, low=0.5, high=2.0)
        found = student.gradients(
            name, x, x_hat, mu, log_var, beta=2.5, wrt=(1, 2, 3), cotangent={"loss": weights}
        ).inputs
        right = (
            reference()
            .gradients(
                name, x, x_hat, mu, log_var, beta=2.5, wrt=(1, 2, 3), cotangent={"loss": weights}
            )
            .inputs
        )
        return expect.first(
            expect.gradient(got, want, what, sizes=sizes, rtol=1e-3, atol=1e-4)
            for got, want, what in zip(
                found, right, ("`x_hat`", "`mu`", "`log_var`"), strict=True
            )
        ) or leaves_arguments(student, name, x, x_hat, mu, log_var)  # fmt: skip

    @criterion("a certain decoder costs a finite amount, and much where it is wrong", 0.25)
    def extremes() -> str | None:
        certain = x_hat.round()
        terms = ask(x=1 - certain, x_hat=certain)
        # What a pixel that is certain and wrong costs differs from implementation to
        # implementation: 16 nats in Keras, 100 in PyTorch.
        copy = ask(x=certain, x_hat=certain)["nll"]
        return (
            expect.within(terms["nll"], 5.0, 56 * 1e4, '"nll" of wrong certainty')
            or expect.finite(copy, '"nll" of a perfect copy in black and white')
            or rare(certain)
        )

    def rare(certain: Tensor) -> str | None:
        """What a pixel that is nearly certain costs does not differ: nobody clamps that far."""
        for probability in (0.03, 2e-5):
            nearly = certain.clamp(probability, 1 - probability)
            got = ask(x=1 - certain, x_hat=nearly)["nll"]
            want = reference().call(name, 1 - certain, nearly, mu, log_var)["nll"]
            what = f'"nll" of pixels that were given a probability of {probability:f}'
            if problem := expect.close(got, want, what, rtol=1e-2):
                # One that is wrong in any case is wrong for other reasons, and was told so.
                return problem if probability < 0.01 else None
        return None

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        return works_on_gpu(student, name, x, x_hat, mu, log_var, backward=True)

    yield from (shape, nll, divergence, total, gradient, extremes, gpu)


def _other_cross_entropies(x: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
    def summed(values: Tensor) -> Tensor:
        return values.flatten(1).sum(1)

    right = summed(F.binary_cross_entropy(x_hat, x, reduction="none"))
    return {
        "a squared error": summed((x - x_hat) ** 2),
        "half a squared error": summed((x - x_hat) ** 2) / 2,
        "only the part of the white pixels; black ones count too": summed(-x * x_hat.log()),
        "the log-likelihood: it has the right size and the wrong sign": -right,
    }


def _explain_loss(ask: Callable[..., dict[str, Tensor]], beta: float | None) -> str:
    low, high = ask(0.0), ask(1.0)
    slope, divergence = (high["loss"] - low["loss"]).double(), high["kl"].double()
    where = "At the default beta" if beta is None else f"At beta = {beta:g}"
    problem = f'{where}, "loss" does not fit together with "nll", "kl" and beta.'
    if not bool(slope.any()):
        return f"{problem} It is the same whatever beta is."
    if expect.alike(slope, -divergence, atol=1e-3):
        return f"{problem} A larger divergence makes it smaller."
    if expect.alike(slope, high["nll"].double(), atol=1e-3):
        return f'{problem} It is "nll" that beta multiplies.'
    ratio = float((slope / divergence).median())
    if expect.alike(slope, ratio * divergence, atol=1e-3) and abs(ratio - 1) > 1e-3:
        return f'{problem} When beta grows by 1 it grows by {ratio:.3g} times "kl".'
    return problem


def seed_loss(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The published loss, and the beta that is hidden in it."""
    batches = []
    shapes = [((3, 2, 4, 7), 5), ((4, 1, 6, 5), 2), ((1, 1, 3, 3), 3), ((3, 12), 4)]
    for shape, k in [*shapes, ((2, 5, 3), 1)]:
        x, x_hat = draw.uniform(*shape), draw.uniform(*shape, low=0.05, high=0.95)
        batches.append((x, x_hat, 3 * draw.normal(shape[0], k), draw.normal(shape[0], k)))

    @criterion("the published loss, a single number", 1)
    def published() -> str | None:
        for batch in batches:
            got = student.call("seed_loss", *batch)
            want = reference().call("seed_loss", *batch)
            if problem := expect.shape(got, (), "the loss of a batch", "a single number"):
                return problem
            if expect.alike(got, want, atol=1e-6):
                continue
            x, x_hat, mu, log_var = batch
            cross = F.binary_cross_entropy(x_hat, x)
            swapped = F.binary_cross_entropy(x, x_hat)
            if expect.alike(got, want - cross + swapped, atol=1e-5):
                return "In the cross-entropy `x` and `x_hat` are swapped: the prediction is first."
            alone = student.call("seed_loss", x, x_hat, 0 * mu, 0 * log_var)
            what = "the loss where there is no divergence"
            if problem := expect.number(alone, float(cross), what):
                return problem
            weight = float((got - cross) / (want - cross))
            return f"In the loss the divergence counts {weight:.3g} times as much as it should."
        return leaves_arguments(student, "seed_loss", *batches[0])

    @criterion("the beta that is hidden in it", 0.75)
    def beta() -> str | None:
        for k in (2, 5, 1, draw.integer(6, 20)):
            got, want = student.call("hidden_beta", k), 0.784 / k
            value = expect.as_number(got)
            if value is not None and abs(value / want / k - 1) < 1e-6 and k > 1:
                return (
                    f"For {k} latent dimensions the hidden beta is {k} times the right value: the "
                    "published loss takes a mean over them, the KL is a sum."
                )
            what = f"the hidden beta for {k} latent dimensions"
            if problem := expect.number(got, want, what, rtol=1e-4):
                return problem
        return None

    @criterion("other images and other weights", 0.25)
    def others() -> str | None:
        for _ in range(3):
            k, pixels = draw.integer(1, 9), draw.integer(10, 5000)
            weight = float(draw.uniform(1, low=1e-4, high=1.0))
            got = student.call("hidden_beta", k, pixels, weight)
            want = reference().call("hidden_beta", k, pixels, weight)
            what = f"the hidden beta for {pixels} pixels and a weight of {weight:.3g}"
            if problem := expect.number(got, want, what, rtol=1e-4):
                return problem
        return None

    yield from (published, beta, others)


# --- training -------------------------------------------------------------------------------

TRACKED = '''
import torch


def feed(mean, values):
    """Hand over values that are part of a graph for gradients."""
    weight = torch.ones((), requires_grad=True)
    mean.update_state(values * weight)


def mean_of(mean, values):
    mean.update_state(values)
    mean.update_state(values[:1])
    return mean.result()


def tell(mean, values):
    mean.update_state(values)


def mean_of_what_was(mean, values, later):
    """The tensor of the values is written to when the metric has seen it."""
    mean.update_state(values)
    values.fill_(later)
    return mean.result()


def is_python_number(mean):
    return isinstance(mean.result(), (int, float))


def name_of(mean):
    return mean.name
'''

GRAPHS = '''
import torch


def graph_size(thing):
    """How many steps of computations hang on the tensors that a model or a metric keeps."""
    left, seen, steps = [thing], set(), set()
    while left:
        thing = left.pop()
        if isinstance(thing, torch.Tensor):
            steps.add(thing.grad_fn)
        elif id(thing) in seen:
            continue
        elif isinstance(thing, dict):
            left.extend(thing.values())
        elif isinstance(thing, (list, tuple)):
            left.extend(thing)
        elif isinstance(thing, torch.nn.Module) or hasattr(thing, "update_state"):
            left.extend(vars(thing).values())
        seen.add(id(thing))
    left = list(steps)
    while left:
        step = left.pop()
        new = {before for before, _ in getattr(step, "next_functions", ())} - steps
        steps |= new
        left.extend(new)
    return len(steps - {None})
'''


def tracker(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The mean over an epoch."""
    sizes = [draw.integer(3, 7), 1, draw.integer(8, 12)]
    batches = [
        draw.normal(size, mean=shift) for size, shift in zip(sizes, (5, -40, 1), strict=True)
    ]

    def fresh() -> Ref:
        return student.call("Mean", "loss", keep=True)

    def update(mean: Ref, values: Tensor) -> None:
        student.call((mean, "update_state"), values)

    def result(mean: Ref) -> float:
        value = expect.as_number(student.call((mean, "result")))
        if value is None:
            got = student.call((mean, "result"))
            raise unfit(f"`result()` gives {expect.describe(got)}, where a number was expected.")
        return value

    @criterion("every example counts the same", 0.75)
    def mean() -> str | None:
        metric = fresh()
        for batch in batches:
            update(metric, batch)
        got, want = result(metric), float(torch.cat(batches).mean())
        for words, other in (
            ("is the sum over all examples", lambda parts: torch.cat(parts).sum()),
            ("is the sum of the batches' means", lambda parts: sum(p.mean() for p in parts)),
            ("is the sum over the examples divided by the number of batches", _per_batch),
        ):
            if abs(got - want) > 1e-3 and abs(got - float(other(batches))) < 1e-3:
                return f"The result {words}."
        return (
            expect.number(got, want, "the result", atol=1e-4)
            or expect.number(result(metric), want, "the result, asked for a second time,")
            or zero()
            or lost()
        )

    def zero() -> str | None:
        metric = fresh()
        update(metric, torch.tensor([2.0, -3.0]))
        update(metric, torch.tensor([1.0]))
        return expect.number(result(metric), 0.0, "the result for examples that add up to zero")

    def lost() -> str | None:
        metric = fresh()
        update(metric, torch.tensor([1.0, math.nan, 5.0]))
        if math.isnan(got := result(metric)):
            return None
        return (
            f"One of three examples is nan, and the result is {got:g}. It should be nan, too, so "
            "that a loss that has gone wrong is noticed."
        )

    @criterion("after a reset it starts from nothing", 0.5)
    def reset() -> str | None:
        metric = fresh()
        update(metric, batches[0])
        student.call((metric, "reset_state"))
        update(metric, batches[2])
        want = float(batches[2].mean())
        return expect.number(result(metric), want, "after a reset, the result", atol=1e-4)

    @criterion("a plain number, and no graph kept", 0.5)
    def plain() -> str | None:
        probe = student.define(TRACKED + GRAPHS)
        metric = fresh()
        for batch in batches:
            student.call(probe["feed"], metric, batch)
        value = student.call((metric, "result"))
        if not isinstance(value, int | float):
            return f"`result()` gives {expect.describe(value)}, where a plain number was expected."
        if not student.call(probe["is_python_number"], metric):
            return (
                "`result()` gives a number that is none of Python's own, int or float. Which "
                "library does it come from?"
            )
        if student.call(probe["graph_size"], metric):
            return (
                "The metric keeps tensors that are part of a graph: over an epoch the memory fills "
                "with the graphs of all its batches."
            )
        later = 1e6
        seen = expect.as_number(student.call(probe["mean_of_what_was"], fresh(), batches[0], later))
        if seen is not None and seen > later / 1000:
            return (
                "When the tensor with the values is written to after `update_state`, the result "
                "changes: the metric still holds that very tensor."
            )
        if problem := leaves_arguments(student, probe["tell"], fresh(), batches[0]):
            return problem
        if student.call(probe["name_of"], metric) != "loss":
            return "`name` is not the name that it was given."
        return None

    @criterion("nan where there was nothing", 0.25)
    def nothing() -> str | None:
        metric = fresh()
        first = result(metric)
        update(metric, batches[0])
        student.call((metric, "reset_state"))
        second = result(metric)
        if math.isnan(first) and math.isnan(second):
            return None
        got = second if math.isnan(first) else first
        return f"Of no examples at all the result is {got:g}, where nan was expected."

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        probe = student.define(TRACKED)
        return ends_on_gpu(student, probe["mean_of"], fresh(), batches[0])

    yield from (mean, reset, plain, nothing, gpu)


def _per_batch(batches: list[Tensor]) -> Tensor:
    return torch.cat(batches).sum() / len(batches)


FIT_PROBE = '''
import random

import numpy
import torch
from torch import nn


class Probe(nn.Module):
    """Learns nothing. It notes what is done with it, and its images are their own numbers."""

    def __init__(self, stop_after=None, draws=0):
        super().__init__()
        self.draws = draws
        self.weight = nn.Parameter(torch.zeros(1))
        self.stop_training = True  # as an earlier training left it
        self.stop_after = stop_after
        self.events = []
        self.values = [1e6]  # as an earlier epoch left it
        self.eval()

    @property
    def device(self):
        return self.weight.device

    def reset_metrics(self):
        self.values = []

    def get_metrics_result(self):
        return {"loss": sum(self.values) / max(len(self.values), 1), "count": len(self.values)}

    def train_step(self, batch):
        numbers = (batch.flatten() + self.weight).tolist()  # which must be where the batch is
        for _ in range(self.draws):
            torch.rand(1), numpy.random.rand(), random.random()
        self.events.append(["step", numbers, self.training and torch.is_grad_enabled()])
        self.values += numbers

    def evaluate(self, x, batch_size=250):
        self.events.append(["evaluate", x.flatten().tolist(), True])
        self.values = []
        return {"loss": x.mean().item() + 0.5, "count": len(x)}


class Listener:
    def __init__(self, name):
        self.name = name

    def set_model(self, model):
        self.model = model
        self.note("set_model")

    def note(self, what, logs=None):
        self.model.events.append([f"{self.name}.{what}", dict(logs or {}), True])

    def on_train_begin(self):
        self.note("on_train_begin")

    def on_epoch_end(self, epoch, logs):
        self.note(f"on_epoch_end {epoch}", logs)
        if self.model.stop_after is not None and epoch >= self.model.stop_after:
            self.model.stop_training = True

    def on_train_end(self):
        self.note("on_train_end")


def events_of(model):
    return model.events


def history_of(history):
    return dict(history.history)


def epochs_of(history):
    return list(history.epoch)


def moves_generator(fit, *args):
    """Whether PyTorch's own generator is another one after a training."""
    before = torch.get_rng_state()
    fit(*args)
    return not torch.equal(before, torch.get_rng_state())


def fit_from_the_cpu(fit, model, x, *rest):
    """The model is on its device, and the images are on the CPU, as they are in the notebook."""
    return fit(model, x.detach().cpu(), *rest)


def fit_from_there(fit, model, x, *rest):
    return fit(model, x.detach(), *rest)
'''


def fit(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The training loop, around a model that only takes notes."""
    count, split, batch_size, epochs = 13, 0.32, 4, 3
    num_train = 8
    x = (torch.arange(count) + 1.0).view(count, 1, 1, 1) / 100

    def run(
        *,
        split: float = split,
        order: int = 5,
        stop_after: int | None = None,
        listeners: int = 1,
        seed: int = 0,
        draws: int = 0,
    ) -> tuple[list, Ref]:
        """What the model noted, and the history that came back."""
        probe = student.define(FIT_PROBE)
        model = student.call(probe["Probe"], stop_after, draws, keep=True)
        callbacks = [student.call(probe["Listener"], name, keep=True) for name in "ab"[:listeners]]
        arguments = (model, x, epochs, batch_size, split, callbacks, order, False)
        history = student.call("fit_model", *arguments, seed=seed, keep=True)
        return student.call(probe["events_of"], model), history

    def contents(history: Ref) -> dict[str, list[float]]:
        try:
            return student.call(student.define(FIT_PROBE)["history_of"], history)
        except StudentError:
            raise unfit("What `fit_model` gives back has no `history`.") from None

    def num_epochs(history: Ref) -> set[int]:
        """Of how many epochs it holds numbers: one answer, if all its metrics agree."""
        return {
            len(values) if isinstance(values, list) else 0 for values in contents(history).values()
        }

    def numbers_of(pixels: list[float]) -> list[int]:
        """Which images of x these are, counted from 1."""
        found = []
        for pixel in pixels:
            number = next((n for n in numbers if abs(100 * pixel - n) < 0.01), None)
            if number is None:
                raise unfit(
                    f"The model is given an image that is not in `x`: a pixel of {pixel:g}."
                )
            found.append(number)
        return found

    def steps(events: list) -> list[list[int]]:
        found = [numbers_of(event[1]) for event in events if event[0] == "step"]
        if not found:
            raise unfit("`train_step` is never called.")
        return found

    def by_epoch(events: list) -> list[list[list[float]]]:
        """The batches of each epoch; an epoch ends with a callback's `on_epoch_end`."""
        found, now = [], []
        for kind, value, _ in events:
            if kind == "step":
                now.append(value)
            elif kind.startswith("a.on_epoch_end"):
                found.append(now)
                now = []
        return found

    numbers = list(range(1, count + 1))
    trained, held_out = numbers[:num_train], numbers[num_train:]

    @criterion("the last part is held out, and never trained on", 1)
    def held() -> str | None:
        events, _ = run()
        seen = {number for batch in steps(events) for number in batch}
        evaluated = [event[1] for event in events if event[0] == "evaluate"]
        if len(seen) != num_train:
            return (
                f"Of {count} images, with a validation_split of {split}, it trains on {len(seen)}."
            )
        if seen == set(numbers[count - num_train :]):
            return "The FIRST part is held out: as in Keras, it is to be the last one."
        if seen != set(trained):
            return "The images held out are not the last ones."
        if not evaluated:
            return "The validation images are never evaluated."
        for part in evaluated:
            if sorted(numbers_of(part)) != held_out:
                return "Other images are evaluated than those that were held out."
        if len(evaluated) != epochs:
            return f"In {epochs} epochs the validation images are evaluated {len(evaluated)} times."
        return None

    @criterion("each epoch sees every training image once, in a new order, in the mode to train", 1)
    def order() -> str | None:
        events, _ = run(split=0.0)
        found = steps(events)
        if not all(event[2] for event in events if event[0] == "step"):
            return "While it is trained the model is in evaluation mode, or without gradients."
        sizes = [len(batch) for batch in found]
        per_epoch = [4, 4, 4, 1]
        if sizes != per_epoch * epochs:
            shown = ", ".join(map(str, sizes[:6]))
            return (
                f"{count} images in batches of 4, {epochs} times, come as batches of {shown}, ..."
            )
        orders = [
            [number for batch in found[i : i + 4] for number in batch]
            for i in range(0, len(found), 4)
        ]  # fmt: skip
        for one in orders:
            if sorted(one) != numbers:
                return "An epoch does not see every image once."
        if orders[0] == sorted(orders[0]) and orders[1] == orders[0]:
            return "The images are never shuffled."
        if orders[0] == orders[1] == orders[2]:
            return "Every epoch has the same order of images."
        again = steps(run(split=0.0, seed=1)[0])
        other = steps(run(split=0.0, order=6)[0])
        if again != found:
            return "With the same seed the order of the images differs from run to run."
        if steps(run(split=0.0, draws=5)[0]) != found:
            return (
                "With the same seed a model that draws random numbers itself gets other orders: "
                "they are to come from a generator of their own."
            )
        if other == found:
            return "With another seed the order of the images is the same."
        return alone()

    def alone() -> str | None:
        """What is none of its business is left as it was: the generator, and x."""
        probe = student.define(FIT_PROBE)
        moves, fit = probe["moves_generator"], student.ref("fit_model")
        arguments = (student.call(probe["Probe"], keep=True), x, 2, batch_size, 0.0, (), 5, False)
        if student.call(moves, fit, *arguments):
            return (
                "After a training PyTorch's own generator is not where it was: something set it, "
                "or drew from it."
            )
        return leaves_arguments(student, "fit_model", *arguments)

    @criterion("the history: every epoch's own metrics, with val_ for the validation's", 1)
    def history() -> str | None:
        _, kept = run()
        found = contents(kept)
        want = {"loss", "count", "val_loss", "val_count"}
        if not isinstance(found, dict) or set(found) != want:
            return (
                f"The history has {expect.describe(found)}; of metrics called loss and count, "
                "loss, count, val_loss and val_count were expected."
            )
        for name, values in found.items():
            if not isinstance(values, list) or len(values) != epochs:
                return f"After {epochs} epochs the history's {name!r} is {expect.describe(values)}."
        if found["count"] != [num_train] * epochs:
            return f"The metrics of an epoch are of {found['count']} images, not of {num_train}."
        for name, part in (("loss", trained), ("val_loss", held_out)):
            want_value = sum(part) / len(part) / 100 + (0.5 if name == "val_loss" else 0.0)
            for value in found[name]:
                if problem := expect.number(value, want_value, f"the history's {name!r}"):
                    return problem
        without = contents(run(split=0.0)[1])
        if any(name.startswith("val_") for name in without):
            return "Without a validation_split there are still val_ metrics in the history."
        if without["count"] != [count] * epochs:
            return (
                f"Without a validation_split the metrics of an epoch are of {without['count']} "
                f"images, not of {count}."
            )
        recorded = student.call(student.define(FIT_PROBE)["epochs_of"], kept)
        if recorded != list(range(epochs)):
            return f"The history's `epoch` is {recorded}: epochs are counted from 0."
        return None

    @criterion("callbacks are told, and can end the training", 1)
    def callbacks() -> str | None:
        events, whole = run(listeners=2)
        told = [event[0] for event in events if event[0][:2] in ("a.", "b.")]
        first = [name[2:] for name in told if name.startswith("a.")]
        second = [name[2:] for name in told if name.startswith("b.")]
        want = ["set_model", "on_train_begin"]
        want += [f"on_epoch_end {epoch}" for epoch in range(epochs)] + ["on_train_end"]
        if first != want or second != want:
            got = first if first != want else second
            return f"A callback was told {', '.join(got) or 'nothing'}."
        logs = [event[1] for event in events if event[0].startswith("a.on_epoch_end")]
        if any(set(log) != {"loss", "count", "val_loss", "val_count"} for log in logs):
            return (
                f"A callback is told the metrics {sorted(logs[0])} after an epoch: those of "
                "training and of validation were expected."
            )
        if any(not part for part in by_epoch(events)):
            return "`on_epoch_end` is called before the epoch is over."
        stopped, kept = run(stop_after=1, listeners=2)
        ends = sum(event[0].startswith("a.on_epoch_end") for event in stopped)
        if ends != 2:
            return (
                f"A callback asked to stop after the second epoch, and there were {ends} epochs. "
                "(Is `stop_training` set to False at the start?)"
            )
        if num_epochs(whole) == {epochs} and num_epochs(kept) != {2}:
            return (
                "A callback asked to stop after the second epoch, and the history does not hold "
                "two epochs."
            )
        if stopped[-1][0] != "b.on_train_end":
            return "`on_train_end` is not called when a callback has ended the training."
        if sum(event[0].startswith("b.on_epoch_end") for event in stopped) != 2:
            return (
                "The first of two callbacks asked to stop, and the second was not told of that "
                "epoch: training stops after the epoch, when all were told."
            )
        return None

    @criterion("on a GPU, too", 0.5)
    def gpu() -> str | None:
        probe = student.define(FIT_PROBE)
        model, fit = student.call(probe["Probe"], keep=True), student.ref("fit_model")
        rest = (model, x, 2, batch_size, split, (), 0, False)
        return expect.first(
            ends_on_gpu(student, probe[name], fit, *rest)
            for name in ("fit_from_the_cpu", "fit_from_there")
        )

    yield from (held, order, history, callbacks, gpu)


ATTRIBUTES = """
def attribute(thing, name):
    return getattr(thing, name, None)
"""


def model(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The whole VAE with its steps."""
    seed = draw.seed()
    images = draw.uniform(6, *SHAPE)

    def build(latent_dim: int = 3, beta: float = 2.5, shape: tuple[int, ...] = SHAPE) -> Module:
        return Module.build(student, "KerasVAE", latent_dim, beta, shape, seed=seed)

    def compiled(rate: float = 0.01) -> Module:
        vae = build()
        vae.call("compile", vae.optimizer("SGD", lr=rate))
        return vae

    def terms_of(vae: Module, batch: Tensor, seed: int) -> dict[str, Tensor]:
        terms = student.call("keras_terms", vae.ref, batch, seed=seed)
        if not isinstance(terms, dict) or not {"loss", "nll", "kl"} <= terms.keys():
            raise unfit(f"`keras_terms` gives {expect.describe(terms)} with this model.")
        return {
            name: expect.needed(terms[name], (len(batch),), f"of `keras_terms`, {name!r}")
            for name in ("loss", "nll", "kl")
        }

    @criterion("its size, and what it remembers", 0.5)
    def size() -> str | None:
        attribute = student.define(ATTRIBUTES)["attribute"]
        for arguments in ((2,), (5, 1.0)):
            right = Module.build(reference(), "KerasVAE", *arguments).size()
            mine = Module.build(student, "KerasVAE", *arguments, seed=seed)
            if problem := has_size(mine, right, f"a VAE of {arguments[0]} latents"):
                return problem
        vae = build(3, 2.5)
        for name, want in (("latent_dim", 3), ("beta", 2.5), ("image_shape", list(SHAPE))):
            got = student.call(attribute, vae.ref, name)
            got = list(got) if isinstance(got, tuple | list) else got
            if got != want:
                return f"Built with {name} = {want}, it has {name} = {got}."
        ratio = _beta_of(terms_of(build(7, 2.5), images, 1))
        if abs(ratio - 2.5) > 0.1:
            return f"With 7 latent dimensions and beta = 2.5, the KL counts {ratio:.3g} times."
        return None

    @criterion("forward: the decoder's image of a draw from the posterior", 0.75)
    def forward() -> str | None:
        vae = build()

        def drawn(seed: int) -> Tensor:
            got = vae(images, seed=seed)
            return got[0] if isinstance(got, tuple | list) else got

        for training, where in ((True, "`x_hat`"), (False, "in evaluation mode `x_hat`")):
            vae.train(training)
            if problem := draws_afresh(drawn, where):
                return problem
        vae.train()
        for batch in (6, 1):
            x = images[:batch]
            got = vae(x, generator=Seed(7), seed=1)
            if not isinstance(got, tuple | list) or len(got) != 3:
                return (
                    f"A forward pass gives {expect.describe(got)}, where `(x_hat, mu, log_var)` "
                    "was expected."
                )
            mu, log_var = vae.call("encoder", x)
            for part, want, name in ((got[1], mu, "`mu`"), (got[2], log_var, "`log_var`")):
                if problem := expect.close(part, want, f"{name} of a forward pass"):
                    return problem
            if problem := expect.shape(got[0], x.shape, "`x_hat` of a forward pass"):
                return problem
            layer = Module.build(student, "Sampling")
            z = layer(mu, log_var, generator=Seed(7), seed=1)
            if not expect.alike(got[0], vae.call("decoder", z)):
                swapped = layer(log_var, mu, generator=Seed(7), seed=1)
                if expect.alike(got[0], vae.call("decoder", swapped)):
                    return "The sampling layer gets `log_var` and `mu` in the wrong order."
                return (
                    "`x_hat` is not the decoder's image of what `Sampling` draws with the same "
                    "generator. Is the generator handed on?"
                )
        return (
            _learns(vae, images, draw)
            or leaves_arguments(student, vae.ref, images)
            or sets_no_seed(student, "KerasVAE", 3, 2.5, SHAPE)
        )

    @criterion("train_step: one step of the optimiser, down the mean loss", 1.25)
    def training() -> str | None:
        rate = 0.01
        vae = compiled(rate)
        batches = [images[:4], images[4:]]
        for number, batch in enumerate(batches):
            before = vae.parameters()
            weights = torch.full((len(batch),), 1 / len(batch))
            wanted = student.gradients(
                "keras_terms", vae.ref, batch, of=vae.ref, cotangent={"loss": weights}, seed=number
            ).parameters
            vae.call("train_step", batch, seed=number)
            after = vae.parameters()
            moved = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])
            right = -rate * torch.cat(
                [
                    (torch.zeros_like(p) if g is None else g).flatten()
                    for g, p in zip(wanted, before, strict=True)
                ]
            )
            if expect.alike(moved, right, rtol=1e-2, atol=2e-6):
                continue
            if not bool(moved.any()):
                return "After `train_step` the weights are what they were: no step was taken."
            ratio = float((moved @ right) / (right @ right))
            # Weights are float32: what is far smaller than they are drowns in rounding.
            if expect.alike(moved, ratio * right, rtol=1e-2, atol=1e-5 * max(1, abs(ratio))):
                if abs(ratio + 1) < 0.02:
                    return "`train_step` goes up the loss, not down."
                return (
                    f"On a batch of {len(batch)} the step is {ratio:.3g} times as long as one of "
                    "the mean loss."
                )
            if number:
                return "The first step is right, and the second is not that of its own batch."
            return 'The step is not down the gradient of the mean of "loss" over the batch.'
        return None

    @criterion("test_step: nothing is learnt", 0.5)
    def testing() -> str | None:
        vae = compiled()
        before = vae.state()
        vae.call("test_step", images)
        return expect.same(vae.state(), before, "`test_step` changes the weights.")

    @criterion("the metrics: loss, nll and kl over all the images of both kinds of step", 0.5)
    def metrics() -> str | None:
        for kind in ("test_step", "train_step"):
            vae = compiled(rate=0.0)
            # So that images differ more; a whole number is no weight.
            vae.load_state([2 * t if t.is_floating_point() else t for t in vae.state()])
            vae.call("reset_metrics")
            parts = []
            for number, batch in enumerate((images[:5], images[5:])):
                vae.call(kind, batch, seed=number)
                parts.append(terms_of(vae, batch, number))
            got = vae.call("get_metrics_result")
            if not isinstance(got, dict) or set(got) != {"loss", "nll", "kl"}:
                return (
                    f"After a `{kind}` the metrics are {expect.describe(got)}: loss, nll and kl "
                    "were expected."
                )
            for name in ("loss", "nll", "kl"):
                want = float(torch.cat([part[name] for part in parts]).mean())
                value = expect.as_number(got[name])
                if value is not None and math.isnan(value):
                    return f"A `{kind}` does not update the metric {name!r}."
                what = f"after a `{kind}` of 5 images and one of 1, the metric {name!r}"
                if problem := expect.number(got[name], want, what, rtol=1e-3):
                    last = float(parts[-1][name].mean())
                    if value is not None and abs(value - last) < 1e-4 * abs(last) + 1e-6:
                        return f"After two calls of `{kind}` the metric {name!r} knows one only."
                    return problem
        return None

    @criterion("predict_step: the reconstruction from the mean", 0.5)
    def predict() -> str | None:
        vae = build()
        vae.eval()
        got = vae.call("predict_step", images, seed=1)
        if problem := expect.shape(got, images.shape, "what `predict_step` gives"):
            return problem
        if expect.alike(got, images):
            return "`predict_step` hands back its input."
        return expect.same(
            got,
            vae.call("predict_step", images, seed=2),
            "`predict_step` gives something else at each call: something in it is random.",
        ) or expect.same(
            got,
            vae.call("decoder", vae.call("encoder", images)[0]),
            "`predict_step` does not give the decoder's image of the posterior mean.",
        )

    @criterion("no graph after another is kept, and the model stays in its mode", 0.25)
    def traces() -> str | None:
        graph_size = student.define(GRAPHS)["graph_size"]
        vae = compiled()
        vae.train()
        sizes = []
        for _ in range(2):
            vae.call("train_step", images, keep=True)
            sizes.append(student.call(graph_size, vae.ref))
        if set(vae.modes()) != {True}:
            return "After a `train_step` the model is not in training mode any more."
        if sizes[1] > sizes[0]:
            return (
                "With every `train_step` the model holds on to one more graph for gradients, so "
                "that over an epoch the memory fills."
            )
        return expect.first(
            keeps_modes(vae, functools.partial(vae.call, kind, images), f"`{kind}`")
            for kind in ("test_step", "predict_step")
        )

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        vae = compiled()
        return works_on_gpu(
            student, vae.ref, images, generator=Seed(1), backward=True
        ) or expect.first(
            ends_on_gpu(student, (vae.ref, kind), images) for kind in ("train_step", "test_step")
        )

    yield from (size, forward, training, testing, metrics, predict, traces, gpu)


def _learns(vae: Module, images: Tensor, draw: Draw) -> str | None:
    """Gradients pass from `x_hat` to all weights, and from mu and log_var as in the encoder."""
    weights = [draw.normal(*part.shape) for part in vae.call("encoder", images)]
    ones = torch.ones(images.shape)
    if problem := reaches_every_parameter(vae, images, cotangent=[ones, None, None]):
        return f"Of `x_hat`: {problem}"
    found = vae.gradients(images, cotangent=[None, *weights]).parameters
    right = vae.student.gradients(
        (vae.ref, "encoder"), images, of=vae.ref, cotangent=weights
    ).parameters
    for got, want in zip(found, right, strict=True):
        if want is not None and (got is None or not expect.alike(got, want, rtol=1e-3, atol=1e-4)):
            return (
                "The gradients that reach the encoder through the `mu` and `log_var` of a forward "
                "pass are not those of the encoder's own outputs, so the divergence does not train "
                "it as it should. Does `forward` return the two unchanged?"
            )
    return None


def _beta_of(terms: dict[str, Tensor]) -> float:
    return float(((terms["loss"] - terms["nll"]).sum() / terms["kl"].sum()).double())


STOPPED = """
import torch
from torch import nn


class Dummy(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.stop_training = False


def stopped(model):
    return bool(model.stop_training)


def stop(model):
    model.stop_training = True
"""


def early_stopping(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Stopping at the right time, with the right weights."""

    def callback(patience: int, **settings: str) -> Ref:
        return student.call("EarlyStopping", patience=patience, keep=True, **settings)

    def run(
        held_out: list[float],
        patience: int,
        training: list[float] | None = None,
        again: Ref | None = None,
        other: list[float] | None = None,
        stopped_by_another: int | None = None,
    ) -> tuple[int, float]:
        """How many epochs there were, and the number of the epoch whose weights are left.

        Args:
            held_out: the validation loss of each epoch.
            patience: of a new callback.
            training: the training loss of each epoch; falling where nothing is said.
            again: the callback, if it is not to be a new one.
            other: a metric called "other"; as the validation loss where nothing is said.
            stopped_by_another: the epoch after which another callback, which is told before
                this one, asks to stop.
        """
        probe = student.define(STOPPED)
        stopper = again or callback(patience)
        dummy = Module.build(student, probe["Dummy"])
        dummy.load_state([torch.full((2,), -1.0)])
        student.call((stopper, "set_model"), dummy.ref)
        student.call((stopper, "on_train_begin"))
        training = training or [10.0 - epoch for epoch in range(len(held_out))]
        done = 0
        for epoch, (loss, value) in enumerate(zip(training, held_out, strict=True)):
            dummy.load_state([torch.full((2,), float(epoch))])
            done = epoch + 1
            if epoch == stopped_by_another:
                student.call(probe["stop"], dummy.ref)
            logs = {"loss": loss, "val_loss": value, "other": (other or held_out)[epoch]}
            student.call((stopper, "on_epoch_end"), epoch, logs)
            if student.call(probe["stopped"], dummy.ref):
                break
        student.call((stopper, "on_train_end"))
        return done, float(dummy.state()[0][0])

    @criterion("it watches the validation loss", 0.5)
    def watches() -> str | None:
        rising = [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
        done, _ = run(rising, patience=1)
        if done == 6:
            return (
                "The validation loss rises from the start, the training loss falls, and training "
                "is not ended."
            )
        watcher = callback(1, monitor="other")
        done, _ = run(rising[::-1], patience=1, again=watcher, other=rising)
        if done == 6:
            return (
                "`monitor` names another metric, which rises from the start while the validation "
                "loss falls, and training is not ended. Which entry of `logs` is looked at?"
            )
        return None

    @criterion("patience: so many epochs in a row without improvement end it, as in Keras", 0.5)
    def patience() -> str | None:
        falling = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]
        for values, patience, want in (
            (falling, 0, 7),
            ([5.0, 4.0, 6.0, 3.0, 2.0], 0, 3),
            ([5.0, 4.0, 6.0, 3.0, 2.0], 1, 3),
            ([5.0, 4.0, 6.0, 7.0, 3.0], 2, 4),
            ([5.0, 5.0, 5.0, 5.0], 2, 3),
            ([5.0, math.nan, math.nan, math.nan], 2, 3),
            ([1.0, 0.0, -1.0, -2.0], 1, 4),
            ([0.5003, 0.5002, 0.5001, 0.5], 1, 4),
        ):
            done, _ = run(values, patience, values)
            if done != want:
                listed = ", ".join(f"{value:g}" for value in values)
                return (
                    f"With a patience of {patience} and the losses {listed}, there were {done} "
                    f"epochs, where Keras makes {want}."
                )
        values = [5.0, 6.0, 4.0, 6.0, 3.0, 6.0, 2.0]
        done, _ = run(values, 2, values)
        if done != 7:
            return "Bad epochs that do not follow one another end the training."
        for values in (falling, [9.0, 10.0, 8.0, 7.0]):
            done, _ = run(values, 2, values, stopped_by_another=1)
            if done != 2:
                return (
                    "Another callback has set `stop_training` to True, and after this one's "
                    "`on_epoch_end` training goes on. Should this callback ever set it to False?"
                )
        return None

    @criterion("the weights of the best epoch come back", 0.75)
    def restores() -> str | None:
        for values, patience, best, stopped_by_another in (
            ([5.0, 3.0, 4.0, 6.0, 7.0], 2, 1, None),
            ([5.0, 3.0, 2.0, 6.0], 3, 2, None),
            ([5.0, 3.0, 6.0, 4.0, 7.0], 4, 1, None),
            ([5.0, 4.0, 3.0], 0, 2, None),
            ([math.nan, math.nan], 5, 1, None),
            ([1.0, 0.0, -2.0, -1.0], 5, 2, None),
            ([5.0, 3.0, 4.0, 2.0], 5, 1, 2),
        ):
            done, left = run(values, patience, values, stopped_by_another=stopped_by_another)
            if stopped_by_another is not None and done > stopped_by_another + 1:
                continue  # its wish was taken back, which is a fault of another kind
            if left != best:
                listed = ", ".join(f"{value:g}" for value in values[:done])
                if left == done - 1:
                    return (
                        f"After epochs with the losses {listed} the model has the weights of the "
                        "last one, not of the best."
                    )
                if left == -1:
                    return "The model is left with the weights it had before training."
                return (
                    f"After epochs with the losses {listed} the model has the weights of epoch "
                    f"{left:g}, counted from 0."
                )
        return None

    @criterion("a second training starts afresh", 0.25)
    def again() -> str | None:
        stopper = callback(0)
        run([1.0, 2.0], 0, [1.0, 2.0], again=stopper)
        done, left = run([9.0, 8.0, 7.0, 8.5], 0, [9.0, 8.0, 7.0, 8.5], again=stopper)
        if (done, left) == (4, 2.0):
            patient, lost = callback(5), [math.nan] * 3
            run([1.0, 2.0], 5, [1.0, 2.0], again=patient)
            done, left = run(lost, 5, lost, again=patient)
            if (done, left) == (3, 2.0):
                return counts_afresh()
            return (
                "After a second training whose losses are all nan, the model has the weights of "
                f"epoch {left:g} of the FIRST one, and not its own last ones."
            )
        return (
            f"Of a second training of four epochs there were {done}, and the weights left are "
            f"those of epoch {left:g}, counted from 0, where its third was the best."
        )

    def counts_afresh() -> str | None:
        """A first training leaves a bad epoch behind, and a second begins with two more."""
        stopper, lost = callback(3), [math.nan, math.nan, 5.0, 4.0]
        run([1.0, 2.0], 3, [1.0, 2.0], again=stopper)
        done, _ = run(lost, 3, lost, again=stopper)
        if done == run(lost, 3, lost)[0]:
            return None
        return (
            f"With a patience of 3, a second training that begins with two bad epochs is ended "
            f"after {done}. Has everything from the first training been forgotten when the second "
            "begins?"
        )

    yield from (watches, patience, restores, again)


# --- the map --------------------------------------------------------------------------------

ON_ITS_DEVICE = """
def call(function, values):
    return function(values.detach())  # as they are in the notebook
"""


def manifold(student: Student, draw: Draw) -> Iterator[Criterion]:
    """A map of the latent plane."""

    def values(num: int, *tail: float) -> Tensor:
        got = student.call("quantile_codes", num, *tail)
        return expect.needed(got, (num,), "what `quantile_codes` gives")

    @criterion("quantile_codes: cuts of equal probability", 0.75)
    def quantiles() -> str | None:
        for num, tail in (
            *((20, 0.01), (7, 0.2), (draw.integer(4, 30), 0.05)),
            *((2, 0.1), (draw.integer(4, 30), 2e-4)),
        ):
            got = values(num) if tail == 0.01 else values(num, tail)
            shares = torch.special.ndtr(got.double())
            want = torch.linspace(tail, 1 - tail, num).double()
            beyond = torch.stack([shares[0], torch.special.ndtr(-got.double()[-1])])
            # In single precision 1 - tail is right to 6e-8, which is 0.03 % of the least tail.
            if expect.alike(shares, want, atol=1e-3) and expect.alike(
                beyond, torch.full_like(beyond, tail), rtol=2e-2
            ):
                continue
            if num > 2 and expect.alike(got.diff(), got.diff()[:1].expand(num - 1), atol=1e-4):
                return "The values are evenly spaced themselves."
            if expect.alike(shares.flip(0), want, atol=1e-3):
                return "The values fall from the first to the last: they should rise."
            return (
                f"Of {num} values with a tail of {tail:g}, the prior has {float(shares[0]):.3g} "
                f"below the first and {1 - float(shares[-1]):.3g} above the last, and between "
                f"neighbours from {float(shares.diff().min()):.3g} to "
                f"{float(shares.diff().max()):.3g}."
            )
        return None

    @criterion("finite at both ends", 0.25)
    def ends() -> str | None:
        return expect.finite(student.call("quantile_codes", 9), "a value of `quantile_codes`")

    @criterion("manifold_codes: rows from the top, columns to the right", 1)
    def codes() -> str | None:
        for size in (3, 5):
            line = draw.uniform(size, low=0.1, high=1.0).cumsum(0) - 1
            got = student.call("manifold_codes", line)
            what = f"what `manifold_codes` gives for {size} values"
            if problem := expect.shape(got, (size * size, 2), what, "a code for each picture"):
                return problem
            right = reference().call("manifold_codes", line)
            grid = right.view(size, size, 2)
            for words, other in (
                ("Columns are filled first, where rows should be", grid.transpose(0, 1)),
                ("The map is mirrored: the first dimension should rise to the right", grid.flip(1)),
            ):
                if expect.alike(got, other.reshape(-1, 2)):
                    return f"{words}."
            if problem := expect.close(got, right, what):
                return problem
        return leaves_arguments(student, "manifold_codes", line)

    @criterion("on a GPU, too", 0.25)
    def gpu() -> str | None:
        probe = student.define(ON_ITS_DEVICE)
        return works_on_gpu(
            student, probe["call"], student.ref("manifold_codes"), torch.linspace(-1, 1, 3)
        )

    yield from (quantiles, ends, codes, gpu)
