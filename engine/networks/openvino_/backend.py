"""OpenVINO: the default on a CPU. fp32 is set explicitly, since OpenVINO picks bf16 by itself where the CPU has it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.networks.openvino_.compiling import Compiler
from flare_trt.engine.networks.session import Session, SessionOptions, require_tile
from flare_trt.engine.networks.silent_import import load_openvino


def problem(device: str = "cpu") -> str | None:
    """Why this backend cannot be used here, or None."""
    try:
        load_openvino()
    except ImportError as error:
        return f"the package openvino cannot be imported ({error})"
    return None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Read and compile an ONNX file for the CPU."""
    if options.device != "cpu":
        raise DeviceError(f"backend openvino: got device {options.device}, expected cpu")
    return (OpenVinoPairs if options.pairs else OpenVinoSession)(onnx, options)


class OpenVinoSession:
    """See session.Session."""

    backend = "openvino"
    device = "cpu"
    #: Tiles at once in what is opened first.
    _streams = 1

    def __init__(self, onnx: Path, options: SessionOptions) -> None:
        self._open = partial(Compiler(options).compiled, onnx)
        self._tensor = load_openvino().Tensor
        self._requests: list[Any] = []
        compiled = self._make_requests(self._streams)
        self.precision = options.precision
        _, channels, z, y, x = compiled.inputs[0].shape
        self.input_shape = 1, int(channels), int(z), int(y), int(x)
        self.channels = int(compiled.outputs[0].shape[1])
        self._file = onnx.name

    def run(self, tile: Any) -> Any:
        return self._run_all([tile], 1)[0]

    def close(self) -> None:
        self._requests = []

    def _run_all(self, tiles: Sequence[Any], streams: int) -> list[Any]:
        """Logits of tiles that run at the same time, one a request of the network that is open for so many."""
        if not self._requests:
            raise ValueError("this session is closed")
        for tile in tiles:
            require_tile(self, tile)
        if streams != len(self._requests):
            self._make_requests(streams)
        running = self._requests[: len(tiles)]
        try:
            for request, tile in zip(running, tiles, strict=True):
                image = tile if tile.flags.writeable else tile.copy()  # a Tensor shares no read-only memory
                request.start_async([self._tensor(image, shared_memory=True)], share_inputs=True)
            for request in running:
                request.wait()
        except RuntimeError as error:
            raise BundleError(f"{self._file}: OpenVINO cannot run it: {error}") from error
        return [np.asarray(request.get_output_tensor(0).data)[0] for request in running]

    def _make_requests(self, streams: int) -> Any:
        """Open the network for so many tiles at once, in place of what was open: two would hold activations twice."""
        self._requests = []
        streams_of = {"PERFORMANCE_HINT": "LATENCY"} if streams == 1 else {"NUM_STREAMS": streams}
        compiled = self._open(streams_of)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        return compiled


class OpenVinoPairs(OpenVinoSession):
    """See session.RunsPairs. In fp32 two tiles at once give what they give one by one, bit by bit."""

    _streams = 2

    def run_together(self, tiles: Sequence[Any]) -> list[Any]:
        return self._run_all(tiles, self._streams)
