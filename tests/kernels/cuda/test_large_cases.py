"""What the contract leaves to this device: more than one block and chunk of planes, slabs, hostile logits, host arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels.kernel_cases import linear_taps, normal, random_taps, restore

from flare_trt.kernels import Box, Kernels, Span, load

REFERENCE = load("reference")


@pytest.fixture
def kernels(fake_gpu: Kernels) -> Kernels:
    """The CUDA kernels on the fake CuPy, in either order of threads."""
    return fake_gpu


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_slab_equals_the_whole(kernels: Kernels, order: int) -> None:
    image, cut = normal(97, 21, 17), Span(97, 64, 23, 37)
    in_plane = Span.whole(21, 31), Span.whole(17, 17)
    first, last = cut.source_needed(order)
    slab = Span(97, 64, 23, 37, first), *in_plane
    orders = (order, 3, 3)
    expected = REFERENCE.resample_spline(image, (Span.whole(97, 64), *in_plane), orders, (-9.0, 9.0))[23:37]
    got = kernels.download(kernels.resample_spline(kernels.upload(image[first:last]), slab, orders, (-9.0, 9.0)))
    assert 0 < first < last < 97
    assert np.abs(got - expected).max() < 2e-6


@pytest.mark.parametrize("method", ["restore_argmax", "restore_regions"])
def test_hostile_logits(kernels: Kernels, method: str) -> None:
    """Ties, near ties, infinities and NaN, read by taps in no order: the same label as the reference at every voxel."""
    pool = np.array([1.0, 1.001, -1.0, 0.0, -0.0, 6e-8, 65504.0, -65504.0, np.inf, -np.inf, np.nan], np.float16)
    values = np.array([0, 7, 9, 3, 200], np.uint8)
    for seed in range(4):
        ring = np.random.default_rng(seed).choice(pool, (5, 6, 13, 21))
        ring[3] = ring[1]  # the first largest has to win
        ring[:, 0] = -np.inf
        taps: Any = random_taps(6, 9, seed), random_taps(13, 29, seed + 1), linear_taps(21, 45)
        with np.errstate(all="ignore"):
            expected = restore(REFERENCE, method, ring, taps, values)
        assert len(np.unique(expected)) > 3
        assert np.array_equal(restore(kernels, method, ring, taps, values), expected)


def test_bounds_over_chunks_of_planes(kernels: Kernels) -> None:
    labels = np.zeros((131, 9, 35), np.uint8)
    labels[3:70, 2:5, 30:] = 4
    labels[66:, 7:, :2] = 1
    labels[64, 4, 17] = 2
    labels[:, 0, 0] = np.arange(131) % 3 * 2
    for count in (5, 9, 256, 300):
        assert np.array_equal(kernels.bounds(kernels.upload(labels), count), REFERENCE.bounds(labels, count))


def test_value_range_of_many_blocks(kernels: Kernels) -> None:
    image = normal(3, 517, 29)
    image[1, 300, 7], image[2, 500, 28] = -11.5, 12.25
    for typed in (image, (image * 1000).astype(np.int16)):
        assert kernels.value_range(kernels.upload(typed)) == REFERENCE.value_range(typed)


def test_boxes_over_chunks_of_planes(kernels: Kernels) -> None:
    image = np.zeros((130, 11, 37), np.int16)
    image[66:129, 3:9, 5:36] = -499
    image[67, 9, 4] = 12
    for typed in (image, image.astype(np.float32)):
        assert kernels.box_nonzero(kernels.upload(typed)) == Box((66, 3, 4), (129, 10, 36))


def test_host_arrays_are_refused(kernels: Kernels) -> None:
    with pytest.raises(TypeError, match="host array"):
        kernels.value_range(normal(3, 4, 5))
