"""The voxels of a DICOM series, in HU, on the grid that ITK gives them; the counterpart of nifti.NiftiReader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.dicom.acquisitions import Alternation, alternating, choose_acquisition, several
from flare_trt.engine.scans.dicom.found_files import damaged, unusable
from flare_trt.engine.scans.dicom.header import HeaderError
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, quiet
from flare_trt.engine.scans.dicom.part10 import opened
from flare_trt.engine.scans.dicom.pixels import require_decoders, stored_values
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.series import Series, choose_series, require_one_source
from flare_trt.engine.scans.dicom.stack import Stack, distinct, stack, tilt_degrees
from flare_trt.engine.scans.dicom.tilt import Tilt
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.engine.scans.voxel_stream import MAX_VOXEL_BYTES

_SLAB_BYTES = 8 << 20


class DicomReader:
    """A CT series whose headers have been checked; `slabs` reads its voxels. Holds no voxel.

    `planes` are in z order; a `series` that was found before is taken as it is, and of several acquisitions in one series
    `acquisition` names one. Raises InputError, naming the folder or zip, for anything but one regular stack (see stack.stack).

    `slices` is the grid of the planes. `grid`, on which the voxels come, is the same, but for a tilted gantry with `correct_tilt`:
    then voxels are resampled onto an upright grid, and `tilt` knows the way back (see tilt.Tilt).
    """

    def __init__(
        self,
        path: Path | str,
        series_uid: str | None = None,
        series: Series | None = None,
        acquisition: int | None = None,
        correct_tilt: bool = False,
    ) -> None:
        self.path = Path(path)
        self.series: Series = choose_series(self.path, series_uid) if series is None else series
        try:
            stacked = regular_planes(self.series, acquisition, correct_tilt)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        self.planes, self.slices = stacked.planes, stacked.grid
        self.tilt = Tilt.of(stacked) if any(stacked.shear) else None
        self.grid = self.slices if self.tilt is None else self.tilt.grid
        self.warnings: tuple[str, ...] = _warnings(self.series, self.planes) + stacked.warnings

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for whole numbers, float32 otherwise: the type of the slabs."""
        whole = all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in self.planes)
        return np.dtype(np.int16 if whole else np.float32)

    @property
    def widest(self) -> np.dtype[Any]:
        """int16 where no slab can leave it, by the stored bits; else float32."""
        ends = [stored * plane.slope + plane.intercept for plane in self.planes for stored in plane.stored_range]
        return self.dtype if min(ends) >= -32768 and max(ends) <= 32767 else np.dtype(np.float32)

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (z of the first plane, up to `depth` planes of HU) in order; None takes slabs of about 8 MiB.

        A slab is C-contiguous, of `dtype`, and the caller's to keep; one whose whole numbers leave int16 comes as float32.
        Raises InputError for pixels that cannot be decoded, and at the end where two acquisitions that the headers do not tell
        apart alternate along z.
        """
        _, ny, nx = self.grid.shape_zyx
        step = depth or max(1, _SLAB_BYTES // (ny * nx * self.dtype.itemsize))
        if self.tilt is None:
            yield from self._slices(step)
            return
        on_slices = DiskArray(self.slices.shape_zyx, self.widest, self._slices(step))
        for start, values in self.tilt.upright(on_slices, step):
            yield start, self._stored(np.rint(values) if self.dtype == np.int16 else values)

    def _slices(self, step: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """The voxels as they lie on the planes."""
        alternation = Alternation(self.planes)
        for start in range(0, len(self.planes), step):
            values = np.stack([plane_values(self.series, plane) for plane in self.planes[start : start + step]])
            for z, plane in enumerate(values, start):
                alternation.see(z, plane)
            yield start, self._stored(values)
        if found := alternation.found():
            raise InputError(f"{self.path}: {several(found)}")

    def _stored(self, values: NDArray[Any]) -> NDArray[Any]:
        fits = self.dtype == np.int16 and values.min() >= -32768 and values.max() <= 32767
        return np.ascontiguousarray(values, np.int16 if fits else np.float32)


def plane_values(series: Series, plane: Plane) -> NDArray[Any]:
    """HU (y, x) of a plane: stored numbers times slope plus intercept, in double precision as ITK does it. Raises InputError."""
    try:
        with opened(series.files, plane.file) as stream, quiet():
            stored = stored_values(stream, plane)
    except HeaderError as error:
        raise InputError(f"{series.path}: {unusable(plane.file, len(series.files), str(error))}") from None
    except LIBRARY_ERRORS as error:
        raise damaged(series.path, plane.file, len(series.files), error) from None
    return np.asarray(stored * plane.slope + plane.intercept)


def regular_planes(series: Series, acquisition: int | None = None, correct_tilt: bool = False) -> Stack:
    """The series' planes, or those of one acquisition, as a regular stack, or as one that is sheared and will be corrected.

    Raises InputError, without the series' name, for a series that cannot be read as one.
    """
    require_one_source(series)
    require_decoders(series.planes)
    hu = partial(plane_values, series)
    kept, copies = distinct(series.planes, lambda one, two: np.array_equal(hu(one), hu(two)))
    chosen = choose_acquisition(kept, acquisition, lambda: alternating(stack(kept, correct_tilt).planes, hu))
    stacked = stack(chosen, correct_tilt)
    _require_room(stacked.grid)
    said = [f"{copies} second copies of images were left out of the series"] if copies else []
    said += [_tilt_words(stacked)] if any(stacked.shear) else []
    return replace(stacked, warnings=(*said, *stacked.warnings))


def _tilt_words(stacked: Stack) -> str:
    return f"a gantry tilt of {tilt_degrees(stacked.shear):.1f} degrees was corrected: the scan was resampled onto an upright grid"


def _require_room(grid: Grid) -> None:
    if prod(grid.shape_zyx) * 4 > MAX_VOXEL_BYTES:
        raise InputError(f"the series claims {grid.shape_zyx} voxels, more than the limit of {MAX_VOXEL_BYTES >> 30} GiB; crop it")


def _warnings(series: Series, planes: tuple[Plane, ...]) -> tuple[str, ...]:
    found = [f"{count} images {reason} were left out of the series" for reason, count in series.left_out]
    if series.others:
        found.append(f"{series.others} other files, which are not DICOM, were left out")
    if series.files.linked:
        found.append(f"{series.files.linked} links to other folders were not followed")
    shared = len(planes) - len({(plane.sop_uid, plane.frame) for plane in planes if plane.sop_uid})
    if shared and any(plane.sop_uid for plane in planes):
        found.append(f"{shared} slices share their SOPInstanceUID with another one or have none: their places distinguish them")
    if not all(plane.rescaled for plane in planes):
        found.append(_rescale_words(planes))
    if any(plane.lossy for plane in planes):
        found.append("the series was compressed with loss")
    if any(plane.modified for plane in planes):
        found.append("the values are modified Hounsfield units (RescaleType HU_MOD), taken for HU")
    return tuple(found)


def _rescale_words(planes: tuple[Plane, ...]) -> str:
    if all((plane.slope, plane.intercept) == (1, 0) for plane in planes):
        return "the series has no rescale slope and intercept: its stored values are taken for HU"
    return "images of the series lack a rescale slope or intercept: 1 and 0 are taken; check that the values are HU"
