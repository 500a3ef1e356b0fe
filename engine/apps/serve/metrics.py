"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from flare_trt.kernels.host_memory import resident_bytes

_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)


class Metrics:
    """Counters of one server. Every name begins with flare_trt_."""

    def __init__(self, queue_length: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._jobs = Counter("flare_trt_jobs", "Jobs by outcome", ["outcome"], registry=self._registry)
        self._seconds = Histogram(
            "flare_trt_segmentation_seconds", "Read, segment and write a scan", registry=self._registry, buckets=_SECONDS
        )
        queue = Gauge("flare_trt_queue_length", "Jobs that are uploading or queued", registry=self._registry)
        queue.set_function(queue_length)
        memory = Gauge("flare_trt_resident_memory_bytes", "Memory of the server in RAM", registry=self._registry)
        memory.set_function(resident_bytes)

    def count(self, outcome: str) -> None:
        """One more job with this outcome: served_job.Outcome, or refused."""
        self._jobs.labels(outcome).inc()

    def time(self, seconds: float) -> None:
        """How long a job that is done took."""
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
