"""The student: a U-Net of depthwise-separable convolutions, laid out as nnU-Net's PlainConvUNet, and its start from the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.depthwise import DepthwiseConv3d

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class NetworkConfig:
    """Stages from full resolution down. The defaults are the topology of the FLARE25 teacher (357,882 parameters)."""

    channels: int = 14
    features: tuple[int, ...] = (16, 32, 64, 128, 192)
    strides_zyx: tuple[Triple, ...] = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    convs_encoder: tuple[int, ...] = (1, 1, 2, 2, 2)
    convs_decoder: tuple[int, ...] = (1, 1, 2, 2)


class SeparableUNet(nn.Module):
    """(n, 1, z, y, x) normalised HU -> (n, channels, z, y, x) logits. Parameter names are those of the teacher's ONNX file."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)

    def forward(self, image: Tensor) -> Tensor:
        decoded, first = self.decoded(image)
        return self.finish(decoded[-1], first)

    def decoded(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """The features from the lowest stage up through the decoder to half the resolution, and the encoder's first ones."""
        skips = []
        for stage in self.encoder.stages:
            image = stage(image)
            skips.append(image)
        found = [image]
        for level in range(len(self.decoder.stages) - 1):
            image = self._up(level, image, skips[-2 - level])
            found.append(image)
        return found, skips[0]

    def finish(self, half: Tensor, first: Tensor) -> Tensor:
        """The logits of the last of what `decoded` gave, and the encoder's first features."""
        last = len(self.decoder.stages) - 1
        logits: Tensor = self.decoder.seg_layers[str(last)](self._up(last, half, first))
        return logits

    def _up(self, level: int, image: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.decoder.stages[level](torch.cat((self.decoder.transpconvs[level](image), skip), 1))
        return result


def network_from_onnx(path: Path, config: NetworkConfig) -> SeparableUNet:
    """The student with every weight read from an ONNX file of the same topology (its initialisers' names are ours).

    In a network with a branch for tumours it is the part "organs". Raises InputError where a weight is missing or has another
    shape.
    """
    import onnx
    from onnx import numpy_helper

    network = SeparableUNet(config)
    found = {item.name.removeprefix("organs."): numpy_helper.to_array(item) for item in onnx.load(str(path)).graph.initializer}
    state = network.state_dict()
    for name, value in state.items():
        if name not in found or found[name].shape != tuple(value.shape):
            got = "nothing" if name not in found else str(found[name].shape)
            raise InputError(
                f"{path}: weight {name}: got {got}, expected shape {tuple(value.shape)}; use a network of this topology"
            )
    network.load_state_dict({name: torch.from_numpy(np.array(found[name], np.float32)) for name in state})
    return network


class _Encoder(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        stages, before = [], 1
        for width, stride, count in zip(config.features, config.strides_zyx, config.convs_encoder, strict=True):
            # nnU-Net nests each stage once more, which shows in the weights' names
            stages.append(nn.Sequential(_Stage(before, width, stride, count)))
            before = width
        self.stages = nn.Sequential(*stages)


class _Decoder(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.transpconvs, self.stages = nn.ModuleList(), nn.ModuleList()
        levels = list(zip(config.features, config.features[1:], config.strides_zyx[1:], strict=False))[::-1]
        for (width, below, stride), count in zip(levels, config.convs_decoder, strict=True):
            self.transpconvs.append(nn.ConvTranspose3d(below, width, stride, stride))
            self.stages.append(_Stage(2 * width, width, (1, 1, 1), count))
        last = str(len(self.stages) - 1)  # nnU-Net numbers its deep supervision heads; only the last is used
        self.seg_layers = nn.ModuleDict({last: nn.Conv3d(config.features[0], config.channels, 1)})


class _Stage(nn.Module):
    def __init__(self, before: int, width: int, stride: Triple, count: int) -> None:
        super().__init__()
        blocks = [_Block(before, width, stride), *(_Block(width, width, (1, 1, 1)) for _ in range(count - 1))]
        self.convs = nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.convs(image)
        return result


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: Triple) -> None:
        super().__init__()
        self.conv = nn.ModuleDict({"depthwise": DepthwiseConv3d(before, stride), "pointwise": nn.Conv3d(before, width, 1)})
        self.norm = nn.InstanceNorm3d(width, eps=1e-5, affine=True)

    def forward(self, image: Tensor) -> Tensor:
        mixed = self.conv["pointwise"](self.conv["depthwise"](image))
        return nn.functional.leaky_relu_(self.norm(mixed), 0.01)
