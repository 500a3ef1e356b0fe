"""Each kernel at the sizes of an abdominal CT: its bandwidth by gpu_plan/cost.py against the card's own copy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.gpu.findings import Findings
from tests.gpu.kernel_calls import CT_SHAPE, KernelCall, Shape, image_calls, label_calls, resample_calls, ring_calls

from flare_trt.kernels import Kernels, load
from flare_trt.kernels.contract import Array

#: Rounds of each timing, of which the quickest counts, and about how long a round takes.
ROUNDS, ROUND_S = 3, 0.15
_MOST_REPEATS = 200
COPY_BYTES = 1 << 30


def measure(findings: Findings, shape: Shape = CT_SHAPE, copy_bytes: int = COPY_BYTES) -> None:
    """Time the copies, then every kernel; one that fails is reported and the next goes on."""
    kernels = load("cuda:0")
    with kernels.active():
        copies = findings.data["copy_gb_s"] = copy_rates(kernels, copy_bytes)
        findings.data |= {"shape_zyx": list(shape), "rows": []}
        for make in (image_calls, label_calls, resample_calls, ring_calls):
            calls: list[KernelCall] = []
            with findings.part(make.__name__):
                calls = make(kernels, shape)
            for call in calls:
                with findings.part(call.name):
                    findings.data["rows"].append(timed_row(call, copies["device"]))


def timed_row(call: KernelCall, copy_gb_s: float) -> dict[str, Any]:
    """Microseconds a call, as the pipeline sees them: launches and their small tables count."""
    seconds = seconds_a_call(call.run)
    gb_s = call.cost.bytes_moved / seconds / 1e9
    row = {"name": call.name, "us": seconds * 1e6, "bytes": call.cost.bytes_moved, "gb_s": gb_s}
    return row | {"gflop_s": call.cost.flops / seconds / 1e9, "of_copy": gb_s / copy_gb_s}


def seconds_a_call(run: Callable[[], Any]) -> float:
    """Wall seconds of one of many calls that are queued back to back and waited for once."""
    import cupy

    wait = cupy.cuda.get_current_stream().synchronize

    def round_s(repeats: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(repeats):
            run()
        wait()
        return (time.perf_counter() - start) / repeats

    round_s(1)  # compiles, and fills CuPy's pool
    repeats = min(_MOST_REPEATS, max(1, math.ceil(ROUND_S / max(round_s(2), 1e-6))))
    return min(round_s(repeats) for _ in range(ROUNDS))


def copy_rates(kernels: Kernels, nbytes: int) -> dict[str, float]:
    """GB/s of a copy on the card (bytes read and written), and up and down from ordinary host memory."""
    import cupy

    free, _ = cupy.cuda.runtime.memGetInfo()
    size = min(nbytes, free // 4)
    source, target = kernels.zeros((size,), np.uint8), kernels.zeros((size,), np.uint8)
    on_card = seconds_a_call(lambda: target.data.copy_from_device_async(source.data, size))
    host = np.ones(max(1, size // 8), np.uint8)
    place: Array = kernels.empty(host.shape, np.uint8)
    up, down = seconds_a_call(lambda: place.set(host)), seconds_a_call(lambda: place.get())
    return {"device": 2 * size / on_card / 1e9, "up": host.nbytes / up / 1e9, "down": host.nbytes / down / 1e9}
