"""What checks of several exercises share: questions about randomness and modes, and small probes.

A probe is source text that `Student.define` runs on the student's side, and `reference()` on the
judge's: a model or loss so small that an exercise can be tried on it apart from the student's other
answers. Probes hold no answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autograder import expect, pretend
from autograder.draw import Draw
from autograder.student import Module, Ref, Seed, Student, StudentError, Target

TINY = '''
import torch
from torch import nn


class Tiny(nn.Module):
    """A linear layer, its output halved in evaluation mode; it notes what is done with it."""

    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size, size)
        self.events = []
        for parameter in self.parameters():
            parameter.register_hook(lambda gradient, of=parameter: self.on_backward(of))

    def forward(self, x):
        self.events.append("train" if self.training else "eval")
        return self.layer(x.flatten(1)).view_as(x) * (1.0 if self.training else 0.5)

    def on_backward(self, parameter):
        stale = parameter.grad is not None and bool(parameter.grad.any())
        self.events.append("stale backward" if stale else "backward")


class WatchedSGD(torch.optim.SGD):
    def __init__(self, model, lr):
        super().__init__(model.parameters(), lr=lr)
        self.events = model.events

    def step(self, closure=None):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        empty = not any(g is not None and bool(g.any()) for g in gradients)
        self.events.append("empty step" if empty else "step")
        return super().step(closure)


def events_of(model):
    return list(model.events)


def gradients_of(model):
    return [p.grad is not None and bool(p.grad.any()) for p in model.parameters()]


def loss_terms(model, x):
    """The loss, another term, and one that is 1 where gradients are being tracked."""
    error = (model(x) - x).flatten(1).square()
    tracked = torch.full((len(x),), float(error.requires_grad))
    return {"loss": error.sum(1), "worst": error.max(1).values, "tracked": tracked}
'''

LATENTS = '''
import torch
from torch import nn


class ShowLatents(nn.Module):
    """A decoder that draws its code: (n, k) to (n, 1, 1, k), doubled in training mode."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return self.scale * z[:, None, None, :] * (2.0 if self.training else 1.0)
'''

FIT = '''
import torch


def fit(model, method, x, targets, steps, lr):
    """Teach `method` of a model to answer `targets` on `x`, in the mode in which the model is."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        answers = getattr(model, method)(x)
        answers = answers if isinstance(answers, tuple | list) else (answers,)
        loss = sum((a - t).square().mean() for a, t in zip(answers, targets, strict=True))
        if not loss.requires_grad:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
'''


NUDGE = '''
import torch


@torch.no_grad()
def nudge(model, numbers):
    """Move some of a model's parameters a little."""
    parameters = list(model.parameters())
    for number in numbers:
        parameters[number] += 0.01 * torch.randn_like(parameters[number])
'''


@dataclass(frozen=True)
class Convergence:
    """What a short training is to bring about: a number below a threshold.

    How near right answers and mistakes come to the threshold is for `autograder calibrate` to say.

    Attributes:
        exercise: its id, such as "ps1_autoencoder".
        what: the number is, in a few words that stand in the table of calibrations.
        threshold: what the number must be less than.
        images: draws what is trained on.
        measure: trains the student's model on images; gives the number, and what to tell the
            student if it is too large. Where there is no number to give, it is a `StudentError`.
    """

    exercise: str
    what: str
    threshold: float
    images: Callable[[Draw], Tensor]
    measure: Callable[[Student, Tensor, Draw], tuple[float, str]]

    def once(self, student: Student, seed: int, images: Tensor | None = None) -> tuple[float, str]:
        """What `measure` gives for a seed, on images of the seed's own if there are no others."""
        draw = Draw(seed, self.exercise)
        return self.measure(student, self.images(draw) if images is None else images, draw)


def converged(student: Student, against: Convergence, draw: Draw) -> str | None:
    """Training gets there, or does so when it is repeated with an independent seed.

    So a right answer that fails one time in a hundred fails the criterion one time in ten thousand.
    """
    said = ""
    for _ in range(2):
        number, said = against.once(student, draw.seed())
        if number < against.threshold:
            return None
    return said


CALLED = '''
import torch


def started(seed):
    """A generator that goes on from one call to the next."""
    return torch.Generator().manual_seed(seed)


def method_of(model, name):
    return getattr(model, name)


