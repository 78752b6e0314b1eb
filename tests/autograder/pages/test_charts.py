"""Charts are true to their numbers, stay within the picture, and hold nothing but a picture."""

import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.pages import charts
from autograder.pages.charts import Bin, Row, Series

KINDS = (
    Series("all points", "✓", "#007a5e", "solid"),
    Series("some points", "◐", "#9a6700", "stripes"),
    Series("no points", "✗", "#b3400a", "cross"),
    Series("not attempted", "○", "#5b6570", "empty"),
    Series("waits", "✎", "#0064a6", "dots"),
)
EVIL = '</text><script>alert(1)</script><image href="x"/>&"'

spans = st.floats(0.01, 1e6)
counts = st.integers(0, 400)
LETTERS = st.characters(exclude_categories=["Cs", "Cn"])  # what XML, too, can hold


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def bars_of(svg: str) -> list[dict[str, float]]:
    return [
        {name: float(found.get(name)) for name in ("x", "y", "width", "height")}
        for found in tree(svg).iter("rect")
        if found.get("class") == "bar"
    ]


def texts_of(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in tree(svg).iter("text")]


def assert_within(svg: str) -> None:
    """Every rectangle, line and text lies in the picture."""
    _, _, width, height = map(float, tree(svg).get("viewBox").split())
    assert width == charts.WIDTH
    for found in tree(svg).iter():
        if found.tag == "rect" and found.get("x"):
            x, y, wide, high = (float(found.get(name)) for name in ("x", "y", "width", "height"))
            assert min(x, y, wide, high) >= 0
            assert x + wide <= width + 0.02 and y + high <= height + 0.02
        if found.tag == "line":
            assert all(0 <= float(found.get(name)) <= width for name in ("x1", "x2"))
            assert all(0 <= float(found.get(name)) <= height for name in ("y1", "y2"))
        if found.tag == "text":
            x, long = float(found.get("x")), charts.text_width("".join(found.itertext()))
            left = x - {"start": 0, "middle": 0.5, "end": 1}[found.get("text-anchor")] * long
            assert left >= -1 and left + long <= width + 1, "".join(found.itertext())
            assert 10 <= float(found.get("y")) <= height


@pytest.mark.parametrize(
    ("span", "most", "step"), [(29, 16, 2), (45, 16, 5), (24, 16, 2), (1, 4, 0.25), (0.3, 6, 0.05)]
)
def test_steps_are_round(span, most, step):
    assert charts.nice_step(span, most) == pytest.approx(step)


@given(spans, st.integers(1, 30), st.booleans())
def test_steps_cover_the_span_and_no_smaller_round_one_does(span, most, whole):
    step = charts.nice_step(span, most, whole)
    assert step * most >= span * (1 - 1e-6)
    assert step <= max(2.6 * span / most, 1.0 if whole else 0)
    if whole:
        assert step == int(step) >= 1


def test_a_value_at_an_edge_belongs_to_the_bin_above_and_the_highest_to_the_last():
    assert charts.binned([0, 0.99, 1, 3.999, 4], 4, most=4) == (
        *(Bin(0, 1, 2), Bin(1, 2, 1), Bin(2, 3, 0), Bin(3, 4, 2)),
    )


@given(spans.flatmap(lambda high: st.tuples(st.just(high), st.lists(st.floats(0, high)))))
def test_bins_hold_each_value_once_and_lie_side_by_side(drawn):
    high, values = drawn
    bins = charts.binned(values, high)
    assert sum(found.count for found in bins) == len(values)
    assert len(bins) <= 16 and bins[0].low == 0 and bins[-1].high >= high * (1 - 1e-6)
    assert all(left.high == right.low for left, right in zip(bins, bins[1:], strict=False))
    for found in bins:
        inside = sum(found.low <= value < found.high for value in values)
        at_edges = sum(
            math.isclose(value, edge, rel_tol=1e-6, abs_tol=1e-6)
            for value in values
            for edge in (found.low, found.high)
        )
        assert abs(found.count - inside) <= at_edges


def test_all_values_alike_or_zero_make_a_chart():
    assert [found.count for found in charts.binned([0.0] * 7, 0.0)] == [7]
    bins = charts.binned([29.0] * 7, 29)
    assert bins[-1].count == 7 and sum(found.count for found in bins) == 7


