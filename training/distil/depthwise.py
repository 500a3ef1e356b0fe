"""A depthwise 3x3x3 convolution whose backward pass is about twice as fast on a CPU as PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Values of as many channels as are worked on together: 2 MiB, so that the 27 shifts find them in the cache.
CACHED_VALUES = 1 << 19


class DepthwiseConv3d(nn.Conv3d):
    """nn.Conv3d with one 3x3x3 filter a channel, padding 1: same parameters and values, faster gradients at stride 1.

    PyTorch's CPU gradient of a depthwise convolution takes 8 times its forward pass. The input's gradient is a convolution
    with the mirrored filter, and each of the 27 weights is one sum over the overlap of two shifted planes that fit the cache.
    """

    def __init__(self, channels: int, stride_zyx: tuple[int, int, int]) -> None:
        super().__init__(channels, channels, 3, stride_zyx, padding=1, groups=channels)

    def forward(self, image: Tensor) -> Tensor:
        """(n, c, z, y, x) -> (n, c, z, y, x) at stride 1, else each axis divided by its stride."""
        if tuple(self.stride) == (1, 1, 1) and torch.is_grad_enabled() and image.device.type == "cpu":
            result: Tensor = _Depthwise.apply(image, self.weight, self.bias)
            return result
        return super().forward(image)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return functional.conv3d(image, weight, bias, padding=1, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        image, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        image_gradient = None
        if ctx.needs_input_grad[0]:
            image_gradient = functional.conv3d(gradient, weight.flip(2, 3, 4), padding=1, groups=weight.shape[0])
        return image_gradient, _weight_gradient(image, gradient), gradient.sum((0, 2, 3, 4))


def _weight_gradient(image: Tensor, gradient: Tensor) -> Tensor:
    """Gradient (c, 1, 3, 3, 3) of the filters: for each shift, the sum of image * gradient over their overlap."""
    channels, depth, height, width = image.shape[1:]
    padded = functional.pad(image, (1, 1, 1, 1, 1, 1))
    result = torch.empty(channels, 27, dtype=image.dtype)
    together = max(1, CACHED_VALUES // (depth * height * width))
    for first in range(0, channels, together):
        part = slice(first, first + together)
        for k in range(27):
            z, y, x = k // 9, k // 3 % 3, k % 3
            window = padded[:, part, z : z + depth, y : y + height, x : x + width]
            result[part, k] = (window * gradient[:, part]).sum((0, 2, 3, 4))
    return result.view(channels, 1, 3, 3, 3)
