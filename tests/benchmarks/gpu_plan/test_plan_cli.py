"""`flare-trt plan` on a bundle: from a CT's header, from a shape, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.nifti import write_labels

SHAPE = ["--shape", "100,91,83", "--spacing", "2.5,0.8,0.8"]


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(write_tiny_bundle(tmp_path / "tiny"))


def test_the_plan_tells_buffers_stages_and_totals(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--model", bundle, *SHAPE, "--gpu", "3090", "--json", str(tmp_path / "plan.json")]) == 0
    told = capsys.readouterr().out
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert "On a GeForce RTX 3090, fp32: peak" in told
    assert f"peak {plan['peak_bytes'] / 1e6:.0f} MB of 24000 MB" in told
    assert "Not in it: CUDA's context" in told
    ring = next(buffer for buffer in plan["buffers"] if buffer["name"] == "logits ring")
    assert ring["bytes"] % (4 * 2) == 0  # channels of float16
    assert 0 < ring["first_step"] < ring["last_step"] < len(plan["steps"])
    assert sum(step["seconds"] for step in plan["steps"]) == pytest.approx(plan["least_seconds"])
    assert plan["peak_bytes"] == max(step["peak_bytes"] for step in plan["steps"])


def test_every_buffer_has_a_name(bundle: str, tmp_path: Path) -> None:
    for options in ([], ["--max-memory", "3MB"], ["--mode", "fast", "--mirror"]):
        assert main(["plan", "--model", bundle, *SHAPE, *options, "--json", str(tmp_path / "plan.json")]) == 0
        names = {buffer["name"] for buffer in json.loads((tmp_path / "plan.json").read_text())["buffers"]}
        assert not names & {"zeros", "empty", "upload", "normalise", "resample", "restore", "copy"}


def test_a_ct_gives_the_same_plan_as_its_shape(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid((100, 91, 83), (2.5, 0.8, 0.8))
    write_labels(tmp_path / "ct.nii.gz", Volume(np.zeros(grid.shape_zyx, np.uint8), grid), None)
    assert main(["plan", "--model", bundle, *SHAPE]) == 0
    expected = capsys.readouterr().out
    assert main(["plan", str(tmp_path / "ct.nii.gz"), "--model", bundle]) == 0
    assert capsys.readouterr().out == expected


def test_what_cannot_be_planned_is_refused_with_a_word(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in [
        (["--shape", "5,5,5"], "either a CT, or both"),
        ([*SHAPE, "--gpu", "RTX"], "Quadro RTX 5000, GeForce RTX 3090"),
        ([*SHAPE, "--max-memory", "1MB"], "a pass needs at least"),
    ]:
        assert main(["plan", "--model", bundle, *arguments]) == 1
        assert word in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plan", "--model", bundle, "--shape", "5,0,5", "--spacing", "1,1,1"])
