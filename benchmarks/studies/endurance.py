"""Many scans in one process: does memory stay flat, and is every file handle and thread given back?"""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.units import MB
from flare_trt.engine.batch.jobs import Destination, Job, make_folders, plan_jobs
from flare_trt.engine.batch.overlap import Outcome, run_overlapped
from flare_trt.engine.batch.scan_steps import ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels.host_memory import resident_bytes

#: Parts that a run is cut into; memory is read behind each, and the first one warms up allocators and caches.
_PARTS = 10


@dataclass(frozen=True)
class Endurance:
    """`rss_mb` behind each part; `drift` is the last against the first, as a share. Handles and threads that stayed open."""

    scans: int
    failed: int
    rss_mb: tuple[float, ...]
    drift: float
    handles_left: int
    threads_left: int


def endure(bundle: Path, scans: Sequence[Path], folder: Path, count: int) -> Endurance:
    """Segment `count` scans, the given ones over and over, with every output, in parts. Raises InputError for no scans."""
    if not scans or count < 2 * _PARTS:
        raise InputError(f"endurance: got {len(scans)} scans and a count of {count}, expected scans and {2 * _PARTS} or more")
    handles, threads = _handles(), threading.active_count()
    failed, rss_mb = 0, []
    options = RunOptions(device="cpu")
    with Segmenter.open(bundle, options) as segmenter:
        for part in range(_PARTS):
            told: list[Outcome[Job, ScanReport]] = []
            mine = [scans[number % len(scans)] for number in range(count * part // _PARTS, count * (part + 1) // _PARTS)]
            for batch in (mine[at : at + len(scans)] for at in range(0, len(mine), len(scans))):
                jobs = plan_jobs(sorted(set(batch)), Destination(folder / "labels", folder / "reports", folder / "previews"))
                make_folders(jobs)
                run_overlapped(jobs, scan_steps(segmenter, ct_reader(options), lambda _: None), told.append)
            failed += len(mine) - sum(outcome.written is not None for outcome in told)
            gc.collect()
            rss_mb.append(round(resident_bytes() / MB, 2))
    del segmenter
    gc.collect()
    drift = rss_mb[-1] / rss_mb[0] - 1
    return Endurance(count, failed, tuple(rss_mb), round(drift, 5), _handles() - handles, threading.active_count() - threads)


def _handles() -> int:
    """Open file descriptors of this process (Linux), without the one that lists them."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
