"""What DICOM outputs take from the images that were segmented: geometry and references, and the patient and the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.plane import TAGS
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.series import damaged

#: Of the modules Patient, General Study and Patient Study (PS3.3, C.7.1.1, C.7.2.1, C.7.2.2); those that must be there, if empty.
_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
_OPTIONAL = (
    "SpecificCharacterSet",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
)
_GEOMETRY = (*TAGS, "PositionReferenceIndicator", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def require_references(reader: DicomReader) -> None:
    """Raises InputError where the series lacks what ties an output to it."""
    lacking = [
        name
        for name, present in (
            ("StudyInstanceUID", reader.series.study_uid),
            ("SeriesInstanceUID", reader.series.uid),
            ("FrameOfReferenceUID", reader.planes[0].frame_of_reference),
            ("SOPInstanceUID", all(plane.sop_uid for plane in reader.planes)),
        )
        if not present
    ]
    if lacking:
        raise InputError(
            f"{reader.path}: the series has no {' and no '.join(lacking)}, expected them for DICOM outputs (which refer to their "
            "source); write .nii.gz, or give the series its UIDs back"
        )


def source_images(reader: DicomReader) -> list[Any]:
    """Headers of the segmented files, in z order, each once, without the patient's values (those are left empty)."""
    files = dict.fromkeys(plane.file for plane in reader.planes)
    plane_of = {plane.file: plane for plane in reader.planes}
    images = []
    for file in files:
        image = _header(reader, file, _GEOMETRY)
        image.SOPInstanceUID, image.SOPClassUID = plane_of[file].sop_uid, plane_of[file].sop_class
        for name in _REQUIRED:
            setattr(image, name, "")
        images.append(image)
    return images


def copy_patient_and_study(reader: DicomReader, target: Any) -> None:
    """Give a dataset the patient and the study of the series, as they stand there, valid or not."""
    header = _header(reader, reader.planes[0].file, (*_REQUIRED, *_OPTIONAL, "StudyInstanceUID"))
    with quiet():
        for name in _REQUIRED:
            setattr(target, name, header.get(name, ""))
        for name in ("StudyInstanceUID", *_OPTIONAL):
            if name in header:
                target[name] = header[name]


def require_on_planes(path: Path, labels: Volume, reader: DicomReader) -> None:
    """Raises OutputError where labels do not lie on the series' grid."""
    if not labels.grid.same_place(reader.grid):
        raise OutputError(f"{path}: the labels' grid is not the series'; segment that series itself")


def save(path: Path, dataset: Any) -> None:
    """Write a dataset with its file meta, whole or not at all. Raises OutputError."""
    with atomic_file(path) as file, quiet():
        try:
            dataset.save_as(file, enforce_file_format=True)
        except (ValueError, TypeError, AttributeError) as error:
            kind = type(error).__name__
            raise OutputError(f"{path}: a value of the source's patient or study cannot be written ({kind}); correct it") from None


def _header(reader: DicomReader, file: int, tags: tuple[str, ...]) -> Any:
    files = reader.series.files
    try:
        with files.open(file) as stream, quiet():
            return library("pydicom").dcmread(stream, stop_before_pixels=True, specific_tags=list(tags))
    except LIBRARY_ERRORS as error:
        raise damaged(reader.path, file, len(files), error) from None
