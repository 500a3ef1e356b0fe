"""Memory of one NVIDIA GPU through NVML. Where NVML is not there or fails, readings are empty and `problem` says why."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from flare_trt.engine.base.units import MIB


@dataclass(frozen=True)
class GpuReading:
    """MiB, FLARE's MB, in use on the whole device (total - free) and by the asked processes; None where unknown."""

    device_mb: float | None = None
    tree_mb: float | None = None


class GpuMemory:
    """A device by NVML index. The first failure is kept in `problem`; a lost device stays lost and is asked no more."""

    def __init__(self, index: int = 0) -> None:
        self.name: str | None = None
        self.problem: str | None = None
        try:
            import pynvml
        except ImportError:
            self.problem = "no NVML: the package nvidia-ml-py is not installed"
            return
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            self.name = _text(pynvml.nvmlDeviceGetName(self._handle))
        except pynvml.NVMLError as error:
            self.problem = f"no NVML device {index}: {error}"

    def read(self, pids: AbstractSet[int]) -> GpuReading:
        """What the device and these processes use now."""
        if self.problem is not None:
            return GpuReading()
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
        except self._nvml.NVMLError as error:
            self.problem = f"NVML failed while sampling: {error}"
            return GpuReading()
        return GpuReading((memory.total - memory.free) / MIB, self._tree_mb(pids))

    def _tree_mb(self, pids: AbstractSet[int]) -> float | None:
        """None where NVML does not tell a process' memory (WDDM, MIG) or counts process ids of another namespace."""
        import psutil

        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError:
            return None
        own = [process.usedGpuMemory for process in processes if process.pid in pids]
        foreign = [process for process in processes if not psutil.pid_exists(process.pid)]
        if None in own or (foreign and not own):
            return None
        return float(sum(own)) / MIB


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
