"""ONNX Runtime: on a CPU, and on CUDA for those without TensorRT's Python package.

ONNX Runtime silently takes the CPU where a GPU provider does not load, so the provider that runs is always checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.backends.session import Session, SessionOptions, one_channel_shape, require_tile
from flare_trt.engine.backends.silent_import import load_onnxruntime
from flare_trt.engine.errors import BundleError, DeviceError


def problem() -> str | None:
    """Why this backend cannot be used here, or None."""
    try:
        load_onnxruntime()
    except ImportError as error:
        return f"the package onnxruntime cannot be imported ({error})"
    return None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Load an ONNX file for the CPU or for CUDA."""
    if options.precision != "fp32":
        raise DeviceError(f"backend onnxruntime: got precision {options.precision}, expected fp32")
    return OnnxRuntimeSession(onnx, options)


class OnnxRuntimeSession:
    """See session.Session. On CUDA input and output stay on the host: this backend copies them."""

    backend = "onnxruntime"

    def __init__(self, onnx: Path, options: SessionOptions) -> None:
        onnxruntime = load_onnxruntime()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        wanted: Any = "CPUExecutionProvider"
        if options.device != "cpu":
            wanted = ("CUDAExecutionProvider", {"device_id": int(options.device.partition(":")[2] or 0), "use_tf32": 0})
        try:
            self._session = onnxruntime.InferenceSession(str(onnx), settings, providers=[wanted])
        except Exception as error:  # onnxruntime raises a dozen unrelated classes for a bad model
            raise BundleError(f"{onnx.name}: ONNX Runtime cannot load it: {error}") from error
        runs_on = self._session.get_providers()[0]
        if options.device != "cpu" and runs_on != "CUDAExecutionProvider":
            raise DeviceError(
                f"backend onnxruntime: asked for {options.device}, got {runs_on}; install onnxruntime-gpu with its CUDA "
                "libraries in place of onnxruntime, or use --device cpu"
            )
        self.device, self.precision = options.device, options.precision
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        sizes = [size if isinstance(size, int) else None for size in inputs[0].shape]
        self.input_shape = one_channel_shape(onnx.name, sizes, len(outputs))
        self.channels = int(outputs[0].shape[1])
        self._input, self._output = inputs[0].name, outputs[0].name

    def run(self, tile: Any) -> Any:
        if self._session is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        if self.device == "cpu":
            return self._session.run([self._output], {self._input: tile})[0][0]
        logits = self._session.run([self._output], {self._input: tile.get()})[0][0]
        return _to_device(np.ascontiguousarray(logits))

    def close(self) -> None:
        self._session = None


def _to_device(logits: Any) -> Any:
    import cupy

    return cupy.asarray(logits)
