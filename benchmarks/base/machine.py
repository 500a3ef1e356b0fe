"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flare_trt.benchmarks.base.gpu_memory import GpuMemory
from flare_trt.engine.base.units import MIB

PACKAGES = (
    *("flare-trt", "numpy", "scipy", "openvino", "onnxruntime", "tensorrt", "cupy-cuda13x", "nibabel", "isal"),
    *("torch", "nnunetv2", "monai", "scikit-image", "surface-distance", "edt"),
)


@dataclass(frozen=True)
class Machine:
    """`cores` are those that this process may use; `load` is the load average of the
    last minute when the result was made, the benchmark's own work included."""

    cpu: str
    cores: int
    memory_gb: float
    gpu: str | None
    system: str
    load: float


def this_machine() -> Machine:
    """The machine at hand."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / MIB / 1024
    load = round(os.getloadavg()[0], 1)
    return Machine(_cpu_name(), len(os.sched_getaffinity(0)), round(memory, 1), GpuMemory().name, platform.release(), load)


def installed_versions() -> dict[str, str]:
    """Versions of Python and of those of PACKAGES that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The checkout's commit, with "+" where files differ from it; "unknown" outside of a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def without_places(words: Iterable[str]) -> list[str]:
    """A command line in which each absolute path is cut to its name: results are published, places of a machine are not."""
    return [Path(word).name if word.startswith("/") else word for word in words]


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
