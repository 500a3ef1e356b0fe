"""From what the user names to a list of jobs: which scans, and where the labels, report and preview of each go.

Everything that can be refused is refused here, before a network is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.scans.dicom.series import holds_dicom
from flare_trt.engine.scans.nifti import ENDINGS
from flare_trt.engine.scans.scan_files import DICOM_ENDING, LABEL_ENDINGS, fits_scan, is_dicom, open_scan, require_writable
from flare_trt.engine.scans.scan_reader import SlabReader

#: What a report may be: for programs, or a page to read. A folder gets the first.
REPORT_ENDINGS = (".json", ".html")


@dataclass(frozen=True)
class Job:
    """One scan to segment. `report`, `preview` and `rtstruct` None are not wanted; `series` as in scan_files.open_scan.

    `source` is its reader where planning has looked into it: the headers of a series are read once.
    """

    scan: Path
    labels: Path
    report: Path | None = None
    preview: Path | None = None
    rtstruct: Path | None = None
    series: str | None = None
    source: SlabReader | None = field(default=None, compare=False, repr=False)

    def open(self) -> SlabReader:
        """The scan's reader. Raises InputError."""
        return self.source or open_scan(self.scan, self.series)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        return tuple(path for path in (self.labels, self.report, self.preview, self.rtstruct) if path is not None)


@dataclass(frozen=True)
class Destination:
    """Where results go: each is a file (one scan), a folder, or a file name with `{case}` in it (any number of scans)."""

    labels: Path
    report: Path | None = None
    preview: Path | None = None
    rtstruct: Path | None = None


def plan_jobs(inputs: Sequence[Path], destination: Destination, series: str | None = None) -> tuple[Job, ...]:
    """The jobs for these files and folders of scans, and folders and zips of DICOM series (each of them one scan).

    A DICOM scan that comes alone is looked into here; of several, each when its turn comes, so that a bad one stops no other.
    Raises InputError or OutputError; makes no folder.
    """
    scans = _scans(inputs)
    one = len(scans) == 1 and scans[0] == inputs[0]
    labels, report, preview, rtstruct = destination.labels, destination.report, destination.preview, destination.rtstruct
    jobs = tuple(
        Job(
            scan,
            _target(labels, LABEL_ENDINGS, case_name(scan), one),
            report and _target(report, REPORT_ENDINGS, case_name(scan), one),
            preview and _target(preview, (".png",), case_name(scan), one),
            rtstruct and _target(rtstruct, (DICOM_ENDING,), case_name(scan), one),
            series,
        )
        for scan in scans
    )
    _refuse_collisions(jobs)
    for job in jobs:
        _refuse_kinds(job, len(jobs))
    if len(jobs) == 1 and is_dicom(jobs[0].scan):
        jobs = (replace(jobs[0], source=jobs[0].open()),)
        require_writable(jobs[0].outputs, jobs[0].open())
    return jobs


def case_name(scan: Path) -> str:
    """The scan's name without its ending and without FLARE's channel number: case_0000.nii.gz -> case.

    Never anything out of the scan's header.

    >>> case_name(Path("FLARE22_Tr_0001_0000.nii.gz")), case_name(Path("ct.nii")), case_name(Path("study.zip"))
    ('FLARE22_Tr_0001', 'ct', 'study')
    """
    name = scan.absolute().resolve().name if scan.name in ("", "..") else scan.name
    for ending in (*sorted(ENDINGS, key=len, reverse=True), ".zip"):
        name = name.removesuffix(ending)
    return name.removesuffix("_0000") or name


def make_folders(jobs: Sequence[Job]) -> None:
    """Make the folders that results go to. Raises OutputError."""
    for folder in sorted({path.parent for job in jobs for path in job.outputs}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: the folder cannot be made: {error.strerror or error}; choose another place") from error


def is_finished(job: Job) -> bool:
    """Whether a job's files are all there and its labels are whole, readable and on the scan's grid."""
    if not all(path.is_file() for path in job.outputs):
        return False
    try:
        return fits_scan(job.labels, job.open())
    except InputError:
        return False


def _scans(inputs: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.name.endswith(ENDINGS) and not file.name.startswith("."))
            if not inside and not holds_dicom(path):
                raise InputError(
                    f"{path}: the folder holds no .nii or .nii.gz file and no DICOM; name a folder of scans or a series"
                )
            found += inside or [path]
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder")
    return found


def _target(given: Path, endings: tuple[str, ...], case: str, one: bool) -> Path:
    """`given` itself where it names a file, with the case's name for `{case}`; else a file in the folder `given`."""
    if "{case}" in given.name and given.name.endswith(endings):
        return given.with_name(given.name.replace("{case}", case))
    if not given.name.endswith(endings) or given.is_dir():
        if given.is_file():
            raise OutputError(f"{given}: expected a folder, or a name that ends in {' or '.join(endings)}")
        return given / (case + endings[0])
    if not one:
        raise OutputError(
            f"{given}: this names one file, expected a folder for the results of several scans, or {{case}} in the name"
        )
    return given


def _refuse_kinds(job: Job, jobs: int) -> None:
    """Refuse what only a DICOM series can give, and a choice of one series for several scans."""
    if not is_dicom(job.scan):
        wanted = [path for path in job.outputs if path.name.endswith(DICOM_ENDING)]
        if wanted:
            raise OutputError(f"{wanted[0]}: DICOM output needs a DICOM scan, got {job.scan}; name a .nii.gz file instead")
        if job.series is not None:
            raise InputError(f"{job.scan}: a series can be chosen in a DICOM folder or zip only; leave --series out")
    elif job.series is not None and jobs > 1:
        raise InputError(f"--series chooses one series, got {jobs} scans; name one folder or zip")


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    scans = {job.scan.resolve(): job.scan for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        for output in job.outputs:
            place = output.resolve()
            if not scans.keys().isdisjoint((place, *place.parents)):
                raise OutputError(
                    f"{output}: the results of {job.scan} would overwrite a scan or lie inside it; choose another folder"
                )
            if place in taken:
                raise OutputError(f"{output}: both {taken[place]} and {job.scan} would be written here; rename one of them")
            taken[place] = job.scan
