"""Array maths of flare-trt: one contract, three devices (reference, native, cuda).

`contract.py` says what each kernel does, `reference.py` defines it in NumPy and SciPy, `native/` and `cuda/` are fast
twins that one contract test compares with it. Nothing here knows about files, models or anatomy.
"""

if __name__ != "flare_trt.kernels":
    raise ImportError("import flare_trt.kernels, not kernels: run 'pip install -e .' in the checkout first")

from flare_trt.kernels.box import Box
from flare_trt.kernels.contract import Intensity, Kernels, Span
from flare_trt.kernels.devices import (
    KERNEL_DEVICES,
    KernelsUnavailableError,
    cuda_problem,
    gpu_ordinal,
    limit_threads,
    load,
    load_host,
    native_problem,
)

__all__ = [
    "KERNEL_DEVICES",
    "Box",
    "Intensity",
    "Kernels",
    "KernelsUnavailableError",
    "Span",
    "cuda_problem",
    "gpu_ordinal",
    "limit_threads",
    "load",
    "load_host",
    "native_problem",
]
