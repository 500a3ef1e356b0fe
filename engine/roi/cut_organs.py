"""Which organs a box cuts: the fine labels are looked at where they meet the box's faces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flare_trt.engine.base.grid import OPPOSITE, Grid
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.pieces import label_pieces
from flare_trt.kernels import Box, Kernels, load_host
from flare_trt.kernels.contract import Array

#: An organ with less than this on a face of the box only grazes it.
CUT_AREA_MM2 = 40.0
#: An organ's main piece is looked for in steps of this size.
_STEP_MM = 3.0


def cut_organs(labels: Array, box: Box, scan: Grid, names: dict[int, str], kernels: Kernels) -> list[tuple[str, str]]:
    """(organ, side) for each label whose main piece lies on a face of the box that is not the scan's own edge.

    Only the largest piece counts: what a network wrongly sees beside the abdomen ends at the box too, and no larger box would
    make it whole. `labels` lie on the kernels' device.
    """
    inside = labels[box.slices]
    found = []
    for axis, letter in enumerate(scan.orientation):
        area_mm2 = float(np.prod(scan.spacing_mm)) / scan.spacing_mm[axis]
        last = box.shape_zyx[axis] - 1
        faces = [(0, box.start_zyx[axis] > 0, OPPOSITE[letter]), (last, box.stop_zyx[axis] < scan.shape_zyx[axis], letter)]
        for plane, inner, side in faces:
            if not inner:
                continue
            cut = tuple(slice(plane, plane + 1) if a == axis else slice(None) for a in range(3))
            counts = np.bincount(kernels.download(inside[cut]).ravel())
            large = [int(value) for value in np.flatnonzero(counts * area_mm2 >= CUT_AREA_MM2) if value]
            if large:
                areas_mm2 = _main_piece_areas_mm2(inside, (axis, plane), large, scan, kernels)
                found += [(names.get(v, str(v)), side) for v, area in zip(large, areas_mm2, strict=True) if area >= CUT_AREA_MM2]
    return found


def _main_piece_areas_mm2(inside: Array, face: tuple[int, int], values: list[int], scan: Grid, kernels: Kernels) -> Iterator[float]:
    """Area of each label's largest piece on a plane (axis, index), from every few voxels of the labels, the plane among them.

    0 where an organ is thinner than the steps.
    """
    axis, plane = face
    steps = [max(1, int(_STEP_MM / mm)) for mm in scan.spacing_mm]
    starts = [plane % steps[axis] if a == axis else 0 for a in range(3)]
    every = tuple(slice(start, None, step) for start, step in zip(starts, steps, strict=True))
    sampled = np.ascontiguousarray(kernels.download(inside[every]))
    table = load_host().bounds(sampled, value_count(sampled.dtype))
    step_mm = [step * mm for step, mm in zip(steps, scan.spacing_mm, strict=True)]
    for value in values:
        where = Box(tuple(table[value, :3].tolist()), tuple(table[value, 3:6].tolist()))
        at_face = where.start_zyx[axis] == 0 if plane == 0 else where.stop_zyx[axis] == sampled.shape[axis]
        if not table[value, 6] or not at_face:
            yield 0.0
            continue
        pieces, _ = label_pieces(sampled[where.slices] == value)
        main = int(np.argmax(np.bincount(pieces.ravel())[1:])) + 1
        on_face = np.count_nonzero(pieces.take(0 if plane == 0 else -1, axis) == main)
        yield float(on_face) * float(np.prod(step_mm)) / step_mm[axis]
