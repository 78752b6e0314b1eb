"""Optimisers in one operation against PyTorch's own."""

import copy

import pytest
import torch
from torch import nn

from vae_course.fused import FusedRMSprop, fused
from vae_course.keras_fit import KerasAdam


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (torch.optim.RMSprop, {"lr": 1e-3}),
        (torch.optim.RMSprop, {"lr": 1e-2, "alpha": 0.9, "eps": 1e-3}),
        (torch.optim.Adam, {"lr": 1e-3}),
        (KerasAdam, {"lr": 1e-3}),
    ],
)
def test_the_same_steps(make, settings):
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
    other = copy.deepcopy(one)
    before = copy.deepcopy(one)
    steps = ((one, make(one.parameters(), **settings)),)
    steps += ((other, fused(make(other.parameters(), **settings))),)
    assert steps[1][1].param_groups[0]["fused"]
    for _ in range(50):
        x = torch.randn(16, 20)
        for model, optimizer in steps:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    for a, b, start in zip(*(m.parameters() for m in (one, other, before)), strict=True):
        assert (a - start).abs().max() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_what_can_not_be_fused_stays():
    weights = [nn.Parameter(torch.ones(3))]
    for optimizer in (
        torch.optim.SGD(weights, lr=0.1),
        torch.optim.RMSprop(weights, momentum=0.9),
        torch.optim.RMSprop(weights, centered=True),
        torch.optim.RMSprop(weights, weight_decay=0.1),
    ):
        assert fused(optimizer) is optimizer
    assert type(fused(torch.optim.RMSprop(weights))) is FusedRMSprop
