"""TensorRT: the default on a GPU. fp32 without TF32 for mode=exact, strongly typed fp16 with fp32 norms for mode=fast.

A session keeps fixed input and output arrays and replays a CUDA graph; it never makes a TensorRT object before CuPy has said
that there is a GPU, since TensorRT may crash the process without one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from flare_trt.engine.backends.session import Session, SessionOptions, one_channel_shape, require_tile
from flare_trt.engine.backends.trt_engine import load_engine
from flare_trt.engine.backends.trt_workspace import Workspace, address_of, allocate
from flare_trt.engine.errors import BundleError, DeviceError
from flare_trt.kernels import cuda_problem

_LOG = logging.getLogger(__name__)

#: The first version with strongly typed networks as they are used here.
OLDEST_VERSION = (10, 12)


def problem() -> str | None:
    """Why this backend cannot be used here, or None."""
    missing = cuda_problem()
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
    if not options.device.startswith("cuda:"):
        raise DeviceError(f"backend tensorrt: got device {options.device}, expected cuda:N")
    if options.precision not in ("fp32", "fp16"):
        raise DeviceError(f"backend tensorrt: got precision {options.precision}, expected fp32 or fp16")
    missing = problem()
    if missing:
        raise DeviceError(f"backend tensorrt: {missing}")
    return TensorRtSession(onnx, options)


class TensorRtSession:
    """See session.Session. Arrays are CuPy's; a result is ready for work that is queued on the caller's current stream."""

    backend = "tensorrt"

    def __init__(self, onnx: Path, options: SessionOptions) -> None:
        import cupy
        import tensorrt as trt

        self.device, self.precision = options.device, options.precision
        self._gpu: Any = cupy.cuda.Device(int(options.device.partition(":")[2]))
        with self._gpu:
            self._loaded: Any = load_engine(onnx, options.precision, self._gpu.id)
            source, result, self.input_shape = _interface(self._loaded.engine, onnx.name)
            # the scratch memory is handed over before a run, so that sessions can share it
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            self._context: Any = self._loaded.engine.create_execution_context(strategy)
            if not self._context.set_input_shape(source, self.input_shape) or self._context.infer_shapes():
                raise DeviceError(f"{onnx.name}: TensorRT refused the input shape {self.input_shape}")
            shape = tuple(self._context.get_tensor_shape(result))
            self.channels = int(shape[1])
            self._input, self._output = allocate(self.input_shape, "float32"), allocate(shape, "float32")
            for name, array in ((source, self._input), (result, self._output)):
                if not self._context.set_tensor_address(name, address_of(array)):
                    raise DeviceError(f"{onnx.name}: TensorRT refused the address of {name}")
            self._workspace = Workspace.of(self._gpu.id)
            self._workspace.reserve(self._context.update_device_memory_size_for_shapes())
        self._generation = -1
        self._graph: Any = None

    def run(self, tile: Any) -> Any:
        import cupy

        if self._context is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        with self._gpu, self._workspace.lock:
            caller, stream = cupy.cuda.get_current_stream(), self._workspace.stream
            stream.wait_event(caller.record())
            self._input.data.copy_from_device_async(tile.data, tile.nbytes, stream)
            if self._generation != self._workspace.generation:
                self._attach()
            elif self._graph is None:
                self._execute()
            else:
                self._graph.launch(stream)
            caller.wait_event(stream.record())
        return self._output[0]

    def _attach(self) -> None:
        """Take the scratch block's address, run once plainly, then capture the same work for the next runs."""
        import cupy

        stream = self._workspace.stream
        self._graph = None
        self._context.set_device_memory(*self._workspace.scratch)
        self._execute()
        stream.synchronize()
        self._generation = self._workspace.generation
        try:
            stream.begin_capture()
            captured = self._context.execute_async_v3(stream.ptr)
            graph = stream.end_capture()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            captured, graph = False, None
            _LOG.warning("CUDA graph: the capture failed: %s", error)
        if captured:
            self._graph = graph
        else:
            _LOG.warning("CUDA graph: this network cannot be captured, so it runs without one")

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._workspace.stream.ptr):
            raise DeviceError(f"TensorRT: a network failed: {'; '.join(self._loaded.logger.errors[-3:])}")

    def close(self) -> None:
        if self._context is None:
            return
        with self._gpu, self._workspace.lock:
            self._workspace.stream.synchronize()
            # in this order: a graph uses the context, a context its engine
            self._graph = self._context = self._loaded = self._input = self._output = None


def _interface(engine: Any, name: str) -> tuple[str, str, tuple[int, int, int, int, int]]:
    """The input's name, the output's, and the input's shape. Both are float32: an fp16 network casts inside."""
    import tensorrt as trt

    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
    kinds = [engine.get_tensor_dtype(n) for n in names]
    if len(inputs) != 1 or any(kind != trt.DataType.FLOAT for kind in kinds):
        raise BundleError(f"{name}: got tensors {names} of {kinds}, expected one float32 input and float32 logits")
    sizes = [None if size < 0 else int(size) for size in engine.get_tensor_shape(inputs[0])]  # a free size is -1
    return inputs[0], outputs[0], one_channel_shape(name, sizes, len(outputs))
