"""The runners give what their libraries give, and mark their stages; the golden folder is a small trained nnU-Net."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flare_trt.benchmarks.measure.phases import VARIABLE, phase_seconds, read_phases
from flare_trt.benchmarks.peers import nnunet_runner, peer_nnunet
from flare_trt.benchmarks.peers.compare import agreement
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct

GOLDEN = Path(__file__).parents[2] / "golden" / "models" / "plain"
STAGES = ["import", "load model", "read", "preprocess", "network", "export"]

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "ct.nii.gz"
    write_ct(path, make_phantom(1, (34, 50, 56), (4.2, 3.3, 3.2), PhantomOptions(centre_mm=0.0))[0])
    return path


@pytest.fixture(scope="module")
def planned(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nnU-Net's labels of the scan."""
    return run("peer_nnunet", scan, tmp_path_factory.mktemp("planned"))


def run(module: str, scan: Path, folder: Path, *more: str) -> Path:
    """Run a peer's module as a process, as it is measured; returns its labels."""
    pytest.importorskip("nnunetv2")
    out = folder / "labels.nii.gz"
    command = [sys.executable, "-m", f"flare_trt.benchmarks.peers.{module}", str(GOLDEN), str(scan), str(out), *more]
    environment = {**os.environ, VARIABLE: str(folder / "stages")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return out


def run_nnunet_here(scan: Path, folder: Path, *more: str) -> Path:
    """The same for nnU-Net without a process, which would import torch anew."""
    pytest.importorskip("nnunetv2")
    out = folder / "labels.nii.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "stages"))
        nnunet_runner.run([str(GOLDEN), str(scan), str(out), *more], "", peer_nnunet.predict)
    return out


def test_nnunet_gives_what_its_predictor_gives_from_file_to_file(scan: Path, planned: Path, tmp_path: Path) -> None:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(GOLDEN), None)
    predictor.predict_from_files_sequential([[str(scan)]], [str(tmp_path / "whole")])
    found = read_labels(planned).array
    assert np.array_equal(found, read_labels(tmp_path / "whole.nii.gz").array)
    assert np.count_nonzero(found) > 1000


def test_stages_are_marked(planned: Path) -> None:
    stages, problems = read_phases(planned.with_name("stages"), 0.0)
    assert [stage.name for stage in stages] == STAGES
    assert problems == []


@pytest.mark.nightly
def test_a_share_of_the_tiles_with_mirroring_is_marked(scan: Path, tmp_path: Path) -> None:
    run_nnunet_here(scan, tmp_path, "--mirroring", "--tiles", "2")
    seconds = phase_seconds(read_phases(tmp_path / "stages", 0.0)[0])
    share = next(name for name in seconds if name.startswith("tiles: 2 of "))
    assert int(share.split()[-1]) > 2
    assert 0 < seconds[share] <= seconds["network"]


@pytest.mark.nightly
def test_monai_gives_the_same_where_one_window_holds_the_scan(tmp_path: Path) -> None:
    """With several windows the two place and weigh them differently. Halves round a few voxels otherwise, a lost fold a quarter."""
    pytest.importorskip("monai")
    scan = tmp_path / "ct.nii.gz"
    write_ct(scan, make_phantom(2, (32, 48, 40), (4.0, 3.0, 3.0), PhantomOptions(centre_mm=0.0))[0])
    for name in ("nnunet", "monai"):
        (tmp_path / name).mkdir()
    planned = read_labels(run_nnunet_here(scan, tmp_path / "nnunet")).array
    assert agreement(read_labels(run("peer_monai", scan, tmp_path / "monai")).array, planned).differing < 5e-3
    assert np.count_nonzero(planned) > 1000
    names = [stage.name for stage in read_phases(tmp_path / "monai" / "stages", 0.0)[0]]
    assert sorted(names) == sorted([*STAGES, "import"])


@pytest.mark.nightly
def test_torch_resampling_changes_little_but_something(scan: Path, planned: Path, tmp_path: Path) -> None:
    torch = read_labels(run_nnunet_here(scan, tmp_path, "--resampling", "torch")).array
    assert 0 < agreement(torch, read_labels(planned).array).differing < 0.05


def test_torch_resampling_is_that_of_nnunets_own_planner() -> None:
    planner = pytest.importorskip("nnunetv2.experiment_planning.experiment_planners.resampling.resample_with_torch")
    configuration = json.loads((GOLDEN / "plans.json").read_text())["configurations"]["3d_fullres"]
    nnunet_runner.use_torch_resampling(configuration)
    data, data_options, seg, seg_options = planner.nnUNetPlannerResEncL_torchres.determine_resampling(None)
    logits, logits_options = planner.nnUNetPlannerResEncL_torchres.determine_segmentation_softmax_export_fn(None)
    for use, function, options in (
        ("data", data, data_options),
        ("seg", seg, seg_options),
        ("probabilities", logits, logits_options),
    ):
        assert configuration[f"resampling_fn_{use}"] == function.__name__
        assert configuration[f"resampling_fn_{use}_kwargs"] == options
