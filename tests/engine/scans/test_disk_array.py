"""A scan on disk answers as the array that was written, and leaves no file."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.kernels import Box

SHAPE = (9, 11, 13)


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(8).integers(-1000, 900, SHAPE).astype(np.int16)


def on_disk(hu: np.ndarray, dtype: type = np.int16) -> DiskArray:
    return DiskArray(SHAPE, np.dtype(dtype), [(z, hu[z : z + 4]) for z in range(0, SHAPE[0], 4)])


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_every_cut_is_that_of_the_array(hu: np.ndarray, dtype: type) -> None:
    array, expected = on_disk(hu, dtype), hu.astype(dtype)
    cuts = [
        (slice(None), slice(None), slice(None)),
        (slice(2, 3), slice(4, 11), slice(0, 1)),
        (slice(0, 9, 4), slice(1, 10, 3), slice(12, None)),
        (slice(-3, None), slice(None, -2), slice(None, None, 5)),
        (slice(4, 4), slice(None), slice(None)),
        (slice(0, 2), slice(7, 5), slice(None)),
        (slice(0, 100), slice(0, 100), slice(0, 100)),
    ]
    for cut in cuts:
        np.testing.assert_array_equal(array[cut], expected[cut])
        assert array[cut].dtype == dtype


def test_what_was_seen_while_writing(hu: np.ndarray) -> None:
    hu[:2] = hu[:, 10:] = hu[..., :4] = 0
    array = on_disk(hu)
    assert array.measured.value_range == (float(hu.min()), float(hu.max()))
    assert array.measured.nonzero_box == Box((2, 0, 4), (9, 10, 13))
    assert (array.ndim, array.nbytes) == (3, 0)


def test_a_wider_slab_is_refused(hu: np.ndarray) -> None:
    with pytest.raises(InputError, match="got float32 voxels in the middle of a scan of int16"):
        DiskArray(SHAPE, np.dtype(np.int16), [(0, hu[:4]), (4, hu[4:].astype(np.float32))])


def test_the_file_has_no_name_and_goes_with_the_array(hu: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = on_disk(hu)
    assert list(tmp_path.iterdir()) == []
    number = array._file.fileno()
    os.fstat(number)
    del array
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
