"""What DICOM outputs take from the images that were segmented: geometry and references, and the patient and the study."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.dicom.found_files import damaged
from flare_trt.engine.scans.dicom.header import is_uid
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.part10 import opened
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.text import in_one_set

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
#: Of the same modules and of Clinical Trial Subject and Clinical Trial Study (C.7.1.3, C.7.2.3); copied where they are there.
_OPTIONAL = (
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyDescription",
    "ProcedureCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "AdmissionID",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
#: Whose dates an output takes, the first that there is.
_MOMENTS = ("Content", "Acquisition", "Series", "Study")
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_LOSS = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class Identity:
    """The patient and the study of a series, as they stand there, valid or not, for files made from it.

    `in_utf8`: the text has been recoded; else it is in the source's own set, and text beside it has to be ASCII.
    """

    elements: Any
    in_utf8: bool

    def put_into(self, target: Any) -> None:
        """Give a dataset the patient, the study and the character set of the series."""
        with quiet():
            for name in _REQUIRED:
                setattr(target, name, "")
            if "SpecificCharacterSet" in target:
                del target.SpecificCharacterSet
            for element in self.elements.elements():
                target[element.tag] = element


def require_references(reader: DicomReader) -> None:
    """Raises InputError where the series lacks what ties an output to it."""
    uids = {
        "StudyInstanceUID": [reader.series.study_uid],
        "SeriesInstanceUID": [reader.series.uid],
        "FrameOfReferenceUID": [reader.planes[0].frame_of_reference],
        "SOPInstanceUID": [plane.sop_uid for plane in reader.planes],
    }
    lacking = [name for name, values in uids.items() if not all(values)]
    invalid = [name for name, values in uids.items() if all(values) and not all(map(is_uid, values))]
    shared = len({(plane.sop_uid, plane.frame) for plane in reader.planes}) < len(reader.planes)
    problems = [f"the series has no {' and no '.join(lacking)}"] if lacking else []
    problems += [f"{' and '.join(invalid)} are no UIDs (digits and points)"] if invalid else []
    problems += ["several images share one SOPInstanceUID"] if shared and not lacking else []
    if problems:
        raise InputError(
            f"{reader.path}: {'; '.join(problems)}, expected UIDs for DICOM outputs (which refer to their source); write .nii.gz, "
            "or give the series its UIDs back"
        )


def source_images(reader: DicomReader) -> list[Any]:
    """The planes as headers of one image each, in z order, without the patient's values: those are left empty.

    Made of what was read of each plane, so all kinds of series look alike: values that stand per frame, an image in several files.
    """
    loss = _header(reader, reader.planes[0].file, _LOSS)
    return [_image(plane, z, reader, loss) for z, plane in enumerate(reader.planes)]


def _image(plane: Plane, z: int, reader: DicomReader, loss: Any) -> Any:
    spacing = f"{reader.slices.spacing_mm[0]:.10g}"
    image = library("pydicom").Dataset()
    image.update(loss)
    image.SOPClassUID = _CT_IMAGE
    image.SOPInstanceUID = stand_in_uid(z)
    image.StudyInstanceUID, image.SeriesInstanceUID = reader.series.study_uid, reader.series.uid
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = plane.frame_of_reference, ""
    image.Modality, image.InstanceNumber = "CT", z + 1
    image.Rows, image.Columns = plane.shape_yx
    image.PixelSpacing = list(reader.planes[0].spacing_yx_mm)
    image.ImageOrientationPatient = list(reader.planes[0].cosines)
    image.ImagePositionPatient = list(plane.position_mm)
    image.SpacingBetweenSlices = spacing
    image.SliceThickness = spacing if plane.thickness_mm is None else plane.thickness_mm
    image.LossyImageCompression = "01" if plane.lossy else "00"
    for name in _REQUIRED:
        setattr(image, name, "")
    return image


def stand_in_uid(z: int) -> str:
    """What stands for the plane at z as an image of its own, which a frame of an enhanced CT is not."""
    return f"2.25.{z + 1}"


def patient_and_study(reader: DicomReader) -> Identity:
    """Read the patient and the study of the series. Raises InputError."""
    header = _header(reader, reader.planes[0].file, (*_REQUIRED, *_OPTIONAL))
    with quiet():
        return Identity(*in_one_set(header))


def labels_on_planes(path: Path, labels: Volume, reader: DicomReader) -> NDArray[np.uint8]:
    """Labels on the series' grid as they lie on its planes: taken back onto the slices where a tilt was corrected.

    Raises OutputError where they do not lie on that grid.
    """
    if not labels.grid.same_place(reader.grid):
        raise OutputError(f"{path}: the labels' grid is not the series'; segment that series itself")
    on_planes: NDArray[np.uint8] = labels.array
    return on_planes if reader.tilt is None else reader.tilt.onto_slices(on_planes)


def save(path: Path, dataset: Any) -> None:
    """Write a dataset with its file meta, whole or not at all. Raises OutputError."""
    with atomic_file(path) as file:
        _store(path, dataset, file)


def require_storable(path: Path, dataset: Any) -> None:
    """Raises OutputError where a dataset holds a value that cannot be written."""
    _store(path, dataset, io.BytesIO())


def _store(path: Path, dataset: Any, file: IO[bytes]) -> None:
    with quiet():
        try:
            dataset.save_as(file, enforce_file_format=True)
        except (ValueError, TypeError, AttributeError, NotImplementedError) as error:  # the last: an unknown value representation
            kind = type(error).__name__
            raise OutputError(f"{path}: a value of the source's patient or study cannot be written ({kind}); correct it") from None


def _header(reader: DicomReader, file: int, tags: tuple[str, ...]) -> Any:
    files = reader.series.files
    try:
        with opened(files, file) as stream, quiet():
            return library("pydicom").dcmread(stream, stop_before_pixels=True, specific_tags=list(tags))
    except LIBRARY_ERRORS as error:
        raise damaged(reader.path, file, len(files), error) from None


def source_moment(reader: DicomReader) -> tuple[str, str]:
    """When the source was made, as DA and TM, for outputs that are the same whenever they are made.

    The first plane's content, acquisition, series or study date, whichever there is first; 1 January 1900 where a series has none.
    """
    header = _header(reader, reader.planes[0].file, tuple(f"{name}{part}" for name in _MOMENTS for part in ("Date", "Time")))
    for name in _MOMENTS:
        date, time = (str(header.get(f"{name}{part}") or "") for part in ("Date", "Time"))
        if re.fullmatch(r"\d{8}", date):
            return date, time if re.fullmatch(r"\d{6}(\.\d{1,6})?", time) else "000000"
    return "19000101", "000000"
