"""An ONNX network whose convolutions compute in 8-bit integers, as explicit QuantizeLinear and DequantizeLinear.

ONNX Runtime's own quantiser writes it: weights symmetric, one scale an output channel; activations symmetric, one scale a tensor,
by the values that calibration images give. Only what a convolution reads is rounded; its result and all between two convolutions
stay in floating point. OpenVINO, ONNX Runtime and TensorRT read this form, and TensorRT wants zero points of 0.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.extras import install_command
from flare_trt.engine.networks.silent_import import load_quantiser

QUANTISED = ("Conv", "ConvTranspose")
Images = Sequence[NDArray[np.float32]]


def require_quantiser() -> None:
    """Raises ExportError where a package is missing that calibration needs."""
    try:
        load_quantiser()
    except ImportError as error:
        raise ExportError(
            f"--calibrate: the package {error.name!r} is not installed; {install_command('onnx', 'export')}"
        ) from error


class Int8Writer:
    """Writes int8 forms of one network; its ranges are taken once, from images (1, c, z, y, x) as the network sees them."""

    def __init__(self, source: Path, images: Images, folder: Path) -> None:
        import onnx

        model = with_plain_weights(onnx.load(str(source)))
        self._named, self._ranges = folder / f"{source.stem}.named.onnx", folder / f"{source.stem}.ranges.json"
        onnx.save(model, str(self._named))
        self._ranges.unlink(missing_ok=True)  # of another network of that name
        self._input, self._images = model.graph.input[0].name, images
        #: Names of all convolutions, in the order in which they run.
        self.layers = tuple(node.name for node in model.graph.node if node.op_type in QUANTISED)

    def write(self, target: Path, float_layers: Collection[str] = ()) -> None:
        """Write the network with all convolutions but `float_layers` in int8. Raises ExportError."""
        ort = load_quantiser()
        try:
            with _quiet():
                ort.quantize_static(
                    str(self._named),
                    str(target),
                    _Reader(self._input, self._images),
                    quant_format=ort.QuantFormat.QDQ,
                    op_types_to_quantize=list(QUANTISED),
                    per_channel=True,
                    activation_type=ort.QuantType.QInt8,
                    weight_type=ort.QuantType.QInt8,
                    nodes_to_exclude=list(float_layers),
                    calibrate_method=ort.CalibrationMethod.MinMax,
                    calibration_cache_path=self._ranges,
                    extra_options={
                        "ActivationSymmetric": True,
                        "WeightSymmetric": True,
                        "QuantizeBias": False,
                        "OpTypesToExcludeOutputQuantization": list(QUANTISED),
                    },
                )
        except Exception as error:  # onnxruntime and onnx raise a dozen unrelated classes
            raise ExportError(f"{target.name}: ONNX Runtime cannot write it in int8: {error}") from error


class _Reader:
    """What ONNX Runtime takes calibration images from, one after another."""

    def __init__(self, name: str, images: Images) -> None:
        self._left = iter([{name: image} for image in images])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._left, None)


def with_plain_weights(model: Any) -> Any:
    """The model, changed in place: weights that are renamed or of another type stand as float32, and every node has a name."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for index, node in enumerate(model.graph.node):
        if node.op_type in ("Identity", "Cast") and node.input[0] in weights:
            values = numpy_helper.to_array(weights[node.input[0]]).astype(np.float32)
            weights[node.output[0]] = numpy_helper.from_array(values, node.output[0])
        else:
            node.name = node.name or f"{node.op_type}.{index}"
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    for field, kept in (("node", nodes), ("initializer", [tensor for name, tensor in weights.items() if name in read])):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(kept)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice in the log, on preparations that these networks do not need."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
