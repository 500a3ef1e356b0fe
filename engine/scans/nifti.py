"""Scans in, labels out, as NIfTI-1 files (.nii, .nii.gz).

Values and grid equal what nnU-Net gets through SimpleITK (GetArrayFromImage): arrays are (z, y, x) = the file's (k, j, i),
never reoriented. A file is read once, in order, in slabs along z, so that a scan can be consumed without being held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import atomic_file, has_ending
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.nifti_fields import HEADER_BYTES
from flare_trt.engine.scans.nifti_header import NiftiHeader, parse_header, volume_header
from flare_trt.engine.scans.voxel_stream import Packing, VoxelBlock, input_errors, narrowed, opened, read_up_to

#: Names of the files that are read and written.
ENDINGS = (".nii", ".nii.gz")
#: Planes that are written at a time.
_PLANES = 32


class NiftiReader:
    """A NIfTI file whose header has been checked; `slabs` reads its voxels. Holds no open file and no voxel.

    Raises InputError, naming the file, for anything but one whole 3-D scan of real numbers: the claimed size is held
    against the file's real size (or what its gzip stream could hold at most) before a voxel is allocated.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.no_numbers = 0
        require_regular(self.path)
        with input_errors(self.path):
            with self.path.open("rb") as file:
                packing: Packing = "gzip" if file.read(2) == b"\x1f\x8b" else ""
            with opened(self.path, packing) as stream:
                self.header: NiftiHeader = parse_header(read_up_to(stream, HEADER_BYTES))
            header = self.header
            self._voxels = VoxelBlock(self.path, header.grid.shape_zyx, header.stored, packing, 0, header.voxels_at)
            self._voxels.require_room()

    @property
    def grid(self) -> Grid:
        """Where the voxels lie (LPS, mm), as ITK reads it."""
        return self.header.grid

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for whole numbers, float32 otherwise: the type of the slabs."""
        whole = self.header.stored.kind in "iu" and self.header.slope.is_integer() and self.header.intercept.is_integer()
        return np.dtype(np.int16 if whole else np.float32)

    @property
    def widest(self) -> np.dtype[Any]:
        """int16 where no slab can leave it, by the header; else float32."""
        plain = (self.header.slope, self.header.intercept) == (1, 0) and np.can_cast(self.header.stored, np.int16)
        return np.dtype(np.int16 if plain else np.float32)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd but usable: about the header, and once all slabs were read about the voxels."""
        if not self.no_numbers:
            return self.header.warnings
        return (*self.header.warnings, f"{self.no_numbers} voxels are NaN or infinite: they count as stored 0, as ITK reads them")

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (z of the first plane, up to `depth` planes of HU) in order; None takes slabs of about 512 KiB.

        A slab is C-contiguous, of `dtype`, and the caller's to keep; one whose whole numbers leave int16 comes as float32.
        Raises InputError for a file that ends early, a damaged gzip stream, and values beyond float32.
        """
        no_numbers = 0
        for start, raw in self._voxels.slabs(depth):
            if raw.dtype.kind == "f" and not (numbers := np.isfinite(raw)).all():
                raw[~numbers] = 0
                no_numbers += raw.size - int(np.count_nonzero(numbers))
            with input_errors(self.path):
                yield start, self._values(raw)
        self.no_numbers = no_numbers

    def _values(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Stored numbers -> values, rounded as ITK rounds: integers to float32, times slope plus intercept in double."""
        header = self.header
        values = raw
        if header.slope != 1 or header.intercept != 0:
            exact = raw.astype(np.float32) if raw.dtype.kind in "iu" else raw
            values = exact.astype(np.float64) * header.slope + header.intercept
        return narrowed(values, self.dtype == np.int16)


def write_labels(path: Path | str, labels: Volume, source: NiftiHeader | None = None) -> None:
    """Write uint8 or uint16 labels, whole or not at all. `source` (NiftiReader.header) hands on affines, codes and units.

    Without `source` both affines are made from the labels' grid. Raises OutputError.
    """
    target = Path(path)
    if labels.array.dtype not in (np.uint8, np.uint16):
        raise OutputError(f"{target}: got labels of dtype {labels.array.dtype}, expected uint8 or uint16")
    if source is not None and not labels.grid.same_place(source.grid):
        raise OutputError(f"{target}: the labels' grid is not the source's; write them without the source's header")
    _write(target, labels, source)


def write_ct(path: Path | str, ct: Volume) -> None:
    """Write a CT as it is held, int16 or float32, whole or not at all. Raises OutputError."""
    _write(Path(path), ct, None)


def _write(target: Path, volume: Volume, source: NiftiHeader | None) -> None:
    if not has_ending(target, ENDINGS):
        raise OutputError(f"{target}: expected a name that ends in {' or '.join(ENDINGS)}")
    header = volume_header(volume.grid, volume.array.dtype, source)
    with atomic_file(target) as file:
        if has_ending(target, (".gz",)):
            _write_gzipped(file, header, volume)
        else:
            file.write(header)
            _write_voxels(file, volume)


def _write_gzipped(file: Any, header: bytes, volume: Volume) -> None:
    from isal import igzip

    with igzip.IGzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream:  # no name, no time: equal bytes each run
        stream.write(header)
        _write_voxels(stream, volume)


def _write_voxels(file: Any, volume: Volume) -> None:
    """Some planes at a time: a scan may lie on the disk (disk_array)."""
    whole = slice(None)
    for z in range(0, volume.grid.shape_zyx[0], _PLANES):
        file.write(np.ascontiguousarray(volume.array[z : z + _PLANES, whole, whole]).data)
