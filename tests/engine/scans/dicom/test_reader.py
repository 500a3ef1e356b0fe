"""Voxels and grids of series: equal to SimpleITK's, whatever the order, the orientation and the transfer syntax."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from tests.engine.scans.dicom.series_files import AXIAL, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import spooled_ct, whole_ct

HU = small_ct()
FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def sitk_ct(folder: Path) -> tuple[NDArray[Any], Grid]:
    """The series by SimpleITK, its files sorted by position along the normal."""
    import SimpleITK

    def along(file: Path) -> float:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        cosines = np.array(header.ImageOrientationPatient, float)
        return float(np.cross(cosines[:3], cosines[3:]) @ np.array(header.ImagePositionPatient, float))

    image = SimpleITK.ReadImage([str(file) for file in sorted(folder.iterdir(), key=along)])
    direction = np.array(image.GetDirection()).reshape(3, 3)
    array = SimpleITK.GetArrayFromImage(image)
    rows = tuple(tuple(row) for row in direction)
    return array, Grid(array.shape, image.GetSpacing()[::-1], image.GetOrigin(), rows)


@pytest.mark.parametrize("cosines", [AXIAL, FEET_FIRST, SAGITTAL, OBLIQUE])
def test_as_simpleitk_reads_it(tmp_path: Path, cosines: tuple[float, ...]) -> None:
    folder = write_series(tmp_path / "ct", HU, Look(cosines=cosines))
    ct = whole_ct(DicomReader(folder))
    array, grid = sitk_ct(folder)
    assert ct.array.dtype == np.int16
    np.testing.assert_array_equal(ct.array, array)
    np.testing.assert_array_equal(ct.array, HU)
    assert ct.grid.same_place(grid, tolerance_mm=1e-3)
    np.testing.assert_allclose(ct.grid.spacing_mm, (2.5, 0.8, 0.7), atol=1e-4)


def test_slices_are_sorted_by_place_not_by_number(tmp_path: Path) -> None:
    def shuffle(dataset: Any, z: int) -> None:
        dataset.InstanceNumber = (z * 5) % len(HU) + 1

    np.testing.assert_array_equal(whole_ct(DicomReader(write_series(tmp_path / "ct", HU, Look(change=shuffle)))).array, HU)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRBigEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.JPEGLSLossless,
        uid.JPEGLosslessSV1,
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_transfer_syntaxes(tmp_path: Path, syntax: str, signed: bool) -> None:
    hu = small_ct((3, 71, 67))  # OpenJPEG's encoder wants more than its five resolutions' worth of pixels
    look = Look(syntax=syntax, signed=signed, intercept=0.0 if signed else -1024.0)
    folder = write_series(tmp_path / "ct", hu, look)
    assert {pydicom.dcmread(file).file_meta.TransferSyntaxUID for file in folder.iterdir()} == {syntax}
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, hu)


def test_implicit_vr(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
        dataset.save_as(file, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, HU)


def test_each_slice_has_its_own_slope(tmp_path: Path) -> None:
    def change(dataset: Any, z: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + z / 8, -1000 - z

    folder = write_series(tmp_path / "ct", HU, Look(change=change))
    ct = whole_ct(DicomReader(folder))
    z = np.arange(len(HU))[:, None, None]
    assert ct.array.dtype == np.float32
    np.testing.assert_array_equal(ct.array, ((HU + 1024.0) * (1 + z / 8) - 1000 - z).astype(np.float32))


def test_whole_values_beyond_int16(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU, Look(change=lambda dataset, z: setattr(dataset, "RescaleSlope", 20)))
    reader = DicomReader(folder)
    assert (reader.dtype, reader.widest) == (np.int16, np.float32)
    expected = (HU + 1024.0) * 20 - 1024
    np.testing.assert_array_equal(whole_ct(reader).array, expected.astype(np.float32))
    np.testing.assert_array_equal(spooled_ct(reader).array[:, :, :], expected.astype(np.float32))


def test_slabs_and_spool(tmp_path: Path) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", HU))
    slabs = list(reader.slabs(depth=3))
    assert [(z, len(slab)) for z, slab in slabs] == [(0, 3), (3, 3), (6, 1)]
    spooled = spooled_ct(reader)
    assert spooled.array.dtype == np.int16
    np.testing.assert_array_equal(spooled.array[:, :, :], HU)


def test_nested_folders_other_files_and_second_copies(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    files = sorted(folder.iterdir())
    (folder / "deep" / "er").mkdir(parents=True)
    for file in files[:3]:
        file.rename(folder / "deep" / "er" / file.name)
    (folder / "copy").write_bytes(files[4].read_bytes())
    (folder / "notes.txt").write_text("nothing")
    reader = DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == (
        "1 other files, which are not DICOM, were left out",
        "1 second copies of images were left out of the series",
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_reads_like_its_folder(tmp_path: Path, method: int) -> None:
    folder = write_series(tmp_path / "ct", HU)
    with zipfile.ZipFile(tmp_path / "ct.zip", "w", method) as archive:
        for file in folder.iterdir():
            archive.write(file, f"a/b/{file.name}")
    zipped, plain = DicomReader(tmp_path / "ct.zip"), DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(zipped).array, HU)
    assert zipped.grid == plain.grid


def test_places_rounded_by_the_scanner(tmp_path: Path) -> None:
    def change(dataset: Any, z: int) -> None:
        dataset.ImagePositionPatient = [-31.5, 12.2, f"{-400 + 0.625 * z:.1f}"]

    reader = DicomReader(write_series(tmp_path / "ct", HU, replace(Look(), change=change)))
    assert reader.grid.spacing_mm[0] == pytest.approx(0.625, abs=0.02)
