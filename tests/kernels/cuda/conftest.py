"""The CUDA device on the fake CuPy, over one g++ build of the sources for a test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import fake_cupy, shim_build

from flare_trt.kernels import Kernels, load

#: Names a build of the sources to run instead of the optimised one (test_sanitizers.py starts such runs).
LIBRARY_VARIABLE = "FLARE_TRT_SHIM_LIBRARY"


@pytest.fixture(scope="session")
def library() -> Path:
    """The sources built for the CPU."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    chosen = os.environ.get(LIBRARY_VARIABLE)
    return Path(chosen) if chosen else shim_build.build("flare_host.cpp", shim_build.LIBRARY)


@pytest.fixture(params=["forward", "reversed"])
def cuda(request: pytest.FixtureRequest, library: Path) -> Iterator[Kernels]:
    """The CUDA kernels, with blocks and threads in either order."""
    with fake_cupy.installed(library, reversed_order=request.param == "reversed"):
        yield load("cuda")
