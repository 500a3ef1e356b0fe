"""The kernels on an NVIDIA GPU: CUDA C++ sources in this folder, compiled at run time for the card at hand by CuPy."""

from __future__ import annotations

from flare_trt.kernels.contract import Kernels
from flare_trt.kernels.devices import KernelsUnavailableError


def create() -> Kernels:
    """The CUDA device. Raises KernelsUnavailableError, before anything touches the driver, where there is no usable GPU."""
    try:
        import cupy
    except ImportError as error:
        raise KernelsUnavailableError(
            f"kernel device 'cuda' needs CuPy ({error}): pip install 'flare-trt[gpu]' on a machine with an NVIDIA GPU"
        ) from error
    if not cupy.is_available():
        raise KernelsUnavailableError("kernel device 'cuda' needs an NVIDIA GPU with its driver, and CuPy finds none here")
    from flare_trt.kernels.cuda.device import CudaKernels

    return CudaKernels()
