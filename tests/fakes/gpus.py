"""Fake GPUs for whole pipelines: CuPy whose kernels are the real CUDA sources built by g++, and TensorRT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fakes import fake_cupy, fake_tensorrt, shim_build


@contextmanager
def fake_gpus(cache: Path, devices: int = 1) -> Iterator[None]:
    """Install so many; engines and kernels are cached in a folder of the test's own."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    library = shim_build.build("flare_host.cpp", shim_build.LIBRARY)
    with pytest.MonkeyPatch.context() as patch, fake_cupy.installed(library, devices=devices), fake_tensorrt.installed():
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield
