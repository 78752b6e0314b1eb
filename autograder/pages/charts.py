"""Charts as SVG: pure functions from numbers to text, with no script and nothing to load.

A chart is `WIDTH` units wide and scales by its viewBox: on a page that shows it no narrower than
that, its text has at least 12 px. Colours are those of feedback.css; none carries a meaning alone,
as each has its pattern, and a sign or a number beside it.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from autograder.notebooks import plain

WIDTH = 340.0
FONT = 13.0
INK, GRID, PAPER = "#1a1a1a", "#d5d9de", "#ffffff"
LINE = 18.0
"""From one line of text to the next."""

GAP = 12.0
ROW, BAR = 40.0, 14.0
"""Of horizontal bars: from one to the next, and how thick each is."""

PLOT_TOP, PLOT_LEFT, PLOT_HEIGHT = 44.0, 34.0, 130.0
"""Of a histogram: where the bars may begin, and how high they may be."""


@dataclass(frozen=True)
class Series:
    """One kind of a bar's parts.

    Attributes:
        words: what it is, for the legend.
        sign: stands before its numbers, so that they can be told apart without colour.
        colour: such as "#007a5e".
        pattern: "solid", "stripes", "cross", "dots" or "empty".
    """

    words: str
    sign: str
    colour: str
    pattern: str = "solid"


@dataclass(frozen=True)
class Row:
    """One horizontal bar: its name, and a number for each series."""

    label: str
    parts: tuple[float, ...]


@dataclass(frozen=True)
class Bin:
    """How many values lie from `low` to below `high`; in the last bin, to `high` itself."""

    low: float
    high: float
    count: int


def nice_step(span: float, most: int, whole: bool = False) -> float:
    """The smallest round step of which at most `most` cover a span.

    Args:
        span: what is to be covered.
        most: how many steps may be taken.
        whole: whether only whole numbers are steps.
    """
    rough = max(span / most, 1.0 if whole else 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    return next(power * factor for factor in factors if power * factor >= rough * (1 - 1e-9))


def binned(values: Iterable[float], high: float, most: int = 16) -> tuple[Bin, ...]:
    """Count values in equal round steps from 0 to `high` or a little beyond.

    Args:
        values: from 0 to `high`; what lies outside is counted at the end that it is nearest to.
        high: the largest value that can be.
        most: how many bins there may be.
    """
    step = nice_step(high, most) if high > 0 else 1.0
    number = max(1, math.ceil(high / step - 1e-9))
    counts = Counter(min(max(math.floor(value / step + 1e-9), 0), number - 1) for value in values)
    return tuple(
        Bin(round(index * step, 9), round((index + 1) * step, 9), counts[index])
        for index in range(number)
    )


def number(value: float) -> str:
    """A number as people write it: 3, 0.25, 1200."""
    return f"{round(value, 4):.10g}"


def histogram(
    id: str,
    title: str,
    bins: Sequence[Bin],
    across: str,
    up: str,
    mark: tuple[str, float] | None = None,
) -> str:
    """Vertical bars, side by side.

    Args:
        id: of the chart on its page.
        title: what is shown, for who cannot see it.
        bins: one at least.
        across, up: the names of the axes, with units.
        mark: a value on the axis across to draw a line at, and its name.
    """
    bottom, right = PLOT_TOP + PLOT_HEIGHT, WIDTH - GAP
    low, high = bins[0].low, bins[-1].high
    most = max(found.count for found in bins)
    step = nice_step(most, 4, whole=True)
    top = step * max(1, math.ceil(most / step))

    def x(value: float) -> float:
        return PLOT_LEFT + (right - PLOT_LEFT) * (value - low) / (high - low)

    def y(count: float) -> float:
        return bottom - PLOT_HEIGHT * count / top

    drawn = [_text(0, FONT, up)]
    for tick in _ticks(top, step):
        drawn.append(_line(PLOT_LEFT, y(tick), right, y(tick), GRID))
        drawn.append(_text(PLOT_LEFT - 6, y(tick) + 4, number(tick), "end"))
    counts = []
    for found in bins:
        left, width = x(found.low) + 1, x(found.high) - x(found.low) - 2
        height = bottom - y(found.count)
        drawn.append(_rect(left, y(found.count), width, height, "#0064a6", klass="bar"))
        words = str(found.count)
        if found.count and text_width(words) <= width + 2:
            counts.append(_text(left + width / 2, y(found.count) - 4, words, "middle"))
    drawn.append(_line(PLOT_LEFT, bottom, right, bottom, INK))
    for tick in _ticks(high, nice_step(high, 6)):
        drawn.append(_line(x(tick), bottom, x(tick), bottom + 4, INK))
        drawn.append(_centred(x(tick), bottom + 18, number(tick)))
    drawn.append(_text(right, bottom + 18 + LINE, across, "end"))
    if mark:
        drawn.append(_mark(mark[0], x(min(max(mark[1], low), high)), bottom))
    drawn.append(_with_halo(counts))
    told = "; ".join(
        f"{number(found.low)} to {number(found.high)}: {found.count}"
        for found in bins
        if found.count
    )
    return _svg(id, title, f"{up} by {across}. {told}.", bottom + 24 + LINE, drawn)


def bars(
    id: str, title: str, rows: Sequence[Row], series: Sequence[Series], axis: str, shares: bool
) -> str:
    """Horizontal bars, each under its name and its numbers.

    Args:
        id: of the chart on its page.
        title: what is shown, for who cannot see it.
        rows: the bars, from top to bottom.
        series: of what each bar is made up, from left to right.
        axis: the name of the axis, with its unit.
        shares: whether each bar is as long as the axis, its parts shares of it in percent; if not,
            all bars have one scale.
    """
    legend, top = _legend(id, series)
    most = max((sum(row.parts) for row in rows), default=0)
    step = 25.0 if shares else nice_step(most, 4, whole=True)
    end = 100.0 if shares else step * max(1, math.ceil(most / step))
    right, bottom = WIDTH - GAP, top + ROW * len(rows)
    ticks = [(tick, right * tick / end) for tick in _ticks(end, step)]
    drawn = [_pattern(id, index, kind) for index, kind in enumerate(series)] + legend
    for place, row in enumerate(rows):
        total = (sum(row.parts) or 1) if shares else end
        at = top + ROW * place
        drawn += [_line(x, at + LINE - 2, x, at + LINE + BAR + 4, GRID) for _, x in ticks]
        drawn += _bar(id, row, series, total, right, at, shares)
    drawn.append(_line(0, bottom, right, bottom, INK))
    for tick, x in ticks:
        drawn.append(_line(x, bottom, x, bottom + 4, INK))
        drawn.append(_centred(x, bottom + 18, number(tick)))
    drawn.append(_text(right, bottom + 18 + LINE, axis, "end"))
    return _svg(id, title, _told(rows, series, axis, shares), bottom + 24 + LINE, drawn)


def _bar(
    id: str,
    row: Row,
    series: Sequence[Series],
    total: float,
    length: float,
    top: float,
    shares: bool,
) -> list[str]:
    words = " ".join(
        f"{kind.sign}{value}"
        for kind, value in zip(series, _values(row, shares), strict=True)
        if value != "0"
    )
    words = words or ("nobody" if shares else "0")
    name = fitted(row.label, length - text_width(words) - GAP)
    drawn = [
        _text(0, top + FONT + 1, name),
        _text(length, top + FONT + 1, words, "end"),
    ]
    left = 0.0
    for index, (kind, part) in enumerate(zip(series, row.parts, strict=True)):
        width = length * part / total
        if part:
            drawn.append(
                _rect(left, top + LINE + 1, width, BAR, f"url(#{id}-{index})", kind.colour, "bar")
            )
        left += width
    return drawn


def _values(row: Row, shares: bool) -> list[str]:
    """The numbers of a bar's parts as they are written. A share of somebody is never a 0."""
    if not shares:
        return [number(part) for part in row.parts]
    percent = [100 * part / (sum(row.parts) or 1) for part in row.parts]
    return ["<1" if 0 < value < 0.5 else number(round(value)) for value in percent]


