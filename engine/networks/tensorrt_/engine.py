"""The engine of a network file for the current GPU: from the cache where it is there, else built and kept."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.base.errors import DeviceError, OutputError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.tensorrt_.build import build_engine
from flare_trt.engine.networks.tensorrt_.cache import EngineKey, GpuFacts, read_engine, timing_file, write_engine
from flare_trt.engine.networks.tensorrt_.fp16 import to_fp16
from flare_trt.engine.networks.tensorrt_.logger import make_logger

if TYPE_CHECKING:
    import tensorrt as trt

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedEngine:
    """A deserialised engine and what has to outlive it. `errors` grows with TensorRT's; `was_cached`: it had been built before."""

    engine: trt.ICudaEngine
    runtime: trt.Runtime
    logger: trt.ILogger
    errors: list[str]
    was_cached: bool


def load_engine(onnx: Path, precision: Precision, ordinal: int) -> LoadedEngine:
    """Open the engine of an ONNX file on GPU `ordinal`, which must be there and current.

    Raises BundleError for a network that TensorRT cannot read, DeviceError for one that it cannot build or open.
    """
    import tensorrt as trt

    model = onnx.read_bytes()
    key = EngineKey(hashlib.sha256(model).hexdigest(), precision, gpu_facts(ordinal))
    errors: list[str] = []
    logger = make_logger(errors)
    runtime = trt.Runtime(logger)
    plan = read_engine(key)
    if plan is not None:
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is not None:
            return LoadedEngine(engine, runtime, logger, errors, was_cached=True)
        _LOG.warning("cached engine %s is built again: TensorRT cannot open it", key.file_name)
    plan = build_engine(onnx.name, to_fp16(model, onnx.name) if precision == "fp16" else model, timing_file(key.gpu), logger)
    try:
        write_engine(key, plan)
    except (OSError, OutputError) as error:
        _LOG.warning("engine %s is not kept, so the next run builds it again: %s", key.file_name, error)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise DeviceError(f"{onnx.name}: TensorRT cannot open the engine that it built: {'; '.join(errors[-3:])}")
    return LoadedEngine(engine, runtime, logger, errors, was_cached=False)


def gpu_facts(ordinal: int) -> GpuFacts:
    """What an engine for this GPU is bound to."""
    import cupy
    import tensorrt as trt

    name = cupy.cuda.runtime.getDeviceProperties(ordinal)["name"].decode()
    capability = cupy.cuda.Device(ordinal).compute_capability
    return GpuFacts(name, capability, cupy.cuda.runtime.driverGetVersion(), trt.__version__)
