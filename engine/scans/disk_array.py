"""A scan on disk instead of in memory: its voxels lie in an unnamed temporary file and only the slab in use is read.

The file is read, not mapped, so that its pages never count as this process' memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Shape
from flare_trt.engine.base.positioned_read import read_into
from flare_trt.engine.base.volume import Measured, Slices
from flare_trt.kernels import Box


class DiskArray:
    """A ScanArray (base/volume.py) that answers three slices with a NumPy array. The file vanishes with the object.

    `measured` is what was seen of the voxels while they were written.
    """

    ndim = 3
    nbytes = 0

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
        self.measured = Measured((low, high), _box(seen))

    def __getitem__(self, cut: Slices) -> NDArray[Any]:
        """The voxels of a cut, read plane by plane."""
        depths, rows, columns = (range(*c.indices(size)) for c, size in zip(cut, self.shape, strict=True))
        block = np.empty((len(depths), len(rows), len(columns)), self.dtype)
        plane = np.empty((max(0, rows.stop - rows.start), self.shape[2]), self.dtype)
        for index, z in enumerate(depths if block.size else ()):
            if not read_into(self._file.fileno(), plane, (z * self.shape[1] + rows.start) * self.shape[2] * self.dtype.itemsize):
                raise InputError("CT: the temporary copy of the scan ended early; is the disk full?")
            block[index] = plane[:: rows.step, columns.start : columns.stop : columns.step]
        return block


def _box(seen: list[NDArray[np.bool_]]) -> Box:
    """The box of the planes of each axis that hold a voxel other than 0; the whole array where none does."""
    if not seen[0].any():
        return Box.spanning((0, len(planes)) for planes in seen)
    return Box.spanning((int(np.argmax(planes)), len(planes) - int(np.argmax(planes[::-1]))) for planes in seen)
