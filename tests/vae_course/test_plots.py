"""Pictures: they are pictures, they say what they show, and the data in them is right."""

import base64
import html
import io
import re
import sys

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import Image
from matplotlib import image as matplotlib_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nbconvert import HTMLExporter

from vae_course.plots import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    LatentExplorer,
    explore_latents,
    plot_curves,
    plot_images,
    plot_interpolations,
    plot_latents,
    plot_manifold,
    plot_reconstructions,
    plot_samples,
    plot_thumbnails,
)

ZOOM = 3  # screen pixels for each pixel of a 28x28 image


def colours(picture):
    """The picture as a screen shows it, (height, width, 3), from 0 to 1."""
    return matplotlib_image.imread(io.BytesIO(picture.data))[..., :3]


def pixels(picture):
    """The picture as grey values, (height, width)."""
    return colours(picture).mean(-1)


def tiles(picture, count):
    """Find the black-edged tiles in a picture of images that are dark all over."""
    dark = pixels(picture) < 0.6
    columns = np.flatnonzero(dark.sum(0) >= 28 * ZOOM)
    rows = np.flatnonzero(dark.sum(1) >= 28 * ZOOM)
    return [len(np.split(run, np.flatnonzero(np.diff(run) > 1) + 1)) for run in (rows, columns)]


def check(picture, *words):
    assert isinstance(picture, Image) and picture.data.startswith(b"\x89PNG")
    bundle, metadata = picture._repr_mimebundle_()
    assert "image/png" in bundle
    alt = metadata["image/png"]["alt"]  # what a screen reader finds
    for word in words:
        assert word in alt
    assert pixels(picture).std() > 0.01


def dark_images(count):
    return torch.full((count, 1, 28, 28), 0.3)


@pytest.mark.parametrize("count, grid", [(1, [1, 1]), (8, [1, 8]), (13, [2, 8])])
def test_images_stand_in_rows(count, grid):
    picture = plot_samples(dark_images(count), "Drawn")
    check(picture, "Drawn", str(count))
    assert tiles(picture, count) == grid


def test_each_image_is_shown_as_it_is():
    image = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    image[0, 0, 0, 0] = image[0, 0, -1, -1] = 0  # black corners, to find it by
    shown = pixels(plot_images(image, "T"))
    bottom = shown.shape[0] - 5
    left = 10
    area = shown[bottom - 28 * ZOOM : bottom, left : left + 28 * ZOOM]
    seen = area.reshape(28, ZOOM, 28, ZOOM)[:, 1, :, 1]
    np.testing.assert_allclose(seen, image[0, 0].numpy(), atol=0.01)


def test_values_keep_their_meaning_from_picture_to_picture():
    """Grey stays grey: no picture is stretched to its own darkest and brightest pixel."""
    shown = pixels(plot_images(dark_images(1), "T"))
    assert np.isclose(shown, 0.3, atol=0.01).sum() >= (28 * ZOOM - 2) ** 2


def test_captions_and_titles_are_drawn(monkeypatch):
    drawn = []
    text = Figure.text
    monkeypatch.setattr(
        Figure, "text", lambda self, x, y, s, **kw: drawn.append(s) or text(self, x, y, s, **kw)
    )
    picture = plot_images(dark_images(3), "Three", captions=torch.tensor([7, 2, 1]).tolist())
    assert drawn == ["Three", "7", "2", "1"]
    check(picture, "Three", "7, 2, 1")
    drawn.clear()
    some = plot_images(dark_images(4), "Four", captions=["a", "", "", "b"])
    assert some.metadata["alt"].endswith("captioned a, b")
    none = plot_images(dark_images(2), "Two", captions=["", ""])
    assert "captioned" not in none.metadata["alt"]
    drawn.clear()
    check(plot_interpolations(dark_images(10).view(2, 5, 1, 28, 28), "Walk"), "Walk", "2 rows of 5")
    assert [word for word in drawn if word] == ["Walk", "start", "end"]
    drawn.clear()
    named = plot_interpolations(
        dark_images(6).view(2, 3, 1, 28, 28), "Steps", ["-1", "+0", "+1"], ["Hat", "Smile"]
    )
    check(named, "Steps", "2 rows of 3", "-1, +0, +1", "Hat, Smile")
    assert [word for word in drawn if word] == ["Steps", "-1", "+0", "+1", "Hat", "Smile"]
    drawn.clear()
    check(plot_reconstructions(dark_images(3), dark_images(3), "Again"), "Again", "3")
    assert drawn == ["Again", "input", "reconstruction"]


