"""Instance normalisation in ONNX Runtime with means that are exact to float32.

Its own kernel sums all voxels of a channel in a few float32 numbers: from 96 x 96 x 96 voxels on, labels differ. Here the mean
and the variance are taken along one axis at a time, so that no sum is longer than an axis, and BatchNormalization, which takes
both as inputs, applies them in one go, as torch does on a CPU. Measured in docs/decisions/onnxruntime-accuracy.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.engine.networks.ort_.onnx_rewrite import Change, Graph, Node, Part, rewrite

_AXES_FROM_THE_LAST = (4, 3, 2)  # the last lies densest in memory
_EPSILON = 1e-5  # the operator's own default
_FLAT, _AXIS = "flare_trt.flat", "flare_trt.axis"
#: Operators that give the rank that their first input has.
_SAME_RANK = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Concat", "Dropout", "Elu", "HardSwish", "Identity", "InstanceNormalization"),
        *("LeakyRelu", "MaxPool", "Mul", "PRelu", "Relu", "Sigmoid", "Softplus", "Sub", "Tanh"),
    )
)


def split_means(model: memoryview) -> Sequence[Part]:
    """An ONNX file's bytes in pieces, with every instance normalisation of a (1, c, z, y, x) tensor written out.

    Raises IndexError or ValueError for bytes that are no ONNX file.
    """
    return rewrite(model, _written_out)


def _written_out(graph: Graph) -> Change:
    makers = {name: node for node in graph.nodes for name in node.outputs}
    found = {
        index: _normalised(node, graph.opset)
        for index, node in enumerate(graph.nodes)
        if node.op == "InstanceNormalization" and _is_volume(node.inputs[0], makers, graph.weight_ranks)
    }
    vectors: dict[str, tuple[int, ...]] = {_FLAT: (-1,)} if found else {}
    if found and graph.opset >= 18:  # where ReduceMean takes its axes as an input
        vectors |= {f"{_AXIS}{axis}": (axis,) for axis in _AXES_FROM_THE_LAST}
    return Change(found, vectors)


def _is_volume(name: str, makers: dict[str, Node], ranks: dict[str, int]) -> bool:
    """Whether a tensor has five axes, as far as the graph says: it goes back to a convolution with a kernel of five axes.

    A group normalisation is an InstanceNormalization of a reshaped tensor and stays as it is.
    """
    while name in makers:
        node = makers[name]
        if node.op in ("Conv", "ConvTranspose"):
            return _rank(node.inputs[1], makers, ranks) == 5
        if node.op not in _SAME_RANK:
            return False
        name = node.inputs[0]
    return False


def _rank(weight: str, makers: dict[str, Node], ranks: dict[str, int]) -> int:
    """Of a weight, which may be shared (Identity), or stored in half precision (Cast) or in int8."""
    while weight in makers and makers[weight].op in ("Identity", "Cast", "DequantizeLinear"):
        weight = makers[weight].inputs[0]
    return ranks.get(weight, 0)


def _normalised(node: Node, opset: int) -> list[Node]:
    image, scale, bias = node.inputs
    at = node.outputs[0]
    mean, centred, squares, variance = (f"{at}.{part}" for part in ("mean", "centred", "squares", "variance"))
    return [
        *_mean(image, mean, opset),
        Node("Sub", (image, mean), (centred,)),
        Node("Mul", (centred, centred), (squares,)),
        *_mean(squares, variance, opset),
        Node("Reshape", (mean, _FLAT), (f"{mean}.flat",)),
        Node("Reshape", (variance, _FLAT), (f"{variance}.flat",)),
        Node(
            "BatchNormalization",
            (image, scale, bias, f"{mean}.flat", f"{variance}.flat"),
            node.outputs,
            {"epsilon": node.floats.get("epsilon", _EPSILON)},
        ),
    ]


def _mean(image: str, result: str, opset: int) -> list[Node]:
    """Nodes that give the mean over the spatial axes, (n, c, 1, 1, 1)."""
    nodes = []
    for axis in _AXES_FROM_THE_LAST:
        output = result if axis == _AXES_FROM_THE_LAST[-1] else f"{result}.{axis}"
        if opset >= 18:
            nodes.append(Node("ReduceMean", (image, f"{_AXIS}{axis}"), (output,)))
        else:
            nodes.append(Node("ReduceMean", (image,), (output,), ints={"axes": (axis,)}))
        image = output
    return nodes
