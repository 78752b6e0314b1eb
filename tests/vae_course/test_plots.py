"""Pictures: they are pictures, they say what they show, and the data in them is right."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import Image
from matplotlib import image as matplotlib_image
from matplotlib.axes import Axes

from vae_course.plots import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    plot_curves,
    plot_images,
    plot_interpolations,
    plot_latents,
    plot_reconstructions,
    plot_samples,
)

ZOOM = 3  # screen pixels for each pixel of a 28x28 image


def pixels(picture):
    """The picture as grey values, (height, width)."""
    return matplotlib_image.imread(io.BytesIO(picture.data))[..., :3].mean(-1)


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
    assert metadata["image/png"]["alt"] == picture.alt  # what a screen reader finds
    for word in words:
        assert word in picture.alt
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
    text = Axes.text
    monkeypatch.setattr(
        Axes, "text", lambda self, x, y, s, **kw: drawn.append(s) or text(self, x, y, s, **kw)
    )
    picture = plot_images(dark_images(3), "Three", captions=torch.tensor([7, 2, 1]).tolist())
    assert drawn == ["7", "2", "1"]
    check(picture, "Three", "7, 2, 1")
    drawn.clear()
    check(plot_interpolations(dark_images(10).view(2, 5, 1, 28, 28), "Walk"), "Walk", "2 rows of 5")
    assert [word for word in drawn if word] == ["start", "end"]
    drawn.clear()
    check(plot_reconstructions(dark_images(3), dark_images(3), "Again"), "Again", "3")
    assert drawn == ["input", "reconstruction"]


def test_reconstructions_and_interpolations_are_grids():
    assert tiles(plot_reconstructions(dark_images(12), dark_images(12), "T"), 0) == [2, 10]
    rows = dark_images(12).view(3, 4, 1, 28, 28)
    assert tiles(plot_interpolations(rows, "T"), 0) == [3, 4]


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
