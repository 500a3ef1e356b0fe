"""A scan or its labels: an array and the Grid it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation, Shape
from flare_trt.kernels import Box

Slices = tuple[slice, slice, slice]


class ScanArray(Protocol):
    """Voxels (z, y, x) in memory (numpy.ndarray), on a GPU (cupy.ndarray) or on disk (scans.disk_array.DiskArray).

    Three slices cut out an array of the memory where the voxels lie, or of the host's for those on disk.
    """

    @property
    def shape(self) -> Shape: ...

    @property
    def ndim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def nbytes(self) -> int:
        """Memory that the voxels take; none for those on disk."""
        ...

    def __getitem__(self, cut: Slices) -> Any: ...


@dataclass(frozen=True)
class Measured:
    """The smallest and the largest voxel of a scan, and the box of those that are not 0 (the whole scan where all are), None
    where it was not looked for."""

    value_range: tuple[float, float]
    nonzero_box: Box | None = None


@dataclass(frozen=True)
class Volume:
    """`array` is a ScanArray of int16 or float32 HU for a CT, uint8 or uint16 labels; `device` is whose memory gives its voxels.

    `measured` is what was seen of a scan when it was read, where a second look at all voxels would cost much. `others` are the
    further channels of a scan that has several, each a Volume on the same grid and device.
    """

    array: Any
    grid: Grid
    measured: Measured | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    others: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise InputError(f"volume: got an array of {self.array.ndim} axes, expected 3 (z, y, x)")
        if tuple(self.array.shape) != self.grid.shape_zyx:
            raise InputError(f"volume: got an array of shape {self.array.shape} on a grid of {self.grid.shape_zyx}")
        for other in self.others:
            if other.grid.shape_zyx != self.grid.shape_zyx or other.device != self.device:
                raise InputError(f"volume: got a channel of {other.grid.told} on {other.device}, expected one like the first")

    @property
    def channels(self) -> tuple[Volume, ...]:
        """Each channel alone."""
        return (self, *self.others)

    @property
    def held_bytes(self) -> int:
        """Memory that the voxels of all channels take."""
        return sum(int(channel.array.nbytes) for channel in self.channels)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest voxel of the first channel."""
        return self.measured.value_range if self.measured else (float(self.array.min()), float(self.array.max()))

    @cached_property
    def nonzero_box(self) -> Box:
        """Box of the voxels that are not 0 in every channel; the whole array where all are."""
        first, *others = [channel for channel in self.channels if channel.value_range != (0, 0)] if self.others else [self]
        seen = first.measured.nonzero_box if first.measured else None
        box = nonzero_box(first.array) if seen is None else seen
        return box.hull(*(other.nonzero_box for other in others))

    def on_host(self, cut: Slices) -> NDArray[Any]:
        """The voxels of a cut of the first channel as a NumPy array."""
        part: Any = self.array[cut]
        host: NDArray[Any] = part if self.device == "cpu" else part.get()
        return host


def turned(volume: Volume, orientation: str) -> Volume:
    """One channel in host memory with its axes turned (letters as in `Grid.orientation`), C-contiguous; no value changes."""
    turn = Reorientation.to(volume.grid, orientation)
    return Volume(np.ascontiguousarray(turn.apply(volume.array)), turn.grid(volume.grid))


def ct_volume(array: NDArray[Any], grid: Grid) -> Volume:
    """A CT from any real array of HU: int16 where nothing is lost, else float32. Refuses NaN, infinity and a constant scan."""
    return require_varied(channel_volume(array, grid))


def require_varied(scan: Volume) -> Volume:
    """The scan, where any of its channels has two values: one of several may be filled with 0. Raises InputError."""
    if all(low == high for low, high in (channel.value_range for channel in scan.channels)):
        raise InputError(f"CT: every voxel is {scan.value_range[0]:g}, so there is nothing to segment; check the conversion")
    return scan


def channel_volume(array: NDArray[Any], grid: Grid, value_range: tuple[float, float] | None = None) -> Volume:
    """As `ct_volume`, for a channel among others, which may be constant; `value_range` is given where it is known."""
    if array.dtype.kind not in "iufb":
        raise InputError(f"CT: got values of dtype {array.dtype}, expected numbers (HU)")
    if array.size == 0:
        raise InputError("CT: got no voxels")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("CT: got NaN or infinite voxels, expected HU; replace them (air is -1000) and try again")
    lowest, highest = value_range or (float(array.min()), float(array.max()))
    fits = array.dtype.kind in "iub" and lowest >= -32768 and highest <= 32767
    return Volume(np.ascontiguousarray(array, np.int16 if fits else np.float32), grid, Measured((lowest, highest)))


def nonzero_box(array: NDArray[Any]) -> Box:
    """Box of the non-zero voxels of (z, y, x), found from the faces inwards; the whole array where all is zero.

    nnU-Net fills holes first (nnunetv2/preprocessing/cropping/cropping.py); that never moves a box.
    """
    z, y, x = array.shape
    box = Box.whole((z, y, x))
    for axis in range(3):
        planes = np.moveaxis(array[box.slices], axis, 0)
        first = next((i for i in range(len(planes)) if planes[i].any()), None)
        if first is None:
            return Box.whole((z, y, x))
        last = next(i for i in range(len(planes), 0, -1) if planes[i - 1].any())
        box = box.along(axis, first, last)
    return box
