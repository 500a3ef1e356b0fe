#!/usr/bin/env bash
# OpenVINO 2026.4.1 on a CPU with AVX-512: joining channels behind a 3-D convolution costs about as much as the convolutions. A convolution's
# result has its channels last; joined with one more channel it stays so, in float32, and is turned at the end, by generic code.
# The same join of the same values as rows of voxels (n, c, z * y * x) turns them once, before the join.
#
# Expected: the two networks, equal in mathematics and bit by bit in their results, take about the same time. Real: with the 5-D join the
# whole takes 1.6 to 1.7 times as long, in bf16 arithmetic on one thread, 0.13 s against 0.08.
# Why it matters here: an extra class, a second head or a cascade's logits beside a network's own are such a join. Tumour logits
# beside the organs' made a tile take 2.5 times as long, and joined as rows 1.1 times.
# Exits 1 where this behaviour has changed, or on a CPU without bf16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cat >join.py <<'PY'
import sys
import time

import numpy as np
import openvino
from onnx import TensorProto, helper, numpy_helper, save

SHAPE, CHANNELS = (96, 160, 160), 14
rng = np.random.default_rng(0)


def network(as_rows):
    """Convolutions, 1x1x1, to 16 features and 14 classes, and behind them one class more: the largest of them, lowered."""
    weights = [
        numpy_helper.from_array(rng.normal(size=(16, 1, 1, 1, 1)).astype(np.float32), "first"),
        numpy_helper.from_array(rng.normal(size=(CHANNELS, 16, 1, 1, 1)).astype(np.float32) / 4, "last"),
        numpy_helper.from_array(np.float32(0.5), "lower"),
        numpy_helper.from_array(np.array([1, CHANNELS, -1]), "rows"),
        numpy_helper.from_array(np.array([1, CHANNELS + 1, *SHAPE]), "voxels"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["features"]),
        helper.make_node("LeakyRelu", ["features"], ["active"], alpha=0.01),
        helper.make_node("Conv", ["active", "last"], ["classes"]),
    ]
    source = "classes"
    if as_rows:
        nodes.append(helper.make_node("Reshape", ["classes", "rows"], ["flat"]))
        source = "flat"
    nodes += [
        helper.make_node("ReduceMax", [source], ["most"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["most", "lower"], ["one"]),
        helper.make_node("Concat", [source, "one"], ["joined" if as_rows else "y"], axis=1),
    ]
    if as_rows:
        nodes.append(helper.make_node("Reshape", ["joined", "voxels"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "join",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CHANNELS + 1, *SHAPE])],
        weights,
    )
    file = f"{'rows' if as_rows else 'voxels'}.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


core = openvino.Core()
settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
state = rng.bit_generator.state
compiled = []
for as_rows in (False, True):
    rng.bit_generator.state = state  # the same weights
    compiled.append(core.compile_model(network(as_rows), "CPU", settings))
image = np.random.default_rng(1).normal(size=(1, 1, *SHAPE)).astype(np.float32)
results = [model(image)[0].copy() for model in compiled]
seconds = [[], []]
for _ in range(9):
    for spent, model in zip(seconds, compiled):
        start = time.process_time()
        model(image)
        spent.append(time.process_time() - start)
in_5d, in_rows = (float(np.median(spent)) for spent in seconds)
print(f"bf16: {'BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')}, OpenVINO {openvino.__version__}")
print(f"largest difference of the results: {np.abs(results[0] - results[1]).max():.2g}, expected about 0")
print(f"CPU seconds: joined in 5-D {in_5d:.3f}, as rows {in_rows:.3f}, ratio {in_5d / in_rows:.2f}, expected about 1")
sys.exit(0 if in_5d > 1.3 * in_rows else 1)
PY
env/bin/python join.py
