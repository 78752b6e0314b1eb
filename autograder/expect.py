"""Expectations about wire values that say, when they fail, what was seen.

Each returns None when it is met, else one or two plain sentences for the student: what was observed
(a shape, a ratio, a sign, which rows) and where to look; never the right value, and no formula.
They chain with `or`: `return expect.shape(...) or expect.close(...)`.

`what` names the thing looked at, as it stands after "is": "your KL", "the gradient of the loss".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.student import Ref, unfit

RTOL = 1e-4
"""Float32 keeps 7 digits; sums in another order, or another formula, lose 2 of them. Mistakes are
larger: the mildest in the course, a biased variance for an unbiased one, is avoided by design."""

ATOL = 1e-5
"""For values near zero, where sums of numbers of size one cancel."""

STANDARD_ERRORS = 6
"""How far a random answer may stray. A correct one strays further once in 500 million."""


def first(problems: Iterable[str | None]) -> str | None:
    """The first problem there is; what comes after it is not looked at any more."""
    return next((problem for problem in problems if problem), None)


def tensor(value: Any, what: str) -> str | None:
    """`value` is a tensor."""
    if isinstance(value, Tensor):
        return None
    return f"{upper(what)} is {describe(value)}, where a tensor was expected."


def shape(value: Any, want: Sequence[int], what: str, meaning: str = "") -> str | None:
    """`value` is a tensor of the shape `want`; `meaning` says it in words."""
    if problem := tensor(value, what):
        return problem
    got, want = tuple(value.shape), tuple(want)
    if got == want:
        return None
    seen = f"{upper(what)} has the shape {got}" + (", a single number" if got == () else "")
    words = f", {meaning}," if meaning else ""
    return f"{seen}, where {want}{words} was expected.{_shape_hint(got, want)}"


def needed(value: Any, want: Sequence[int], what: str) -> Tensor:
    """`value` as finite floats of the shape `want`, for a test that goes on to compute with it.

    Raises:
        StudentError: it is something else; the message says what.
    """
    if problem := shape(value, want, what) or finite(value, what):
        raise unfit(problem)
    return value.float()


def finite(value: Any, what: str) -> str | None:
    """`value` holds neither NaN nor infinity."""
    if problem := tensor(value, what):
        return problem
    bad = int((~torch.isfinite(value)).sum())
    if not bad:
        return None
    kind = "NaN" if torch.isnan(value).any() else "infinite"
    return (
        f"{upper(what)} is {kind} in {bad} of {value.numel()} places. Look for a logarithm or a "
        "division of something that can reach zero, and for an exponential of something large."
    )


def close(
    got: Any,
    want: Tensor,
    what: str,
    *,
    sizes: Mapping[str, int] | None = None,
    meaning: str = "",
    rtol: float = RTOL,
    atol: float = ATOL,
) -> str | None:
    """`got` equals `want` within float32's accuracy; otherwise says how the two are related.

    Args:
        sizes: numbers that a wrong factor is compared with, such as {"latent dimensions": 5}: a
        mean
            in place of a sum is off by one of them.
        meaning: the expected shape in words.
        rtol, atol: as in `torch.allclose`.
    """
    if problem := shape(got, want.shape, what, meaning) or finite(got, what):
        return problem
    if alike(got, want, rtol=rtol, atol=atol):
        return None
    return f"{upper(what)} {_relation(got.double(), want.double(), sizes or {}, rtol, atol)}"


def number(
    got: Any, want: float, what: str, *, rtol: float = RTOL, atol: float = ATOL
) -> str | None:
    """`got` is a number (or a tensor of one) equal to `want`."""
    value = as_number(got)
    if value is None:
        return f"{upper(what)} is {describe(got)}, where a number was expected."
    if math.isnan(value) or math.isinf(value):
        return f"{upper(what)} is {value}."
    if abs(value - want) <= atol + rtol * abs(want):
        return None
    if want and abs(value / want + 1) <= rtol:
        return f"{upper(what)} has the right size and the wrong sign."
    if want and value:
        return f"{upper(what)} is {_times(value / want)} the right value."
    return f"{upper(what)} is {value:.4g}, which is {_direction(value - want)}."


def gradient(
    got: Tensor | None,
    want: Tensor,
    what: str,
    *,
    sizes: Mapping[str, int] | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> str | None:
    """A gradient arrives, and is the right one. `what` names the quantity it belongs to."""
    if got is None:
        return no_gradient(what)
    name = f"the gradient with respect to {what}"
    return close(got, want, name, sizes=sizes, rtol=rtol, atol=atol)


def no_gradient(what: str) -> str:
    return (
        f"No gradient reaches {what}: on the way the computation is cut off from it. Look for "
        "`detach`, `.item()`, `.data`, `no_grad`, a new tensor made from numbers, or a draw that "
        "cannot be differentiated."
    )


def within(value: Any, low: float, high: float, what: str, hint: str = "") -> str | None:
    """Every number of a tensor lies in [low, high]."""
    if problem := finite(value, what):
        return problem
    if value.numel() == 0:
        return f"{upper(what)} is empty."
    least, most = float(value.min()), float(value.max())
    if least >= low and most <= high:
        return None
    return f"{upper(what)} reaches from {least:.3g} to {most:.3g}.{_and(hint)}"


def same(first: Any, second: Any, otherwise: str) -> str | None:
    """Two results are equal; `otherwise` is the whole message."""
    return None if alike(first, second) else otherwise


def different(first: Any, second: Any, otherwise: str) -> str | None:
    """Two results differ; `otherwise` is the whole message."""
    return otherwise if alike(first, second, rtol=0, atol=0, nan=True) else None


def estimate(got: Tensor, want: Tensor, standard_error: Tensor, what: str) -> str | None:
    """A random `got` is `want` on average: within six of its standard errors, number by number."""
    if problem := shape(got, want.shape, what) or finite(got, what):
        return problem
    limit = STANDARD_ERRORS * standard_error
    if bool(((got - want).abs() <= limit).all()):
        return None
    for ratio in (-1.0, 0.5, 2.0, -2.0, -0.5):
        if bool(((got - ratio * want).abs() <= abs(ratio) * limit).all()):
            sign = "has the wrong sign" if ratio == -1 else f"is {_times(ratio)} the right value"
            return f"{upper(what)} {sign} on average."
    return f"{upper(what)} is, on average, {_direction_all(got, want)}."


def standard_normal(noise: Tensor, what: str) -> str | None:
    """The rows of `noise` (N, k) are independent draws from N(0, I).

    Looks at means, variances, correlations between columns, equal rows and columns, and the fourth
    moment (which is 3 for a normal, 1.8 for a uniform distribution), each within six standard
    errors.
    """
    count, width = noise.shape
    noise = noise.double()
    if alike(noise, noise[:1].expand_as(noise)):
        return f"{upper(what)} is one and the same for every example; each needs a draw of its own."
    if width > 1 and alike(noise, noise[:, :1].expand_as(noise), rtol=1e-3, atol=1e-3):
        return (
            f"{upper(what)} is one number for a whole row; every dimension needs a draw of its own."
        )
    mean, spread = noise.mean(0), noise.std(0)
    if float(mean.abs().max()) > STANDARD_ERRORS / math.sqrt(count):
        worst = float(mean[mean.abs().argmax()])
        return f"{upper(what)} has mean {worst:.2f} in some dimension, where 0 was expected."
    if float((spread - 1).abs().max()) > STANDARD_ERRORS / math.sqrt(2 * count):
        worst = float(spread[(spread - 1).abs().argmax()])
        return (
            f"{upper(what)} has standard deviation {worst:.2f} in some dimension, "
            "where 1 was expected."
        )
    if width > 1:
        correlation = torch.corrcoef(noise.T) - torch.eye(width, dtype=noise.dtype)
        if float(correlation.abs().max()) > STANDARD_ERRORS / math.sqrt(count):
            return f"{upper(what)} is correlated between dimensions; they need separate draws."
    fourth = float(((noise - mean) / spread).pow(4).mean())
    if abs(fourth - 3) > STANDARD_ERRORS * math.sqrt(24 / noise.numel()):
        return (
            f"{upper(what)} has the right mean and spread and not the shape of a normal "
            "distribution. Which distribution is it drawn from?"
        )
    return None


def kinks_at_zero(curves: Tensor) -> float:
    """How much the slope of curves changes where they pass through zero.

    Args:
        curves: (T, n), n quantities along a line of inputs.

    Returns:
        The median over the crossings of (slope above zero) / (slope below zero): about 1 for a
        quantity that nothing is applied to, 1/slope after a leaky ReLU; 1.0 if nothing crosses.
    """
    steps = curves.double().diff(dim=0)
    before, after, left, right = steps[:-2], steps[2:], curves[1:-2], curves[2:-1]
    rising, falling = (left < 0) & (right > 0), (left > 0) & (right < 0)
    above = torch.where(rising, after, before)
    below = torch.where(rising, before, after)
    crossing = (rising | falling) & (above * below > 0)
    return float((above / below)[crossing].median()) if crossing.any() else 1.0


def alike(
    first: Any, second: Any, *, rtol: float = RTOL, atol: float = ATOL, nan: bool = False
) -> bool:
    """Whether two wire values are equal, tensors and numbers within a tolerance.

    NaN is equal to nothing, or, with `nan`, to NaN.
    """
    settings = {"rtol": rtol, "atol": atol, "nan": nan}
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and torch.allclose(
            first.double(), second.double(), rtol=rtol, atol=atol, equal_nan=nan
        )
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(
            alike(a, b, **settings) for a, b in zip(first, second, strict=True)
        )
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            alike(first[key], second[key], **settings) for key in first
        )
    if isinstance(first, int | float) and isinstance(second, int | float):
        try:
            near = math.isclose(first, second, rel_tol=rtol, abs_tol=atol)
        except OverflowError:  # a whole number that no float can hold
            return first == second
        return near or (nan and first != first and second != second)
    return type(first) is type(second) and not isinstance(first, Ref) and first == second


def as_number(value: Any) -> float | None:
    """A number, or the only number of a tensor, as a float."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # a whole number that no float can hold
            return math.inf if value > 0 else -math.inf
    return None


