"""Scans in, labels out, as NIfTI-1 files (.nii, .nii.gz); the only image-file access of the engine.

Values and grid equal what nnU-Net gets through SimpleITK (GetArrayFromImage): arrays are (z, y, x) = the file's (k, j, i),
never reoriented. A file is read once, in order, in slabs along z, so that a scan can be consumed without being held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import atomic_file, has_ending
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.nifti_fields import HEADER_BYTES
from flare_trt.engine.scans.nifti_header import NiftiHeader, parse_header, volume_header
from flare_trt.engine.scans.scan_reader import spooled_ct, whole_ct

#: Decompressed voxels that a file may claim: 16 GiB, a 2048 x 2048 x 2048 scan of int16.
MAX_VOXEL_BYTES = 16 << 30
#: The most that deflate can shrink: 258 bytes in 2 bits (zlib's documentation, "Maximum compression factor").
_DEFLATE_RATIO = 1032
_SLAB_BYTES = 8 << 20
#: Names of the files that are read and written.
ENDINGS = (".nii", ".nii.gz")


class NiftiReader:
    """A NIfTI file whose header has been checked; `slabs` reads its voxels. Holds no open file and no voxel.

    Raises InputError, naming the file, for anything but one whole 3-D scan of real numbers: the claimed size is held
    against the file's real size (or what its gzip stream could hold at most) before a voxel is allocated.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with _input_errors(self.path):
            require_regular(self.path)
            with self.path.open("rb") as file:
                self._gzipped = file.read(2) == b"\x1f\x8b"
            with self._open() as stream:
                self.header: NiftiHeader = parse_header(_read_up_to(stream, HEADER_BYTES))
            self._check_size(self.path.stat().st_size)

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
        """What is odd about the header but usable."""
        return self.header.warnings

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (z of the first plane, up to `depth` planes of HU) in order; None takes slabs of about 8 MiB.

        A slab is C-contiguous, of `dtype`, and the caller's to keep; one whose whole numbers leave int16 comes as float32.
        Raises InputError for a file that ends early, a damaged gzip stream, and NaN or infinity.
        """
        nz, ny, nx = self.grid.shape_zyx
        stored = self.header.stored
        step = depth or max(1, _SLAB_BYTES // (ny * nx * stored.itemsize))
        with _input_errors(self.path), self._open() as stream:
            _skip(stream, self.header.voxels_at)
            for start in range(0, nz, step):
                raw = np.empty((min(step, nz - start), ny, nx), stored)
                _fill(stream, raw)
                if start + step >= nz and self._gzipped:
                    stream.read(1)  # checks that the stream ends well: its trailer may still be unread
                yield start, self._values(raw)

    def _values(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Stored numbers -> values, rounded as ITK rounds: integers to float32, times slope plus intercept in double."""
        header = self.header
        values = raw
        if header.slope != 1 or header.intercept != 0:
            exact = raw.astype(np.float32) if raw.dtype.kind in "iu" else raw
            values = exact.astype(np.float64) * header.slope + header.intercept
        if self.dtype == np.int16:
            fits = np.can_cast(values.dtype, np.int16) or (values.min() >= -32768 and values.max() <= 32767)
            return np.ascontiguousarray(values, np.int16 if fits else np.float32)
        with np.errstate(over="ignore"):
            result = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(result).all():
            raise InputError("got NaN, infinite or unrepresentable voxels, expected HU; replace them (air is -1000)")
        return result

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        """The decompressed bytes of the file."""
        if not self._gzipped:
            with self.path.open("rb") as file:
                yield file
            return
        from isal import igzip, isal_zlib

        try:
            with igzip.open(self.path, "rb") as stream:
                yield cast(BinaryIO, stream)
        except cast(type[Exception], isal_zlib.error) as error:
            raise InputError(f"the gzip stream is damaged ({error}); copy it again") from error

    def _check_size(self, file_bytes: int) -> None:
        claimed = self.header.voxels_at + self.header.voxel_bytes
        shape = " x ".join(map(str, self.grid.shape_zyx[::-1]))
        if self.header.voxel_bytes > MAX_VOXEL_BYTES:
            raise InputError(f"the header claims {shape} voxels, more than the limit of {MAX_VOXEL_BYTES >> 30} GiB; crop the scan")
        most = file_bytes * _DEFLATE_RATIO if self._gzipped else file_bytes
        if claimed > most:
            raise InputError(f"the header claims {shape} voxels ({claimed} bytes), the file holds at most {most}; copy it again")


