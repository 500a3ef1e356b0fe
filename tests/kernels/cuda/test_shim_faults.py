"""Faults put into the CUDA sources, one a kernel, that the comparison with reference.py has to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import fake_cupy, shim_build
from tests.kernels.cuda import test_against_reference as against

from flare_trt.kernels import Kernels, load

#: (source, right, wrong): one fault in each source, all in one build.
FAULTS = [
    ("blend.cu", "__fadd_rn(__half2float(*sum), __fmul_rn(", "std::fma(1.f, __half2float(*sum), 1.0001f * ("),
    ("bounds.cu", "first = z + 1;", "first = z;"),
    ("box.cu", "column / size_x", "column / size_y"),
    ("normalise.cu", "__fdiv_rn(__fsub_rn(", "__fmul_rn(1.f / std_hu, __fsub_rn("),
    ("parts.cu", "part + found", "part"),
    ("resample.cu", "axis == 1 ? (size_t)source_x : 1", "axis == 1 ? (size_t)size_y : 1"),
    ("restore.cu", "if (logit > best)", "if (logit >= best)"),
    ("ring.cu", "(start + voxel.z) % ring_z", "(start + voxel.z + 1) % ring_z"),
]


@pytest.fixture(scope="module")
def faulty(library: Path) -> Path:
    """One build with every fault in it."""
    changed: dict[str, str] = {}
    for source, right, wrong in FAULTS:
        changed |= shim_build.edited(source, right, wrong)
    changed["normalise.cu"] = changed["normalise.cu"].replace("mean_hu), std_hu);", "mean_hu));")
    return shim_build.build("flare_host.cpp", shim_build.LIBRARY, changed)


def finish(kernels: Kernels) -> None:
    against.test_finish_and_clear_are_bit_exact(kernels, (5, 9))


def resample(kernels: Kernels) -> None:
    against.test_resample_whole_volumes(kernels, (1, 1, 1), (11, 51, 29))


def restore(kernels: Kernels) -> None:
    against.test_restore_is_exact(kernels, "restore_argmax")


@pytest.mark.parametrize(
    "check",
    [
        against.test_blend_is_bit_exact,
        against.test_bounds_of_labels,
        against.test_boxes,
        against.test_normalise_is_bit_exact,
        against.test_components,
        resample,
        restore,
        finish,
    ],
)
def test_a_wrong_kernel_is_caught(faulty: Path, check: Callable[[Kernels], None]) -> None:
    with fake_cupy.installed(faulty), pytest.raises(AssertionError):
        check(load("cuda"))


@pytest.fixture
def no_barrier(library: Path) -> Path:
    """The range reduction without its first barrier."""
    fault = shim_build.edited("range.cu", "    }\n    __syncthreads();\n    unsigned lowest", "    }\n    unsigned lowest")
    return shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)


def test_a_missing_barrier_shows_in_reversed_order(no_barrier: Path) -> None:
    with fake_cupy.installed(no_barrier, reversed_order=True), pytest.raises(AssertionError):
        against.test_value_range(load("cuda"))


def test_a_divergent_barrier_is_an_error(library: Path) -> None:
    fault = shim_build.edited(
        "box.cu", "    if (column < plane) {\n        int first", "    if (column >= plane) return;\n    {\n        int first"
    )
    divergent = shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)
    with fake_cupy.installed(divergent), pytest.raises(RuntimeError, match="not all threads of a block reached a barrier"):
        against.test_boxes(load("cuda"))