@given(spans, st.lists(counts, min_size=1, max_size=16), st.floats(-0.5, 1.5))
def test_the_bars_of_a_histogram_are_in_proportion_and_within_the_picture(high, tally, where):
    width = high / len(tally)
    bins = [Bin(place * width, (place + 1) * width, n) for place, n in enumerate(tally)]
    mark = (f"median {where * high:.2f}", where * high)
    svg = charts.histogram("h", "Title", bins, "points", "submissions", mark)
    assert_within(svg)
    found = bars_of(svg)
    assert len(found) == len(tally)
    highest = max(bar["height"] for bar in found)
    assert highest <= charts.PLOT_HEIGHT + 0.01
    assert highest >= charts.PLOT_HEIGHT / 3 or max(tally) == 0
    for bar, count in zip(found, tally, strict=True):
        assert bar["height"] * max(tally) == pytest.approx(highest * count, abs=0.1)
        assert bar["y"] + bar["height"] == pytest.approx(charts.PLOT_TOP + charts.PLOT_HEIGHT)
    places = [bar["x"] for bar in found]
    assert places == sorted(places) and len({round(bar["width"]) for bar in found}) <= 2


rows = st.lists(
    st.tuples(st.text(LETTERS, max_size=60), st.tuples(*[counts] * len(KINDS))), max_size=8
).map(lambda made: [Row(label, parts) for label, parts in made])


@given(rows, st.booleans())
def test_horizontal_bars_are_in_proportion_and_within_the_picture(made, shares):
    svg = charts.bars("b", "Title", made, KINDS, "students", shares)
    assert_within(svg)
    found, length = iter(bars_of(svg)), charts.WIDTH - charts.GAP
    most = max((sum(row.parts) for row in made), default=0)
    longest = 0.0
    for row in made:
        parts = [part for part in row.parts if part]
        widths = [next(found)["width"] for _ in parts]
        longest = max(longest, sum(widths))
        if shares and parts:
            assert sum(widths) == pytest.approx(length, abs=0.05)
        for part, width in zip(parts, widths, strict=True):
            assert width * sum(parts) == pytest.approx(sum(widths) * part, abs=1.0)
    assert next(found, None) is None
    if most and not shares:
        assert length / 3 <= longest <= length + 0.05


def test_numbers_stand_beside_the_bars_with_a_sign_for_each_kind():
    row = Row("kl", (6, 2, 1, 1, 0))
    assert "✓60 ◐20 ✗10 ○10" in texts_of(charts.bars("b", "T", [row], KINDS, "%", True))
    assert "✓6 ◐2 ✗1 ○1" in texts_of(charts.bars("b", "T", [row], KINDS, "students", False))
    nobody = Row("kl", (0, 0, 0, 0, 0))
    assert "nobody" in texts_of(charts.bars("b", "T", [nobody], KINDS, "%", True))


def test_no_two_kinds_of_bars_differ_by_colour_alone():
    svg = charts.bars("b", "T", [Row("kl", (1, 1, 1, 1, 1))], KINDS, "%", True)
    patterns = [ElementTree.tostring(found, "unicode") for found in tree(svg).iter("pattern")]
    for index, kind in enumerate(KINDS):
        patterns[index] = patterns[index].replace(kind.colour, "").replace(f"b-{index}", "")
        assert f"{kind.sign} {kind.words}" in texts_of(svg)
    assert len(set(patterns)) == len(KINDS)


def test_axes_have_names_and_who_can_not_see_is_told():
    bins = charts.binned([1, 1, 7], 8)
    svg = charts.histogram("h", "Points of the class", bins, "points, of 8", "submissions")
    assert {"points, of 8", "submissions"} <= set(texts_of(svg))
    root = tree(svg)
    assert root.get("role") == "img" and root.get("aria-labelledby") == "h-title h-told"
    assert [found.tag for found in root][:2] == ["title", "desc"]
    assert root.find("title").text == "Points of the class"
    assert "1 to 1.5: 2; 7 to 7.5: 1" in root.find("desc").text
    svg = charts.bars("b", "T", [Row("kl", (3,))], KINDS[:1], "students", False)
    assert "kl: 3 all points" in tree(svg).find("desc").text
    assert "students" in texts_of(svg) and "✓ all points" not in texts_of(svg)


def test_what_is_written_in_a_chart_is_only_text():
    svg = charts.bars(
        "b", EVIL, [Row(EVIL, (1, 0, 0, 0, 0)), Row("\x1b[2J\u202ex", (1, 0, 0, 0, 0))], KINDS,
        EVIL[:20], True,
    )  # fmt: skip
    assert {found.tag for found in tree(svg).iter()} <= {
        *("svg", "g", "title", "desc", "pattern", "rect", "line", "text", "path", "circle"),
    }
    assert "\x1b" not in svg and "\u202e" not in svg
    assert EVIL in tree(svg).find("title").text


@given(st.text(LETTERS, max_size=80), st.floats(0, 400))
def test_a_name_is_cut_to_its_room(text, room):
    cut = charts.fitted(text, room)
    assert charts.text_width(cut) <= max(room, charts.text_width("…")) or cut == text == ""
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