def _told(rows: Sequence[Row], series: Sequence[Series], axis: str, shares: bool) -> str:
    lines = (
        f"{row.label}: "
        + ", ".join(
            f"{value} {kind.words}"
            for kind, value in zip(series, _values(row, shares), strict=True)
        )
        for row in rows
    )
    return f"{axis}. {'; '.join(lines)}."


def _legend(id: str, series: Sequence[Series]) -> tuple[list[str], float]:
    """What the series are, in as many lines as that takes, and where these end."""
    if len(series) < 2:
        return [], 0.0
    drawn, x, y = [], 0.0, 0.0
    for index, kind in enumerate(series):
        words = f"{kind.sign} {kind.words}"
        width = 20 + text_width(words)
        if x and x + width > WIDTH:
            x, y = 0.0, y + LINE + 2
        drawn.append(_rect(x, y + 2, 14, 14, f"url(#{id}-{index})", kind.colour))
        drawn.append(_text(x + 20, y + FONT + 1, words))
        x += width + GAP
    return drawn, y + LINE + GAP


def _pattern(id: str, index: int, kind: Series) -> str:
    shapes = {
        "solid": f'<rect width="6" height="6" fill="{kind.colour}"/>',
        "stripes": f'<rect width="3" height="6" fill="{kind.colour}"/>',
        "cross": f'<path d="M0 1H6M1 0V6" stroke="{kind.colour}" stroke-width="2"/>',
        "dots": f'<circle cx="3" cy="3" r="1.6" fill="{kind.colour}"/>',
        "empty": "",
    }
    return (
        f'<pattern id="{id}-{index}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{PAPER}"/>'
        f"{shapes[kind.pattern]}</pattern>"
    )


