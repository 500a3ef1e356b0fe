"""Scans as the user names them: an image file, or a folder, zip or DICOMDIR with a DICOM series."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice
from flare_trt.engine.scans.dicom.dicomdir import described_folder, is_dicomdir
from flare_trt.engine.scans.dicom.part10 import Kind, kind_of, read_head
from flare_trt.engine.scans.image_files import open_image
from flare_trt.engine.scans.other_folders import refuse_other_folders, refuse_other_zips
from flare_trt.engine.scans.scan_reader import SlabReader


def is_dicom(path: Path) -> bool:
    """Whether this names a DICOM scan: a folder, a zip or a DICOMDIR."""
    return path.is_dir() or path.suffix.lower() == ".zip" or is_dicomdir(path)


def require_scan(path: Path) -> None:
    """Raises InputError for a DICOM file, which is one slice and not the scan, and for folders of models and data sets."""
    if path.is_dir():
        refuse_other_folders(path)
    elif is_dicom(path) and path.is_file():
        refuse_other_zips(path)
    if is_dicom(path) or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            kind = kind_of(read_head(file))
    except OSError:  # its reader will say so, in its turn
        return
    if kind.readable or kind is Kind.PACKED:
        raise InputError(f"{path}: got one DICOM file, expected a series; name the folder that it lies in, or a .zip of the series")


def open_scan(path: Path, choice: SeriesChoice = ONLY_SERIES) -> SlabReader:
    """The reader of a scan; `choice` says which series to take where a folder or zip holds several. Raises InputError."""
    if is_dicomdir(path):
        path = described_folder(path)
    require_scan(path)
    return choice.open(path) if is_dicom(path) else open_image(path)
