"""Built TensorRT engines on disk, in the user's cache folder, see kept_files.py.

A file's name says network, precision and GPU; its first line also holds the driver and TensorRT's version, to which an engine is
bound.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from flare_trt.engine.networks import kept_files


@dataclass(frozen=True)
class GpuFacts:
    """What an engine is bound to beside its network. `driver` is the CUDA version that the driver offers, e.g. 13020."""

    name: str
    compute_capability: str
    driver: int
    tensorrt: str

    @property
    def slug(self) -> str:
        """The GPU as part of a file name."""
        return f"{re.sub(r'[^A-Za-z0-9]+', '-', self.name).strip('-')}-sm{self.compute_capability}"


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built from and for."""

    onnx_sha256: str
    precision: str
    gpu: GpuFacts

    @property
    def file_name(self) -> str:
        """The same for every driver and TensorRT version, so that an update replaces the entry."""
        return f"{self.onnx_sha256[:24]}-{self.precision}-{self.gpu.slug}.engine"


def cache_folder() -> Path:
    """Where engines are kept: flare-trt/tensorrt in $XDG_CACHE_HOME, or else in the home folder's .cache."""
    return kept_files.cache_folder("tensorrt")


def read_engine(key: EngineKey) -> bytes | None:
    """The engine of this key, or None where it has to be built. Warns where an entry is there but cannot be used."""
    return kept_files.read_kept(cache_folder() / key.file_name, asdict(key))


def write_engine(key: EngineKey, engine: bytes) -> Path:
    """Keep an engine. Raises OSError or OutputError where the folder cannot be written."""
    return kept_files.write_kept(cache_folder() / key.file_name, asdict(key), engine)


def timing_file(gpu: GpuFacts) -> Path:
    """Where TensorRT's measurements of its kernels on this GPU are kept; they shorten later builds."""
    return cache_folder() / f"timing-{gpu.slug}-{gpu.driver}-{gpu.tensorrt}.cache"
