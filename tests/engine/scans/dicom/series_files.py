"""DICOM series as a scanner writes them, slice by slice, for the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

#: Values that must never leave the DICOM files, by tag: of the patient, of persons, and dates.
IDENTITY = {
    "PatientName": "PLANTED^NOMEN^OMEN",
    "PatientID": "PLANTEDPID4711",
    "PatientBirthDate": "19470228",
    "PatientSex": "F",
    "PatientAge": "077Y",
    "OtherPatientIDs": "PLANTEDOTHER",
    "PatientAddress": "PLANTEDSTREET 5",
    "PatientComments": "PLANTEDCOMMENT",
    "ReferringPhysicianName": "PLANTEDDOCTOR",
    "OperatorsName": "PLANTEDOPERATOR",
    "InstitutionName": "PLANTEDCLINIC",
    "AccessionNumber": "PLANTEDACC",
    "StudyID": "PLANTEDSTUDY",
    "StudyDescription": "PLANTEDSTUDYTEXT",
    "SeriesDescription": "PLANTEDSERIESTEXT",
    "ProtocolName": "PLANTEDPROTOCOL",
    "StudyDate": "20170619",
    "StudyTime": "112233.445",
    "AcquisitionDate": "20170619",
    "ContentDate": "20170619",
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
#: Turned by about 20 degrees about all axes.
OBLIQUE = (0.892427, 0.304684, 0.332777, -0.377312, 0.908395, 0.180152)


@dataclass(frozen=True)
class Look:
    """How a series is stored."""

    spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.7)
    origin_mm: tuple[float, float, float] = (-31.5, 12.25, -400.0)
    cosines: tuple[float, ...] = AXIAL
    syntax: str = ExplicitVRLittleEndian
    signed: bool = False
    slope: float = 1.0
    intercept: float = -1024.0
    series_uid: str = field(default_factory=generate_uid)
    study_uid: str = field(default_factory=generate_uid)
    frame_of_reference: str = field(default_factory=generate_uid)
    identity: dict[str, str] = field(default_factory=lambda: dict(IDENTITY))
    #: Applied to each slice's dataset (with its z) before it is written.
    change: Callable[[Any, int], None] | None = None

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors of x, y and z as columns."""
        row, column = np.array(self.cosines[:3]), np.array(self.cosines[3:])
        row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
        return np.stack([row, column, np.cross(row, column)], axis=1)


def small_ct(shape_zyx: tuple[int, int, int] = (7, 11, 9), seed: int = 3) -> NDArray[np.int16]:
    """Whole HU in -1000..1500, smooth, different on each axis."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape_zyx), 1)
    return np.clip(noise / noise.std() * 300 + 20, -1000, 1500).astype(np.int16)


def write_series(folder: Path, hu: NDArray[Any], look: Look | None = None) -> Path:
    """Write one file a slice; file names run against z and say nothing. Returns the folder."""
    look = look or Look()
    folder.mkdir(parents=True, exist_ok=True)
    for z in range(len(hu)):
        dataset = slice_dataset(hu[z], z, look)
        if look.change is not None:
            look.change(dataset, z)
        save(folder / f"im{len(hu) - z:04d}", dataset, look.syntax)
    return folder


def slice_dataset(hu: NDArray[Any], z: int, look: Look) -> Any:
    """The dataset of one slice, uncompressed, 12 bits stored in 16."""
    dataset = pydicom.Dataset()
    for name, value in look.identity.items():
        setattr(dataset, name, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CT"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = look.study_uid, look.series_uid
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = look.frame_of_reference, ""
    dataset.SeriesNumber, dataset.InstanceNumber = 4, z + 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Manufacturer = "tests"
    position = np.array(look.origin_mm) + look.axes[:, 2] * z * look.spacing_mm[0]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
    dataset.ImageOrientationPatient = list(look.cosines)
    dataset.PixelSpacing, dataset.SliceThickness = list(look.spacing_mm[1:]), look.spacing_mm[0]
    dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, int(look.signed)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = look.slope, look.intercept, "HU"
    stored = np.rint((hu - look.intercept) / look.slope).astype("<i2" if look.signed else "<u2")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def save(path: Path, dataset: Any, syntax: str) -> None:
    """Write a dataset in a transfer syntax; compressed ones by pydicom's encoders, lossless JPEG by GDCM."""
    dataset.file_meta = FileMetaDataset()
    big = syntax == ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = syntax if big else ExplicitVRLittleEndian
    if big:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    elif syntax.startswith("1.2.840.10008.1.2.4.5") or syntax == "1.2.840.10008.1.2.4.70":
        dataset.save_as(path, enforce_file_format=True)
        _to_lossless_jpeg(path)
        return
    elif syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def _to_lossless_jpeg(path: Path) -> None:
    import gdcm

    reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
