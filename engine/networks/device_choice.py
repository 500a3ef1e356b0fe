"""Where a run happens: the device, its kernels and its network backend, chosen once, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.native_.backend import has_bf16 as has_own_bf16
from flare_trt.engine.networks.session import SessionOptions, backend_problem, require_known
from flare_trt.engine.networks.silent_import import load_openvino
from flare_trt.kernels import cuda_problem, gpu_ordinal, native_problem

#: First usable one wins where the user names no backend.
GPU_BACKENDS = ("tensorrt", "onnxruntime", "onnxruntime-tensorrt")
#: Backends that no CPU can run.
GPU_ONLY = ("tensorrt", "onnxruntime-tensorrt")
#: First one that the bundle does not bar wins on a CPU; before them our own kernels, where they know all networks.
CPU_BACKENDS = ("openvino", "onnxruntime")
OWN = "native"
#: Under this name a bundle bars them in bf16 alone.
OWN_BF16 = "native in bf16"
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
    if options.backend is not None:
        require_known(options.backend)
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
    if options.backend in GPU_ONLY:
        raise DeviceError(f"backend {options.backend}: needs an NVIDIA GPU; use openvino or onnxruntime")
    backend, precision = _on_cpu(options, barred, own_fits)
    if precision == "fp32" and options.settings.never_fp32:
        alone = options.settings.precision_of(backend) == "fp32"
        lacks = f"the backend {backend} computes in fp32 alone" if alone else _without_bf16(backend, barred)
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


def _on_cpu(options: RunOptions, barred: Barred, own_fits: Callable[[], bool]) -> tuple[str, Precision]:
    """Backend and precision: the named one's, or our own kernels', or those of another that alone has the mode's half precision."""
    settings = options.settings

    def precision_of(backend: str) -> Precision:
        wanted = settings.precision_of(backend)
        return "fp32" if wanted == "bf16" and _without_bf16(backend, barred) else wanted

    if options.backend is not None:
        return options.backend, precision_of(options.backend)
    other = next((name for name in CPU_BACKENDS if name not in barred), CPU_BACKENDS[0])
    if OWN in barred or not own_fits():
        return other, precision_of(other)
    own = precision_of(OWN)
    if own == settings.precision_of(OWN) or (half := precision_of(other)) == "fp32":
        return OWN, own
    return other, half


def _without_bf16(backend: str, barred: Barred) -> str | None:
    """Why a CPU backend cannot compute in bf16 here, or None."""
    if backend == OWN and OWN_BF16 in barred:
        return f"{OWN_BF16} is barred by this bundle: {barred[OWN_BF16]}"
    return None if (has_own_bf16() if backend == OWN else _openvino_has_bf16()) else "this CPU has no bf16 arithmetic"


def _openvino_has_bf16() -> bool:
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
