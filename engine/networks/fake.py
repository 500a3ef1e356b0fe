"""A network without a network: deterministic logits from the tile's own values, for tests, examples and dry runs.

Channel c answers -(v - centre_c)^2, with centres spread evenly over [-2, 2] of the normalised intensity, so the arg-max is a
banding of the image. `write_fake_network` makes the file: an ONNX model with an empty graph whose doc_string is a small JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.base.grid import Shape
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.session import Session, SessionOptions, require_tile, static_shape

#: Protobuf tags of ModelProto.doc_string (field 6) and ModelProto.graph (field 7), both length-delimited.
_DOC_STRING, _GRAPH = b"\x32", b"\x3a"


def problem(device: str = "cpu") -> str | None:
    """Why this backend cannot be used here: never."""
    return None


def write_fake_network(path: Path, patch_zyx: Shape, channels: int) -> Path:
    """Write the file that stands in for a network; any bundle may hold it."""
    text = json.dumps({"input_shape": [1, 1, *patch_zyx], "channels": channels}).encode()
    if len(text) > 127:
        raise ValueError(f"fake network: got a description of {len(text)} bytes, expected at most 127")
    path.write_bytes(_DOC_STRING + bytes([len(text)]) + text + _GRAPH + b"\x00")
    return path


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Read a file of `write_fake_network`."""
    if options.device != "cpu":
        raise DeviceError(f"backend fake: got device {options.device}, expected cpu")
    content = onnx.read_bytes()
    try:
        if content[:1] != _DOC_STRING:
            raise ValueError("it holds a real network")
        data = json.loads(content[2 : 2 + content[1]])
        shape = static_shape(onnx.name, data["input_shape"], 1)
        return FakeSession(shape, int(data["channels"]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BundleError(f"{onnx.name}: not a fake network ({error}); use another backend for a real one") from error


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
