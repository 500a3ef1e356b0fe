"""Memory of a process and all its descendants on the host, and the CPU time of the whole machine."""

from __future__ import annotations

import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.base.units import MB, MIB

if TYPE_CHECKING:
    import psutil

#: Reading the PSS walks page tables under a lock of the measured process; it may take up to this share of the time.
PSS_SHARE = 0.05


@dataclass(frozen=True)
class HostReading:
    """MB in use on the whole machine, and RSS and PSS summed over the processes; PSS is None where it was not read.

    RSS counts shared pages once in each process, PSS (proportional set size) once in all.
    """

    used_mb: float
    rss_mb: float
    pss_mb: float | None


class HostMemory:
    """Reads RSS each time, PSS as often as it stays cheap."""

    def __init__(self) -> None:
        self._pss_due_s = 0.0

    def read(self, pids: AbstractSet[int]) -> HostReading:
        """What the machine and these processes use now; a process that has just ended counts as nothing."""
        import psutil

        rss = sum(_rss(pid) for pid in pids)
        return HostReading(psutil.virtual_memory().used / MIB, rss / MIB, self._pss_mb(pids))

    def _pss_mb(self, pids: AbstractSet[int]) -> float | None:
        start = time.perf_counter()
        if start < self._pss_due_s:
            return None
        shares = [_pss(pid) for pid in pids]
        stop = time.perf_counter()
        self._pss_due_s = stop + (stop - start) / PSS_SHARE
        known = [share for share in shares if share is not None]
        return sum(known) / MIB if len(known) == len(shares) else None


def descendants() -> list[psutil.Process]:
    """All living descendants of this process; of a subreaper also the orphans among them."""
    import psutil

    try:
        return [child for child in psutil.Process().children(recursive=True) if _alive(child)]
    except psutil.Error:
        return []


def machine_cpu_s() -> float:
    """CPU seconds that all programs have used since the machine started, those of the kernel included."""
    import psutil

    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)  # guests are in user and nice too


def rss_mb_of(pid: int) -> float:
    """Resident memory of one process in MB; 0 for one that has ended."""
    return _rss(pid) / MB


def _alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _rss(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _pss(pid: int) -> int | None:
    """Bytes; 0 for a process that has ended, None where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
