"""A phantom with paired organs that differ by their side alone, and a small network that tells the sides apart.

The two kidneys have the same HU, and so have the two adrenal glands; a right one is one with the spine to its left. So a scan
that is turned the wrong way on its way to the network comes back with its sides swapped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import FLARE_LABELS, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

RIGHT_KIDNEY, LEFT_KIDNEY, RIGHT_ADRENAL, LEFT_ADRENAL = 2, 13, 7, 8
PAIRS = ((RIGHT_KIDNEY, LEFT_KIDNEY), (RIGHT_ADRENAL, LEFT_ADRENAL))
CHANNELS = (0, RIGHT_KIDNEY, LEFT_KIDNEY, RIGHT_ADRENAL, LEFT_ADRENAL)
#: Label -> (HU, centre and half axes in mm from the phantom's middle, towards superior, posterior and left).
ORGANS = {
    RIGHT_KIDNEY: (600, (-8, 8, -24), (22, 10, 9)),
    LEFT_KIDNEY: (600, (-4, 9, 25), (20, 11, 10)),
    RIGHT_ADRENAL: (900, (27, 4, -22), (11, 11, 10)),
    LEFT_ADRENAL: (900, (28, 5, 23), (10, 12, 10)),
}
SHAPE_ZYX, SPACING_MM = (31, 37, 43), (2.6, 2.3, 2.1)
PATCH_ZYX = (14, 46, 46)
_SIDE_REACH = 15  # voxels along x over which the network looks for the spine


def phantom(grid: Grid | None = None) -> tuple[Volume, Volume]:
    """CT and true labels, on a grid whose axes run to superior, posterior and left. No two halves of it are alike."""
    grid = grid or Grid(SHAPE_ZYX, SPACING_MM, (-40.0, -35.0, 12.0))
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(grid.shape_zyx, grid.spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    hu = np.where((y / 40) ** 2 + (x / 43) ** 2 < 1, 40.0, -1000.0) + 0 * z
    hu[np.broadcast_to(((y - 14) / 8) ** 2 + (x / 8) ** 2 < 1, hu.shape)] = 250
    hu[np.broadcast_to(((z - 30) / 12) ** 2 + ((y + 22) / 9) ** 2 + ((x + 20) / 12) ** 2 < 1, hu.shape)] = -850
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for label, (value, centre, reach) in ORGANS.items():
        inside = sum(((at - c) / r) ** 2 for at, c, r in zip((z, y, x), centre, reach, strict=True)) < 1
        hu[inside], labels[inside] = value, label
    noise = np.random.default_rng(11).integers(-9, 10, grid.shape_zyx)
    return Volume((hu + noise).astype(np.int16), grid), Volume(labels, grid)


def write_sided_bundle(folder: Path, orientation: str = "SPL") -> Path:
    """A one-stage bundle of `write_sided_network`; it sees HU / 100, between -2 and 11."""
    stage = StageSpec(
        networks=(NetworkFile("fine.onnx"),),
        spacing_mm=(2.5, 2.5, 2.5),
        patch_zyx=PATCH_ZYX,
        intensity=Intensity(-200.0, 1100.0, 0.0, 100.0),
        channel_values=CHANNELS,
        orientation=orientation,
        crop_nonzero=False,
    )
    labels = tuple(label for label in FLARE_LABELS if label.value in CHANNELS)
    spec = ModelSpec(1, "sided", labels, stage, Provenance("made by a test", "CC0-1.0"))
    write_bundle(spec, {"fine.onnx": write_sided_network(folder.with_suffix(".source.onnx"))}, folder)
    return folder


def write_sided_network(path: Path) -> Path:
    """Logits of the background, right and left kidney, right and left adrenal gland, for arrays that run to S, P and L.

    side = clip(spine on the left - spine on the right, -1, 1); a kidney's logit is 10 * likeness - 5 +- side.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    x = np.arange(PATCH_ZYX[2])
    look = np.sign(x[:, None] - x) * (np.abs(x[:, None] - x) <= _SIDE_REACH)  # (x of the spine, x of the organ)
    mix = np.array([[0, 0], [10, 0], [10, 0], [0, 10], [0, 10]], np.float32).reshape(5, 2, 1, 1, 1)
    signs = np.array([0, 1, -1, 1, -1], np.float32).reshape(1, 5, 1, 1, 1)
    constants = {"spine": 2.5, "kidney": 6.0, "adrenal": 9.0, "half": 0.5, "one": 1.0, "minus": -1.0}
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    weights += [numpy_helper.from_array(look.astype(np.float32), "look"), numpy_helper.from_array(mix, "mix")]
    weights += [numpy_helper.from_array(signs, "signs"), numpy_helper.from_array(np.array([3], np.int64), "height")]
    weights.append(numpy_helper.from_array(np.array([0, -5, -5, -5, -5], np.float32), "bias"))
    nodes = []
    for organ in ("spine", "kidney", "adrenal"):  # likeness = relu(1 - |v - value| / 2)
        nodes += [
            helper.make_node("Sub", ["x", organ], [f"{organ}_off"]),
            helper.make_node("Abs", [f"{organ}_off"], [f"{organ}_far"]),
            helper.make_node("Mul", [f"{organ}_far", "half"], [f"{organ}_share"]),
            helper.make_node("Sub", ["one", f"{organ}_share"], [f"{organ}_near"]),
            helper.make_node("Relu", [f"{organ}_near"], [f"{organ}_like"]),
        ]
    nodes += [
        helper.make_node("ReduceSum", ["spine_like", "height"], ["spine_at"], keepdims=1),
        helper.make_node("MatMul", ["spine_at", "look"], ["sides"]),
        helper.make_node("Clip", ["sides", "minus", "one"], ["side"]),
        helper.make_node("Concat", ["kidney_like", "adrenal_like"], ["seen"], axis=1),
        helper.make_node("Conv", ["seen", "mix", "bias"], ["unsided"]),
        helper.make_node("Mul", ["side", "signs"], ["lean"]),
        helper.make_node("Add", ["unsided", "lean"], ["y"]),
    ]
    shape = [1, 1, *PATCH_ZYX]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", [1, 5, *PATCH_ZYX]))]
    graph = helper.make_graph(nodes, "sided", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path
