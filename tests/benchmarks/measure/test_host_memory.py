from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("psutil")

from flare_trt.benchmarks.measure.host_memory import HostMemory, descendants

FORKED = """
import os, sys
held = bytearray(100 << 20)
if os.fork() == 0:
    print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_shared_pages_count_once_in_pss_and_twice_in_rss() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        found = HostMemory().read({parent.pid, child})
        assert {process.pid for process in descendants()} >= {parent.pid, child}
        parent.communicate("")
    assert 200 < found.rss_mb < 300
    assert found.pss_mb is not None
    assert 100 < found.pss_mb < 150
    assert found.used_mb > found.pss_mb


def test_processes_that_have_ended_count_as_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    found = HostMemory().read({ended.pid})
    assert (found.rss_mb, found.pss_mb) == (0.0, 0.0)


def test_pss_is_read_seldom_where_reading_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 100.5, 105.0, 111.0, 111.0])  # a reading of 0.5 s is due again 10 s after its end
    monkeypatch.setattr("flare_trt.benchmarks.measure.host_memory.time.perf_counter", lambda: next(now))
    memory = HostMemory()
    readings = [memory.read({os.getpid()}).pss_mb for _ in range(3)]
    assert [reading is not None for reading in readings] == [True, False, True]
