"""Every fault that is injected, in the order of docs/reliability.md. `python -m tests.faults` runs them and writes the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import caches, files, processes


@dataclass(frozen=True)
class Fault:
    """`inject(folder, times)` does it and says what happened; `times` in the table, `times_in_tests` in CI."""

    name: str
    inject: Callable[[Path, int], str]
    times: int
    times_in_tests: int


FAULTS = (
    Fault("no room for labels, report, preview (RLIMIT_FSIZE in place of a full disk)", files.full_disk, 200, 20),
    Fault("output folder vanishes during a batch", files.vanishing_folder, 10, 2),
    Fault("read error (EIO) at a random byte", files.bad_sectors, 200, 20),
    Fault("scan cut off while it is read", files.shrinking_scan, 200, 20),
    Fault("SIGKILL at a random time of a batch of 20", processes.killed, 10, 2),
    Fault("SIGTERM at a random time of a batch of 20", processes.terminated, 10, 2),
    Fault("too little memory (ulimit -v, 260 to 1460 MiB)", processes.little_memory, 10, 3),
    Fault("reading or writing thread dies", processes.dying_thread, 20, 4),
    Fault("GPU lost at a random tile (fake)", processes.lost_gpu, 20, 4),
    Fault("corrupt TensorRT engine in the cache", caches.corrupt_cache, 500, 60),
    Fault("two processes write one cache entry (writes of both)", caches.shared_cache, 400, 40),
    Fault("wall clock jumps while the sampler measures", caches.jumping_clock, 100, 20),
)
