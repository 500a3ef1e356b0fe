"""TensorRT: the default on a GPU. fp32 without TF32 for mode=exact, strongly typed fp16 with fp32 norms for mode=fast.

A session keeps fixed input and output arrays and replays a CUDA graph; it never makes a TensorRT object before CuPy has said
that there is a GPU, since TensorRT may crash the process without one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.session import Session, SessionOptions, output_channels, require_tile, static_shape
from flare_trt.engine.networks.tensorrt_.engine import load_engine
from flare_trt.engine.networks.tensorrt_.workspace import Workspace, address_of, allocate
from flare_trt.kernels import cuda_problem, gpu_ordinal

if TYPE_CHECKING:
    import tensorrt as trt

_LOG = logging.getLogger(__name__)

#: The first version with strongly typed networks as they are used here.
OLDEST_VERSION = (10, 12)


def problem(device: str = "cuda:0") -> str | None:
    """Why this backend cannot be used here, or None."""
    ordinal = gpu_ordinal(device)
    missing = f"got device {device}, expected cuda:N" if ordinal is None else cuda_problem(ordinal)
    if missing:
        return missing
    try:
        import tensorrt
    except ImportError as error:
        return f"the package tensorrt cannot be imported ({error}); see docs/gpu.md"
    if tuple(int(part) for part in tensorrt.__version__.split(".")[:2]) < OLDEST_VERSION:
        return f"got TensorRT {tensorrt.__version__}, expected at least {'.'.join(map(str, OLDEST_VERSION))}"
    return None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Open the engine of an ONNX file on a GPU. The first time for a network and a GPU this builds it, which takes minutes."""
    _require_usable(options)
    return TensorRtSession(onnx, options)


def build_ahead(onnx: Path, options: SessionOptions) -> bool:
    """Make sure that the cache holds the engine of an ONNX file; whether it had to be built."""
    _require_usable(options)
    import cupy

    with cupy.cuda.Device(options.ordinal):
        return not load_engine(onnx, options.precision, options.ordinal).was_cached


def _require_usable(options: SessionOptions) -> None:
    if options.precision not in ("fp32", "fp16"):
        raise DeviceError(f"backend tensorrt: got precision {options.precision}, expected fp32 or fp16")
    missing = problem(options.device)
    if missing:
        raise DeviceError(f"backend tensorrt: {missing}")


class TensorRtSession:
    """See session.Session. Arrays are CuPy's; a result is ready for work that is queued on the caller's current stream."""

    backend = "tensorrt"

    def __init__(self, onnx: Path, options: SessionOptions) -> None:
        import cupy

        self.device, self.precision = options.device, options.precision
        self._gpu: Any = cupy.cuda.Device(options.ordinal)
        with self._gpu:
            self._network: _Network | None = _Network(onnx, options.precision, self._gpu.id)
            self._workspace = Workspace.of(self._gpu.id)
            self._workspace.reserve(self._network.scratch_bytes)
        self.input_shape, self.channels = self._network.input_shape, int(self._network.output.shape[1])

    def run(self, tile: Any) -> Any:
        import cupy

        if self._network is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        with self._gpu, self._workspace.lock:
            caller, stream = cupy.cuda.get_current_stream(), self._workspace.stream
            stream.wait_event(caller.record())
            self._network.input.data.copy_from_device_async(tile.data, tile.nbytes, stream)
            self._network.run(self._workspace)
            caller.wait_event(stream.record())
        return self._network.output[0]

    def close(self) -> None:
        if self._network is not None:
            with self._gpu, self._workspace.lock:
                self._workspace.stream.synchronize()
                self._network = None


class _Network:
    """One engine with its fixed input and output arrays and, after the first run, the CUDA graph of a run."""

    def __init__(self, onnx: Path, precision: Precision, ordinal: int) -> None:
        import tensorrt as trt

        self._loaded = load_engine(onnx, precision, ordinal)
        source, result, self.input_shape = _interface(self._loaded.engine, onnx.name)
        # the scratch memory is handed over before a run, so that sessions can share it
        self._context = self._loaded.engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if not self._context.set_input_shape(source, self.input_shape) or self._context.infer_shapes():
            raise DeviceError(f"{onnx.name}: TensorRT refused the input shape {self.input_shape}")
        self.input = allocate(self.input_shape, "float32")
        self.output = allocate(tuple(self._context.get_tensor_shape(result)), "float32")
        for name, array in ((source, self.input), (result, self.output)):
            if not self._context.set_tensor_address(name, address_of(array)):
                raise DeviceError(f"{onnx.name}: TensorRT refused the address of {name}")
        self.scratch_bytes = self._context.update_device_memory_size_for_shapes()
        self._generation = -1  # of the workspace whose scratch memory the context and the graph hold
        self._graph: Any = None

    def run(self, workspace: Workspace) -> None:
        """Queue one run on the workspace's stream."""
        if self._generation != workspace.generation:
            self._attach(workspace)
        elif self._graph is None:
            self._execute(workspace)
        else:
            self._graph.launch(workspace.stream)

    def _attach(self, workspace: Workspace) -> None:
        """Take the scratch memory's address and run plainly, which TensorRT needs before a capture; then capture a run."""
        self._graph = None
        self._context.set_device_memory(*workspace.scratch)
        self._execute(workspace)
        workspace.stream.synchronize()
        self._generation = workspace.generation
        self._graph = self._captured(workspace.stream)
        if self._graph is None:
            _LOG.warning("CUDA graph: this network cannot be captured, so it runs without one")

    def _captured(self, stream: Any) -> Any:
        import cupy

        try:
            stream.begin_capture()
            works = self._context.execute_async_v3(stream.ptr)
            graph = stream.end_capture()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            _LOG.warning("CUDA graph: %s", error)
            return None
        return graph if works else None

    def _execute(self, workspace: Workspace) -> None:
        if not self._context.execute_async_v3(workspace.stream.ptr):
            raise DeviceError(f"TensorRT: a network failed: {'; '.join(self._loaded.errors[-3:])}")


def _interface(engine: trt.ICudaEngine, name: str) -> tuple[str, str, tuple[int, int, int, int, int]]:
    """The input's name, the output's, and the input's shape. Both are float32: an fp16 network casts inside."""
    import tensorrt as trt

    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
    kinds = [engine.get_tensor_dtype(n) for n in names]
    if len(inputs) != 1 or any(kind != trt.DataType.FLOAT for kind in kinds):
        raise BundleError(f"{name}: got tensors {names} of {kinds}, expected one float32 input and float32 logits")
    shape = static_shape(name, _sizes(engine, inputs[0]), len(outputs))
    output_channels(name, _sizes(engine, outputs[0]), shape)
    return inputs[0], outputs[0], shape


def _sizes(engine: trt.ICudaEngine, tensor: str) -> list[int | None]:
    """Along the axes; a free size is -1 there."""
    return [None if size < 0 else int(size) for size in engine.get_tensor_shape(tensor)]