def changed(function, *args, **kwargs):
    """The numbers of those arguments into which a function writes."""
    tensors = {n: arg for n, arg in enumerate(args) if isinstance(arg, torch.Tensor)}
    before = {n: tensor.clone() for n, tensor in tensors.items()}
    function(*args, **kwargs)
    return [n for n, tensor in tensors.items() if not torch.equal(tensor, before[n])]


def drawn_after(function, *args, **kwargs):
    """What PyTorch draws when a function has been called."""
    function(*args, **kwargs)
    return torch.rand(3)


def gradients_after(function, *args, model=None, **kwargs):
    """What calls leave of gradients, where they were switched on before, and where off."""
    parameters = [] if model is None else list(model.parameters())
    for p in parameters:
        p.grad = torch.ones_like(p)
    switched = []
    for before in (True, False):
        with torch.set_grad_enabled(before):
            function(*args, **kwargs)
            switched.append(torch.is_grad_enabled())
    moved = any(p.grad is None or bool((p.grad != 1).any()) for p in parameters)
    for p in parameters:
        p.grad = None
    return switched, all(p.requires_grad for p in parameters), moved
'''


def function_of(student: Student, target: Target) -> Ref:
    """What can be called as an object, to be handed to a probe."""
    if isinstance(target, str):
        return student.ref(target)
    if isinstance(target, Ref):
        return target
    return student.call(student.define(CALLED)["method_of"], *target, keep=True)


def leaves_arguments(
    student: Student, target: Target, *args: Any, named: str = "", **kwargs: Any
) -> str | None:
    """A call does not write into the tensors that it is given.

    Args:
        named: what is called, where `target` does not say it.
    """
    changed = student.define(CALLED)["changed"]
    if student.call(changed, function_of(student, target), *args, **kwargs) == []:
        return None
    return (
        f"{expect.upper(named or name_of(target))} writes into a tensor that it is given: whoever "
        "uses that tensor once more finds it changed. Which operation works in place?"
    )


def sets_no_seed(
    student: Student, target: Target, *args: Any, named: str = "", **kwargs: Any
) -> str | None:
    """What is drawn after a call still depends on what was drawn from before it.

    Args:
        named: what is called, where `target` does not say it.
    """
    drawn_after, function = student.define(CALLED)["drawn_after"], function_of(student, target)
    first, second = (
        student.call(drawn_after, function, *args, seed=seed, **kwargs) for seed in (1, 2)
    )
    return expect.different(
        first,
        second,
        f"After {named or name_of(target)} PyTorch's next random numbers are always the same. Is a "
        "seed or a generator's state set inside? That affects the whole notebook.",
    )


def leaves_gradients(
    student: Student,
    target: Target,
    *args: Any,
    named: str = "",
    model: Module | None = None,
    **kwargs: Any,
) -> str | None:
    """Gradients are switched on after a call if they were before it, and only then.

    Args:
        named: what is called, where `target` does not say it.
        model: its parameters go on asking for gradients, and those that they hold stay.
    """
    gradients_after, name = student.define(CALLED)["gradients_after"], named or name_of(target)
    if model is not None:
        kwargs["model"] = model.ref
    (on, off), asked_for, moved = student.call(
        gradients_after, function_of(student, target), *args, **kwargs
    )
    if not on:
        return (
            f"After {name} gradients are switched off for the whole notebook: nothing can be "
            "trained from then on. How are they switched off for a few lines only?"
        )
    if not asked_for:
        return (
            f"After {name} gradients are switched off for the model's parameters: they could not "
            "be trained from then on. Where does what you switch off come back on?"
        )
    if off:
        return f"Called where gradients are switched off, {name} leaves them switched on."
    if moved:
        return f"Gradients that the model holds are others after {name}, or they are gone."
    return None


def leaves_no_trace(
    student: Student, target: Target, *args: Any, named: str = "", **kwargs: Any
) -> str | None:
    """A call writes into no argument, leaves gradients as they were, and sets no seed."""
    return expect.first(
        leaves(student, target, *args, named=named, **kwargs)
        for leaves in (leaves_arguments, leaves_gradients, sets_no_seed)
    )


def name_of(target: Target) -> str:
    """What a message calls it."""
    if isinstance(target, Ref):
        return "it"
    return f"`{target if isinstance(target, str) else target[1]}`"


def uses_generator(student: Student, ask: Callable[..., Any], what: str) -> str | None:
    """`ask(seed=..., generator=...)` takes its randomness from the generator, and only there.

    Two calls with one generator differ: it is drawn from, and not only asked for its seed.
    """
    once = ask(seed=1, generator=Seed(11))
    again = ask(seed=2, generator=Seed(11))
    other = ask(seed=1, generator=Seed(12))
    moving = student.call(student.define(CALLED)["started"], 11, keep=True)
    return (
        expect.first(_is_drawn(draw, what) for draw in (once, again, other))
        or expect.same(
            once,
            again,
            f"With equal generators, {what} differs from call to call. Is the generator handed on "
            "to every draw?",
        )
        or expect.different(
            once,
            other,
            f"With generators of different seeds, {what} is the same. Is the generator used, and "
            "is no seed set inside?",
        )
        or expect.different(
            ask(seed=1, generator=moving),
            ask(seed=1, generator=moving),
            f"In two calls with the same generator {what} is the same, although a generator moves "
            "on whenever it is used. Is this very generator passed to the draw, and not a new one "
            "with the same seed?",
        )
    )


def draws_afresh(ask: Callable[..., Any], what: str) -> str | None:
    """`ask(seed=...)` differs from seed to seed: nothing is frozen inside."""
    once, again = ask(seed=1), ask(seed=2)
    return expect.first(_is_drawn(draw, what) for draw in (once, again)) or expect.different(
        once,
        again,
        f"{expect.upper(what)} is the same at every call. Is there any randomness in it, and is no "
        "seed set inside?",
    )


def _is_drawn(value: Any, what: str) -> str | None:
    """It is something of which one can say that it was drawn: numbers, or tensors of them."""
    if isinstance(value, tuple | list) and value:
        return expect.first(_is_drawn(part, what) for part in value)
    number = expect.as_number(value)
    return expect.finite(value if number is None else torch.tensor(number), what)


def keeps_modes(model: Module, act: Callable[[], Any], what: str) -> str | None:
    """`act` leaves a model in training mode if it was, and in evaluation mode if it was."""
    for training in (True, False):
        model.train(training)
        act()
        if set(model.modes()) != {training}:
            was, now = ("training", "evaluation") if training else ("evaluation", "training")
            return (
                f"A model in {was} mode is left in {now} mode by {what}. The mode is to be "
                "restored to what it was before."
            )
    return None


def reaches_every_parameter(
    module: Module, *args: Any, cotangent: Any = None, **kwargs: Any
) -> str | None:
    """A forward pass in training mode gives every parameter a gradient, and none that is a lie.

    A gradient may well be zero: that of a bias before BatchNorm, or behind a ReLU that is closed.
    So a parameter whose gradient is zero is moved a little, and only if the result moves too is
    there something that gradients do not pass, such as a draw from N(mu, std) in one go.

    Args:
        cotangent: as for `Student.gradients`. A part of the result that a list of it leaves out
            plays no part.
    """
    module.train()
    found = module.gradients(*args, cotangent=cotangent, **kwargs)
    gradients = found.parameters
    if not gradients:
        return (
            "The module has no parameters. Layers must be attributes of the module, or stand in an "
            "`nn.Sequential` or `nn.ModuleList`: it does not see into plain lists."
        )
    unreached = [gradient is None for gradient in gradients]
    if any(unreached):
        return (
            f"No gradient reaches {sum(unreached)} of the {len(gradients)} parameter tensors. Is "
            "every layer used in the forward pass, and is nothing detached?"
        )
    if problem := expect.first(expect.finite(gradient, "a gradient") for gradient in gradients):
        return problem
    still = [number for number, gradient in enumerate(gradients) if not bool(gradient.any())]
    if not still:
        return None
    before = module.state()
    module.student.call(module.student.define(NUDGE)["nudge"], module.ref, still)
    moved = module(*args, **kwargs)
    module.load_state(before)
    if expect.alike(_weighed(found.output, cotangent), _weighed(moved, cotangent)):
        return None
    return (
        f"The gradient is zero for {len(still)} of the {len(gradients)} parameter tensors, and yet "
        "the result changes with them. What it is drawn or made by on the way has no path back to "
        "them."
    )


def _weighed(output: Any, cotangent: Any) -> Any:
    """The parts of a result that a list of weights does not leave out."""
    if not isinstance(cotangent, list):
        return output
    return [part for part, weight in zip(output, cotangent, strict=True) if weight is not None]


def has_size(module: Module, want: int, what: str) -> str | None:
    """The number of parameters."""
    got = module.size()
    if got == want:
        return None
    if got == 0:
        return (
            f"{expect.upper(what)} has no parameters that PyTorch can see. Layers must be "
            "attributes of the module, or stand in an `nn.Sequential` or `nn.ModuleList`, not in "
            "a plain list."
        )
    side = "more" if got > want else "fewer"
    return (
        f"{expect.upper(what)} has {got:,} parameters, {abs(got - want):,} {side} than the table "
        "of layers gives. Compare channels, kernels, biases and normalisations row by row."
    )


def judges_rows_apart(ask: Callable[[Tensor], Any], batch: Tensor, what: str):
    """In evaluation mode an example's answer does not depend on its neighbours in the batch."""
    together = ask(batch)
    alone = ask(batch[:1])
    return expect.shape(alone, together[:1].shape, f"{what} for a batch of one") or expect.same(
        alone,
        together[:1],
        f"{expect.upper(what)} of an image changes with the other images of its batch, even in "
        "evaluation mode. Does a reshape mix the batch with another dimension?",
    )


def is_nonlinear(ask: Callable[[Tensor], Any], a: Tensor, b: Tensor, what: str):
    """ask(a) + ask(b) is not ask(a + b) + ask(0), as it would be without nonlinearities."""
    zero = torch.zeros_like(a)
    bend = ask(a) + ask(b) - ask(a + b) - ask(zero)
    size = (ask(a) - ask(zero)).abs().mean()
    if float(bend.abs().mean()) > 1e-3 * float(size):
        return None
    return (
        f"{expect.upper(what)} is a linear function of its input, so its layers are no better than "
        "one. What stands between them?"
    )


def is_raw(ask, batch: Tensor, what: str) -> str | None:
    """A network's output may be any real number: no activation stands after its last layer.

    Args:
        ask: gives the outputs (B, k) of a network in evaluation mode for a batch of inputs. Far
            out, networks of ReLUs and the like grow in proportion to their input.
        batch: at least six inputs, no two alike.
    """
    large, larger = ask(1e4 * batch), ask(1e5 * batch)
    if problem := expect.finite(large, what) or expect.finite(larger, what):
        return problem
    if float(large.min()) >= 0:
        return (
            f"{expect.upper(what)} is never negative. Is there an activation after the last layer?"
        )
    if float(large.max()) <= 0:
        return (
            f"{expect.upper(what)} is never positive. Is there an activation after the last layer?"
        )
    if float(larger.abs().max()) < 3 * float(large.abs().max()):
        return (
            f"{expect.upper(what)} does not grow beyond {float(larger.abs().max()):.3g}, however "
            "strong the input. Is there an activation after the last layer, or a clamp?"
        )
    curves = torch.cat([ask(1e3 * line) for line in lines(batch)], dim=1)
    # For the reference the ratio stayed within 0.84 and 1.19 in 300 runs; a leaky ReLU of slope
    # 0.2 makes it 4.2 to 6.
    if not 0.5 < expect.kinks_at_zero(curves) < 2:
        return (
            f"{expect.upper(what)} is damped where it is negative. Is there an activation after "
            "the last layer?"
        )
    return None


def lines(points: Tensor, steps: int = 161) -> list[Tensor]:
    """Straight lines of inputs, each from one of the first three points to one of the next three.

    None passes through zero, where a network that is scaled far out has all its kinks at once.
    """
    weights = torch.linspace(0, 1, steps).view(-1, *[1] * (points.ndim - 1))
    pairs = zip(points[:3], points[3:6], strict=True)
    return [start + (end - start) * weights for start, end in pairs]


def works_on_gpu(student: Student, target: Target, *args: Any, **kwargs: Any) -> str | None:
    """On a GPU a call comes to an end and gives tensors, which are there too.

    The arguments are those of `Student.on_gpu`. The call is one that works on the CPU: whatever
    else goes wrong with it is a `StudentError`, as from any other call.
    """
    places = _places_on_gpu(student, target, *args, **kwargs)
    if isinstance(places, str):
        return places
    return None if places else "On a GPU the result is not a tensor, but a tensor was expected."


def ends_on_gpu(student: Student, target: Target, *args: Any, **kwargs: Any) -> str | None:
    """The same of a call that may give plain numbers, such as a history of losses."""
    places = _places_on_gpu(student, target, *args, **kwargs)
    return places if isinstance(places, str) else None


def _places_on_gpu(student: Student, target: Target, *args: Any, **kwargs: Any) -> list[str] | str:
    """The places of the tensors that come back, or what is wrong."""
    try:
        places = student.on_gpu(target, *args, **kwargs)
    except StudentError as error:
        if not pretend.is_about_devices(error.message):
            raise
        return f"On a GPU this stops: {_where_devices_meet(error)}."
    if "cpu" not in places:
        return places
    part = "A part of the result" if "gpu" in places else "The result"
    return f"{part} is on the CPU, although the inputs are on the GPU."


def _where_devices_meet(error: StudentError) -> str:
    line = f"the line `{error.line}`" if error.line else "somewhere, a line"
    if error.message.endswith(pretend.MADE_HERE):
        return f"{line} makes a tensor on the CPU, while the others are on the GPU"
    if "numpy" in error.message:
        return f"{line} hands a tensor that is on the GPU to NumPy, which works on the CPU"
    if "ByteTensor" in error.message:
        return f"{line} needs the state on the CPU, on whatever device the generator draws"
    if "generator" in error.message:
        return f"{line} draws on one device with a generator that belongs to the other"
    return f"{line} brings a tensor that is on the CPU together with one that is on the GPU"


def spans_black_to_white(pixels: Tensor) -> str | None:
    """The far ends of a line of codes are both black and white."""
    least, most = float(pixels.min()), float(pixels.max())
    if least < 0.05 and most > 0.95:
        return None
    return (
        f"However extreme the code, pixels stay between {least:.2f} and {most:.2f}. Black and "
        "white should be within reach: what comes just before the last step, and is that step "
        "there once?"
    )


def reconstructs(model: Module, images: Tensor, want) -> str | None:
    """`reconstruct` as both assignments ask for it.

    Args:
        want: gives the right reconstruction, when the model is in evaluation mode.
    """
    # A pass in training mode moves BatchNorm's averages, so that the two modes differ.
    model.train()
    model(images)
    model.eval()
    expected = want()
    model.train()
    before = model.state()
    got = model.call("reconstruct", images, seed=1)
    return (
        expect.shape(got, images.shape, "the reconstruction")
        or expect.same(
            got,
            model.call("reconstruct", images, seed=2),
            "`reconstruct` gives something else at each call: something in it is random.",
        )
        or expect.same(
            got,
            expected,
            "For a model in training mode, `reconstruct` does not give what encoding and decoding "
            "in evaluation mode give.",
        )
        or expect.same(
            model.call("reconstruct", images[:1]),
            expected[:1],
            "A single image is reconstructed differently from the same image in a batch.",
        )
        or expect.same(
            model.state(), before, "`reconstruct` changes the model: its BatchNorm averages moved."
        )
        or keeps_modes(model, lambda: model.call("reconstruct", images), "`reconstruct`")
        or (
            "The reconstruction still holds on to the graph for gradients."
            if model.carries_graph("reconstruct", images)
            else None
        )
    )


def describe_loop(student: Student, probe: dict[str, Ref], model: Module, batches: int) -> str:
    """What a training loop did, in the order of the events that `TINY` noted; "" if all is well.

    It explains a failure and never makes one: the events are noted in the student's own process.
    """
    events = student.call(probe["events_of"], model.ref)
    forwards = [event for event in events if event in ("train", "eval")]
    backwards = [event for event in events if event.endswith("backward")]
    steps = [event for event in events if event.endswith("step")]
    if not forwards:
        return "The loss terms are never computed."
    if not backwards:
        return "No gradient is ever computed: the loss is not propagated back to the parameters."
    if not steps:
        return "The optimiser that was passed in never takes a step."
    if "eval" in forwards:
        return "The model is in evaluation mode while it is trained."
    if all(step == "empty step" for step in steps):
        return "Whenever the optimiser takes a step, the gradients are zero or gone."
    if len(steps) != batches:
        times = "one step" if len(steps) == 1 else f"{len(steps)} steps"
        return f"The optimiser took {times} in an epoch of {batches} batches."
    if "stale backward" in backwards:
        return (
            "When gradients are computed for a batch, those of the batch before are still there "
            "and the new ones are added to them."
        )
    return ""
