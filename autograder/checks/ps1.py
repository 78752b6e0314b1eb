"""ps1, the autoencoder: what each exercise must show."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from autograder import expect
from autograder.checks import reference
from autograder.checks.common import (
    FIT,
    LATENTS,
    TINY,
    Convergence,
    converged,
    describe_loop,
    draws_afresh,
    ends_on_gpu,
    has_size,
    is_nonlinear,
    is_raw,
    judges_rows_apart,
    keeps_modes,
    leaves_arguments,
    leaves_gradients,
    lines,
    reaches_every_parameter,
    reconstructs,
    sets_no_seed,
    spans_black_to_white,
    uses_generator,
    works_on_gpu,
)
from autograder.criterion import Criterion, criterion
from autograder.draw import Draw
from autograder.student import Loader, Module, Ref, Seed, Student, StudentError, unfit

PER_IMAGE = "one number for each image"
ON_GPU = "on a GPU, too"


def conv_size(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Both size functions, against the maps that PyTorch's own layers make."""
    cases = [
        (28, 4, 2, 1),
        (7, 3, 2, 0),
        (3, 5, 1, 1),  # the kernel fits only with its padding
        *(
            (draw.integer(9, 40), draw.integer(2, 5), stride, padding)
            for stride in (1, 2, 3)
            for padding in (0, 1, 2)
        ),
    ]

    @criterion("sizes after a convolution")
    def convolution() -> str | None:
        return _sizes(student, "conv_output_size", nn.Conv2d, cases)

    @criterion("sizes after a transposed convolution")
    def transposed() -> str | None:
        return _sizes(student, "conv_transpose_output_size", nn.ConvTranspose2d, cases)

    yield convolution
    yield transposed


def encoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From images to vectors."""
    seed = draw.seed()
    images = draw.images(5)
    noise = draw.normal(7, 1, 28, 28)

    def build(num_outputs: int) -> Module:
        return Module.build(student, "Encoder", num_outputs, seed=seed)

    @criterion("one vector for each image, and no image disturbs another", 3)
    def shape() -> str | None:
        module = build(7)
        module.train()
        problem = expect.shape(module(images), (5, 7), "the encoder's output for 5 images")
        module.eval()
        return (
            problem
            or judges_rows_apart(module, images, "the encoder's output")
            or _changes_nothing_else(student, "Encoder", 7, images)
        )

    @criterion("the number of parameters", 4)
    def size() -> str | None:
        return expect.first(
            has_size(build(k), _reference_size("Encoder", k), f"an encoder of {k} outputs")
            for k in (64, 11)
        )

    @criterion("gradients reach every parameter", 2)
    def gradients() -> str | None:
        return reaches_every_parameter(build(7), images)

    @criterion("nonlinear inside, and nothing after the last layer", 3)
    def outputs() -> str | None:
        module = build(16)
        module.eval()

        def ask(x: Tensor) -> Tensor:
            return expect.needed(module(x), (len(x), 16), "the encoder's output")

        return (
            is_nonlinear(ask, noise, noise.flip(0), "the encoder")
            or is_raw(ask, noise, "the encoder's output")
            or _follows_table(build(7), "Encoder", 1e3 * noise)
        )

    @criterion(ON_GPU, 0.5)
    def device() -> str | None:
        module = build(7)
        return expect.shape(
            module(images), (5, 7), "the encoder's output for 5 images"
        ) or works_on_gpu(student, module.ref, images, backward=True)

    yield from (shape, size, gradients, outputs, device)


def decoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """From codes to images."""
    seed = draw.seed()
    codes = draw.normal(5, 7)

    def build(latent_dim: int) -> Module:
        return Module.build(student, "Decoder", latent_dim, seed=seed)

    @criterion("one image for each code, and no code disturbs another", 3)
    def shape() -> str | None:
        module = build(7)
        module.train()
        problem = expect.shape(module(codes), (5, 1, 28, 28), "the decoder's output for 5 codes")
        module.eval()
        return (
            problem
            or judges_rows_apart(module, codes, "the decoder's output")
            or _changes_nothing_else(student, "Decoder", 7, codes)
        )

    @criterion("the number of parameters", 4)
    def size() -> str | None:
        return expect.first(
            has_size(build(k), _reference_size("Decoder", k), f"a decoder of {k} latents")
            for k in (64, 11)
        )

    @criterion("gradients reach every parameter", 2)
    def gradients() -> str | None:
        return reaches_every_parameter(build(7), codes) or _reaches_codes(build(7), codes)

    @criterion("pixels between 0 and 1, and all of that range", 3)
    def pixels() -> str | None:
        module = build(7)
        module.eval()

        def ask(z: Tensor) -> Tensor:
            return expect.needed(module(z), (len(z), 1, 28, 28), "the decoder's output")

        # For codes far from zero nearly every pixel is nearly black or white.
        far = ask(1e5 * draw.normal(40, 7))
        near = torch.cat([ask(20 * line) for line in lines(draw.normal(6, 7))], dim=1)
        return (
            expect.within(far, 0.0, 1.0, "a pixel", "What keeps pixels between 0 and 1?")
            or spans_black_to_white(far)
            or _is_undistorted(near)
            or is_nonlinear(lambda z: torch.logit(ask(z)), codes, codes.flip(0), "the decoder")
            or _follows_table(build(7), "Decoder", 3 * codes, torch.logit)
        )

    @criterion(ON_GPU, 0.5)
    def device() -> str | None:
        module = build(7)
        return expect.shape(
            module(codes), (5, 1, 28, 28), "the decoder's output for 5 codes"
        ) or works_on_gpu(student, module.ref, codes, backward=True)

    yield from (shape, size, gradients, pixels, device)


BOTH_PASSES = """
def both_passes(model, x):
    model.reconstruct(x)
    return model(x)
