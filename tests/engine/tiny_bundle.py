"""A real bundle that runs in a moment: one 1 x 1 x 1 convolution whose arg-max is a banding of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from flare_trt.engine.model.afterwards_spec import ComponentRule, LesionGates
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.spec import SCHEMA, LabelSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

LABELS = (LabelSpec(1, "liver", "#aa3311"), LabelSpec(2, "spleen", "#11aa33"), LabelSpec(3, "aorta", "#3311aa"))
PATCH_ZYX = (16, 24, 20)


def write_network(path: Path, channels: int = 1) -> Path:
    """Logit c = 2 * centre_c * v - centre_c^2: the largest is the centre nearest to v, the mean of the normalised channels."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    centres = np.linspace(-1.5, 1.5, len(LABELS) + 1, dtype=np.float32)
    weights = [
        numpy_helper.from_array(np.repeat(2 * centres.reshape(-1, 1, 1, 1, 1) / channels, channels, axis=1), "w"),
        numpy_helper.from_array(-(centres**2), "b"),
    ]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"])],
        "bands",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, *PATCH_ZYX])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(centres), *PATCH_ZYX])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path


def write_tiny_bundle(
    folder: Path,
    coarse: bool = False,
    postprocessing: tuple[ComponentRule, ...] = (),
    lesion_gates: LesionGates | None = None,
    channels: tuple[ChannelSpec, ...] = (),
    channel_values: tuple[int, ...] = (0, 1, 2, 3),
    strong_label: int | None = None,
    labels: tuple[LabelSpec, ...] = LABELS,
) -> Path:
    """A bundle folder, `folder`, of one stage or of two with the same network; of one CT, or of `channels`."""
    stage = StageSpec(
        networks=(NetworkFile("fine.onnx"),),
        spacing_mm=(3.0, 2.0, 2.0),
        patch_zyx=PATCH_ZYX,
        intensity=None if channels else Intensity(-200.0, 300.0, 40.0, 120.0),
        channels=channels,
        channel_values=channel_values,
        strong_label=strong_label,
    )
    spec = ModelSpec(
        schema=SCHEMA,
        name="tiny",
        labels=labels,
        fine=stage,
        provenance=Provenance("made by a test", "CC0-1.0"),
        postprocessing=postprocessing,
        lesion_gates=lesion_gates,
    )
    network = write_network(folder.with_suffix(".source.onnx"), len(stage.inputs))
    files = {"fine.onnx": network}
    if coarse:
        first = replace(stage, networks=(NetworkFile("coarse.onnx"),), spacing_mm=(4.0, 3.1, 2.9), tile_step=1.0)
        spec, files = replace(spec, coarse=first), {**files, "coarse.onnx": network}
    write_bundle(spec, files, folder)
    return folder
