"""Which files of a model folder are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.json_file import JsonObject, read_object
from flare_trt.export.model_folder import open_model_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("plans.json", "dataset.json"):
        (tmp_path / name).write_text("{}")
    for fold in ("0", "2", "10", "all", "broken"):
        (tmp_path / f"fold_{fold}").mkdir()
    for fold in ("0", "10", "all", "broken"):
        (tmp_path / f"fold_{fold}" / "checkpoint_final.pth").touch()
    (tmp_path / "fold_2" / "checkpoint_best.pth").touch()
    return tmp_path


def test_numbered_folds_by_default(folder: Path) -> None:
    found = open_model_folder(folder, (), "final")
    assert found.folds == ("0", "10")
    assert [path.relative_to(folder).as_posix() for path in found.checkpoints] == [
        "fold_0/checkpoint_final.pth",
        "fold_10/checkpoint_final.pth",
    ]


def test_fold_all_is_taken_where_it_is_alone(folder: Path) -> None:
    for fold in ("0", "10"):
        (folder / f"fold_{fold}" / "checkpoint_final.pth").unlink()
    assert open_model_folder(folder, (), "final").folds == ("all",)


@pytest.mark.peer
def test_default_folds_as_nnunet_finds_them(folder: Path) -> None:
    predict = pytest.importorskip("nnunetv2.inference.predict_from_raw_data")
    (folder / "fold_broken" / "checkpoint_final.pth").unlink()
    theirs = predict.nnUNetPredictor.auto_detect_available_folds(str(folder), "checkpoint_final.pth")
    assert open_model_folder(folder, (), "final").folds == tuple(str(fold) for fold in theirs)


def test_named_folds_and_checkpoints(folder: Path) -> None:
    assert open_model_folder(folder, ("all",), "final").checkpoints == (folder / "fold_all" / "checkpoint_final.pth",)
    assert open_model_folder(folder, ("10", "0"), "final").folds == ("10", "0")
    assert open_model_folder(folder, (), "best").checkpoints == (folder / "fold_2" / "checkpoint_best.pth",)
    with pytest.raises(ExportError, match=r"fold_2.checkpoint_final.pth: is not there, .*--folds or --checkpoint"):
        open_model_folder(folder, ("2",), "final")


def test_what_is_no_model_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"holds no plans.json, expected a trained model folder"):
        open_model_folder(folder / "fold_0", (), "final")
    for fold in ("0", "10", "all"):
        (folder / f"fold_{fold}" / "checkpoint_final.pth").unlink()
    with pytest.raises(ExportError, match=r"neither a fold_N nor fold_all holds a checkpoint_final.pth; .* --checkpoint"):
        open_model_folder(folder, (), "final")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": NaN]', "[" * 100_000])
def test_files_that_are_no_json_object_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plans.json").write_text(text)
    with pytest.raises(ExportError, match=r"plans.json: (not valid JSON|got a list, expected a JSON object)"):
        read_object(tmp_path / "plans.json")
    with pytest.raises(ExportError, match=r"dataset.json: cannot be read"):
        read_object(tmp_path / "dataset.json")


def test_wrong_types_name_the_key() -> None:
    data = JsonObject({"a": {"b": "text"}}, "plans.json")
    with pytest.raises(ExportError, match=r"plans.json.a.b: got 'text', expected int"):
        data.child("a").get("b", int)
    with pytest.raises(ExportError, match=r"plans.json.a: the key 'c' is missing"):
        data.child("a").get("c", int)


def test_a_bundle_is_no_model_folder(folder: Path) -> None:
    (folder / "bundle.json").write_text("{}")
    with pytest.raises(
        ExportError, match=rf"{folder}: is a bundle already, expected a trained nnU-Net folder; use it with --model"
    ):
        open_model_folder(folder, (), "final")
