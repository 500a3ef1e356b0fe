"""Where the patient is in the scan: the box that mode=fast looks at first."""

from __future__ import annotations

import numpy as np

from flare_trt.engine.base.pieces import label_pieces
from flare_trt.engine.base.volume import Volume
from flare_trt.kernels import Box, load_host

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
    steps = [max(1, int(_STEP_MM / mm)) for mm in ct.grid.spacing_mm]
    z, y, x = (slice(None, None, step) for step in steps)
    dense = np.ascontiguousarray(ct.on_host((z, y, x))) > BODY_HU
    pieces, count = label_pieces(dense, faces_alone=True)  # a table that touches the patient at an edge stays a piece of its own
    if count == 0:
        return ct.grid.whole
    table = load_host().piece_bounds(pieces)
    large = table[table[:, 6] >= max(1, _SHARE * table[:, 6].max())]
    ranges = []
    for low, high, step, mm in zip(large[:, :3].min(0), large[:, 3:6].max(0), steps, ct.grid.spacing_mm, strict=True):
        margin = step + int(np.ceil(_MARGIN_MM / mm))
        ranges.append((int(low) * step - margin, int(high) * step + margin))
    return Box.spanning(ranges).clipped(ct.grid.shape_zyx)
