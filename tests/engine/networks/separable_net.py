"""U-Nets of depthwise-separable convolutions with random weights as ONNX files, and such with channels joined to their logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from flare_trt.export.to_onnx import write_onnx
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet

Triple = tuple[int, int, int]


def separable_net(path: Path, patch_zyx: Triple, strides_zyx: Sequence[Triple], channels: int = 14, seed: int = 0) -> Path:
    """A file of `separable_unet`."""
    write_onnx(separable_unet(strides_zyx, channels, seed), patch_zyx, path)
    return path


def net_that_adds(path: Path, patch_zyx: Triple, strides_zyx: Sequence[Triple], channels: int = 14) -> Path:
    """A file of a network that joins three channels, one and two, to the logits of a `separable_unet`."""
    write_onnx(_Adds(separable_unet(strides_zyx, channels)).eval(), patch_zyx, path)
    return path


def separable_unet(strides_zyx: Sequence[Triple], channels: int = 14, seed: int = 0) -> SeparableUNet:
    """A network of a stage a stride, the first (1, 1, 1); 16, 32, 48... features, a second convolution in odd stages."""
    torch.manual_seed(seed)
    stages = len(strides_zyx)
    config = NetworkConfig(
        channels=channels,
        features=tuple(16 * (stage + 1) for stage in range(stages)),
        strides_zyx=tuple(strides_zyx),
        convs_encoder=tuple(1 + stage % 2 for stage in range(stages)),
        convs_decoder=tuple(1 + stage % 2 for stage in range(stages - 1)),
    )
    network = SeparableUNet(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) * (0.3 if weight.ndim > 1 else 0.5) + (0 if weight.ndim > 1 else 0.2))
    return network.eval()


class _Adds(nn.Module):
    def __init__(self, unet: SeparableUNet) -> None:
        super().__init__()
        self.unet = unet
        self.more = nn.Conv3d(1 + unet.config.channels, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        logits = self.unet(image)
        more = self.more(torch.cat((image, torch.softmax(logits, 1)), 1))
        one, two = more[:, :1] + logits.amax(1, True), 2 * more[:, 1:]
        return torch.cat((logits.flatten(2), one.flatten(2), two.flatten(2)), 1).unflatten(2, image.shape[2:])
