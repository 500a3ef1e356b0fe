"""What a user names becomes a reader, or is refused before anything is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.dicom.series_files import small_ct, write_series
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.engine.scans.open_scan import is_dicom, open_scan
from flare_trt.engine.scans.scan_reader import whole_ct


def test_a_file_is_nifti_and_a_folder_or_zip_a_series(tmp_path: Path) -> None:
    nifti = write_raw(tmp_path / "ct.nii.gz", np.arange(5 * 7 * 9, dtype="<i2").reshape(5, 7, 9), AXIAL)
    folder = tmp_path / "series"
    folder.mkdir()
    write_series(folder, small_ct())
    packed = tmp_path / "Series.ZIP"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    assert [is_dicom(path) for path in (nifti, folder, packed)] == [False, True, True]
    assert isinstance(open_scan(nifti), NiftiReader)
    from_folder, from_zip = open_scan(folder), open_scan(packed)
    assert isinstance(from_folder, DicomReader)
    np.testing.assert_array_equal(whole_ct(from_folder).array, whole_ct(from_zip).array)


def test_one_slice_is_no_scan(tmp_path: Path) -> None:
    write_series(tmp_path, small_ct())
    with pytest.raises(InputError, match="got one DICOM file, expected a series"):
        open_scan(sorted(tmp_path.iterdir())[0])
