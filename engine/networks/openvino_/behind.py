"""The part of a network that comes behind another engine's tensor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.openvino_.compiling import Compiler
from flare_trt.engine.networks.part import Part
from flare_trt.engine.networks.session import SessionOptions
from flare_trt.engine.networks.silent_import import load_openvino


class AddedChannels:
    """Computes the channels behind a U-Net's logits; `count` is how many."""

    def __init__(self, onnx: Path, part: Part, options: SessionOptions) -> None:
        """Raises BundleError where OpenVINO cannot read the file."""
        compiled = Compiler(options).compiled(onnx, {"PERFORMANCE_HINT": "LATENCY"}, part)
        self._file = onnx.name
        voxels = math.prod(compiled.inputs[0].shape[2:])
        self._shapes = [tuple(port.shape) for port in compiled.outputs]
        self._counts = [math.prod(shape) // voxels for shape in self._shapes]
        self.count = sum(self._counts)
        self._request = compiled.create_infer_request()
        self._tensor = load_openvino().Tensor

    def run(self, tile: Any, logits: Any) -> None:
        """Fill the last `count` of the logits (channels, z, y, x) of a tile from those before them."""
        first = len(logits) - self.count
        image = tile if tile.flags.writeable else tile.copy()  # a Tensor shares no read-only memory
        at = first
        for index, (shape, count) in enumerate(zip(self._shapes, self._counts, strict=True)):
            self._request.set_output_tensor(index, self._tensor(logits[at : at + count].reshape(shape), shared_memory=True))
            at += count
        try:
            inputs = [self._tensor(image, shared_memory=True), self._tensor(logits[None, :first], shared_memory=True)]
            self._request.infer(inputs, share_inputs=True)
        except RuntimeError as error:
            raise BundleError(f"{self._file}: OpenVINO cannot run it: {error}") from error
