"""DICOM-SEG out: one binary segment a class, on the planes of the source images, through highdicom."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.organs import Concept
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec, ModelSpec
from flare_trt.engine.results.dicom.codes import coded
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import copy_patient_and_study, require_on_planes, require_references, save, source_images

#: Series number of the outputs: beyond those that scanners count up to.
SERIES_NUMBER = 9701
MAKER = "flare-trt"
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


def write_segmentation(path: Path, labels: Volume, reader: DicomReader, spec: ModelSpec) -> None:
    """Write uint8 labels as a DICOM-SEG that refers to the series, whole or not at all. Raises OutputError.

    Segments are numbered from 1 in the order of the labels' values, and all are described, found or not.
    """
    require_references(reader)
    require_on_planes(path, labels, reader)
    images = source_images(reader)
    if len(images) > 1 and reader.planes[0].multi_frame:
        raise OutputError(f"{path}: got an enhanced CT in {len(images)} files, expected one for a DICOM-SEG; write .nii.gz")
    _complete(images, reader)
    ordered = sorted(spec.labels, key=lambda label: label.value)
    try:
        with quiet():
            dataset = _segmentation(images, _frames(labels.array, reader, images, ordered), ordered, spec)
    except LIBRARY_ERRORS as error:
        raise OutputError(
            f"{path}: the series' headers do not do for a DICOM-SEG ({type(error).__name__}); write .nii.gz"
        ) from None
    dataset.ContentCreatorName = ""
    copy_patient_and_study(reader, dataset)
    save(path, dataset)


def is_segmentation_of(path: Path, reader: DicomReader) -> bool:
    """Whether a file is a whole DICOM-SEG of this series."""
    try:
        with path.open("rb") as stream, quiet():
            found = library("pydicom").dcmread(stream)
            series = {str(item.SeriesInstanceUID) for item in found.ReferencedSeriesSequence}
            bits = int(found.NumberOfFrames) * int(found.Rows) * int(found.Columns)
            whole = len(found.PixelData) * 8 >= bits
            return found.SOPClassUID == _SOP_CLASS and series == {reader.series.uid} and whole
    except LIBRARY_ERRORS:
        return False


def _complete(images: list[Any], reader: DicomReader) -> None:
    """Let each header say how far apart slices are, and how thick, where the scanner did not."""
    for image in images:
        image.SpacingBetweenSlices = f"{reader.grid.spacing_mm[0]:.10g}"
        if image.get("SliceThickness") is None:
            image.SliceThickness = image.SpacingBetweenSlices


def _frames(labels: NDArray[np.uint8], reader: DicomReader, images: list[Any], ordered: list[LabelSpec]) -> NDArray[np.uint8]:
    """Segment numbers on the frames of the source images, in their order."""
    numbers = np.zeros(256, np.uint8)
    numbers[[label.value for label in ordered]] = np.arange(1, len(ordered) + 1)
    if not reader.planes[0].multi_frame:
        return numbers[labels]
    frames = np.zeros((int(images[0].NumberOfFrames), *labels.shape[1:]), np.uint8)
    frames[[plane.frame for plane in reader.planes]] = numbers[labels]
    return frames


def _segmentation(images: list[Any], frames: NDArray[np.uint8], ordered: list[LabelSpec], spec: ModelSpec) -> Any:
    highdicom = library("highdicom")
    ours = version(MAKER)
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, label, spec) for number, label in enumerate(ordered, 1)],
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=spec.name[:64],
        software_versions=ours,
        device_serial_number=ours,
        series_description=f"{MAKER} {spec.name}"[:64],
        content_label="SEGMENTATION",
        content_description="Made by an algorithm, for research",
        omit_empty_frames=bool(frames.any()),
    )


def _description(number: int, label: LabelSpec, spec: ModelSpec) -> Any:
    highdicom = library("highdicom")
    codes = coded(label.name, label.value)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=spec.name[:64],
        family=library("pydicom.sr.codedict").codes.DCM.ArtificialIntelligence,
        version=version(MAKER),
        source=MAKER,
    )
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.name[:64],
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=highdicom.UID(),
        tracking_id=label.name[:64],
        display_color=highdicom.color.CIELabColor.from_string(label.colour),
    )
    if codes.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_concept(codes.side)]
    return description


def _concept(concept: Concept) -> Any:
    return library("highdicom").sr.CodedConcept(concept.value, concept.scheme, concept.meaning)
