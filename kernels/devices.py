"""The one place where a kernel device is chosen and loaded."""

from __future__ import annotations

import ctypes
import sys
from importlib import import_module
from importlib.util import find_spec

from flare_trt.kernels.contract import Kernels

#: Device name -> module that has a `create()` returning the device's Kernels.
KERNEL_DEVICES = {
    "reference": "flare_trt.kernels.reference",
    "native": "flare_trt.kernels.native",
    "cuda": "flare_trt.kernels.cuda",
}


#: NVIDIA's driver as a library: libcuda on Linux, installed with the driver itself, never with CuPy.
_DRIVER = "libcuda.so.1"


class KernelsUnavailableError(RuntimeError):
    """The named kernel device cannot be used here; the message says why and what to do."""


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


def load_host() -> Kernels:
    """Kernels for arrays of the host: native where they are built, else reference, whose results are the same."""
    return load("reference" if native_problem() else "native")


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
    """Why CuPy cannot use GPU `ordinal` here, or None where it can. Touches nothing of CUDA beyond that question.

    The driver is asked first: without one, importing CuPy would take a second to find that out.
    """
    if "cupy" not in sys.modules and find_spec("cupy") is not None and (problem := driver_problem()):
        return problem
    try:
        import cupy
    except ImportError as error:
        return f"the package cupy cannot be imported ({error}); pip install 'flare-trt[gpu]'"
    if not cupy.is_available():
        return "CuPy finds no NVIDIA GPU with a working driver"
    count = cupy.cuda.runtime.getDeviceCount()
    return None if ordinal < count else f"got cuda:{ordinal}, expected cuda:0 to cuda:{count - 1}"


def driver_problem() -> str | None:
    """Why NVIDIA's driver offers no GPU to this process, or None where it does.

    Source: CUDA Driver API, cuInit and cuDeviceGetCount (CUDA_SUCCESS is 0, CUDA_ERROR_NO_DEVICE 100).
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA GPU with a working driver: {_DRIVER} cannot be loaded"
    count = ctypes.c_int(0)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        return f"there is no NVIDIA GPU with a working driver: {_DRIVER} answers {code}, {count.value} GPUs"
    return None
