"""--dry-run lists all that stands in the way, and writes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flare_trt.engine.apps.cli import main

pytest.importorskip("torch")
Golden = Callable[[str], Path]


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def listed(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    before = tree(folder)
    code = main(["export", "nnunet", str(folder), "--dry-run", *words])
    assert tree(folder) == before
    return code, capsys.readouterr().out.splitlines()


def changed(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def test_nothing_in_the_way(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    expected = 0, ["nothing in the way; nothing was written, the logits were not compared"]
    for name in ("plain", "residual", "regions", "old_format", "inherited"):
        assert listed(golden(name), capsys) == expected, name


def test_everything_at_once(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    folder = tmp_path / "model"
    shutil.copytree(golden("plain"), folder)

    def spoil(plans: Any) -> None:
        fullres = plans["configurations"]["3d_fullres"]
        fullres |= {"normalization_schemes": ["OtherNormalization"], "previous_stage": "3d_lowres"}
        fullres |= {"spacing": [1.0, 1.0], "patch_size": [64, 64, 64], "resampling_fn_data": "resample_my_way"}
        plans["image_reader_writer"] = "NaturalImage2DIO"

    changed(folder, "plans.json", spoil)
    changed(folder, "dataset.json", lambda dataset: dataset.update(channel_names={"0": "PET", "1": "CT"}))
    file = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["trainer_name"] = "nnUNetTrainerOfMine"
    torch.save(checkpoint, file)
    code, lines = listed(folder, capsys, "--folds", "0", "1", "7", "-o", str(tmp_path / "bundle"))
    for expected in (
        "got 1 normalization_schemes and 1 values of use_mask_for_norm, expected 2, one for each channel of dataset.json (PET, CT)",
        "fold_7/checkpoint_final.pth: is not there",
        "takes the labels of 3d_lowres as input: got no trained folder",
        "resampling_fn_data: got 'resample_my_way'",
        "image_reader_writer: got 'NaturalImage2DIO'",
        "spacing: got 2 values, expected 3; only 3-D configurations",
        "trained by 'nnUNetTrainerOfMine'",
        "fold_1/checkpoint_final.pth: got the trainer 'nnUNetTrainer', expected the first fold's",
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    assert (code, lines[-1]) == (1, f"{len(lines) - 1} in the way; nothing was written")
    assert not (tmp_path / "bundle").exists()


def test_missing_files_and_a_place_that_is_taken(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    shutil.copytree(golden("plain"), folder)
    for fold in ("0", "1"):
        (folder / f"fold_{fold}" / "checkpoint_final.pth").unlink()
    (folder / "dataset.json").unlink()
    changed(folder, "plans.json", lambda plans: plans["configurations"]["3d_fullres"].update(preprocessor_name="Mine"))
    _, lines = listed(folder, capsys, "-o", str(folder))
    assert [line.split(":")[0] for line in lines[:-1]] == ["bundle", "fine", "fine", "fine"]
    assert "dataset.json: cannot be read" in lines[1]
    assert "neither a fold_N nor fold_all holds a checkpoint_final.pth" in lines[2]
    assert "3d_fullres.preprocessor_name: got 'Mine'" in lines[3]
    code, lines = listed(tmp_path / "nowhere", capsys)
    assert (code, len(lines)) == (1, 2)
    assert "holds no plans.json" in lines[0]


def test_weights_that_do_not_fit(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(golden("plain"), folder)
    shutil.copy(golden("residual") / "fold_0" / "checkpoint_final.pth", folder / "fold_1")
    _, lines = listed(folder, capsys)
    assert len(lines) == 2
    assert "the weights do not fit the network" in lines[0]
    assert "(fold_1)" in lines[0]


def test_coarse_and_fine(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--coarse", str(golden("regions")), "--fine", str(golden("plain"))]
    assert main(["export", "nnunet", *words, "--dry-run"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("coarse: got the labels kidneys")


def test_a_zip_and_its_names(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(shutil.make_archive(str(tmp_path / "model"), "zip", golden("plain").parent, "plain"))
    assert listed(file, capsys)[0] == 0
    code, lines = listed(file, capsys, "--folds", "3")
    assert (code, lines[0].split(": is")[0]) == (1, f"fine: {file}/fold_3/checkpoint_final.pth")


def test_a_folder_to_calibrate_on_that_holds_no_scan(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = listed(golden("plain"), capsys, "--calibrate", str(tmp_path))
    assert code == 1
    assert lines[0].startswith(f"--calibrate: {tmp_path} holds no scan, expected CTs as .nii.gz")
    assert len(lines) == 2


def test_without_it_a_place_is_wanted(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nnunet", str(golden("plain"))]) == 1
    assert "expected -o BUNDLE, or --dry-run" in capsys.readouterr().err
