"""What every CUDA kernel's host side needs of the current GPU: memory, copies and launches, all on CuPy's current stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.kernels.contract import Array
from flare_trt.kernels.cuda.launch import Launch, run
from flare_trt.kernels.cuda.loader import KernelLoader


class Gpu:
    """Memory and launches. All device memory of the kernels is allocated by `empty`."""

    def __init__(self) -> None:
        self._loader = KernelLoader()

    def upload(self, host: NDArray[Any]) -> Array:
        host = np.ascontiguousarray(host)
        array = self.empty(host.shape, host.dtype)
        array.set(host)
        return array

    def download(self, array: Array) -> NDArray[Any]:
        host: NDArray[Any] = array.get()
        return host

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        import cupy

        return cupy.empty(tuple(shape), dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    def launch(self, kernel: str, launch: Launch, *arguments: Any) -> None:
        """Queue a kernel by name; see launch.run for how arguments are packed."""
        run(self._loader.function(kernel), launch, *arguments)
