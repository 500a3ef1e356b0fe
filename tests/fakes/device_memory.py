"""Device memory of the fake CuPy: opaque arrays that poison what is not written and count what is allocated."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tests.fakes.device_streams import Stream, get_current_stream, require_no_capture

_LIBC = ctypes.CDLL(None)

#: Alignment of CuPy's pool blocks in bytes.
ALIGNMENT = 512


class MemoryPool:
    """Counts bytes in use, in whole blocks as CuPy's pool does. `events` are the bytes asked for, and, negative, given back."""

    def __init__(self) -> None:
        self.peak = 0
        self.events: list[int] = []
        self._used = 0

    def used_bytes(self) -> int:
        return self._used

    def free_all_blocks(self, stream: Any = None) -> None:
        """Nothing is kept here."""

    def _count(self, change: int) -> None:
        self._used += change
        self.peak = max(self.peak, self._used)


POOL = MemoryPool()

#: Blocks that are allocated now, by address.
_live: WeakValueDictionary[int, _Block] = WeakValueDictionary()


class OutOfMemoryError(MemoryError):
    """No room on the device."""


#: GPUs that something was allocated on.
_allocated_on: set[int] = set()


@contextmanager
def seen_devices() -> Iterator[set[int]]:
    """The GPUs on which something is allocated within the block."""
    _allocated_on.clear()
    yield _allocated_on


def require_live(address: int, nbytes: int, what: str) -> None:
    """Fail for an address that no allocation covers, such as one that was freed."""
    if not any(start <= address and address + nbytes <= start + block.host.nbytes for start, block in _live.items()):
        raise RuntimeError(f"illegal memory access: {what} at {address:#x}, {nbytes} bytes")


class Device:
    """A GPU; all are of the architecture that the fakes compile for. Without a number it is the current one."""

    compute_capability = "86"
    _entered: ClassVar[list[int]] = []

    def __init__(self, device: int | None = None) -> None:
        self.id = (self._entered[-1] if self._entered else 0) if device is None else device

    def __enter__(self) -> Device:
        self._entered.append(self.id)
        return self

    def __exit__(self, *_: Any) -> None:
        self._entered.pop()


def require_current(*arrays: ndarray) -> None:
    """Refuse work on arrays of another GPU than the current one."""
    for array in arrays:
        if array.device.id != Device().id:
            raise ValueError(
                f"Array device must be same as the current device: array device = {array.device.id} while current = {Device().id}"
            )


class _Block:
    """One allocation, filled with 0xFF (a NaN, -1 or 255), so that a voxel that no kernel wrote is seen."""

    def __init__(self, nbytes: int) -> None:
        self._place = ctypes.c_void_p()
        self.device = Device()
        _allocated_on.add(self.device.id)
        self.size = -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT
        if _LIBC.posix_memalign(ctypes.byref(self._place), ALIGNMENT, max(nbytes, 1)):
            raise OutOfMemoryError(f"Out of memory allocating {nbytes} bytes")
        # exactly this long, so that AddressSanitizer sees the first byte past the end
        self.host = np.frombuffer((ctypes.c_char * nbytes).from_address(self._place.value or 0), np.uint8)
        self.host.fill(0xFF)
        _live[self.host.ctypes.data] = self
        self._asked = nbytes
        POOL._count(self.size)
        POOL.events.append(nbytes)

    def __del__(self) -> None:
        _LIBC.free(self._place)
        POOL._count(-self.size)
        POOL.events.append(-self._asked)


class MemoryPointer:
    """Where an array starts."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr

    def copy_from_device_async(self, src: MemoryPointer, size: int, stream: Stream | None = None) -> None:
        def copy() -> None:
            for place, what in ((self.ptr, "the target of a copy"), (src.ptr, "the source of a copy")):
                require_live(place, size, what)
            ctypes.memmove(self.ptr, src.ptr, size)

        (stream or get_current_stream())._do(copy)


class ndarray:  # noqa: N801  the name is CuPy's
    """A device array. It never turns into a host array by itself; kernels and `get` are the only ways to its values."""

    def __init__(self, host: NDArray[Any], block: _Block) -> None:
        self._host, self._block = host, block
        self.data = MemoryPointer(host.ctypes.data)
        self.device = block.device

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.data.ptr, False),
            "strides": None if self.flags.c_contiguous else self.strides,
            "version": 3,
            "device": self.device.id,  # not in the protocol: CuPy asks the driver whose pointer it is
        }

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(np.asarray(self._host[key]), self._block)

    def __setitem__(self, key: Any, value: ndarray | float) -> None:
        require_no_capture("an assignment")
        require_current(self, *([value] if isinstance(value, ndarray) else []))
        self._host[key] = _operand(value)

    def __iadd__(self, other: ndarray | float) -> ndarray:
        require_current(self)
        self._host += _operand(other)
        return self

    def __itruediv__(self, other: ndarray | float) -> ndarray:
        self._host /= _operand(other)
        return self

    def transpose(self, axes: Sequence[int]) -> ndarray:
        return ndarray(self._host.transpose(axes), self._block)

    def copy(self) -> ndarray:
        require_current(self)
        result = empty(self.shape, self.dtype)
        result._host[...] = self._host
        return result

    def get(self) -> NDArray[Any]:
        require_no_capture("a copy to the host")
        return self._host.copy()

    def set(self, arr: NDArray[Any]) -> None:
        require_no_capture("a copy from the host")
        require_current(self)
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"set: got {arr.dtype} {arr.shape}, expected {self.dtype} {self.shape}")
        if not (arr.flags.c_contiguous and self.flags.c_contiguous):
            raise RuntimeError("Cannot set to or from a non-contiguous array")
        self._host[...] = arr

    def fill(self, value: float) -> None:
        require_no_capture("a fill")
        require_current(self)
        self._host.fill(value)


def _operand(value: ndarray | float) -> Any:
    """The host side of another device array, or a number; a host array is refused as CuPy refuses it."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value


def empty(shape: int | Sequence[int], dtype: DTypeLike = float) -> ndarray:
    """A poisoned array."""
    require_no_capture("an allocation")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = np.dtype(dtype)
    block = _Block(int(np.prod(shape, dtype=np.int64)) * kind.itemsize)
    return ndarray(block.host.view(kind).reshape(shape), block)
