"""From what the user names to a list of jobs: which scans, and where the labels, report and preview of each go.

Everything that can be refused is refused here, before a network is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.errors import InputError, OutputError
from flare_trt.engine.nifti import ENDINGS, NiftiReader, read_labels

#: What a report may be: for programs, or a page to read. A folder gets the first.
REPORT_ENDINGS = (".json", ".html")


@dataclass(frozen=True)
class Job:
    """One scan to segment. `report` and `preview` None are not wanted."""

    scan: Path
    labels: Path
    report: Path | None = None
    preview: Path | None = None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        return tuple(path for path in (self.labels, self.report, self.preview) if path is not None)


@dataclass(frozen=True)
class Destination:
    """Where results go: `labels`, `report` and `preview` are each a file (one scan) or a folder (any number)."""

    labels: Path
    report: Path | None = None
    preview: Path | None = None


def plan_jobs(inputs: Sequence[Path], destination: Destination) -> tuple[Job, ...]:
    """The jobs for these files and folders of scans. Raises InputError or OutputError; makes no folder."""
    scans = _scans(inputs)
    one = len(scans) == 1 and not inputs[0].is_dir()
    jobs = tuple(
        Job(
            scan,
            _target(destination.labels, ENDINGS, case_name(scan) + ".nii.gz", one),
            destination.report and _target(destination.report, REPORT_ENDINGS, case_name(scan) + REPORT_ENDINGS[0], one),
            destination.preview and _target(destination.preview, (".png",), case_name(scan) + ".png", one),
        )
        for scan in scans
    )
    _refuse_collisions(jobs)
    return jobs


def case_name(scan: Path) -> str:
    """The scan's name without its ending and without FLARE's channel number: case_0000.nii.gz -> case.

    >>> case_name(Path("FLARE22_Tr_0001_0000.nii.gz")), case_name(Path("ct.nii"))
    ('FLARE22_Tr_0001', 'ct')
    """
    name = scan.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
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
        return read_labels(job.labels).grid.same_place(NiftiReader(job.scan).grid)
    except InputError:
        return False


def _scans(inputs: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.name.endswith(ENDINGS) and not file.name.startswith("."))
            if not inside:
                raise InputError(f"{path}: the folder holds no .nii or .nii.gz file; name a folder of scans")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder")
    return found


def _target(given: Path, endings: tuple[str, ...], name: str, one: bool) -> Path:
    """`given` itself where it names a file, else the file `name` in the folder `given`."""
    if not given.name.endswith(endings) or given.is_dir():
        if given.is_file():
            raise OutputError(f"{given}: expected a folder, or a name that ends in {' or '.join(endings)}")
        return given / name
    if not one:
        raise OutputError(f"{given}: this names one file, expected a folder for the results of several scans")
    return given


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    scans = {job.scan.resolve(): job.scan for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        for output in job.outputs:
            place = output.resolve()
            if place in scans:
                raise OutputError(f"{output}: the results of {job.scan} would overwrite a scan; choose another folder")
            if place in taken:
                raise OutputError(f"{output}: both {taken[place]} and {job.scan} would be written here; rename one of them")
            taken[place] = job.scan
