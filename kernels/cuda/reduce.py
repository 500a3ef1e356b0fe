"""Reductions on the GPU: ranges of values, boxes of voxels, and the bounds of labels. Each gives its result to the host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.box import Box
from flare_trt.kernels.contract import Array
from flare_trt.kernels.cuda.gpu import Gpu
from flare_trt.kernels.cuda.launch import Launch

#: Blocks that share one slice of a reduction: enough to fill any card, few enough that each reads long stretches.
_RANGE_BLOCKS = 1024
#: Planes that one thread of `box` and `bounds` walks.
_CHUNK_PLANES = 64
#: Extents before the first voxel, (z, y, x lowest, z, y, x highest).
NO_EXTENTS = np.array([2**31 - 1] * 3 + [-1] * 3, np.int32)


def slice_ranges(gpu: Gpu, image: Array, slices: int) -> Array:
    """(lowest, highest) of each of `slices` equal parts of an int16 or float32 array, as the keys of flare.cuh, on the GPU."""
    ranges = gpu.upload(np.tile(np.array([0xFFFFFFFF, 0], np.uint32), slices))
    voxels = image.size // slices
    gpu.launch(f"range_{image.dtype}", Launch.over_elements(voxels, slices, _RANGE_BLOCKS), image, ranges, np.uint64(voxels))
    return ranges


def value_range(gpu: Gpu, image: Array) -> tuple[float, float]:
    """See contract.Kernels.value_range."""
    keys = gpu.download(slice_ranges(gpu, image, 1))
    lowest, highest = np.where(keys & 0x80000000, keys & 0x7FFFFFFF, ~keys).astype(np.uint32).view(np.float32)
    return float(lowest), float(highest)


def moments(gpu: Gpu, image: Array) -> tuple[float, float]:
    """See contract.Kernels.moments. Each block leaves its sums, which are added on the host in one order."""
    size = Launch.over_elements(image.size, 1, _RANGE_BLOCKS)
    parts = gpu.empty((size.grid_xyz[0], 2), np.float64)
    gpu.launch(f"moments_{image.dtype}", size, image, parts, np.uint64(image.size))
    total, squares = gpu.download(parts).sum(axis=0).tolist()
    return total, squares


def box_nonzero(gpu: Gpu, image: Array) -> Box | None:
    """See contract.Kernels.box_nonzero."""
    extents = gpu.upload(NO_EXTENTS)
    gpu.launch(f"box_{image.dtype}", _columns(image), image, extents, *image.shape, _CHUNK_PLANES)
    z0, y0, x0, z1, y1, x1 = (int(v) for v in gpu.download(extents))
    return None if z1 < 0 else Box((z0, y0, x0), (z1 + 1, y1 + 1, x1 + 1))


def label_bounds(gpu: Gpu, labels: Array, count: int) -> NDArray[np.int64]:
    """See contract.Kernels.bounds."""
    rows = min(count, 1 << 8 * labels.dtype.itemsize)  # a label map has no more
    extents, voxels = gpu.upload(np.tile(NO_EXTENTS, (rows, 1))), gpu.zeros((rows,), np.uint64)
    highest = gpu.zeros((1,), np.int32)
    gpu.launch(f"bounds_{labels.dtype}", _columns(labels), labels, extents, voxels, highest, rows, *labels.shape, _CHUNK_PLANES)
    if (found := int(gpu.download(highest)[0])) >= count:
        raise ValueError(f"labels: got a label {found}, expected at most {count - 1}")
    table = np.zeros((count, 7), np.int64)
    table[:rows, :6], table[:rows, 6] = gpu.download(extents), gpu.download(voxels)
    table[:, 3:6] += 1
    table[table[:, 6] == 0] = 0
    return table


def _columns(image: Array) -> Launch:
    z, y, x = image.shape
    return Launch.over_elements(y * x, -(-z // _CHUNK_PLANES))
