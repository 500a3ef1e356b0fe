"""Scans and labels of other formats (DICOM, .nrrd, .mha) as the NIfTI files that the viewer draws, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.files import has_ending
from flare_trt.engine.base.organs import label_colour
from flare_trt.engine.model.spec import FLARE_LABELS, LabelSpec
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.itk_files import ENDINGS as ITK_ENDINGS
from flare_trt.engine.scans.label_source import FLARE_NAMES, read_named_labels
from flare_trt.engine.scans.nifti import write_ct, write_labels
from flare_trt.engine.scans.open_scan import is_dicom, open_scan
from flare_trt.engine.scans.scan_reader import whole_ct

_SEG_ENDING = ".dcm"


@dataclass(frozen=True)
class ViewFiles:
    """A scan and its labels as NIfTI, and what the labels are called."""

    ct: Path
    labels: Path
    names: Sequence[LabelSpec] = FLARE_LABELS


def as_nifti(ct: Path, labels: Path, folder: Path, choice: SeriesChoice = ONLY_SERIES) -> ViewFiles:
    """The files themselves where they are NIfTI, else copies in `folder`; `choice` as in open_scan.open_scan. Raises InputError.

    Segments with FLARE's names get its values and colours; those of another model keep their numbers and names.
    """
    names: Sequence[LabelSpec] = FLARE_LABELS
    shown_ct, shown_labels = ct, labels
    source = open_scan(ct, choice)
    if is_dicom(ct) or has_ending(ct, ITK_ENDINGS):
        shown_ct = folder / "ct.nii.gz"
        write_ct(shown_ct, whole_ct(source))
    if has_ending(labels, ITK_ENDINGS):
        shown_labels = folder / "seg.nii.gz"
        write_labels(shown_labels, read_labels(labels))
    elif has_ending(labels, (_SEG_ENDING,)):
        found = read_named_labels(labels, FLARE_NAMES, source.grid)
        shown_labels = folder / "seg.nii.gz"
        write_labels(shown_labels, found.volume)
        if found.names is not FLARE_NAMES:
            names = [LabelSpec(value, name, label_colour(value, name)) for value, name in found.names.items()]
    return ViewFiles(shown_ct, shown_labels, names)
