"""A network file, or what of it comes behind a tensor, compiled for the CPU; from the cache where it is kept there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.networks.openvino_.blobs import LARGEST_NETWORK_BYTES, blob_key, keep_blob, open_blob
from flare_trt.engine.networks.openvino_.means import split_means
from flare_trt.engine.networks.openvino_.upsampling import join_upsampling
from flare_trt.engine.networks.part import Part
from flare_trt.engine.networks.session import SessionOptions, output_channels, static_shape
from flare_trt.engine.networks.silent_import import load_openvino

_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class Compiler:
    """Compiles files as the session's options say."""

    def __init__(self, options: SessionOptions) -> None:
        """Raises DeviceError where this CPU lacks the precision."""
        openvino = load_openvino()
        self._core, self._version, self._precision = openvino.Core(), openvino.__version__, options.precision
        if options.precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DeviceError("backend openvino: this CPU has no bf16 arithmetic; use precision fp32")
        self._settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISIONS[options.precision]}
        if options.threads:
            self._settings["INFERENCE_NUM_THREADS"] = options.threads

    def compiled(self, onnx: Path, streams_of: dict[str, Any], part: Part | None = None) -> Any:
        """The compiled network. Raises BundleError for a file that is no such network."""
        settings = self._settings | streams_of
        content = onnx.read_bytes()
        key = None
        if len(content) <= LARGEST_NETWORK_BYTES:
            key = blob_key(content, self._core, self._version, self._precision)
            if part is not None:
                key["part"] = [part.given, *part.wanted]
        compiled = open_blob(key, self._core, settings) if key else None
        if compiled is not None:
            return compiled
        try:
            compiled = self._core.compile_model(self._model(onnx, part), "CPU", settings)
        except (RuntimeError, UnicodeDecodeError) as error:  # the latter where its own message quotes a damaged name
            raise BundleError(f"{onnx.name}: OpenVINO cannot read it: {error}") from error
        if key:
            keep_blob(key, compiled)
        return compiled

    def _model(self, onnx: Path, part: Part | None) -> Any:
        model = self._core.read_model(str(onnx))
        shape = static_shape(onnx.name, _sizes(model.inputs[0]), len(model.outputs))
        model.reshape({model.inputs[0].any_name: list(shape)})
        output_channels(onnx.name, _sizes(model.outputs[0]), shape)
        if part is not None:
            model = _cut(onnx.name, model, part)
        if self._precision == "fp32":
            split_means(model)
            join_upsampling(model)
        return model


def _cut(name: str, model: Any, part: Part) -> Any:
    """The part as a model of two inputs, the network's own and what is given, and the wanted outputs, in their order."""
    from openvino import opset13

    ports = {name: port for node in model.get_ordered_ops() for port in node.outputs() for name in port.get_names()}
    if missing := {part.given, *part.wanted} - ports.keys():
        raise BundleError(f"{name}: OpenVINO does not show the tensors {sorted(missing)}; use --backend openvino")
    given, wanted = ports[part.given], [ports[tensor] for tensor in part.wanted]
    parameter = opset13.parameter(list(given.shape), given.element_type, name="given")
    given.replace(parameter.output(0))
    return load_openvino().Model(wanted, [*model.get_parameters(), parameter], "part")


def _sizes(port: Any) -> list[int | None]:
    """Along the axes, None for a free one; empty where even their number is free."""
    shape = port.partial_shape
    return [int(size.get_length()) if size.is_static else None for size in shape] if shape.rank.is_static else []
