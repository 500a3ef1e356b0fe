"""A small network with random weights and instance normalisation, whose labels change with the last bits of its logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import LabelSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

LABELS = tuple(LabelSpec(value, f"organ {value}", "#808080") for value in range(1, 6))
PATCH_ZYX = (12, 20, 18)
_WIDTH = 6


def write_noise_bundle(folder: Path, orientation: str = "SPL") -> Path:
    """A one-stage bundle folder, two folds whose logits are averaged."""
    networks = ("fine_0.onnx", "fine_1.onnx")
    stage = StageSpec(
        networks=tuple(NetworkFile(name) for name in networks),
        spacing_mm=(2.9, 2.4, 2.2),
        patch_zyx=PATCH_ZYX,
        intensity=Intensity(-200.0, 300.0, 40.0, 120.0),
        channel_values=(0, *(label.value for label in LABELS)),
        orientation=orientation,
        mirror_axes=(0, 2),
    )
    spec = ModelSpec(1, "noise", LABELS, stage, Provenance("made by a test", "CC0-1.0"))
    files = {name: write_noise_network(folder.with_suffix(f".{name}"), seed) for seed, name in enumerate(networks)}
    write_bundle(spec, files, folder)
    return folder


def write_noise_network(path: Path, seed: int) -> Path:
    """Two 3 x 3 x 3 convolutions, each normalised and leaky, and one of 1 x 1 x 1 to the logits."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    nodes: list[Any] = []
    weights = [
        numpy_helper.from_array(np.ones(_WIDTH, np.float32), "one"),
        numpy_helper.from_array(np.zeros(_WIDTH, np.float32), "zero"),
    ]
    image, width = "x", 1
    for layer in range(2):
        weights.append(numpy_helper.from_array(random.normal(size=(_WIDTH, width, 3, 3, 3)).astype(np.float32), f"w{layer}"))
        nodes += [
            helper.make_node("Conv", [image, f"w{layer}"], [f"c{layer}"], pads=[1] * 6),
            helper.make_node("InstanceNormalization", [f"c{layer}", "one", "zero"], [f"n{layer}"]),
            helper.make_node("LeakyRelu", [f"n{layer}"], [f"a{layer}"], alpha=0.01),
        ]
        image, width = f"a{layer}", _WIDTH
    channels = len(LABELS) + 1
    weights.append(numpy_helper.from_array(random.normal(size=(channels, _WIDTH, 1, 1, 1)).astype(np.float32), "heads"))
    nodes.append(helper.make_node("Conv", [image, "heads"], ["y"]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, *PATCH_ZYX]) for n, c in (("x", 1), ("y", channels))]
    graph = helper.make_graph(nodes, "noise", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path
