"""A network that joins channels of its own to the logits of a U-Net that the kernels know, as a branch for tumours does: the U-Net
runs on our kernels, what is computed of its logits and the image in OpenVINO."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.native_.onnx_graph import Node, OnnxGraph
from flare_trt.engine.networks.openvino_.compiling import Compiler, Part
from flare_trt.engine.networks.session import SessionOptions
from flare_trt.engine.networks.silent_import import load_openvino


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


class AddedChannels:
    """Computes the channels behind a U-Net's logits; `count` is how many."""

    def __init__(self, onnx: Path, part: Part, options: SessionOptions) -> None:
        """Raises BundleError where OpenVINO cannot read the file."""
        compiled = Compiler(options).compiled(onnx, {"PERFORMANCE_HINT": "LATENCY"}, part)
        self._file = onnx.name
        voxels = math.prod(compiled.inputs[0].shape[2:])
        self._shapes = [tuple(port.shape) for port in compiled.outputs]
        self._counts = [math.prod(shape) // voxels for shape in self._shapes]
        self.count = sum(self._counts)
        self._request = compiled.create_infer_request()
        self._tensor = load_openvino().Tensor

    def run(self, tile: Any, logits: Any) -> None:
        """Fill the last `count` of the logits (channels, z, y, x) of a tile from those before them."""
        first = len(logits) - self.count
        image = tile if tile.flags.writeable else tile.copy()  # a Tensor shares no read-only memory
        at = first
        for index, (shape, count) in enumerate(zip(self._shapes, self._counts, strict=True)):
            self._request.set_output_tensor(index, self._tensor(logits[at : at + count].reshape(shape), shared_memory=True))
            at += count
        try:
            inputs = [self._tensor(image, shared_memory=True), self._tensor(logits[None, :first], shared_memory=True)]
            self._request.infer(inputs, share_inputs=True)
        except RuntimeError as error:
            raise BundleError(f"{self._file}: OpenVINO cannot run it: {error}") from error
