"""The label files that go with a scan: image files, DICOM-SEG, and contours as a structure set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import has_ending
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.dicom.measurement_report import Measured, require_coded, write_measurement_report
from flare_trt.engine.results.dicom.segmentation import is_segmentation_of, require_segmentation, write_segmentation
from flare_trt.engine.results.dicom.stable import Making, SegType
from flare_trt.engine.results.dicom.structure_set import require_structure_set, write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references
from flare_trt.engine.scans.image_files import ENDINGS, read_labels, write_labels
from flare_trt.engine.scans.scan_reader import SlabReader

#: Ending of the DICOM files that are written, and of all label files; the first one is for those in a folder.
DICOM_ENDING = ".dcm"
LABEL_ENDINGS = (*ENDINGS, DICOM_ENDING)


def require_writable(outputs: Sequence[Path], source: SlabReader) -> None:
    """Raises InputError where DICOM outputs are wanted of a series that they could not refer to."""
    if isinstance(source, DicomReader) and any(has_ending(path, (DICOM_ENDING,)) for path in outputs):
        require_references(source)


@dataclass(frozen=True)
class DicomWishes:
    """What is wanted beside the labels: contours, a measurement report of the DICOM-SEG, and how that stores its segments."""

    rtstruct: Path | None = None
    sr: Path | None = None
    seg_type: SegType = "binary"


def require_makeable(labels_file: Path, wishes: DicomWishes, source: SlabReader, spec: ModelSpec) -> None:
    """Find out, before a network runs, whether DICOM outputs can be made of this scan. Raises InputError or OutputError."""
    if has_ending(labels_file, (DICOM_ENDING,)):
        require_segmentation(labels_file, _dicom(labels_file, source), spec, Making(seg_type=wishes.seg_type))
    if wishes.rtstruct is not None:
        require_structure_set(wishes.rtstruct, _dicom(wishes.rtstruct, source), spec)
    if wishes.sr is not None:
        require_coded(spec)


def write_label_file(path: Path, source: SlabReader, labels: Volume, spec: ModelSpec, making: Making) -> tuple[str, ...]:
    """Write labels as the file's ending says; returns warnings. Raises InputError or OutputError."""
    if has_ending(path, (DICOM_ENDING,)):
        return write_segmentation(path, labels, _dicom(path, source), spec, making)
    write_labels(path, labels, source)
    return ()


def write_contours(path: Path, source: SlabReader, labels: Volume, spec: ModelSpec, making: Making) -> tuple[str, ...]:
    """Write labels as an RTSTRUCT; returns warnings. Raises InputError or OutputError."""
    return write_structure_set(path, labels, _dicom(path, source), spec, making)


def write_sr(
    path: Path, labels_file: Path, source: SlabReader, measured: Measured, spec: ModelSpec, making: Making
) -> tuple[str, ...]:
    """Write what was measured as a report of the DICOM-SEG that was written; returns warnings. Raises InputError or OutputError."""
    if not labels_file.is_file():
        raise OutputError(f"{path}: the DICOM-SEG that it refers to, {labels_file.name}, was not written; write that again first")
    return write_measurement_report(path, labels_file, measured, _dicom(path, source), spec, making)


def fits_scan(labels_file: Path, source: SlabReader) -> bool:
    """Whether a label file is whole and belongs to this scan. Raises InputError where it cannot be read."""
    if has_ending(labels_file, (DICOM_ENDING,)):
        return isinstance(source, DicomReader) and is_segmentation_of(labels_file, source)
    return read_labels(labels_file).grid.same_place(source.grid)


def _dicom(output: Path, source: SlabReader) -> DicomReader:
    if not isinstance(source, DicomReader):
        raise OutputError(f"{output}: DICOM output needs a DICOM scan, got {source.path}; name a .nii.gz file instead")
    return source
