"""Where the patient is in the scan: the box that mode=fast looks at first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.device_array import on_host
from flare_trt.kernels import Box

#: Air and the padding of a round field of view lie below this; skin, fat and most of the table's shell above.
BODY_HU = -500.0
#: The scan is looked at in steps of this size on each axis.
_STEP_MM = 4.0
#: Kept around the body.
_MARGIN_MM = 12.0
#: A connected piece under this share of the largest one is a cushion, a cable or a table's edge.
_SHARE = 0.005


def body_box(ct: Volume) -> Box:
    """Box of the patient with a margin, in voxels of the scan; the whole scan where none is seen."""
    from scipy import ndimage

    steps = [max(1, int(_STEP_MM / mm)) for mm in ct.grid.spacing_mm]
    dense = _sampled(ct, steps) > BODY_HU
    pieces, count = ndimage.label(dense)
    if count == 0:
        return Box((0, 0, 0), ct.grid.shape_zyx)
    sizes = np.bincount(pieces.ravel())[1:]
    cuts = [cut for cut, size in zip(ndimage.find_objects(pieces), sizes, strict=True) if size >= _SHARE * sizes.max()]
    start, stop = [], []
    for axis, (step, mm, size) in enumerate(zip(steps, ct.grid.spacing_mm, ct.grid.shape_zyx, strict=True)):
        margin = step + int(np.ceil(_MARGIN_MM / mm))
        start.append(max(0, min(cut[axis].start for cut in cuts) * step - margin))
        stop.append(min(size, max(cut[axis].stop for cut in cuts) * step + margin))
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _sampled(ct: Volume, steps: list[int]) -> NDArray[Any]:
    """Every steps[i]-th voxel of each axis, read plane by plane."""
    depth, height, width = ct.grid.shape_zyx
    planes = (ct.array[z : z + 1, 0:height, 0:width][0, :: steps[1], :: steps[2]] for z in range(0, depth, steps[0]))
    return np.stack([on_host(plane) for plane in planes])
