"""The CT series among the files of a folder or zip: found, listed without a patient's identity, and one of them chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.dicom.file_set import FileSet, open_files
from flare_trt.engine.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.dicom.plane import TAGS, Plane, planes_of
from flare_trt.engine.dicom.stack import gap_mm
from flare_trt.engine.errors import InputError

#: Where the preamble of a DICOM file ends and its mark stands (PS3.10, section 7.1).
_MARK_AT, _MARK = 128, b"DICM"
#: The transfer syntax stands within the file's first bytes, in explicit VR little endian, whatever the file's own is.
_META_BYTES, _TRANSFER_SYNTAX = 16384, b"\x02\x00\x10\x00UI"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Series:
    """The planes of one CT series, in file order, and why other images of it were left out (word, count)."""

    path: Path
    files: FileSet
    uid: str
    number: str
    study_uid: str
    planes: tuple[Plane, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def told(self) -> str:
        """One line of a list of series."""
        through, (rows, columns) = gap_mm(self.planes), self.planes[0].spacing_yx_mm
        spacing = f"{'-' if through is None else format(through, '.4g')} x {rows:.4g} x {columns:.4g} mm"
        return f"{self.uid or '(no UID)'}: number {self.number}, CT, {len(self.planes)} slices, spacing {spacing} (z, y, x)"


def find_series(path: Path) -> tuple[Series, ...]:
    """The CT series of a folder or zip, in the order of their UIDs. Raises InputError where there is none."""
    files = open_files(path)
    found: dict[str, list[Plane]] = {}
    left_out: dict[str, Counter[str]] = {}
    numbers: dict[str, tuple[str, str]] = {}
    for file, header in _headers(path, files):
        uid = str(header.get("SeriesInstanceUID") or "")
        numbers.setdefault(uid, (str(header.get("SeriesNumber") or "-")[:12], str(header.get("StudyInstanceUID") or "")))
        for plane in _planes(path, header, file, len(files)):
            if isinstance(plane, Plane):
                found.setdefault(uid, []).append(plane)
            else:
                left_out.setdefault(uid, Counter())[plane] += 1
    if not found:
        reasons = sum(left_out.values(), Counter())
        seen = ", ".join(f"{count} images {reason}" for reason, count in sorted(reasons.items())) or f"{len(files)} other files"
        raise InputError(f"{path}: holds no CT series that can be segmented: got {seen}; name a folder or zip of a CT series")
    return tuple(
        Series(path, files, uid, *numbers[uid], tuple(planes), tuple(sorted(left_out.get(uid, Counter()).items())))
        for uid, planes in sorted(found.items())
    )


def choose_series(path: Path, uid: str | None) -> Series:
    """The series of this UID; without one the only series there is. Raises InputError, listing the series, otherwise."""
    series = find_series(path)
    chosen = [one for one in series if uid is None or one.uid == uid]
    if len(chosen) == 1:
        return chosen[0]
    got = f"got {len(series)} CT series" if uid is None else f"got no CT series {uid}"
    listed = "\n".join(f"  {one.told}" for one in series)
    raise InputError(f"{path}: {got}, expected one; choose it with --series UID:\n{listed}")


def _headers(path: Path, files: FileSet) -> Iterator[tuple[int, Any]]:
    """The number and the header of each DICOM file; other files are passed over."""
    pydicom = library("pydicom")
    for file in range(len(files)):
        try:
            with files.open(file) as stream, quiet():
                syntax = _transfer_syntax(stream.read(_META_BYTES))
                if syntax is None:
                    continue
                stream.seek(0)
                header = None if syntax == _DEFLATED else pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(TAGS))
        except LIBRARY_ERRORS as error:
            raise damaged(path, file, len(files), error) from None
        if header is None:
            raise InputError(f"{path}: file {file + 1} of {len(files)} is deflated; convert it first (dcmconv +te of DCMTK)")
        if header.file_meta.get("MediaStorageSOPClassUID") != _DICOMDIR:
            yield file, header


def damaged(path: Path, file: int, count: int, error: BaseException) -> InputError:
    """The error for a file that a library cannot use; its own words may repeat what the file holds, so only its kind is told."""
    kind = type(error).__name__
    return InputError(f"{path}: file {file + 1} of {count} (in name order) is damaged or cut ({kind}); copy the series again")


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file in a folder or under it."""
    files = open_files(folder)
    for file in range(len(files)):
        with files.open(file) as stream:
            if _is_marked(stream.read(_META_BYTES)):
                return True
    return False


def _is_marked(head: bytes) -> bool:
    return head[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def _planes(path: Path, header: Any, file: int, count: int) -> list[Plane | str]:
    try:
        with quiet():
            return list(planes_of(header, file))
    except LIBRARY_ERRORS as error:
        raise damaged(path, file, count, error) from None


def _transfer_syntax(head: bytes) -> str | None:
    """The transfer syntax of a DICOM file by its first bytes; None where they are no DICOM file's."""
    if not _is_marked(head):
        return None
    at = head.find(_TRANSFER_SYNTAX)
    if at < 0:
        raise ValueError("no transfer syntax")
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].decode("ascii").strip("\0 ")