"""


def autoencoder(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Encoder and decoder put together."""
    seed = draw.seed()
    images = draw.images(6)

    def build() -> Module:
        return Module.build(student, "AutoEncoder", 9, seed=seed)

    @criterion("encode, decode, and forward as one after the other", 4)
    def forward() -> str | None:
        model = build()
        for training in (False, True):
            model.train(training)
            codes = model.call("encode", images)
            if problem := expect.shape(codes, (6, 9), "what `encode` gives for 6 images"):
                return problem
            x_hat = model.call("decode", codes)
            if problem := expect.shape(
                x_hat, images.shape, "what `decode` gives for 6 codes"
            ) or expect.same(
                model(images),
                x_hat,
                "A forward pass gives something else than `decode` of what `encode` gives.",
            ):
                return problem
        return has_size(
            model, _reference_size("AutoEncoder", 9), "an autoencoder of 9 latents"
        ) or (
            keeps_modes(model, lambda: model(images), "a forward pass")
            or _whole_changes_nothing_else(student, 9, images)
        )

    @criterion("reconstruct: evaluation mode, no gradients, the mode restored", 3)
    def reconstruct() -> str | None:
        model = build()
        return (
            reconstructs(model, images, lambda: model.call("decode", model.call("encode", images)))
            or leaves_gradients(student, (model.ref, "reconstruct"), images, model=model)
            or _keeps_no_pictures(model, images)
            or _reconstructs_without_seed(student, 9, images)
        )

    @criterion("it can learn a few images by heart", 3)
    def learns() -> str | None:
        return converged(student, LEARNT, draw) or reaches_every_parameter(build(), images)

    @criterion(ON_GPU, 0.5)
    def device() -> str | None:
        # Where a reconstruction is, which is to look at, nobody says.
        forward_too = student.define(BOTH_PASSES)["both_passes"]
        model = build()
        return expect.shape(
            model(images), images.shape, "what a forward pass gives for 6 images"
        ) or works_on_gpu(student, forward_too, model.ref, images, backward=True)

    # What takes long comes last: a known mistake that differs before it need not be put through it.
    yield from (forward, reconstruct, device, learns)


def squared_error(student: Student, draw: Draw) -> Iterator[Criterion]:
    """The distance of each image from its reconstruction."""
    name = "squared_error"
    x_hat, x = draw.normal(3, 2, 5, 7, std=1.5), draw.normal(3, 2, 5, 7)
    weights = draw.uniform(3, low=0.5, high=2.0)
    sizes = {"pixels in an image": 70, "images in the batch": 3}

    @criterion("one number for each image", 1)
    def shape() -> str | None:
        return expect.first(
            expect.shape(student.call(name, x_hat[:batch], x[:batch]), (batch,), what, PER_IMAGE)
            for batch, what in ((3, "the error"), (1, "the error for a batch of one"))
        )

    @criterion("the value", 2)
    def value() -> str | None:
        flat = draw.normal(4, 6), draw.normal(4, 6)
        return expect.close(
            student.call(name, x_hat, x),
            reference().call(name, x_hat, x),
            "the error",
            sizes=sizes,
            meaning=PER_IMAGE,
        ) or expect.close(
            student.call(name, *flat),
            reference().call(name, *flat),
            "the error of vectors, of shape (4, 6),",
            meaning=PER_IMAGE,
        )

    @criterion("its gradient", 1)
    def gradient() -> str | None:
        ask = {"wrt": (0,), "cotangent": weights}
        partly_right = torch.cat([x[:1], x_hat[1:]])  # a root would have no slope at zero
        got = student.gradients(name, partly_right, x, **ask)
        want = reference().gradients(name, partly_right, x, **ask)
        return expect.gradient(got.inputs[0], want.inputs[0], "the reconstruction", sizes=sizes)

    @criterion("the images and reconstructions left as they were", 0.5)
    def untouched() -> str | None:
        return leaves_arguments(student, name, x_hat, x)

    @criterion(ON_GPU, 0.25)
    def device() -> str | None:
        return expect.shape(
            student.call(name, x_hat, x), (3,), "the error", PER_IMAGE
        ) or works_on_gpu(student, name, x_hat, x, backward=True)

    yield from (shape, value, gradient, untouched, device)


