"""The operators of a plain U-Net's ONNX graph in torch. The gate's stand-in for a network backend; no part of flare-trt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import BundleError


class TorchGraph:
    """An ONNX file's nodes, run one after the other. What depends on weights alone is worked out once, on loading.

    In half precision convolutions compute in float16 and norms in float32, as the TensorRT backend's fp16 networks do.
    """

    def __init__(self, onnx_file: Path, device: Any, half: bool) -> None:
        import onnx
        import torch
        from onnx import numpy_helper

        graph = onnx.load(str(onnx_file)).graph
        self._kind = torch.float16 if half else torch.float32
        self._fixed = {kept.name: torch.from_numpy(numpy_helper.to_array(kept).copy()).to(device) for kept in graph.initializer}
        (source,), (result,) = [i.name for i in graph.input if i.name not in self._fixed], [o.name for o in graph.output]
        self._source, self._result = source, result
        self._nodes: list[tuple[Callable[..., Any], list[str], str, list[str]]] = []
        calls = [(_operator(onnx_file, node), list(node.input), node.output[0]) for node in graph.node]
        for call, inputs, output in calls:
            if all(name in self._fixed for name in inputs):
                self._fixed[output] = call(*(self._fixed[name] for name in inputs))
            else:
                self._nodes.append((call, inputs, output, []))
        self._fixed = {name: self._weight(value) for name, value in self._fixed.items() if self._is_used(name)}
        self._free_early()

    def run(self, image: Any) -> Any:
        """Logits in float32 of a float32 (1, 1, z, y, x) tensor."""
        import torch

        with torch.inference_mode():
            values = {self._source: image.to(self._kind)}
            for call, inputs, output, last_read in self._nodes:
                values[output] = call(*(values[name] if name in values else self._fixed[name] for name in inputs))
                for name in last_read:
                    del values[name]
            return values[self._result].float().contiguous()

    def _weight(self, value: Any) -> Any:
        return value.to(self._kind) if value.is_floating_point() else value

    def _is_used(self, name: str) -> bool:
        return any(name in inputs for _, inputs, _, _ in self._nodes)

    def _free_early(self) -> None:
        """Note with each node which values no later one reads."""
        seen = {self._result, *self._fixed}
        for _, inputs, _, last_read in reversed(self._nodes):
            last_read += [name for name in dict.fromkeys(inputs) if name not in seen]
            seen.update(inputs)


def _operator(file: Path, node: Any) -> Callable[..., Any]:
    """A node as a function of its inputs. Raises BundleError for one that is not a plain U-Net's."""
    from onnx import helper

    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    makers = {
        "Conv": _convolution,
        "ConvTranspose": _transposed,
        "InstanceNormalization": _norm,
        "LeakyRelu": _leaky_relu,
        "Concat": _concat,
        "Cast": _cast,
    }
    if node.op_type not in makers:
        raise BundleError(f"{file.name}: the torch stand-in got the operator {node.op_type}, expected one of {', '.join(makers)}")
    return makers[node.op_type](attributes)


def _convolution(attributes: dict[str, Any]) -> Callable[..., Any]:
    from torch.nn import functional

    padding = _symmetric(attributes)
    strides, dilations = attributes.get("strides", [1, 1, 1]), attributes.get("dilations", [1, 1, 1])
    groups = attributes.get("group", 1)
    return lambda x, weight, bias=None: functional.conv3d(x, weight, bias, strides, padding, dilations, groups)


def _transposed(attributes: dict[str, Any]) -> Callable[..., Any]:
    from torch.nn import functional

    padding, extra = _symmetric(attributes), attributes.get("output_padding", [0, 0, 0])
    strides, groups = attributes.get("strides", [1, 1, 1]), attributes.get("group", 1)
    return lambda x, weight, bias=None: functional.conv_transpose3d(x, weight, bias, strides, padding, extra, groups)


def _norm(attributes: dict[str, Any]) -> Callable[..., Any]:
    from torch.nn import functional

    epsilon = attributes.get("epsilon", 1e-5)

    def norm(x: Any, scale: Any, shift: Any) -> Any:
        return functional.instance_norm(x.float(), weight=scale.float(), bias=shift.float(), eps=epsilon).to(x.dtype)

    return norm


def _leaky_relu(attributes: dict[str, Any]) -> Callable[..., Any]:
    from torch.nn import functional

    return lambda x: functional.leaky_relu(x, attributes.get("alpha", 0.01))


def _concat(attributes: dict[str, Any]) -> Callable[..., Any]:
    import torch

    return lambda *parts: torch.cat(parts, attributes["axis"])


def _cast(attributes: dict[str, Any]) -> Callable[..., Any]:
    """Weights are stored in half precision and cast; in which precision they are used is the graph's to say."""
    return lambda x: x.float()


def _symmetric(attributes: dict[str, Any]) -> list[int]:
    before, after = attributes.get("pads", [0] * 6)[:3], attributes.get("pads", [0] * 6)[3:]
    if list(before) != list(after) or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise BundleError(f"the torch stand-in got pads {attributes.get('pads')}, expected as many before as after")
    return list(before)
