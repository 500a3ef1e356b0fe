"""The `kernels` fixture: every device that loads on this machine, and the CUDA one on the fake CuPy, one test run each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import fake_cupy, shim_build

from flare_trt.kernels import KERNEL_DEVICES, Kernels, KernelsUnavailableError, load

#: The CUDA sources built for the CPU, with blocks and threads in either order.
FAKE_GPUS = ("fake-gpu", "fake-gpu-reversed")
#: Names a build of the CUDA sources to run instead of the optimised one (test_sanitizers.py starts such runs).
LIBRARY_VARIABLE = "FLARE_TRT_SHIM_LIBRARY"


@pytest.fixture(scope="session")
def cuda_library() -> Path:
    """The CUDA sources built for the CPU."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    chosen = os.environ.get(LIBRARY_VARIABLE)
    return Path(chosen) if chosen else shim_build.build("flare_host.cpp", shim_build.LIBRARY)


@pytest.fixture(params=FAKE_GPUS)
def fake_gpu(request: pytest.FixtureRequest, cuda_library: Path) -> Iterator[Kernels]:
    """The CUDA kernels on the fake CuPy."""
    with fake_cupy.installed(cuda_library, reversed_order=request.param.endswith("reversed")):
        yield load("cuda")


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.gpu if name == "cuda" else ()) for name in (*KERNEL_DEVICES, *FAKE_GPUS)]
)
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """A kernel device. Only the GPU may be missing: the native kernels have to be built where tests run."""
    if request.param in FAKE_GPUS:
        with fake_cupy.installed(request.getfixturevalue("cuda_library"), request.param.endswith("reversed")):
            yield load("cuda")
        return
    try:
        device = load(request.param)
    except KernelsUnavailableError as problem:
        if request.param != "cuda":
            raise
        pytest.skip(str(problem))
    yield device
