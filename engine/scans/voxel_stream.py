"""Voxels as they stand in a file, plain or packed: read once, in order, in slabs along z, so that no scan has to be held whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.engine.base.grid import Shape

#: Decompressed voxels that a file may claim: 16 GiB, a 2048 x 2048 x 2048 scan of int16.
MAX_VOXEL_BYTES = 16 << 30
#: The most that deflate can shrink: 258 bytes in 2 bits (zlib's documentation, "Maximum compression factor").
_DEFLATE_RATIO = 1032
#: What stays in the cache from one step of reading to the next, and in memory that the allocator hands out again.
_SLAB_BYTES = 1 << 19
_PACKED_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"

Packing = Literal["", "gzip", "zlib"]


@dataclass(frozen=True)
class VoxelBlock:
    """Where a file's voxels (z, y, x) lie: the stream starts `stream_at` bytes into the file, the voxels `skip` bytes into it."""

    path: Path
    shape_zyx: Shape
    stored: np.dtype[Any]
    packing: Packing
    stream_at: int
    skip: int

    def require_room(self) -> None:
        """Hold the claimed size against the file's own, before a voxel is allocated. Raises InputError without the file's name."""
        voxel_bytes, file_bytes = prod(self.shape_zyx) * self.stored.itemsize, self.path.stat().st_size - self.stream_at
        shape = " x ".join(map(str, self.shape_zyx[::-1]))
        if voxel_bytes > MAX_VOXEL_BYTES:
            raise InputError(f"the header claims {shape} voxels, more than the limit of {MAX_VOXEL_BYTES >> 30} GiB; crop the scan")
        claimed, most = self.skip + voxel_bytes, file_bytes * _DEFLATE_RATIO if self.packing else file_bytes
        if claimed > most:
            raise InputError(f"the header claims {shape} voxels ({claimed} bytes), the file holds at most {most}; copy it again")

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (z of the first plane, up to `depth` planes as stored) in order; None takes slabs of about 512 KiB.

        Raises InputError for a file that ends early and for a damaged stream.
        """
        nz, ny, nx = self.shape_zyx
        step = depth or max(1, _SLAB_BYTES // (ny * nx * self.stored.itemsize))
        with input_errors(self.path), opened(self.path, self.packing, self.stream_at) as stream:
            _skip(stream, self.skip)
            for start in range(0, nz, step):
                raw = np.empty((min(step, nz - start), ny, nx), self.stored)
                _fill(stream, raw)
                if start + step >= nz and self.packing:
                    stream.read(1)  # checks that the stream ends well: its trailer may still be unread
                yield start, raw


@contextmanager
def opened(path: Path, packing: Packing, stream_at: int = 0) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file from `stream_at` on."""
    from isal import igzip, isal_zlib

    with path.open("rb") as file:
        file.seek(stream_at)
        if not packing:
            yield file
            return
        try:
            stream = igzip.IGzipFile(fileobj=file, mode="rb") if packing == "gzip" else _ZlibStream(file)
            yield cast(BinaryIO, stream)
        except (EOFError, cast(type[Exception], isal_zlib.error), igzip.BadGzipFile) as error:
            if packing == "gzip" and _has_other_behind(path, stream_at):
                raise InputError("the gzip stream is followed by something that is no gzip; copy it again") from error
            if isinstance(error, EOFError):
                raise
            raise InputError(f"the {packing} stream is damaged ({error}); copy it again") from error


def _has_other_behind(path: Path, stream_at: int) -> bool:
    """Whether gzip streams that are whole have something behind them that is none; zeros may pad them.

    The decompressor takes less than a header's 10 bytes for a stream that was cut.
    """
    from isal import isal_zlib

    with path.open("rb") as file, suppress(cast(type[Exception], isal_zlib.error)):
        file.seek(stream_at)
        packed, is_whole = file.read(_PACKED_BYTES), False
        while packed[:2] == _GZIP_MAGIC:
            unpacker = isal_zlib.decompressobj(wbits=16 + isal_zlib.MAX_WBITS)
            while packed and not unpacker.eof:
                unpacker.decompress(packed)
                packed = unpacker.unused_data if unpacker.eof else file.read(_PACKED_BYTES)
            is_whole, packed = unpacker.eof, packed.lstrip(b"\0")
            while len(packed) < len(_GZIP_MAGIC) and (more := file.read(_PACKED_BYTES)):
                packed = (packed + more).lstrip(b"\0")
        return is_whole and not _GZIP_MAGIC.startswith(packed)
    return False


class _ZlibStream(io.RawIOBase):
    """What a zlib stream unpacks to. Raises EOFError where it ends early, isal_zlib.error where it is damaged."""

    def __init__(self, file: BinaryIO) -> None:
        from isal import isal_zlib

        self._file, self._unpacker, self._ready = file, isal_zlib.decompressobj(), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._unpacker.eof:
            packed = self._file.read(_PACKED_BYTES)
            if not packed:
                raise EOFError
            self._ready = memoryview(self._unpacker.decompress(packed))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


@contextmanager
def input_errors(path: Path) -> Iterator[None]:
    """Name the file in each error, none of which does yet, and make InputErrors of those of the system and the decompressor."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except EOFError as error:
        raise InputError(f"{path}: the file ends early; copy it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason_of(error)}") from error


def read_up_to(stream: BinaryIO, count: int) -> bytes:
    """`count` bytes, fewer at the end of the stream."""
    parts = bytearray()
    while len(parts) < count and (part := stream.read(count - len(parts))):
        parts += part
    return bytes(parts)


def narrowed(values: NDArray[Any], whole: bool) -> NDArray[Any]:
    """HU as they are held: int16 for `whole` numbers that fit, else float32. Raises InputError for what is no finite float32."""
    if whole:
        fits = np.can_cast(values.dtype, np.int16) or (values.min() >= -32768 and values.max() <= 32767)
        return np.ascontiguousarray(values, np.int16 if fits else np.float32)
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(result).all():
        raise InputError("got NaN, infinite or unrepresentable voxels, expected HU; replace them (air is -1000)")
    return result


def _skip(stream: BinaryIO, count: int) -> None:
    while count:
        skipped = len(read_up_to(stream, min(count, _SLAB_BYTES)))
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
