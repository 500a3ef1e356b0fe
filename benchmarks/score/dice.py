"""The volumetric Dice similarity coefficient (DSC)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dice(reference: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of one shape; NaN where both are empty."""
    total = int(np.count_nonzero(reference)) + int(np.count_nonzero(prediction))
    if total == 0:
        return float("nan")
    return 2 * int(np.count_nonzero(reference & prediction)) / total
