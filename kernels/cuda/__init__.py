"""The kernels on an NVIDIA GPU: CUDA C++ sources in this folder, compiled at run time for the card at hand by CuPy."""

from __future__ import annotations

from flare_trt.kernels.contract import Kernels
from flare_trt.kernels.devices import KernelsUnavailableError, cuda_problem


def create(ordinal: int = 0) -> Kernels:
    """GPU `ordinal`. Raises KernelsUnavailableError, before anything touches the driver, where there is no usable GPU."""
    problem = cuda_problem(ordinal)
    if problem:
        raise KernelsUnavailableError(f"kernel device 'cuda': {problem}")
    from flare_trt.kernels.cuda.device import CudaKernels

    return CudaKernels(ordinal)
