"""The Session contract and the one place where a network backend is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.base.extras import install_command
from flare_trt.engine.model.modes import Precision
from flare_trt.kernels import gpu_ordinal

#: Backend name -> module with `open_session(onnx, options) -> Session` and `problem(device) -> str | None`.
BACKENDS = {
    "openvino": "flare_trt.engine.networks.openvino_.backend",
    "native": "flare_trt.engine.networks.native_.backend",
    "onnxruntime": "flare_trt.engine.networks.ort_.backend",
    "onnxruntime-tensorrt": "flare_trt.engine.networks.ort_.tensorrt_provider",
    "tensorrt": "flare_trt.engine.networks.tensorrt_.backend",
    "fake": "flare_trt.engine.networks.fake",
}
#: What a user is offered: `fake` runs no network of theirs.
OFFERED = tuple(name for name in BACKENDS if name != "fake")


@dataclass(frozen=True)
class SessionOptions:
    """How to open a network. `threads` 0 lets the backend take all cores. `device` is "cpu" or "cuda:N".

    `pairs` lets a backend that can run two tiles at once do so (RunsPairs), which is quicker and holds activations twice.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    threads: int = 0
    pairs: bool = False

    @property
    def ordinal(self) -> int:
        """The N of cuda:N."""
        return gpu_ordinal(self.device) or 0


class Session(Protocol):
    """One network with a static input shape.

    `run` takes a C-contiguous float32 array (1, c, z, y, x) of exactly `input_shape` on the session's device and returns
    float32 logits (channels, z, y, x) on that device. The returned array belongs to the session and is valid until the next
    `run`; the caller never writes to it. A session is used by one thread at a time. A wrong shape or dtype raises
    ValueError, a failing backend DeviceError. `close` frees the network; a closed session raises ValueError.
    """

    backend: str
    device: str
    precision: Precision
    input_shape: tuple[int, int, int, int, int]
    channels: int

    def run(self, tile: Any) -> Any: ...

    def close(self) -> None: ...


@runtime_checkable
class RunsPairs(Protocol):
    """A session that runs up to two tiles at once; one alone gets half of the threads. Logits are valid until the next run."""

    def run_together(self, tiles: Sequence[Any]) -> list[Any]: ...


def open_session(backend: str, onnx: Path, options: SessionOptions) -> Session:
    """Open an ONNX file with a backend by name. Raises DeviceError where it is not there; never takes another one."""
    require_known(backend)
    try:
        module = import_module(BACKENDS[backend])
    except ModuleNotFoundError as error:
        raise DeviceError(
            f"backend {backend}: the package {error.name!r} is not installed; {install_command(error.name or backend)}"
        ) from error
    session: Session = module.open_session(onnx, options)
    return session


def require_known(backend: str) -> None:
    """Raises DeviceError for a name that is no backend's."""
    if backend not in BACKENDS:
        raise DeviceError(f"backend: got {backend!r}, expected one of {', '.join(OFFERED)}")


def backend_problem(backend: str, device: str) -> str | None:
    """Why a backend of BACKENDS cannot be used here on a device, or None."""
    try:
        problem: str | None = import_module(BACKENDS[backend]).problem(device)
    except ModuleNotFoundError as error:
        return f"the package {error.name!r} is not installed; {install_command(error.name or backend)}"
    return problem


def require_tile(session: Session, tile: Any) -> None:
    """Check an input of `Session.run`. Raises ValueError."""
    if tuple(tile.shape) != session.input_shape or str(tile.dtype) != "float32" or not tile.flags["C_CONTIGUOUS"]:
        raise ValueError(f"tile: got {tile.dtype} {tuple(tile.shape)}, expected C-contiguous float32 {session.input_shape}")


def static_shape(name: str, sizes: Sequence[int | None], outputs: int) -> tuple[int, int, int, int, int]:
    """The static input shape (1, c, z, y, x) of a network file; a free batch size is taken as 1. Raises BundleError."""
    fixed = [1 if axis == 0 and size is None else size for axis, size in enumerate(sizes)]
    if len(fixed) != 5 or None in fixed or fixed[0] != 1 or outputs != 1:
        raise BundleError(
            f"{name}: got an input of shape {list(sizes)} and {outputs} outputs, expected (1, c, z, y, x) with fixed sizes and "
            "one output; export it again with static shapes and deep supervision off"
        )
    _, channels, z, y, x = (int(size or 0) for size in fixed)
    return 1, channels, z, y, x


def output_channels(name: str, sizes: Sequence[int | None], input_shape: tuple[int, ...]) -> int:
    """Channels of a network file's logits, which lie on the input's voxels. Raises BundleError."""
    fits = len(sizes) == 5 and all(size in (None, wanted) for size, wanted in zip(sizes[2:], input_shape[2:], strict=True))
    channels = sizes[1] if fits else None
    if not channels:
        raise BundleError(
            f"{name}: got an output of shape {list(sizes)}, expected logits (1, classes, z, y, x) on the input's voxels, "
            f"{input_shape[2:]}; export it again"
        )
    return channels
