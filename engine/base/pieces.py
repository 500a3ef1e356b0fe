"""Connected pieces of a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def label_pieces(mask: NDArray[np.bool_], faces_alone: bool = False) -> tuple[NDArray[np.int32], int]:
    """Number the pieces of a (z, y, x) mask 1..n, and count them; 0 lies outside.

    Voxels that share a face, an edge or a corner belong together (26 neighbours), as in the kernels; with `faces_alone` only those
    that share a face do (6).
    """
    from scipy import ndimage

    structure = None if faces_alone else np.ones((3, 3, 3), bool)
    found: tuple[Any, Any] = ndimage.label(mask, structure)
    return found[0], int(found[1])
