"""Arrays of other packages on the fake GPU, handed over by __cuda_array_interface__ or DLPack, and how the fake takes them."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.fakes.device_memory import Device, ndarray


class TorchLike:
    """An array that tells where it lies, as a CUDA tensor of torch does."""

    def __init__(self, array: ndarray) -> None:
        self.array = array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.array.__cuda_array_interface__


class DlpackOnly:
    """An array that speaks DLPack alone."""

    def __init__(self, array: ndarray) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.array.device.id

    def __dlpack__(self, **_: Any) -> Any:
        return self.array._host.__dlpack__()


def asarray(a: Any) -> ndarray:
    """CuPy's, of what lies on the GPU already: the same memory."""
    if isinstance(a, ndarray):
        return a
    told = a.__cuda_array_interface__
    kind, (address, _) = np.dtype(told["typestr"]), told["data"]
    strides = told["strides"] or np.empty(told["shape"], kind).strides
    nbytes = kind.itemsize + sum((size - 1) * step for size, step in zip(told["shape"], strides, strict=True))
    raw = np.frombuffer((ctypes.c_char * nbytes).from_address(address), np.uint8)
    host: NDArray[Any] = np.ndarray(told["shape"], kind, raw, strides=strides)
    return ndarray(host, SimpleNamespace(device=Device(told["device"]), owner=a))  # type: ignore[arg-type]  # a borrowed block


def from_dlpack(array: Any) -> ndarray:
    """CuPy's: the same memory."""
    lent = type("Lent", (), {"__dlpack__": lambda _, **__: array.__dlpack__(), "__dlpack_device__": lambda _: (1, 0)})()
    block = SimpleNamespace(device=Device(array.__dlpack_device__()[1]), owner=array)
    return ndarray(np.from_dlpack(lent), block)  # type: ignore[arg-type]  # a borrowed block
