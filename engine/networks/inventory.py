"""What this machine offers: devices, kernels, backends, versions, and of each that cannot be used, why."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flare_trt.engine.base.units import MIB
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.networks.device_choice import GPU_ONLY
from flare_trt.engine.networks.session import OFFERED, backend_problem
from flare_trt.kernels import KERNEL_DEVICES, cuda_problem, native_problem

#: Distributions whose versions matter to results; of those in one line, the first that is installed counts.
_LIBRARIES = (
    ("numpy",),
    ("scipy",),
    ("nibabel",),
    ("isal",),
    ("connected-components-3d",),
    ("openvino",),
    ("onnxruntime-gpu", "onnxruntime"),
    ("cupy-cuda13x", "cupy-cuda12x", "cupy"),
    ("tensorrt",),
    ("pydicom",),
    ("highdicom",),
)


@dataclass(frozen=True)
class Part:
    """A device, a kernel device or a backend. `problem` None: it can be used."""

    name: str
    problem: str | None
    detail: str = ""


@dataclass(frozen=True)
class Inventory:
    """Everything, JSON-ready."""

    version: str
    python: str
    platform: str
    devices: tuple[Part, ...]
    kernels: tuple[Part, ...]
    backends: tuple[Part, ...]
    libraries: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for json.dumps."""
        return asdict(self)


def take_inventory() -> Inventory:
    """Look at this machine. Opens no network and takes no GPU memory."""
    no_gpu = cuda_problem()
    kernel_problems = {"reference": None, "native": native_problem(), "cuda": no_gpu}
    return Inventory(
        version=VERSION,
        python=platform.python_version(),
        platform=platform.platform(),
        devices=(Part("cpu", None, f"{len(os.sched_getaffinity(0))} cores for this process"), *_gpus(no_gpu)),
        kernels=tuple(Part(name, kernel_problems[name]) for name in KERNEL_DEVICES),
        backends=tuple(Part(name, backend_problem(name, "cuda:0" if name in GPU_ONLY else "cpu")) for name in OFFERED),
        libraries=_versions(),
    )


def _gpus(problem: str | None) -> tuple[Part, ...]:
    if problem is not None:
        return (Part("cuda", problem),)
    import cupy

    runtime = cupy.cuda.runtime
    properties = [runtime.getDeviceProperties(number) for number in range(runtime.getDeviceCount())]
    return tuple(
        Part(f"cuda:{number}", None, f"{found['name'].decode()}, {found['totalGlobalMem'] / MIB / 1024:.1f} GiB")
        for number, found in enumerate(properties)
    )


def _versions() -> dict[str, str]:
    found = {}
    for names in _LIBRARIES:
        for name in names:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
            break
    return found
