"""What a server does with one upload: read, segment, write; between any two tiles the job may be stopped."""

from __future__ import annotations

from collections.abc import Callable

from flare_trt.engine.apps.serve.served_job import ServedJob
from flare_trt.engine.apps.serve.uploads import take_scan
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.scan_steps import SegmentsScans, ct_reader, scan_steps

#: Makes a job's labels and report. Raises JobStopped, or batch.SCAN_ERRORS.
SegmentUpload = Callable[[ServedJob], None]


def upload_steps(segmenter: SegmentsScans, max_memory_mb: int | None) -> SegmentUpload:
    """The steps with an open segmenter; `max_memory_mb` is its budget, which large scans are kept on the disk for."""
    read = ct_reader(max_memory_mb)

    def segment(served: ServedJob) -> None:
        job = Job(served.upload, served.labels, served.report)
        steps = scan_steps(segmenter, read, lambda job: served.on_tile)
        scan = take_scan(job.scan, read, served.choice)
        served.require_wanted()
        found = steps.segment(job, scan)
        steps.write(job, scan, found)
        served.require_wanted()

    return segment
