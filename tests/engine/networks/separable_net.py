"""U-Nets of depthwise-separable convolutions with random weights, as ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from flare_trt.export.to_onnx import write_onnx
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet

Triple = tuple[int, int, int]


def separable_net(path: Path, patch_zyx: Triple, strides_zyx: Sequence[Triple], channels: int = 14, seed: int = 0) -> Path:
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
    write_onnx(network.eval(), patch_zyx, path)
    return path
