"""The recorder sees memory rise, marks what was done, stays small, and stops."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from flare_trt.engine.results import memory_curve
from flare_trt.engine.results.memory_curve import MemoryRecorder, halved


@pytest.fixture
def recorders() -> Callable[[], int]:
    """Counts the recorders' threads that this test began; those of scans that other tests still hold do not count."""
    others = set(threading.enumerate())
    return lambda: sum(thread.name == "memory" for thread in set(threading.enumerate()) - others)


def wait_until(holds: object) -> None:
    """Wait for a thread that is on its way out."""
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.01)


def test_memory_that_was_taken_is_seen_in_its_phase(recorders: Callable[[], int]) -> None:
    recorder = MemoryRecorder()
    with recorder.phase("work"):
        block = np.ones(25_000_000)  # 200 MB
        time.sleep(0.3)
        del block
    curve = recorder.curve()
    assert [phase.name for phase in curve.phases] == ["work"]
    (work,) = curve.phases
    inside = [mb for at, mb in zip(curve.time_s, curve.rss_mb, strict=True) if work.start_s <= at <= work.stop_s]
    assert max(inside) == curve.peak_mb
    assert 180 < curve.peak_mb - curve.rss_mb[0] < 300
    assert list(curve.time_s) == sorted(curve.time_s)
    assert curve.time_s[0] == 0
    assert recorders() == 0


def test_a_dropped_recorder_ends_its_thread(recorders: Callable[[], int]) -> None:
    recorder = MemoryRecorder()
    assert recorders() == 1
    del recorder
    gc.collect()
    wait_until(lambda: recorders() == 0)
    assert recorders() == 0


def test_a_long_run_keeps_few_readings_and_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    held = iter([*range(1, 3000), 10_000_000, *[5] * 100_000])
    monkeypatch.setattr(memory_curve, "resident_bytes", lambda: next(held) * memory_curve.MB)
    monkeypatch.setattr(memory_curve, "_INTERVAL_S", 0.0)
    recorder = MemoryRecorder()
    wait_until(lambda: next(held) == 5)
    curve = recorder.curve()
    assert 2 <= len(curve.time_s) <= memory_curve.MOST_SAMPLES + 1
    assert curve.peak_mb == 10_000_000


def test_halving_keeps_the_higher() -> None:
    assert halved([(0.0, 1)]) == [(0.0, 1)]
    assert halved([(0.0, 3), (1.0, 2), (2.0, 8), (3.0, 9)]) == [(0.0, 3), (3.0, 9)]
