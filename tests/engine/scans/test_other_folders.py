"""Folders that people name instead of a CT, and what the error says to name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.engine.scans.dicom.series_files import small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.batch.jobs import named_scans
from flare_trt.engine.model.bundle import SPEC_FILE
from flare_trt.engine.scans.open_scan import open_scan


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([SPEC_FILE, "fine.onnx"], r"x: is a model bundle, expected a CT; name the bundle with --model .*x, and a scan as CT"),
        (["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"], r"is an nnU-Net results folder.*export nnunet \S*/x -o"),
        (["t__p__3d_fullres/plans.json", "t__p__3d_fullres/fold_all/c.pth"], r"export nnunet \S*/x/t__p__3d_fullres -o BUNDLE"),
        (["dataset.json", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"], r"is an nnU-Net data set.*name .*: \S*/x/imagesTr"),
        (["dataset.json", "imagesTr/a_0000.nii.gz", "imagesTs/b_0000.nii.gz"], r"is an nnU-Net data set.*name .*: \S*/x/imagesTs"),
    ],
)
def test_other_folders_say_what_to_name(tmp_path: Path, files: list[str], words: str) -> None:
    for name in files:
        file = tmp_path / "x" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"{}")
    for opens in (open_scan, lambda path: named_scans([path])):
        with pytest.raises(InputError, match=words):
            opens(tmp_path / "x")


@pytest.mark.parametrize("name", ["dataset.json", "plans.json", SPEC_FILE])
def test_a_series_with_a_file_of_such_a_name_is_a_series(tmp_path: Path, name: str) -> None:
    (write_series(tmp_path / "x", small_ct()) / name).write_text("{}")
    assert open_scan(tmp_path / "x").grid.shape_zyx == (7, 11, 9)


@pytest.mark.parametrize("inner", ["", "tiny/"])
def test_a_zip_of_a_bundle_is_no_scan(tmp_path: Path, inner: str) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for name in (SPEC_FILE, "fine.onnx"):
            archive.writestr(inner + name, "{}")
    with pytest.raises(InputError, match=r"model\.zip: is a model bundle, expected a CT; name the bundle with --model"):
        open_scan(tmp_path / "model.zip")
