"""Measures against what can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.measures import measure_organs, percentiles
from flare_trt.engine.scans.disk_array import DiskArray

GRID = Grid((10, 12, 14), (2.5, 1.0, 0.5))
NAMES = {1: "liver", 2: "spleen", 5: "aorta", 14: "tumour"}


def volumes(dtype: str = "int16") -> tuple[Volume, Volume]:
    hu = np.arange(np.prod(GRID.shape_zyx)).reshape(GRID.shape_zyx).astype(dtype)
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[2:5, 3:7, 4:9] = 1
    labels[3, 4, 5] = 2  # inside the first's box
    labels[:, 5, 13] = 5
    labels[0, 0, 0] = 9  # not asked for
    return Volume(hu, GRID), Volume(labels, GRID)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_organs(dtype: str) -> None:
    ct, labels = volumes(dtype)
    liver, spleen, aorta, tumour = measure_organs(ct, labels, NAMES)
    hu = ct.array[labels.array == 1].astype(float)
    assert (liver.name, liver.voxels, liver.volume_ml) == ("liver", 59, round(59 * 1.25 / 1000, 3))
    assert (liver.mean_hu, liver.std_hu) == (round(hu.mean(), 2), round(hu.std(), 2))
    assert (liver.start_zyx, liver.stop_zyx, liver.extent_mm) == ((2, 3, 4), (5, 7, 9), (7.5, 4.0, 2.5))
    assert (liver.low_lps_mm, liver.high_lps_mm) == ((1.75, 2.5, 3.75), (4.25, 6.5, 11.25))
    assert liver.touches_edge == ()
    assert (liver.slice_index, spleen.slice_index, tumour.slice_index) == (2, 3, None)  # slice 3 lacks the spleen's voxel
    assert (spleen.voxels, spleen.mean_hu, spleen.std_hu) == (1, float(ct.array[3, 4, 5]), 0.0)
    assert set(aorta.touches_edge) == {"S", "I", "L"}
    assert (tumour.voxels, tumour.volume_ml, tumour.mean_hu, tumour.start_zyx, tumour.touches_edge) == (0, 0.0, None, None, ())


@pytest.mark.parametrize("orientation", ["SPL", "IAR", "LSP", "PRI"])
def test_the_slice_in_which_an_organ_is_largest_is_axial_whatever_the_axes(orientation: str) -> None:
    ct, labels = volumes()
    labels.array[4, 3, 4:9] = 0
    labels.array[2, 3:5, 4:9] = 0  # slice 3 is the largest now
    turn = Reorientation.to(GRID, orientation)
    ct, labels = (Volume(np.ascontiguousarray(turn.apply(one.array)), turn.grid(GRID)) for one in (ct, labels))
    (liver,) = measure_organs(ct, labels, {1: "liver"})
    axis = next(at for at, letter in enumerate(orientation) if letter in "SI")
    assert liver.slice_index == (3 if orientation[axis] == "S" else GRID.shape_zyx[0] - 1 - 3)


def test_a_scan_on_disk_measures_the_same() -> None:
    ct, labels = volumes()
    on_disk = DiskArray(GRID.shape_zyx, ct.array.dtype, [(0, ct.array)])
    spooled = Volume(on_disk, GRID, on_disk.measured)
    assert measure_organs(spooled, labels, NAMES) == measure_organs(ct, labels, NAMES)


def test_measures_are_json() -> None:
    text = json.dumps([asdict(organ) for organ in measure_organs(*volumes(), NAMES)], allow_nan=False)
    assert json.loads(text)[0]["start_zyx"] == [2, 3, 4]


def test_no_labels_at_all_and_no_names() -> None:
    ct, labels = volumes()
    empty = Volume(np.zeros_like(labels.array), GRID)
    assert [organ.voxels for organ in measure_organs(ct, empty, NAMES)] == [0, 0, 0, 0]
    assert measure_organs(ct, labels, {}) == ()


def test_labels_of_another_scan_are_refused() -> None:
    ct, labels = volumes()
    with pytest.raises(InputError, match="measures: got labels of shape"):
        measure_organs(Volume(ct.array[1:], Grid((9, 12, 14), GRID.spacing_mm)), labels, NAMES)


def test_the_box_in_mm_holds_the_voxels_of_a_turned_grid() -> None:
    from itertools import product

    turned = ((0.0, 0.6, -0.8), (-1.0, 0.0, 0.0), (0.0, 0.8, 0.6))
    grid = Grid(GRID.shape_zyx, GRID.spacing_mm, (-30.0, 12.0, 99.0), turned)
    ct, labels = volumes()
    (liver,) = measure_organs(Volume(ct.array, grid), Volume(labels.array, grid), {1: "liver"})
    assert liver.start_zyx is not None
    assert liver.stop_zyx is not None
    corners_zyx = product(*zip(np.array(liver.start_zyx) - 0.5, np.array(liver.stop_zyx) - 0.5, strict=True))
    world = [np.array(grid.origin_mm) + np.array(turned) @ (np.array(c) * GRID.spacing_mm)[::-1] for c in corners_zyx]
    np.testing.assert_allclose(liver.low_lps_mm, np.min(world, axis=0), atol=0.006)
    np.testing.assert_allclose(liver.high_lps_mm, np.max(world, axis=0), atol=0.006)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("size", [1, 2, 7, 10, 11, 4096])
def test_percentiles_are_those_of_numpy_bit_for_bit(dtype: str, size: int) -> None:
    values = np.random.default_rng(size).normal(40, 300, size).astype(dtype)
    before = values.copy()
    assert percentiles(values, (0, 10, 50, 90, 100)) == np.percentile(values.astype(np.float64), (0, 10, 50, 90, 100)).tolist()
    np.testing.assert_array_equal(values, before)
