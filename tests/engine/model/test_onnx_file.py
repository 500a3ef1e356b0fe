"""External weights are found wherever an ONNX file can hold a tensor, and damaged bytes raise nothing but BundleError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.onnx_file import require_embedded_weights

onnx = pytest.importorskip("onnx")


def tensor(external: bool) -> Any:
    made = onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32), "weights")
    if external:
        made.ClearField("raw_data")
        made.data_location = onnx.TensorProto.EXTERNAL
        made.external_data.add(key="location", value="../../elsewhere")
    return made


def graph(nodes: list[Any], initializers: list[Any]) -> Any:
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [6])
    return onnx.helper.make_graph(nodes, "g", [], [output], initializers)


def constant(value: Any) -> Any:
    return onnx.helper.make_node("Constant", [], ["y"], value=value)


def in_initializer(value: Any) -> Any:
    return onnx.helper.make_model(graph([], [value]))


def in_attribute(value: Any) -> Any:
    return onnx.helper.make_model(graph([constant(value)], []))


def in_list_of_tensors(value: Any) -> Any:
    node = constant(tensor(False))
    node.attribute.append(onnx.helper.make_attribute("tensors", [tensor(False), value]))
    return onnx.helper.make_model(graph([node], []))


def in_branch(value: Any) -> Any:
    branch = graph([constant(value)], [])
    return onnx.helper.make_model(graph([onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)], []))


def in_sparse_initializer(value: Any) -> Any:
    model = onnx.helper.make_model(graph([], []))
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(tensor(False))
    sparse.indices.CopyFrom(value)
    return model


def in_function(value: Any) -> Any:
    model = onnx.helper.make_model(graph([], []))
    model.functions.append(onnx.helper.make_function("local", "f", [], ["y"], [constant(value)], []))
    return model


PLACES = [in_initializer, in_attribute, in_list_of_tensors, in_branch, in_sparse_initializer, in_function]


@pytest.mark.parametrize("place", PLACES)
def test_external_weights_are_found(place: Callable[[Any], Any], tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(place(tensor(external=False)).SerializeToString())
    require_embedded_weights(path, "bundle.json: fine.networks[0]")
    path.write_bytes(place(tensor(external=True)).SerializeToString())
    with pytest.raises(BundleError, match=r"fine.networks\[0\]: net.onnx keeps weights in other files"):
        require_embedded_weights(path, "bundle.json: fine.networks[0]")


@pytest.mark.parametrize("field", ["data_location", "external_data"])
def test_either_mark_of_external_weights_is_enough(field: str, tmp_path: Path) -> None:
    value = tensor(external=True)
    value.ClearField(field)
    path = tmp_path / "net.onnx"
    path.write_bytes(in_initializer(value).SerializeToString())
    with pytest.raises(BundleError, match="keeps weights in other files"):
        require_embedded_weights(path, "net")


def test_damaged_bytes_raise_nothing_else(tmp_path: Path) -> None:
    data = in_branch(tensor(external=False)).SerializeToString()
    path = tmp_path / "net.onnx"
    rng = np.random.default_rng(4)
    damaged = [data[:length] for length in range(len(data))]
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(len(data), size=3):
            changed[place] = rng.integers(256)
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            require_embedded_weights(path, "net")
        except BundleError:
            refused += 1
    assert refused > len(data) / 2
