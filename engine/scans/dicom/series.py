"""The CT series among the files of a folder or zip: found, listed without a patient's identity, and one of them chosen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.file_set import FileSet, open_files
from flare_trt.engine.scans.dicom.found_files import PERSON, FoundFile, found_files, unusable
from flare_trt.engine.scans.dicom.plane import Plane, Unusable
from flare_trt.engine.scans.dicom.stack import gap_mm


@dataclass(frozen=True)
class Series:
    """The planes of one CT series, in file order, and why other images of it were left out (word, count).

    `first_file` is the number of a file of the series, whatever it holds; `unusable` are images that ought to be planes. It holds
    so many `patients` and `studies`, and lacks `parts` files of a concatenation. `others` counts the folder's files that are no
    DICOM.
    """

    path: Path
    files: FileSet
    uid: str
    number: str
    study_uid: str
    planes: tuple[Plane, ...]
    left_out: tuple[tuple[str, int], ...] = ()
    first_file: int = 0
    unusable: tuple[Unusable, ...] = ()
    patients: int = 1
    studies: int = 1
    parts: int = 0
    others: int = 0

    @property
    def told(self) -> str:
        """One line of a list of series."""
        head = f"{self.uid or '(no UID)'}: number {self.number}, CT"
        if not self.planes:
            return f"{head}, {len(self.unusable)} images that cannot be used"
        through, (rows, columns) = gap_mm(self.planes), self.planes[0].spacing_yx_mm
        spacing = f"{'-' if through is None else format(through, '.4g')} x {rows:.4g} x {columns:.4g} mm"
        return f"{head}, {len(self.planes)} slices, spacing {spacing} (z, y, x)"


def all_series(path: Path) -> tuple[Series, ...]:
    """Every series of a folder or zip, in the order of their UIDs; one of which no image is a CT plane has no `planes`.

    Raises InputError for files that cannot be read.
    """
    files = open_files(path)
    found, others = found_files(path, files)
    by_uid: dict[str, list[FoundFile]] = {}
    for one in found:
        by_uid.setdefault(one.series_uid, []).append(one)
    return tuple(_series(path, files, group, others) for _, group in sorted(by_uid.items()))


def find_series(path: Path) -> tuple[Series, ...]:
    """The CT series of a folder or zip, in the order of their UIDs. Raises InputError where there is none."""
    found = all_series(path)
    if not found:
        raise InputError(
            f"{path}: holds no .nii.gz, .nii, .nrrd or .mha file and no DICOM; name a folder of scans or a series (folder or zip)"
        )
    series = tuple(one for one in found if one.planes or one.unusable)
    if not series:
        reasons = sum((Counter(dict(one.left_out)) for one in found), Counter[str]())
        seen = ", ".join(f"{count} images {reason}" for reason, count in sorted(reasons.items())) or "nothing"
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


def require_one_source(series: Series) -> None:
    """Raises InputError, without the series' name, where images cannot be used, are missing, or are not of one patient."""
    for wrong in series.unusable[:1]:
        raise unusable(wrong.file, len(series.files), wrong.told)
    for count, what in ((series.patients, "patients"), (series.studies, "studies")):
        if count > 1:
            raise InputError(
                f"got images of {count} {what} in one series, expected one (PS3.3, A.1.2); put each into a folder of its own"
            )
    if series.parts:
        raise InputError(
            f"{series.parts} files of an enhanced CT in several files (a concatenation) are not there, expected all; copy the "
            "series again"
        )


def _series(path: Path, files: FileSet, group: list[FoundFile], others: int) -> Series:
    images = [image for found in group for image in found.images]
    left_out = Counter(image for image in images if isinstance(image, str))
    wanted = [found for found in group if any(not isinstance(image, str) for image in found.images)] or group
    said = [{found.person[at] for found in wanted} - {None} for at in range(len(PERSON))]
    parts = {found.part for found in wanted if found.part is not None}
    return Series(
        path,
        files,
        group[0].series_uid,
        wanted[0].number,
        wanted[0].study_uid,
        planes=tuple(image for image in images if isinstance(image, Plane)),
        left_out=tuple(sorted(left_out.items())),
        first_file=group[0].file,
        unusable=tuple(image for image in images if isinstance(image, Unusable)),
        patients=max(1, *map(len, said)),
        studies=max(1, len({found.study_uid for found in wanted} - {""})),
        parts=max((total for _, total in parts), default=0) - len({number for number, _ in parts}),
        others=others,
    )
