"""Samples memory while a command runs. A process of its own, so that measuring neither slows nor is counted with the rest:

    python -m flare_trt.benchmarks.measure.sampler OUT.json INTERVAL_S GPU COMMAND ...

The process is a subreaper (prctl(2)): whatever the command leaves behind becomes its child and stays counted. Imports
neither numpy nor the engine, to be small beside what it measures.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from flare_trt.benchmarks.base.gpu_memory import GpuMemory
from flare_trt.benchmarks.measure.host_memory import HostMemory, descendants, machine_cpu_s
from flare_trt.benchmarks.measure.watched import Ending, Watched, join_family


@dataclass(frozen=True)
class Sample:
    """One reading, `time_s` after the start; None where a value was not or could not be read."""

    time_s: float
    gpu_device_mb: float | None = None
    gpu_tree_mb: float | None = None
    host_used_mb: float | None = None
    tree_rss_mb: float | None = None
    tree_pss_mb: float | None = None
    processes: int = 0


@dataclass(frozen=True)
class Recording:
    """All samples of one run. Times count from the start on a monotonic clock; `started_at` is the wall clock then, and
    `clock_step_s` how far the wall clock has been moved against the monotonic one until the end. `machine_cpu_s` are the CPU
    seconds that all programs of the machine used meanwhile."""

    ending: Ending
    wall_s: float
    started_at: float
    clock_step_s: float
    interval_s: float
    query_s: float  # the longest reading
    machine_cpu_s: float
    gpu_name: str | None
    gpu_problem: str | None
    baseline: Sample
    samples: tuple[Sample, ...]


class Probe(Protocol):
    """What is read: `read(time_s)` now, and what there is to say about the GPU."""

    @property
    def gpu_name(self) -> str | None: ...

    @property
    def gpu_problem(self) -> str | None: ...

    def read(self, time_s: float) -> Sample: ...


class Clock(Protocol):
    """Seconds on a clock that nobody moves, on the one that phase marks use, and of CPU that all programs have used."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...

    def machine_cpu(self) -> float: ...


class Running(Protocol):
    """A started command. `wait` returns its ending, or None when it still runs after so many seconds."""

    def wait(self, seconds: float) -> Ending | None: ...


class MemoryProbe:
    """Reads the GPU, the host and the tree of this process' descendants."""

    def __init__(self, gpu: GpuMemory) -> None:
        self._gpu, self._host = gpu, HostMemory()

    @property
    def gpu_name(self) -> str | None:
        return self._gpu.name

    @property
    def gpu_problem(self) -> str | None:
        return self._gpu.problem

    def read(self, time_s: float) -> Sample:
        pids = {process.pid for process in descendants()}
        gpu, host = self._gpu.read(pids), self._host.read(pids)
        return Sample(time_s, gpu.device_mb, gpu.tree_mb, host.used_mb, host.rss_mb, host.pss_mb, len(pids))


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    machine_cpu = staticmethod(machine_cpu_s)


def record(launch: Callable[[], Running], probe: Probe, clock: Clock, interval_s: float) -> Recording:
    """Start a command and sample until it ends: a reading, then a wait of `interval_s`, as FLARE's Efficiency.py does.

    The baseline is read before the start. There is at least one sample, taken right after it.
    """
    baseline = probe.read(0.0)
    start, started_at, used_s = clock.monotonic(), clock.wall(), clock.machine_cpu()
    running = launch()
    samples, query_s, ending = [], 0.0, None
    while ending is None:
        now = clock.monotonic() - start
        samples.append(probe.read(now))
        query_s = max(query_s, clock.monotonic() - start - now)
        ending = running.wait(interval_s)
    wall_s = clock.monotonic() - start
    step = clock.wall() - started_at - wall_s
    measuring = interval_s, query_s, clock.machine_cpu() - used_s
    about_gpu = probe.gpu_name, probe.gpu_problem
    return Recording(ending, wall_s, started_at, step, *measuring, *about_gpu, baseline, tuple(samples))


def main(argv: list[str]) -> None:
    """Record one command and write the recording; see the module's text for the arguments."""
    out, interval_s, gpu, command = Path(argv[0]), float(argv[1]), int(argv[2]), argv[3:]
    join_family()
    recording = record(lambda: Watched(command), MemoryProbe(GpuMemory(gpu)), SystemClock(), interval_s)
    out.write_text(json.dumps(asdict(recording)))


if __name__ == "__main__":
    main(sys.argv[1:])
