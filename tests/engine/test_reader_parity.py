"""Headers whose affines disagree or are not set, read as the model's own reader reads them: labels against nnUNetPredictor's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmenter
from tests.engine.scans.nifti_files import Forms, affine, write_raw
from tests.engine.test_nnunet_parity import EXACT, bundle_of, hold_to_promise
from tests.golden.variants import golden_folder
from tests.shared_data import shared_file

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

SPACING_XYZ = (3.0, 3.0, 3.0)
LPS = affine(np.diag([-1, -1, 1]), SPACING_XYZ, (150, 140, -200))
RAS = affine(np.diag([1, 1, 1]), SPACING_XYZ, (-150, -140, -200))
HEADERS = {
    "neither is set": Forms(),
    "sform of kind 2 against the qform": Forms(sform=RAS, sform_code=2, qform=LPS, qform_code=1),
    "qform alone": Forms(qform=LPS, qform_code=1),
}
READERS = ("NibabelIOWithReorient", "NibabelIO", "SimpleITKIO")


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    import nibabel

    image = nibabel.load(shared_file("ts_example", "ct.nii.gz"))
    return np.asarray(image.dataobj)[14:108, 14:95, 40:72].transpose(2, 1, 0).astype("<i2")


def model_of(reader: str, folder: Path) -> Path:
    shutil.copytree(golden_folder("residual", folder), folder / "model")
    plans = json.loads((folder / "model" / "plans.json").read_text())
    plans["image_reader_writer"] = reader
    (folder / "model" / "plans.json").write_text(json.dumps(plans))
    return folder / "model"


@pytest.mark.parametrize("reader", READERS)
def test_labels_equal_nnunets(reader: str, voxels: np.ndarray, tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    model = model_of(reader, tmp_path)
    found = []
    with Segmenter.open(bundle_of(model, tmp_path / "bundle"), EXACT) as segmenter:
        assert segmenter.spec.fine.reader == reader
        for name, forms in HEADERS.items():
            scan = write_raw(tmp_path / f"{name.replace(' ', '_')}.nii", voxels, forms, _millimetres)
            ours = segmenter.segment(read_ct(scan)).labels.array
            hold_to_promise(ours, predict_with_nnunet(model, scan))
            found.append(ours)
    turned = reader == "NibabelIOWithReorient"
    assert ((found[1] != found[2]).mean() > 0.01) == turned, "nibabel goes by the sform, so the scan is turned another way"


def _millimetres(header: object) -> None:
    header["pixdim"][1:4] = SPACING_XYZ  # type: ignore[index]  # a nibabel header


def test_an_unknown_orientation_is_reported(voxels: np.ndarray, tmp_path: Path) -> None:
    from flare_trt.engine.scans.nifti import NiftiReader

    (warning,) = NiftiReader(write_raw(tmp_path / "none.nii", voxels, Forms(), _millimetres)).warnings
    assert "neither qform nor sform, so the scan's orientation is unknown" in warning
    assert NiftiReader(write_raw(tmp_path / "q.nii", voxels, HEADERS["qform alone"], _millimetres)).warnings == ()
