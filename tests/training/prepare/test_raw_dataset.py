"""Files of a raw dataset are what their names say, whatever the download called them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from flare_trt.engine.scans.image_files import read_labels
from flare_trt.training.prepare.cases import Case
from flare_trt.training.prepare.raw_dataset import DatasetNames, LabelledCase, write_datasets
from tests.training.flare_folder import phantom_arrays, write_nifti


@pytest.mark.parametrize("ending", [".NII.GZ", ".nii"])
def test_files_of_a_dataset_are_gzipped(tmp_path: Path, ending: str) -> None:
    """nnU-Net's nibabel readers go by the name alone."""
    ct, labels = phantom_arrays(3)
    for name, array in (("ct.nii.gz", ct), ("labels.nii.gz", labels)):
        write_nifti(tmp_path / name, array)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).with_name(name.removesuffix(".nii.gz") + ending).write_bytes(
            data if ending == ".NII.GZ" else gzip.decompress(data)
        )
    (tmp_path / "raw").mkdir()
    case = LabelledCase("a", tmp_path / f"ct{ending}", tmp_path / f"labels{ending}", (1,))
    names = DatasetNames(501)
    write_datasets([case], [Case("b", tmp_path / f"ct{ending}", None)], tmp_path / "raw", names)
    for folder in (tmp_path / "raw" / names.fine, tmp_path / "raw" / names.coarse):
        for file in (folder / "imagesTr/a_0000.nii.gz", folder / "imagesUnlabeled/b_0000.nii.gz"):
            assert gzip.decompress(file.read_bytes()) == gzip.decompress((tmp_path / "ct.nii.gz").read_bytes())
            assert file.is_symlink() == (ending == ".NII.GZ")
    fine = read_labels(tmp_path / "raw" / names.fine / "labelsTr/a.nii.gz")
    assert (fine.array == read_labels(tmp_path / "labels.nii.gz").array).all()
    assert gzip.decompress((tmp_path / "raw" / names.coarse / "labelsTr/a.nii.gz").read_bytes())
