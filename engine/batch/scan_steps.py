"""One scan from file to files: read it, segment it, write its labels, report and preview."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

from flare_trt.engine.base.files import atomic_file, write_json
from flare_trt.engine.base.organs import is_tumour
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.case_numbers import uids
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import Steps
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.passes.pass_memory import MB
from flare_trt.engine.results.contrast_phase import contrast_phase
from flare_trt.engine.results.lesions import measure_tumour
from flare_trt.engine.results.measures import measure_organs
from flare_trt.engine.results.memory_curve import MemoryRecorder
from flare_trt.engine.results.preview import pictures, side_by_side
from flare_trt.engine.results.scan_report import ScanReport, is_page, write_page
from flare_trt.engine.scans.ct_checks import ct_warnings
from flare_trt.engine.scans.scan_files import write_label_files
from flare_trt.engine.scans.scan_reader import SlabReader, spooled_ct, whole_ct
from flare_trt.engine.segmenter import Segmentation, StageProgress

#: A scan that takes more than this share of the memory budget stays on disk.
_SPOOLED_SHARE = 0.25


@dataclass(frozen=True)
class Scan:
    """A CT as read, its reader (for what the outputs need of the header), and what looked odd."""

    ct: Volume
    source: SlabReader
    warnings: tuple[str, ...]
    read_s: float
    memory: MemoryRecorder


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

    def segment(job: Job, scan: Scan) -> Segmentation:
        return segment_scan(segmenter, scan, progress(job))

    def write(job: Job, scan: Scan, found: Segmentation) -> ScanReport:
        return write_results(job, scan, found, segmenter.spec)

    return Steps(job_reader(read), segment, write)


def job_reader(read: Callable[[SlabReader], Volume]) -> Callable[[Job], Scan]:
    """The first of the steps alone."""
    return lambda job: read_scan(job.open, read)


def read_scan(opened: Callable[[], SlabReader], read: Callable[[SlabReader], Volume]) -> Scan:
    """Read and look over a CT. Raises InputError."""
    watch, memory = Stopwatch(), MemoryRecorder()
    with watch.stage("read"), memory.phase("read"):
        source = opened()
        ct = read(source)
        warnings = source.warnings + ct_warnings(ct)
    return Scan(ct, source, warnings, watch.seconds["read"], memory)


def segment_scan(segmenter: SegmentsScans, scan: Scan, progress: StageProgress | None) -> Segmentation:
    """Segment a scan, and mark the coarse and the fine pass on its memory curve: the last coarse tile parts them."""
    start_s = between_s = time.monotonic()

    def noted(stage: str, done: int, total: int) -> None:
        nonlocal between_s
        if stage == "coarse":
            between_s = time.monotonic()
        if progress is not None:
            progress(stage, done, total)

    found = segmenter.segment(scan.ct, noted)
    if between_s > start_s:
        scan.memory.mark("coarse", start_s, between_s)
    scan.memory.mark("fine", between_s, time.monotonic())
    return found


def write_results(job: Job, scan: Scan, found: Segmentation, spec: ModelSpec) -> ScanReport:
    """Write what the job asks for, the report last. Raises OutputError."""
    watch, memory, shown = Stopwatch(), scan.memory, None
    with watch.stage("write"), memory.phase("write"):
        write_label_files(job.labels, job.rtstruct, scan.source, found.labels, spec)
    with watch.stage("measure"), memory.phase("measure"):
        organs = measure_organs(scan.ct, found.labels, spec.label_names)
        tumours = tuple(measure_tumour(found.labels, organ) for organ in organs if is_tumour(organ.name))
    if job.preview is not None or is_page(job.report):
        with watch.stage("preview"), memory.phase("preview"):
            shown = pictures(scan.ct, found.labels, spec.labels)
            if job.preview is not None:
                with atomic_file(job.preview) as file:
                    file.write(side_by_side(shown))
    study_uid, series_uid = uids(scan.source, job.hash_uids)
    stages = {"read": scan.read_s, **found.report.stages, **watch.seconds}
    report = ScanReport(
        scan=job.scan.name,
        labels=job.labels.name,
        shape_zyx=scan.ct.grid.shape_zyx,
        spacing_mm=scan.ct.grid.spacing_mm,
        orientation=scan.ct.grid.orientation,
        organs=organs,
        tumours=tumours,
        licence=spec.provenance.licence,
        run=replace(found.report, stages={name: round(seconds, 4) for name, seconds in stages.items()}),
        memory=memory.curve(),
        warnings=scan.warnings + found.report.warnings,
        study_uid=study_uid,
        series_uid=series_uid,
        phase=contrast_phase(organs),
    )
    if job.report is not None and shown is not None and is_page(job.report):
        write_page(job.report, report, spec.labels, shown)
    elif job.report is not None:
        write_json(job.report, report.as_json())
    return report
