"""RTSTRUCT out: one ROI a class, closed planar contours on the planes of the source images, by pydicom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import ANATOMICAL
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec, ModelSpec
from flare_trt.engine.results.dicom.codes import coded
from flare_trt.engine.results.dicom.contours import mask_polygons
from flare_trt.engine.results.dicom.items import code, image_reference, item, names_for
from flare_trt.engine.results.dicom.segmentation import MAKER, SERIES_NUMBER
from flare_trt.engine.results.dicom.stable import UNTOLD, Making, content_key, series_key, settle
from flare_trt.engine.scans.dicom.library import library, quiet
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import labels_on_planes, patient_and_study, require_references, require_storable, save

_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
#: A contour's points are decimal strings, 16 characters each, and may fill more than the 64 KiB that explicit VR has for them.
_IMPLICIT_VR = "1.2.840.10008.1.2"
_CONTOUR_DATA = 0x30060050
#: At most 16 characters, and what a planning system lists.
_LABEL = "FLARE RESEARCH"
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"


def write_structure_set(
    path: Path, labels: Volume, reader: DicomReader, spec: ModelSpec, making: Making = UNTOLD
) -> tuple[str, ...]:
    """Write labels as an RTSTRUCT that refers to the series, whole or not at all; returns warnings. Raises OutputError.

    ROIs are numbered by the labels' values; one of a class that was not found has no contour. The same arguments make the same
    file, byte for byte (see stable).
    """
    dataset, warnings = _made(labels_on_planes(path, labels, reader), reader, spec, making)
    save(path, dataset)
    return warnings


def require_structure_set(path: Path, reader: DicomReader, spec: ModelSpec) -> None:
    """Find out before any work whether the series has what an RTSTRUCT needs, by making one. Raises InputError or OutputError."""
    dataset, _ = _made(np.zeros((len(reader.planes), 1, 1), np.uint8), reader, spec, UNTOLD)
    require_storable(path, dataset)


def _made(labels: NDArray[Any], reader: DicomReader, spec: ModelSpec, making: Making) -> tuple[Any, tuple[str, ...]]:
    """The dataset, and warnings."""
    require_references(reader)
    key = series_key(reader, spec, making)
    identity = patient_and_study(reader)
    spec, warnings = names_for(identity, spec)
    with quiet():
        dataset = _frame(reader, spec)
        dataset.StructureSetROISequence = [_roi(label, reader, spec) for label in spec.labels]
        dataset.ROIContourSequence = [_contours(label, labels, reader) for label in spec.labels]
        dataset.RTROIObservationsSequence = [_observation(label) for label in spec.labels]
    settle(dataset, reader, key, content_key(labels))
    identity.put_into(dataset)
    return dataset, warnings


def _frame(reader: DicomReader, spec: ModelSpec) -> Any:
    """Everything but the ROIs: the modules RT Series, General Equipment, Structure Set and SOP Common."""
    pydicom = library("pydicom")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = _IMPLICIT_VR
    dataset.SOPClassUID, dataset.SOPInstanceUID = _SOP_CLASS, ""  # by `settle`, as dates are
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", ""
    dataset.SeriesNumber, dataset.InstanceNumber = SERIES_NUMBER + 1, 1
    dataset.SeriesDescription = f"{MAKER} {spec.name}"[:64]
    dataset.OperatorsName = ""
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = MAKER, spec.name[:64], VERSION
    dataset.StructureSetLabel = _LABEL
    dataset.StructureSetDate = dataset.InstanceCreationDate = ""
    dataset.StructureSetTime = dataset.InstanceCreationTime = ""
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = reader.planes[0].frame_of_reference, ""
    series = item(SeriesInstanceUID=reader.series.uid, ContourImageSequence=[image_reference(plane) for plane in reader.planes])
    study = item(
        ReferencedSOPClassUID=_STUDY_CLASS, ReferencedSOPInstanceUID=reader.series.study_uid, RTReferencedSeriesSequence=[series]
    )
    dataset.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID=reader.planes[0].frame_of_reference, RTReferencedStudySequence=[study])
    ]
    return dataset


def _roi(label: LabelSpec, reader: DicomReader, spec: ModelSpec) -> Any:
    return item(
        ROINumber=label.value,
        ReferencedFrameOfReferenceUID=reader.planes[0].frame_of_reference,
        ROIName=label.name[:64],
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"{MAKER} {VERSION} {spec.name}"[:64],
    )


def _contours(label: LabelSpec, labels: NDArray[Any], reader: DicomReader) -> Any:
    roi = item(ROIDisplayColor=[int(label.colour[at : at + 2], 16) for at in (1, 3, 5)], ReferencedROINumber=label.value)
    contours = [
        _contour(points, plane)
        for z, plane in enumerate(reader.planes)
        for points in plane_contours_mm(labels[z] == label.value, plane, reader)
    ]
    if contours:
        roi.ContourSequence = contours
    return roi


def _contour(points_mm: NDArray[np.float64], plane: Plane) -> Any:
    """One closed polygon.

    Its points (DS) go in as the bytes they become: pydicom would make a checked object of each number, and implicit VR names no VR.
    """
    text = "\\".join(f"{mm:.4f}".rstrip("0").rstrip(".") for mm in points_mm.ravel().tolist())
    image = image_reference(plane)
    contour = item(ContourImageSequence=[image], ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(points_mm))
    contour.add_new(_CONTOUR_DATA, "OB", text.encode() + b" " * (len(text) % 2))
    return contour


def plane_contours_mm(mask: NDArray[np.bool_], plane: Plane, reader: DicomReader) -> Iterator[NDArray[np.float64]]:
    """The polygons around a mask on one plane of the series, (n, 3) points in LPS mm."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    axes = np.asarray(reader.slices.direction)[:, :2]
    corner_xy = np.array([columns[0], rows[0]])
    pixel_xy_mm = np.array(reader.slices.spacing_mm[:0:-1])
    for polygon in mask_polygons(box):
        offsets_mm = (polygon + corner_xy) * pixel_xy_mm
        yield np.asarray(plane.position_mm) + offsets_mm @ axes.T


def _observation(label: LabelSpec) -> Any:
    codes = coded(label.name, label.value)
    kind = code(codes.kind)
    if codes.side is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [code(codes.side)]
    return item(
        ObservationNumber=label.value,
        ReferencedROINumber=label.value,
        SegmentedPropertyCategoryCodeSequence=[code(codes.category)],
        RTROIIdentificationCodeSequence=[kind],
        RTROIInterpretedType="ORGAN" if codes.category is ANATOMICAL else "",
        ROIInterpreter="",
    )
