"""A plain U-Net as an ONNX graph without weights: enough to count what the network costs, in a few kB and without torch.

Layer for layer as nnU-Net's PlainConvUNet (dynamic_network_architectures/architectures/unet.py), deep supervision off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.extra import require


@dataclass(frozen=True)
class UNet:
    """`features[i]` maps at stage i, `convs` convolutions a stage, each stage but the first at half the size."""

    features: Sequence[int]
    convs: int
    patch_zyx: tuple[int, int, int]
    heads: int


def write_unet(path: Path, unet: UNet) -> None:
    """Write the graph; its weights have shapes and no values."""
    require("onnx")
    from onnx import TensorProto, helper

    writer = _Writer()
    value, skips = "input", []
    for stage, features in enumerate(unet.features):
        inside = 1 if stage == 0 else unet.features[stage - 1]
        for conv in range(unet.convs):
            value = writer.block(value, inside, features, stride=2 if stage and conv == 0 else 1)
            inside = features
        skips.append(value)
    for features, below, skip in zip(unet.features[-2::-1], unet.features[:0:-1], skips[-2::-1], strict=True):
        raised = writer.convolution("ConvTranspose", value, (below, features, 2, 2, 2), strides=[2] * 3)
        value = writer.node("Concat", [raised, skip], axis=1)
        for conv in range(unet.convs):
            value = writer.block(value, 2 * features if conv == 0 else features, features, stride=1)
    logits = writer.convolution("Conv", value, (unet.heads, unet.features[0], 1, 1, 1))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, *unet.patch_zyx])
        for name, count in (("input", 1), (logits, unet.heads))
    ]
    graph = helper.make_graph(writer.nodes, "unet", ends[:1], ends[1:], writer.weights)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


class _Writer:
    """Collects nodes and weights; each method gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        from onnx import helper

        result = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def convolution(self, operator: str, source: str, kernel: Sequence[int], **attributes: Any) -> str:
        outside = kernel[0] if operator == "Conv" else kernel[1]
        return self.node(operator, [source, self._weight(kernel), self._weight([outside])], **attributes)

    def block(self, source: str, inside: int, outside: int, stride: int) -> str:
        """Convolution, instance normalisation, leaky ReLU."""
        value = self.convolution("Conv", source, (outside, inside, 3, 3, 3), strides=[stride] * 3, pads=[1] * 6)
        value = self.node("InstanceNormalization", [value, self._weight([outside]), self._weight([outside])], epsilon=1e-5)
        return self.node("LeakyRelu", [value], alpha=0.01)

    def _weight(self, dims: Sequence[int]) -> str:
        from onnx import TensorProto

        name = f"weight{len(self.weights)}"
        self.weights.append(TensorProto(name=name, dims=list(dims), data_type=TensorProto.FLOAT))
        return name
