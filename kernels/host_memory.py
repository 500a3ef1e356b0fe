"""Arrays of the devices that work on the host's own memory: NumPy's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.kernels.contract import Array


class HostMemory:
    """The memory half of contract.Kernels for reference and native."""

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def used_bytes(self) -> int:
        return resident_bytes()

    def trim(self) -> None:
        """The host's allocator keeps little."""

    def upload(self, source: Array) -> Array:
        return np.ascontiguousarray(source)

    def download(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        return np.zeros(shape, dtype)


def resident_bytes() -> int:
    """Memory of this process that is in RAM now (Linux: /proc/self/statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_resident_bytes() -> int:
    """The most memory of this process that was in RAM (Linux: VmHWM).

    Not ru_maxrss: that starts at what the parent held when it forked.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
