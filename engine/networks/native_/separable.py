"""Recognises a U-Net of depthwise-separable convolutions in an ONNX graph, as the default model's, and lays out its weights.

Biases in front of an instance norm are left out: the norm takes them away. The compiled kernels believe every size that they are
told, so each is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.networks.native_.onnx_graph import Floats, Node, OnnxGraph

#: Channels that the kernels work on at once, and the slope of nnU-Net's leaky ReLU.
LANES, SLOPE = 16, 0.01
Triple = tuple[int, int, int]
#: Floats, or the upper halves of floats: bfloat16.
Kernel = Floats | NDArray[np.uint16]


class NotSeparableError(Exception):
    """What of a graph is not of this kind."""


@dataclass(frozen=True)
class Norm:
    """An instance norm's weights (channels)."""

    gamma: NDArray[np.float64]
    beta: NDArray[np.float64]
    epsilon: float


@dataclass(frozen=True)
class Source:
    """What a block reads: the activated result of block `index`, upsampled where there is `up` (kernel and bias)."""

    index: int
    up: tuple[Kernel, Floats] | None = None


@dataclass(frozen=True)
class Block:
    """A depthwise 3^3 convolution, a mixing of channels and a norm; kernels as the C++ code wants them (separable.h).

    The first block reads the image: it has no sources, and its `pointwise` (channels) makes its channels of one.
    """

    sources: tuple[Source, ...]
    depthwise: Kernel
    pointwise: Kernel
    stride_zyx: Triple
    norm: Norm

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return len(self.norm.gamma)


@dataclass(frozen=True)
class SeparableNet:
    """Blocks in their order, the first the image's; the last one's activated result becomes `logits` values a voxel."""

    shape_zyx: Triple
    blocks: tuple[Block, ...]
    last: int
    kernel: Kernel
    bias: Floats
    logits: int


def recognise(graph: OnnxGraph) -> SeparableNet:
    """The network of a graph. Raises NotSeparableError where it is another one."""
    return _Reader(graph).read()


@dataclass(frozen=True)
class _Depthwise:
    sources: tuple[Source, ...]
    kernel: Floats
    stride_zyx: Triple


@dataclass(frozen=True)
class _Mixed:
    """A result before (norm None) and after its norm."""

    depthwise: _Depthwise
    pointwise: Floats
    channels: int
    norm: Norm | None = None


