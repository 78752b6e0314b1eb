"""Optimisers that take a whole step in one operation."""

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer, RMSprop

LONG_AGO = 1e6
"""Steps after which nothing is left of Adam's correction for its start at zero."""


class FusedRMSprop(Adam):
    """RMSprop in one operation: PyTorch fuses Adam's steps, and RMSprop is a special Adam.

    It is Adam that remembers no gradient (beta_1 = 0), and that never corrects its mean of squared
    gradients for having started at zero. That correction fades with the number of steps, so the
    count starts where it has faded.
    """

    def __init__(self, params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8) -> None:
        """Take over the parameters; the defaults are those of `torch.optim.RMSprop`.

        Args:
            params: as for any optimiser.
            lr: the size of a step.
            alpha: how much of the mean of squared gradients stays from step to step.
            eps: added to the root of that mean.
        """
        super().__init__(params, lr=lr, betas=(0.0, alpha), eps=eps, fused=True)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {
                    "step": torch.tensor(LONG_AGO, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }


def fused(optimizer: Optimizer) -> Optimizer:
    """An optimiser that takes the same steps, up to rounding, each in one operation.

    Args:
        optimizer: one that has not taken a step yet.

    Returns:
        For Adam the optimiser itself, told to do so; for RMSprop another one over the same
        parameters; any other as it is.
    """
    if isinstance(optimizer, Adam):
        for group in optimizer.param_groups:
            group["fused"], group["foreach"] = True, False
        return optimizer
    if type(optimizer) is RMSprop and len(optimizer.param_groups) == 1:
        (group,) = optimizer.param_groups
        if not (group["momentum"] or group["centered"] or group["weight_decay"]):
            parameters: list[Tensor] = group["params"]
            return FusedRMSprop(parameters, group["lr"], group["alpha"], group["eps"])
    return optimizer
