"""An fp32 ONNX network as a strongly typed fp16 one: fp16 weights and activations, InstanceNormalization kept in fp32.

The normalisations sum over whole feature maps, which fp16 cannot hold. Their casts, and those at the input and the output, are
nodes of the graph, so that every runtime computes the same thing and the network's own interface stays float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.base.extras import install_command

#: Operators that compute in fp16, and those that keep fp32. Another one is refused: its meaning in fp16 is not known here.
FP16_OPERATORS = frozenset(
    (
        *("Add", "AveragePool", "Concat", "Conv", "ConvTranspose", "DequantizeLinear", "Identity", "LeakyRelu", "MaxPool", "Mul"),
        *("QuantizeLinear", "Relu", "Sub"),
    )
)
#: From here on the scales of int8 may be fp16; the operators above mean the same as before.
_OPSET_OF_FP16_SCALES, _IR_OF_FP16_SCALES = 19, 9
FP32_OPERATORS = frozenset(["InstanceNormalization"])
#: What stands between a weight and its reader: torch's exporter shares a weight by Identity, export/half_weights.py stores kernels
#: in fp16 behind a Cast.
_RENAMING = ("Identity", "Cast")


def to_fp16(model: bytes, name: str) -> bytes:
    """Convert a serialised model. Raises BundleError for an operator or a weight that fp16 cannot take."""
    try:
        import onnx
    except ImportError as error:
        raise BundleError(
            f"{name}: fp16 needs the package onnx ({error}); {install_command('onnx', 'tensorrt')}, or use --mode exact"
        ) from error

    network = onnx.load_model_from_string(model)
    graph = network.graph
    weights = {tensor.name for tensor in graph.initializer}
    computing = [node for node in graph.node if not (node.op_type == "Cast" and node.input[0] in weights)]
    unknown = sorted({node.op_type for node in computing} - FP16_OPERATORS - FP32_OPERATORS)
    if unknown or any(node.domain not in ("", "ai.onnx") for node in graph.node):
        raise BundleError(f"{name}: got operators {', '.join(unknown)} that have no fp16 rule; use --mode exact")
    _Converter(graph, name).convert()
    if any(node.op_type == "QuantizeLinear" for node in graph.node):
        for opset in network.opset_import:
            opset.version = opset.version if opset.domain else max(opset.version, _OPSET_OF_FP16_SCALES)
        network.ir_version = max(network.ir_version, _IR_OF_FP16_SCALES)
    return bytes(network.SerializeToString())


class _Converter:
    """Rewrites one graph in place. Every value gets an fp16 form; a node that keeps fp32 casts around itself."""

    def __init__(self, graph: Any, name: str) -> None:
        self._graph, self._name = graph, name
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._new_weights: dict[str, Any] = {}
        self._nodes: list[Any] = []

    def convert(self) -> None:
        inputs = [value.name for value in self._graph.input if not self._is_weight(value)]
        outputs = [value.name for value in self._graph.output]
        renamed = {name: f"{name}.fp16" for name in (*inputs, *outputs)}
        for name in inputs:
            self._cast(name, renamed[name], "FLOAT16")
        for node in list(self._graph.node):
            if node.input[0] in self._weights and node.op_type in _RENAMING:
                self._weights[node.output[0]] = self._weights[node.input[0]]
                continue
            keeps = node.op_type in FP32_OPERATORS
            node.input[:] = [self._read(renamed.get(source, source), keeps) for source in node.input]
            results = [renamed.get(result, result) for result in node.output]
            node.output[:] = [f"{result}.fp32" for result in results] if keeps else results
            self._nodes.append(node)
            if keeps:
                for result in results:
                    self._cast(f"{result}.fp32", result, "FLOAT16")
        for name in outputs:
            self._cast(renamed[name], name, "FLOAT")
        self._replace()

    def _is_weight(self, value: Any) -> bool:
        return value.name in self._weights

    def _read(self, source: str, keeps_fp32: bool) -> str:
        """The name under which a node reads a value in its own precision."""
        if not source:
            return source  # an optional input that is not given
        if source in self._weights:
            return self._weight(source, keeps_fp32)
        return self._cast(source, f"{source}.fp32-of-{len(self._nodes)}", "FLOAT") if keeps_fp32 else source

    def _weight(self, source: str, keeps_fp32: bool) -> str:
        from onnx import numpy_helper

        tensor = self._weights[source]
        values = numpy_helper.to_array(tensor)
        if keeps_fp32 and values.dtype == np.float16:
            target = f"{tensor.name}.fp32"
            self._new_weights[target] = numpy_helper.from_array(values.astype(np.float32), target)
            return target
        if keeps_fp32 or values.dtype != np.float32:
            self._new_weights[tensor.name] = tensor
            return str(tensor.name)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            raise BundleError(
                f"{self._name}: the weight {tensor.name} holds values past 65504, too large for fp16; use --mode exact"
            )
        target = f"{tensor.name}.fp16"
        self._new_weights[target] = numpy_helper.from_array(values.astype(np.float16), target)
        return target

    def _cast(self, source: str, target: str, kind: str) -> str:
        from onnx import TensorProto, helper

        self._nodes.append(helper.make_node("Cast", [source], [target], to=TensorProto.DataType.Value(kind)))
        return target

    def _replace(self) -> None:
        """Put the new nodes and weights in place of the old; what was said of intermediate types no longer holds."""
        inputs = [value for value in self._graph.input if not self._is_weight(value)]
        for field, values in (("node", self._nodes), ("initializer", [*self._new_weights.values()]), ("input", inputs)):
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(values)
        self._graph.ClearField("value_info")
