"""Filters over (z, y, x) arrays by PyTorch and NumPy alone, as SciPy's: patches are drawn where neither SciPy nor cc3d need be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from flare_trt.training.distil.warp import Vector

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def gaussian(array: Floats, sigma_voxels: Sequence[float], truncate: float = 4.0, wrap: bool = False) -> Floats:
    """Smooth by a Gaussian of so many voxels along each axis, cut off at `truncate` of them; beyond the array its outer values
    stand, or with `wrap` its other end."""
    result = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    for axis, sigma in enumerate(sigma_voxels):
        reach = int(truncate * sigma + 0.5)
        if reach:
            weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
            result = _weighted(result, axis, (weights / weights.sum()).tolist(), wrap)
    return _array(result)


def mean_along_z(array: Floats, slices: int) -> Floats:
    """The mean of each voxel and its neighbours along z, `slices` in all; beyond the array its outer values stand."""
    result = _weighted(torch.from_numpy(np.ascontiguousarray(array, np.float32)), 0, [1 / slices] * slices, wrap=False)
    return _array(result)


def _array(tensor: torch.Tensor) -> Floats:
    result: Floats = tensor.numpy()
    return result


def _weighted(array: torch.Tensor, axis: int, weights: Sequence[float], wrap: bool) -> torch.Tensor:
    """The sum of shifted copies along an axis; the middle one, or the one behind it, does not move."""
    size, before = array.shape[axis], len(weights) // 2
    index = torch.arange(-before, size + len(weights) - 1 - before)
    longer = array.index_select(axis, index % size if wrap else index.clamp(0, size - 1))
    result = longer.narrow(axis, 0, size) * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        result.add_(longer.narrow(axis, shift, size), alpha=weight)
    return result


def sampled(arrays: Floats, places: Sequence[Floats], nearest: bool = False) -> Floats:
    """Values (n, z, y, x) of n arrays at the voxel numbers `places` along each axis (z, y, x); the outer values stand beyond."""
    sizes = arrays.shape[1:]
    scaled = [2 * place / max(1, size - 1) - 1 for place, size in zip(places, sizes, strict=True)]
    grid = torch.from_numpy(np.stack(scaled[::-1], -1).astype(np.float32))[None]
    volumes = torch.from_numpy(np.ascontiguousarray(arrays, np.float32))[None]
    mode = "nearest" if nearest else "bilinear"
    return _array(functional.grid_sample(volumes, grid, mode, "border", align_corners=True)[0])


def distance_mm(mask: Mask, spacing_mm: Vector, most_mm: float) -> Floats:
    """How far each voxel is from the mask (mm), `most_mm` where it is that far or farther."""
    squares = torch.from_numpy(np.where(mask, 0.0, most_mm**2).astype(np.float32))
    for axis, mm in enumerate(spacing_mm):
        nearer = squares.clone()
        for shift in range(1, min(squares.shape[axis], math.ceil(most_mm / mm))):
            size, further = squares.shape[axis] - shift, (shift * mm) ** 2
            for to, come_from in ((0, shift), (shift, 0)):
                there = nearer.narrow(axis, to, size)
                torch.minimum(there, squares.narrow(axis, come_from, size) + further, out=there)
        squares = nearer
    return _array(squares.sqrt())


def dilated(mask: Mask, times: int = 1) -> Mask:
    """The mask and what shares a face with it, `times` over."""
    for _ in range(times):
        grown = mask.copy()
        for axis in range(3):
            low, high = _ends(axis)
            grown[low] |= mask[high]
            grown[high] |= mask[low]
        mask = grown
    return mask


def eroded(mask: Mask, times: int = 1) -> Mask:
    """The mask without what shares a face with its outside, `times` over; beyond the array lies its outside."""
    for _ in range(times):
        kept = mask.copy()
        for axis in range(3):
            low, high = _ends(axis)
            kept[low] &= mask[high]
            kept[high] &= mask[low]
            kept[(slice(None),) * axis + ([0, -1],)] = False
        mask = kept
    return mask


def opened(mask: Mask, times: int = 1) -> Mask:
    """The mask without its thin parts."""
    return dilated(eroded(mask, times), times)


def closed(mask: Mask, times: int = 1) -> Mask:
    """The mask with its thin gaps; what lies near the array's ends is lost."""
    return eroded(dilated(mask, times), times)


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last and all but the first along an axis."""
    before = (slice(None),) * axis
    return (*before, slice(None, -1)), (*before, slice(1, None))