def read_ct(path: Path | str) -> Volume:
    """Read a CT in HU: int16 where nothing is lost, else float32. Raises InputError (see NiftiReader and ct_volume)."""
    return whole_ct(NiftiReader(path))


def spool_ct(path: Path | str) -> Volume:
    """Read a CT into a temporary file instead of memory. Raises InputError."""
    return spooled_ct(NiftiReader(path))


def read_labels(path: Path | str) -> Volume:
    """Read a label map as uint8, whatever type it is stored in. Raises InputError for a value that is no label 0..255."""
    reader = NiftiReader(path)
    array = np.empty(reader.grid.shape_zyx, np.uint8)
    for z, slab in reader.slabs():
        labels = array[z : z + len(slab)]
        np.copyto(labels, slab.clip(0, 255), casting="unsafe")
        if not np.array_equal(labels, slab):
            value = slab[labels != slab].flat[0]
            raise InputError(f"{reader.path}: got the value {value:g}, expected labels: whole numbers 0 to 255")
    return Volume(array, reader.grid)


def write_labels(path: Path | str, labels: Volume, source: NiftiHeader | None = None) -> None:
    """Write uint8 labels, whole or not at all. `source` (NiftiReader.header) hands on affines, codes and units as they stand.

    Without `source` both affines are made from the labels' grid. Raises OutputError.
    """
    target = Path(path)
    if labels.array.dtype != np.uint8:
        raise OutputError(f"{target}: got labels of dtype {labels.array.dtype}, expected uint8")
    if source is not None and not labels.grid.same_place(source.grid):
        raise OutputError(f"{target}: the labels' grid is not the source's; write them without the source's header")
    _write(target, labels, source)


def write_ct(path: Path | str, ct: Volume) -> None:
    """Write a CT as it is held, int16 or float32, whole or not at all. Raises OutputError."""
    _write(Path(path), ct, None)


def _write(target: Path, volume: Volume, source: NiftiHeader | None) -> None:
    if not has_ending(target, ENDINGS):
        raise OutputError(f"{target}: expected a name that ends in {' or '.join(ENDINGS)}")
    voxels = np.ascontiguousarray(volume.array)
    header = volume_header(volume.grid, voxels.dtype, source)
    with atomic_file(target) as file:
        if has_ending(target, (".gz",)):
            _write_gzipped(file, header, voxels)
        else:
            file.write(header)
            file.write(voxels.data)


def _write_gzipped(file: Any, header: bytes, voxels: NDArray[Any]) -> None:
    from isal import igzip

    with igzip.IGzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream:  # no name, no time: equal bytes each run
        stream.write(header)
        stream.write(voxels.data)


@contextmanager
def _input_errors(path: Path) -> Iterator[None]:
    """Name the file in each error, and make InputErrors of what the file system and the decompressor raise."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except EOFError as error:
        raise InputError(f"{path}: the file ends early; copy it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_up_to(stream: BinaryIO, count: int) -> bytes:
    """`count` bytes, fewer at the end of the stream."""
    parts = bytearray()
    while len(parts) < count and (part := stream.read(count - len(parts))):
        parts += part
    return bytes(parts)


def _skip(stream: BinaryIO, count: int) -> None:
    while count:
        skipped = len(_read_up_to(stream, min(count, _SLAB_BYTES)))
        if not skipped:
            raise EOFError
        count -= skipped


def _fill(stream: BinaryIO, array: NDArray[Any]) -> None:
    """Read straight into the array's memory. Raises EOFError where the stream ends before it is full."""
    view = memoryview(cast(bytearray, array.view(np.uint8).reshape(-1)))
    while len(view):
        count = stream.readinto(view)  # type: ignore[attr-defined]  # every binary reader has it
        if not count:
            raise EOFError
        view = view[count:]
