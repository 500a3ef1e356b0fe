"""Scans as .nrrd, .mha, .nii or padded with NaN: `segment` gives nnUNetPredictor's labels, in the scan's own format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.image_files import read_labels
from tests.engine.test_nnunet_parity import hold_to_promise
from tests.golden.variants import golden_folder
from tests.shared_data import shared_file

pytest.importorskip("nnunetv2")
sitk = pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.peer

#: File -> how the array lies in it: as scanners write it, turned and flipped, and with its slices first.
STORED = {"axial.nrrd": "LPS", "turned.mha": "RAI", "first.nrrd": "SPL", "plain.nii": "LPS", "padded.nii.gz": "LPS"}


def write_scan(path: Path, orientation: str) -> Path:
    image = sitk.Cast(sitk.ReadImage(str(shared_file("ts_example", "ct.nii.gz"))), sitk.sitkInt16)[20:95, 14:85, 44:75]
    if path.name.startswith("padded"):  # as resampling with an unknown outside leaves it
        array = sitk.GetArrayFromImage(image).astype(np.float32)
        array[:3], array[:, :5], array[:, :, -4:] = np.nan, np.nan, np.nan
        padded = sitk.GetImageFromArray(array)
        padded.CopyInformation(image)
        image = padded
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(path), True)
    return path


def test_labels_equal_nnunets_in_the_scans_own_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    model, scans = golden_folder("regions", tmp_path), tmp_path / "scans"
    scans.mkdir()
    for name, orientation in STORED.items():
        write_scan(scans / name, orientation)
    bundle, out = str(tmp_path / "bundle"), str(tmp_path / "out")
    assert main(["export", "nnunet", str(model), "-o", bundle, "--check", "quick"]) == 0
    assert main(["segment", str(scans), "-o", out, "--model", bundle, "--device", "cpu"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(STORED)
    assert "voxels are NaN or infinite: they count as stored 0, as ITK reads them" in capsys.readouterr().err
    for name in STORED:
        theirs = predict_with_nnunet(model, scans / name)
        ours = read_labels(tmp_path / "out" / name)
        hold_to_promise(ours.array, theirs)
        written, scan = sitk.ReadImage(str(tmp_path / "out" / name)), sitk.ReadImage(str(scans / name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), ours.array)
        for of in ("GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(written, of)(), getattr(scan, of)(), rtol=0, atol=1e-5)
