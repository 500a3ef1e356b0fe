"""The DICOM files of a folder or zip, one by one: which series each is of, its images, and which should be an image and is none."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.file_set import FileSet
from flare_trt.engine.scans.dicom.header import text_of, uid_of, whole
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.part10 import Kind, kind_of, opened, read_head
from flare_trt.engine.scans.dicom.plane import TAGS, Image, is_ct, planes_of, sop_class_of

_DICOMDIR = "1.2.840.10008.1.3.10"
#: A length that is not given; the value ends by itself.
_UNDEFINED = 0xFFFFFFFF
#: Read only to tell whether one series holds two patients, and kept as numbers that say nothing of them.
PERSON = ("PatientID", "PatientName", "PatientBirthDate")
#: The tags of pixel data in either byte order: of whole numbers, floats and doubles.
_PIXELS = tuple(tag for end in b"\x10\x08\x09" for tag in (bytes((0xE0, 0x7F, end, 0)), bytes((0x7F, 0xE0, 0, end))))
#: Endings of files that say they are DICOM.
_ENDINGS = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class FoundFile:
    """One DICOM file: its series, and its planes or why an image is none; `part` of a concatenation of so many files."""

    file: int
    series_uid: str
    study_uid: str
    number: str
    person: tuple[int | None, ...]
    part: tuple[int, int] | None
    images: tuple[Image, ...]


def damaged(path: Path, file: int, count: int, error: BaseException) -> InputError:
    """The error for a file that a library cannot use; its own words may repeat what the file holds, so only its kind is shown."""
    kind = type(error).__name__
    if isinstance(error, OSError) and error.strerror:  # of the system, which says nothing of what the file holds
        return InputError(f"{path}: {_numbered(file, count)} cannot be opened or read ({error.strerror}); give access to it")
    return InputError(f"{path}: {_numbered(file, count)} is damaged or cut ({kind}); copy the series again")


def unusable(file: int, count: int, told: str) -> InputError:
    """The error, without the folder's name, for a file that can be read and lacks what is needed."""
    return InputError(f"{_numbered(file, count)}: {told}")


def _numbered(file: int, count: int) -> str:
    return f"file {file + 1} of {count} (in name order)"


def found_files(path: Path, files: FileSet) -> tuple[list[FoundFile], int]:
    """What each DICOM file holds, and the number of other files.

    Raises InputError for one that cannot be read, that is packed, or that lies and is named like a slice and is none.
    """
    found: list[FoundFile] = []
    others: list[int] = []
    blank: list[int] = []
    for file in range(len(files)):
        kind = _kind(path, files, file)
        one = _read(path, files, file) if kind.readable else None
        if one is not None:
            found.append(one)
        elif kind is Kind.PACKED:
            raise InputError(
                f"{path}: {_numbered(file, len(files))}: a gzipped DICOM file, expected it unpacked; run gunzip on the series"
            )
        elif not kind.readable:
            (blank if kind is Kind.BLANK else others).append(file)
    slices = {files.place(one.file) for one in found if any(not isinstance(image, str) for image in one.images)}
    for file in (*blank, *others):
        ending = files.place(file)[1]
        if ending in _ENDINGS or (file in blank and files.place(file) in slices):
            got = "empty or nothing but zeros" if file in blank else "no DICOM that can be read"
            raise InputError(
                f"{path}: {_numbered(file, len(files))}: {got}, though it is named like an image; copy the series again, or "
                "remove the file"
            )
    return found, len(others) + len(blank)


def _kind(path: Path, files: FileSet, file: int) -> Kind:
    try:
        with files.open(file) as stream:
            return kind_of(read_head(stream))
    except LIBRARY_ERRORS as error:
        raise damaged(path, file, len(files), error) from None


def _read(path: Path, files: FileSet, file: int) -> FoundFile | None:
    """A DICOM file's headers; None for a DICOMDIR. Raises InputError."""
    try:
        with opened(files, file) as stream, quiet():
            header = library("pydicom").dcmread(stream, stop_before_pixels=True, specific_tags=[*TAGS, *PERSON])
            if text_of(header.file_meta, "MediaStorageSOPClassUID") == _DICOMDIR:
                return None
            _require_whole(header, stream.read(4))
            return _described(header, file)
    except LIBRARY_ERRORS as error:
        raise damaged(path, file, len(files), error) from None


def _require_whole(header: Any, follows: bytes) -> None:
    """Raises EOFError for a header that ends before it says what the file is, in a value, or in a CT image before its pixels.

    pydicom takes what is left of a value for the value, which may make another modality or class of it.
    """
    class_or_modality = text_of(header, "SOPClassUID") or text_of(header, "Modality")
    says_nothing = not class_or_modality and not sop_class_of(header)
    cut = any(element.is_raw and len(element.value or b"") < element.length < _UNDEFINED for element in header.elements())
    pixels_due = is_ct(header) or not class_or_modality
    if says_nothing or cut or (pixels_due and follows not in _PIXELS):
        raise EOFError


def _described(header: Any, file: int) -> FoundFile:
    number = text_of(header, "SeriesNumber")
    part, total = (_count(header, f"InConcatenation{name}") for name in ("Number", "TotalNumber"))
    return FoundFile(
        file=file,
        series_uid=uid_of(header, "SeriesInstanceUID"),
        study_uid=uid_of(header, "StudyInstanceUID"),
        number=number if number.lstrip("+-").isdecimal() and len(number) <= 12 else "-",
        person=tuple(_person(header, name) for name in PERSON),
        part=(part, total) if total else None,
        images=tuple(planes_of(header, file)),
    )


def _count(header: Any, name: str) -> int:
    """A count, 0 for none."""
    return whole(header, name) if text_of(header, name) else 0


def _person(header: Any, name: str) -> int | None:
    """A number for a value that names a person, None for none; empty parts, case and the character set make no difference."""
    try:
        text = str(header.get(name) or "")
    except LIBRARY_ERRORS:
        text = text_of(header, name)
    bare = " ".join(unicodedata.normalize("NFKC", text).replace("^", " ").split()).casefold()
    return hash(bare) if bare else None