def train_epoch(student: Student, draw: Draw) -> Iterator[Criterion]:
    """One pass over the training images, tried on a model of the judge's own."""
    bench, faint = _Bench(student, draw), _Bench(student, draw, 30, std=0.03)

    @criterion("the weights after an epoch: one step for each batch", 1.5)
    def weights() -> str | None:
        mine, theirs = bench.train(reference(), "SGD"), bench.train(student, "SGD")
        if expect.alike(theirs.moved, mine.moved, rtol=1e-3, atol=1e-6):
            session = _Session(bench, student, batch_size=4)
            optimizer, terms = session.model.optimizer("SGD", lr=0.05), session.probe["loss_terms"]
            arguments = (session.model.ref, session.loader, optimizer, terms)
            return sets_no_seed(student, "train_epoch", *arguments)
        if explanation := theirs.explain():
            return f"The weights after an epoch are not the right ones. {explanation}"
        # Over several steps everything gets mixed up; a single one shows a factor or a sign.
        one, other = (
            torch.cat([part.flatten() for part in bench.train(side, "SGD", batch_size=10).moved])
            for side in (student, reference())
        )
        return expect.close(
            one,
            other,
            "the change of the weights in one step",
            sizes={"images in the batch": 10},
            rtol=1e-3,
            atol=1e-6,
        ) or (
            "The weights after an epoch of several batches are not the right ones, though a single "
            "step is right."
        )

    @criterion("two epochs with Adam, whose memory goes on", 1)
    def optimizer() -> str | None:
        mine, theirs = (bench.train(side, "Adam", epochs=2) for side in (reference(), student))
        return expect.same(
            theirs.moved,
            mine.moved,
            "The weights after two epochs with Adam are not the right ones. Does the optimiser "
            "that was passed in take every step, from the first to the last?",
        )

    @criterion("means over images, a short last batch included", 1)
    def means() -> str | None:
        # With a step size of zero the weights stay, so that only the averaging is looked at; with
        # a single batch, only whether the terms are those on which the step is taken.
        return expect.first(
            _means(
                *(
                    of.train(side, "SGD", lr=lr, batch_size=size).result
                    for side in (student, reference())
                ),
                batch,
            )
            for of, lr, size, batch in (
                (bench, 0.0, 5, "batches of equal size"),
                (bench, 0.0, 4, "a short last batch"),
                (faint, 0.0, 1, "faint images, one by one"),
                (bench, 0.05, 10, "a single batch and a step that moves the weights"),
            )
        ) or _goes_through_once(bench)

    @criterion("plain numbers that hold no graph", 0.5)
    def numbers() -> str | None:
        return _are_plain(bench.train(student, "SGD").result) or _forgets_graphs(bench)

    @criterion(ON_GPU, 0.25)
    def device() -> str | None:
        session = _Session(bench, student, batch_size=4)
        optimizer, terms = session.model.optimizer("Adam", lr=0.05), student.define(GRAPHS)
        arguments = (session.model.ref, session.loader, optimizer, terms["loss_terms"])
        if problem := _works_there(student, "train_epoch", *arguments):
            return problem
        if any(bool(moved.any()) for moved in session.moved):
            return None
        return "Nothing is learnt: the weights are the same after an epoch."

    yield from (weights, optimizer, means, numbers, device)


def evaluate(student: Student, draw: Draw) -> Iterator[Criterion]:
    """One pass without learning."""
    bench, faint = _Bench(student, draw), _Bench(student, draw, 30, std=0.03)

    @criterion("means over images in evaluation mode, a short last batch included", 4)
    def means() -> str | None:
        for of, size, batch in (
            (bench, 5, "batches of equal size"),
            (bench, 4, "a short last batch"),
            (faint, 1, "faint images, one by one"),
        ):
            got = of.evaluate(student, batch_size=size).result
            want = of.evaluate(reference(), batch_size=size).result
            if problem := _means(got, want, batch, ignored={"tracked"}):
                return problem
        return _are_plain(got)

    @criterion("the mode restored", 2)
    def modes() -> str | None:
        session = bench.evaluate(student)
        return keeps_modes(session.model, lambda: session.run(student, "evaluate"), "`evaluate`")

    @criterion("no gradients, and nothing about the model changes", 2)
    def leaves_alone() -> str | None:
        session = bench.evaluate(student)
        result = session.result
        if any(float(moved.abs().max()) > 0 for moved in session.moved):
            return "The weights of the model change while it is evaluated."
        if any(student.call(session.probe["gradients_of"], session.model.ref)):
            return "Gradients are left in the model: is something propagated back?"
        if isinstance(result, dict) and expect.as_number(result.get("tracked")) == 1.0:
            return (
                "Gradients are tracked while the model is evaluated, which costs time and memory "
                "and is of no use here."
            )
        arguments = (session.model.ref, session.loader, session.probe["loss_terms"])
        return (
            (None if isinstance(result, dict) else _are_plain(result))
            or leaves_gradients(student, "evaluate", *arguments, model=session.model)
            or sets_no_seed(student, "evaluate", *arguments)
        )

    @criterion(ON_GPU, 0.5)
    def device() -> str | None:
        session = bench.evaluate(student)
        terms = student.define(GRAPHS)["loss_terms"]
        return _are_plain(session.result) or _works_there(
            student, "evaluate", session.model.ref, session.loader, terms
        )

    yield from (means, modes, leaves_alone, device)


SHOWN = """

def shown():
    '''In a module around it, for a mode is that of all the parts.'''
    return nn.Sequential(ShowLatents())
"""


