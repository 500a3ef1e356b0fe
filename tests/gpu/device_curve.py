"""The GPU's memory over time, read by a thread beside the work: NVML where it is there, else CUDA's own count."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

from flare_trt.benchmarks.base.gpu_memory import GpuMemory
from flare_trt.benchmarks.measure.areas import Curve, areas
from flare_trt.engine.base.units import MIB

INTERVAL_S = 0.02
#: Readings of a curve that are kept; the highest of each stretch.
_MOST_KEPT = 400


class DeviceCurve:
    """Reads from its making until `stop`. Counts all of the device, as FLARE does, so nobody else should use it."""

    def __init__(self) -> None:
        self._nvml = GpuMemory()
        self._start_s = time.perf_counter()
        self._points: list[tuple[float, float]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="device memory", daemon=True)
        self._baseline_mb = self._read()
        self._thread.start()

    @property
    def source(self) -> str:
        """Where the readings come from."""
        return "NVML" if self._nvml.problem is None else f"cudaMemGetInfo ({self._nvml.problem})"

    def stop(self) -> dict[str, Any]:
        """The curve in MB (2^20 bytes), its peak and areas."""
        self._end.set()
        self._thread.join()
        wall_s = time.perf_counter() - self._start_s
        points = [*self._points, (wall_s, self._read())]
        times, values = zip(*points, strict=True)
        found = areas(Curve(times, values, wall_s, INTERVAL_S, self._baseline_mb))
        stretch = -(-len(points) // _MOST_KEPT)
        kept = [max(points[at : at + stretch], key=lambda point: point[1]) for at in range(0, len(points), stretch)]
        return {
            "source": self.source,
            "baseline_mb": self._baseline_mb,
            "wall_s": wall_s,
            "areas": None if found is None else asdict(found),
            "time_s": [round(at, 3) for at, _ in kept],
            "device_mb": [round(value, 1) for _, value in kept],
        }

    def _watch(self) -> None:
        while not self._end.wait(INTERVAL_S):
            self._points.append((time.perf_counter() - self._start_s, self._read()))

    def _read(self) -> float:
        device_mb = self._nvml.read(frozenset()).device_mb
        if device_mb is not None:
            return device_mb
        import cupy

        free, total = cupy.cuda.runtime.memGetInfo()
        return float(total - free) / MIB
