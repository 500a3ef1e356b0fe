"""The CT series among the files of a folder or zip: found, listed without a patient's identity, and one of them chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.file_set import FileSet, open_files
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.plane import TAGS, Plane, planes_of, uid_of
from flare_trt.engine.scans.dicom.stack import gap_mm

#: Where the preamble of a DICOM file ends and its mark stands (PS3.10, section 7.1).
_MARK_AT, _MARK = 128, b"DICM"
#: The transfer syntax stands within the file's first bytes, in explicit VR little endian, whatever the file's own is.
_META_BYTES, _TRANSFER_SYNTAX = 16384, b"\x02\x00\x10\x00UI"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Series:
    """The planes of one CT series, in file order, and why other images of it were left out (word, count).

    `first_file` is the number of a file of the series, whatever it holds.
    """

    path: Path
    files: FileSet
    uid: str
    number: str
    study_uid: str
    planes: tuple[Plane, ...]
    left_out: tuple[tuple[str, int], ...] = ()
    first_file: int = 0

    @property
    def told(self) -> str:
        """One line of a list of series."""
        through, (rows, columns) = gap_mm(self.planes), self.planes[0].spacing_yx_mm
        spacing = f"{'-' if through is None else format(through, '.4g')} x {rows:.4g} x {columns:.4g} mm"
        return f"{self.uid or '(no UID)'}: number {self.number}, CT, {len(self.planes)} slices, spacing {spacing} (z, y, x)"


def all_series(path: Path) -> tuple[Series, ...]:
    """Every series of a folder or zip, in the order of their UIDs; one of which no image is a CT plane has no `planes`."""
    files = open_files(path)
    by_uid: dict[str, list[_Found]] = {}
    for found in _found(path, files):
        by_uid.setdefault(found.series_uid, []).append(found)
    series = []
    for uid, group in sorted(by_uid.items()):
        images = [image for found in group for image in found.images]
        planes = tuple(image for image in images if isinstance(image, Plane))
        left_out = tuple(sorted(Counter(image for image in images if isinstance(image, str)).items()))
        series.append(Series(path, files, uid, group[0].number, group[0].study_uid, planes, left_out, group[0].file))
    return tuple(series)


def find_series(path: Path) -> tuple[Series, ...]:
    """The CT series of a folder or zip, in the order of their UIDs. Raises InputError where there is none."""
    found = all_series(path)
    series = tuple(one for one in found if one.planes)
    if not series:
        reasons = Counter[str]()
        for one in found:
            reasons += Counter(dict(one.left_out))
        seen = (
            ", ".join(f"{count} images {reason}" for reason, count in sorted(reasons.items()))
            or f"{len(open_files(path))} other files"
        )
        raise InputError(f"{path}: holds no CT series that can be segmented: got {seen}; name a folder or zip of a CT series")
    return series


def choose_series(path: Path, uid: str | None) -> Series:
    """The series of this UID; without one the only series there is. Raises InputError, listing the series, otherwise."""
    series = find_series(path)
    chosen = [one for one in series if uid is None or one.uid == uid]
    if len(chosen) == 1:
        return chosen[0]
    got = f"got {len(series)} CT series" if uid is None else f"got no CT series {uid}"
    listed = "\n".join(f"  {one.told}" for one in series)
    raise InputError(f"{path}: {got}, expected one; choose it with --series UID:\n{listed}")


@dataclass(frozen=True)
class _Found:
    """One DICOM file: its series, and its planes or why an image is none."""

    series_uid: str
    study_uid: str
    number: str
    images: tuple[Plane | str, ...]
    file: int


def _found(path: Path, files: FileSet) -> Iterator[_Found]:
    """What each DICOM file holds; other files are passed over."""
    for file in range(len(files)):
        try:
            with files.open(file) as stream, quiet():
                syntax = _transfer_syntax(stream.read(_META_BYTES))
                stream.seek(0)
                found = None if syntax in (None, _DEFLATED) else _read(stream, file)
        except LIBRARY_ERRORS as error:
            raise damaged(path, file, len(files), error) from None
        if syntax == _DEFLATED:
            raise InputError(f"{path}: file {file + 1} of {len(files)} is deflated; convert it first (dcmconv +te of DCMTK)")
        if found is not None:
            yield found


def _read(stream: BinaryIO, file: int) -> _Found | None:
    header = library("pydicom").dcmread(stream, stop_before_pixels=True, specific_tags=list(TAGS))
    if header.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
        return None
    number = header.get("SeriesNumber")
    return _Found(
        series_uid=uid_of(header, "SeriesInstanceUID"),
        study_uid=uid_of(header, "StudyInstanceUID"),
        number="-" if number is None else str(int(number)),
        images=tuple(planes_of(header, file)),
        file=file,
    )


def damaged(path: Path, file: int, count: int, error: BaseException) -> InputError:
    """The error for a file that a library cannot use; its own words may repeat what the file holds, so only its kind is told."""
    kind = type(error).__name__
    return InputError(f"{path}: file {file + 1} of {count} (in name order) is damaged or cut ({kind}); copy the series again")


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file in a folder or under it. Raises InputError for a file that cannot be read."""
    files = open_files(folder)
    for file in range(len(files)):
        try:
            with files.open(file) as stream:
                if _is_marked(stream.read(_META_BYTES)):
                    return True
        except OSError as error:
            raise damaged(folder, file, len(files), error) from None
    return False


def _is_marked(head: bytes) -> bool:
    return head[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def _transfer_syntax(head: bytes) -> str | None:
    """The transfer syntax of a DICOM file by its first bytes; None where they are no DICOM file's."""
    if not _is_marked(head):
        return None
    at = head.find(_TRANSFER_SYNTAX)
    if at < 0:
        raise ValueError("no transfer syntax")
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].decode("ascii").strip("\0 ")
