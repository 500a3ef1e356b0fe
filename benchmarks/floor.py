"""The least time that a network can take here: its operations over the machine's measured peak."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.extra import require
from flare_trt.benchmarks.synthetic import write_convolutions
from flare_trt.engine.backends.session import SessionOptions, open_session

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
        work = network_flop(onnx_file)
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


def network_flop(onnx_file: Path) -> float:
    """Floating-point operations of one forward pass: two for each multiply-add of the convolutions; the rest is little."""
    require("onnx")
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(onnx_file))
    graph = model.graph
    shapes = {value.name: _sizes(value) for value in (*graph.input, *graph.output, *graph.value_info)}
    kernels = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0.0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            # each weight of one group meets each voxel of the output (Conv) or of the input (ConvTranspose)
            voxels = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
            total += 2.0 * prod(kernels[node.input[1]]) * prod(voxels[2:])
    return total


def _sizes(value: Any) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
