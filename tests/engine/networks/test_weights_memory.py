"""A memory budget counts what the networks really take: ONNX Runtime keeps stored halves beside the float32 kernels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

#: Opens the same bundle with a budget and prints what it counted and what the process grew by, in bytes.
MEASURE = """
import sys
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels.host_memory import resident_bytes
options = RunOptions(device="cpu", backend=sys.argv[2], max_memory_mb=4000, threads=1)
Segmenter.open(sys.argv[3], options).close()  # libraries are loaded
before = resident_bytes()
segmenter = Segmenter.open(sys.argv[1], options)
print(segmenter._network_bytes, resident_bytes() - before)
"""
#: Kernel values, and their bytes in float32.
VALUES, MB = 512 * 512 * 27, 1_000_000


def write_bundle_of_many_weights(folder: Path, half: bool) -> Path:
    """One voxel's work and 28 MB of kernels."""
    from onnx import TensorProto, helper, numpy_helper

    from flare_trt.engine.model.bundle_writer import write_bundle
    from flare_trt.engine.model.spec import ModelSpec, NetworkFile, Provenance, StageSpec
    from flare_trt.export.half_weights import store_kernels_half
    from flare_trt.kernels import Intensity
    from tests.engine.tiny_bundle import LABELS

    rng = np.random.default_rng(0)
    kernels = {
        "first": rng.normal(size=(512, 1, 1, 1, 1)),
        "large": rng.normal(size=(512, 512, 3, 3, 3)),
        "last": rng.normal(size=(4, 512, 1, 1, 1)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["a"]),
            helper.make_node("Conv", ["a", "large"], ["b"], pads=[1] * 6),
            helper.make_node("Conv", ["b", "last"], ["y"]),
        ],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 3, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 2, 3, 5])],
        [numpy_helper.from_array(value.astype(np.float16).astype(np.float32), name) for name, value in kernels.items()],
    )
    network = folder.with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(network))
    if half:
        store_kernels_half(network)
    stage = StageSpec((NetworkFile("fine.onnx"),), (3.0, 2.0, 2.0), (2, 3, 5), Intensity(-200.0, 300.0, 40.0, 120.0), (0, 1, 2, 3))
    write_bundle(ModelSpec(1, "heavy", LABELS, stage, Provenance("a test", "CC0-1.0")), {"fine.onnx": network}, folder)
    return folder


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_budget_counts_all_copies_of_the_weights(backend: str, half: bool, tmp_path: Path) -> None:
    from tests.engine.tiny_bundle import write_tiny_bundle

    bundle = write_bundle_of_many_weights(tmp_path / "heavy", half)
    tiny = write_tiny_bundle(tmp_path / "tiny")
    command = [sys.executable, "-c", MEASURE, str(bundle), backend, str(tiny)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    counted, grown = map(int, done.stdout.split())
    assert abs(counted - grown) < 3 * MB, "what the budget counts is what the process grew by"
    least = 4 * VALUES + (2 * VALUES if half and backend == "onnxruntime" else 0)
    assert counted > 0.95 * least
