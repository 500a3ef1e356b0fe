"""Mends a teacher's labels: an organ is one piece of a plausible size, and everything else of its class is background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.pieces import find_pieces

#: Largest plausible volume (ml) of FLARE's organs 1 to 13: a larger piece is a tumour, ascites or another organ.
LIMIT_ML = (3000.0, 450.0, 1000.0, 250.0, 400.0, 250.0, 25.0, 25.0, 250.0, 120.0, 1500.0, 250.0, 450.0)

#: A second piece (a bowel loop's bend, an organ cut by the scan's edge) stays from this share of the first one's volume on.
SECOND_PIECE = 0.25


def clean_shares(shares: NDArray[np.float32], voxel_ml: float) -> None:
    """Set stray pieces in the arg-max of (c, z, y, x) probabilities to background, in place."""
    pieces = find_pieces(shares.argmax(0).astype(np.uint8))
    stray = np.zeros(len(pieces.voxels), bool)
    for label, limit_ml in enumerate(LIMIT_ML, start=1):
        own = np.nonzero(pieces.label == label)[0]
        plausible = pieces.voxels[own] * voxel_ml <= limit_ml
        largest = pieces.voxels[own][plausible].max(initial=0)
        stray[own] = ~plausible | (pieces.voxels[own] < SECOND_PIECE * largest)
    where = stray[pieces.index]
    shares[:, where] = 0
    shares[0, where] = 1
