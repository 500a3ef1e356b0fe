"""Networks of real size: what is compared, and a tiny one through all steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.shared_data import shared_file

from flare_trt.benchmarks.base.result_file import load_result
from flare_trt.benchmarks.inputs.model_folder import write_model_folder
from flare_trt.benchmarks.inputs.real_networks import NETWORKS
from flare_trt.benchmarks.studies import export_cli
from flare_trt.benchmarks.studies.real_size import Job, _kept, agreement
from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.image_files import read_ct

TINY = replace(NETWORKS[0], name="tiny", features=(4, 8, 8, 8), patch_zyx=(16, 24, 24), spacing_mm=(9.0, 7.0, 7.0), classes=5)


def test_small_classes_are_listed_and_large_ones_scored() -> None:
    theirs = np.zeros((20, 30, 40), np.uint8)
    theirs[:10] = 1
    theirs[15, 0, :3] = 2
    ours = theirs.copy()
    ours[0, 0, :12] = 0
    ours[15, 0, 0] = 1
    found = agreement(ours, theirs)
    assert found["differing"] == pytest.approx(13 / 24000)
    assert found["large_classes"] == 2
    assert found["least_dice"] == pytest.approx(2 * 11988 / (12000 + 11989))
    assert found["small_classes"] == {"2": [3, pytest.approx(0.8)]}


def test_the_catalogue_fits_nnunets_rules() -> None:
    """Each axis of a patch is divisible by its strides' product, and every stage has its numbers."""
    for network in NETWORKS:
        assert not np.any(np.mod(network.patch_zyx, np.prod(network.strides, axis=0))), network.name
        assert len(network.features) == len(network.strides) == len(network.convs), network.name
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)


def test_weights_are_contested(tmp_path: Path) -> None:
    """Every class is the largest somewhere, and none everywhere."""
    torch = pytest.importorskip("torch")
    from flare_trt.export.checkpoint import load_checkpoint
    from flare_trt.export.configuration import architecture_of, configuration_of
    from flare_trt.export.model_folder import open_model_folder
    from flare_trt.export.network import build_network, load_weights

    scan = read_ct(shared_file("ts_example", "ct.nii.gz"))
    parameters = write_model_folder(TINY, scan, tmp_path / "model")
    trained = open_model_folder(tmp_path / "model", (), "final")
    checkpoint = load_checkpoint(trained.checkpoints[0])
    architecture = architecture_of(configuration_of(trained.plans, checkpoint.configuration))
    network = load_weights(build_network(architecture, 5), checkpoint.weights, "plans.json")
    assert parameters == sum(weight.numel() for weight in network.parameters())
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, *TINY.patch_zyx)).astype(np.float32))
    with torch.inference_mode():
        shares = np.bincount(network(image)[0].argmax(0).numpy().ravel(), minlength=5) / np.prod(TINY.patch_zyx)
    assert shares.min() > 0.01
    assert shares.max() < 0.7


def test_what_a_step_gave_is_kept(tmp_path: Path) -> None:
    runs: list[int] = []

    def step() -> dict[str, float]:
        runs.append(1)
        return {"cpu_s": 1.5}

    assert [_kept(tmp_path / "export.json", step) for _ in range(2)] == [{"cpu_s": 1.5}] * 2
    assert len(runs) == 1


def test_rows_of_one_network_have_folders_of_their_own(tmp_path: Path) -> None:
    slugs = {
        Job(NETWORKS[0], tmp_path / case / "ct.nii.gz", mirrored, tmp_path).slug for case in "ab" for mirrored in (True, False)
    }
    assert len(slugs) == 4
    assert not any("/" in slug or " " in slug for slug in slugs)


@pytest.mark.nightly
@pytest.mark.peer
def test_a_tiny_network_through_all_steps_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nnunetv2")
    monkeypatch.setattr(export_cli, "NETWORKS", (TINY,))
    image = nibabel.load(shared_file("ts_example", "ct.nii.gz"))
    scan = tmp_path / "case" / "ct.nii.gz"
    scan.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[20:100, 20:90, 30:80].astype(np.int16), image.affine), scan)
    words = ["bench", "export", str(scan), "--out", str(tmp_path / "found.json"), "--work", str(tmp_path / "work")]
    assert main(words) == 0
    result = load_result(tmp_path / "found.json")
    (row,) = result.data["rows"]
    assert result.broken == []
    assert row["export"]["barred"] == []
    assert row["openvino"]["large_classes"] >= 3
    assert min(row[step]["cpu_s"] for step in ("export", "nnU-Net", "openvino", "onnxruntime")) > 0
    written = (tmp_path / "found.json").read_bytes()
    assert main(words) == 0, "nothing is left to run"
    assert (tmp_path / "found.json").read_bytes() == written
    assert json.loads(written)["benchmark"] == "export"
