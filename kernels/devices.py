"""The one place where a kernel device is chosen and loaded."""

from __future__ import annotations

from importlib import import_module

from flare_trt.kernels.contract import Kernels

#: Device name -> module that has a `create()` returning the device's Kernels.
KERNEL_DEVICES = {
    "reference": "flare_trt.kernels.reference",
    "native": "flare_trt.kernels.native",
    "cuda": "flare_trt.kernels.cuda",
}


class KernelsUnavailableError(RuntimeError):
    """A kernel device that was asked for by name cannot be used here; the message says why and what to do."""


def load(device: str) -> Kernels:
    """Load a kernel device by name, "cuda:1" being the second GPU. Raises KernelsUnavailableError; never takes another device."""
    ordinal = gpu_ordinal(device)
    name = device if ordinal is None else "cuda"
    if name not in KERNEL_DEVICES:
        raise KernelsUnavailableError(f"no kernel device is named {device!r}; known: {', '.join(KERNEL_DEVICES)}, cuda:N")
    try:
        module = import_module(KERNEL_DEVICES[name])
        kernels: Kernels = module.create() if ordinal is None else module.create(ordinal)
    except ImportError as error:
        raise KernelsUnavailableError(f"kernel device {device!r} cannot be loaded: {error}") from error
    return kernels


def gpu_ordinal(device: str) -> int | None:
    """The N of "cuda:N"; None for every other text.

    >>> gpu_ordinal("cuda:12"), gpu_ordinal("cuda"), gpu_ordinal("cpu"), gpu_ordinal("cuda:-1")
    (12, None, None, None)
    """
    name, _, ordinal = device.partition(":")
    return int(ordinal) if name == "cuda" and ordinal.isdecimal() and ordinal.isascii() else None


def limit_threads(device: str, threads: int) -> None:
    """Threads of every later call of a CPU device in this process, 0 for all cores. Other devices have none to limit."""
    if device == "native":
        import_module(KERNEL_DEVICES[device]).set_threads(threads)


def native_problem() -> str | None:
    """Why the native kernels cannot be used, or None where they can."""
    try:
        import_module("flare_trt.kernels.native._native")
    except ImportError as error:
        return f"the native kernels are not built ({error}); install a C++17 compiler (g++), then flare-trt again"
    return None


def cuda_problem(ordinal: int = 0) -> str | None:
    """Why CuPy cannot use GPU `ordinal` here, or None where it can. Touches nothing of CUDA beyond that question."""
    try:
        import cupy
    except ImportError as error:
        return f"the package cupy cannot be imported ({error}); pip install 'flare-trt[gpu]'"
    if not cupy.is_available():
        return "CuPy finds no NVIDIA GPU with a working driver"
    count = cupy.cuda.runtime.getDeviceCount()
    return None if ordinal < count else f"got cuda:{ordinal}, expected cuda:0 to cuda:{count - 1}"
