"""One scan from file to files: read it, segment it, write its labels, report and preview."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flare_trt.engine.base.errors import OutputError, without_frames
from flare_trt.engine.base.files import atomic_file, require_place
from flare_trt.engine.base.organs import is_tumour
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.units import MB
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.case_numbers import uids
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import SCAN_ERRORS, ScanError, Steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.contrast_phase import NO_PHASE, contrast_phase
from flare_trt.engine.results.dicom.measurement_report import Measured
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.results.label_files import require_makeable, write_contours, write_label_file, write_sr
from flare_trt.engine.results.lesions import measure_tumour, with_certainty
from flare_trt.engine.results.measures import measure_organs
from flare_trt.engine.results.memory_curve import MemoryRecorder
from flare_trt.engine.results.preview import WINDOW_HU, Pictures, pictures, side_by_side, slice_strip, value_window
from flare_trt.engine.results.probability_files import write_probabilities
from flare_trt.engine.results.report_files import write_report
from flare_trt.engine.results.scan_report import ScanReport, is_page, linked_slices
from flare_trt.engine.scans.ct_checks import ct_warnings
from flare_trt.engine.scans.scan_reader import SlabReader, require_same_grid, spooled_channel, varied, whole_channel

if TYPE_CHECKING:  # it loads while the first scan is read
    from flare_trt.engine.segmenter import Segmentation, StageProgress

#: A scan that takes more than this share of the memory budget stays on disk.
_SPOOLED_SHARE = 0.25


@dataclass(frozen=True)
class Scan:
    """A scan as read, its reader (for what the outputs need of the header), and what looked odd.

    `doubts` is what does not look like a CT, which matters where the model takes one.
    """

    ct: Volume
    source: SlabReader
    warnings: tuple[str, ...]
    read_s: float
    memory: MemoryRecorder
    doubts: tuple[str, ...] = ()


class PartlyWrittenError(OutputError):
    """Some files of a segmented scan could not be written; `report` has its numbers all the same."""

    report: ScanReport


class SegmentsScans(Protocol):
    """What is needed of engine.segmenter.Segmenter."""

    spec: ModelSpec

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation: ...


def ct_reader(options: RunOptions, channels: int = 1) -> Callable[[SlabReader], Volume]:
    """How scans are read, one channel at a time: into memory, or onto the disk where all would take much of the budget."""
    whole, max_memory_mb = partial(whole_channel, threads=options.threads), options.max_memory_mb
    if max_memory_mb is None:
        return whole

    def read(source: SlabReader) -> Volume:
        held = channels * prod(source.grid.shape_zyx) * source.dtype.itemsize
        return (spooled_channel if held > max_memory_mb * MB * _SPOOLED_SHARE else whole)(source)

    return read


def scan_steps(
    segmenter: SegmentsScans, read: Callable[[SlabReader], Volume], progress: Callable[[Job], StageProgress | None]
) -> Steps[Job, Scan, Segmentation, ScanReport]:
    """The steps for engine.batch. `read` is a `ct_reader`; `progress(job)` gives what is called at each tile."""

    def segment(job: Job, scan: Scan) -> Segmentation:
        for path in job.outputs:
            require_place(path)
        require_makeable(job.labels, job.wishes, scan.source, segmenter.spec)
        return segment_scan(segmenter, scan, progress(job))

    def write(job: Job, scan: Scan, found: Segmentation) -> ScanReport:
        return write_results(job, scan, found, segmenter.spec)

    return Steps(job_reader(read), segment, write)


def job_reader(read: Callable[[SlabReader], Volume]) -> Callable[[Job], Scan]:
    """The first of the steps alone."""
    return lambda job: read_scan(job.open, read, job.open_others)


def read_scan(
    opened: Callable[[], SlabReader], read: Callable[[SlabReader], Volume], others: Callable[[], Sequence[SlabReader]] = tuple
) -> Scan:
    """Read and look over a CT, or a scan with its further channels. Raises InputError."""
    watch, memory = Stopwatch(), MemoryRecorder()
    with watch.phase("read"), memory.phase("read"):
        source, further = opened(), others()
        for other in further:
            require_same_grid(source, other)
        ct = varied(replace(read(source), others=tuple(read(other) for other in further)), source)
        doubts = ct_warnings(ct)
    return Scan(ct, source, source.warnings, watch.seconds["read"], memory, doubts)


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
    """Write what the job asks for, the report last. One that fails stops no other; then raises PartlyWrittenError in the end."""
    watch, memory, outputs = Stopwatch(), scan.memory, _Outputs()
    with watch.phase("write"), memory.phase("write"):
        making = Making.of(found.report, job.seg_type)
        outputs.write(job.labels, lambda path: write_label_file(path, scan.source, found.labels, spec, making))
        outputs.write(job.probabilities, partial(_write_probabilities, found, spec))
        outputs.write(job.rtstruct, lambda path: write_contours(path, scan.source, found.labels, spec, making))
    with watch.phase("measure"), memory.phase("measure"):
        organs = measure_organs(scan.ct, found.labels, spec.looked_for)
        measured_tumours = (measure_tumour(scan.ct, found.labels, organ, organs) for organ in organs if is_tumour(organ.name))
        tumours = tuple(with_certainty(tumour, found.report.kept) for tumour in measured_tumours)
        measured = Measured(found.labels, organs, tumours, found.report.looked)
        outputs.write(job.sr, lambda path: write_sr(path, job.labels, scan.source, measured, spec, making))
    shown = None
    if job.preview is not None or is_page(job.report):
        with watch.phase("preview"), memory.phase("preview"):
            shown = _pictures(scan.ct, found.labels, spec, linked_slices(organs, tumours) if is_page(job.report) else None)
            outputs.write(job.preview, partial(_write_preview, shown))
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
        warnings=scan.warnings + (scan.doubts if spec.takes_ct else ()) + found.report.warnings + outputs.warnings,
        study_uid=study_uid,
        series_uid=series_uid,
        phase=contrast_phase(organs) if spec.takes_ct else NO_PHASE,
    )
    outputs.write(job.report, lambda path: write_report(path, report, spec.labels, shown))
    outputs.require_all(report)
    return report


def _pictures(ct: Volume, labels: Volume, spec: ModelSpec, linked: Sequence[int] | None) -> Pictures:
    """What a preview shows, and for a page the strip of slices, with the `linked` ones in it."""
    window = WINDOW_HU if spec.takes_ct else value_window(ct)
    shown = pictures(ct, labels, spec.labels, window)
    return shown if linked is None else replace(shown, strip=slice_strip(ct, labels, spec.labels, linked, window))


def _write_probabilities(found: Segmentation, spec: ModelSpec, path: Path) -> tuple[str, ...]:
    if found.probabilities is None:
        raise OutputError(f"{path}: the model kept no probabilities, expected one opened with RunOptions(probabilities=True)")
    return write_probabilities(path, found.probabilities, spec.fine.reader)


def _write_preview(shown: Pictures, path: Path) -> tuple[str, ...]:
    with atomic_file(path) as file:
        file.write(side_by_side(shown))
    return ()


@dataclass
class _Outputs:
    """The files of one scan, written one after another; what fails is noted, and raised when all have had their turn."""

    written: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    errors: list[ScanError] = field(default_factory=list)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.noted)) + tuple(f"not written: {_words(error)}" for error in self.errors)

    def write(self, path: Path | None, write: Callable[[Path], tuple[str, ...]]) -> None:
        """`write` makes the file and returns warnings. A path of None is not wanted."""
        if path is None:
            return
        try:
            self.noted += write(path)
            self.written.append(path.name)
        except SCAN_ERRORS as error:
            self.errors.append(without_frames(error))

    def require_all(self, report: ScanReport) -> None:
        """Raises PartlyWrittenError where a file was not written; the report then bears all of these errors."""
        if self.errors:
            kept = f"; written all the same: {', '.join(self.written)}" if self.written else ""
            error = PartlyWrittenError("; ".join(map(_words, self.errors)) + kept)
            error.report = replace(report, warnings=tuple(dict.fromkeys(report.warnings + self.warnings)))
            raise error from self.errors[0]


def _words(error: ScanError) -> str:
    return str(error) or type(error).__name__
