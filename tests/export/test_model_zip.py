"""A model .zip as nnU-Net exports it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.export.model_zip import is_in_zip, unpack_model
from flare_trt.export.nnunet import About, TrainedModel, export_nnunet
from flare_trt.export.postprocessing import read_postprocessing

Golden = Callable[[str], Path]
INSIDE = "Dataset901_GoldenPlain/nnUNetTrainer__nnUNetPlans__3d_fullres"
FINAL = "checkpoint_final.pth"


def zipped(path: Path, entries: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


@pytest.mark.peer
def test_what_nnunet_exports_becomes_a_bundle(golden: Golden, tmp_path: Path) -> None:
    """The zip is written by nnunetv2's own function, in a process where its paths point to a folder of results."""
    pytest.importorskip("nnunetv2")
    pytest.importorskip("onnx")
    trained = tmp_path / "results" / INSIDE
    shutil.copytree(golden("plain"), trained)
    for fold in ("fold_0", "fold_1"):
        (trained / fold / "validation").mkdir(exist_ok=True)
        for file in ("progress.png", "validation/summary.json"):
            (trained / fold / file).touch()
    code = "from nnunetv2.model_sharing.model_export import export_pretrained_model as export\n" + (
        f"export('Dataset901_GoldenPlain', {str(tmp_path / 'model.zip')!r}, ('3d_fullres',), folds=(0, 1))"
    )
    places = {f"nnUNet_{kind}": str(tmp_path / kind) for kind in ("results", "raw", "preprocessed")}
    subprocess.run([sys.executable, "-c", code], env=os.environ | places, check=True, capture_output=True)
    words = ["export", "nnunet", str(tmp_path / "model.zip"), "--check", "quick", "--folds", "0-1", "-o"]
    assert main([*words, str(tmp_path / "from_zip")]) == 0
    assert main([*words[:2], str(trained), *words[3:], str(tmp_path / "from_folder")]) == 0
    with open_bundle(tmp_path / "from_zip") as one, open_bundle(tmp_path / "from_folder") as other:
        assert one.spec == other.spec


def test_the_one_model_or_the_named_one(tmp_path: Path) -> None:
    both = {f"D/a__b__{kind}/plans.json": kind for kind in ("2d", "3d_fullres")}
    path = zipped(tmp_path / "model.ZIP", {**both, f"D/a__b__3d_fullres/fold_0/{FINAL}": "w", "D/a__b__2d/dataset.json": "{}"})
    with pytest.raises(
        ExportError, match=r"expected one configuration .*: .*model\.ZIP/D/a__b__2d, .*model\.ZIP/D/a__b__3d_fullres$"
    ):
        unpack_model(path, FINAL, tmp_path)
    named = path / "D" / "a__b__3d_fullres"
    assert is_in_zip(named)
    folder = unpack_model(named, FINAL, tmp_path)
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*")) == [f"fold_0/{FINAL}", "plans.json"]
    assert (folder / "plans.json").read_text() == "3d_fullres"
    assert not is_in_zip(tmp_path)


def test_only_what_is_wanted_is_unpacked_and_nothing_outside(tmp_path: Path) -> None:
    names = [
        "../plans.json",
        "/plans.json",
        "m/../../evil/fold_0/checkpoint_final.pth",
        "m/plans.json",
        "m/fold_0/checkpoint_best.pth",
    ]
    names += ["m/fold_../checkpoint_final.pth", "m/fold_0/code.py", f"m/fold_1/{FINAL}", "m/fold_0/../../x.json", "m\\dataset.json"]
    path = zipped(tmp_path / "model.zip", dict.fromkeys(names, "x"))
    inner = tmp_path / "inner"
    inner.mkdir()
    folder = unpack_model(path / "m", FINAL, inner)
    assert sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()) == [
        f"inner/unpacked/fold_1/{FINAL}",
        "inner/unpacked/plans.json",
        "model.zip",
    ]
    assert folder == inner / "unpacked"


def test_entries_that_are_not_plain_files_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("m/plans.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ExportError, match="is a symbolic link"):
        unpack_model(tmp_path / "link.zip", FINAL, tmp_path)
    zipped(tmp_path / "large.zip", {"m/plans.json": " " * (65 << 20)})
    with pytest.raises(ExportError, match=r"'m/plans.json' holds \d+ bytes, expected at most"):
        unpack_model(tmp_path / "large.zip", FINAL, tmp_path)
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("m/plans.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("m/plans.json", "{}")
    with pytest.raises(ExportError, match=r"two entries 'm/plans\.json'"):
        unpack_model(tmp_path / "twice.zip", FINAL, tmp_path)
    assert not (tmp_path / "unpacked").exists()


def test_a_missing_fold_is_named_by_the_zip(golden: Golden, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("plans.json", "dataset.json", f"fold_0/{FINAL}"):
            archive.write(golden("plain") / name, f"{INSIDE}/{name}")
    with pytest.raises(ExportError) as caught:
        export_nnunet(TrainedModel(path, ("0", "7")), None, About("none"), tmp_path / "bundle", lambda line: None)
    assert str(caught.value).startswith(f"{path}/fold_7/{FINAL}: is not there, expected a checkpoint")


def test_a_postprocessing_json_in_the_zip(tmp_path: Path) -> None:
    inside = "D/t__p__3d_fullres/crossval_results_folds_0_1/postprocessing.json"
    largest = "remove_all_but_largest_component_from_segmentation"
    rules = {"postprocessing_fns": [largest], "postprocessing_kwargs": [{"labels_or_regions": [1, 2]}]}
    path = zipped(tmp_path / "model.zip", {inside: json.dumps(rules), "D/t__p__3d_fullres/plans.json": "{}"})
    assert read_postprocessing(path / inside, {1: "a", 2: "b"}) == (ComponentRule((1, 2), keep_largest=True),)
    with pytest.raises(ExportError, match=rf"got 0 such files in the zip, expected one; of this name it holds: {inside}"):
        read_postprocessing(path / "postprocessing.json", {1: "a"})
    with pytest.raises(ExportError, match=r"postprocessing\.json: not valid JSON"):
        read_postprocessing(zipped(tmp_path / "bad.zip", {"postprocessing.json": "{"}) / "postprocessing.json", {1: "a"})


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04damaged"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.zip").write_bytes(content)
    with pytest.raises(ExportError, match="cannot be unpacked"):
        unpack_model(tmp_path / "model.zip", FINAL, tmp_path)
    with pytest.raises(ExportError, match=r"expected one configuration .*: none$"):
        unpack_model(zipped(tmp_path / "empty.zip", {"a.txt": "a"}), FINAL, tmp_path)
