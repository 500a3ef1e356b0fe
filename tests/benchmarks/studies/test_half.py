"""Half precision beside full: what a row holds, what is checked, and one real CT by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.shared_data import shared_file

from flare_trt.benchmarks.base.result_file import load_result, new_result, save_result
from flare_trt.benchmarks.studies.half_cli import NNUNET, OURS, _difference, checks_of, half_table
from flare_trt.engine.apps.cli import main
from flare_trt.engine.networks.silent_import import load_openvino

ROW: dict[str, Any] = {"what": OURS, "case": "lungs", "voxels": 10_000, "differing": 4, "mean_dice": 0.997, "least_dice": 0.99} | {
    "full_cpu_s": 30.0,
    "half_cpu_s": 12.0,
}


def test_differences_are_counted_and_scored() -> None:
    full = np.zeros((4, 5, 6), np.uint8)
    full[:2, :, :3], full[3] = 1, 2
    half = full.copy()
    half[0, 0, 0] = 0
    found = _difference(half, full)
    assert (found["voxels"], found["differing"]) == (120, 1)
    assert found["mean_dice"] == pytest.approx((2 * 29 / 59 + 1) / 2)
    assert found["small_classes"]["1"] == [30, pytest.approx(2 * 29 / 59)]


def test_the_promise_is_ours_alone() -> None:
    theirs = ROW | {"what": NNUNET, "differing": 900}
    assert [check.measured <= check.limit for check in checks_of([theirs, ROW])] == [True]
    assert [check.measured <= check.limit for check in checks_of([ROW | {"differing": 6}])] == [False]
    assert [line.split("|")[5].strip() for line in half_table([theirs, ROW]).splitlines()[2:]] == ["99.9600", "91.0000"]


def test_rows_that_are_there_are_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_result(tmp_path / "half.json", new_result("half", checks_of([ROW]), {"rows": [ROW]}))
    words = [
        "bench",
        "half",
        str(tmp_path / "lungs" / "ct.nii.gz"),
        "--out",
        str(tmp_path / "half.json"),
        "--work",
        str(tmp_path / "w"),
    ]
    assert main(words) == 0
    assert "lungs" in capsys.readouterr().out
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_a_real_ct_keeps_the_promise(tmp_path: Path) -> None:
    """99.95 % of the voxels, with the default model."""
    if "BF16" not in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16 arithmetic")
    ct = shared_file("ts_example", "ct.nii.gz")
    out = tmp_path / "half.json"
    assert main(["bench", "half", str(ct), "--out", str(out), "--work", str(tmp_path / "work")]) == 0
    (row,) = load_result(out).data["rows"]
    assert 0 < row["differing"] <= 5e-4 * row["voxels"], "half precision that changes nothing was fp32"
    assert row["mean_dice"] > 0.99
