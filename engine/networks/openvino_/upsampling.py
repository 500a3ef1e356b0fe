"""An upsampling and the convolution behind it as one: fewer multiplications, and no joined feature map in memory.

A U-Net's decoder doubles its features (a transposed convolution whose kernel is its stride), joins them with the encoder's and
convolves both. Nothing non-linear lies between, so the part of the convolution that reads the doubled features and the doubling are
one transposed convolution with a larger kernel; the encoder's features keep a convolution of their own, and both are added. At a
stride of 2 and kernels of 3 that takes 0.6 of the multiplications of this part. Measured in docs/decisions/openvino-upsampling.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class _Found:
    """Features, and the kernel (in, middle, z, y, x) and bias that double them; the encoder's features; the convolution behind both
    with its kernel (out, in, z, y, x), which takes the doubled features first or last."""

    features: Any
    doubling: Weights
    bias: Weights | None
    encoder: Any
    behind: Any
    kernel: Weights
    doubled_first: bool


def join_upsampling(model: Any) -> int:
    """Replace each such pair of a static (n, c, z, y, x) model where it saves multiplications, in place; returns how many."""
    found = [pair for pair in map(_pair_of, model.get_ordered_ops()) if pair is not None and _saves(pair)]
    for pair in found:
        pair.behind.output(0).replace(_joined(pair).output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


def joined_kernel(doubling: Weights, kernel: Weights) -> Weights:
    """The transposed kernel (in, out, z, y, x) of a transposed convolution whose kernel (in, middle, z, y, x) is its stride, with a
    convolution (out, middle, z, y, x) behind it. Summed in float64: each value is rounded once."""
    taps, strides = kernel.shape[2:], doubling.shape[2:]
    sizes = [stride + tap - 1 for stride, tap in zip(strides, taps, strict=True)]
    joined = np.zeros((*sizes, doubling.shape[0], kernel.shape[0]))
    doubling_last = np.moveaxis(doubling.astype(np.float64), (0, 1), (-2, -1))
    kernel_last = np.moveaxis(kernel.astype(np.float64), (1, 0), (-2, -1))
    for tap in product(*map(range, taps)):
        place = tuple(slice(n - 1 - t, n - 1 - t + stride) for n, t, stride in zip(taps, tap, strides, strict=True))
        joined[place] += doubling_last @ kernel_last[tap]
    return np.ascontiguousarray(np.moveaxis(joined, (-2, -1), (0, 1)), np.float32)


def _pair_of(behind: Any) -> _Found | None:
    if behind.get_type_name() != "Convolution" or not _keeps_size(behind):
        return None
    both = behind.input_value(0).get_node()
    kernel = _constant(behind.input_value(1).get_node())
    if both.get_type_name() != "Concat" or both.get_attributes()["axis"] != 1 or both.get_input_size() != 2 or kernel is None:
        return None
    if len(both.output(0).get_target_inputs()) != 1:
        return None
    for first in (0, 1):
        doubled = _doubled(both.input_value(first).get_node())
        if doubled is not None:
            return _Found(*doubled, both.input_value(1 - first), behind, kernel, doubled_first=first == 0)
    return None


def _doubled(node: Any) -> tuple[Any, Weights, Weights | None] | None:
    """Features, kernel and bias of a transposed convolution whose kernel is its stride, and which nothing else reads."""
    bias = None
    if node.get_type_name() == "Add" and len(node.output(0).get_target_inputs()) == 1:
        bias = _constant(node.input_value(1).get_node())
        node = node.input_value(0).get_node() if bias is not None else node
    if (
        node.get_type_name() != "ConvolutionBackpropData"
        or node.get_input_size() != 2
        or len(node.output(0).get_target_inputs()) != 1
    ):
        return None
    attributes, kernel = node.get_attributes(), _constant(node.input_value(1).get_node())
    if kernel is None or kernel.ndim != 5 or list(attributes["strides"]) != list(kernel.shape[2:]):
        return None
    if any([*attributes["pads_begin"], *attributes["pads_end"], *attributes["output_padding"]]):
        return None
    if bias is not None and bias.shape != (1, kernel.shape[1], 1, 1, 1):
        return None
    return node.input_value(0), kernel, bias


def _keeps_size(convolution: Any) -> bool:
    """Whether each voxel's kernel is centred on it, with zeros around the image."""
    attributes, kernel = convolution.get_attributes(), list(convolution.input_value(1).get_shape())[2:]
    half = [size // 2 for size in kernel]
    return (
        len(kernel) == 3
        and all(size % 2 == 1 for size in kernel)
        and list(attributes["strides"]) == list(attributes["dilations"]) == [1, 1, 1]
        and list(attributes["pads_begin"]) == list(attributes["pads_end"]) == half
        and attributes["auto_pad"] == "explicit"
    )


def _saves(pair: _Found) -> bool:
    """Whether one tile saves more multiplications than it takes to join the kernels, which float64 makes twice as slow."""
    entering, middle, *strides = pair.doubling.shape
    leaving, _, *taps = pair.kernel.shape
    joined = entering * leaving * np.prod(np.add(strides, taps) - 1)
    apart = middle * np.prod(strides) * (entering + leaving * np.prod(taps))
    to_join = entering * middle * leaving * np.prod(strides) * np.prod(taps)
    voxels = np.prod(list(pair.features.get_shape())[2:])
    return bool(np.prod(taps) > 1 and (apart - joined) * voxels > 2 * to_join)


def _joined(pair: _Found) -> Any:
    from openvino import opset13 as ops

    middle, taps, strides = pair.doubling.shape[1], pair.kernel.shape[2:], list(pair.doubling.shape[2:])
    own = pair.kernel[:, :middle] if pair.doubled_first else pair.kernel[:, -middle:]
    others = pair.kernel[:, middle:] if pair.doubled_first else pair.kernel[:, :-middle]
    features, doubling = pair.features, pair.doubling
    if pair.bias is not None:  # as a channel of ones: outside of the image the doubled features are 0, so the bias is missing there
        features = ops.pad(features, [0] * 5, [0, 1, 0, 0, 0], "constant", np.float32(1)).output(0)
        bias = np.broadcast_to(pair.bias.reshape(1, middle, 1, 1, 1), (1, *doubling.shape[1:]))
        doubling = np.concatenate([doubling, bias])
    half = [size // 2 for size in taps]
    upsampled = ops.convolution_backprop_data(
        features, ops.constant(joined_kernel(doubling, own)), strides, pads_begin=half, pads_end=half
    )
    convolved = ops.convolution(pair.encoder, ops.constant(np.ascontiguousarray(others)), [1] * 3, half, half, [1] * 3)
    return ops.add(convolved, upsampled)


def _constant(node: Any) -> Weights | None:
    """The float32 values of a constant, of one that is given another shape, or of one that was stored in another type."""
    shape = node.get_output_shape(0) if node.get_output_partial_shape(0).is_static else None
    if node.get_type_name() in ("Reshape", "Convert"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or shape is None:
        return None
    return np.asarray(node.data, np.float32).reshape(list(shape))
