"""Other Python threads run while a compiled kernel or a network does: the GIL is released."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_network
from tests.kernels.kernel_cases import normal

from flare_trt.engine.networks.native_.backend import aligned
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.kernels import native

COMPILED: Any = import_module(native.COMPILED)
#: What the compiled module offers beside kernels.
HELPERS = {"set_threads", "widen_portable", "narrow_portable"}
HELPERS |= {"separable_register_bits", "separable_bf16", "separable_tiles", "limit_separable_register_bits"}
IN_TILES = {"separable_block_tiled", "last_convolution_tiled"}
HELPERS |= set() if COMPILED.separable_tiles() else IN_TILES
KERNELS = [name for name in dir(COMPILED) if not name.startswith("_") and name not in HELPERS]
IN_BF16 = ["separable_block in bf16", "last_convolution in bf16"] if COMPILED.separable_bf16() else []


@pytest.fixture(autouse=True)
def no_switching() -> Iterator[None]:
    """Python never takes the GIL from a thread: only one that gives it back lets others run."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval_s)


def releases_the_gil(call: Callable[[], object]) -> bool:
    """Whether this thread got to run while another was inside `call`, in one of up to 300 calls."""
    ticks, entered, done = [0], threading.Event(), threading.Event()
    seen: list[bool] = []

    def work() -> None:
        entered.set()
        for _ in range(300):
            before = ticks[0]
            call()
            if ticks[0] != before:
                seen.append(True)
                break
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    while not done.is_set():
        ticks[0] += 1
        time.sleep(0)
    thread.join()
    return bool(seen)


@pytest.fixture(scope="module")
def calls() -> dict[str, Callable[[], object]]:
    """Every compiled kernel on arrays large enough that another thread can wake meanwhile."""
    shape = (61, 97, 103)
    image, empty, labels = normal(*shape), np.zeros(shape, np.float32), np.ones(shape, np.uint8)
    numbers = np.ones(shape, np.uint32)
    ring, logits = np.full((3, *shape), 0x3C00, np.uint16), normal(3, *shape)  # halves of 1.0
    other, weights, planes = ring.copy(), ring[0].copy(), (0, 61)
    taps = tuple((np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32), np.zeros(n, np.float32)) for n in shape)
    cubic = tuple((3, np.linspace(0, n - 1, n + 9)) for n in shape)
    values = np.arange(3, dtype=np.uint8)
    features, result, taken = normal(20, 97, 103, 16), aligned((20, 97, 103, 16)), aligned((3, 20, 97, 103))
    size, halves, half = (20, 97, 103), np.zeros((20, 97, 104, 16), np.uint16), aligned((20, 97, 104, 16), np.uint16)
    norm, taps_of_16, mixing = (np.ones(16, np.float32), np.zeros(16, np.float32)), normal(27, 16), normal(1, 16, 16)
    in_bf16 = (halves, size, norm, None)
    tiled, wide = np.zeros((20, 97, 128, 16), np.uint16), aligned((20, 97, 128, 16), np.uint16)
    in_tiles = (tiled, size, norm, None)
    return {
        "first_convolution": lambda: COMPILED.first_convolution(image, taps_of_16[:, 0].copy(), empty.copy()),
        "separable_block": lambda: COMPILED.separable_block([(features, size, norm, None)], taps_of_16, mixing, (1, 1, 1), result),
        "separable_block in bf16": lambda: COMPILED.separable_block([in_bf16], halves, halves[:1], (1, 1, 1), half),
        "last_convolution in bf16": lambda: COMPILED.last_convolution(halves, norm, halves[0, 0, :3], norm[1], taken),
        "separable_block_tiled": lambda: COMPILED.separable_block_tiled([in_tiles], tiled, tiled[:16], (1, 1, 1), wide),
        "last_convolution_tiled": lambda: COMPILED.last_convolution_tiled(tiled, norm, tiled[0, 0], norm[1], taken),
        "last_convolution": lambda: COMPILED.last_convolution(features, norm, mixing, norm[1], taken),
        "normalise": lambda: COMPILED.normalise(image, -1.0, 1.0, 0.0, 1.0),
        "value_range": lambda: COMPILED.value_range(image),
        "moments": lambda: COMPILED.moments(image),
        "box_nonzero": lambda: COMPILED.box_nonzero(empty),
        "bounds": lambda: COMPILED.bounds(labels),
        "piece_bounds": lambda: COMPILED.piece_bounds(numbers),
        "blend": lambda: COMPILED.blend(ring, weights, logits, weights, (0, 0, 0)),
        "finish": lambda: COMPILED.finish(ring, weights, planes),
        "average": lambda: COMPILED.average([ring, other], planes),
        "clear": lambda: COMPILED.clear(other, planes),
        "resample": lambda: COMPILED.resample(image, cubic, None),
        "resample_scan": lambda: COMPILED.resample_scan(image, (-1.0, 1.0, 0.0, 1.0), cubic, None),
        "restore_argmax": lambda: COMPILED.restore_argmax(ring, taps, values, labels, True),
        "restore_regions": lambda: COMPILED.restore_regions(ring, taps, values, labels, True),
    }


@pytest.mark.parametrize("name", KERNELS + IN_BF16)
def test_a_kernel_releases_it(calls: dict[str, Callable[[], object]], name: str) -> None:
    assert releases_the_gil(calls[name])


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_network_releases_it(backend: str, tmp_path: Path) -> None:
    session = open_session(backend, write_network(tmp_path / "network.onnx"), SessionOptions(threads=1))
    tile = np.zeros(session.input_shape, np.float32)
    assert releases_the_gil(lambda: session.run(tile))


def test_what_keeps_it_is_seen() -> None:
    assert not releases_the_gil(lambda: sum(range(1000)))
