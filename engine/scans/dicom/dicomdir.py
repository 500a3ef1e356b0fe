"""A DICOMDIR, the index of a disc: the folder that it stands in, once every file that it names is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet

_NAME = "DICOMDIR"


def is_dicomdir(path: Path) -> bool:
    """Whether a path names a DICOMDIR file: its name is fixed (PS3.10, section 8.6)."""
    return path.name.upper() == _NAME and not path.is_dir()


def described_folder(path: Path) -> Path:
    """The folder whose files a DICOMDIR lists. Raises InputError where it cannot be read, or where files of it are missing."""
    require_regular(path)
    try:
        with path.open("rb") as stream, quiet():
            directory = library("pydicom").dcmread(stream)
            is_index = "DirectoryRecordSequence" in directory
            names = list(_file_names(directory))
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path}: the DICOMDIR cannot be read ({type(error).__name__}); name the folder it stands in") from None
    if not is_index:
        raise InputError(f"{path}: got one DICOM file, expected a series; name the folder that it lies in, or a .zip of the series")
    folder = path.parent
    lacking = sum(not _is_there(folder, parts) for parts in names)
    if lacking:
        raise InputError(
            f"{path}: {lacking} of the {len(names)} files that it lists are missing, expected the whole disc; copy it again, or "
            "name the folder to use what is there"
        )
    return folder


def _file_names(directory: object) -> Iterator[tuple[str, ...]]:
    for record in getattr(directory, "DirectoryRecordSequence", ()):
        value = record.get("ReferencedFileID")
        if value:
            yield (value,) if isinstance(value, str) else tuple(map(str, value))


def _is_there(folder: Path, parts: tuple[str, ...]) -> bool:
    """Names are upper case on the disc, and lower case where a system that mounted it made them so."""
    return any(folder.joinpath(*spelt).is_file() for spelt in (parts, tuple(part.lower() for part in parts)))
