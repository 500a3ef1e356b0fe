"""The memory of this process over time, with marks of what it was doing: a light thread reads it a few times a second.

Host memory (RSS) of the whole process, networks included. Where scans overlap, each one's curve shows what all of them held.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flare_trt.engine.base.units import MB
from flare_trt.kernels.host_memory import resident_bytes

#: The first readings are so far apart; each time there are MOST_SAMPLES, every two become one and the gap doubles.
_INTERVAL_S = 0.05
MOST_SAMPLES = 800

Samples = list[tuple[float, int]]


@dataclass(frozen=True)
class Phase:
    """What was done from when to when, in seconds after the first reading."""

    name: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class MemoryCurve:
    """Readings of resident memory in MB (10^6 bytes), in seconds after the first; the highest of each stretch is kept."""

    time_s: tuple[float, ...]
    rss_mb: tuple[float, ...]
    phases: tuple[Phase, ...]

    @property
    def peak_mb(self) -> float:
        """The highest reading."""
        return max(self.rss_mb)


class MemoryRecorder:
    """Reads memory from its making until `curve` is asked for, or until nobody holds it any more."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._samples: Samples = [(self._start_s, resident_bytes())]
        self._phases: list[Phase] = []
        stop = threading.Event()
        self._finish = weakref.finalize(self, stop.set)
        self._thread = threading.Thread(target=_sample, args=(self._samples, stop), name="memory", daemon=True)
        self._thread.start()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Mark a block."""
        start_s = time.monotonic()
        try:
            yield
        finally:
            self.mark(name, start_s, time.monotonic())

    def mark(self, name: str, start_s: float, stop_s: float) -> None:
        """Mark a stretch between two times of time.monotonic()."""
        self._phases.append(Phase(name, round(start_s - self._start_s, 3), round(stop_s - self._start_s, 3)))

    def curve(self) -> MemoryCurve:
        """Stop, and give what was read."""
        self._finish()
        self._thread.join()
        readings = [*self._samples, (time.monotonic(), resident_bytes())]
        times = tuple(round(at - self._start_s, 3) for at, _ in readings)
        return MemoryCurve(times, tuple(round(held / MB, 1) for _, held in readings), tuple(self._phases))


def _sample(samples: Samples, stop: threading.Event) -> None:
    """The thread's work; it holds no recorder, so that a dropped one ends it."""
    interval_s = _INTERVAL_S
    while not stop.wait(interval_s):
        samples.append((time.monotonic(), resident_bytes()))
        if len(samples) >= MOST_SAMPLES:
            samples[:] = halved(samples)
            interval_s *= 2


def halved(samples: Samples) -> Samples:
    """Of every two readings the higher one; a last odd one stays.

    >>> halved([(0.0, 5), (1.0, 9), (2.0, 7), (3.0, 7), (4.0, 1)])
    [(1.0, 9), (2.0, 7), (4.0, 1)]
    """
    return [max(samples[at : at + 2], key=lambda sample: sample[1]) for at in range(0, len(samples), 2)]
