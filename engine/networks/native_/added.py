"""A network that joins channels of its own to the logits of a U-Net that the kernels know, as a branch for tumours does: the U-Net
runs on our kernels, what is computed of its logits and the image in OpenVINO (openvino_/behind.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flare_trt.engine.networks.native_.onnx_graph import Node, OnnxGraph
from flare_trt.engine.networks.part import Part


@dataclass(frozen=True)
class Added:
    """`unet` is the graph that ends with the U-Net's logits; `part` is what adds channels to them."""

    unet: OnnxGraph
    part: Part


def find_added(graph: OnnxGraph) -> Added | None:
    """Where a graph's output is a join of logits and more, the two parts; None for another graph, and where the second reads
    more of the first than its logits."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    join = makers.get(_before_reshapes(graph.outputs[0], makers))
    if join is None or join.op != "Concat" or join.ints("axis", (0,)) != (1,) or len(join.inputs) < 2:
        return None
    logits = _before_reshapes(join.inputs[0], makers)
    inner = _ancestors(logits, makers)
    outer = [node for node in graph.nodes if not inner.issuperset(node.outputs)]
    read = {name for node in outer for name in node.inputs}
    if read & inner != {logits}:
        return None
    nodes = tuple(node for node in graph.nodes if inner.issuperset(node.outputs))
    return Added(replace(graph, nodes=nodes, outputs=(logits,)), Part(logits, join.inputs[1:]))


def _before_reshapes(name: str, makers: Mapping[str, Node]) -> str:
    while name in makers and makers[name].op == "Reshape":
        name = makers[name].inputs[0]
    return name


def _ancestors(name: str, makers: Mapping[str, Node]) -> set[str]:
    """The name and all names of nodes' outputs that it is computed of."""
    found, waiting = set[str](), [name]
    while waiting:
        name = waiting.pop()
        if name in makers and name not in found:
            found.update(makers[name].outputs)
            waiting += makers[name].inputs
    return found
