"""What one server takes on and how long it keeps things."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`waiting_jobs` are uploading or queued at most, beside the one that runs. `timeout_s` bounds an upload, and a job from
    its first to its last tile. `grace_s` is left to the running job when the server has to stop. Results are deleted
    after `kept_s`, or sooner where more than `kept_bytes` or `kept_jobs` of them have gathered.
    """

    waiting_jobs: int = 16
    upload_bytes: int = 2_000_000_000
    timeout_s: float = 600.0
    grace_s: float = 20.0
    kept_s: float = 3600.0
    kept_bytes: int = 2_000_000_000
    kept_jobs: int = 1000
