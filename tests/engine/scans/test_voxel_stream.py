"""Streams of voxels: plain, gzipped and zlib-packed give the same slabs; short and damaged ones are errors."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.voxel_stream import Packing, VoxelBlock, narrowed

VOXELS = np.random.default_rng(1).integers(-1000, 1000, (7, 50, 60)).astype(">i2")
PACK = {"": bytes, "gzip": gzip.compress, "zlib": zlib.compress}


def block(path: Path, packing: Packing, stream: bytes) -> VoxelBlock:
    path.write_bytes(b"header" + stream)
    return VoxelBlock(path, (7, 50, 60), VOXELS.dtype, packing, 6, 3)


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("depth", [None, 1, 4])
def test_slabs_in_order(packing: Packing, depth: int | None, tmp_path: Path) -> None:
    found = block(tmp_path / "scan", packing, PACK[packing](b"abc" + VOXELS.tobytes()))
    found.require_room()
    slabs = list(found.slabs(depth))
    assert [z for z, _ in slabs] == list(range(0, 7, depth or 7))
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in slabs]), VOXELS)


@pytest.mark.parametrize("packing", PACK)
def test_streams_that_end_early(packing: Packing, tmp_path: Path) -> None:
    for stream in (PACK[packing](b"abc" + VOXELS.tobytes())[:-2000], PACK[packing](b"ab"), b""):
        with pytest.raises(InputError, match=r"scan: the file ends early; copy it again"):
            list(block(tmp_path / "scan", packing, stream).slabs())


@pytest.mark.parametrize("packing", ["gzip", "zlib"])
def test_a_damaged_stream_and_a_wrong_checksum(packing: Packing, tmp_path: Path) -> None:
    whole = PACK[packing](b"abc" + VOXELS.tobytes())
    trailer = -8 if packing == "gzip" else -4
    for at in (len(whole) // 2, len(whole) + trailer):
        damaged = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        with pytest.raises(InputError, match="scan: "):
            list(block(tmp_path / "scan", packing, damaged).slabs())


PACKED = gzip.compress(b"abc" + VOXELS.tobytes())


@pytest.mark.parametrize("zeros", [0, 3, 1 << 17])
@pytest.mark.parametrize("tail", [b"x", b"\r\n", b"garbage behind the stream", b"\x1fx", b"PK\x03\x04" + bytes(100_000)])
@pytest.mark.parametrize("stream", [PACKED, gzip.compress(b"abc") + gzip.compress(VOXELS.tobytes())], ids=["one", "two"])
def test_what_is_no_gzip_behind_the_stream(tmp_path: Path, stream: bytes, tail: bytes, zeros: int) -> None:
    found = block(tmp_path / "scan", "gzip", stream + bytes(zeros) + tail)
    with pytest.raises(InputError, match=r"scan: the gzip stream is followed by something that is no gzip; copy it again$"):
        list(found.slabs())


@pytest.mark.parametrize(
    "tail",
    [b"", bytes(1000), gzip.compress(b"more"), gzip.compress(b"") + bytes(3), gzip.compress(b"a") * 2],
    ids=["nothing", "zeros", "a stream", "an empty one and zeros", "two streams"],
)
def test_further_streams_and_zeros_behind_the_stream(tmp_path: Path, tail: bytes) -> None:
    slabs = block(tmp_path / "scan", "gzip", PACKED + tail).slabs()
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in slabs]), VOXELS)


@pytest.mark.parametrize(
    "tail",
    [b"\x1f", b"\x1f\x8b", gzip.compress(b"more")[:-3], bytes(3) + gzip.compress(b"more")[:9]],
    ids=["a byte", "two bytes", "without its end", "zeros and a head"],
)
def test_a_further_stream_that_ends_early(tmp_path: Path, tail: bytes) -> None:
    with pytest.raises(InputError, match=r"scan: the file ends early; copy it again"):
        list(block(tmp_path / "scan", "gzip", PACKED + tail).slabs())


def test_what_is_no_gzip_from_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scan: the gzip stream is damaged \(Not a gzipped file"):
        list(block(tmp_path / "scan", "gzip", bytes(100) + PACKED).slabs())


def test_a_size_that_the_file_cannot_hold(tmp_path: Path) -> None:
    plain = block(tmp_path / "scan", "", b"abc" + VOXELS.tobytes()[:-1])
    with pytest.raises(InputError, match=r"claims 60 x 50 x 7 voxels \(42003 bytes\), the file holds at most 42002; copy it again"):
        plain.require_room()
    block(tmp_path / "scan", "zlib", bytes(41)).require_room()
    with pytest.raises(InputError, match="the file holds at most 41280"):
        block(tmp_path / "scan", "zlib", bytes(40)).require_room()


def test_numbers_as_they_are_held() -> None:
    assert narrowed(np.array([1, -5]), True).dtype == np.int16
    assert narrowed(np.array([40000]), True).dtype == np.float32
    with pytest.raises(InputError, match="unrepresentable"):
        narrowed(np.array([1e300]), False)
