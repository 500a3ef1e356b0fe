"""The CUDA program compiles for every architecture that CuPy serves, as CuPy compiles it and plainly, with no spills."""

from __future__ import annotations

import pytest

from flare_trt.kernels.cuda.loader import COMPILE_OPTIONS, program_text

pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
from tests.fakes import nvrtc

ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
#: Far from the 255 that a thread may have, and room for six blocks of 128 or three of 256 threads on every card.
MOST_REGISTERS = 96


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_as_cupy_compiles(architecture: str) -> None:
    cubin = nvrtc.compile_cubin(program_text(), architecture, (*COMPILE_OPTIONS, *nvrtc.CUPY_OPTIONS))
    found = nvrtc.resources(cubin)
    assert len(found) == program_text().count("\nFLARE_KERNEL(") > 10
    for name, taken in found.items():
        assert (taken.local, taken.stack) == (0, 0), f"{name} spills: {taken}"
        assert taken.registers <= MOST_REGISTERS, f"{name}: {taken}"


@pytest.mark.parametrize("architecture", ["75", "120"])
def test_plainly(architecture: str) -> None:
    """Without CuPy's options, so that a function that lacks __device__ is seen."""
    assert nvrtc.compile_cubin(program_text(), architecture, COMPILE_OPTIONS)


def test_a_function_of_the_host_is_caught_by_the_plain_compile_alone() -> None:
    text = program_text().replace("FLARE_DEVICE float normalised(", "inline float normalised(")
    assert nvrtc.compile_cubin(text, "86", (*COMPILE_OPTIONS, *nvrtc.CUPY_OPTIONS))
    with pytest.raises(nvrtc.CompileError, match="normalised"):
        nvrtc.compile_cubin(text, "86", COMPILE_OPTIONS)


def test_local_memory_is_caught() -> None:
    fault = (
        'extern "C" __global__ void spills(float* p, int n) { float a[64]; for (int i = 0; i < n; ++i) a[i] = p[i]; p[n] = a[n]; }'
    )
    taken = nvrtc.resources(nvrtc.compile_cubin(fault, "86", COMPILE_OPTIONS))["spills"]
    assert taken.stack + taken.local > 0


def test_a_syntax_error_names_its_source() -> None:
    with pytest.raises(nvrtc.CompileError, match=r"ring\.cu\(\d+\): error"):
        nvrtc.compile_cubin(program_text().replace("const __half zero", "const __hal zero"), "86", COMPILE_OPTIONS)
