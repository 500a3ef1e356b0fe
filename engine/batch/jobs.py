"""From what the user names to a list of jobs: which scans, and where the labels, report and preview of each go.

Everything that can be refused is refused here, before a network is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flare_trt.engine.base.errors import InputError, OutputError, reason_of
from flare_trt.engine.base.files import files_with, has_ending, require_place
from flare_trt.engine.batch.channel_files import first_channels, further_channels
from flare_trt.engine.batch.names import ScanNames, is_pattern, needs_uids, with_uids
from flare_trt.engine.results.dicom.stable import SegType
from flare_trt.engine.results.label_files import DICOM_ENDING, LABEL_ENDINGS, DicomWishes, fits_scan, require_writable
from flare_trt.engine.results.probability_files import ENDING as PROBABILITIES_ENDING
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice
from flare_trt.engine.scans.dicom.dicomdir import described_folder, is_dicomdir
from flare_trt.engine.scans.image_files import ENDINGS, ending_of
from flare_trt.engine.scans.open_scan import is_dicom, open_scan, require_scan
from flare_trt.engine.scans.scan_reader import SlabReader

#: What a report may be: for programs, or a page to read. A folder gets the first.
REPORT_ENDINGS = (".json", ".html")
#: Of files that are wanted now and then where another kind is written; no folder is made under such a name.
_OTHER_ENDINGS = (
    *(
        ".nii",
        ".gz",
        ".mhd",
        ".nhdr",
        ".hdr",
        ".img",
        ".mgz",
        ".mgh",
        ".mnc",
        ".vtk",
        ".stl",
        ".dcm",
        ".npy",
        ".npz",
    ),
    *(".json", ".html", ".htm", ".txt", ".csv", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".zip"),
)


@dataclass(frozen=True)
class Job:
    """One scan to segment; `others` are the files of its further channels.

    `report`, `preview` and `rtstruct` None are not wanted; `choice` as in open_scan.open_scan. `source` is its reader where
    planning has looked into it: the headers of a series are read once.
    """

    scan: Path
    labels: Path
    report: Path | None = None
    preview: Path | None = None
    rtstruct: Path | None = None
    sr: Path | None = None
    seg_type: SegType = "binary"
    choice: SeriesChoice = ONLY_SERIES
    hash_uids: bool = False
    probabilities: Path | None = None
    others: tuple[Path, ...] = ()
    source: SlabReader | None = field(default=None, compare=False, repr=False)

    def open(self) -> SlabReader:
        """The scan's reader. Raises InputError."""
        return self.source or open_scan(self.scan, self.choice)

    def open_others(self) -> tuple[SlabReader, ...]:
        """The readers of its further channels. Raises InputError."""
        return tuple(open_scan(path) for path in self.others)

    @property
    def wishes(self) -> DicomWishes:
        """What is wanted in DICOM beside the labels."""
        return DicomWishes(self.rtstruct, self.sr, self.seg_type)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        wanted = (self.labels, self.report, self.preview, self.rtstruct, self.sr, self.probabilities)
        return tuple(path for path in wanted if path is not None)


@dataclass(frozen=True)
class Destination:
    """Where results go: each is a file (one scan), a folder, or a file name with `{case}` or the like in it (see names).

    `hash_uids` keeps the study's and the series' UIDs out of the report.
    """

    labels: Path
    report: Path | None = None
    preview: Path | None = None
    rtstruct: Path | None = None
    sr: Path | None = None
    seg_type: SegType = "binary"
    hash_uids: bool = False
    probabilities: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """What is wanted."""
        wanted = (self.labels, self.report, self.preview, self.rtstruct, self.sr, self.probabilities)
        return tuple(path for path in wanted if path is not None)


def plan_jobs(
    inputs: Sequence[Path], destination: Destination, choice: SeriesChoice = ONLY_SERIES, channels: Sequence[str] = ("CT",)
) -> tuple[Job, ...]:
    """The jobs for these files and folders of scans, and folders and zips of DICOM series (each of them one scan).

    Where there are several `channels`, files are grouped to cases by nnU-Net's numbers (channel_files.py).

    A DICOM scan that comes alone is looked into here; of several, each when its turn comes, so that a bad one stops no other. Where
    a name holds {study} or {series} all are, and one that cannot be read fails in its turn.
    Raises InputError or OutputError; makes no folder.
    """
    scans = first_channels(named_scans(inputs), channels)
    one = len(scans) == 1 and (scans[0] == inputs[0] or not inputs[0].is_dir())
    jobs = tuple(_job(scan, destination, _names(scan, destination, choice, number), one) for number, scan in enumerate(scans, 1))
    jobs = tuple(replace(job, choice=choice, hash_uids=destination.hash_uids) for job in jobs)
    return _checked([replace(job, others=further_channels(job.scan, channels)) for job in jobs])


def plan_named(files: Sequence[Path], destination: Destination, choice: SeriesChoice = ONLY_SERIES) -> tuple[Job, ...]:
    """The one job of a scan whose channels have a file each, in the model's order; `choice` is the first one's.

    Raises InputError or OutputError.
    """
    for file in files:
        require_scan(_there(file))
    jobs = plan_jobs(files[:1], destination, choice)
    if len(jobs) != 1:
        raise InputError(f"{files[0]}: got a folder of {len(jobs)} scans, expected one file, or a DICOM series")
    return _checked([replace(jobs[0], others=tuple(files[1:]))])


