"""A bounded queue of uploads before one thread that segments: everything of a server that is not HTTP."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flare_trt.engine.apps.serve.kept_jobs import clear, note, noted_jobs
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.metrics import Metrics
from flare_trt.engine.apps.serve.served_job import JobStopped, Outcome, ServedJob
from flare_trt.engine.apps.serve.shelf import Shelf
from flare_trt.engine.apps.serve.steps import SegmentUpload
from flare_trt.engine.base.errors import OutputError, without_frames
from flare_trt.engine.batch.overlap import SCAN_ERRORS

#: How often the idle thread looks for results that are too old.
_IDLE_S = 30.0
_LOG = logging.getLogger(__name__)


class QueueFull(Exception):  # noqa: N818  # a limit, not a fault
    """No further job is taken now. `retry_after_s` is about when one will be."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Closing(Exception):  # noqa: N818  # a state, not a fault
    """No further job is taken: the server is going down."""


class Service:
    """Takes uploads, segments one after another, keeps results. Any thread may call it; nothing waits for a job."""

    def __init__(self, segment: SegmentUpload, limits: Limits, folder: Path, kept: bool = False) -> None:
        """`kept`: the jobs in `folder` outlast the service; those that are there go on."""
        self.limits = limits
        self.metrics = Metrics(lambda: self.queue_length)
        self._segment, self._folder, self._kept = segment, folder, kept
        self._changed = threading.Condition()
        self._waiting: deque[ServedJob] = deque()
        self._running: ServedJob | None = None
        self._uploading = 0
        self._closed = False
        self._last_s = 5.0
        self._shelf = Shelf(limits)
        for job, age_s in noted_jobs(folder) if kept else ():
            if job.ended.is_set():
                self._shelf.add(job, age_s)
            else:
                self._waiting.append(job)
        self._worker = threading.Thread(target=self._work, name="segment", daemon=True)
        self._worker.start()

    @property
    def queue_length(self) -> int:
        """Jobs that are uploading or queued."""
        return len(self._waiting) + self._uploading

    @property
    def is_alive(self) -> bool:
        """Whether the thread that segments still runs."""
        return self._worker.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether a job would be taken now."""
        return not self._closed and self.is_alive and self.queue_length < self.limits.waiting_jobs

    @contextmanager
    def admitted(self) -> Iterator[ServedJob]:
        """A job with a place in the queue; the block writes its upload. Ends in the queue, or in nothing where the block raises.

        Raises QueueFull and Closing.
        """
        job = self._reserve()
        try:
            job.folder.mkdir(mode=0o700)
            yield job
            note(job)
        except BaseException:
            self._leave(job)
            raise
        self._enqueue(job)

    def find(self, job_id: str) -> ServedJob | None:
        """A job that is queued, running or kept."""
        with self._changed:
            active = [*self._waiting] if self._running is None else [self._running, *self._waiting]
            return next((job for job in active if job.id == job_id and job.stop is None), None) or self._shelf.find(job_id)

    def jobs_before(self, job: ServedJob) -> int:
        """How many jobs come before a queued one; 0 for any other."""
        with self._changed:
            return self._waiting.index(job) + (self._running is not None) if job in self._waiting else 0

    def cancel(self, job: ServedJob) -> None:
        """Forget a job and its files; a running one stops before its next tile."""
        with self._changed:
            if job is self._running:
                job.stop = "cancelled"
            elif job in self._waiting:
                self._waiting.remove(job)
                job.stop = "cancelled"
                self._finish(job, "cancelled")
            elif self._shelf.find(job.id):
                self._shelf.remove(job)

    def drain(self) -> None:
        """Take no more, drop the queue, and wait for the running job; after `limits.grace_s` it is stopped too."""
        with self._changed:
            self._close()
        self._worker.join(self.limits.grace_s)
        self.stop_running()
        self._worker.join()

    def stop_running(self) -> None:
        """Stop the running job before its next tile."""
        with self._changed:
            if self._running is not None:
                self._running.stop = "stopped"

    def _reserve(self) -> ServedJob:
        with self._changed:
            self._shelf.clear()
            if self._closed:
                self.metrics.count("refused")
                raise Closing
            if self.queue_length >= self.limits.waiting_jobs:
                self.metrics.count("refused")
                raise QueueFull(max(1, round(self._last_s)))
            self._uploading += 1
        job_id = secrets.token_hex(16)
        return ServedJob(job_id, self._folder / job_id, kept=self._kept)

    def _enqueue(self, job: ServedJob) -> None:
        with self._changed:
            if not self._closed:
                self._uploading -= 1
                self._waiting.append(job)
                self._changed.notify()
                return
        self._leave(job)
        raise Closing

    def _leave(self, job: ServedJob) -> None:
        """Give back the place of a job that never came to the queue."""
        with self._changed:
            self._uploading -= 1
        self.metrics.count("refused")
        shutil.rmtree(job.folder, ignore_errors=True)

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._run(job)
        finally:  # also where a fault of the program ends the thread: nobody waits for ever
            with self._changed:
                self._close()
                if self._running is not None:
                    self._finish(self._running, "failed")

    def _next(self) -> ServedJob | None:
        """The next job, now running; None where there will be none."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait(min(_IDLE_S, self.limits.kept_s))
                self._shelf.clear()
            if not self._waiting:
                return None
            job = self._running = self._waiting.popleft()
            job.state, job.deadline_s = "running", time.monotonic() + self.limits.timeout_s
            return job

    def _run(self, job: ServedJob) -> None:
        start_s = time.monotonic()
        job.attempts += 1
        self._note(job)
        outcome: Outcome = "done"
        try:
            self._segment(job)
        except JobStopped as stopped:
            outcome = stopped.outcome
        except SCAN_ERRORS as error:
            outcome, job.error = "failed", without_frames(error)
        self._last_s = time.monotonic() - start_s
        if outcome == "done":
            self.metrics.time(self._last_s)
        _LOG.info("job %s: %s in %.1f s", job.id, outcome, self._last_s)
        with self._changed:
            self._finish(job, outcome)

    def _close(self) -> None:
        self._closed = True
        while self._waiting:
            self._finish(self._waiting.popleft(), "stopped")
        self._changed.notify_all()

    def _finish(self, job: ServedJob, outcome: Outcome) -> None:
        if job is self._running:
            self._running = None
        cancelled = job.stop == "cancelled"
        job.state = "cancelled" if cancelled else outcome
        if job.state == "done":
            self._keep(job)
        goes_on = job.kept and job.state == "stopped"  # when the next server starts
        if job.state != "done" and not goes_on:
            clear(job)
        if goes_on and job.attempts:
            job.attempts -= 1  # it was stopped in good order
            self._note(job)
        if not (cancelled or goes_on):
            self._shelf.add(job)
        self.metrics.count(job.state)
        job.ended.set()

    def _keep(self, job: ServedJob) -> None:
        job.forget_upload()
        self._note(job)

    def _note(self, job: ServedJob) -> None:
        try:
            note(job)
        except OutputError as error:  # after a restart it is done again
            _LOG.warning("job %s: cannot be noted as %s: %s", job.id, job.state, error.__cause__)
