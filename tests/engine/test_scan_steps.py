"""How a scan is read under a budget, and what its report tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.scan_files import open_scan
from flare_trt.engine.scan_steps import ct_reader, read_scan
from flare_trt.engine.spool import SpooledArray
from tests.engine.nifti_files import AXIAL, Forms, affine, write_raw

SHAPE = (50, 100, 100)  # 1 MB of int16


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    hu = np.random.default_rng(2).normal(0, 300, SHAPE).astype("<i2")
    return write_raw(tmp_path / "ct.nii.gz", hu, AXIAL)


@pytest.mark.parametrize(("max_memory_mb", "spooled"), [(None, False), (4, False), (3, True), (1, True)])
def test_a_scan_over_a_quarter_of_the_budget_stays_on_disk(scan: Path, max_memory_mb: int | None, spooled: bool) -> None:
    ct = ct_reader(max_memory_mb)(open_scan(scan))
    assert isinstance(ct.array, SpooledArray) == spooled
    np.testing.assert_array_equal(ct.array[:, :, :], ct_reader(None)(open_scan(scan)).array)


def test_what_looks_odd_is_told_with_the_scan(tmp_path: Path) -> None:
    moved = affine(np.diag([-1, -1, 1]), (0.7, 0.8, 2.5), (90.5, 150.25, -300))
    values = np.random.default_rng(2).integers(0, 200, SHAPE).astype("<i2")
    path = write_raw(tmp_path / "ct.nii", values, Forms(moved, 1, AXIAL.sform, 1))
    apart, eight_bit = read_scan(path, ct_reader(None)).warnings
    assert "lie up to 30 mm apart" in apart
    assert "8-bit" in eight_bit
