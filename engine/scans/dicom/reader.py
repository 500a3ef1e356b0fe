"""The voxels of a DICOM series, in HU, on the grid that ITK gives them; the counterpart of nifti.NiftiReader."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.series import Series, choose_series, damaged
from flare_trt.engine.scans.dicom.stack import distinct, stack
from flare_trt.engine.scans.nifti import MAX_VOXEL_BYTES

#: Transfer syntax -> the decoder of pydicom that is used for it ("": pydicom's own), each under a permissive licence.
_DECODERS = {
    **dict.fromkeys(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"), ""),
    "1.2.840.10008.1.2.5": "pydicom",  # RLE
    **dict.fromkeys([f"1.2.840.10008.1.2.4.{end}" for end in (90, 91, 201, 202, 203)], "pylibjpeg"),  # JPEG 2000, HTJ2K
    **dict.fromkeys([f"1.2.840.10008.1.2.4.{end}" for end in (80, 81)], "pyjpegls"),
    **dict.fromkeys([f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70)], "gdcm"),  # JPEG, lossy and lossless
}
_SLAB_BYTES = 8 << 20


class DicomReader:
    """A CT series whose headers have been checked; `slabs` reads its voxels. Holds no voxel.

    `planes` are in z order; a `series` that was found before is taken as it is. Raises InputError, naming the folder or zip, for
    anything but one regular stack (see stack.stack).
    """

    def __init__(self, path: Path | str, series_uid: str | None = None, series: Series | None = None) -> None:
        self.path = Path(path)
        self.series: Series = choose_series(self.path, series_uid) if series is None else series
        try:
            self.planes, self.grid, copies = regular_planes(self.series)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        self.warnings: tuple[str, ...] = _warnings(self.series, self.planes, copies)

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
        Raises InputError for pixels that cannot be decoded.
        """
        nz, ny, nx = self.grid.shape_zyx
        step = depth or max(1, _SLAB_BYTES // (ny * nx * self.dtype.itemsize))
        for start in range(0, nz, step):
            values = np.stack([self._values(plane) for plane in self.planes[start : start + step]])
            fits = self.dtype == np.int16 and values.min() >= -32768 and values.max() <= 32767
            yield start, np.ascontiguousarray(values, np.int16 if fits else np.float32)

    def _values(self, plane: Plane) -> NDArray[Any]:
        """Stored numbers times slope plus intercept, in double precision as ITK does it."""
        decoder = _DECODERS[plane.transfer_syntax]
        files = self.series.files
        try:
            with files.open(plane.file) as stream, quiet():
                pixels = library("pydicom.pixels").pixel_array(stream, index=plane.frame, raw=True, decoding_plugin=decoder)
        except LIBRARY_ERRORS as error:
            raise damaged(self.path, plane.file, len(files), error) from None
        if pixels.shape != plane.shape_yx:
            raise damaged(self.path, plane.file, len(files), ValueError())
        return np.asarray(pixels * plane.slope + plane.intercept)


def regular_planes(series: Series) -> tuple[tuple[Plane, ...], Grid, int]:
    """The series' planes in z order, the grid they lie on, and how many second copies were left out.

    Raises InputError, without the series' name, for a series that cannot be read as one regular stack.
    """
    kept, copies = distinct(series.planes)
    planes, grid = stack(kept)
    _require_readable(planes, grid)
    return planes, grid, copies


def _require_readable(planes: tuple[Plane, ...], grid: Grid) -> None:
    voxel_bytes = prod(grid.shape_zyx) * 4
    if voxel_bytes > MAX_VOXEL_BYTES:
        raise InputError(f"the series claims {grid.shape_zyx} voxels, more than the limit of {MAX_VOXEL_BYTES >> 30} GiB; crop it")
    uid = library("pydicom.uid").UID
    for syntax in sorted({plane.transfer_syntax for plane in planes}):
        if syntax not in _DECODERS:
            known = ", ".join(uid(code).name.split(" (")[0] for code in _DECODERS)
            raise InputError(f"got the transfer syntax {uid(syntax).name}, expected one of {known}; convert the series first")
        decoder = library("pydicom.pixels").get_decoder(syntax)
        if _DECODERS[syntax] not in ("", *decoder.available_plugins):
            raise InputError(f"no decoder for {uid(syntax).name} is installed; pip install 'flare-trt[dicom]'")


def _warnings(series: Series, planes: tuple[Plane, ...], copies: int) -> tuple[str, ...]:
    found = [f"{count} images {reason} were left out of the series" for reason, count in series.left_out]
    if copies:
        found.append(f"{copies} second copies of images were left out of the series")
    if not all(plane.rescaled for plane in planes):
        found.append("the series has no rescale slope and intercept: its stored values are taken for HU")
    if any(plane.lossy for plane in planes):
        found.append("the series was compressed with loss")
    return tuple(found)
