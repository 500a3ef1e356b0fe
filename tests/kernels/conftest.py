"""The `kernels` fixture: every device that loads on this machine, one test run each."""

from __future__ import annotations

import pytest

from flare_trt.kernels import KERNEL_DEVICES, Kernels, KernelsUnavailableError, load


@pytest.fixture(params=KERNEL_DEVICES)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """A kernel device. Only the GPU may be missing: the native kernels have to be built where tests run."""
    try:
        return load(request.param)
    except KernelsUnavailableError as problem:
        if request.param != "cuda":
            raise
        pytest.skip(str(problem))
