"""A CT series as ITK and pydicom read it; the standard's own checks are in the tests of `demo --dicom`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.ct_series import write_ct_series

pydicom = pytest.importorskip("pydicom")
#: Columns: the directions of x, y and z in LPS, for a gantry turned 3-4-5 about x.
TILTED = ((1.0, 0.0, 0.0), (0.0, 0.8, -0.6), (0.0, 0.6, 0.8))


def volume(lowest: int = -1024) -> Volume:
    array = np.arange(3 * 5 * 7, dtype=np.int16).reshape(3, 5, 7)
    array[0, 0, 0], array[2, 4, 6] = lowest, 32767
    return Volume(array, Grid((3, 5, 7), (2.5, 0.75, 1.25), (10.0, -20.0, 30.0), TILTED))


def test_itk_reads_the_voxels_in_their_places(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    write_ct_series(tmp_path / "s", volume(), "phantom")
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    image = reader.Execute()
    np.testing.assert_array_equal(itk.GetArrayFromImage(image), volume().array)
    np.testing.assert_allclose(image.GetSpacing(), (1.25, 0.75, 2.5))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((0, 0, 0)), (10, -20, 30))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((6, 0, 0)), (10 + 6 * 1.25, -20, 30))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((0, 4, 0)), (10, -20 + 4 * 0.75 * 0.8, 30 + 4 * 0.75 * 0.6))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((0, 0, 2)), (10, -20 - 2 * 2.5 * 0.6, 30 + 2 * 2.5 * 0.8))


def test_headers(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "s", volume(), "d" * 65)
    first, _, last = (pydicom.dcmread(path) for path in sorted((tmp_path / "s").iterdir()))
    assert [float(mm) for mm in last.ImagePositionPatient] == pytest.approx([10, -23, 34])
    assert [float(value) for value in last.ImageOrientationPatient] == pytest.approx([1, 0, 0, 0, 0.8, 0.6])
    assert float(last.SliceLocation) - float(first.SliceLocation) == pytest.approx(5.0)
    assert (last.InstanceNumber, last.Rows, last.Columns, list(last.PixelSpacing)) == (3, 5, 7, [0.75, 1.25])
    assert (int(first.pixel_array[0, 0]), int(last.pixel_array[4, 6])) == (0, 33791)  # HU + 1024
    assert first.SeriesDescription == "d" * 64  # LO holds 64 (PS3.5, 6.2)
    assert first.SeriesInstanceUID == last.SeriesInstanceUID
    assert first.SOPInstanceUID != last.SOPInstanceUID


def test_what_a_series_cannot_hold_or_would_mix_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="got -1025 HU, expected at least -1024 in a CT series; clip the scan first"):
        write_ct_series(tmp_path / "s", volume(-1025), "phantom")
    assert not (tmp_path / "s").exists()
    write_ct_series(tmp_path / "s", volume(), "phantom")
    write_ct_series(tmp_path / "s", volume(), "phantom")  # over its own files
    (tmp_path / "s" / "slice_0004.dcm").touch()  # of a longer series
    with pytest.raises(OutputError, match="holds other files, expected an empty folder for the series; name another one"):
        write_ct_series(tmp_path / "s", volume(), "phantom")