def sample_prior(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Decoding draws from N(0, I), tried on a decoder that shows the codes it is given."""
    name = "sample_prior"

    def build() -> Module:
        module = Module.build(student, student.define(LATENTS + SHOWN)["shown"])
        module.eval()
        return module

    @criterion("one image for each sample", 2)
    def shape() -> str | None:
        decode = build().ref
        return expect.first(
            expect.shape(
                student.call(name, decode, count, 5, seed=draw.seed()),
                (count, 1, 1, 5),
                f"the result for {count} samples of 5 latents, with a decoder that draws its "
                "code as one row of pixels,",
            )
            for count in (3, 1)
        )

    @criterion("codes drawn from the standard normal distribution", 3)
    def distribution() -> str | None:
        decode = build().ref
        seed = draw.seed()
        result = student.call(name, decode, 4000, 3, seed=seed)
        return (
            expect.shape(result, (4000, 1, 1, 3), "the result for 4000 samples of 3 latents")
            or expect.standard_normal(result[:, 0, 0], "the code that reaches the decoder")
            or _is_as_drawn(student.call(name, decode, 4, 3, seed=seed))
            or draws_afresh(lambda seed: student.call(name, decode, 3, 5, seed=seed), "the sample")
            or expect.same(
                student.call(name, decode, 3, 5, seed=seed),
                student.call(name, decode, 3, 5, seed=seed),
                "Without a generator, `torch.manual_seed` does not decide the sample. Is it "
                "PyTorch's own randomness that is drawn from?",
            )
        )

    @criterion("the generator decides the draw", 1)
    def generator() -> str | None:
        decode = build().ref
        return uses_generator(
            student,
            lambda seed, generator: student.call(
                name, decode, 3, 5, generator=generator, seed=seed
            ),
            "the sample",
        ) or sets_no_seed(student, name, decode, 3, 5, generator=Seed(1))

    @criterion("evaluation mode, no gradients, the mode restored", 2)
    def care() -> str | None:
        decoder = build()
        arguments = (decoder.ref, 3, 5)
        decoder.eval()
        quiet = student.call(name, *arguments, generator=Seed(1))
        decoder.train()
        kept = student.call(name, *arguments, generator=Seed(1), keep=True)
        loud = student.fetch(kept)
        return (
            expect.tensor(loud, "the result")
            or (
                "Asked for samples while it is in training mode, the decoder decodes in training "
                "mode. Samples are to look at, so BatchNorm must not see them as a batch."
                if expect.alike(loud, 2 * quiet) and not expect.alike(loud, quiet)
                else None
            )
            or keeps_modes(decoder, lambda: student.call(name, *arguments), "`sample_prior`")
            or (
                "The images still hold on to the graph for gradients."
                if student.carries_graph(kept)
                else None
            )
            or leaves_gradients(student, name, *arguments, model=decoder)
        )

    @criterion(ON_GPU, 0.5)
    def device() -> str | None:
        arguments = (build().ref, 3, 5)
        return (
            expect.shape(student.call(name, *arguments), (3, 1, 1, 5), "the result for 3 samples")
            or _works_there(student, name, *arguments)
            or works_on_gpu(student, name, *arguments, generator=Seed(1))
        )

    yield from (shape, distribution, generator, care, device)


def _is_as_drawn(images: Tensor) -> str | None:
    """A handful of draws has neither exactly mean 0 nor exactly variance 1."""
    codes = expect.needed(images, (4, 1, 1, 3), "the result for 4 samples of 3 latents")
    codes = codes.double().flatten(1)
    whole, each = codes.mean().abs(), codes.mean(0).abs().max()
    if float(torch.minimum(whole, each)) > 1e-6:
        return None
    return (
        "The codes of a few samples have exactly the mean 0: they seem to be shifted or scaled "
        "after they are drawn, so that each depends on the others. N(0, I) describes where draws "
        "come from, and not how a handful of them turns out."
    )


def pca(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Linear reconstruction, against the singular value decomposition."""
    name = "pca_reconstruct"
    # Variances that fall by a factor of 6 from direction to direction, so that the first few are
    # beyond doubt whatever algorithm finds them, and a mean far from zero.
    spread = 2.5 ** -torch.arange(7.0)
    turn = torch.linalg.qr(draw.normal(7, 7)).Q
    centre = draw.normal(7, std=3.0)
    train = draw.normal(40, 7) * spread @ turn.T + centre
    x = draw.normal(3, 7) * spread @ turn.T + centre + draw.normal(7, std=0.5)

    def compare(train: Tensor, x: Tensor, components: int, what: str) -> str | None:
        return expect.close(
            student.call(name, train, x, components),
            reference().call(name, train, x, components),
            what,
            rtol=2e-3,
            atol=5e-3,
        )

    @criterion("the shape of the reconstructions", 1)
    def shape() -> str | None:
        return expect.first(
            expect.shape(
                student.call(name, train, x[:count], 2),
                (count, 7),
                f"the reconstruction of {count} examples",
            )
            for count in (3, 1)
        )

    @criterion("the value for a few components", 3)
    def value() -> str | None:
        problem = expect.first(
            compare(train, x, components, "the reconstruction") for components in (1, 3)
        )
        if problem is None:
            # As many others, and then many more, of which the last are not like the first.
            more = draw.normal(1200, 7) * spread @ turn.T + torch.linspace(0, 5, 1200)[:, None]
            return compare(
                train.flip(1), x.flip(1), 3, "the reconstruction of other data of the same shape"
            ) or compare(more, x, 3, "the reconstruction learnt from 1200 examples")
        centred, moved = train - train.mean(0), x - train.mean(0)
        if compare(centred, moved, 3, "") is None:
            return (
                "The reconstruction is right if the mean of the training examples is zero, and "
                "wrong if it is not. Which mean is taken away, and is it put back?"
            )
        return problem

    @criterion("the data left as they were", 0.5)
    def untouched() -> str | None:
        return leaves_arguments(student, name, train, x, 3)

    @criterion("all components give back the example itself", 1)
    def complete() -> str | None:
        return expect.close(
            student.call(name, train, x, 7),
            x,
            "the reconstruction from all 7 components",
            atol=5e-3,
        )

    @criterion("fewer examples than dimensions", 1)
    def few() -> str | None:
        return compare(train[:5], x, 3, "the reconstruction learnt from 5 examples of 7 numbers")

    @criterion("directions that differ little in variance, told apart exactly", 1)
    def close_by() -> str | None:
        # The standard deviation falls by 6 per cent from one direction to the next: plenty for any
        # exact method, and too little for a random sketch of the data.
        left, turn = (
            torch.linalg.qr(draw.normal(60, 30)).Q,
            torch.linalg.qr(draw.normal(30, 30)).Q,
        )
        many = 20 * left * 0.94 ** torch.arange(30.0) @ turn.T
        problem = compare(many, many[:5], 4, "the reconstruction of examples of 30 numbers")
        if problem is None:
            return sets_no_seed(student, name, many, many[:5], 4)
        first, second = (
            student.call(name, many, many[:5], 4, seed=seed) for seed in (1, 2)
        )  # fmt: skip
        if expect.alike(first, second, rtol=1e-3, atol=1e-3):
            return problem
        return (
            "The same data is reconstructed differently from call to call. `torch.pca_lowrank` is "
            "random and approximate; the singular value decomposition is exact."
        )

    yield from (shape, value, untouched, complete, few, close_by)


STAINED = '''
import torch
from torch import nn


class Stained(nn.Module):
    """Makes pixels brighter: by how much shows in which mode it ran, and with gradients or not.

    In training mode it also counts its passes, in a buffer, as BatchNorm does.
    """

    def __init__(self, in_training, with_gradients):
        super().__init__()
        self.inside = nn.Identity()
        self.factor = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("passes", torch.zeros(()))
        self.in_training, self.with_gradients = in_training, with_gradients

    def forward(self, x):
        extra = self.in_training * self.training + self.with_gradients * torch.is_grad_enabled()
        if self.training:
            self.passes += 1
        return x * (self.factor + extra)
'''


def fault(student: Student, draw: Draw) -> Iterator[Criterion]:
    """Errors label by label: each criterion sees one of the starter's faults, apart from others.

    An image's distance is that of the notebook's own `squared_error`, or the right one: a mistake
    in that exercise does not count here.
    """
    name = "error_by_label"
    images = draw.uniform(11, 1, 2, 3, low=0.2, high=1.5)
    labels = torch.tensor([4, 0, 0, 12, 0, 4, 12, 12, 0, 2, 0])
    images[9] = 0.0  # the only one of its label, and it comes back as it is

    def build(in_training: float = 0.0, with_gradients: float = 0.0) -> Module:
        probe = student.define(STAINED)["Stained"]
        return Module.build(student, probe, in_training, with_gradients)

    def measured(model: Module, batch_size: int):
        return student.call(name, model.ref, Loader(images, labels, batch_size))

    def right(extra: float = 0.0) -> list[dict[int, float]]:
        """The tables that count as right: by the judge's squared error, and by the notebook's."""
        x_hat = images * (1.5 + extra)
        distances = [reference().call("squared_error", x_hat, images)]
        try:
            own = student.call("squared_error", x_hat, images)
            if expect.shape(own, (len(images),), "it") is None:
                distances.append(own)
        except StudentError:
            pass
        return [_by_label(found, labels) for found in distances]

    def compare(got, what: str) -> str | None:
        wanted = right()
        if not isinstance(got, dict):
            return f"The result is {expect.describe(got)}, where a dict of numbers was expected."
        table = {key: expect.as_number(value) for key, value in got.items()}
        if table.keys() != wanted[0].keys():
            there = ", ".join(map(str, sorted(map(str, table))))
            return f"The labels in the table are {there}, where those that occur were expected."
        if None in table.values():
            odd = next(value for value, number in zip(got.values(), table.values(), strict=True)
                       if number is None)  # fmt: skip
            return f"An entry of the table is {expect.describe(odd)}, where a number was expected."
        if any(expect.alike(table, want) for want in wanted):
            if list(table) != sorted(table):
                return (
                    f"The labels stand in the order {list(table)}, where a rising one was expected."
                )
            return None
        label = max(table, key=lambda key: abs(table[key] - wanted[0][key]))
        return expect.number(table[label], wanted[0][label], f"{what} the mean of label {label}")

    @criterion("means over images, whatever the size of the batches", 0.65)
    def means() -> str | None:
        for size in (11, 4, 3):
            if problem := compare(measured(build(), size), f"With batches of {size},"):
                return problem
        return None

    @criterion("evaluation mode, a model that is left as it was found", 0.65)
    def modes() -> str | None:
        model = build(in_training=0.7)
        model.train()
        before = model.state()
        # All images in one batch: how batches are averaged does not matter here.
        got = measured(model, len(images))
        return (
            compare(got, "For a model that was found in training mode,")
            or expect.same(
                model.state(),
                before,
                "Something in the model moved while it was measured, as BatchNorm's averages do in "
                "training mode.",
            )
            or keeps_modes(model, lambda: measured(model, 4), f"`{name}`")
            or leaves_gradients(student, name, model.ref, Loader(images, labels, 4), model=model)
            or sets_no_seed(student, name, model.ref, Loader(images, labels, 4))
        )

    @criterion("no gradients, and plain numbers that hold no graph", 0.45)
    def graph() -> str | None:
        model = build(with_gradients=0.7)
        model.eval()
        got = measured(model, len(images))
        if problem := _are_plain(got):
            return problem
        tracked = _by_label(reference().call("squared_error", images * 2.2, images), labels)
        if expect.alike(got, tracked):
            return (
                "Gradients are tracked while the model is measured, which costs time and memory "
                "and is of no use here."
            )
        return compare(got, "In one batch,")

    @criterion(ON_GPU, 0.25)
    def device() -> str | None:
        # The starter runs there, too, and leaves tensors behind: that is for nothing to be earned.
        model, loader = build(), Loader(images, labels, 4)
        return _are_plain(measured(model, 4)) or _works_there(student, name, model.ref, loader)

    yield from (means, modes, graph, device)


def _by_label(distances: Tensor, labels: Tensor) -> dict[int, float]:
    """The mean of the distances of each label."""
    return {
        label: float(distances[labels == label].double().mean())
        for label in labels.unique().tolist()
    }


DEEP = """

class Deep(Tiny):
    '''The mode of the layer inside counts too, as that of a BatchNorm would.'''

    def forward(self, x):
        return super().forward(x) * (1.0 if self.layer.training else 0.8)
"""


class _Bench:
    """Where training loops are tried: a tiny model, a few images, and either side's loop."""

    def __init__(self, student: Student, draw: Draw, count: int = 10, std: float = 1.0):
        self.images = draw.normal(count, 1, 2, 3, std=std)
        self.labels = torch.arange(count) % 3
        self.seed = draw.seed()
        self.student = student

    def train(
        self,
        side: Student,
        optimizer: str,
        *,
        lr: float = 0.05,
        batch_size: int = 3,
        epochs: int = 1,
    ) -> "_Session":
        session = _Session(self, side, batch_size)
        if optimizer == "SGD":
            handle = side.call(session.probe["WatchedSGD"], session.model.ref, lr, keep=True)
        else:
            handle = session.model.optimizer(optimizer, lr=lr)
        session.model.eval()  # it is for the loop to change that
        for _ in range(epochs):
            session.run(side, "train_epoch", handle)
        return session

    def evaluate(self, side: Student, batch_size: int = 4) -> "_Session":
        session = _Session(self, side, batch_size)
        session.run(side, "evaluate")
        return session


class _Session:
    """One model on one side, and what came of it."""

    def __init__(self, bench: _Bench, side: Student, batch_size: int):
        self.side = side
        self.probe = side.define(TINY + DEEP)
        self.loader = Loader(bench.images, bench.labels, batch_size)
        self.batches = -(-len(bench.images) // batch_size)
        self.model = Module.build(side, self.probe["Deep"], 6, seed=bench.seed)
        self.before = self.model.parameters()
        self.result = None

    def run(self, side: Student, name: str, *optimizer) -> None:
        self.result = side.call(
            name, self.model.ref, self.loader, *optimizer, self.probe["loss_terms"]
        )

    @property
    def moved(self) -> list[Tensor]:
        """By how much each parameter has changed."""
        pairs = zip(self.model.parameters(), self.before, strict=True)
        return [after - before for after, before in pairs]

    def explain(self) -> str:
        return describe_loop(self.side, self.probe, self.model, self.batches)


def _sizes(student: Student, name: str, layer: type[nn.Module], cases) -> str | None:
    """Compare a size function with the maps that a layer makes; say in which cases it errs."""
    wrong = []
    for size, kernel, stride, padding in cases:
        want = layer(1, 1, kernel, stride, padding)(torch.zeros(1, 1, size, size)).shape[-1]
        # A padding of 0 is left out, as it may be.
        got = student.call(name, size, kernel, stride, *([padding] if padding else []))
        value = expect.as_number(got)
        if value is None:
            return f"`{name}` gives {expect.describe(got)}, where a whole number was expected."
        if value != want:
            wrong.append((value - want, stride, padding))
        elif type(got) is not int:
            return (
                f"`{name}` gives a {type(got).__name__}, where a whole number (int) was expected."
            )
    if not wrong:
        return None
    problem = f"`{name}` is wrong in {len(wrong)} of {len(cases)} cases"
    if all(error % 1 for error, _, _ in wrong):
        return f"{problem}, all of them where the steps do not fit whole."
    if all(padding for _, _, padding in wrong):
        return f"{problem}, all of them with padding. Without padding it is right."
    if all(stride > 1 for _, stride, _ in wrong):
        return f"{problem}, all of them with a stride above 1. With stride 1 it is right."
    if len({error for error, _, _ in wrong}) == 1 and len(wrong) == len(cases):
        return f"{problem}, always by {wrong[0][0]:+g}."
    return f"{problem}. Try small ones by hand: a map of 5, a kernel of 3."


def _reference_size(name: str, latent_dim: int) -> int:
    return Module.build(reference(), name, latent_dim).size()


def _left_over(student: Student, images: Tensor, draw: Draw) -> tuple[float, str]:
    """What is left of the variance of a few images when an autoencoder has learnt them by heart.

    A decoder that never sees the code can at best draw the mean image, and its error is then the
    images' own variance.
    """
    seed = draw.seed()
    model = Module.build(student, "AutoEncoder", 9, seed=seed)
    model.train()
    fit = student.define(FIT)["fit"]
    variance = float((images - images.mean(0)).square().mean())

    def left_over() -> float:
        return _error(model, images, draw) / variance

    untaught = model.state()
    unlearnt = left_over()
    student.call(fit, model.ref, "forward", images, [images], steps=40, lr=5e-3, seed=seed)
    left = left_over()
    model.load_state(untaught)
    if min(unlearnt, left_over()) < LEARNT.threshold:
        raise unfit(
            "The images come back though its parameters have learnt nothing: they take another "
            "way than through what is trained."
        )
    return left, (
        f"After 40 steps on {len(images)} images the squared error is {left:.2f} times what "
        "drawing their mean would give: the images do not get through the code."
    )


LEARNT = Convergence(
    "ps1_autoencoder",
    "squared error of 6 images after 40 steps on them, as a share of their variance",
    threshold=0.4,
    images=lambda draw: draw.images(6),
    measure=_left_over,
)


def _error(model: Module, images: Tensor, draw: Draw) -> float:
    """The mean squared error, through a code that crosses over to the judge and back.

    It comes back in another order and two percent off, so that neither an image's place nor the
    last bits of a number can say what the code does not.

    In training mode, so that a few steps are enough: BatchNorm's averages take longer.
    """
    codes = expect.needed(model.call("encode", images), (len(images), 9), "what `encode` gives")
    codes = codes + 0.02 * codes.std(0) * draw.normal(*codes.shape)
    x_hat = expect.needed(model.call("decode", codes.flip(0)), images.shape, "what `decode` gives")
    return float((x_hat.flip(0) - images).square().mean())


def _follows_table(
    module: Module,
    name: str,
    inputs: Tensor,
    read: Callable[[Tensor], Tensor] = lambda outputs: outputs,
) -> str | None:
    """With the same weights, the layers of the table give the same, in both modes.

    Weights are told apart by their shapes, and by being all ones or all zeros, as those of a
    BatchNorm are in the beginning. Of a module that starts from other numbers nothing is said.

    An ordinary convolution has its weights in another order than a transposed one, which it can
    stand in for, between zeros and with its kernels turned round: so these are tried as well.
    """
    twin = Module.build(reference(), name, 7)
    weights = {_kind(one): one for one in module.parameters()}
    if weights.keys() != {_kind(one) for one in twin.parameters()}:
        return None
    found = [weights.get(_kind(one), one) for one in twin.state()]
    laid_out = [_laid_out(one, want.shape) for one, want in zip(found, twin.state(), strict=True)]
    if any(one is None for one in laid_out):
        return None
    turned_round = [one.flip(2, 3) if one.ndim == 4 else one for one in laid_out]
    problem = _gives_the_same(module, twin, name, inputs, read, laid_out)
    if problem and _gives_the_same(module, twin, name, inputs, read, turned_round) is None:
        return None
    return problem


def _gives_the_same(
    module: Module,
    twin: Module,
    name: str,
    inputs: Tensor,
    read: Callable[[Tensor], Tensor],
    weights: list[Tensor],
) -> str | None:
    """A module gives what the judge's gives with these weights, in both modes."""
    for training in (False, True):
        twin.load_state(weights)  # a pass in training mode moves what is no weight
        module.train(training)
        twin.train(training)
        want = twin(inputs)
        got = read(expect.needed(module(inputs), want.shape, f"the output of `{name}`"))
        want = read(want)
        # The usual values of a BatchNorm's epsilon change the outputs by half of this at most.
        if float((got - want).abs().mean()) > 0.02 * float((want - want.mean(0)).abs().mean()):
            mode = "training" if training else "evaluation"
            return (
                f"In {mode} mode `{name}` gives something else than the table's layers do with the "
                "same weights. Look at the slope of every activation, at the side on which each "
                "BatchNorm stands, and for layers that the table does not have."
            )
    return None


def _kind(weights: Tensor) -> tuple[tuple[int, ...], bool, bool]:
    """What tells one tensor of weights from the others of a fresh module, in whatever order."""
    sizes = tuple(sorted(size for size in weights.shape if size != 1))
    return sizes, bool((weights == 1).all()), bool((weights == 0).all())


def _laid_out(weights: Tensor, shape: torch.Size) -> Tensor | None:
    """The weights in this shape, with what goes in and what comes out in their places."""
    if weights.squeeze().shape == torch.Size(size for size in shape if size != 1):
        return weights.reshape(shape)
    turned = weights.transpose(0, 1)
    return turned if turned.shape == shape else None


def _is_undistorted(pixels: Tensor) -> str | None:
    """Nothing but a sigmoid stands after the last layer: grey 0.5 is passed without a kink."""
    curves = torch.logit(pixels.double()).flatten(1)
    if 0.5 < expect.kinks_at_zero(curves) < 2:
        return None
    return (
        "Pixels darker than grey are treated differently from lighter ones. Is there another "
        "activation between the last layer and the sigmoid?"
    )


def _means(got, want: dict[str, float], batch: str, ignored=frozenset()) -> str | None:
    """A dict of means equals the judge's own."""
    if not isinstance(got, dict) or got.keys() != want.keys():
        return (
            f"The result is {expect.describe(got)}, where a dict with one number for each of the "
            f"terms {sorted(want)} was expected."
        )
    return expect.first(
        expect.number(got[name], value, f"with {batch}, the mean of the term {name!r}")
        for name, value in want.items()
        if name not in ignored
    )


def _are_plain(result) -> str | None:
    """A dict of Python floats."""
    if not isinstance(result, dict) or not result:
        return f"The result is {expect.describe(result)}, where a dict of numbers was expected."
    for name, value in result.items():
        if not isinstance(value, int | float):
            return (
                f"The term {name!r} is {expect.describe(value)}, where a plain number was "
                "expected: a tensor may keep the graph of a whole epoch in memory."
            )
    return None


def _changes_nothing_else(student: Student, name: str, size: int, batch: Tensor) -> str | None:
    """A module is made and used, by itself: it keeps its mode, and no seed is set.

    With a single example in training mode BatchNorm stops, which may well be; the mode may not.
    """
    module = Module.build(student, name, size)

    def ask() -> None:
        with contextlib.suppress(StudentError):
            module(batch[:1])

    return keeps_modes(module, ask, "a pass of a batch of one") or _is_unseeded(
        student, name, size, "forward", batch
    )


def _is_unseeded(student: Student, name: str, size: int, method: str, batch: Tensor) -> str | None:
    """Neither making a module nor a call of one of its methods sets a seed."""
    used = student.define(AFTERWARDS)["used"]
    named = f"`{name}` is made and `{method}` called,"
    return sets_no_seed(student, used, student.ref(name), size, method, batch, named=named)


def _whole_changes_nothing_else(student: Student, size: int, images: Tensor) -> str | None:
    """The same of an autoencoder, unless it is one of its halves, which are judged elsewhere."""
    halves = (("Encoder", images), ("Decoder", torch.ones(2, size)))
    if any(_changes_nothing_else(student, half, size, batch) for half, batch in halves):
        return None
    return _changes_nothing_else(student, "AutoEncoder", size, images)


def _reconstructs_without_seed(student: Student, size: int, images: Tensor) -> str | None:
    """`reconstruct` sets no seed, unless a forward pass does, which is asked for by itself."""
    if _is_unseeded(student, "AutoEncoder", size, "forward", images):
        return None
    return _is_unseeded(student, "AutoEncoder", size, "reconstruct", images)


def _keeps_no_pictures(model: Module, images: Tensor) -> str | None:
    """Each call in evaluation mode looks at the images and at the weights that there are then."""
    model.eval()
    weights = model.state()
    for method in ("reconstruct", "forward"):
        model.load_state(weights)
        model.call(method, images)
        # With the weights of the beginning all pictures are nearly alike. With these the largest
        # difference of two pictures was 0.25 or more in 30 runs, and that of before and after 0.35.
        model.load_state([2 * one for one in weights])
        what = f"what `{method}` gives"
        pictures = expect.needed(model.call(method, images), images.shape, what)
        if problem := expect.same(
            pictures,
            model.call("decode", model.call("encode", images)),
            f"After the model's weights have changed, `{method}` in evaluation mode gives "
            "something else than encoding and then decoding. Does it reuse anything computed "
            "earlier?",
        ) or expect.same(
            model.call(method, images.flip(0)),
            pictures.flip(0),
            f"In evaluation mode `{method}` gives other pictures for the same images when they "
            "come in another order. Does it reuse anything from an earlier call, or depend on an "
            "image's place in the batch?",
        ):
            return problem
    return None


def _reaches_codes(module: Module, codes: Tensor) -> str | None:
    """Through a decoder gradients get to the codes, and so to whatever made them."""
    module.train()
    gradient = module.gradients(codes, wrt=(0,)).inputs[0]
    if gradient is not None and bool(gradient.any()):
        return None
    return (
        "No gradient reaches the codes that the decoder is given, so the encoder that made them "
        "could never learn."
    )


AFTERWARDS = """
import torch


def used(build, size, method, batch):
    '''A module is made, and asked.'''
    return getattr(build(size), method)(batch)


def left_at(function, *args):
    '''The parameters of a model among the arguments, as a function leaves them.'''
    function(*args)
    return list(args[0].parameters())


class Once:
    '''Batches that can be gone through a single time, as those of a stream.'''

    def __init__(self, images, labels, size):
        self.left = list(zip(images.split(size), labels.split(size)))
        self.length = len(self.left)

    def __len__(self):
        return self.length

    def __iter__(self):
        left, self.left = self.left, []
        return iter(left)
"""


def _works_there(student: Student, name: str, model: Ref, *args: Any) -> str | None:
    """A function of a model works on a GPU, and leaves the model there."""
    if problem := ends_on_gpu(student, name, model, *args):
        return problem
    left_at = student.define(AFTERWARDS)["left_at"]
    if ends_on_gpu(student, left_at, student.ref(name), model, *args):
        return f"A model that is on the GPU is moved away from there by `{name}`."
    return None


def _goes_through_once(bench: _Bench) -> str | None:
    """Batches that are there a single time are enough."""
    session = _Session(bench, bench.student, batch_size=4)
    once = bench.student.define(AFTERWARDS)["Once"]
    batches = bench.student.call(once, bench.images, bench.labels, 4, keep=True)
    optimizer, terms = session.model.optimizer("SGD", lr=0.0), session.probe["loss_terms"]
    try:
        got = bench.student.call("train_epoch", session.model.ref, batches, optimizer, terms)
    except StudentError:
        got = None
    return expect.same(
        got,
        bench.train(reference(), "SGD", lr=0.0, batch_size=4).result,
        "The loader is gone through more than once in an epoch. One that gives each batch a "
        "single time, as a stream does, is not enough for it.",
    )


GRAPHS = '''
import gc
import weakref

import torch

NODES, MOST = weakref.WeakSet(), [0]


class Watched(torch.autograd.Function):
    """Changes nothing, and lives as long as the graph that it is part of."""

    @staticmethod
    def forward(ctx, x):
        NODES.add(ctx)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def loss_terms(model, x):
    if len(NODES) > 1:
        gc.collect()
    MOST[0] = max(MOST[0], len(NODES))
    error = Watched.apply(model(x) - x).flatten(1).square()
    return {"loss": error.sum(1), "worst": error.max(1).values}


def most_graphs():
    """How many graphs of earlier batches were there when a new one was begun, at most."""
    return MOST[0]
'''


def _forgets_graphs(bench: _Bench) -> str | None:
    """No graph of a batch is kept until the end of the epoch; the last one may still be there."""
    session, probe = _Session(bench, bench.student, batch_size=2), bench.student.define(GRAPHS)
    optimizer = session.model.optimizer("SGD", lr=0.05)
    arguments = (session.model.ref, session.loader, optimizer, probe["loss_terms"])
    bench.student.call("train_epoch", *arguments)
    graphs = bench.student.call(probe["most_graphs"])
    if graphs <= 1:
        return None
    return (
        f"In an epoch of {session.batches} batches, the graphs of {graphs} batches are in memory "
        "at once. What is kept from batch to batch still holds on to them."
    )
