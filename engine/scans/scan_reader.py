"""What every reader of scans offers, and the two ways to take a scan from one: into memory, or onto the disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.read_ahead import read_ahead
from flare_trt.engine.base.volume import Volume, channel_volume, require_varied
from flare_trt.engine.scans.disk_array import DiskArray

#: Slabs that are unpacked ahead: enough that neither thread waits for the other's longest step.
_AHEAD = 4


class SlabReader(Protocol):
    """A scan whose header has been checked. `warnings` tells what is odd about it but usable."""

    path: Path

    @property
    def grid(self) -> Grid: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that slabs usually have."""
        ...

    @property
    def widest(self) -> np.dtype[Any]:
        """The type that any slab may have by the header: int16 or float32."""
        ...

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]: ...


def require_same_grid(first: SlabReader, other: SlabReader) -> None:
    """Check that a further channel lies where the first does. Raises InputError."""
    if not other.grid.same_place(first.grid):
        apart = other.grid.difference(first.grid)
        raise InputError(
            f"{other.path}: its grid is not that of {first.path.name} ({apart}), expected the same for all channels of a scan; "
            "resample it to the first channel's grid"
        )


def whole_ct(reader: SlabReader) -> Volume:
    """The scan in memory: int16 where nothing is lost, else float32. Raises InputError."""
    return varied(whole_channel(reader), reader)


def spooled_ct(reader: SlabReader) -> Volume:
    """The scan in a temporary file instead of memory. Raises InputError."""
    return varied(spooled_channel(reader), reader)


def varied(scan: Volume, reader: SlabReader) -> Volume:
    """As volume.require_varied, with the scan's path before the error."""
    try:
        return require_varied(scan)
    except InputError as error:
        raise InputError(f"{reader.path}: {error}") from error


def whole_channel(reader: SlabReader, threads: int = 0) -> Volume:
    """As `whole_ct`, for a channel among others, which may be constant. One thread unpacks nothing ahead; 0 are all cores."""
    # to fill memory that was never touched takes a third of the time that unpacking takes
    slabs = reader.slabs() if threads == 1 else read_ahead(reader.slabs(), _AHEAD)
    first = next(slabs)  # before room is made for all: a damaged header may claim any size
    array = np.empty(reader.grid.shape_zyx, reader.dtype)
    low, high = math.inf, -math.inf
    for z, slab in chain([first], slabs):
        if slab.dtype != array.dtype:
            array = array.astype(np.float32)
        array[z : z + len(slab)] = slab
        low, high = min(low, float(slab.min())), max(high, float(slab.max()))  # while it is in the cache
    try:
        return channel_volume(array, reader.grid, (low, high))
    except InputError as error:
        raise InputError(f"{reader.path}: {error}") from error


def spooled_channel(reader: SlabReader) -> Volume:
    """As `spooled_ct`, for a channel among others, which may be constant."""
    array = DiskArray(reader.grid.shape_zyx, reader.widest, reader.slabs())
    return Volume(array, reader.grid, array.measured)
