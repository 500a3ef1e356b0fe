"""Exchanged nodes as the package onnx reads them back, and what the reader makes of the package's own files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flare_trt.engine.networks.ort_.onnx_rewrite import Change, Graph, Node, rewrite

onnx = pytest.importorskip("onnx")


def model(*opsets: tuple[str, int]) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "w"], ["a"]),
            helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.25),
            helper.make_node("Add", ["b", "v"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 200])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 200])],
        [numpy_helper.from_array(np.ones((1, 3, 200), np.float32), "w"), numpy_helper.from_array(np.float32(2.0), "v")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in opsets or (("", 17),)])


def exchanged(before: Any, change: Change) -> tuple[Graph, Any]:
    seen: list[Graph] = []
    parts = rewrite(memoryview(before.SerializeToString()), lambda graph: seen.append(graph) or change)  # type: ignore[func-returns-value]
    return seen[0], onnx.load_from_string(b"".join(parts))


def test_the_graph_is_read_as_the_package_wrote_it() -> None:
    graph, after = exchanged(model(("com.microsoft", 99), ("", 17), ("ai.onnx.ml", 50)), Change({}, {}))
    assert graph.opset == 17, "only the standard operators' counts"
    assert graph.nodes == (
        Node("Mul", ("x", "w"), ("a",)),
        Node("LeakyRelu", ("a",), ("b",), {"alpha": 0.25}),
        Node("Add", ("b", "v"), ("y",)),
    )
    assert graph.weight_ranks == {"w": 3, "v": 0}
    assert after == model(("com.microsoft", 99), ("", 17), ("ai.onnx.ml", 50))


def test_ranks_are_read_packed_too() -> None:
    """A writer may put dims into one field (proto2 allows both): 1 x 3 x 200, where 200 takes two bytes."""
    tensor = b"\x0a\x04\x01\x03\xc8\x01" + b"\x42\x01w"
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    seen: list[Graph] = []
    rewrite(memoryview(b"\x3a" + bytes([len(graph)]) + graph), lambda graph: seen.append(graph) or Change({}, {}))  # type: ignore[func-returns-value]
    assert seen[0].weight_ranks == {"w": 3}


def test_a_node_gives_way_to_several_with_attributes_and_vectors() -> None:
    new = (
        Node("ReduceMean", ("a",), ("m",), ints={"axes": (-1, 300)}),
        Node("Elu", ("m",), ("b",), {"alpha": 0.5}),
    )
    _, after = exchanged(model(), Change({1: new}, {"shape": (0, -1, 1 << 40)}))
    assert [node.op_type for node in after.graph.node] == ["Mul", "ReduceMean", "Elu", "Add"]
    mean, elu = after.graph.node[1:3]
    assert (list(mean.input), list(mean.output)) == (["a"], ["m"])
    assert onnx.helper.get_node_attr_value(mean, "axes") == [-1, 300]
    assert onnx.helper.get_node_attr_value(elu, "alpha") == 0.5
    (vector,) = [weight for weight in after.graph.initializer if weight.name == "shape"]
    found = onnx.numpy_helper.to_array(vector)
    assert (found.dtype, found.tolist()) == (np.int64, [0, -1, 1 << 40])
    assert list(after.graph.initializer)[:2] == list(model().graph.initializer)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_bytes_that_break_off_are_refused(share: float) -> None:
    content = model().SerializeToString()
    with pytest.raises((IndexError, ValueError)):
        rewrite(memoryview(content[: int(len(content) * share)]), lambda graph: Change({}, {}))
