"""torch on CUDA as a network backend, for the gate alone: a stand-in where there is neither TensorRT nor onnxruntime-gpu.

Says something of flare-trt's own work around the network, nothing of the speed or memory that TensorRT would have.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tests.gpu.torch_graph import TorchGraph

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.session import Session, SessionOptions, require_tile, static_shape

#: Its name among the backends, as results and tables tell it.
NAME = "torch-stand-in"


def problem(device: str = "cuda:0") -> str | None:
    """Why it cannot be used here, or None."""
    try:
        import onnx  # noqa: F401  read by TorchGraph
        import torch
    except ImportError as error:
        return f"the package {error.name} cannot be imported ({error})"
    if device != "cpu" and not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU that it can use"
    return None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Load an ONNX file. Raises DeviceError where torch cannot be used."""
    missing = problem(options.device)
    if missing:
        raise DeviceError(f"backend {NAME}: {missing}")
    return TorchSession(onnx, options)


class TorchSession:
    """See session.Session. Tiles are CuPy arrays, NumPy's on the CPU; neither they nor the logits are copied."""

    backend = NAME

    def __init__(self, onnx: Path, options: SessionOptions) -> None:
        import onnx as onnx_package
        import torch

        torch.backends.cudnn.allow_tf32 = False  # mode=exact needs all 24 bits of float32
        torch.backends.cudnn.benchmark = True  # every tile has the same shape
        graph = onnx_package.load(str(onnx), load_external_data=False).graph
        sizes = [
            [axis.dim_value or None for axis in value.type.tensor_type.shape.dim] for value in (graph.input[0], graph.output[0])
        ]
        self.device, self.precision = options.device, _precision(options)
        self.input_shape, self.channels = static_shape(onnx.name, sizes[0], len(graph.output)), int(sizes[1][1] or 0)
        self._network: TorchGraph | None = TorchGraph(onnx, torch_device(options.device), options.precision == "fp16")
        self._logits: Any = None  # kept, since its memory is the caller's until the next run

    def run(self, tile: Any) -> Any:
        if self._network is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        with on_callers_stream(self.device):
            self._logits = self._network.run(to_torch(tile))[0]
            return to_array(self._logits, self.device)

    def close(self) -> None:
        self._network = self._logits = None


def _precision(options: SessionOptions) -> Precision:
    if options.precision not in ("fp32", "fp16"):
        raise DeviceError(f"backend {NAME}: got precision {options.precision}, expected fp32 or fp16")
    return options.precision


def torch_device(device: str) -> Any:
    """torch's own name of cpu or cuda:N."""
    import torch

    return torch.device(device)


def on_callers_stream(device: str) -> AbstractContextManager[Any]:
    """Queue torch's work on CuPy's current stream, so that it comes after what made the tile and before what reads logits."""
    if device == "cpu":
        return nullcontext()
    import cupy
    import torch

    pointer = cupy.cuda.get_current_stream().ptr
    stream = (
        torch.cuda.ExternalStream(pointer, torch_device(device)) if pointer else torch.cuda.default_stream(torch_device(device))
    )
    return torch.cuda.stream(stream)


def to_torch(tile: Any) -> Any:
    """A NumPy or CuPy array as a tensor of the same memory."""
    import torch

    return torch.from_dlpack(tile)


def to_array(tensor: Any, device: str) -> Any:
    """A tensor as an array of the same memory: CuPy's on a GPU, NumPy's on the CPU."""
    if device == "cpu":
        return tensor.numpy()
    import cupy

    return cupy.from_dlpack(tensor)
