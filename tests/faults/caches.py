"""Faults of the engine cache and of the clock. Each function injects one `times` times and says what happened."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from unittest import mock

from tests.faults.setting import ROOT

from flare_trt.benchmarks.measure.sampler import Sample, record
from flare_trt.benchmarks.measure.watched import Ending
from flare_trt.engine.networks.tensorrt_.cache import EngineKey, GpuFacts, cache_folder, read_engine, write_engine

_KEY = EngineKey("ab" * 32, "fp16", GpuFacts("NVIDIA H100", "90", 13020, "10.16.1"))
_WRITER = """
import sys
from tests.faults.caches import _KEY
from flare_trt.engine.networks.tensorrt_.cache import read_engine, write_engine
mine = sys.argv[1].encode() * 200_000
for _ in range(int(sys.argv[2])):
    write_engine(_KEY, mine)
    found = read_engine(_KEY)
    assert found is not None and len(set(found)) == 1 and len(found) == 200_000, "a torn engine was read"
"""


def corrupt_cache(folder: Path, times: int) -> str:
    """A cached engine with flipped bits, cuts and foreign bytes."""
    rng, rebuilt = random.Random(0), 0
    engine = rng.randbytes(5000)
    quiet = mock.patch("flare_trt.engine.networks.kept_files._LOG")  # it warns of each damaged file
    with quiet, mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        file = write_engine(_KEY, engine)
        whole = file.read_bytes()
        for _ in range(times):
            data = bytearray(whole)
            kind, at = rng.randrange(3), rng.randrange(len(whole))
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[at:]
            else:
                data[at : at + 50] = rng.randbytes(rng.randrange(60))
            file.write_bytes(data)
            found = read_engine(_KEY)
            assert found in (None, engine), "a damaged engine was taken"
            rebuilt += found is None
        assert rebuilt > times * 0.9
        write_engine(_KEY, engine)
        assert read_engine(_KEY) == engine
    return f"{rebuilt} times the entry was refused and would be built again, never used"


def shared_cache(folder: Path, times: int) -> str:
    """Two processes write one entry of the cache at once, and read it in between."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "build" / "typing")])
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder), "PYTHONPATH": path}
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITER, name, str(times // 2)], cwd=ROOT, env=environment) for name in ("a", "b")
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        assert [path.name for path in cache_folder().iterdir()] == [_KEY.file_name], "a temporary file stayed behind"
    return "each read gives one writer's whole engine; no temporary file stays"


class _JumpingClock:
    """A wall clock that is moved at every reading, beside one that is not."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self.time_s, self.moved_s = rng, 0.0, 0.0

    def monotonic(self) -> float:
        self.time_s += 0.01
        return self.time_s

    def wall(self) -> float:
        self.moved_s += self._rng.choice((-3600.0, -1.5, 0.0, 7.0, 86400.0))
        return 1e9 + self.time_s + self.moved_s

    def machine_cpu(self) -> float:
        return 0.0


class _Probe:
    gpu_name = gpu_problem = None

    def read(self, time_s: float) -> Sample:
        return Sample(time_s, tree_rss_mb=1.0)


class _Running:
    def __init__(self, steps: int) -> None:
        self._left = steps

    def wait(self, seconds: float) -> Ending | None:
        self._left -= 1
        return None if self._left else Ending(0, 0.0, 0)


def jumping_clock(folder: Path, times: int) -> str:
    """The wall clock jumps by seconds, an hour and a day, both ways, while the sampler measures."""
    told = 0
    for seed in range(times):
        clock = _JumpingClock(random.Random(seed))
        found = record(lambda: _Running(20), _Probe(), clock, 0.1)
        at = [sample.time_s for sample in found.samples]
        assert at == sorted(at), "time ran backwards"
        assert 0 < found.wall_s < 10, "a jump was taken for time that passed"
        told += abs(found.clock_step_s) > 1
    return f"samples keep their order and durations; the step is reported {told} times (clock_step_s), else it was 0"
