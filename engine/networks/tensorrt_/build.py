"""ONNX -> TensorRT engine: strongly typed, static shape, without TF32; the precision is the ONNX file's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.base.errors import BundleError, DeviceError, OutputError
from flare_trt.engine.networks.kept_files import write_file

if TYPE_CHECKING:
    import tensorrt as trt

_LOG = logging.getLogger(__name__)

#: The most scratch memory that a kernel may ask for. FLARE tolerates 4 GB of GPU memory in all.
WORKSPACE_BYTES = 1 << 30


def build_engine(name: str, model: bytes, timing_file: Path, logger: trt.ILogger) -> bytes:
    """Build a serialised engine for the current GPU. `name` is the network's in errors.

    Raises BundleError where TensorRT cannot read the network, DeviceError where it cannot build it.
    """
    import tensorrt as trt

    builder = trt.Builder(logger)
    # version 11 knows strongly typed networks alone and ignores the flag
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        found = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise BundleError(f"{name}: TensorRT {trt.__version__} cannot read it: {found}; export it again with another opset")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # its 10 bits of mantissa are too few for mode=exact
    _fix_batch_size(builder, network, config, name)
    timing_cache = _attach_timing_cache(config, timing_file)  # has to outlive the build
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DeviceError(f"{name}: TensorRT {trt.__version__} cannot build it for this GPU; its log says why")
    _keep_timing_cache(timing_cache, timing_file)
    return bytes(plan)


def _fix_batch_size(builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig, name: str) -> None:
    """Pin a free batch size to 1, which is the only free size that a bundle's network may have."""
    import tensorrt as trt

    shape = tuple(network.get_input(0).shape)
    if -1 not in shape:
        return
    if shape[0] != -1 or -1 in shape[1:]:
        raise BundleError(f"{name}: got an input of shape {shape}, expected (1, c, z, y, x) with fixed sizes; export it again")
    fixed = trt.Dims((1, *shape[1:]))
    profile = builder.create_optimization_profile()
    profile.set_shape(network.get_input(0).name, fixed, fixed, fixed)
    if config.add_optimization_profile(profile) < 0:
        raise DeviceError(f"{name}: TensorRT refused an optimisation profile of shape {fixed}")


def _attach_timing_cache(config: trt.IBuilderConfig, timing_file: Path) -> trt.ITimingCache:
    known = timing_file.read_bytes() if timing_file.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is not None and config.set_timing_cache(cache, False):
        return cache
    _LOG.warning("timing cache %s is started again: TensorRT refused it", timing_file)
    cache = config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    return cache


def _keep_timing_cache(cache: trt.ITimingCache, timing_file: Path) -> None:
    try:
        write_file(timing_file, bytes(cache.serialize()))
    except (OSError, OutputError) as error:
        _LOG.warning("timing cache %s is not kept: %s", timing_file, error)
