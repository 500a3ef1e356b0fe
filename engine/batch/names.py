"""What a result's name may hold in braces: {case}, {parent}, {study}, {series}."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import case_name
from flare_trt.engine.scans.dicom.choice import SeriesChoice
from flare_trt.engine.scans.dicom.dicomdir import is_dicomdir
from flare_trt.engine.scans.open_scan import is_dicom

_UID_FIELDS = ("{study}", "{series}")
_FIELDS = ("{case}", "{parent}", *_UID_FIELDS)


@dataclass(frozen=True)
class ScanNames:
    """What one scan is called. `study` and `series` are its UIDs, "" where no pattern needs them or the scan has none."""

    case: str
    parent: str
    study: str = ""
    series: str = ""

    @staticmethod
    def of(scan: Path) -> ScanNames:
        """The names that its path gives."""
        scan = scan.parent if is_dicomdir(scan) else scan  # the index is called alike on every disc
        return ScanNames(case_name(scan), scan.absolute().resolve().parent.name or "root")

    def filled(self, pattern: Path) -> Path:
        """A pattern with this scan's names. Raises OutputError for a UID where the scan has none."""
        text = str(pattern)
        for field in _FIELDS:
            value = getattr(self, field.strip("{}"))
            if field in text and not value:
                raise OutputError(f"{pattern}: this scan ({self.case}) has no UID for {field}; use {{case}} or {{parent}}")
            text = text.replace(field, value)
        return Path(text)


def unique_names(scans: Sequence[Path]) -> dict[Path, str]:
    """What each scan of a batch is called in its table: its own name, with its folder's in front where two are called alike."""
    names = {scan: ScanNames.of(scan) for scan in scans}
    counts = Counter(name.case for name in names.values())
    return {scan: name.case if counts[name.case] == 1 else f"{name.parent}/{name.case}" for scan, name in names.items()}


def is_pattern(path: Path) -> bool:
    """Whether a name stands for one file a scan."""
    return any(field in str(path) for field in _FIELDS)


def needs_uids(path: Path) -> bool:
    """Whether a name needs the scan's header read before its results can be placed."""
    return any(field in str(path) for field in _UID_FIELDS)


def with_uids(names: ScanNames, scan: Path, choice: SeriesChoice, number: int) -> ScanNames:
    """The names with the UIDs of a DICOM scan; one that cannot be read gets a stand-in, and will fail in its turn."""
    if not is_dicom(scan):
        raise InputError(f"{scan}: a NIfTI file has no study or series UID; name its results with {{case}} or {{parent}}")
    try:
        series = choice.open(scan).series
    except InputError:
        return replace(names, study=f"unreadable-{number}", series=f"unreadable-{number}")
    return replace(names, study=series.study_uid, series=series.uid)
