"""Instance normalisation in OpenVINO with means that are exact to float32.

OpenVINO's kernel for it (MVN) sums all voxels of a channel in one float32 number. Over a patch of 96 x 160 x 160 voxels that
loses four of seven digits, and a trained network's logits end up to 3e-2 off. An average pool along one axis at a time never
sums more than an axis' length; it brings the logits within 1e-4 of torch and takes no longer. A chain of ReduceMean would
not do, because OpenVINO merges it back into one sum. Measured in docs/decisions/openvino-accuracy.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_SPATIAL = [2, 3, 4]


def split_means(model: Any) -> int:
    """Replace every MVN over the three spatial axes of a static (n, c, z, y, x) tensor, in place; returns how many."""
    found = [node for node in model.get_ordered_ops() if _is_instance_norm(node)]
    for node in found:
        node.output(0).replace(_normalised(node).output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


def _is_instance_norm(node: Any) -> bool:
    if node.get_type_name() != "MVN" or not node.get_output_partial_shape(0).is_static or len(node.get_output_shape(0)) != 5:
        return False
    attributes = node.get_attributes()
    axes = node.input_value(1).get_node()
    return (
        bool(attributes["normalize_variance"])
        and attributes["eps_mode"] == "INSIDE_SQRT"
        and axes.get_type_name() == "Constant"
        and sorted(int(axis) % 5 for axis in axes.data) == _SPATIAL
    )


def _normalised(node: Any) -> Any:
    from openvino import opset13 as ops

    image = node.input_value(0)
    centred = ops.subtract(image, _mean(image))
    variance = _mean(ops.multiply(centred, centred).output(0))
    epsilon = np.float32(node.get_attributes()["eps"])
    return ops.multiply(centred, ops.divide(np.float32(1), ops.sqrt(ops.add(variance, epsilon))))


def _mean(image: Any) -> Any:
    """Mean over the spatial axes, (n, c, 1, 1, 1), the last axis first: it lies densest in memory."""
    from openvino import opset13 as ops

    for axis in reversed(_SPATIAL):
        kernel = [image.get_shape()[i] if i == axis else 1 for i in _SPATIAL]
        image = ops.avg_pool(
            image, strides=kernel, pads_begin=[0, 0, 0], pads_end=[0, 0, 0], kernel_shape=kernel, exclude_pad=False
        ).output(0)
    return image
