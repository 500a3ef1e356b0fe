"""Reads a piece of an open file into an array, wherever the file stands: for files that take the place of memory."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray


def read_into(file: int, rows: NDArray[Any], offset: int) -> bool:
    """Fill `rows` (C order) from byte `offset` of a file descriptor; False where the file ends before."""
    view = rows.data.cast("B")
    while view:
        count = os.preadv(file, [view], offset)
        if count == 0:
            return False
        view, offset = view[count:], offset + count
    return True
