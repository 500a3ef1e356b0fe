"""Networks of real size side by side: the scan they get, a row, what is checked, and a tiny network through all engines."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.shared_data import shared_file

from flare_trt.benchmarks.base.result_file import load_result
from flare_trt.benchmarks.inputs.real_networks import NETWORKS
from flare_trt.benchmarks.inputs.turned_scan import turned_scan
from flare_trt.benchmarks.measure.phases import Phase
from flare_trt.benchmarks.studies import speed
from flare_trt.benchmarks.studies.speed import SPACINGS_MM, crop_of_tiles
from flare_trt.benchmarks.studies.speed_cli import checks_of, speed_table
from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume

LPS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
ROW: dict[str, Any] = {"model": "paper fine", "engine": "nnU-Net", "wall_s": 80.0, "cpu_s": 150.0, "peak_mb": 5000.0} | {
    "area_mb_s": 3e5,
    "tiles": None,
    "others": 0.02,
}


def scan_of(shape_zyx: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    array = np.arange(math.prod(shape_zyx), dtype=np.int32).reshape(shape_zyx).astype(np.int16)
    return Volume(array, Grid(shape_zyx, spacing_mm, (0.0, 0.0, 0.0), LPS))


@pytest.mark.parametrize("name", SPACINGS_MM)
def test_the_crop_makes_two_tiles_along_each_axis(name: str) -> None:
    """By nnU-Net's rule: ceil((size - patch) / (patch / 2)) + 1 tiles of the resampled scan."""
    network = replace(next(n for n in NETWORKS if n.name == name), spacing_mm=SPACINGS_MM[name])
    crop = crop_of_tiles(scan_of((133, 512, 512), (2.5, 0.703, 0.703)), network)
    sizes = np.round(np.multiply(crop.grid.extent_mm, 1 / np.asarray(network.spacing_mm)))
    assert [math.ceil((n - p) / (p / 2)) + 1 for n, p in zip(sizes, network.patch_zyx, strict=True)] == [2, 2, 2]
    with pytest.raises(InputError, match="mm along an axis, expected"):
        crop_of_tiles(scan_of((20, 512, 512), (2.5, 0.703, 0.703)), network)


def test_the_table_goes_by_models_and_engines_and_gives_ratios() -> None:
    table = speed_table([ROW | {"engine": "exact", "wall_s": 20.0, "cpu_s": 60.0, "differing": 3e-6}, ROW]).splitlines()
    assert [line.split("|")[2].strip() for line in table[2:]] == ["nnU-Net", "exact"]
    assert [cell.strip() for cell in table[3].split("|")[7:11]] == ["0.250", "0.400", "1.000", "3.0e-06"]


def test_walls_beside_other_programs_have_no_ratio() -> None:
    rows = [ROW, ROW | {"engine": "exact", "others": 0.6, "differing": 0.0}, ROW | {"engine": "half", "differing": 0.0}]
    assert [line.split("|")[7].strip() for line in speed_table(rows).splitlines()[2:]] == ["1.000", "-", "1.000"]


def test_only_exact_has_a_promise_and_labels_must_be_there() -> None:
    assert checks_of(ROW) == []
    assert checks_of(ROW | {"engine": "half", "differing": 0.1, "least_dice": 0.5}) == []
    assert [c.measured <= c.limit for c in checks_of(ROW | {"engine": "exact", "differing": 9e-5, "least_dice": 0.998})] == [
        True,
        False,
    ]
    (check,) = checks_of(ROW | {"engine": "exact, ONNX Runtime"})
    assert check.measured > check.limit, "no nnU-Net to compare with"


@pytest.mark.nightly
@pytest.mark.peer
def test_a_tiny_network_through_engines_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nnunetv2")
    tiny = replace(NETWORKS[0], name="paper fine", features=(4, 8, 8, 8), patch_zyx=(16, 24, 24), classes=5)
    monkeypatch.setattr(speed, "NETWORKS", (tiny,))
    monkeypatch.setattr(speed, "SPACINGS_MM", {"paper fine": (9.0, 7.0, 7.0)})
    out, words = (
        tmp_path / "found.json",
        ["bench", "speed", str(shared_file("ts_example", "ct.nii.gz")), "--work", str(tmp_path / "work")],
    )
    words += ["--out", str(out), "--models", "paper fine", "--engines", "nnU-Net", "nnU-Net, mirroring on", "exact"]
    assert main(words) == 0
    result = load_result(out)
    whole, mirrored, exact = result.data["rows"]
    assert result.broken == []
    assert (whole["tiles"], mirrored["tiles"]) == (None, "1 of 8 tiles")
    assert min(row[key] for row in result.data["rows"] for key in ("wall_s", "cpu_s", "peak_mb", "area_mb_s")) > 0
    assert exact["differing"] <= 1e-4
    written = out.read_bytes()
    assert main(words) == 0, "nothing is left to run"
    assert out.read_bytes() == written


def test_the_default_model_needs_its_weights_named(tmp_path: Path) -> None:
    words = ["bench", "speed", "ct.nii.gz", "--out", str(tmp_path / "o.json"), "--work", str(tmp_path), "--models", "default model"]
    assert main(words) == 1
    assert not (tmp_path / "o.json").exists()


def test_a_turned_scan_has_the_same_voxels_where_they_lie(tmp_path: Path) -> None:
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag((2.0, 3.0, -4.0, 1.0))), tmp_path / "ct.nii")
    turned = turned_scan(tmp_path / "ct.nii")
    assert turned.grid.orientation == "SPL"
    np.testing.assert_array_equal(turned.array, voxels.T[::-1, ::-1, ::-1])
    np.testing.assert_allclose(turned.grid.origin_mm, (-4.0, -9.0, -16.0))


@pytest.mark.parametrize(
    ("start_s", "stop_s", "mean_mb"),
    [(0.25, 0.75, 150.0), (0.5, 2.0, 575 / 3), (0.5, 0.5, 150.0), (2.5, 4.0, 325.0 / 3)],
)
def test_the_mean_memory_of_tiles_however_short_they_were(start_s: float, stop_s: float, mean_mb: float) -> None:
    """By hand, on straight lines from 100 MB to 200 MB in a second, a second there, and down again; held after the last sample."""
    samples: dict[str, Any] = {"time_s": [0.0, 1.0, 1.5, 2.0, 3.0], "tree_rss_mb": [100.0, 200.0, None, 200.0, 100.0]}
    assert speed.mean_of_tiles_mb([Phase("tiles: 1 of 8", start_s, stop_s)], samples) == pytest.approx(mean_mb)