def test_reconstructions_and_interpolations_are_grids():
    assert tiles(plot_reconstructions(dark_images(12), dark_images(12), "T"), 0) == [2, 10]
    rows = dark_images(12).view(3, 4, 1, 28, 28)
    assert tiles(plot_interpolations(rows, "T"), 0) == [3, 4]


def test_images_as_bytes_stand_beside_floats():
    x = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    mixed, floats = (plot_reconstructions(side, x / 255, "T") for side in (x, x / 255))
    assert mixed.data == floats.data


def test_tensors_with_gradients_are_welcome_and_unchanged():
    x = dark_images(2).requires_grad_()
    codes = torch.randn(5, 2, requires_grad=True)
    check(plot_images(x, "T"))
    check(plot_reconstructions(x.detach(), x * 1, "T"))
    check(plot_interpolations((x * 1).view(1, 2, 1, 28, 28), "T"))
    check(plot_latents(codes, torch.arange(5), "T"))
    assert torch.equal(x, dark_images(2)) and x.requires_grad


@pytest.fixture
def lines(monkeypatch):
    """Every line that is plotted: its label, where it starts, its values."""
    seen = []
    plot = Axes.plot

    def watched(self, x, y, *args, **kwargs):
        seen.append((kwargs.get("label"), list(x), list(y)))
        return plot(self, x, y, *args, **kwargs)

    monkeypatch.setattr(Axes, "plot", watched)
    return seen


def test_curves_start_where_they_were_measured(lines):
    train = [{"loss": 3.0, "kl": 1.0}, {"loss": 2.0, "kl": 1.5}]
    held_out = [{"loss": 9.0, "kl": 0.0}, *train]
    picture = plot_curves({"train": train, "held_out": held_out}, ("loss", "kl"), "How it went")
    check(picture, "How it went", "nats", "KL", "1.5")
    assert lines == [
        ("training", [1, 2], [3.0, 2.0]),
        ("held out", [0, 1, 2], [9.0, 3.0, 2.0]),
        ("training", [1, 2], [1.0, 1.5]),
        ("held out", [0, 1, 2], [0.0, 1.0, 1.5]),
    ]
    lines.clear()
    plot_curves({"train": train, "held_out": train})
    assert lines[1] == ("held out", [1, 2], [3.0, 2.0])
    lines.clear()
    plot_curves({"train": [], "held_out": held_out[:1]}, "loss")
    assert lines == [("training", [], []), ("held out", [0], [9.0])]


def test_curves_accept_what_else_a_history_holds_and_tensors():
    history = {"train": [{"mse": torch.tensor(0.5)}], "held_out": [], "at_step": {"step": 3}}
    check(plot_curves(history, ("mse",), "T"), "mean squared error")


def test_curves_can_be_called_otherwise():
    history = {"train": [{"nll": 2.0, "kl": 1.0}], "held_out": []}
    words = plot_curves(history, ("nll", "kl"), "T", {"nll": "cross-entropy"}).metadata["alt"]
    assert "cross-entropy ends at 2" in words and "p(x|z)" not in words
    assert "KL (nats per image) ends at 1" in words


@given(st.integers(1, 40), st.integers(1, 10))
@settings(max_examples=8, deadline=None)
def test_latents_take_any_number_of_points_and_labels(count, classes):
    labels = torch.arange(count) % classes
    picture = plot_latents(torch.randn(count, 2), labels, "Codes")
    check(picture, "Codes", str(count), str(int(labels.max())))


