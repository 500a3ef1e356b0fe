"""Built TensorRT engines on disk, in the user's cache folder. An entry that is damaged or out of date is told and left.

A file is one line of JSON (what it was built from and for, and the checksum of the rest) and then the engine. Its name says
network, precision and GPU; the line also holds the driver and TensorRT's version, to which an engine is bound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from flare_trt.engine.base.files import atomic_file

_LOG = logging.getLogger(__name__)


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
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flare-trt" / "tensorrt"


def read_engine(key: EngineKey) -> bytes | None:
    """The engine of this key, or None where it has to be built. Warns where an entry is there but cannot be used."""
    file = cache_folder() / key.file_name
    if not file.is_file():
        return None
    head, _, engine = file.read_bytes().partition(b"\n")
    reason = _reason_to_rebuild(head, engine, key)
    if reason is None:
        return engine
    _LOG.warning("cached engine %s is built again: %s", file, reason)
    return None


def write_engine(key: EngineKey, engine: bytes) -> Path:
    """Keep an engine. Raises OSError or OutputError where the folder cannot be written."""
    head = json.dumps({"key": asdict(key), "sha256": hashlib.sha256(engine).hexdigest()}, sort_keys=True)
    return write_file(cache_folder() / key.file_name, head.encode() + b"\n" + engine)


def timing_file(gpu: GpuFacts) -> Path:
    """Where TensorRT's measurements of its kernels on this GPU are kept; they shorten later builds."""
    return cache_folder() / f"timing-{gpu.slug}-{gpu.driver}-{gpu.tensorrt}.cache"


def write_file(file: Path, content: bytes) -> Path:
    """Write a file of the cache, whole or not at all. Raises OSError or OutputError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(file) as target:
        target.write(content)
    return file


def _reason_to_rebuild(head: bytes, engine: bytes, key: EngineKey) -> str | None:
    try:
        entry = json.loads(head)
        built_for, checksum = entry["key"], entry["sha256"]
    except (ValueError, KeyError, TypeError):
        return "its first line is damaged"
    if built_for != asdict(key):
        return f"it was built for {built_for}, expected {asdict(key)}"
    if hashlib.sha256(engine).hexdigest() != checksum:
        return "its checksum does not match"
    return None
