"""The CUDA sources under AddressSanitizer (bounds), UndefinedBehaviorSanitizer and ThreadSanitizer (atomics, barriers).

Each sanitizer has to pass the sources and to catch a fault that was put in.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fakes import shim_build
from tests.kernels.conftest import LIBRARY_VARIABLE

#: The contract, and what it leaves to this folder.
COMPARISONS = [*sorted(Path(__file__).parents[1].glob("test_contract*.py")), Path(__file__).with_name("test_large_cases.py")]


def compare_under_asan(changed: Mapping[str, str] | None, chosen: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    library = shim_build.build("flare_host.cpp", shim_build.ADDRESS, changed)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=no", "-k", chosen, *map(str, COMPARISONS)]
    environment = {**shim_build.sanitizer_environment(), LIBRARY_VARIABLE: str(library)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=shim_build.ROOT)


def test_no_kernel_leaves_its_arrays() -> None:
    done = compare_under_asan(None, "fake-gpu and not reversed and not 118 and not more_channels")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_read_past_an_edge_is_caught() -> None:
    fault = shim_build.edited("resample.cu", "min(max(first[i] + k, 0), length - 1)", "min(max(first[i] + k, 0), length)")
    done = compare_under_asan(fault, "equal_orders_equal_scikit_image and fake-gpu and not reversed")
    assert "AddressSanitizer: heap-buffer-overflow" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "threads", [("-DFLARE_ONE_BLOCK",), pytest.param((), marks=pytest.mark.nightly)], ids=["threads of a block", "blocks"]
)
def test_reductions_have_no_race(threads: tuple[str, ...]) -> None:
    done = subprocess.run([shim_build.build("flare_race.cpp", (*shim_build.RACE, *threads))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout == "range -5 5 box 40 1 2 voxels 12300\n"


SHARED_RACE = shim_build.edited("bounds.cu", "atomicAdd(voxels, (Count)(last - first + 1));", "*voxels += last - first + 1;")
BLOCK_RACE = shim_build.edited("box.cu", "atomicMax(&box[side], block_box[side])", "box[side] = max(box[side], block_box[side])")
NO_BARRIER = shim_build.edited("range.cu", "    }\n    __syncthreads();\n    unsigned lowest", "    }\n    unsigned lowest")


@pytest.mark.parametrize(
    ("fault", "threads"),
    [(SHARED_RACE, ("-DFLARE_ONE_BLOCK",)), (NO_BARRIER, ("-DFLARE_ONE_BLOCK",)), (BLOCK_RACE, ())],
    ids=["shared memory", "barrier", "between blocks"],
)
def test_a_race_is_caught(fault: dict[str, str], threads: tuple[str, ...]) -> None:
    program = shim_build.build("flare_race.cpp", (*shim_build.RACE, *threads), fault)
    done = subprocess.run([program], capture_output=True, text=True)
    assert "ThreadSanitizer: data race" in done.stderr
