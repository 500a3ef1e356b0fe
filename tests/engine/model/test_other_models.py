"""What people name instead of a bundle, and what the error says to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.bundle import open_bundle


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nnUNetTrainer__nnUNetPlans__3d_fullres", r"is an nnU-Net results folder.*export nnunet .*3d_fullres -o BUNDLE"),
        ("Dataset001_X", r"is an nnU-Net results folder.*export nnunet .*Dataset001_X/nnUNetTrainer__nnUNetPlans__3d_fullres -o"),
        ("net.onnx", "is a bare network.*export onnx"),
        ("checkpoint_final.pth", "is a checkpoint.*export nnunet FOLDER"),
        ("b/bundle.json", "got the file .*bundle.json, expected the bundle's folder; name .*/b"),
        ("ct.nii.gz", "is no zip, expected a bundle's folder or a zip of it"),
    ],
)
def test_other_things_are_named(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    folder = path / "nnUNetTrainer__nnUNetPlans__3d_fullres" if name == "Dataset001_X" else path
    if "." in path.name:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}")
    else:
        folder.mkdir(parents=True)
        (folder / "plans.json").write_text("{}")
    with pytest.raises(BundleError, match=words):
        open_bundle(path)
