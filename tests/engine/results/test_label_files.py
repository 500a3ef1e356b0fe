"""A label file is what its ending says, and belongs to its scan or does not; DICOM needs a DICOM scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.series_files import small_ct, write_series

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.results.label_files import DicomWishes, fits_scan, require_makeable, write_contours, write_label_file
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import SlabReader

SHAPE = (4, 13, 11)


@pytest.fixture
def series(tmp_path: Path) -> SlabReader:
    return open_scan(write_series(tmp_path / "series", small_ct(SHAPE)))


@pytest.fixture
def nifti(tmp_path: Path) -> SlabReader:
    write_ct(tmp_path / "ct.nii.gz", Volume(np.zeros(SHAPE, np.int16), Grid(SHAPE, (3.0, 1.0, 0.9))))
    return open_scan(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("name", ["seg.dcm", "SEG.DCM", "seg.nii.gz", "seg.nii"])
def test_of_a_series_every_kind_is_written_and_fits(series: SlabReader, tmp_path: Path, name: str) -> None:
    write_label_file(tmp_path / name, series, Volume(blobs(SHAPE), series.grid), flare_spec(), Making())
    assert ((tmp_path / name).read_bytes()[128:132] == b"DICM") == name.lower().endswith(".dcm")
    assert fits_scan(tmp_path / name, series)


def test_of_a_nifti_file_dicom_is_refused_before_and_after(nifti: SlabReader, tmp_path: Path) -> None:
    labels = Volume(blobs(SHAPE), nifti.grid)
    for call in (
        lambda: require_makeable(tmp_path / "seg.dcm", DicomWishes(), nifti, flare_spec()),
        lambda: require_makeable(tmp_path / "seg.nii", DicomWishes(rtstruct=tmp_path / "rt.dcm"), nifti, flare_spec()),
        lambda: write_label_file(tmp_path / "seg.dcm", nifti, labels, flare_spec(), Making()),
        lambda: write_contours(tmp_path / "rt.dcm", nifti, labels, flare_spec(), Making()),
    ):
        with pytest.raises(OutputError, match=r"DICOM output needs a DICOM scan, got .*ct\.nii\.gz; name a \.nii\.gz file instead"):
            call()
    require_makeable(tmp_path / "seg.nii", DicomWishes(), nifti, flare_spec())
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_labels_of_another_grid_or_kind_do_not_fit(series: SlabReader, nifti: SlabReader, tmp_path: Path) -> None:
    labels = Volume(blobs(SHAPE), nifti.grid)
    assert write_label_file(tmp_path / "seg.nii.gz", nifti, labels, flare_spec(), Making()) == ()
    np.testing.assert_array_equal(read_labels(tmp_path / "seg.nii.gz").array, labels.array)
    assert fits_scan(tmp_path / "seg.nii.gz", nifti)
    assert not fits_scan(tmp_path / "seg.nii.gz", series)
    write_label_file(tmp_path / "seg.dcm", series, Volume(blobs(SHAPE), series.grid), flare_spec(), Making())
    assert not fits_scan(tmp_path / "seg.dcm", nifti)
