"""What all TensorRT sessions of one GPU share: a stream, a lock and one block of scratch memory.

The coarse and the fine network never run at once, so the block is as large as the larger of them needs, not as both. When a
session asks for more, the block moves; sessions see the new `generation` and take the new address before they run again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from numpy.typing import DTypeLike

from flare_trt.engine.base.errors import DeviceError

#: Alignment that TensorRT wants of every address (NvInferRuntime.h, setTensorAddress and setDeviceMemory).
ALIGNMENT_BYTES = 256

_shared: WeakValueDictionary[int, Workspace] = WeakValueDictionary()
_opening = threading.Lock()


class Workspace:
    """`stream` is never the default one, on which TensorRT would wait for everything. Hold `lock` to use the rest."""

    def __init__(self) -> None:
        import cupy

        self.stream: Any = cupy.cuda.Stream(non_blocking=True)
        self.lock = threading.RLock()
        self.generation = 0
        self._scratch: Any = allocate((ALIGNMENT_BYTES,), "uint8")

    @staticmethod
    def of(ordinal: int) -> Workspace:
        """The workspace of GPU `ordinal`, which must be current. It is freed with the last session that holds it."""
        with _opening:
            workspace = _shared.get(ordinal)
            if workspace is None:
                workspace = _shared[ordinal] = Workspace()
        return workspace

    def reserve(self, nbytes: int) -> None:
        """Make sure of at least this much scratch memory."""
        with self.lock:
            if nbytes > self._scratch.nbytes:
                self.stream.synchronize()  # nothing may still use the block that goes
                self._scratch = None
                self._scratch = allocate((nbytes,), "uint8")
                self.generation += 1

    @property
    def scratch(self) -> tuple[int, int]:
        """(address, bytes) of the block."""
        return address_of(self._scratch), int(self._scratch.nbytes)


def allocate(shape: Sequence[int], dtype: DTypeLike) -> Any:
    """An uninitialised array on the current GPU. Raises DeviceError where there is no room."""
    import cupy

    try:
        return cupy.empty(tuple(shape), dtype)
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise DeviceError(f"GPU: {error}; free GPU memory, or use --device cpu") from error


def address_of(array: Any) -> int:
    """The address of a C-contiguous device array, aligned as TensorRT needs it. Raises DeviceError."""
    address = int(array.data.ptr)
    if address % ALIGNMENT_BYTES or not array.flags["C_CONTIGUOUS"]:
        raise DeviceError(f"device array: got address {address:#x}, expected a contiguous array at a multiple of {ALIGNMENT_BYTES}")
    return address
