"""A small endurance run is flat, and one that leaks is not called so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.benchmarks.studies.endurance import Endurance, endure
from flare_trt.benchmarks.studies.endurance_cli import is_flat, table
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.nifti import write_ct

FLAT = Endurance(40, 0, (100.0, 100.4, 101.0), 0.01, 0, 0)


def test_twenty_scans_leave_no_handle_and_no_thread(tmp_path: Path) -> None:
    scans = [tmp_path / f"phantom{seed}.nii" for seed in range(4)]
    for seed, scan in enumerate(scans):
        phantom = make_phantom(seed, (19 + seed, 23, 21), (9.0, 14.0, 15.0))[0]
        write_ct(scan, Volume(phantom.array, Grid(phantom.grid.shape_zyx, (3.5, 2.2, 2.4))))  # a few tiles, not a thousand
    found = endure(write_tiny_bundle(tmp_path / "tiny"), scans, tmp_path / "out", 20)
    assert (found.failed, found.handles_left, found.threads_left) == (0, 0, 0)
    assert len(found.rss_mb) == 10
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 4
    with pytest.raises(InputError, match="got 0 scans"):
        endure(tmp_path / "tiny", [], tmp_path / "out", 20)


def test_what_is_called_flat() -> None:
    assert is_flat(FLAT)
    leaks = (replace(FLAT, drift=0.021), replace(FLAT, handles_left=1), replace(FLAT, threads_left=1), replace(FLAT, failed=1))
    assert not any(is_flat(found) for found in leaks)
    assert "| last against first | +1.00% (allowed: 2%) |" in table(FLAT)
