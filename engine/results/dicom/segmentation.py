"""DICOM-SEG out: one segment a class, on the planes of the source images, through highdicom."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.label_types import label_dtype, value_count
from flare_trt.engine.base.organs import Concept
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec, ModelSpec
from flare_trt.engine.results.dicom.codes import coded
from flare_trt.engine.results.dicom.items import code, image_reference, item, names_for
from flare_trt.engine.results.dicom.stable import UNTOLD, Making, SegType, content_key, series_key, settle
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import (
    labels_on_planes,
    patient_and_study,
    require_references,
    require_storable,
    save,
    source_images,
    stand_in_uid,
)

#: Series number of the outputs: beyond those that scanners count up to.
SERIES_NUMBER = 9701
MAKER = "flare-trt"
_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # Segmentation, Label Map Segmentation
#: RLE, which every reader has. Its encoder is named: those that pydicom takes by itself are slow, or abort on odd sizes.
_RLE, _RLE_ENCODER = "1.2.840.10008.1.2.5", "pylibjpeg"


def write_segmentation(
    path: Path, labels: Volume, reader: DicomReader, spec: ModelSpec, making: Making = UNTOLD
) -> tuple[str, ...]:
    """Write labels as a DICOM-SEG that refers to the series, whole or not at all; returns warnings. Raises OutputError.

    Segments are numbered from 1 in the order of the labels' values, and all are described, found or not. A frame holds one
    segment on one plane, or as a labelmap all of one plane; where nothing was found there is a single empty frame.
    The same arguments make the same file, byte for byte (see stable).
    """
    dataset, warnings = _made(path, labels_on_planes(path, labels, reader), reader, spec, making)
    save(path, dataset)
    return warnings


def require_segmentation(path: Path, reader: DicomReader, spec: ModelSpec, making: Making = UNTOLD) -> None:
    """Find out before any work whether the series has what a DICOM-SEG needs, by making one. Raises InputError or OutputError."""
    dataset, _ = _made(path, np.zeros((len(reader.planes), 1, 1), np.uint8), reader, spec, making)
    require_storable(path, dataset)


def _made(path: Path, labels: NDArray[Any], reader: DicomReader, spec: ModelSpec, making: Making) -> tuple[Any, tuple[str, ...]]:
    """The dataset, and warnings."""
    require_references(reader)
    key = series_key(reader, spec, making)
    identity = patient_and_study(reader)
    spec, warnings = names_for(identity, spec)
    ordered = sorted(spec.labels, key=lambda label: label.value)
    numbers = np.zeros(value_count(label_dtype(label.value for label in ordered)), label_dtype([len(ordered)]))
    numbers[[label.value for label in ordered]] = np.arange(1, len(ordered) + 1)
    images, frames = source_images(reader), numbers[labels]
    try:
        with quiet():
            described = [_description(number, label, spec) for number, label in enumerate(ordered, 1)]
            make = partial(_segmentation, described=described, spec=spec, seg_type=making.seg_type)
            dataset = make(images, frames) if frames.any() else _empty(images[0], make)
            _refer(dataset, reader)
            if making.seg_type == "labelmap":
                dataset.compress(_RLE, encoding_plugin=_RLE_ENCODER, generate_instance_uid=False)
    except LIBRARY_ERRORS as error:
        raise OutputError(
            f"{path}: the series' headers lack what a DICOM-SEG needs ({type(error).__name__}); write .nii.gz"
        ) from None
    dataset.ContentCreatorName = ""
    settle(dataset, reader, key, content_key(labels))
    identity.put_into(dataset)
    return dataset, warnings if frames.any() else (*warnings, "nothing was found: the DICOM-SEG holds a single empty frame")


def is_segmentation_of(path: Path, reader: DicomReader) -> bool:
    """Whether a file is a whole DICOM-SEG of this series."""
    try:
        with path.open("rb") as stream, quiet():
            found = library("pydicom").dcmread(stream)
            series = {str(item.SeriesInstanceUID) for item in found.ReferencedSeriesSequence}
            return found.SOPClassUID in _SOP_CLASSES and series == {reader.series.uid} and _is_whole(found)
    except LIBRARY_ERRORS:
        return False


def _is_whole(dataset: Any) -> bool:
    """Whether the pixels of all frames are there."""
    frames = int(dataset.NumberOfFrames)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return sum(1 for _ in library("pydicom.encaps").generate_frames(dataset.PixelData, number_of_frames=frames)) == frames
    return len(dataset.PixelData) * 8 >= frames * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated)


def _refer(dataset: Any, reader: DicomReader) -> None:
    """Let each frame name the image that it lies on, and the whole name all of them.

    The root's Source Image Sequence goes: dcmjs 0.29 takes its item N for the source of frame N (PS3.3, C.12.4, has no such order),
    and the references of the frames and of the series carry the same.
    """
    del dataset.SourceImageSequence
    places = {stand_in_uid(z): plane for z, plane in enumerate(reader.planes)}
    frames = dataset.PerFrameFunctionalGroupsSequence
    sources = [source for frame in frames for source in frame.DerivationImageSequence[0].SourceImageSequence]
    for source in {id(source): source for source in sources}.values():  # the frames of one plane share theirs
        source.update(image_reference(places[source.ReferencedSOPInstanceUID]))
    (series,) = dataset.ReferencedSeriesSequence
    series.ReferencedInstanceSequence = [
        item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_uid)
        for sop_class, sop_uid in dict.fromkeys((plane.sop_class, plane.sop_uid) for plane in reader.planes)
    ]


def _empty(image: Any, make: Callable[..., Any]) -> Any:
    """One frame without a pixel, where highdicom would write one for each plane and segment."""
    frame = np.zeros((1, image.Rows, image.Columns), np.uint8)
    dataset = make([image], frame, omit_empty_frames=False)
    if dataset.SegmentationType == "BINARY":
        frame[0, 0, 0] = 1
        dataset = make([image], frame)
        dataset.PixelData = bytes(len(dataset.PixelData))
    return dataset


def _segmentation(
    images: list[Any],
    frames: NDArray[Any],
    described: list[Any],
    spec: ModelSpec,
    seg_type: SegType,
    omit_empty_frames: bool = True,
) -> Any:
    highdicom = library("highdicom")
    ours = VERSION
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=frames,
        segmentation_type=seg_type.upper(),
        segment_descriptions=described,
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
        omit_empty_frames=omit_empty_frames,
        specific_character_set=None,
    )


def _description(number: int, label: LabelSpec, spec: ModelSpec) -> Any:
    highdicom = library("highdicom")
    codes = coded(label.name, label.value)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=spec.name[:64],
        family=library("pydicom.sr.codedict").codes.DCM.ArtificialIntelligence,
        version=VERSION,
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
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [code(codes.side)]
    return description


def _concept(concept: Concept) -> Any:
    return library("highdicom").sr.CodedConcept(concept.value, concept.scheme, concept.meaning)
