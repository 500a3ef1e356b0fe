"""A strict stand-in for the few CuPy names that flare-trt uses; the kernels run in the g++ build of the same sources.

It is stricter than CuPy: arrays are opaque, memory is poisoned, kernel arguments have to fit the PTX signature. It proves the
host code around the kernels, not CuPy. `tests/fakes/test_fake_cupy.py` holds its names to the real package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from tests.fakes import device_exchange, device_memory, device_program, device_streams


def label(input: device_memory.ndarray, structure: Any = None, output: Any = None) -> int:
    """cupyx.scipy.ndimage.label into an int32 array of the caller."""
    from scipy import ndimage

    if not isinstance(input, device_memory.ndarray) or not isinstance(output, device_memory.ndarray):
        raise TypeError("input must be cupy.ndarray")
    device_memory.require_current(input, output)
    if output.shape != input.shape or output.dtype != np.int32:
        raise ValueError("output shape not correct")
    return int(ndimage.label(input._host, structure=structure, output=output._host))


def _module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module


def modules(devices: int = 1) -> dict[str, ModuleType]:
    """The fake packages, with so many GPUs, as they stand in sys.modules."""
    runtime = SimpleNamespace(
        driverGetVersion=lambda: 13020,
        getDeviceCount=lambda: devices,
        memGetInfo=lambda: ((1 << 34) - device_memory.POOL.used_bytes(), 1 << 34),
        getDeviceProperties=lambda device: {"name": b"Fake GPU", "totalGlobalMem": 1 << 34},
        CUDARuntimeError=device_streams.CUDARuntimeError,
    )
    cuda = _module(
        "cupy.cuda",
        Device=device_memory.Device,
        Stream=device_streams.Stream,
        Event=device_streams.Event,
        Graph=device_streams.Graph,
        get_current_stream=device_streams.get_current_stream,
        runtime=runtime,
        memory=SimpleNamespace(OutOfMemoryError=device_memory.OutOfMemoryError),
    )
    cupy = _module(
        "cupy",
        ndarray=device_memory.ndarray,
        empty=device_memory.empty,
        asarray=device_exchange.asarray,
        from_dlpack=device_exchange.from_dlpack,
        is_available=lambda: True,
        get_default_memory_pool=lambda: device_memory.POOL,
        RawModule=device_program.RawModule,
        cuda=cuda,
    )
    ndimage = _module("cupyx.scipy.ndimage", label=label)
    scipy = _module("cupyx.scipy", ndimage=ndimage)
    return {
        "cupy": cupy,
        "cupy.cuda": cuda,
        "cupyx": _module("cupyx", scipy=scipy),
        "cupyx.scipy": scipy,
        "cupyx.scipy.ndimage": ndimage,
    }


@contextmanager
def installed(library: Path | None = None, reversed_order: bool = False, devices: int = 1) -> Iterator[None]:
    """Put the fake in CuPy's place, over one build of the sources where kernels are to run."""
    fakes = modules(devices)
    real = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] in ("cupy", "cupyx")}
    sys.modules.update(fakes)
    try:
        with mock.patch.object(device_program, "BUILD", device_program.HostBuild(library, reversed_order)):
            yield
    finally:
        for name in fakes:
            del sys.modules[name]
        sys.modules.update(real)
