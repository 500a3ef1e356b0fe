"""The ring of logits against an array that holds every plane."""

from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.logits_ring import Ring
from flare_trt.kernels import load

KERNELS = load("reference")
PATCH, CAPACITY, PLANES = (4, 5, 6), 7, 17


def ring_of(folds: int = 1) -> Ring:
    return Ring(KERNELS, [FakeSession((1, 1, *PATCH), 3) for _ in range(folds)], (CAPACITY, 5, 6))


def tiles(seed: int = 0) -> list[tuple[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(z, rng.normal(size=(3, *PATCH)).astype(np.float32)) for z in range(0, PLANES - PATCH[0] + 1, 3)]


GAUSSIAN = np.random.default_rng(9).uniform(0.1, 1, PATCH).astype(np.float16)


def blended(folds: int = 1) -> np.ndarray:
    """The mean logits of all planes, with nothing in turn."""
    sums = np.zeros((3, PLANES, 5, 6), np.float16), np.zeros((PLANES, 5, 6), np.float16)
    means = []
    for fold in range(folds):
        logits, weights = (array.copy() for array in sums)
        for z, tile in tiles(fold):
            KERNELS.blend(logits, weights, tile, GAUSSIAN, (z, 0, 0))
        KERNELS.finish(logits, weights, (0, PLANES - 1))
        means.append(logits)
    KERNELS.average(means, (0, PLANES - 1))
    return means[0]


@pytest.mark.parametrize("folds", [1, 3])
def test_planes_are_used_again_and_none_is_lost(folds: int) -> None:
    ring, expected = ring_of(folds), blended(folds)
    starts = [z for z, _ in tiles()]
    for number, start in enumerate(starts):
        for fold in range(folds):
            ring.add(fold, tiles(fold)[number][1], GAUSSIAN, (start, 0, 0))
        final = starts[number + 1] if number + 1 < len(starts) else PLANES - 1
        ring.finish(final)
        for z in range(start, final):
            np.testing.assert_array_equal(ring.logits[:, z % CAPACITY], expected[:, z])
        ring.clear(final)
    assert (ring.finished, ring.cleared) == (PLANES - 1, PLANES - 1)


def test_lent_planes_come_back_with_their_sums() -> None:
    (first, one), (second, two), *_ = tiles()
    ring, other = ring_of(), ring_of()
    for each in (ring, other):
        each.add(0, one, GAUSSIAN, (first, 0, 0))
        each.finish(second)
    with ring.lent(second, 4):
        ring.finish(4)
        assert not np.array_equal(ring.logits[:, 3], other.logits[:, 3])
    for each in (ring, other):
        each.add(0, two, GAUSSIAN, (second, 0, 0))
        each.finish(7)
    np.testing.assert_array_equal(ring.logits, other.logits)


def test_what_is_finished_is_not_divided_again() -> None:
    ring = ring_of()
    ring.add(0, tiles()[0][1], GAUSSIAN, (0, 0, 0))
    ring.finish(2)
    before = ring.logits.copy()
    ring.finish(1)
    ring.clear(0)
    np.testing.assert_array_equal(ring.logits, before)


def test_a_freed_ring_holds_nothing() -> None:
    ring = ring_of()
    assert not ring.is_free
    ring.free()
    assert ring.is_free
