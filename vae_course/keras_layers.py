"""Keras's layers in PyTorch: with the same weights the two give the same numbers.

The padding is TensorFlow's, the initial weights are Glorot's.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow's padding "same" puts before and after a line of pixels.

    The rule (TensorFlow's guide to `tf.nn`, "Notes on padding"): the output has one pixel for
    every `stride` pixels of the input, rounded up. As many zeros are added as the kernel needs for
    that, and not one more. Half of them go before the line and half after it; where their number
    is odd, the odd one goes after.

    Args:
        size: the length of the line, in pixels.
        kernel: the length of the kernel.
        stride: how far the kernel moves at each step.

    Returns:
        The number of zeros before the line and the number after it, neither of them negative.
    """
    num_outputs = -(-size // stride)
    total = max((num_outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution that pads as Keras's `Conv2D(..., padding="same")` does.

    PyTorch's own `padding=` puts the same number of zeros on opposite sides. TensorFlow does not
    always: see `same_padding`. The two agree on sizes, and differ in what a weight looks at.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        """Make the weights: those of `nn.Conv2d` with these arguments and no padding."""
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Pad each side as `same_padding` says, then convolve without any further padding.

        Height and width are padded separately: they may differ. `nn.Conv2d` keeps `kernel_size`
        and `stride` as pairs, (height, width).

        Args:
            x: maps, of shape (B, in_channels, H, W).

        Returns:
            Maps, of shape (B, out_channels, H / stride, W / stride), sizes rounded up.
        """
        height, width = x.shape[-2:]
        top, bottom = same_padding(height, self.kernel_size[0], self.stride[0])
        left, right = same_padding(width, self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that crops as Keras's `Conv2DTranspose(..., padding="same")` does.

    It is the mirror image of a `SameConv2d` from a map `stride` times as large: where that one
    adds zeros, this one takes pixels away.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        """Make the weights: those of `nn.ConvTranspose2d` with these arguments and no padding.

        The kernel must be at least as large as the stride.
        """
        super().__init__(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Spread the maps out without any padding, then cut off what the mirror image padded.

        Args:
            x: maps, of shape (B, in_channels, H, W).

        Returns:
            Maps, of shape (B, out_channels, H * stride, W * stride).
        """
        height, width = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        top, _ = same_padding(height, self.kernel_size[0], self.stride[0])
        left, _ = same_padding(width, self.kernel_size[1], self.stride[1])
        full = super().forward(x)
        return full[..., top : top + height, left : left + width]


def glorot_uniform(model: nn.Module) -> None:
    """Give every layer of a model the initial weights that Keras would give it.

    Weights are uniform within +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010,
    "Understanding the difficulty of training deep feedforward neural networks"), and biases are
    zero. PyTorch's own default is another one, with random biases.

    Args:
        model: its convolutions, transposed convolutions and linear layers are changed in place.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def set_by_formula(model: nn.Module) -> None:
    """Set every weight and bias of a model by a formula, so that its numbers can be compared.

    Entry number i of a tensor becomes cos(i^2): times a tenth in a bias, times twice Glorot's bound
    in a weight. Any framework can do the same.

    Args:
        model: of convolutions, transposed convolutions and linear layers; changed in place.
    """
    with torch.no_grad():
        for tensor in model.parameters():
            scale = 0.1
            if tensor.ndim > 1:
                fans = (tensor.shape[0] + tensor.shape[1]) * tensor[0, 0].numel()
                scale = 2 * math.sqrt(6 / fans)
            index = torch.arange(tensor.numel(), dtype=torch.float64)
            tensor.copy_(scale * index.square().cos().view(tensor.shape))
