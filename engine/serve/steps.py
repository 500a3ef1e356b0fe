"""What a server does with one upload: read, segment, write; between any two tiles the job may be stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flare_trt.engine.atomic_file import write_json
from flare_trt.engine.jobs import Job
from flare_trt.engine.scan_steps import SegmentsScans, ct_reader, write_results
from flare_trt.engine.serve.served_job import ServedJob
from flare_trt.engine.serve.uploads import take_scan

#: Makes a job's labels and report. Raises JobStopped, or batch.SCAN_ERRORS.
SegmentUpload = Callable[[ServedJob], None]


def upload_steps(segmenter: SegmentsScans, max_memory_mb: int | None) -> SegmentUpload:
    """The steps with an open segmenter; `max_memory_mb` is its budget, which large scans are kept on the disk for."""
    read = ct_reader(max_memory_mb)

    def segment(job: ServedJob) -> None:
        scan = take_scan(job.upload, read)
        job.require_wanted()
        found = segmenter.segment(scan.ct, job.on_tile)
        report = write_results(Job(job.upload, job.labels), scan, found, segmenter.spec)
        job.require_wanted()
        write_json(job.report, replace(report, scan=job.upload.name, labels=job.labels.name).as_json())

    return segment
