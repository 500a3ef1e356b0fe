"""The least time that a network can take here: its operations over the machine's measured peak."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.inputs.synthetic import write_convolutions
from flare_trt.engine.networks.session import SessionOptions, open_session

_PROBE_PATCH, _PROBE_CHANNELS = (48, 64, 64), 32


@dataclass(frozen=True)
class Peak:
    """Measured fp32 rates of this machine in GFLOP/s: NumPy's matrix product, and OpenVINO's 3x3x3 convolution of 32 to 32
    channels, which is what a network can hope for."""

    matmul_gflops: float
    convolution_gflops: float


def measure_peak(repeats: int = 5) -> Peak:
    """The best of some repeats of each."""
    size = 2048
    left, right = np.random.default_rng(0).random((2, size, size), np.float32)
    matmul_s = best_seconds(lambda: left @ right, repeats)
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / "probe.onnx"
        write_convolutions(onnx_file, (1, *[_PROBE_CHANNELS] * 4), (1, 3, 3, 3), _PROBE_PATCH)
        convolution_s = network_seconds(onnx_file, repeats)
        work = network_facts(onnx_file).flops
    return Peak(2 * size**3 / matmul_s / 1e9, work / convolution_s / 1e9)


def network_seconds(onnx_file: Path, repeats: int) -> float:
    """Best time of one forward pass through OpenVINO in fp32 on all cores, after one to warm up."""
    session = open_session("openvino", onnx_file, SessionOptions())
    tile = np.random.default_rng(0).standard_normal(session.input_shape).astype(np.float32)
    session.run(tile)
    seconds = best_seconds(lambda: session.run(tile), repeats)
    session.close()
    return seconds


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of some repeats: what the machine can do, not what others left of it."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
