"""A scan on disk instead of in memory: its voxels lie in an unnamed temporary file and only the slab in use is read.

The file is read, not mapped, so that its pages never count as this process' memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Shape
from flare_trt.kernels import Box


class SpooledArray:
    """A (z, y, x) array that is indexed with three step-1 slices and answers with a NumPy array.

    Its range and the box of its non-zero voxels were measured while it was written. The file vanishes with the object.
    """

    ndim = 3

    def __init__(self, shape: Shape, dtype: np.dtype[Any], slabs: Iterable[tuple[int, NDArray[Any]]]) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file = tempfile.TemporaryFile(prefix="flare-trt-")  # noqa: SIM115  # lives as long as the object
        seen = [np.zeros(size, bool) for size in shape]
        low, high = np.inf, -np.inf
        for z, slab in slabs:
            if not np.can_cast(slab.dtype, self.dtype):
                raise InputError(
                    f"CT: got {slab.dtype} voxels in the middle of a scan of {self.dtype}; convert it to float32 first"
                )
            self._file.write(np.ascontiguousarray(slab, self.dtype).data)
            low, high = min(low, float(slab.min())), max(high, float(slab.max()))
            filled = slab != 0
            seen[0][z : z + len(slab)] = filled.any((1, 2))
            seen[1] |= filled.any((0, 2))
            seen[2] |= filled.any((0, 1))
        self._file.flush()
        if low == high:
            raise InputError(f"CT: every voxel is {low:g}, so there is nothing to segment; check the conversion")
        self.value_range = (low, high)
        self.nonzero_box = _box(seen)

    def __getitem__(self, cut: tuple[slice, slice, slice]) -> NDArray[Any]:
        """The voxels of a box. Planes are read one by one where the box is narrower than the scan."""
        (z0, z1), (y0, y1), (x0, x1) = (c.indices(size)[:2] for c, size in zip(cut, self.shape, strict=True))
        depth, height = max(0, z1 - z0), max(0, y1 - y0)
        block = np.empty((depth, height, self.shape[2]), self.dtype)
        for index in range(depth):
            first = ((z0 + index) * self.shape[1] + y0) * self.shape[2] * self.dtype.itemsize
            self._read(block[index], first)
        return block[:, :, x0:x1]

    def _read(self, rows: NDArray[Any], offset: int) -> None:
        view = rows.data.cast("B")
        while view:
            count = os.preadv(self._file.fileno(), [view], offset)
            if count == 0:
                raise InputError("CT: the temporary copy of the scan ended early; is the disk full?")
            view, offset = view[count:], offset + count


def _box(seen: list[NDArray[np.bool_]]) -> Box:
    if not seen[0].any():
        return Box((0, 0, 0), (len(seen[0]), len(seen[1]), len(seen[2])))
    (z0, z1), (y0, y1), (x0, x1) = ((int(np.argmax(s)), len(s) - int(np.argmax(s[::-1]))) for s in seen)
    return Box((z0, y0, x0), (z1, y1, x1))