def test_ten_classes_differ_in_colour_and_in_shape():
    assert len(set(CLASS_COLOURS)) == len(set(CLASS_MARKERS)) == 10


def nearest_pair(colours, matrix):
    linear = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    seen = np.clip((linear**2.2) @ matrix.T, 0, 1) ** (1 / 2.2)
    return min(np.linalg.norm(seen[i] - seen[j]) for i in range(len(seen)) for j in range(i))


# Machado, Oliveira and Fernandes 2009: what protanopes and deuteranopes see of linear RGB.
PROTANOPIA = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                       [-0.003882, -0.048116, 1.051998]])  # fmt: skip
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                         [-0.011820, 0.042940, 0.968881]])  # fmt: skip


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA])
def test_the_colour_blind_can_tell_the_colours_apart(matrix):
    assert nearest_pair(CLASS_COLOURS, matrix) > 0.15
    assert nearest_pair(["#d62728", "#2ca02c"], matrix) < nearest_pair(
        ["#D55E00", "#009E73"], matrix
    )


def test_no_global_figure_is_left_behind():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    plot_samples(dark_images(2))
    plot_curves({"train": [{"loss": 1.0}], "held_out": []})
    assert pyplot.get_fignums() == before


def flat(*colour, side=64):
    """An image of one colour."""
    return torch.tensor(colour).view(1, -1, 1, 1).expand(1, -1, side, side)


RED, GREEN, GREY = (0.9, 0.1, 0.2), (0.1, 0.7, 0.3), (0.3,)


def share(picture, colour):
    """How many screen pixels have just this colour."""
    rgb = colour * 3 if len(colour) == 1 else colour
    return int(np.isclose(colours(picture), rgb, atol=0.01).all(-1).sum())


@pytest.mark.parametrize("side", [28, 32, 64, 128])
def test_colour_images_keep_their_colours_in_every_picture(side):
    red, green = flat(*RED, side=side), flat(*GREEN, side=side)
    each = (side - 2) ** 2  # at least; edges fall between screen pixels
    for picture in (
        plot_images(torch.cat([red, green]), "T"),
        plot_samples(torch.cat([red, green]), "T"),
        plot_reconstructions(red, green, "T"),
        plot_interpolations(torch.stack([torch.cat([red, green])]), "T"),
        plot_manifold(torch.cat([red, green]), 2, "T"),
        plot_images((torch.cat([red, green]) * 255).round().to(torch.uint8), "T"),
    ):
        check(picture, "T")
        assert share(picture, RED) >= each and share(picture, GREEN) >= each
    assert share(plot_images(red, "T"), GREEN) == 0


def test_shapes_that_are_no_images_are_refused_by_name():
    for wrong in (torch.zeros(2, 784), torch.zeros(2, 4, 8, 8), torch.zeros(2, 28, 28, 1)):
        with pytest.raises(ValueError, match=re.escape(str(tuple(wrong.shape)))):
            plot_images(wrong, "T")


def test_numbers_out_of_range_and_not_numbers_do_not_spoil_a_picture(caplog):
    image = torch.full((1, 1, 28, 28), 0.3)
    image[0, 0, :4], image[0, 0, 4:8], image[0, 0, 8:12] = 7.0, -7.0, torch.nan
    shown = pixels(plot_images(image, "T"))
    bottom, left = shown.shape[0] - 5, 10
    area = shown[bottom - 28 * ZOOM : bottom, left : left + 28 * ZOOM]
    seen = area.reshape(28, ZOOM, 28, ZOOM)[:, 1, 14, 1]
    wanted = [1.0] * 4 + [0.0] * 4 + [1.0] * 4 + [0.3] * 16  # not a number is white, as paper is
    np.testing.assert_allclose(seen, wanted, atol=0.01)
    assert not caplog.records  # and matplotlib has nothing to complain of


