"""A U-Net that works at half the resolution: plain 3^3 convolutions, a transposed head, one light step at full resolution.

Its stages start as the teacher's: a pointwise convolution behind a depthwise one is a plain convolution whose kernel is their
product. Only the head is new: the teacher's last stage, most of its arithmetic, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class HalfConfig:
    """Features from full resolution down, the strides between them, and 3^3 convolutions a stage on the way down and up.

    The lowest stage is depthwise-separable: its plain kernels would be half of all weights, and it has few voxels.
    """

    channels: int = 15
    features: tuple[int, ...] = (16, 32, 64, 128, 192)
    strides_zyx: tuple[Triple, ...] = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    convs_encoder: tuple[int, ...] = (1, 1, 2, 2, 2)
    convs_decoder: tuple[int, ...] = (1, 1, 2)


class HalfUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, channels, z, y, x) logits; z, y, x are multiples of 8, 16, 16."""

    def __init__(self, config: HalfConfig) -> None:
        super().__init__()
        self.config = config
        features, strides = config.features, config.strides_zyx
        self.down = nn.ModuleList([_stage(1, features[0], (1, 1, 1), config.convs_encoder[0])])
        for before, width, stride, count in zip(features, features[1:], strides, config.convs_encoder[1:], strict=False):
            self.down.append(_stage(before, width, stride, count))
        self.down[-1] = _separable_stage(features[-2], features[-1], strides[-1], config.convs_encoder[-1])
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        levels = list(zip(features[1:], features[2:], strides[1:], strict=False))[::-1]
        for (width, below, stride), count in zip(levels, config.convs_decoder, strict=True):
            self.up.append(nn.ConvTranspose3d(below, width, stride, stride))
            self.join.append(_stage(2 * width, width, (1, 1, 1), count))
        self.head = nn.ConvTranspose3d(features[1], config.channels, strides[0], strides[0])
        self.edge = nn.Conv3d(features[0], config.channels, 1, bias=False)
        nn.init.zeros_(self.edge.weight)

    def forward(self, image: Tensor) -> Tensor:
        skips = []
        for stage in self.down:
            image = stage(image)
            skips.append(image)
        for level, (up, join) in enumerate(zip(self.up, self.join, strict=True)):
            image = join(torch.cat((up(image), skips[-2 - level]), 1))
        logits: Tensor = self.head(image) + self.edge(skips[0])
        return logits

    def new_parts(self) -> tuple[str, ...]:
        """Prefixes of the parameters that are new or feed what is new; the others start as the teacher's."""
        return ("head.", "edge.", f"join.{len(self.join) - 1}.")


def _stage(before: int, width: int, stride: Triple, count: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, width, stride), *(_Block(width, width, (1, 1, 1)) for _ in range(count - 1)))


def _separable_stage(before: int, width: int, stride: Triple, count: int) -> nn.Sequential:
    def convolution(inputs: int, own_stride: Triple) -> nn.Module:
        return nn.Sequential(nn.Conv3d(inputs, inputs, 3, own_stride, 1, groups=inputs), nn.Conv3d(inputs, width, 1))

    blocks = [_Block(before, width, stride, convolution(before, stride))]
    blocks += [_Block(width, width, (1, 1, 1), convolution(width, (1, 1, 1))) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: Triple, convolution: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = convolution or nn.Conv3d(before, width, 3, stride, 1)
        self.norm = nn.InstanceNorm3d(width, eps=1e-5, affine=True)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(image)), 0.01)


def start_from_teacher(network: HalfUNet, onnx_file: Path) -> None:
    """Set all stages but the head to the FLARE25 teacher's, whose ONNX file names its weights as nnU-Net does."""
    import onnx
    from onnx import numpy_helper

    found = {item.name: np.array(numpy_helper.to_array(item), np.float32) for item in onnx.load(str(onnx_file)).graph.initializer}
    with torch.no_grad():
        for stage, blocks in enumerate(network.down):
            for number, block in enumerate(blocks):
                _set_block(block, found, f"encoder.stages.{stage}.0.convs.{number}")
        for level, up in enumerate(network.up):
            up.weight.copy_(torch.from_numpy(found[f"decoder.transpconvs.{level}.weight"]))
            up.bias.copy_(torch.from_numpy(found[f"decoder.transpconvs.{level}.bias"]))
            for number, block in enumerate(network.join[level]):
                _set_block(block, found, f"decoder.stages.{level}.convs.{number}")


def _set_block(block: nn.Module, found: dict[str, NDArray[np.float32]], name: str) -> None:
    part = {key: torch.from_numpy(found[f"{name}.{key}"]) for key in ("norm.weight", "norm.bias")}
    depth, point = (found[f"{name}.conv.{kind}.weight"] for kind in ("depthwise", "pointwise"))
    depth_bias, point_bias = (found[f"{name}.conv.{kind}.bias"] for kind in ("depthwise", "pointwise"))
    if isinstance(block.conv, nn.Sequential):
        part |= {"conv.0.weight": torch.from_numpy(depth), "conv.0.bias": torch.from_numpy(depth_bias)}
        part |= {"conv.1.weight": torch.from_numpy(point), "conv.1.bias": torch.from_numpy(point_bias)}
    else:
        part["conv.weight"] = torch.from_numpy(point * depth[:, 0][None])
        part["conv.bias"] = torch.from_numpy(point_bias + point[:, :, 0, 0, 0] @ depth_bias)
    block.load_state_dict(part)
