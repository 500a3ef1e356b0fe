"""A U-Net that works at half the resolution, with a branch of its own for tumours and one light step at full resolution.

Its stages are the FLARE25 teacher's and stay as they are. The last one, four fifths of its time, is left out: `head_fit`
finds the head that stands in for it, and the branch learns what a lesion looks like and sharpens the organs' surfaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Triple = tuple[int, int, int]

#: nnU-Net's leaky ReLU.
SLOPE = 0.01
#: What the branch sees, in the teacher's normalised values: -100 to 250 HU, 50 HU to the unit. A lesion differs from its organ by
#: 20 to 80 HU; where air is -7.5 and bone 1.5, that is next to nothing.
WINDOW, WINDOW_SCALE = (-1.28, 1.21), 2.8


@dataclass(frozen=True)
class HalfConfig:
    """Features from full resolution down, the strides between them, and 3^3 convolutions a stage on the way down and up.

    `branch` are the features of the branch for tumours at a half, a quarter and an eighth of the resolution, `hidden` those of
    the head.
    """

    channels: int = 15
    features: tuple[int, ...] = (16, 32, 64, 128, 192)
    strides_zyx: tuple[Triple, ...] = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    convs_encoder: tuple[int, ...] = (1, 1, 2, 2, 2)
    convs_decoder: tuple[int, ...] = (1, 1, 2)
    branch: Triple = (16, 40, 96)
    hidden: int = 16


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
        self.branch = TumourBranch(features[1], strides[0], config.branch)
        self.head = HalfHead(features[1] + config.branch[0], features[0], strides[0], config)

    def organ_features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The features at half resolution and those of the first stage at full resolution."""
        skips = []
        inner = image
        for stage in self.down:
            inner = stage(inner)
            skips.append(inner)
        for level, (up, join) in enumerate(zip(self.up, self.join, strict=True)):
            inner = join(torch.cat((up(inner), skips[-2 - level]), 1))
        return inner, skips[0]

    def forward(self, image: Tensor) -> Tensor:
        return self.crop_logits(image, *self.organ_features(image))

    def crop_logits(self, image: Tensor, inner: Tensor, first: Tensor) -> Tensor:
        """Logits of a part of an image, from that part of the whole image's features."""
        logits: Tensor = self.head(torch.cat((inner, self.branch(image, inner)), 1), first)
        return logits

    def freeze_teacher(self) -> None:
        """Let only the branch and the head learn."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(("head.", "branch.")))


class TumourBranch(nn.Module):
    """A small U-Net of plain convolutions on the image at half resolution and on the organs' features there.

    Its norms are fixed after `calibrate`: so it does the same on a crop, on which it learns, and on the whole tile.
    """

    def __init__(self, organs: int, stride: Triple, widths: Triple) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.stem = nn.Conv3d(1, 16, stride, stride)
        self.first = _Block(nn.Conv3d(16 + organs, half, 1), nn.BatchNorm3d(half))
        self.down = nn.ModuleList([_plain_stage(half, quarter, 2, 2), _plain_stage(quarter, eighth, 2, 2)])
        self.up = nn.ModuleList([nn.ConvTranspose3d(eighth, quarter, 2, 2), nn.ConvTranspose3d(quarter, half, 2, 2)])
        self.join = nn.ModuleList([_plain_stage(2 * quarter, quarter, 1, 1), _plain_stage(2 * half, half, 1, 1)])

    def train(self, mode: bool = True) -> TumourBranch:
        """As nn.Module's, but for the norms."""
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    @torch.no_grad()
    def calibrate(self, examples: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set the norms to the mean and deviation that they see on images and organs' features, each example counting the same."""
        for norm in self._norms():
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for image, organs in examples:
            self(image, organs)
        self.train(self.training)

    def fold_norms(self) -> None:
        """Make each fixed norm a part of its convolution, for the export: the kernels are rounded to half precision as they run."""
        for block in [module for module in self.modules() if isinstance(module, _Block)]:
            block.conv = fuse_conv_bn_eval(block.conv.eval(), block.norm.eval())
            block.norm = nn.Identity()

    def _norms(self) -> list[nn.BatchNorm3d]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm3d)]

    def forward(self, image: Tensor, organs: Tensor) -> Tensor:
        soft_tissue = image.clamp(*WINDOW) * WINDOW_SCALE
        half = self.first(torch.cat((self.stem(soft_tissue), organs), 1))
        quarter = self.down[0](half)
        inner = self.join[0](torch.cat((self.up[0](self.down[1](quarter)), quarter), 1))
        result: Tensor = self.join[1](torch.cat((self.up[1](inner), half), 1))
        return result


class HalfHead(nn.Module):
    """Features at half resolution and the first stage's at full resolution -> logits, pointwise but for the stride."""

    def __init__(self, inner: int, first: int, stride: Triple, config: HalfConfig) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(inner, config.hidden, stride, stride)
        self.edge = nn.Conv3d(first, config.hidden, 1, bias=False)
        self.out = nn.Conv3d(config.hidden, config.channels, 1)

    def forward(self, inner: Tensor, first: Tensor) -> Tensor:
        result: Tensor = self.out(nn.functional.leaky_relu(self.up(inner) + self.edge(first), SLOPE))
        return result


def _stage(before: int, width: int, stride: Triple, count: int) -> nn.Sequential:
    """Depthwise-separable convolutions, as the teacher has them."""
    blocks = [_Block(_separable(before, width, stride), _instance_norm(width))]
    blocks += [_Block(_separable(width, width, (1, 1, 1)), _instance_norm(width)) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _instance_norm(width: int) -> nn.Module:
    return nn.InstanceNorm3d(width, eps=1e-5, affine=True)


def _separable(before: int, width: int, stride: Triple) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(before, before, 3, stride, 1, groups=before), nn.Conv3d(before, width, 1))


def _plain_stage(before: int, width: int, stride: int, count: int) -> nn.Sequential:
    blocks = [_Block(nn.Conv3d(before, width, 3, stride, 1), nn.BatchNorm3d(width))]
    blocks += [_Block(nn.Conv3d(width, width, 3, 1, 1), nn.BatchNorm3d(width)) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class _Block(nn.Module):
    def __init__(self, convolution: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv = convolution
        self.norm = norm

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(image)), SLOPE)


def start_from_teacher(network: HalfUNet, onnx_file: Path) -> None:
    """Set all stages but the head and the branch to the FLARE25 teacher's, whose ONNX file names its weights as nnU-Net does."""
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
    for place, kind in enumerate(("depthwise", "pointwise")):
        part |= {f"conv.{place}.{key}": torch.from_numpy(found[f"{name}.conv.{kind}.{key}"]) for key in ("weight", "bias")}
    block.load_state_dict(part)
