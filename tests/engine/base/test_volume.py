"""A scan and what is known of it, wherever its voxels lie; and what a CT may be made of."""

from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Measured, Volume, ct_volume, nonzero_box
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.kernels import Box, load

GRID = Grid((5, 7, 9), (2.5, 0.8, 0.7))


@pytest.fixture
def hu() -> np.ndarray:
    array = np.zeros(GRID.shape_zyx, np.int16)
    array[1:4, 2:3, 4:8] = np.random.default_rng(2).integers(1, 900, (3, 1, 4))
    array[2, 2, 5] = -1000
    return array


def homes(hu: np.ndarray) -> list[Volume]:
    """The same scan in memory, on disk and on a fake GPU."""
    on_disk = DiskArray(GRID.shape_zyx, hu.dtype, [(0, hu[:2]), (2, hu[2:])])
    return [Volume(hu, GRID), Volume(on_disk, GRID, on_disk.measured)]


def test_what_is_known_does_not_depend_on_where_the_voxels_lie(hu: np.ndarray) -> None:
    every = slice(None, None, 2)
    for volume in homes(hu):
        assert volume.value_range == (-1000.0, float(hu.max()))
        assert volume.nonzero_box == Box((1, 2, 4), (4, 3, 8))
        np.testing.assert_array_equal(volume.on_host((slice(1, 4), every, every)), hu[1:4, ::2, ::2])
    assert [volume.array.nbytes for volume in homes(hu)] == [hu.nbytes, 0]


def test_a_scan_on_a_gpu_comes_to_the_host_in_pieces(gpu: None, hu: np.ndarray) -> None:
    volume = Volume(load("cuda").upload(hu), GRID, Measured((-1000.0, 900.0), GRID.whole), "cuda")
    piece = volume.on_host((slice(0, 5, 3), slice(None), slice(1, 2)))
    assert isinstance(piece, np.ndarray)
    np.testing.assert_array_equal(piece, hu[::3, :, 1:2])
    assert volume.value_range == (-1000.0, 900.0)  # what was measured is not measured again


def test_an_array_that_is_not_of_its_grid_is_refused(hu: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"shape \(5, 7, 8\) on a grid of \(5, 7, 9\)"):
        Volume(hu[..., :8], GRID)
    with pytest.raises(InputError, match="2 axes, expected 3"):
        Volume(hu[0], GRID)


def test_a_ct_is_int16_where_nothing_is_lost(hu: np.ndarray) -> None:
    assert ct_volume(hu.astype(np.int64), GRID).array.dtype == np.int16
    assert ct_volume(hu.astype(np.int64) + 40_000, GRID).array.dtype == np.float32
    assert ct_volume(hu.astype(np.float64), GRID).array.dtype == np.float32
    for wrong, word in ((hu * np.nan, "NaN"), (np.full_like(hu, 3), "every voxel is 3"), (hu.astype(complex), "complex128")):
        with pytest.raises(InputError, match=word):
            ct_volume(wrong, GRID)


def test_zeros_all_through_are_not_cropped(hu: np.ndarray) -> None:
    assert nonzero_box(np.zeros_like(hu)) == GRID.whole
