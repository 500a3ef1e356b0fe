"""One scan from file to files: read it, segment it, write its labels, report and preview."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol

from flare_trt.engine.atomic_file import atomic_file, write_json
from flare_trt.engine.batch import Steps
from flare_trt.engine.grid import Shape, Vector
from flare_trt.engine.jobs import Job
from flare_trt.engine.measures import OrganMeasure, measure_organs
from flare_trt.engine.memory import MB
from flare_trt.engine.preview import preview_png
from flare_trt.engine.report import RunReport
from flare_trt.engine.sanity import ct_warnings
from flare_trt.engine.scan_files import open_scan, write_label_files
from flare_trt.engine.segmenter import Segmentation, StageProgress
from flare_trt.engine.slab_reader import SlabReader, spooled_ct, whole_ct
from flare_trt.engine.spec import ModelSpec
from flare_trt.engine.stopwatch import Stopwatch
from flare_trt.engine.volume import Volume

#: A scan that takes more than this share of the memory budget stays on disk.
_SPOOLED_SHARE = 0.25


@dataclass(frozen=True)
class Scan:
    """A CT as read, its reader (for what the outputs need of the header), and what looked odd."""

    ct: Volume
    source: SlabReader
    warnings: tuple[str, ...]
    read_s: float


@dataclass(frozen=True)
class ScanReport:
    """Everything worth keeping about one segmented scan, JSON-ready. `warnings` holds all there are, the run's too."""

    scan: str
    labels: str
    shape_zyx: Shape
    spacing_mm: Vector
    orientation: str
    organs: tuple[OrganMeasure, ...]
    run: RunReport
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for json.dumps."""
        return asdict(self)


class SegmentsScans(Protocol):
    """What is needed of engine.segmenter.Segmenter."""

    spec: ModelSpec

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation: ...


def ct_reader(max_memory_mb: int | None) -> Callable[[SlabReader], Volume]:
    """How scans are read: into memory, or onto the disk where one would take much of the budget."""
    if max_memory_mb is None:
        return whole_ct

    def read(source: SlabReader) -> Volume:
        held = prod(source.grid.shape_zyx) * source.dtype.itemsize
        return (spooled_ct if held > max_memory_mb * MB * _SPOOLED_SHARE else whole_ct)(source)

    return read


def scan_steps(
    segmenter: SegmentsScans, read: Callable[[SlabReader], Volume], progress: Callable[[Job], StageProgress | None]
) -> Steps[Job, Scan, Segmentation, ScanReport]:
    """The steps for engine.batch. `read` is a `ct_reader`; `progress(job)` gives what is called at each tile."""

    def read_job(job: Job) -> Scan:
        return read_scan(job.scan, read, job.series)

    def segment(job: Job, scan: Scan) -> Segmentation:
        return segmenter.segment(scan.ct, progress(job))

    def write(job: Job, scan: Scan, found: Segmentation) -> ScanReport:
        return write_results(job, scan, found, segmenter.spec)

    return Steps(read_job, segment, write)


def read_scan(path: Path, read: Callable[[SlabReader], Volume], series: str | None = None) -> Scan:
    """Read and look over a CT; `series` as in scan_files.open_scan. Raises InputError."""
    watch = Stopwatch()
    with watch.stage("read"):
        source = open_scan(path, series)
        ct = read(source)
        warnings = source.warnings + ct_warnings(ct)
    return Scan(ct, source, warnings, watch.seconds["read"])


def write_results(job: Job, scan: Scan, found: Segmentation, spec: ModelSpec) -> ScanReport:
    """Write what the job asks for, the report last. Raises OutputError."""
    watch = Stopwatch()
    with watch.stage("write"):
        write_label_files(job.labels, job.rtstruct, scan.source, found.labels, spec)
    with watch.stage("measure"):
        organs = measure_organs(scan.ct, found.labels, spec.label_names)
    if job.preview is not None:
        with watch.stage("preview"), atomic_file(job.preview) as file:
            file.write(preview_png(scan.ct, found.labels, spec.labels))
    stages = {"read": scan.read_s, **found.report.stages, **watch.seconds}
    report = ScanReport(
        scan=str(job.scan),
        labels=str(job.labels),
        shape_zyx=scan.ct.grid.shape_zyx,
        spacing_mm=scan.ct.grid.spacing_mm,
        orientation=scan.ct.grid.orientation,
        organs=organs,
        run=replace(found.report, stages={name: round(seconds, 4) for name, seconds in stages.items()}),
        warnings=scan.warnings + found.report.warnings,
    )
    if job.report is not None:
        write_json(job.report, report.as_json())
    return report
