"""A scan seen by a network: in the network's axis order, and without the zero border that nnU-Net crops.

Source: nnunetv2/preprocessing/preprocessors/default_preprocessor.py (transpose, then crop), cropping/cropping.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.grid import Reorientation, Shape, Vector
from flare_trt.engine.spec import StageSpec
from flare_trt.engine.volume import Volume
from flare_trt.kernels import Box


@dataclass(frozen=True)
class Frame:
    """`view` is a strided view of the scan; `crop` is where it lies in the turned, uncropped scan."""

    view: NDArray[Any]
    spacing_mm: Vector
    turn: Reorientation
    crop: Box

    @staticmethod
    def of(ct: Volume, stage: StageSpec) -> Frame:
        """The scan as `stage`'s network sees it."""
        if stage.orientation == "as-stored":
            turn = Reorientation((0, 1, 2), (False, False, False))
        else:
            turn = Reorientation.to(ct.grid, stage.orientation)
        turn = turn.transposed(stage.transpose_forward)
        view = turn.apply(ct.array)
        crop = nonzero_box(view) if stage.crop_nonzero else Box((0, 0, 0), _shape(view))
        return Frame(view[crop.slices], turn.permuted(ct.grid.spacing_mm), turn, crop)

    @property
    def shape_zyx(self) -> Shape:
        """Shape of the view, in the network's axis order."""
        return _shape(self.view)

    def to_source(self, box: Box, source_shape: Shape) -> Box:
        """A box of `view` as a box of the scan."""
        return self.turn.undo_box(_shift(box, self.crop.start_zyx, 1), source_shape)

    def from_source(self, box: Box, source_shape: Shape) -> Box:
        """A box of the scan as a box of `view`, cut to it; may come out empty."""
        turned = _shift(self.turn.apply_box(box, source_shape), self.crop.start_zyx, -1)
        start = [min(max(0, low), size) for low, size in zip(turned.start_zyx, self.shape_zyx, strict=True)]
        stop = [max(first, min(high, size)) for first, high, size in zip(start, turned.stop_zyx, self.shape_zyx, strict=True)]
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def paste(self, labels: NDArray[np.uint8], target: Box, output: NDArray[np.uint8]) -> None:
        """Write labels of the box `target` of `view` into an array that lies as the scan does."""
        turned = self.turn.apply(output)[self.crop.slices]
        turned[target.slices] = labels


def nonzero_box(array: NDArray[Any]) -> Box:
    """Box of the non-zero voxels of (z, y, x), found from the faces inwards; the whole array where all is zero."""
    start, stop = [0, 0, 0], list(array.shape)
    for axis in range(3):
        rest = array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        planes = np.moveaxis(rest, axis, 0)
        first = next((i for i in range(len(planes)) if planes[i].any()), None)
        if first is None:
            return Box((0, 0, 0), _shape(array))
        last = next(i for i in range(len(planes), 0, -1) if planes[i - 1].any())
        start[axis], stop[axis] = start[axis] + first, start[axis] + last
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _shape(array: NDArray[Any]) -> Shape:
    z, y, x = array.shape
    return z, y, x


def _shift(box: Box, by: Shape, sign: int) -> Box:
    z, y, x = (sign * step for step in by)
    (az, ay, ax), (bz, by_, bx) = box.start_zyx, box.stop_zyx
    return Box((az + z, ay + y, ax + x), (bz + z, by_ + y, bx + x))
