"""The label files that go with a scan: NIfTI, DICOM-SEG, and contours as a structure set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import has_ending
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.dicom.segmentation import is_segmentation_of, require_segmentation, write_segmentation
from flare_trt.engine.results.dicom.structure_set import require_structure_set, write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import require_references
from flare_trt.engine.scans.nifti import NiftiReader, read_labels, write_labels
from flare_trt.engine.scans.scan_reader import SlabReader

#: Ending of the DICOM files that are written, and of all label files; the first one is for those in a folder.
DICOM_ENDING = ".dcm"
LABEL_ENDINGS = (".nii.gz", ".nii", DICOM_ENDING)


def require_writable(outputs: Sequence[Path], source: SlabReader) -> None:
    """Raises InputError where DICOM outputs are wanted of a series that they could not refer to."""
    if isinstance(source, DicomReader) and any(has_ending(path, (DICOM_ENDING,)) for path in outputs):
        require_references(source)


def require_makeable(labels_file: Path, rtstruct_file: Path | None, source: SlabReader, spec: ModelSpec) -> None:
    """Find out, before a network runs, whether DICOM outputs can be made of this scan. Raises InputError or OutputError."""
    if has_ending(labels_file, (DICOM_ENDING,)):
        require_segmentation(labels_file, _dicom(labels_file, source), spec)
    if rtstruct_file is not None:
        require_structure_set(rtstruct_file, _dicom(rtstruct_file, source), spec)


def write_label_file(path: Path, source: SlabReader, labels: Volume, spec: ModelSpec) -> tuple[str, ...]:
    """Write labels as the file's ending says; returns warnings. Raises InputError or OutputError."""
    if has_ending(path, (DICOM_ENDING,)):
        return write_segmentation(path, labels, _dicom(path, source), spec)
    write_labels(path, labels, source.header if isinstance(source, NiftiReader) else None)
    return ()


def write_contours(path: Path, source: SlabReader, labels: Volume, spec: ModelSpec) -> tuple[str, ...]:
    """Write labels as an RTSTRUCT; returns warnings. Raises InputError or OutputError."""
    return write_structure_set(path, labels, _dicom(path, source), spec)


def fits_scan(labels_file: Path, source: SlabReader) -> bool:
    """Whether a label file is whole and belongs to this scan. Raises InputError where it cannot be read."""
    if has_ending(labels_file, (DICOM_ENDING,)):
        return isinstance(source, DicomReader) and is_segmentation_of(labels_file, source)
    return read_labels(labels_file).grid.same_place(source.grid)


def _dicom(output: Path, source: SlabReader) -> DicomReader:
    if not isinstance(source, DicomReader):
        raise OutputError(f"{output}: DICOM output needs a DICOM scan, got {source.path}; name a .nii.gz file instead")
    return source
