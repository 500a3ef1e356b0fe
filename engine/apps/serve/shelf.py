"""Finished jobs, kept for a while: a bounded time, a bounded number, bounded bytes on the disk."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.served_job import ServedJob


@dataclass
class Shelf:
    """Finished jobs by id, the oldest first. Its caller holds the service's lock."""

    limits: Limits
    _jobs: dict[str, tuple[float, ServedJob]] = field(default_factory=dict)
    _bytes: int = 0

    def add(self, job: ServedJob, age_s: float = 0.0) -> None:
        """Keep a job, which ended so long ago, and its files, then throw out what no longer fits, if need be the job itself."""
        job.kept_bytes = sum(path.stat().st_size for path in job.folder.glob("*"))
        self._bytes += job.kept_bytes
        self._jobs[job.id] = (time.monotonic() - age_s, job)
        self.clear()

    def find(self, job_id: str) -> ServedJob | None:
        """A job that is still kept."""
        self.clear()
        found = self._jobs.get(job_id)
        return found and found[1]

    def remove(self, job: ServedJob) -> None:
        """Delete a job's files and forget it."""
        del self._jobs[job.id]
        self._bytes -= job.kept_bytes
        shutil.rmtree(job.folder, ignore_errors=True)

    def clear(self) -> None:
        """Throw out what is too old or too much."""
        oldest_s = time.monotonic() - self.limits.kept_s
        for finished_s, job in list(self._jobs.values()):
            too_much = self._bytes > self.limits.kept_bytes or len(self._jobs) > self.limits.kept_jobs
            if finished_s > oldest_s and not too_much:
                break
            self.remove(job)
