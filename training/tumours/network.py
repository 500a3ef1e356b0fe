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
    """Features from full resolution down, the strides between them, and 3^3 convolutions a stage on the way down and up."""

    channels: int = 15
    features: tuple[int, ...] = (16, 32, 64, 128, 160)
    strides_zyx: tuple[Triple, ...] = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    convs_encoder: tuple[int, ...] = (1, 1, 2, 2, 2)
    convs_decoder: tuple[int, ...] = (1, 1, 1)


class HalfUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, channels, z, y, x) logits; z, y, x are multiples of 8, 16, 16."""

    def __init__(self, config: HalfConfig) -> None:
        super().__init__()
        self.config = config
        features, strides = config.features, config.strides_zyx
        self.down = nn.ModuleList([_stage(1, features[0], (1, 1, 1), config.convs_encoder[0])])
        for before, width, stride, count in zip(features, features[1:], strides, config.convs_encoder[1:], strict=False):
            self.down.append(_stage(before, width, stride, count))
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


def _stage(before: int, width: int, stride: Triple, count: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, width, stride), *(_Block(width, width, (1, 1, 1)) for _ in range(count - 1)))


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: Triple) -> None:
        super().__init__()
        self.conv = nn.Conv3d(before, width, 3, stride, 1)
        self.norm = nn.InstanceNorm3d(width, eps=1e-5, affine=True)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(image)), 0.01)


def start_from_teacher(network: HalfUNet, onnx_file: Path) -> None:
    """Set all stages to the FLARE25 teacher's; of its lowest stage the features that its decoder weighs most are kept."""
    import onnx
    from onnx import numpy_helper

    found = {item.name: np.array(numpy_helper.to_array(item), np.float32) for item in onnx.load(str(onnx_file)).graph.initializer}
    lowest = found["decoder.transpconvs.0.weight"]
    scale = np.abs(found["encoder.stages.4.0.convs.1.norm.weight"])
    strength = np.sqrt((lowest**2).sum((1, 2, 3, 4))) * scale
    width = network.config.features[-1]
    kept = np.sort(np.argsort(-strength)[:width])
    with torch.no_grad():
        for stage, blocks in enumerate(network.down):
            for number, block in enumerate(blocks):
                first = np.arange(found[f"encoder.stages.{stage}.0.convs.{number}.norm.weight"].size)
                outputs = kept if stage == 4 else first
                inputs = kept if stage == 4 and number else None
                _set_block(block, found, f"encoder.stages.{stage}.0.convs.{number}", outputs, inputs)
        for level in range(3):
            weight = found[f"decoder.transpconvs.{level}.weight"]
            network.up[level].weight.copy_(torch.from_numpy(weight[kept] if level == 0 else weight))
            network.up[level].bias.copy_(torch.from_numpy(found[f"decoder.transpconvs.{level}.bias"]))
            for number, block in enumerate(network.join[level]):
                name = f"decoder.stages.{level}.convs.{number}"
                _set_block(block, found, name, np.arange(found[f"{name}.norm.weight"].size), None)


def _set_block(
    block: nn.Module, found: dict[str, NDArray[np.float32]], name: str, outputs: NDArray[np.int64], inputs: NDArray[np.int64] | None
) -> None:
    depth, point = found[f"{name}.conv.depthwise.weight"], found[f"{name}.conv.pointwise.weight"]
    kernel = point * depth[:, 0][None]
    bias = found[f"{name}.conv.pointwise.bias"]
    if f"{name}.conv.depthwise.bias" in found:
        bias = bias + point[:, :, 0, 0, 0] @ found[f"{name}.conv.depthwise.bias"]
    kernel = kernel[outputs] if inputs is None else kernel[outputs][:, inputs]
    block.conv.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
    block.conv.bias.copy_(torch.from_numpy(bias[outputs]))
    block.norm.weight.copy_(torch.from_numpy(found[f"{name}.norm.weight"][outputs]))
    block.norm.bias.copy_(torch.from_numpy(found[f"{name}.norm.bias"][outputs]))
