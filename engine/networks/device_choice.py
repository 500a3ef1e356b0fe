"""Where a run happens: the device, its kernels and its network backend, chosen once, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.session import BACKENDS, SessionOptions, backend_problem
from flare_trt.engine.networks.silent_import import load_openvino
from flare_trt.kernels import cuda_problem, gpu_ordinal, native_problem

#: First usable one wins where the user names no backend.
GPU_BACKENDS = ("tensorrt", "onnxruntime", "onnxruntime-tensorrt")
#: Backends that no CPU can run.
GPU_ONLY = ("tensorrt", "onnxruntime-tensorrt")
#: First one that the bundle does not bar wins on a CPU; before them, where networks compute in fp32, our own kernels, for those
#: that they know.
CPU_BACKENDS = ("openvino", "onnxruntime")
OWN = "native"
#: Backend -> why this bundle may not run on it.
Barred = Mapping[str, str]
NOTHING_BARRED: Barred = MappingProxyType({})


@dataclass(frozen=True)
class Placement:
    """`warning` is set where something slower than usual had to be taken; `reason` says why this device."""

    device: str
    kernels: str
    backend: str
    session: SessionOptions
    reason: str
    warning: str | None = None


def place(options: RunOptions, barred: Barred = NOTHING_BARRED, own_fits: Callable[[], bool] = lambda: False) -> Placement:
    """Choose device, kernels and backend; `own_fits` says whether our own kernels know all of the model's networks.

    Raises DeviceError where the named ones are not there, or the bundle bars the backend.
    """
    if options.backend is not None and options.backend not in BACKENDS:
        raise DeviceError(f"backend: got {options.backend!r}, expected one of {', '.join(BACKENDS)}")
    if options.backend is not None and options.backend in barred:
        others = [name for name in CPU_BACKENDS if name not in barred]
        raise DeviceError(f"backend {options.backend}: barred by this bundle: {barred[options.backend]}; use {' or '.join(others)}")
    if options.device == "cpu":
        return _place_on_cpu(options, "asked for", barred, own_fits)
    if options.device == "auto":
        problem = cuda_problem() or _gpu_backend_problem(options.backend, "cuda:0", barred)
        if problem:
            return _place_on_cpu(options, f"no GPU is used: {problem}", barred, own_fits)
        return _place_on_gpu(options, "cuda:0", "CuPy sees a GPU and a network backend can use it", barred)
    ordinal = gpu_ordinal(options.device)
    if ordinal is None:
        raise DeviceError(f"device: got {options.device!r}, expected auto, cpu or cuda:N")
    problem = cuda_problem(ordinal) or _gpu_backend_problem(options.backend, options.device, barred)
    if problem:
        raise DeviceError(f"device {options.device}: {problem}; use --device cpu")
    return _place_on_gpu(options, options.device, "asked for", barred)


def _gpu_backend_problem(named: str | None, device: str, barred: Barred) -> str | None:
    problems = []
    for name in (named,) if named else GPU_BACKENDS:
        if name not in GPU_BACKENDS:
            return f"the backend {name} runs on the CPU only"
        problem = _barred_problem(name, barred) or backend_problem(name, device)
        if problem is None:
            return None
        problems.append(f"{name}: {problem}")
    return "; ".join(problems)


def _barred_problem(name: str, barred: Barred) -> str | None:
    return f"barred by this bundle: {barred[name]}" if name in barred else None


def _place_on_gpu(options: RunOptions, device: str, reason: str, barred: Barred) -> Placement:
    usable = [name for name in GPU_BACKENDS if name not in barred and backend_problem(name, device) is None]
    backend = options.backend or usable[0]
    precision = options.settings.precision_of(backend)
    if precision == "fp32" and options.settings.never_fp32:
        raise DeviceError(f"mode {options.mode}: the backend {backend} has no half precision here, tensorrt has; use --mode exact")
    return Placement(device, "cuda", backend, SessionOptions(device, precision, options.threads), reason)


def _place_on_cpu(options: RunOptions, reason: str, barred: Barred, own_fits: Callable[[], bool]) -> Placement:
    backend = options.backend or next((name for name in CPU_BACKENDS if name not in barred), CPU_BACKENDS[0])
    if backend in GPU_ONLY:
        raise DeviceError(f"backend {backend}: needs an NVIDIA GPU; use openvino or onnxruntime")
    precision = options.settings.precision_of(backend)
    if precision == "bf16" and not _cpu_has_bf16():
        precision = "fp32"
    if precision == "fp32" and options.backend is None and not options.settings.never_fp32 and OWN not in barred and own_fits():
        backend = OWN
    if precision == "fp32" and options.settings.never_fp32:
        lacks = "this CPU has no bf16 arithmetic" if backend == CPU_BACKENDS[0] else f"the backend {backend} computes in fp32 alone"
        raise DeviceError(f"mode {options.mode}: {lacks}; use --mode exact")
    problem = native_problem()
    kernels = "reference" if problem else "native"
    warnings = [f"{problem}; the slow reference kernels run"] if problem else []
    if options.backend is None and backend not in (OWN, CPU_BACKENDS[0]):
        warnings.append(f"{backend} runs instead of {CPU_BACKENDS[0]}, barred by this bundle: {barred[CPU_BACKENDS[0]]}")
    warning = "; ".join(warnings) or None
    threads = options.threads or len(os.sched_getaffinity(0))
    # activations are held twice, so only where the user has said how much memory there is; see segmenter
    pairs = backend == CPU_BACKENDS[0] and options.max_memory_mb is not None and threads > 1
    return Placement("cpu", kernels, backend, SessionOptions("cpu", precision, threads, pairs), reason, warning)


def _cpu_has_bf16() -> bool:
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
