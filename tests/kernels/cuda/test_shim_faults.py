"""Faults put into the CUDA sources, one a kernel, that the comparison with reference.py has to see."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import fake_cupy, shim_build
from tests.kernels import test_contract as contract
from tests.kernels import test_contract_resample as resample
from tests.kernels.cuda import test_large_cases as large

from flare_trt.kernels import load

#: (source, right, wrong): one fault in each source, all in one build.
FAULTS = [
    ("blend.cu", "__fadd_rn(__half2float(*sum), __fmul_rn(", "std::fma(1.f, __half2float(*sum), 1.0001f * ("),
    ("bounds.cu", "first = z + 1;", "first = z;"),
    ("box.cu", "column / size_x", "column / size_y"),
    ("moments.cu", "squares += value * value;", "squares += (float)value * (float)value * 1.000001;"),
    ("normalise.cu", "__fdiv_rn(__fsub_rn(", "__fmul_rn(1.f / std_hu, __fsub_rn("),
    ("parts.cu", "part + found", "part"),
    ("resample.cu", "axis == 1 ? (size_t)source_x : 1", "axis == 1 ? (size_t)size_y : 1"),
    ("restore.cu", "if (logit > best)", "if (logit >= best)"),
    ("ring.cu", "(start + voxel.z) % ring_z", "(start + voxel.z + 1) % ring_z"),
]


@pytest.fixture(scope="module")
def faulty(cuda_library: Path) -> Path:
    """One build with every fault in it."""
    changed: dict[str, str] = {}
    for source, right, wrong in FAULTS:
        changed |= shim_build.edited(source, right, wrong)
    changed["normalise.cu"] = changed["normalise.cu"].replace("mean_hu), std_hu);", "mean_hu));").replace("inside[i] == 0", "0")
    return shim_build.build("flare_host.cpp", shim_build.LIBRARY, changed)


CHECKS = [
    functools.partial(contract.test_blend_and_finish_equal_torch_half, channels=3, ring_planes=19),
    functools.partial(contract.test_bounds_equal_scipy, shape=(11, 9, 35), count=5),
    functools.partial(contract.test_box_nonzero, dtype=np.int16),
    functools.partial(contract.test_moments_are_float64_sums, dtype=np.float32, shape=(7, 133, 141)),
    functools.partial(contract.test_zero_outside),
    functools.partial(contract.test_normalise_equals_nnunet, std_hu=141.3),
    functools.partial(contract.test_components_equal_scipy, count=7),
    functools.partial(contract.test_clear_zeroes_these_planes_alone),
    functools.partial(resample.test_equal_orders_equal_scikit_image, source=(7, 33, 41), target=(11, 51, 29), orders=(1, 1, 1)),
    functools.partial(large.test_hostile_logits, method="restore_argmax"),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.func.__name__.removeprefix("test_"))
def test_a_wrong_kernel_is_caught(faulty: Path, check: Callable[..., None]) -> None:
    with fake_cupy.installed(faulty), pytest.raises(AssertionError):
        check(kernels=load("cuda"))


@pytest.fixture
def no_barrier(cuda_library: Path) -> Path:
    """The range reduction without its first barrier."""
    fault = shim_build.edited("range.cu", "    }\n    __syncthreads();\n    unsigned lowest", "    }\n    unsigned lowest")
    return shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)


def test_a_missing_barrier_shows_in_reversed_order(no_barrier: Path) -> None:
    with fake_cupy.installed(no_barrier, reversed_order=True), pytest.raises(AssertionError):
        large.test_value_range_of_many_blocks(load("cuda"))


def test_a_divergent_barrier_is_an_error(cuda_library: Path) -> None:
    fault = shim_build.edited(
        "box.cu", "    if (column < plane) {\n        int first", "    if (column >= plane) return;\n    {\n        int first"
    )
    divergent = shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)
    with fake_cupy.installed(divergent), pytest.raises(RuntimeError, match="not all threads of a block reached a barrier"):
        contract.test_box_nonzero(load("cuda"), np.int16)
