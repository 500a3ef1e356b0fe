"""A CT that lies on a GPU: the caller's own array, never copied; only the slab in use is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array


class DeviceScan:
    """A C-contiguous (z, y, x) array of `kernels`' device. Its range and the box of its non-zero voxels are measured once."""

    ndim = 3

    def __init__(self, array: Array, kernels: Kernels) -> None:
        self.array = array
        self.shape: Shape = tuple(array.shape)
        self.dtype, self.nbytes = array.dtype, array.nbytes
        self.value_range = kernels.value_range(array)
        self.nonzero_box = kernels.box_nonzero(array) or Box((0, 0, 0), self.shape)

    def __getitem__(self, cut: tuple[slice, slice, slice]) -> Array:
        """A view on the device."""
        return self.array[cut]


def on_host(array: Array) -> NDArray[Any]:
    """A piece of any scan as a NumPy array."""
    host: NDArray[Any] = array if isinstance(array, np.ndarray) else array.get()
    return host