def test_a_manifold_is_a_map_with_its_codes_on_the_axes(monkeypatch):
    shown = []
    imshow = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda self, *a, **kw: shown.append(kw) or imshow(self, *a, **kw)
    )
    upper, lower = flat(*RED, side=28), flat(*GREEN, side=28)
    picture = plot_manifold(torch.cat([upper] * 3 + [lower] * 3), 3, "Map", (-1, 1, -2, 2))
    check(picture, "Map", "2 rows of 3", "from -1 to 1", "from -2 to 2")
    # Two rows whose middles lie at -2 and 2 are 4 high each; three columns are 1 wide each.
    assert shown[0]["extent"] == (-1.5, 1.5, -4, 4)
    seen = colours(picture)
    rows = [np.isclose(seen, c, atol=0.01).all(-1).any(1).nonzero()[0] for c in (RED, GREEN)]
    assert rows[0].max() < rows[1].min()  # the first row of images is the upper one
    check(plot_manifold(torch.cat([upper, lower]), 1, "No numbers"), "2 rows of 1")
    with pytest.raises(ValueError, match="rows of 3"):
        plot_manifold(torch.cat([upper] * 4), 3, "T")


def test_a_big_manifold_has_a_screen_pixel_for_each_pixel():
    picture = plot_manifold(dark_images(400), 20, "T")
    assert share(picture, GREY) >= (20 * 28 - 4) ** 2  # but for the frame
    assert max(pixels(picture).shape) < 700


def test_thumbnails_stand_where_their_positions_are():
    places = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    images = torch.cat([flat(*RED), flat(*GREEN), flat(0.2, 0.3, 0.9)])
    picture = plot_thumbnails(places, images, "Where")
    check(picture, "Where", "3 small images")
    seen = colours(picture)
    middles = [
        np.argwhere(np.isclose(seen, colour, atol=0.02).all(-1)).mean(0)
        for colour in (RED, GREEN, (0.2, 0.3, 0.9))
    ]  # (row, column) of each
    assert abs(middles[0][0] - middles[1][0]) < 2 and middles[0][1] < middles[1][1] - 100
    assert middles[2][0] < middles[0][0] - 100
    assert abs(middles[2][1] - (middles[0][1] + middles[1][1]) / 2) < 2
    check(plot_thumbnails(torch.randn(5, 2), dark_images(5), "Grey"), "5")
    with pytest.raises(ValueError, match=r"\(5, 2\), not \(5, 3\)"):
        plot_thumbnails(torch.zeros(5, 3), dark_images(5), "T")


def test_latents_can_go_by_names():
    names = ["coat", "bag", "shoe"]
    picture = plot_latents(torch.randn(6, 2), torch.tensor([0, 0, 2, 2, 0, 2]), "T", names)
    check(picture, "coat, shoe")
    assert "bag" not in picture._repr_mimebundle_()[1]["image/png"]["alt"]
    smiles = plot_latents(torch.randn(4, 2), torch.tensor([True, False, True, True]), "T", "ab")
    check(smiles, "labels a, b")


def lamp(codes):
    """A decoder whose image is as bright as the logistic function of the code's first numbers."""
    assert not torch.is_grad_enabled()
    return (
        torch.sigmoid(codes @ torch.tensor([1.0, 0.5, 0.0, 0.0, 2.0]))
        .view(-1, 1, 1, 1)
        .expand(-1, 1, 4, 4)
    )


def shown_brightness(explorer):
    data = re.search(r"base64,([^\"]+)", explorer.picture.value).group(1)
    return float(matplotlib_image.imread(io.BytesIO(base64.b64decode(data)))[..., :3].mean())


def shown_text(explorer):
    return html.unescape(re.search(r'alt="([^"]+)"', explorer.picture.value).group(1))