def describe(value: Any) -> str:
    """What kind of thing `value` is, in a few words."""
    match value:
        case None:
            return "None (is a `return` missing?)"
        case Tensor():
            return f"a tensor of shape {tuple(value.shape)}"
        case bool() | int() | float():
            return f"a plain number ({type(value).__name__})"
        case str():
            return "a string"
        case list() | tuple():
            return f"a {type(value).__name__} of {len(value)}"
        case dict():
            return f"a dict with the keys {sorted(map(str, value))}"
        case Ref():
            return f"an object of type {value.type_name}"
    return f"an object of type {type(value).__name__}"


def _relation(got: Tensor, want: Tensor, sizes: Mapping[str, int], rtol: float, atol: float) -> str:
    """How wrong values relate to the right ones, as the end of a sentence."""
    # Patterns are recognised a little more loosely than right values are.
    rtol, atol = 10 * rtol, 10 * atol
    wrong = ~torch.isclose(got, want, rtol=rtol, atol=atol)
    if not bool(wrong.any()):
        return f"is right to about {_accuracy(got, want)} only, less than float32 allows."
    if not bool(got.any()):
        return "is zero everywhere."
    clear = want.abs() > 100 * atol
    if int(clear.sum()) > 1 and float(want[clear].std()) > 100 * atol:
        ratio = float((got[clear] / want[clear]).median())
        if alike(got, ratio * want, rtol=rtol, atol=atol):
            if abs(ratio + 1) <= rtol:
                return "has the right size and the wrong sign, everywhere."
            return (
                f"is {_times(ratio)} the right value, everywhere.{_size_hint(ratio, sizes, rtol)}"
            )
        offset = float((got - want).median())
        if alike(got - want, torch.full_like(got, offset), rtol=rtol, atol=atol):
            side = "too large" if offset > 0 else "too small"
            return (
                f"is {side} by the same amount everywhere: a constant is missing, or one too many."
            )
    if got.ndim and len(got) > 1 and alike(got, got[:1].expand_as(got)):
        if not alike(want, want[:1].expand_as(want)):
            return "is the same for every example, though the examples differ."
    if got.ndim and 0 < int(wrong.sum()) < wrong.numel():
        return f"is wrong in {int(wrong.sum())} of {wrong.numel()} places{_where(wrong)}."
    return f"is {_direction_all(got, want)}."


