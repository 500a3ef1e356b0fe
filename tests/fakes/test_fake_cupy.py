"""The fake CuPy has the real package's names and the strictness that the gates rely on."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.fakes import device_memory, device_program, device_streams, fake_cupy, nvrtc, shim_build, surface

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


def real(package: str) -> ModuleType:
    return pytest.importorskip(package, reason="tests/requirements-gpu-gates.txt is not installed")


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in (shim_build.ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("package", ["cupy", "cupyx"])
def test_every_name_that_we_use_is_in_the_real_package(package: str) -> None:
    used = surface.used_names(sources(), package)
    assert used
    assert surface.missing_names(used, real(package)) == []


def test_a_misspelt_name_is_caught(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import cupy\ncupy.emtpy(3)\ncupy.cuda.Stream(non_blocking=True)\n")
    names = surface.used_names([wrong], "cupy")
    assert surface.missing_names(names, real("cupy")) == ["emtpy"]


def test_the_fake_has_no_name_that_the_real_package_lacks() -> None:
    cupy = real("cupy")
    for fake, genuine in (
        (device_memory.ndarray, cupy.ndarray),
        (device_memory.MemoryPointer, cupy.cuda.MemoryPointer),
        (device_streams.Stream, cupy.cuda.Stream),
        (device_streams.Event, cupy.cuda.Event),
        (device_streams.Graph, cupy.cuda.Graph),
        (device_program.RawModule, cupy.RawModule),
        (device_memory.Device, cupy.cuda.Device),
    ):
        public = [name for name in vars(fake) if not name.startswith("_")]
        assert surface.missing_names(public, genuine) == []
    for name, module in fake_cupy.modules().items():
        holder: Any = real(name.partition(".")[0])
        for part in name.split(".")[1:]:
            holder = getattr(holder, part) if hasattr(holder, part) else real(name)
        public = [key for key in vars(module) if not key.startswith("_")]
        assert surface.missing_names(public, holder) == []


KERNEL = """extern "C" __global__ void add(float* out, const float* in, unsigned long long n, int step, float scale) {
    if (threadIdx.x < n) out[threadIdx.x] = in[threadIdx.x] * scale + step;
}"""


@pytest.fixture
def launched() -> tuple[Any, Any, Any]:
    real("cuda.bindings.nvrtc")
    function = device_program.RawModule(KERNEL).get_function("add")
    return function, device_memory.empty((4,), np.float32), device_memory.empty((4,), np.float32)


GOOD = (np.uint64(4), np.int32(1), np.float32(2))


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ((4, *GOOD[1:]), None),
        ((np.uint32(4), *GOOD[1:]), "uint32 for a .u64"),
        ((GOOD[0], 1, GOOD[2]), "int64 for a .u32"),
        ((GOOD[0], np.float32(1), GOOD[2]), "float32 for a .u32"),
        ((*GOOD[:2], 2.0), "float64 for a .f32"),
        (GOOD[:2], "4 arguments for 5"),
        ((*GOOD[:2], np.zeros(1)), "ndarray cannot be handed"),
    ],
)
def test_arguments_are_held_to_the_signature(launched: Any, rest: tuple[Any, ...], complaint: str | None) -> None:
    function, out, source = launched
    expected = pytest.raises(TypeError if complaint else RuntimeError, match=complaint or "no such kernel")
    with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY)), expected:
        function((1, 1, 1), (32, 1, 1), (out, source, *rest))


@pytest.mark.parametrize(("grid", "block"), [((1, 1, 1), (2048, 1, 1)), ((1, 1, 1), (1, 1, 65)), ((1, 65536, 1), (1, 1, 1))])
def test_launches_are_held_to_the_limits(launched: Any, grid: Any, block: Any) -> None:
    function, out, source = launched
    with pytest.raises(ValueError, match="limits"):
        function(grid, block, (out, source, *GOOD))


def test_arrays_stay_on_the_device() -> None:
    array = device_memory.empty((2, 3), np.float32)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(array)
    with pytest.raises(TypeError, match="Unsupported type"):
        array[0] = np.zeros(3, np.float32)
    assert array.data.ptr % device_memory.ALIGNMENT == 0
    assert np.isnan(array.get()).all()


def test_memory_is_counted() -> None:
    before = device_memory.POOL.used_bytes()
    array = device_memory.empty((1000,), np.float32)
    assert device_memory.POOL.used_bytes() - before == 4096
    view = array[10:]
    del array
    assert device_memory.POOL.used_bytes() - before == 4096
    del view
    assert device_memory.POOL.used_bytes() == before


def test_a_captured_stream_refuses_synchronous_work_and_replays_the_rest() -> None:
    done: list[int] = []
    with device_streams.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        stream._do(lambda: done.append(1))
        with pytest.raises(RuntimeError, match="captured"):
            device_memory.empty((1,))
        graph = stream.end_capture()
    assert done == []
    graph.launch(stream)
    graph.launch(stream)
    assert done == [1, 1]


def test_ptx_signatures_name_types_and_barriers() -> None:
    real("cuda.bindings.nvrtc")
    text = 'extern "C" __global__ void k(short* a, double b, unsigned char c) { __syncthreads(); a[c] = b; }'
    entry = nvrtc.entries(nvrtc.compile_ptx(text, "86", ()))["k"]
    assert (entry.parameters, entry.has_barrier) == (("u64", "f64", "u8"), True)