def _mark(name: str, x: float, bottom: float) -> str:
    top = PLOT_TOP - LINE + 2
    halo, line = (_line(x, top, x, bottom, colour) for colour in (PAPER, "#b3400a"))
    return f'<g stroke-width="5">{halo}</g><g stroke-width="2">{line}</g>' + _centred(
        x, PLOT_TOP - LINE - 2, name
    )


def _ticks(end: float, step: float) -> list[float]:
    return [round(index * step, 9) for index in range(math.floor(end / step + 1e-9) + 1)]


def text_width(text: str) -> float:
    """About how wide a text is drawn; rather too wide than not wide enough."""
    return FONT * sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.56 for sign in text)


def fitted(text: str, room: float) -> str:
    """As much of a text as there is room for."""
    if text_width(text) <= room:
        return text
    while text and text_width(text) + FONT > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _svg(id: str, title: str, told: str, height: float, drawn: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {number(WIDTH)} {number(height)}" width="{number(WIDTH)}" '
        f'height="{number(height)}" role="img" aria-labelledby="{id}-title {id}-told" '
        f'font-size="{number(FONT)}" fill="{INK}">'
        f'<title id="{id}-title">{_escaped(title)}</title>'
        f'<desc id="{id}-told">{_escaped(told)}</desc>'
        f"{''.join(drawn)}</svg>"
    )


def _rect(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    stroke: str = "none",
    klass: str = "",
) -> str:
    named = f' class="{klass}"' if klass else ""
    return (
        f'<rect{named} x="{number(x)}" y="{number(y)}" width="{number(max(width, 0))}" '
        f'height="{number(max(height, 0))}" fill="{fill}" stroke="{stroke}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str) -> str:
    return (
        f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" '
        f'stroke="{stroke}"/>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}">{_escaped(words)}</text>'


def _with_halo(texts: Iterable[str]) -> str:
    """Text that can be read where a line runs through it."""
    halo = f'stroke="{PAPER}" stroke-width="3" paint-order="stroke"'
    return f"<g {halo}>{''.join(texts)}</g>"


def _centred(x: float, y: float, words: str) -> str:
    """Text below or above a place, moved aside where it would leave the picture."""
    half = text_width(words) / 2
    return _text(min(max(x, half), WIDTH - half), y, words, "middle")


def _escaped(text: str) -> str:
    return escape(plain(text))
