"""What the border of zeros of a scan encloses: nnU-Net's nonzero mask, with its holes filled, a bit a voxel.

Source: nnunetv2/preprocessing/cropping/cropping.py (create_nonzero_mask): a voxel lies outside where every channel is 0 and a way
over faces, through such voxels alone, leads out of the array. So the mask of the cropped view is the same as the whole scan's.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box

Bits = NDArray[np.uint8]


class NonzeroMask:
    """The mask of a view. The scan is read once, plane by plane; what is held are two bits a voxel of it, later one."""

    def __init__(self, view: ScanView) -> None:
        self._shape_yx = view.shape_zyx[1:]
        planes = range(view.shape_zyx[0])
        zero = np.empty((len(planes), -(-self._shape_yx[0] * self._shape_yx[1] // 8)), np.uint8)
        for z in planes:
            box = view.whole.along(0, z, z + 1)
            zero[z] = _packed(~np.logical_or.reduce([view.on_host(box, channel)[0] for channel in range(len(view.ct.channels))]))
        self._outside = np.zeros_like(zero)
        border = np.ones(self._shape_yx, bool)
        border[1:-1, 1:-1] = False
        for z in planes:
            seed = np.full_like(zero[z], 0xFF) if z in (0, planes[-1]) else _packed(border)
            self._grow(zero, z, seed | self._outside[max(0, z - 1)])
        order, fresh = planes[::-1], True
        while fresh:  # down, up and so on, until a sweep finds nothing
            fresh = False
            for before, z in pairwise(order):
                seed = self._outside[before] & zero[z] & ~self._outside[z]
                if seed.any():
                    self._grow(zero, z, seed)
                    fresh = True
            order = order[::-1]

    def _grow(self, zero: Bits, z: int, seed: Bits) -> None:
        """Mark what of a plane's zeros hangs together, over edges of pixels, with the seed."""
        from scipy import ndimage

        pieces, count = ndimage.label(self._plane(zero[z]))
        outside = np.zeros(count + 1, bool)
        outside[pieces[self._plane(seed | self._outside[z])]] = True
        outside[0] = False
        self._outside[z] = _packed(outside[pieces])

    def _plane(self, bits: Bits) -> NDArray[np.bool_]:
        rows, columns = self._shape_yx
        return np.unpackbits(bits, count=rows * columns).reshape(rows, columns).view(bool)

    def with_labels(self, view: ScanView, labels: NDArray[Any]) -> NonzeroMask:
        """The mask, and what labels (z, y, x) on the scan other than 0 fill: nnU-Net normalises both."""
        joined = copy.copy(self)
        joined._outside = self._outside.copy()
        for z in range(view.shape_zyx[0]):
            plane = view.turned_part(labels, view.whole.along(0, z, z + 1))[0]
            joined._outside[z] &= ~_packed(plane > 0)
        return joined

    def inside(self, box: Box) -> NDArray[np.uint8]:
        """1 inside and 0 outside, in a box of the view."""
        inside = np.empty(box.shape_zyx, bool)
        for plane, z in zip(inside, range(*box.ranges[0]), strict=True):
            np.logical_not(self._plane(self._outside[z])[box.slices[1:]], out=plane)
        return inside.view(np.uint8)


def _packed(plane: NDArray[np.bool_]) -> Bits:
    return np.packbits(plane)
