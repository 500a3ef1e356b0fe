"""A whole-body scan with a real abdomen: a real torso CT, continued above and below by a phantom.

The torso's voxels stay as they are; only what the coarse stage has to see through is synthetic. So labels of the torso may be
compared, and the time is that of a whole-body scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.scans.nifti import write_ct

ORIENTATION = "SPL"
#: Slices over which the torso fades into the phantom: no edge that a network would take for a scan's end.
_FADE_SLICES = 6


@dataclass(frozen=True)
class WholeBody:
    """The scan, and the slices [first, stop) on which it is the real torso's."""

    scan: Volume
    torso: tuple[int, int]


def whole_body(torso: Volume, slices: int, seed: int = 1) -> WholeBody:
    """The torso (turned to superior, posterior, left) with phantom legs below and a phantom head above, `slices` in all.

    Raises InputError where the torso alone has more slices, or none are left for the phantom.
    """
    turn = Reorientation.to(torso.grid, ORIENTATION)
    grid, middle = turn.grid(torso.grid), np.ascontiguousarray(turn.apply(torso.array), np.int16)
    missing = slices - grid.shape_zyx[0]
    if missing < 2:
        raise InputError(f"whole body: got {slices} slices for a torso of {grid.shape_zyx[0]}, expected at least 2 more")
    phantom, organs = make_phantom(seed, (slices, *grid.shape_zyx[1:]), grid.spacing_mm)
    seen = np.flatnonzero(organs.array.any(axis=(1, 2)))
    below = round(missing * int(seen[0]) / int(seen[0] + slices - 1 - seen[-1]))
    legs, head = phantom.array[:below], phantom.array[slices - (missing - below) :]
    array = np.concatenate([legs, middle, head])
    _fade(array, below, -1)
    _fade(array, below + len(middle) - 1, 1)
    origin = np.asarray(grid.origin_mm) - np.asarray(grid.direction)[:, 2] * below * grid.spacing_mm[0]
    place = (float(origin[0]), float(origin[1]), float(origin[2]))
    scan = Volume(array, Grid((slices, *grid.shape_zyx[1:]), grid.spacing_mm, place, grid.direction))
    return WholeBody(scan, (below, below + len(middle)))


def write_whole_body(torso: Path, slices: int, destination: Path) -> tuple[int, int]:
    """Make the case from a torso's file and write it as NIfTI. Returns the real slices, [first, stop)."""
    body = whole_body(read_ct(torso), slices)
    write_ct(destination, body.scan)
    return body.torso


def _fade(array: NDArray[np.int16], edge: int, step: int) -> None:
    """Blend the phantom's first slices beyond the torso's last slice, `edge`, with that slice."""
    for distance in range(1, _FADE_SLICES + 1):
        at = edge + step * distance
        if 0 <= at < len(array):
            share = distance / (_FADE_SLICES + 1)
            array[at] = np.round((1 - share) * array[edge].astype(np.float32) + share * array[at])
