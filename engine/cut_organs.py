"""Which organs a box cuts: the fine labels are looked at where they meet the box's faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.grid import Grid
from flare_trt.engine.roi import OPPOSITE
from flare_trt.kernels import Box

#: An organ with less than this on a face of the box only grazes it.
CUT_AREA_MM2 = 40.0
#: An organ's main piece is looked for in steps of this size.
_STEP_MM = 3.0


def cut_organs(labels: NDArray[np.uint8], box: Box, scan: Grid, names: dict[int, str]) -> list[tuple[str, str]]:
    """(organ, side) for each label whose main piece lies on a face of the box that is not the scan's own edge.

    Only the largest piece counts: what a network wrongly sees beside the abdomen ends at the box too, and no larger box would
    make it whole.
    """
    inside = labels[box.slices]
    found = []
    for axis, letter in enumerate(scan.orientation):
        area_mm2 = float(np.prod(scan.spacing_mm)) / scan.spacing_mm[axis]
        faces = [(0, box.start_zyx[axis] > 0, OPPOSITE[letter]), (-1, box.stop_zyx[axis] < scan.shape_zyx[axis], letter)]
        for index, inner, side in faces:
            if not inner:
                continue
            counts = np.bincount(inside.take(index, axis).ravel())
            for value in np.flatnonzero(counts * area_mm2 >= CUT_AREA_MM2):
                if value and _main_piece_area_mm2(inside == value, axis, index, scan) >= CUT_AREA_MM2:
                    found.append((names.get(int(value), str(value)), side))
    return found


def _main_piece_area_mm2(mask: NDArray[np.bool_], axis: int, index: int, scan: Grid) -> float:
    """Area of the mask's largest piece on its first (index 0) or last plane of an axis, sampled in steps that start there."""
    from scipy import ndimage

    facing = mask if index == 0 else np.flip(mask, axis)
    steps = [max(1, int(_STEP_MM / mm)) for mm in scan.spacing_mm]
    pieces, count = ndimage.label(facing[:: steps[0], :: steps[1], :: steps[2]], structure=np.ones((3, 3, 3), bool))
    if count == 0:  # thinner than the steps: no organ's bulk
        return 0.0
    main = int(np.argmax(np.bincount(pieces.ravel())[1:])) + 1
    voxel_mm2 = float(np.prod(scan.spacing_mm)) / scan.spacing_mm[axis] * float(np.prod(steps)) / steps[axis]
    return float(np.count_nonzero(pieces.take(0, axis) == main)) * voxel_mm2
