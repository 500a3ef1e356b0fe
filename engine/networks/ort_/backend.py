"""ONNX Runtime: on a CPU, and on a GPU for those without TensorRT's Python package, by its CUDA or its TensorRT provider.

ONNX Runtime silently takes the CPU where a GPU provider does not load, or for nodes that a provider does not know. Both ways
are closed here, and the provider that runs is checked.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.ort_.means import split_means
from flare_trt.engine.networks.session import Session, SessionOptions, output_channels, require_tile, static_shape
from flare_trt.engine.networks.silent_import import load_onnxruntime

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
#: (name, options) each, in the order of preference; nodes go to the first that knows them.
Providers = list[tuple[str, dict[str, Any]]]


def problem(device: str = "cpu") -> str | None:
    """Why this backend cannot be used on a device, or None."""
    return provider_problem(CPU if device == "cpu" else CUDA)


def provider_problem(provider: str) -> str | None:
    """Why the installed ONNX Runtime does not have a provider, or None. That it has it says nothing of this machine."""
    try:
        onnxruntime = load_onnxruntime()
    except ImportError as error:
        return f"the package onnxruntime cannot be imported ({error})"
    if provider in onnxruntime.get_available_providers():
        return None
    return f"this onnxruntime has no {provider}; install onnxruntime-gpu in its place"


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Load an ONNX file for the CPU or for CUDA."""
    if options.device == "cpu":
        return OnnxRuntimeSession("onnxruntime", onnx, options, [(CPU, {})])
    return OnnxRuntimeSession("onnxruntime", onnx, options, [cuda_provider(options)])


def cuda_provider(options: SessionOptions) -> tuple[str, dict[str, Any]]:
    """The CUDA provider on the options' GPU, without TF32, whose 10 bits of mantissa are too few for mode=exact."""
    return CUDA, {"device_id": options.ordinal, "use_tf32": 0}


class OnnxRuntimeSession:
    """See session.Session. On a GPU input and output are fixed arrays there, and `run` waits for the result."""

    def __init__(self, backend: str, onnx: Path, options: SessionOptions, providers: Providers) -> None:
        if options.precision != "fp32":
            raise DeviceError(f"backend {backend}: got precision {options.precision}, expected fp32")
        self.backend, self.device = backend, options.device
        self.precision: Precision = options.precision
        self._session = _load(onnx, options, providers)
        runs_on = self._session.get_providers()[0]
        if runs_on != providers[0][0]:
            raise DeviceError(_not_there(backend, options.device, f"got {runs_on}"))
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self.input_shape = static_shape(onnx.name, _sizes(inputs[0]), len(outputs))
        self.channels = output_channels(onnx.name, _sizes(outputs[0]), self.input_shape)
        self._file, self._names = onnx.name, (inputs[0].name, outputs[0].name)
        self._bound = None if options.device == "cpu" else _Bound(self, options.ordinal, self._names)

    def run(self, tile: Any) -> Any:
        if self._session is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        source, result = self._names
        try:
            return self._bound.run(tile) if self._bound is not None else self._session.run([result], {source: tile})[0][0]
        except Exception as error:  # as at loading: what only shows with values
            raise BundleError(f"{self._file}: ONNX Runtime cannot run it: {error}") from error

    def close(self) -> None:
        self._session = self._bound = None


class _Bound:
    """A session's input and output on its GPU, so that no tile goes over the host."""

    def __init__(self, owner: OnnxRuntimeSession, ordinal: int, names: tuple[str, str]) -> None:
        import cupy
        import numpy as np

        session = self._session = owner._session
        self._gpu: Any = cupy.cuda.Device(ordinal)
        with self._gpu:
            self._input = cupy.empty(owner.input_shape, np.float32)
            self._output = cupy.empty((1, owner.channels, *owner.input_shape[2:]), np.float32)
            self._binding = session.io_binding()
            arrays = (self._binding.bind_input, names[0], self._input), (self._binding.bind_output, names[1], self._output)
            for bind, name, array in arrays:
                bind(name, "cuda", ordinal, np.float32, array.shape, array.data.ptr)

    def run(self, tile: Any) -> Any:
        import cupy

        with self._gpu:
            self._input[...] = tile
            cupy.cuda.get_current_stream().synchronize()  # ONNX Runtime works on a stream of its own
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        return self._output[0]


def _load(onnx: Path, options: SessionOptions, providers: Providers) -> Any:
    onnxruntime = load_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = 3
    # planning one block for all tensors takes a sixth more memory than taking them one by one, and no less time
    settings.enable_mem_pattern = False
    if options.device != "cpu":
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        # TensorRT has a kernel of its own for instance normalisation, which it knows by the operator's name
        with nullcontext(str(onnx)) if providers[0][0] == TENSORRT else _with_split_means(onnx) as model:
            return onnxruntime.InferenceSession(model, settings, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime raises a dozen unrelated classes for a bad model
        if "fallback to CPU EP" in str(error):
            raise DeviceError(_not_there("onnxruntime", options.device, f"got {CPU} for some or all of {onnx.name}")) from error
        raise BundleError(f"{onnx.name}: ONNX Runtime cannot load it: {error}") from error


def _sizes(tensor: Any) -> list[int | None]:
    """Along the axes; a free one has a name instead, or nothing."""
    return [size if isinstance(size, int) else None for size in tensor.shape]


@contextmanager
def _with_split_means(onnx: Path) -> Iterator[str]:
    """Name of a rewritten file in memory: of a model given as bytes ONNX Runtime would keep a copy as long as the session lives."""
    with onnx.open("rb") as file, os.fdopen(os.memfd_create("flare-trt"), "wb") as target:
        target.writelines(split_means(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))))
        target.flush()
        yield f"/proc/self/fd/{target.fileno()}"


def _not_there(backend: str, device: str, found: str) -> str:
    return (
        f"backend {backend}: asked for {device}, {found}; install onnxruntime-gpu with its CUDA libraries in place of "
        "onnxruntime, or use --device cpu"
    )
