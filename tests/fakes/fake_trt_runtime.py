"""The half of the fake TensorRT that runs engines: ONNX Runtime at the raw addresses, on the streams of the fake CuPy."""

from __future__ import annotations

import ctypes
import json
from enum import Enum
from typing import Any

import numpy as np
from tests.fakes.device_memory import require_live
from tests.fakes.device_streams import stream_at
from tests.fakes.fake_trt_build import MAGIC, ILogger, open_session, require_logger

#: Scratch memory that any context asks for at least.
SCRATCH_BYTES = 4096
_ALIGNMENT = 256


class TensorIOMode(Enum):
    INPUT = 0
    OUTPUT = 1


class DataType(Enum):
    FLOAT = 0
    HALF = 1


class ExecutionContextAllocationStrategy(Enum):
    STATIC = 0
    USER_MANAGED = 2


_TYPES = {"tensor(float)": DataType.FLOAT, "tensor(float16)": DataType.HALF}
_NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16}


class Runtime:
    def __init__(self, logger: Any) -> None:
        self._logger = require_logger(logger)

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        head, _, model = serialized_engine.partition(b"\n")
        if not head.startswith(MAGIC):
            self._logger.log(ILogger.Severity.ERROR, "Serialization assertion failed: magic tag does not match")
            return None
        return ICudaEngine(json.loads(head.removeprefix(MAGIC)), model)


class ICudaEngine:
    def __init__(self, facts: dict[str, Any], model: bytes) -> None:
        self._facts, self._session = facts, open_session(model)
        self._values = [*self._session.get_inputs(), *self._session.get_outputs()]

    num_io_tensors = property(lambda self: len(self._values))

    def _value(self, name: str) -> Any:
        return next(value for value in self._values if value.name == name)

    def get_tensor_name(self, index: int) -> str:
        return str(self._values[index].name)

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if self._value(name) in self._session.get_inputs() else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self._value(name).type]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self._value(name).shape)

    def create_execution_context(self, strategy: Any = ExecutionContextAllocationStrategy.STATIC) -> IExecutionContext:
        return IExecutionContext(self, strategy)


class IExecutionContext:
    """`execute_async_v3` puts the network on a stream with the addresses of that moment, as TensorRT does."""

    def __init__(self, engine: ICudaEngine, strategy: ExecutionContextAllocationStrategy) -> None:
        self._engine, self._strategy = engine, strategy
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = self._engine.get_tensor_shape(name)
        if len(shape) != len(wanted) or any(w not in (-1, s) for w, s in zip(wanted, shape, strict=True)):
            return False
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        return [value.name for value in self._engine._session.get_inputs() if value.name not in self._shapes]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        batch = next(iter(self._shapes.values()))[0] if self._shapes else -1
        return self._shapes.get(name) or tuple(batch if size == -1 else size for size in self._engine.get_tensor_shape(name))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        _require_aligned(memory, name)
        self._addresses[name] = memory
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        return SCRATCH_BYTES + 8 * int(np.prod(self.get_tensor_shape(self._engine._values[-1].name)))

    def set_device_memory(self, memory: int, size: int) -> None:
        _require_aligned(memory, "scratch memory")
        self._scratch = (memory, size)

    def execute_async_v3(self, stream_handle: int) -> bool:
        if stream_handle in (0, 1, 2):
            raise AssertionError("TensorRT on a default stream waits for everything")
        if self.infer_shapes() or {value.name for value in self._engine._values} - set(self._addresses):
            return False
        if self._strategy != ExecutionContextAllocationStrategy.USER_MANAGED or self._scratch[1] < (
            self.update_device_memory_size_for_shapes()
        ):
            raise AssertionError(f"scratch memory: got {self._scratch[1]} bytes, which is too small")
        addresses, scratch = dict(self._addresses), self._scratch
        stream_at(stream_handle)._do(lambda: self._run(addresses, scratch))
        return True

    def _run(self, addresses: dict[str, int], scratch: tuple[int, int]) -> None:
        require_live(*scratch, "scratch memory")
        ctypes.memset(scratch[0], 0xAB, scratch[1])
        session = self._engine._session
        feed = {value.name: self._view(value.name, addresses) for value in session.get_inputs()}
        for value, result in zip(session.get_outputs(), session.run(None, feed), strict=True):
            self._view(value.name, addresses)[...] = result

    def _view(self, name: str, addresses: dict[str, int]) -> Any:
        shape, kind = self.get_tensor_shape(name), np.dtype(_NUMPY[self._engine.get_tensor_dtype(name)])
        nbytes = int(np.prod(shape)) * kind.itemsize
        require_live(addresses[name], nbytes, name)
        return np.frombuffer((ctypes.c_char * nbytes).from_address(addresses[name]), kind).reshape(shape)


def _require_aligned(address: int, what: str) -> None:
    if address % _ALIGNMENT:
        raise AssertionError(f"{what}: the address {address:#x} is no multiple of {_ALIGNMENT}")
