"""What every CUDA kernel's host side needs of its GPU: memory, copies and launches, all on CuPy's current stream of that GPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.kernels.contract import Array
from flare_trt.kernels.cuda.launch import Launch, run
from flare_trt.kernels.cuda.loader import KernelLoader


class Gpu:
    """Memory and launches on GPU `ordinal`. All device memory of the kernels is allocated by `empty`."""

    def __init__(self, ordinal: int = 0) -> None:
        self.ordinal = ordinal
        self._loader = KernelLoader()

    def active(self) -> AbstractContextManager[Any]:
        import cupy

        device: AbstractContextManager[Any] = cupy.cuda.Device(self.ordinal)
        return device

    def used_bytes(self) -> int:
        import cupy

        with self.active():
            free, total = cupy.cuda.runtime.memGetInfo()
        return int(total - free)

    def trim(self) -> None:
        import cupy

        with self.active():
            cupy.get_default_memory_pool().free_all_blocks()

    def upload(self, source: Array) -> Array:
        if not isinstance(source, np.ndarray):
            return self.contiguous(source)
        with self.active():
            array = self.empty(source.shape, source.dtype)
            array.set(np.ascontiguousarray(source))
            return array

    def download(self, array: Array) -> NDArray[Any]:
        with self.active():
            host: NDArray[Any] = self.contiguous(array).get()
            return host

    def contiguous(self, array: Array) -> Array:
        """The array itself, or a C-contiguous copy of a strided view."""
        if array.flags["C_CONTIGUOUS"]:
            return array
        with self.active():
            copy = self.empty(array.shape, array.dtype)
            copy[...] = array
            return copy

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        import cupy

        with self.active():
            return cupy.empty(tuple(shape), dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        with self.active():
            array = self.empty(shape, dtype)
            array.fill(0)
            return array

    def launch(self, kernel: str, launch: Launch, *arguments: Any) -> None:
        """Queue a kernel by name; see launch.run for how arguments are packed."""
        with self.active():
            run(self._loader.function(kernel), launch, *arguments)
