"""What the native device promises beyond the contract: bytes that depend neither on threads nor on the processor."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from tests.kernels.kernel_cases import linear_taps, normal, resample

from flare_trt.kernels import Intensity, KernelsUnavailableError, Span, load, native, native_problem

COMPILED: Any = import_module(native.COMPILED)


@pytest.fixture(autouse=True)
def all_processors() -> Iterator[None]:
    yield
    native.set_threads(0)


def results() -> Iterator[Any]:
    """A result of each kernel, on sizes that do not divide among threads."""
    kernels, image = load("native"), normal(131, 37, 45)
    yield kernels.normalise(image, Intensity(-1.0, 1.5, 0.1, 0.7))
    for orders, target in [((3, 3, 3), (201, 31, 60)), ((3, 3, 3), (77, 41, 44)), ((0, 3, 3), (150, 41, 44))]:
        yield resample(kernels, image, target, orders)
        spans = tuple(Span.whole(n, t) for n, t in zip(image.shape, target, strict=True))
        yield kernels.resample_scan(image[:, ::-1], Intensity(-1.0, 1.5, 0.1, 0.7), spans, orders, (-1.0, 1.0))  # type: ignore[arg-type]
    ring, weights = np.zeros((5, 21, 37, 45), np.float16), np.zeros((21, 37, 45), np.float16)
    for corner in [(15, 3, 2), (11, 6, 9)]:
        kernels.blend(ring, weights, normal(5, 17, 31, 36), np.abs(normal(17, 31, 36)).astype(np.float16) + np.float16(0.1), corner)
    kernels.finish(ring, weights + np.float16(0.1), (15, 28))
    kernels.average([ring, ring * np.float16(0.3)], (12, 19))
    yield ring
    taps, values = (linear_taps(21, 29), linear_taps(37, 61), linear_taps(45, 77)), np.arange(5, dtype=np.uint8)
    for method in ("restore_argmax", "restore_regions"):
        labels = np.empty((29, 61, 77), np.uint8)
        getattr(kernels, method)(ring, taps, values, labels)
        yield labels
    yield kernels.bounds(labels, 5)
    yield np.array([kernels.value_range(image), kernels.value_range(image.astype(np.int16))])
    yield np.array([kernels.moments(image), kernels.moments((image * 900).astype(np.int16))])
    yield np.array([kernels.box_nonzero((image * 0.25).astype(np.int16))], object).astype(str)


def digest() -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(result).tobytes() for result in results())).hexdigest()


def test_bytes_do_not_depend_on_the_number_of_threads() -> None:
    seen = set()
    for threads in (1, 2, 3, 16, 0):
        native.set_threads(threads)
        seen.add(digest())
    assert len(seen) == 1


def test_callers_may_run_side_by_side() -> None:
    native.set_threads(3)
    alone = digest()
    with ThreadPoolExecutor(4) as pool:
        assert {future.result() for future in [pool.submit(digest) for _ in range(8)]} == {alone}


def test_a_forked_child_has_its_own_threads() -> None:
    code = "import os, sys, numpy as np; from flare_trt.kernels import load, native; native.set_threads(3)\n"
    code += "image = np.arange(2**20, dtype=np.float32); run = load('native').value_range; run(image); child = os.fork()\n"
    code += "for _ in range(99): run(image)\n"
    code += "if not child: os._exit(7 if run(image) == (0, 2**20 - 1) else 1)\n"
    code += "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 7


def test_negative_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="threads: got -1"):
        native.set_threads(-1)


def hard_floats() -> Any:
    """Every half, the midpoints between halves and their neighbours, and random bits."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(halves[np.isfinite(halves)])
    middles = (finite[1:] + finite[:-1]) / 2
    random = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint32).view(np.float32)
    ends = np.array([65519.996, 65520, 65536, 1e30, np.inf, 2**-25, 2**-26, 1e-45], np.float32)
    around = [np.nextafter(middles, np.float32(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([halves, middles, *around, random, ends, -ends])


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_portable_halves_equal_numpy() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(COMPILED.widen_portable(bits), bits.view(np.float16).astype(np.float32), equal_nan=True)
    floats = hard_floats()
    got = COMPILED.narrow_portable(floats).view(np.float16)
    expected = floats.astype(np.float16)
    assert np.array_equal(got, expected, equal_nan=True)
    number = ~np.isnan(expected)
    assert np.array_equal(np.signbit(got[number]), np.signbit(expected[number]))


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_halves_equal_numpy_on_this_processor() -> None:
    """Through blend: 0 + x * 1 stored as a half, in rows of every length."""
    floats = hard_floats()
    floats = floats[~np.isnan(floats)]
    for length in (1, 7, 8, 9, 4099):
        row = np.resize(floats, (1, 1, len(floats) // length, length))
        ring, weights = np.zeros(row.shape, np.float16), np.zeros(row.shape[1:], np.float16)
        load("native").blend(ring, weights, row, np.ones(row.shape[1:], np.float16), (0, 0, 0))
        assert np.array_equal(ring, row.astype(np.float16))


def test_the_word_where_the_extension_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native_problem() is None
    monkeypatch.setitem(sys.modules, native.COMPILED, None)
    assert "not built" in str(native_problem())
    with pytest.raises(KernelsUnavailableError, match=r"the native kernels are not built .* install a C\+\+17 compiler"):
        load("native")


@pytest.mark.parametrize("wrong", [-1, 61])
def test_components_that_nothing_numbered_are_refused(wrong: int) -> None:
    components = np.zeros((3, 4, 5), np.int32)
    components[1, 2, 3] = wrong
    with pytest.raises(ValueError, match="components: got a number above that of all voxels"):
        load("native").piece_bounds(components)
