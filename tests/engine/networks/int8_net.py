"""A small network of two convolutions and a norm in int8, written as `export --calibrate` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.engine.networks.test_backends import PATCH, conv_net


def int8_net(path: Path) -> Path:
    """The network of `conv_net` in int8, calibrated on unit normal noise."""
    from flare_trt.export.int8_onnx import Int8Writer

    noise = np.random.default_rng(0).normal(size=(1, 1, *PATCH)).astype(np.float32)
    source = conv_net(path.with_name("exact.onnx"), [1, 1, *PATCH])
    Int8Writer(source, [noise], path.parent).write(path)
    return path
