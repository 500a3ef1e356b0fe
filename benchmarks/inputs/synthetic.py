"""Networks of any number of classes with fixed random weights: nothing they say is anatomy, but they cost what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.base.extra import require
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import SCHEMA, LabelSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

PATCH_ZYX = (32, 64, 64)
SPACING_MM = (3.0, 2.0, 2.0)


def write_convolutions(path: Path, channels: Sequence[int], kernels: Sequence[int], patch_zyx: tuple[int, int, int]) -> None:
    """Write an ONNX network of convolutions with a ReLU between them: `channels[i]` in, `channels[i + 1]` out.

    The weights are random, from a fixed seed, scaled so that values keep their size from layer to layer.
    """
    require("onnx")
    import onnx
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []
    value = "input"
    for layer, kernel in enumerate(kernels):
        inside, outside = channels[layer], channels[layer + 1]
        size = np.sqrt(2 / (inside * kernel**3))
        kernel_values = random.normal(0, size, (outside, inside, kernel, kernel, kernel)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel_values, f"weight{layer}"))
        last = layer == len(kernels) - 1
        result = "logits" if last else f"sum{layer}"
        nodes.append(helper.make_node("Conv", [value, f"weight{layer}"], [result], pads=[kernel // 2] * 6))
        if not last:
            value = f"value{layer}"
            nodes.append(helper.make_node("Relu", [result], [value]))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, count, *patch_zyx])
        for name, count in (("input", channels[0]), ("logits", channels[-1]))
    ]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_synthetic_bundle(folder: Path, classes: int) -> None:
    """Write a bundle of one stage with `classes` output channels, the background among them."""
    onnx_file = folder.with_suffix(".onnx")
    write_convolutions(onnx_file, (1, 4, 4, classes), (3, 3, 1), PATCH_ZYX)
    labels = tuple(LabelSpec(value, f"class {value}", "#808080") for value in range(1, classes))
    stage = StageSpec(
        networks=(NetworkFile("fine.onnx", ""),),
        spacing_mm=SPACING_MM,
        patch_zyx=PATCH_ZYX,
        intensity=Intensity(-500.0, 400.0, 50.0, 150.0),
        channel_values=tuple(range(classes)),
    )
    provenance = Provenance("random weights for benchmarks", "Apache-2.0", "flare-trt")
    spec = ModelSpec(SCHEMA, f"synthetic-{classes}", labels, stage, provenance)
    write_bundle(spec, {"fine.onnx": onnx_file}, folder)
    onnx_file.unlink()
