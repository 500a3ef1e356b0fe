"""A network without a network: deterministic logits from the tile's own values, for tests, examples and dry runs.

Channel c answers -(v - centre_c)^2, with centres spread evenly over [-2, 2] of the normalised intensity, so the arg-max is a
banding of the image. The "ONNX" file is a small JSON: {"input_shape": [1, 1, z, y, x], "channels": c}.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.backends.session import Precision, Session, SessionOptions, one_channel_shape, require_tile
from flare_trt.engine.errors import BundleError, DeviceError


def problem() -> str | None:
    """Why this backend cannot be used here: never."""
    return None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Read the JSON that stands in for a network."""
    if options.device != "cpu":
        raise DeviceError(f"backend fake: got device {options.device}, expected cpu")
    try:
        data = json.loads(onnx.read_text())
        shape = one_channel_shape(onnx.name, data["input_shape"], 1)
        return FakeSession(shape, int(data["channels"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{onnx.name}: not a fake network ({error}); expected input_shape and channels as JSON") from error


class FakeSession:
    """See session.Session."""

    backend = "fake"
    device = "cpu"
    precision: Precision = "fp32"

    def __init__(self, input_shape: tuple[int, int, int, int, int], channels: int) -> None:
        self.input_shape = input_shape
        self.channels = channels
        self._open = True

    def run(self, tile: Any) -> Any:
        if not self._open:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        centres = np.linspace(-2.0, 2.0, self.channels, dtype=np.float32)
        return -((tile[0] - centres[:, None, None, None]) ** 2)

    def close(self) -> None:
        self._open = False
