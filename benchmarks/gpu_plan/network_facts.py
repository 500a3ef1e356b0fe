"""What a network costs, counted from its ONNX graph: weights, activations, and the work of its convolutions.

The memory of its activations is an estimate: a tensor lives from the node that makes it to the last that reads it, and a node
that maps element to element writes over its input. A GPU library may need less, by joining nodes, or more, for its algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.base.extras import install_command
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.session import static_shape

#: Operators that TensorRT runs in place.
_IN_PLACE = frozenset(["Identity", "LeakyRelu", "Relu"])


@dataclass(frozen=True)
class Layer:
    """One convolution: multiplications and additions, and the values that it reads and writes, weights among them."""

    flops: int
    values: int


@dataclass(frozen=True)
class NetworkFacts:
    """Counts of values; their bytes depend on the precision."""

    input_shape: tuple[int, int, int, int, int]
    channels: int
    weights: int
    activations: int
    layers: tuple[Layer, ...]

    @property
    def flops(self) -> int:
        """Of one forward pass: two for each multiply-add of the convolutions; the rest is little."""
        return sum(layer.flops for layer in self.layers)

    def weights_bytes(self, precision: Precision) -> int:
        """All weights."""
        return self.weights * value_bytes(precision)

    def activations_bytes(self, precision: Precision) -> int:
        """The estimate that the module describes, without the input and the logits."""
        return self.activations * value_bytes(precision)

    def costs(self, precision: Precision) -> tuple[Cost, ...]:
        """Each convolution's own; whatever lies between two of them is taken as joined to one and free."""
        return tuple(Cost(layer.values * value_bytes(precision), layer.flops) for layer in self.layers)


def value_bytes(precision: Precision) -> int:
    """Bytes of a weight or an activation."""
    return 4 if precision == "fp32" else 2


def network_facts(onnx_file: Path) -> NetworkFacts:
    """Count a network. Raises BundleError where the package onnx is missing or the file is no network of ours."""
    try:
        import onnx
    except ImportError as error:
        raise BundleError(
            f"{onnx_file.name}: counting a network needs the package onnx ({error}); {install_command('onnx')}"
        ) from error
    model = onnx.load(onnx_file)
    for tensor in model.graph.initializer:  # large weights say nothing about shapes, and the file has a limit of 2 GB
        if prod(tensor.dims) > 1024:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    graph = onnx.shape_inference.infer_shapes(model).graph
    sizes = {value.name: _sizes(value) for value in (*graph.input, *graph.output, *graph.value_info)}
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    stored = sum(prod(dims) for dims in weights.values())
    for node in graph.node:
        # an Identity is how torch's exporter shares one weight, a Cast how weights are stored in half precision
        if node.op_type in ("Identity", "Cast") and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    inputs = [value.name for value in graph.input if value.name not in weights]
    shape = static_shape(onnx_file.name, sizes[inputs[0]], len(graph.output))
    return NetworkFacts(
        input_shape=shape,
        channels=sizes[graph.output[0].name][1] or 0,
        weights=stored,
        activations=_most_activations(graph.node, {name: _count(dims) for name, dims in sizes.items()}, {*inputs, *weights}),
        layers=tuple(_layer(node, sizes, weights) for node in graph.node if node.op_type in ("Conv", "ConvTranspose")),
    )


def _sizes(value: Any) -> list[int | None]:
    return [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]


def _count(dims: list[int | None]) -> int:
    """Values of a tensor; a free batch size is 1."""
    return prod(size or 1 for size in dims)


def _layer(node: Any, sizes: dict[str, list[int | None]], weights: dict[str, list[int]]) -> Layer:
    kernel, source, result = weights[node.input[1]], sizes[node.input[0]], sizes[node.output[0]]
    # each weight of one group meets each voxel of the output (Conv) or of the input (ConvTranspose)
    met = result if node.op_type == "Conv" else source
    return Layer(2 * prod(kernel) * _count(met[2:]), _count(source) + _count(result) + prod(kernel))


def _most_activations(nodes: Any, counts: dict[str, int], outside: set[str]) -> int:
    """The most values between the nodes at once. The input and the last node's output have buffers of their own."""
    last_read = {name: index for index, node in enumerate(nodes) for name in node.input}
    live: dict[str, int] = {}
    most = 0
    for index, node in enumerate(nodes):
        done = [name for name in node.input if name in live and last_read[name] == index]
        if node.op_type in _IN_PLACE and done:
            live.pop(done[0])
            done = done[1:]
        live.update({name: counts[name] for name in node.output if name in last_read and name not in outside})
        most = max(most, sum(live.values()))
        for name in done:
            live.pop(name)
    return most
