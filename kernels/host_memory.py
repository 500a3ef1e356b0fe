"""Arrays of the devices that work on the host's own memory: NumPy's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.kernels.contract import Array


class HostMemory:
    """The memory half of contract.Kernels for reference and native."""

    def upload(self, host: NDArray[Any]) -> Array:
        return np.ascontiguousarray(host)

    def download(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        return np.zeros(shape, dtype)
