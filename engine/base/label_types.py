"""Which integers hold labels: uint8, and uint16 only where a label is above 255, as nnU-Net writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

#: The highest label there is.
MOST_LABEL = 65535


def label_dtype(values: Iterable[int]) -> np.dtype[Any]:
    """The type of a map of these labels.

    >>> label_dtype([0, 255]), label_dtype([256, 1])
    (dtype('uint8'), dtype('uint16'))
    """
    return np.dtype(np.uint8 if max(values, default=0) <= 255 else np.uint16)


def value_count(dtype: np.dtype[Any]) -> int:
    """How many labels a map of this type may hold, the background among them: the rows of the kernels' `bounds`."""
    return 1 << 8 * dtype.itemsize