@pytest.fixture
def not_grading(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def test_sliders_move_the_picture_and_reset_puts_it_back(not_grading):
    start = torch.tensor([0.3, -0.7, 0.0, 0.0, 0.0])
    explorer = explore_latents(lamp, start, 'A "lamp" <dimmed>')
    assert isinstance(explorer, LatentExplorer) and len(explorer.sliders) == 4

    def expect(*code):
        code = torch.tensor(code)
        torch.testing.assert_close(explorer.code, code)
        wanted = torch.sigmoid(code @ torch.tensor([1.0, 0.5, 0.0, 0.0, 2.0])).item()
        assert shown_brightness(explorer) == pytest.approx(wanted, abs=1 / 255)

    expect(0.3, -0.7, 0.0, 0.0, 0.0)
    assert "z[0] = 0.3, z[1] = -0.7" in shown_text(explorer)
    before = explorer.picture.value
    explorer.sliders[0].value = 2.0
    expect(2.0, -0.7, 0.0, 0.0, 0.0)
    assert 'A "lamp" <dimmed>' in shown_text(explorer) and "z[0] = 2.0" in shown_text(explorer)
    assert explorer.picture.value != before
    explorer.sliders[1].value = 3.0
    expect(2.0, 3.0, 0.0, 0.0, 0.0)
    explorer.reset.click()
    assert explorer.picture.value == before and torch.equal(explorer.code, start)
    assert torch.equal(start, torch.tensor([0.3, -0.7, 0.0, 0.0, 0.0]))  # the caller's own


def test_sliders_say_what_they_move_and_reach_the_start(not_grading):
    start = torch.tensor([0.0, 4.5, 0.0, 0.0, -0.5])
    explorer = explore_latents(lamp, start, "T", limit=2, dims=[4, 1])
    assert [slider.description for slider in explorer.sliders] == ["z[4]", "z[1]"]
    assert [(slider.min, slider.max) for slider in explorer.sliders] == [(-2, 2), (-2, 4.5)]
    assert [slider.value for slider in explorer.sliders] == [-0.5, 4.5]
    explorer.sliders[0].value = 1.0
    assert explorer.code.tolist() == [0.0, 4.5, 0.0, 0.0, 1.0]
    short = explore_latents(lambda z: z.view(-1, 1, 1, 1), torch.tensor([[0.5]]), "T")
    assert len(short.sliders) == 1  # fewer dimensions than the four it would take


def test_a_front_end_is_offered_sliders_and_a_still_picture(not_grading):
    explorer = explore_latents(lamp, torch.zeros(5), "Lamp", limit=2)
    data, metadata = explorer._repr_mimebundle_(include=None, exclude=None)
    view = data["application/vnd.jupyter.widget-view+json"]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": explorer.widget.model_id}
    alt = metadata["image/png"]["alt"]
    assert data["text/plain"] == alt and "Lamp" in alt and "z[0], z[1], z[2], z[3]" in alt
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")

    # On a page without the widgets' state, the still picture is what stands there.
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    assert data["image/png"].strip()[:200] in page.replace("\n", "")
    assert alt in html.unescape(page) and view["model_id"] not in page


@pytest.mark.parametrize("why", ["grading", "no ipywidgets"])
def test_without_sliders_a_grid_shows_the_same_walks(monkeypatch, not_grading, why):
    if why == "grading":
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    else:
        monkeypatch.setitem(sys.modules, "ipywidgets", None)  # what an import then finds
    asked = []

    def decode(codes):
        asked.append(codes)
        return lamp(codes)

    start = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    picture = explore_latents(decode, start, "Walks", limit=1.5, dims=[0, 3])
    check(picture, "Walks", "7 decoded images", "z[0], z[3]", "-1.5 to 1.5")
    (codes,) = asked
    assert codes.shape == (14, 5)
    for row, dim in enumerate((0, 3)):
        walk = codes[7 * row : 7 * row + 7]
        torch.testing.assert_close(walk[:, dim], torch.linspace(-1.5, 1.5, 7))
        others = [i for i in range(5) if i != dim]
        assert torch.equal(walk[:, others], start[others].expand(7, 4))


def test_a_picture_says_the_same_to_the_ipython_of_colab():
    """Its Image takes no argument `alt`: the text must travel as metadata."""
    picture = plot_images(dark_images(1), "T")
    assert picture.metadata["alt"] == "T: 1 in rows of 1"