def _where(wrong: Tensor) -> str:
    """Says so if the wrong places make up whole rows or whole columns."""
    if wrong.ndim != 2:
        return ""
    rows, columns = wrong.any(1), wrong.any(0)
    if bool((wrong == rows[:, None]).all()) and 2 * int(rows.sum()) <= len(rows):
        return f": in row {_listed(rows)} and in no other (counted from 0)"
    if bool((wrong == columns[None, :]).all()) and 2 * int(columns.sum()) <= len(columns):
        return f": in column {_listed(columns)} and in no other (counted from 0)"
    return ""


def _listed(flags: Tensor) -> str:
    return ", ".join(str(int(index)) for index in flags.nonzero())


def _direction_all(got: Tensor, want: Tensor) -> str:
    if bool((got > want).all()):
        return f"too large everywhere, {_share(got, want)}"
    if bool((got < want).all()):
        return f"too small everywhere, {_share(got, want)}"
    return (
        f"wrong everywhere, too large in some places and too small in others, {_share(got, want)}"
    )


def _share(got: Tensor, want: Tensor) -> str:
    size = float(want.abs().mean())
    if size == 0:
        return "where it should be zero"
    share = float((got - want).abs().mean()) / size
    if share < 0.1:
        return f"by {100 * share:.1g} %"
    return f"by {100 * share:.0f} %" if share < 2 else f"by {share:.2g} times its size"


