"""The CUDA device on the fake CuPy, over one g++ build of the sources for a test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import fake_cupy, shim_build

from flare_trt.kernels import Kernels, load


@pytest.fixture(scope="session")
def library() -> Path:
    """The sources built for the CPU: optimised, or watched by AddressSanitizer where FLARE_TRT_SHIM says so."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    flags = shim_build.ADDRESS if os.environ.get("FLARE_TRT_SHIM") == "address" else shim_build.LIBRARY
    return shim_build.build("flare_host.cpp", flags)


@pytest.fixture(params=["forward", "reversed"])
def cuda(request: pytest.FixtureRequest, library: Path) -> Iterator[Kernels]:
    """The CUDA kernels, with blocks and threads in either order."""
    with fake_cupy.installed(library, reversed_order=request.param == "reversed"):
        yield load("cuda")
