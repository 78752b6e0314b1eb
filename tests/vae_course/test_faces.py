"""Drawn faces: the same ones every time, all different, and showing what they are said to show."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score

from vae_course.faces import DRAWN_ATTRIBUTES, draw_faces


@pytest.fixture(scope="module")
def faces():
    images, attributes = draw_faces()
    return images, dict(zip(DRAWN_ATTRIBUTES, attributes.T, strict=True))


def test_a_thousand_different_faces(faces):
    images, shown = faces
    assert images.shape == (1000, 3, 64, 64) and images.dtype == torch.uint8
    assert all(column.dtype == torch.bool and column.shape == (1000,) for column in shown.values())
    assert len(torch.unique(images.flatten(1), dim=0)) == 1000
    # In colour, and never washed out: the three channels differ, and most of the range is used.
    assert (images[:, 0].float() - images[:, 2].float()).abs().mean() > 10
    assert images.min() < 30 and images.max() > 240


def test_the_seed_decides_and_more_faces_begin_with_the_same(faces):
    images, _ = faces
    state = torch.get_rng_state()
    fewer, attributes = draw_faces(count=73)
    assert torch.equal(fewer, images[:73]) and attributes.shape == (73, len(DRAWN_ATTRIBUTES))
    assert torch.equal(state, torch.get_rng_state())  # nobody else's random numbers are used up
    assert not torch.equal(draw_faces(count=73, seed=1)[0], fewer)
    assert draw_faces(count=0)[0].shape == (0, 3, 64, 64)


def test_each_attribute_is_common_enough_to_learn_and_hair_has_one_colour(faces):
    _, shown = faces
    for name, column in shown.items():
        assert 0.12 < column.float().mean() < 0.6, name
    colours = torch.stack([column for name, column in shown.items() if name.endswith("_Hair")])
    assert (colours.sum(0) == 1).all()


@pytest.mark.parametrize("size", [16, 32, 128])
def test_any_size_shows_the_same_face(size):
    small = F.interpolate(draw_faces(8)[0].float(), size=16, mode="area")
    other = F.interpolate(draw_faces(8, size)[0].float(), size=16, mode="area")
    assert (small - other).abs().mean() < 4  # of 255


def area_under_roc(measured, has):
    """The chance that a face that has something measures more than one that has not."""
    return roc_auc_score(has.numpy(), measured.numpy())


def test_attributes_are_in_the_picture_where_they_belong(faces):
    images, shown = faces
    grey = images.float().mean(1)
    teeth = grey[:, 42:48, 26:38].amax((1, 2))
    frames = (grey[:, 26:36, 12:52] < 45).float().mean((1, 2))
    above_the_head = (grey[:, 2:10, 20:44] - grey[:, 2:10, :6].mean((1, 2), keepdim=True)).abs()
    for name, measured in (
        ("Smiling", teeth),
        ("Eyeglasses", frames),
        ("Wearing_Hat", above_the_head.mean((1, 2))),
    ):
        assert area_under_roc(measured, shown[name]) > 0.75, name


def test_a_straight_line_through_pixel_space_finds_each_attribute(faces):
    """On faces it never saw. What even that can see, a VAE's code can hold."""
    images, shown = faces
    x = F.interpolate(images.float() / 255, size=32, mode="area").flatten(1)
    for name, column in shown.items():
        model = RidgeClassifier(alpha=100.0).fit(x[:800], column[:800])
        seen = torch.from_numpy(model.decision_function(x[800:]))
        assert area_under_roc(seen, column[800:]) > 0.8, name
