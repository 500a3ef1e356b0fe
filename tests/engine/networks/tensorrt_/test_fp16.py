"""The fp16 form of a network: which parts are fp16, that it is valid ONNX, and how far it drifts from fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.networks.int8_net import int8_net
from tests.engine.networks.test_backends import PATCH, conv_net
from tests.shared_data import shared_file

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.tensorrt_.fp16 import to_fp16

onnx = pytest.importorskip("onnx")


def run(model: bytes, tile: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: tile})[0])


def types_of(network: Any) -> dict[str, str]:
    """Element type of every value, as ONNX infers it."""
    inferred = onnx.shape_inference.infer_shapes(network, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    named = {value.name: value.type.tensor_type.elem_type for value in values}
    named |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    return {name: onnx.TensorProto.DataType.Name(kind) for name, kind in named.items()}


def test_only_norms_keep_fp32(tmp_path: Path) -> None:
    source = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH], outputs=2).read_bytes()
    network = onnx.load_model_from_string(to_fp16(source, "net.onnx"))
    onnx.checker.check_model(network, full_check=True)
    types = types_of(network)
    for node in network.graph.node:
        wanted = "FLOAT" if node.op_type == "InstanceNormalization" else "FLOAT16"
        if node.op_type != "Cast":
            assert {types[name] for name in (*node.input, *node.output)} == {wanted}, node.op_type
    assert [types[value.name] for value in (*network.graph.input, *network.graph.output)] == ["FLOAT"] * 3


def test_the_result_stays_close(tmp_path: Path) -> None:
    source = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]).read_bytes()
    tile = np.random.default_rng(2).normal(size=(1, 1, *PATCH)).astype(np.float32)
    exact, half = run(source, tile), run(to_fp16(source, "net.onnx"), tile)
    assert 0 < np.abs(exact - half).max() < 0.05


def test_int8_stays_int8_with_fp16_around_it(tmp_path: Path) -> None:
    source = int8_net(tmp_path / "net.onnx").read_bytes()
    network = onnx.load_model_from_string(to_fp16(source, "net.onnx"))
    onnx.checker.check_model(network, full_check=True)
    types = types_of(network)
    found = {(node.op_type, types[node.input[0]], types[node.output[0]]) for node in network.graph.node}
    assert {entry for entry in found if entry[0].endswith(("eLinear", "Conv"))} == {
        ("QuantizeLinear", "FLOAT16", "INT8"),
        ("DequantizeLinear", "INT8", "FLOAT16"),
        ("Conv", "FLOAT16", "FLOAT16"),
    }
    tile = np.random.default_rng(2).normal(size=(1, 1, *PATCH)).astype(np.float32)
    difference = np.abs(run(source, tile) - run(bytes(network.SerializeToString()), tile))
    assert np.median(difference) < 0.01  # a value on a border of int8 may fall to the other side
    assert difference.max() < 0.3


def changed(source: bytes, change: Any) -> bytes:
    network = onnx.load_model_from_string(source)
    change(network.graph)
    return bytes(network.SerializeToString())


def test_a_shared_weight_of_a_norm_keeps_fp32(tmp_path: Path) -> None:
    def share(graph: Any) -> None:
        graph.node.insert(0, onnx.helper.make_node("Identity", ["scale"], ["shared"]))
        graph.node[2].input[1] = "shared"

    source = changed(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]).read_bytes(), share)
    network = onnx.load_model_from_string(to_fp16(source, "net.onnx"))
    (norm,) = (node for node in network.graph.node if node.op_type == "InstanceNormalization")
    assert [*norm.input[1:]] == ["scale", "shift"]
    assert types_of(network)["scale"] == "FLOAT"


def test_an_operator_without_a_rule_is_refused(tmp_path: Path) -> None:
    def rename(graph: Any) -> None:
        graph.node[2].op_type = "Softmax"

    with pytest.raises(BundleError, match="operators Softmax that have no fp16 rule"):
        to_fp16(changed(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]).read_bytes(), rename), "net.onnx")


def test_a_weight_past_the_range_is_refused(tmp_path: Path) -> None:
    def enlarge(graph: Any) -> None:
        tensor = next(t for t in graph.initializer if t.name == "w2")
        values = onnx.numpy_helper.to_array(tensor) * np.float32(1e6)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, "w2"))

    with pytest.raises(BundleError, match="the weight w2 holds values past 65504"):
        to_fp16(changed(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]).read_bytes(), enlarge), "net.onnx")


def abdomen_tile() -> np.ndarray:
    """One tile of a real CT about the abdomen, as the trained network wants it."""
    nibabel = pytest.importorskip("nibabel")
    from scipy import ndimage

    image = nibabel.load(shared_file("ts_example", "ct.nii.gz"))
    hu = np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)
    spacing = np.array(image.header.get_zooms()[::-1])
    hu = ndimage.zoom(hu[:, ::-1, ::-1], spacing / (2.5, 1.5, 1.5), order=1)  # RAS on disk; the network was trained on LPS
    normal = (np.clip(hu, -973, 295) - 80) / 141
    tile = np.full((1, 1, 96, 160, 160), normal.min(), np.float32)
    start = [max(0, (have - want) // 2) for have, want in zip(normal.shape, tile.shape[2:], strict=True)]
    part = normal[tuple(slice(s, s + want) for s, want in zip(start, tile.shape[2:], strict=True))]
    tile[(0, 0, *map(slice, part.shape))] = part
    return tile


def with_coarse_weights(model: bytes) -> bytes:
    """An fp16 network whose weights keep 3 bits of their mantissa's 10: the fault that the comparison has to see."""

    def round_off(graph: Any) -> None:
        for tensor in graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT16:
                bits = onnx.numpy_helper.to_array(tensor).view(np.uint16) & np.uint16(0xFF80)
                tensor.CopyFrom(onnx.numpy_helper.from_array(bits.view(np.float16), tensor.name))

    return changed(model, round_off)


@pytest.mark.nightly
def test_a_trained_network_keeps_its_labels_in_fp16_and_loses_them_in_less() -> None:
    """DSC of fp16 against fp32 on the abdomen of a real CT, for every class of more than 100 voxels."""
    teacher = shared_file("teacher_flare25", "exported_model.onnx").read_bytes()
    tile, halves = abdomen_tile(), to_fp16(teacher, "teacher")
    exact, half, coarse = (run(model, tile).argmax(axis=1) for model in (teacher, halves, with_coarse_weights(halves)))
    labels = [label for label in range(1, 14) if (exact == label).sum() > 100]
    assert len(labels) >= 10
    assert min(dice(exact == label, half == label) for label in labels) >= 0.999
    assert min(dice(exact == label, coarse == label) for label in labels) < 0.999


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