def _direction(difference: float) -> str:
    return "too large" if difference > 0 else "too small"


def _accuracy(got: Tensor, want: Tensor) -> str:
    worst = float(((got - want).abs() / want.abs().clamp_min(1e-12)).max())
    return f"one part in {max(1, round(1 / worst)):,}" if worst else "all digits"


def _times(ratio: float) -> str:
    names = {2.0: "twice", 0.5: "half", -2.0: "minus twice", -0.5: "minus half"}
    for value, name in names.items():
        if abs(ratio / value - 1) < 1e-3:
            return name
    if 0 < abs(ratio) < 0.4:
        return f"{1 / ratio:.4g} times smaller than"
    return f"{ratio:.4g} times"


def _size_hint(ratio: float, sizes: Mapping[str, int], rtol: float) -> str:
    for name, size in sizes.items():
        if size > 2 and abs(abs(ratio) * size - 1) <= rtol:
            return f" There are {size} {name} here: is a mean taken where a sum is asked for?"
        if size > 2 and abs(abs(ratio) / size - 1) <= rtol:
            return f" There are {size} {name} here: is a sum taken where a mean is asked for?"
    return ""


def _shape_hint(got: tuple[int, ...], want: tuple[int, ...]) -> str:
    if len(got) < len(want) and _squeezed(got) == _squeezed(want):
        return " A dimension of size one was squeezed away."
    if got == () and len(want) == 1:
        return " Reduce over the dimensions of one example only, not over the batch."
    if len(got) == len(want) and sorted(got) == sorted(want):
        return " Two dimensions are swapped."
    if len(got) > len(want) and got[: len(want)] == want:
        return " Some dimension still has to be reduced."
    if len(got) == 1 == len(want):
        return " Is the reduction over the right dimension?"
    return ""


def _squeezed(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]


def _and(hint: str) -> str:
    return f" {hint}" if hint else ""


def upper(text: str) -> str:
    """`text` as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
