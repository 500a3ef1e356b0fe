"""Sliding window: where tiles start and how their voxels are weighted, bit for bit as nnU-Net does.

Source: nnunetv2/inference/sliding_window_prediction.py.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape


def tile_starts(size: int, patch: int, step: float) -> tuple[int, ...]:
    """First voxel of each tile on one axis. `size` >= `patch`; `step` is a share of the patch in (0, 1]."""
    if size < patch or not 0 < step <= 1:
        raise ValueError(f"tile_starts: got size {size}, patch {patch}, step {step}; expected size >= patch and 0 < step <= 1")
    count = math.ceil((size - patch) / (patch * step)) + 1
    stride = (size - patch) / (count - 1) if count > 1 else 0.0
    return tuple(round(stride * i) for i in range(count))


@lru_cache(maxsize=4)
def gaussian(patch_zyx: Shape) -> NDArray[np.float16]:
    """Weight of each voxel of a tile: a Gaussian of sigma patch / 8 and peak 10, float16, zeros raised to the least weight.

    The filter response to one centre voxel is the product of its three 1-D kernels, so no 3-D filter is needed. These are
    symmetric, so only the octant from the centre on is computed: rounding to float16 is slow where little is left of a double.
    """
    z, y, x = (_kernel_along(size)[size // 2 :: -1] for size in patch_zyx)
    weights = (z[:, None, None] * y[None, :, None]) * x[None, None, :]
    weights /= weights.max() / 10
    halves: NDArray[np.float16] = weights.astype(np.float32).astype(np.float16)  # torch rounds a double twice
    halves[halves == 0] = halves[halves > 0].min()
    for axis, size in reversed(tuple(enumerate(patch_zyx))):
        halves = halves.take(np.abs(np.arange(size) - size // 2), axis)
    halves.flags.writeable = False
    return halves


def _kernel_along(size: int) -> NDArray[np.float64]:
    """scipy.ndimage.gaussian_filter1d of a unit impulse at size // 2 (truncated at 4 sigma, cut at the ends)."""
    if size == 1:  # nnU-Net weighs a slice in its plane alone
        return np.ones(1)
    sigma = size / 8
    radius = int(4.0 * sigma + 0.5)
    kernel = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    kernel /= kernel.sum()
    line = np.zeros(size)
    for position in range(size):
        offset = position - size // 2 + radius
        if 0 <= offset < kernel.size:
            line[position] = kernel[offset]
    return line
