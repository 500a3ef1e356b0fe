"""What a server does with one upload: read, segment, write; between any two tiles the job may be stopped."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.served_job import DICOM_KINDS, VIEWER, ServedJob
from flare_trt.engine.apps.serve.uploads import take_scan
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import SCAN_ERRORS
from flare_trt.engine.batch.scan_steps import Scan, SegmentsScans, ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.dicom.measurement_report import Measured
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.results.label_files import write_contours, write_label_file, write_sr
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.results.viewer.page import keep_view
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import SlabReader
from flare_trt.engine.segmenter import Segmentation

#: Makes a job's labels and report. Raises JobStopped, or batch.SCAN_ERRORS.
SegmentUpload = Callable[[ServedJob], None]


def upload_steps(
    segmenter: SegmentsScans, options: RunOptions, correct_tilt: bool = False, most_bytes: int = Limits().upload_bytes
) -> SegmentUpload:
    """The steps with a segmenter that was opened with `options`, for whose memory budget large scans are kept on the disk.

    `correct_tilt`: a DICOM series of a tilted gantry is resampled onto an upright grid, which is refused without. `most_bytes`:
    what an upload may take unpacked; a megabyte of zeros can stand for a gigabyte of voxels.
    """
    read = _bounded(ct_reader(options), most_bytes)

    def segment(served: ServedJob) -> None:
        job = Job(served.upload, served.labels, served.page if served.pages else served.report, served.preview)
        steps = scan_steps(segmenter, read, lambda job: served.on_tile)
        try:
            scan = take_scan(job.scan, read, served.choice, correct_tilt)
            if not (served.kept or isinstance(scan.source, DicomReader)):
                served.forget_upload()  # DICOM results take from the headers who and which study it is
            served.require_wanted()
            found = steps.segment(job, scan)
            report = steps.write(job, scan, found)
            served.require_wanted()
            if served.pages:
                write_json(served.report, report.as_json())
                _keep_view(served, scan, found, segmenter.spec)
                served.require_wanted()
            _write_dicom(served, scan, found, report, segmenter.spec)
            served.require_wanted()
        finally:
            if not served.kept:  # else its service does, once it knows how the job ended
                served.forget_upload()

    return segment


def _bounded(read: Callable[[SlabReader], Volume], most_bytes: int) -> Callable[[SlabReader], Volume]:
    def bounded(source: SlabReader) -> Volume:
        size = prod(source.grid.shape_zyx) * source.dtype.itemsize
        if size > most_bytes:
            raise InputError(f"{source.path}: the scan takes {size} bytes unpacked, expected at most {most_bytes}; crop it")
        return read(source)

    return bounded


def _keep_view(served: ServedJob, scan: Scan, found: Segmentation, spec: ModelSpec) -> None:
    """Keep what the viewer's page shows; a server without niivue notes that it has none."""
    try:
        keep_view(scan.ct, served.labels, found.labels, spec)
    except SCAN_ERRORS as error:
        served.missing[VIEWER] = served.words_of(error)


def _write_dicom(served: ServedJob, scan: Scan, found: Segmentation, report: ScanReport, spec: ModelSpec) -> None:
    """Write what a DICOM upload gets in DICOM; what cannot be made of this series is noted, and fails nothing else."""
    if not isinstance(scan.source, DicomReader):
        served.missing.update(dict.fromkeys(DICOM_KINDS, "DICOM results are made of a zip of DICOM, got a NIfTI file"))
        return
    source, labels, making = scan.source, found.labels, Making.of(found.report, "binary")
    measured = Measured(labels, report.organs, report.tumours, found.report.looked)
    seg = served.dicom("seg")
    writes: dict[str, Callable[[Path], object]] = {
        "seg": lambda path: write_label_file(path, source, labels, spec, making),
        "sr": lambda path: write_sr(path, seg, source, measured, spec, making),
        "rtstruct": lambda path: write_contours(path, source, labels, spec, making),
    }
    for kind, write in writes.items():
        try:
            write(served.dicom(kind))
        except SCAN_ERRORS as error:
            served.missing[kind] = served.words_of(error)