class _Reader:
    """Walks along the nodes; `found` holds what each name stands for."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.weights: dict[str, Floats] = dict(graph.weights)
        self.found: dict[str, object] = {graph.image: ()}
        self.blocks: list[Block] = []
        self.net: SeparableNet | None = None

    def read(self) -> SeparableNet:
        if len(self.graph.shape) != 5 or self.graph.shape[:2] != (1, 1) or min(self.graph.shape) < 1:
            raise NotSeparableError(f"its input has shape {self.graph.shape}, not (1, 1, z, y, x)")
        steps: Mapping[str, object] = {
            "Conv": self._conv,
            "InstanceNormalization": self._norm,
            "LeakyRelu": self._activate,
            "ConvTranspose": self._upsample,
            "Concat": self._join,
        }
        for node in self.graph.nodes:
            if node.op == "Cast" and node.inputs[0] in self.weights:
                self.weights[node.outputs[0]] = self.weights[node.inputs[0]]
                continue
            step = steps.get(node.op)
            if not callable(step):
                raise NotSeparableError(f"it has an operation {node.op}")
            step(node)
        if self.net is None:
            raise NotSeparableError("its output is no 1^3 convolution of an activated map")
        return self.net

    def _weight(self, node: Node, index: int) -> Floats:
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.weights:
            raise NotSeparableError(f"input {index} of a {node.op} is no float weight in the file")
        return self.weights[name]

    def _sources(self, node: Node) -> tuple[Source, ...]:
        found = self.found.get(node.inputs[0])
        if not isinstance(found, tuple):
            raise NotSeparableError(f"a {node.op} reads what is no activated map")
        return found

    def _channels(self, sources: tuple[Source, ...]) -> int:
        """Channels of what a convolution reads: one where it reads the image."""
        return sum(self.blocks[s.index].channels if s.up is None else len(s.up[1]) for s in sources) if sources else 1

    def _conv(self, node: Node) -> None:
        kernel = self._weight(node, 1)
        group, size = node.ints("group", (1,))[0], kernel.shape[2:]
        _require(node, "dilations", (1, 1, 1))
        if size == (3, 3, 3) and kernel.shape[1] == 1 and group == len(kernel) == self._channels(self._sources(node)):
            _require(node, "pads", (1,) * 6)
            stride = node.ints("strides", (1, 1, 1))
            if not _steps(stride) or (not self._sources(node) and stride != (1, 1, 1)):
                raise NotSeparableError(f"a depthwise convolution has strides {stride}")
            taps = np.ascontiguousarray(kernel.reshape(group, 27).T)
            self.found[node.outputs[0]] = _Depthwise(self._sources(node), taps, (stride[0], stride[1], stride[2]))
        elif size == (1, 1, 1) and group == 1 and set(node.ints("strides", (1,))) == {1}:
            _require(node, "pads", (0,) * 6)
            self._mix(node, kernel.reshape(kernel.shape[:2]))
        else:
            raise NotSeparableError(f"it has a convolution of {kernel.shape} in {group} groups")

    def _mix(self, node: Node, kernel: Floats) -> None:
        read = self.found.get(node.inputs[0])
        if isinstance(read, _Depthwise):
            if kernel.shape[1] != read.kernel.shape[1]:
                raise NotSeparableError(f"{kernel.shape[1]} channels are mixed where there are {read.kernel.shape[1]}")
            mixing = _by_lanes(kernel) if read.sources else np.ascontiguousarray(kernel[:, 0])
            self.found[node.outputs[0]] = _Mixed(read, mixing, len(kernel))
            return
        sources, bias = self._sources(node), self._weight(node, 2)
        if node.outputs != self.graph.outputs or len(sources) != 1 or sources[0].up is not None:
            raise NotSeparableError("a 1^3 convolution follows no depthwise one and is not the last")
        if kernel.shape[1] != self._channels(sources) or bias.shape != (len(kernel),):
            raise NotSeparableError(f"its last convolution is {kernel.shape} with a bias of {bias.shape}")
        padded = np.zeros((-(-len(kernel) // LANES) * LANES, kernel.shape[1] + 1), np.float32)
        padded[: len(kernel), :-1], padded[: len(kernel), -1] = kernel, bias
        z, y, x = self.graph.shape[2:]
        layout = _by_lanes(np.ascontiguousarray(padded[:, :-1])), np.ascontiguousarray(padded[:, -1])
        self.net = SeparableNet((z, y, x), tuple(self.blocks), sources[0].index, *layout, len(kernel))

    def _norm(self, node: Node) -> None:
        mixed = self.found.get(node.inputs[0])
        epsilon = node.numbers.get("epsilon", 1e-5)
        if not isinstance(mixed, _Mixed) or mixed.norm is not None or not isinstance(epsilon, float):
            raise NotSeparableError("an instance norm follows no separable convolution")
        gamma, beta = (self._weight(node, index).astype(np.float64) for index in (1, 2))
        if gamma.shape != (mixed.channels,) or beta.shape != gamma.shape:
            raise NotSeparableError(f"a norm of {gamma.shape} and {beta.shape} weights follows {mixed.channels} channels")
        self.found[node.outputs[0]] = replace(mixed, norm=Norm(gamma, beta, epsilon))

    def _activate(self, node: Node) -> None:
        mixed, slope = self.found.get(node.inputs[0]), node.numbers.get("alpha", SLOPE)
        if not isinstance(mixed, _Mixed) or mixed.norm is None or not isinstance(slope, float) or abs(slope - SLOPE) > 1e-6:
            raise NotSeparableError(f"a leaky ReLU of slope {slope} follows no norm, or has another slope than {SLOPE}")
        depthwise = mixed.depthwise
        if mixed.channels % LANES or bool(self.blocks) != bool(depthwise.sources):
            raise NotSeparableError(
                f"a map has {mixed.channels} channels, no multiple of {LANES}, or two convolutions read the image"
            )
        self.blocks.append(Block(depthwise.sources, depthwise.kernel, mixed.pointwise, depthwise.stride_zyx, mixed.norm))
        self.found[node.outputs[0]] = (Source(len(self.blocks) - 1),)

    def _upsample(self, node: Node) -> None:
        kernel, sources = self._weight(node, 1), self._sources(node)
        stride = node.ints("strides", ())
        _require(node, "pads", (0,) * 6)
        _require(node, "group", (1,))
        bias = self._weight(node, 2)
        fits = _steps(stride) and kernel.shape[2:] == stride and len(sources) == 1 and sources[0].up is None
        if not fits or kernel.shape[0] != self._channels(sources) or kernel.shape[1] % LANES or bias.shape != kernel.shape[1:2]:
            raise NotSeparableError(f"it has a transposed convolution of {kernel.shape} with strides {stride}")
        entering, leaving = kernel.shape[:2]
        blocks = kernel.reshape(entering, leaving // LANES, LANES, *stride).transpose(3, 4, 5, 1, 0, 2)
        self.found[node.outputs[0]] = (Source(sources[0].index, (np.ascontiguousarray(blocks), bias)),)

    def _join(self, node: Node) -> None:
        _require(node, "axis", (1,))
        parts = [self.found.get(name) for name in node.inputs]
        if not all(isinstance(part, tuple) and part for part in parts):
            raise NotSeparableError("a join of what are no activated maps")
        self.found[node.outputs[0]] = tuple(source for part in parts if isinstance(part, tuple) for source in part)


def _steps(stride: tuple[int, ...]) -> bool:
    return len(stride) == 3 and set(stride) <= {1, 2}


def _by_lanes(kernel: Floats) -> Floats:
    """(out, in) as (out / 16, in, 16)."""
    out, entering = kernel.shape
    if out % LANES:
        raise NotSeparableError(f"a map has {out} channels, no multiple of {LANES}")
    return np.ascontiguousarray(kernel.reshape(out // LANES, LANES, entering).transpose(0, 2, 1))


def _require(node: Node, name: str, expected: tuple[int, ...]) -> None:
    got = node.ints(name, expected)
    if got != expected:
        raise NotSeparableError(f"a {node.op} has {name} {got}, not {expected}")