def _checked(jobs: Sequence[Job]) -> tuple[Job, ...]:
    _refuse_collisions(jobs)
    for job in jobs:
        _refuse_kinds(job, len(jobs))
    if len(jobs) == 1 and is_dicom(jobs[0].scan):
        jobs = (replace(jobs[0], source=jobs[0].open()),)
        require_writable(jobs[0].outputs, jobs[0].open())
    return tuple(jobs)


def _job(scan: Path, destination: Destination, names: ScanNames, one: bool) -> Job:
    def target(given: Path | None, endings: tuple[str, ...]) -> Path | None:
        return None if given is None else _target(given, endings, names, one)

    return Job(
        scan,
        _target(destination.labels, tuple(dict.fromkeys((ending_of(scan), *LABEL_ENDINGS))), names, one),
        target(destination.report, REPORT_ENDINGS),
        target(destination.preview, (".png",)),
        target(destination.rtstruct, (DICOM_ENDING,)),
        target(destination.sr, (DICOM_ENDING,)),
        destination.seg_type,
        probabilities=target(destination.probabilities, (PROBABILITIES_ENDING,)),
    )


def _names(scan: Path, destination: Destination, choice: SeriesChoice, number: int) -> ScanNames:
    """The scan's names; its header is read where a result is called by its UIDs."""
    names = ScanNames.of(scan)
    return with_uids(names, scan, choice, number) if any(map(needs_uids, destination.paths)) else names


def make_folders(jobs: Sequence[Job]) -> None:
    """Make the folders that results go to, and try whether they take files. Raises OutputError."""
    for folder in sorted({path.parent for job in jobs for path in job.outputs}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: the folder cannot be made: {reason_of(error)}; choose another place") from error
    for job in jobs:
        for path in job.outputs:
            require_place(path)


def is_finished(job: Job) -> bool:
    """Whether a job's files are all there and its labels are whole, readable and on the scan's grid."""
    if not all(path.is_file() for path in job.outputs):
        return False
    try:
        return fits_scan(job.labels, job.open())
    except InputError:
        return False


def named_scans(inputs: Sequence[Path]) -> list[Path]:
    """Each scan that files and folders stand for. Raises InputError where one is not there, or the only one is no scan."""
    found: list[Path] = []
    for named in inputs:
        _there(named)
        try:
            path = described_folder(named) if is_dicomdir(named) else named
            scans = _image_files(path) if path.is_dir() else []
            if not scans:
                require_scan(path)
            found += scans or [path]
        except InputError:
            if len(inputs) == 1:
                raise
            found.append(named)  # of several, its reader says so in its turn
    return found


def _there(named: Path) -> Path:
    if not named.exists():
        raise InputError(f"{named}: there is no such file or folder")
    return named


def _image_files(folder: Path) -> list[Path]:
    """The image files in a folder; none where it cannot be read, which its reader will say in its turn."""
    try:
        return files_with(folder, ENDINGS)
    except OSError:
        return []


def _target(given: Path, endings: tuple[str, ...], names: ScanNames, one: bool) -> Path:
    """`given` itself where it names a file, with the scan's names for `{case}` and the like; else a file in the folder `given`."""
    if is_pattern(given):
        given, one = names.filled(given), one or has_ending(given, endings)
    if not has_ending(given, endings) or given.is_dir():
        if given.is_file() or (has_ending(given, _OTHER_ENDINGS) and not given.is_dir()):
            raise OutputError(f"{given}: expected a folder, or a name that ends in {' or '.join(endings)}")
        return given / (names.case + endings[0])
    if not one:
        raise OutputError(
            f"{given}: this names one file, expected a folder for the results of several scans, or {{case}} in the name"
        )
    return given


def _refuse_kinds(job: Job, jobs: int) -> None:
    """Refuse what only a DICOM series can give, and a choice of one series for several scans."""
    if not has_ending(job.labels, (DICOM_ENDING,)):
        if job.sr is not None:
            raise OutputError(f"{job.sr}: an SR refers to a DICOM-SEG, got {job.labels.name} as labels; name a .dcm file with -o")
        if job.seg_type != "binary":
            raise OutputError(f"{job.labels}: --seg-type is a DICOM-SEG's, got another kind of file; name a .dcm file")
    if not is_dicom(job.scan):
        wanted = [path for path in job.outputs if has_ending(path, (DICOM_ENDING,))]
        if wanted:
            raise OutputError(f"{wanted[0]}: DICOM output needs a DICOM scan, got {job.scan}; name a .nii.gz file instead")
        if job.choice != ONLY_SERIES:
            raise InputError(
                f"{job.scan}: a series can be chosen in a DICOM folder or zip only; leave out --series, --pick, "
                "--acquisition, --correct-tilt"
            )
    elif job.choice.uid is not None and jobs > 1:
        raise InputError(f"--series chooses one series, got {jobs} scans; name one folder or zip")


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    scans = {path.resolve(): path for job in jobs for path in (job.scan, *job.others)}
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
