"""A header is asked for what is needed, when it is needed, and a message names what is wrong with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((7, 11, 9))


def raw(**values: str) -> Any:
    """Text of a header as it stands, valid or not."""

    def change(dataset: Any, z: int) -> None:
        with pydicom.config.disable_value_validation():
            for name, value in values.items():
                if name in dataset:
                    del dataset[name]
                dataset.add_new(name, "LO", value)

    return change


def written(folder: Path, change: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_series(folder, HU, Look(change=change))


@pytest.mark.parametrize(
    "values",
    [
        {"SeriesNumber": "A1"},
        {"InstanceNumber": "first"},
        {"SliceThickness": "2,5"},
        {"SeriesInstanceUID": "1.2.abc"},
        {"StudyInstanceUID": "study one"},
        {"SOPInstanceUID": "1.2.x"},
        {"FrameOfReferenceUID": "frame"},
        {"RescaleType": "hu"},
        {"RescaleType": "Hounsfield"},
        {"RescaleType": " HU "},
        {"KVP": "120,0"},
        {"AcquisitionTime": "noon"},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_what_is_not_needed_is_no_reason(tmp_path: Path, values: dict[str, str]) -> None:
    if "SOPInstanceUID" in values:
        change: Any = lambda dataset, z: raw(SOPInstanceUID=f"1.2.x{z}")(dataset, z)  # noqa: E731
    else:
        change = raw(**values)
    reader = DicomReader(written(tmp_path / "ct", change))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ()
    if next(iter(values)).endswith("UID"):
        with pytest.raises(InputError, match=f"{next(iter(values))} are no UIDs"):
            require_references(reader)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"PixelSpacing": "0,8\\0,7"},
            r'PixelSpacing holds "0,8\\0,7", expected 2 numbers with a decimal point; correct the header',
        ),
        ({"RescaleIntercept": "-1024,0"}, r'RescaleIntercept holds "-1024,0", expected a number with a decimal point'),
        ({"PixelSpacing": "0.8"}, "PixelSpacing holds 1 numbers or none that is finite, expected 2"),
        ({"ImagePositionPatient": "PLANTED^NOMEN"}, "ImagePositionPatient holds no number, expected 3"),
        ({"RescaleSlope": "0"}, "RescaleSlope is 0, which makes all values the same"),
        ({"RescaleSlope": "1e999"}, "RescaleSlope holds 1 numbers or none that is finite"),
    ],
)
def test_what_is_needed_is_named(tmp_path: Path, values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        DicomReader(written(tmp_path / "ct", raw(**values)))
    assert "file 1 of 7" in str(caught.value)
    assert "PLANTED" not in str(caught.value)
    assert "copy the series again" not in str(caught.value)


def test_modified_hounsfield_units_are_told(tmp_path: Path) -> None:
    reader = DicomReader(written(tmp_path / "ct", raw(RescaleType="HU_MOD")))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ("the values are modified Hounsfield units (RescaleType HU_MOD), taken for HU",)


def test_another_unit_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 images whose values are not in HU \(RescaleType MGML\)"):
        DicomReader(written(tmp_path / "ct", raw(RescaleType="MGML")))


@pytest.mark.parametrize("modality", ["CT", "OT"])
def test_a_secondary_capture_is_no_ct(tmp_path: Path, modality: str) -> None:
    """An exam summary in the series, in the size of the slices and with all of their attributes."""

    def change(dataset: Any, z: int) -> None:
        if z == 3:
            dataset.SOPClassUID, dataset.Modality = uid.SecondaryCaptureImageStorage, modality

    folder = written(tmp_path / "ct", lambda dataset, z: None)
    summary = write_series(tmp_path / "other", HU[:4], Look(change=change))
    for file in summary.iterdir():
        dataset = pydicom.dcmread(file)
        if dataset.SOPClassUID == uid.SecondaryCaptureImageStorage:
            dataset.SeriesInstanceUID = pydicom.dcmread(folder / "im0001").SeriesInstanceUID
            dataset.save_as(folder / "summary")
    reader = DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    reason = "that are no CT images (Secondary Capture Image Storage)" if modality == "CT" else "of modality OT"
    assert reader.warnings == (f"1 images {reason} were left out of the series",)


def test_a_ct_image_without_a_modality_is_one(tmp_path: Path) -> None:
    reader = DicomReader(written(tmp_path / "ct", raw(Modality="")))
    np.testing.assert_array_equal(whole_ct(reader).array, HU)


def test_a_report_beside_the_images(tmp_path: Path) -> None:
    """A dose report with letters where a series of images has numbers, in a series of its own or in theirs."""
    folder = written(tmp_path / "ct", lambda dataset, z: None)
    images = pydicom.dcmread(folder / "im0001")
    for number, series in enumerate((images.SeriesInstanceUID, uid.generate_uid(), "no uid")):
        report = pydicom.Dataset()
        report.file_meta = pydicom.dataset.FileMetaDataset()
        report.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        report.SOPClassUID, report.SOPInstanceUID = uid.XRayRadiationDoseSRStorage, uid.generate_uid()
        report.StudyInstanceUID, report.Modality = images.StudyInstanceUID, "SR"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw(SeriesInstanceUID=series, SeriesNumber="DOSE", NumberOfFrames="none")(report, 0)
            report.save_as(folder / f"report{number}", enforce_file_format=True)
    reader = DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ("1 images of modality SR were left out of the series",)


def test_a_fault_of_another_series_is_no_reason(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU, Look(series_uid="1.2.3.4"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(folder / "b", HU, Look(series_uid="1.2.3.5", change=raw(PixelSpacing="0,8\\0,7")))
    np.testing.assert_array_equal(whole_ct(DicomReader(folder, "1.2.3.4")).array, HU)
    with pytest.raises(InputError, match=r"1\.2\.3\.5: number 4, CT, 7 images that cannot be used"):
        DicomReader(folder)


@pytest.mark.parametrize("uneven", [False, True])
def test_a_tilted_series_is_called_tilted(tmp_path: Path, uneven: bool) -> None:
    def change(dataset: Any, z: int) -> None:
        along = 2.5 * z + (2.1 * (z > 3) if uneven else 0)
        dataset.ImagePositionPatient = [-31.5, f"{12.25 + along * np.tan(np.radians(15)):.4f}", -400 + along]

    with pytest.raises(InputError, match=r"gantry tilt of 15\.0 degrees"):
        DicomReader(written(tmp_path / "ct", change))


def test_slices_shifted_at_random_are_not_called_tilted(tmp_path: Path) -> None:
    def change(dataset: Any, z: int) -> None:
        dataset.ImagePositionPatient = [-31.5 + 3 * (z % 2), 12.25, -400 + 2.5 * z]

    with pytest.raises(InputError, match=r"shifted against each other by up to 3 mm within their planes, and not by a tilt"):
        DicomReader(written(tmp_path / "ct", change))


@pytest.mark.parametrize("name", ["slice.dcm", "slice", "DICOMDIR"])
def test_one_file_is_no_scan(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "ct", lambda dataset, z: None)
    (folder / "im0001").rename(folder / name)
    with pytest.raises(InputError, match=r"got one DICOM file, expected a series; name the folder that it lies in, or a .zip"):
        open_scan(folder / name)
