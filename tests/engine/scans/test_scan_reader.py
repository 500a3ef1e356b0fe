"""A scan from slabs, into memory and onto the disk: the same voxels, whichever slab is the first that int16 cannot hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import spooled_channel, spooled_ct, whole_channel, whole_ct

SHAPE = (5, 7, 9)
INT16, FLOAT32 = np.dtype(np.int16), np.dtype(np.float32)


@dataclass(frozen=True)
class ArrayReader:
    """Slabs of two planes of an array, each int16 where that holds it, else float32."""

    array: NDArray[Any]
    path: Path = Path("scan")
    warnings: tuple[str, ...] = ()
    dtype: np.dtype[Any] = INT16
    widest: np.dtype[Any] = FLOAT32

    @property
    def grid(self) -> Grid:
        return Grid(SHAPE, (2.5, 0.8, 0.7))

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        for z in range(0, len(self.array), depth or 2):
            slab = self.array[z : z + (depth or 2)]
            fits = slab.min() >= -32768 and slab.max() <= 32767
            yield z, slab.astype(np.int16 if fits else np.float32)


def test_a_scan_in_memory_and_one_on_disk_are_the_same(tmp_path: Path) -> None:
    reader = open_scan(write_raw(tmp_path / "ct.nii", np.arange(-100, 215, dtype="<i2").reshape(SHAPE), AXIAL))
    whole, spooled = whole_ct(reader), spooled_ct(reader)
    assert (whole.value_range, whole.nonzero_box, whole.grid) == (spooled.value_range, spooled.nonzero_box, spooled.grid)
    np.testing.assert_array_equal(whole.array, spooled.array[:, :, :])


@pytest.mark.parametrize("z", [0, 2, 4, None])
def test_one_slab_beyond_int16_makes_all_float32_without_loss(z: int | None) -> None:
    array = np.arange(-150, 165).reshape(SHAPE)
    if z is not None:
        array[z, 3, 4] = 40000
    reader = ArrayReader(array)
    for volume in (whole_ct(reader), whole_channel(reader, threads=1), spooled_ct(reader)):
        np.testing.assert_array_equal(volume.array[:, :, :], array)
        assert volume.value_range == (-150, 164 if z is None else 40000)
    assert whole_ct(reader).array.dtype == (np.int16 if z is None else np.float32)


def test_a_scan_of_one_value_is_refused_by_its_name() -> None:
    reader = ArrayReader(np.full(SHAPE, -1000))
    for read in (whole_ct, spooled_ct):
        with pytest.raises(InputError, match=r"^scan: CT: every voxel is -1000"):
            read(reader)
    assert whole_channel(reader).value_range == spooled_channel(reader).value_range == (-1000, -1000)


@pytest.mark.parametrize(("threads", "unpacking"), [(0, ["ahead_0"]), (1, []), (2, ["ahead_0"])])
def test_one_thread_reads_and_unpacks_alone(threads: int, unpacking: list[str]) -> None:
    seen = set()

    class Watched(ArrayReader):
        def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
            seen.add(threading.current_thread().name)
            yield from super().slabs(depth)

    whole_channel(Watched(np.arange(315).reshape(SHAPE)), threads)
    assert [name.rpartition("-")[2] for name in seen if name != threading.current_thread().name] == unpacking
