"""Any raw dataset of nnU-Net's, from `train plan` to `segment`, on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.bundle import read_spec
from flare_trt.engine.scans.image_files import read_labels
from tests.training.nnunet_dataset import RawDataset

pytest.importorskip("nnunetv2")
pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.peer

TWO_CHANNELS = RawDataset()
REGIONS = RawDataset(
    channels=("T2",),
    labels=(("background", 0), ("whole", [1, 2, 3]), ("inner", [2, 3]), ("corner", 3)),
    extra=(("regions_class_order", [1, 2, 3]),),
    ending=".nii.gz",
)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools_are_threads: None) -> Path:
    """nnU-Net's three folders by its own environment variables; trainings of two steps."""
    for part in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{part}", str(tmp_path / part))
    for name, value in {"nnUNet_n_proc_DA": "0", "FLARE_TRT_ITERATIONS": "2", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLARE_TRT_EPOCHS", "1")
    monkeypatch.setenv("nnUNet_extTrainer", "")
    return tmp_path


def trained_bundle(folders: Path, dataset: str) -> tuple[Path, Path]:
    """Plan, train both networks and export them; the bundle and the fine network's folder."""
    import torch

    torch.manual_seed(0)  # two steps leave the first weights as good as they were
    assert main(["train", "plan", "--dataset-id", "7", "--cpu"]) == 0
    for network in ("coarse_cpu", "fine_cpu"):
        assert main(["train", "fit", "--dataset-id", "7", "--network", network, "--device", "cpu", "--epochs", "1"]) == 0
    coarse, fine = (folders / "results" / dataset / f"FlareTrainer__FLAREPlans__{kind}_cpu" for kind in ("coarse", "fine"))
    bundle = folders / "bundle"
    words = ["--coarse", str(coarse), "--fine", str(fine), "-o", str(bundle), "--check", "quick"]
    assert main(["export", "nnunet", *words]) == 0
    return bundle, fine


def hold_inside_the_box(folders: Path, dataset: RawDataset) -> None:
    """What the bundle gives in its box is what nnU-Net's predictor gives of the fine network alone."""
    from tests.golden.nnunet_peer import predict_with_nnunet

    images = dataset.write(folders / "raw") / "imagesTs"
    bundle, fine = trained_bundle(folders, dataset.name)
    assert main(["segment", str(images), "-o", f"{folders}/out/", "--model", str(bundle), "--report", f"{folders}/reports/"]) == 0
    (labels,) = (folders / "out").iterdir()
    assert labels.name.endswith(dataset.ending)
    ours = read_labels(labels).array
    roi = json.loads(next((folders / "reports").glob("*.json")).read_text())["run"]["roi"]
    box = tuple(slice(low, high) for low, high in zip(roi["start_zyx"], roi["stop_zyx"], strict=True))
    theirs = predict_with_nnunet(fine, sorted(images.iterdir()))
    assert theirs[box].any(), "two steps taught the network nothing, so the comparison proves nothing"
    assert (ours[box] != theirs[box]).mean() <= 1e-4
    ours[box] = 0
    assert not ours.any()


@pytest.mark.slow
def test_two_channels_and_an_ignore_label_become_a_bundle(folders: Path) -> None:
    hold_inside_the_box(folders, TWO_CHANNELS)
    plans = json.loads((folders / "preprocessed/Dataset007_Gland/FLAREPlans.json").read_text())
    networks = {name: plans["configurations"][name] for name in ("coarse", "fine", "coarse_cpu", "fine_cpu")}
    assert networks["fine"]["spacing"] == pytest.approx([2.5, 1.5, 1.4])
    features = [row["architecture"]["arch_kwargs"]["features_per_stage"][0] for row in networks.values()]
    assert features == [24, 32, 8, 8]
    assert networks["fine"]["normalization_schemes"] == ["ZScoreNormalization"] * 2
    voxels = {name: np.prod(row["spacing"]) for name, row in networks.items()}
    assert voxels["coarse"] >= 3 * voxels["fine"]
    spec = read_spec(folders / "bundle")
    assert spec.input_names == ("T2", "ADC")
    assert list(spec.label_names.values()) == ["gland", "lesion"]
    split = json.loads((folders / "preprocessed/Dataset007_Gland/splits_final.json").read_text())
    assert [(len(part["train"]), len(part["val"])) for part in split] == [(2, 1)]


@pytest.mark.nightly
def test_regions_of_one_mr_channel_become_a_bundle(folders: Path) -> None:
    hold_inside_the_box(folders, REGIONS)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["train", *words, "--dataset-id", "7"]) == 1
    return capsys.readouterr().err


def test_what_cannot_be_planned_is_said(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "found no Dataset007_NAME in" in refused(capsys, "plan")
    raw = folders / "raw"
    (raw / "Dataset007_Empty").mkdir(parents=True)
    assert "holds no dataset.json" in refused(capsys, "plan")
    assert "--mini is for the reproduction" in refused(capsys, "plan", "--mini")
    assert "the dataset is not planned" in refused(capsys, "fit", "--network", "coarse")
    (raw / "Dataset007_Empty" / "vouched.json").write_text("{}")
    assert "give the id of the fine dataset" in refused(capsys, "plan")
    TWO_CHANNELS.write(raw)
    assert "got Dataset007_Empty and Dataset007_Gland, expected one name" in refused(capsys, "plan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cases": 2, "labels": (("background", 0), ("gland", 1))}, "check of the dataset failed: Some segmentation"),
        ({"cases": 2, "extra": (("numTraining", 9),)}, "Did not find the expected number of training cases"),
        ({"cases": 2, "labels": (("background", 0), ("gland", 1), ("lesion", 3))}, "without gaps"),
        ({"cases": 2, "extra": (("overwrite_image_reader_writer", "NaturalImage2DIO"),)}, "nnU-Net's check of the dataset failed"),
    ],
)
def test_a_fault_of_the_dataset_is_refused_before_training(
    folders: Path, change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(TWO_CHANNELS, **change).write(folders / "raw")  # type: ignore[arg-type]
    assert said in refused(capsys, "plan", "--cpu")
    assert not (folders / "preprocessed/Dataset007_Gland/FLAREPlans.json").exists()
