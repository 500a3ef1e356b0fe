"""What a worker counts, for Prometheus: numbers and states alone, nothing of a study and nothing of who sent it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from flare_trt.engine.apps.pacs.study_queue import STATES, StudyQueue
from flare_trt.engine.base.errors import ServiceError, reason_of
from flare_trt.kernels.host_memory import resident_bytes

#: What became of an image that was sent; of a run; of results that were sent to the archive.
ImageOutcome = Literal["kept", "discarded", "not_understood", "not_kept"]
RunOutcome = Literal["segmented", "refused", "failed", "stopped", "dropped"]
SendOutcome = Literal["kept", "later", "refused"]
_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)


class Metrics:
    """Counters of one worker since its start, and the states of its queue. Every name begins with flare_trt_."""

    def __init__(self, queue: StudyQueue) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = self._registry = CollectorRegistry()
        self._images = Counter("flare_trt_images", "Images that came by C-STORE, by outcome", ["outcome"], registry=registry)
        self._rejected = Counter("flare_trt_rejected_senders", "Associations of unknown senders", registry=registry)
        self._runs = Counter("flare_trt_runs", "Runs of studies by outcome", ["outcome"], registry=registry)
        self._sends = Counter("flare_trt_sends", "Attempts to send results by outcome", ["outcome"], registry=registry)
        self._seconds = Histogram(
            "flare_trt_segmentation_seconds", "Read, segment and write a study", registry=registry, buckets=_SECONDS
        )
        memory = Gauge("flare_trt_resident_memory_bytes", "Memory of the worker in RAM", registry=registry)
        memory.set_function(resident_bytes)
        free = Gauge("flare_trt_disk_free_bytes", "Free space where the queue lies", registry=registry)
        free.set_function(lambda: shutil.disk_usage(queue.folder).free)
        registry.register(_States(queue))

    def image(self, outcome: ImageOutcome) -> None:
        """One more image came."""
        self._images.labels(outcome).inc()

    def rejected(self) -> None:
        """One more sender was not let in."""
        self._rejected.inc()

    def run(self, outcome: RunOutcome, seconds: float) -> None:
        """A run ended after so long."""
        self._runs.labels(outcome).inc()
        if outcome == "segmented":
            self._seconds.observe(seconds)

    def send(self, outcome: SendOutcome) -> None:
        """Results were sent, or could not be."""
        self._sends.labels(outcome).inc()

    @contextmanager
    def served(self, place: tuple[str, int] | None) -> Iterator[None]:
        """Give them out over HTTP (host, port) within the block; None: nowhere. Raises ServiceError where the port is taken."""
        from prometheus_client import start_http_server

        if place is None:
            yield
            return
        host, port = place
        try:
            server, thread = start_http_server(port, host, self._registry)
        except OSError as error:
            raise ServiceError(f"--metrics {host}:{port}: {reason_of(error)}; choose another address") from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _States:
    """The states of a queue at the moment of asking."""

    def __init__(self, queue: StudyQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Any]:
        """For prometheus_client."""
        from prometheus_client.core import GaugeMetricFamily

        counts = self._queue.counts()
        words = {False: "Studies in the queue by state", True: "Studies with a problem by state"}
        for problem, name in ((False, "flare_trt_studies"), (True, "flare_trt_studies_with_problem")):
            family = GaugeMetricFamily(name, words[problem], labels=["state"])
            for state in STATES:
                family.add_metric([state], counts.get((state, True), 0) + (0 if problem else counts.get((state, False), 0)))
            yield family
