"""A CT volume as a DICOM series, one file a slice: what `flare-trt demo --dicom` makes of the phantom, who is nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.stable import content_key, stable_uid
from flare_trt.engine.scans.dicom.library import library

_CT_IMAGE, _EXPLICIT_LITTLE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
_MAKER = "flare-trt"
#: Stored numbers are HU + 1024 in 16 bits without a sign.
_INTERCEPT = -1024
#: A phantom is as old as the format of its values: a date that nobody takes for a scan's.
_DATE, _TIME = "19930101", "120000"


def write_ct_series(folder: Path, ct: Volume, description: str) -> None:
    """Write an int16 CT as explicit little-endian CT images, with UIDs that follow from its voxels, and no patient.

    Raises OutputError for a folder that holds other files, and for HU under -1024.
    """
    array = np.asarray(ct.array[:, :, :])
    if int(array.min()) < _INTERCEPT:
        raise OutputError(f"{folder}: got {array.min()} HU, expected at least {_INTERCEPT} in a CT series; clip the scan first")
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"slice_{z + 1:04d}.dcm" for z in range(len(array))]
    if any(path.name not in names for path in folder.iterdir()):
        raise OutputError(f"{folder}: holds other files, expected an empty folder for the series; name another one")
    key = content_key(array)
    for z, name in enumerate(names):
        with atomic_file(folder / name) as file:
            dataset = _slice(array[z], z, ct, (key, description))
            dataset.save_as(file, enforce_file_format=True)


def _slice(hu: NDArray[Any], z: int, ct: Volume, made: tuple[str, str]) -> Any:
    """One image; `made` is what UIDs follow from, and the series' description."""
    key, description = made
    dataset = _identity(key, description)
    dataset.SOPInstanceUID = stable_uid(key, "slice", str(z))
    dataset.InstanceNumber = z + 1
    _place(dataset, z, ct)
    dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = _INTERCEPT, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.PixelData = (hu.astype(np.int32) - _INTERCEPT).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _identity(key: str, description: str) -> Any:
    """The modules Patient, Study, Series, Frame of Reference and Equipment of nobody's scan."""
    pydicom = library("pydicom")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = _EXPLICIT_LITTLE
    dataset.SOPClassUID, dataset.Modality = _CT_IMAGE, "CT"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "Phantom^Synthetic", "PHANTOM", "", "O"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = stable_uid(key, "study"), stable_uid(key, "series")
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = stable_uid(key, "frame"), ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = _TIME
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.SeriesNumber, dataset.AcquisitionNumber = 1, 1
    dataset.SeriesDescription, dataset.StudyDescription = description[:64], "Synthetic body"
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = _MAKER, "phantom", VERSION
    dataset.ImageType, dataset.PatientPosition, dataset.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS", "120"
    dataset.BodyPartExamined, dataset.ConvolutionKernel = "WHOLEBODY", "STANDARD"
    return dataset


def _place(dataset: Any, z: int, ct: Volume) -> None:
    grid = ct.grid
    axes = np.asarray(grid.direction)
    position = np.asarray(grid.origin_mm) + axes[:, 2] * z * grid.spacing_mm[0]
    dataset.ImagePositionPatient = [f"{mm:.10g}" for mm in position]
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in axes[:, :2].T.ravel()]
    dataset.PixelSpacing = [f"{mm:.10g}" for mm in grid.spacing_mm[1:]]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{grid.spacing_mm[0]:.10g}"
    dataset.SliceLocation = f"{position @ axes[:, 2]:.10g}"
