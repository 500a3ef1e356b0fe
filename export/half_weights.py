"""Weights of an ONNX file stored in half precision: half the bytes, the same float32 arithmetic.

Each kernel becomes a float16 initialiser under its own name and a Cast to float32 behind it, which every runtime folds when it
opens the file. Vectors (biases, normalisations, whatever axes of one they have) stay float32: they are a hundredth of the bytes,
and TensorRT wants the scale of an InstanceNormalization to be an initialiser.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import ExportError


def round_kernels(network: Any) -> None:
    """Round a torch network's kernels to float16 values in place; what `store_kernels_half` then stores is exact.

    Raises ExportError for a kernel that float16 cannot hold.
    """
    import torch

    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                rounded = weight.half().float()
                if not bool(torch.isfinite(rounded).all()):
                    raise ExportError(f"weight {name}: got values past 65504, too large for float16; store it as float32")
                weight.copy_(rounded)


def store_kernels_half(path: Path) -> None:
    """Rewrite an ONNX file with its kernels in float16. Raises ExportError where a kernel is not float16's own value."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    graph, casts, stored = model.graph, [], {}
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or sum(size > 1 for size in values.shape) < 2:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            raise ExportError(f"{path.name}: the weight {tensor.name} is not made of float16 values; round the kernels first")
        stored[tensor.name] = f"{tensor.name}.fp32"
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
        casts.append(helper.make_node("Cast", [tensor.name], [stored[tensor.name]], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    for node in nodes:
        node.input[:] = [stored.get(name, name) for name in node.input]
    graph.ClearField("node")
    graph.node.extend([*casts, *nodes])
    onnx.save(model, str(path))
