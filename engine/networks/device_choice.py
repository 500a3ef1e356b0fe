"""Where a run happens: the device, its kernels and its network backend, chosen once, with the reason."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.session import BACKENDS, SessionOptions, backend_problem
from flare_trt.engine.networks.silent_import import load_openvino
from flare_trt.kernels import cuda_problem, gpu_ordinal, native_problem

#: First usable one wins where the user names no backend.
GPU_BACKENDS = ("tensorrt", "onnxruntime", "onnxruntime-tensorrt")
#: Backends that no CPU can run.
GPU_ONLY = ("tensorrt", "onnxruntime-tensorrt")
CPU_BACKEND = "openvino"


@dataclass(frozen=True)
class Placement:
    """`warning` is set where something slower than usual had to be taken; `reason` says why this device."""

    device: str
    kernels: str
    backend: str
    session: SessionOptions
    reason: str
    warning: str | None = None


def place(options: RunOptions) -> Placement:
    """Choose device, kernels and backend. Raises DeviceError where a named device or backend is not there."""
    if options.backend is not None and options.backend not in BACKENDS:
        raise DeviceError(f"backend: got {options.backend!r}, expected one of {', '.join(BACKENDS)}")
    if options.device == "cpu":
        return _place_on_cpu(options, "asked for")
    if options.device == "auto":
        problem = cuda_problem() or _gpu_backend_problem(options.backend, "cuda:0")
        if problem:
            return _place_on_cpu(options, f"no GPU is used: {problem}")
        return _place_on_gpu(options, "cuda:0", "CuPy sees a GPU and a network backend can use it")
    ordinal = gpu_ordinal(options.device)
    if ordinal is None:
        raise DeviceError(f"device: got {options.device!r}, expected auto, cpu or cuda:N")
    problem = cuda_problem(ordinal) or _gpu_backend_problem(options.backend, options.device)
    if problem:
        raise DeviceError(f"device {options.device}: {problem}; use --device cpu")
    return _place_on_gpu(options, options.device, "asked for")


def _gpu_backend_problem(named: str | None, device: str) -> str | None:
    problems = []
    for name in (named,) if named else GPU_BACKENDS:
        if name not in GPU_BACKENDS:
            return f"the backend {name} runs on the CPU only"
        problem = backend_problem(name, device)
        if problem is None:
            return None
        problems.append(f"{name}: {problem}")
    return "; ".join(problems)


def _place_on_gpu(options: RunOptions, device: str, reason: str) -> Placement:
    usable = [name for name in GPU_BACKENDS if backend_problem(name, device) is None]
    backend = options.backend or usable[0]
    precision = options.settings.precision_of(backend)
    if precision == "fp32" and options.settings.never_fp32:
        raise DeviceError(f"mode {options.mode}: the backend {backend} has no half precision here, tensorrt has; use --mode exact")
    return Placement(device, "cuda", backend, SessionOptions(device, precision, options.threads), reason)


def _place_on_cpu(options: RunOptions, reason: str) -> Placement:
    backend = options.backend or CPU_BACKEND
    if backend in GPU_ONLY:
        raise DeviceError(f"backend {backend}: needs an NVIDIA GPU; use openvino or onnxruntime")
    precision = options.settings.precision_of(backend)
    if precision == "bf16" and not _cpu_has_bf16():
        precision = "fp32"
    if precision == "fp32" and options.settings.never_fp32:
        lacks = "this CPU has no bf16 arithmetic" if backend == CPU_BACKEND else f"the backend {backend} computes in fp32 alone"
        raise DeviceError(f"mode {options.mode}: {lacks}; use --mode exact")
    problem = native_problem()
    kernels = "reference" if problem else "native"
    warning = f"{problem}; the slow reference kernels run" if problem else None
    threads = options.threads or len(os.sched_getaffinity(0))
    return Placement("cpu", kernels, backend, SessionOptions("cpu", precision, threads), reason, warning)


def _cpu_has_bf16() -> bool:
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
