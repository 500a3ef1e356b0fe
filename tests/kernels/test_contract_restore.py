"""restore_argmax and restore_regions of every device: against scikit-image's resize and the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.kernel_cases import linear_taps, nearest_taps, normal, random_taps, restore

from flare_trt.kernels import Kernels, load
from flare_trt.kernels.contract import Taps

METHODS = ["restore_argmax", "restore_regions"]
SIZES = [((5, 13, 21), (7, 29, 37)), ((6, 20, 11), (4, 13, 30)), ((1, 2, 9), (3, 5, 9)), ((2, 1, 1), (5, 1, 3))]


def smooth(channels: int, shape: Any, scale: float = 8.0) -> Any:
    """Logits with large regions of one winner, as networks make them."""
    from scipy.ndimage import gaussian_filter

    return (gaussian_filter(normal(channels, *shape), (0, 1, 2, 2)) * scale * 6).astype(np.float16)


def values_of(channels: int) -> Any:
    return np.random.default_rng(channels).permutation(np.arange(1, 256, dtype=np.uint8))[:channels]


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("channels", [1, 2, 14, 118])
def test_argmax_equals_scikit_image(kernels: Kernels, channels: int, source: Any, target: Any) -> None:
    """resize(order=1) of each channel, kept in half precision, then argmax; ties to a unit in the last place may differ."""
    from skimage.transform import resize

    ring, values = smooth(channels, source), values_of(channels)
    taps = tuple(linear_taps(n, t) for n, t in zip(source, target, strict=True))
    logits = np.stack([resize(c.astype(np.float64), target, order=1, mode="edge", anti_aliasing=False) for c in ring])
    expected = values[logits.astype(np.float16).argmax(0)]
    got = restore(kernels, "restore_argmax", ring, taps, values)
    largest = np.sort(logits, axis=0)[-2:]
    tie = largest[-1] - largest[0] <= np.spacing(np.abs(largest[-1]).astype(np.float16)).astype(float)
    assert channels == 1 or tie.mean() < 0.01
    assert np.array_equal(got[~tie], expected[~tie])


@pytest.mark.parametrize("kind", [linear_taps, nearest_taps])
@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("channels", [1, 3, 14, 118])
@pytest.mark.parametrize("method", METHODS)
def test_equals_the_reference(kernels: Kernels, method: str, channels: int, source: Any, target: Any, kind: Any) -> None:
    ring, values = smooth(channels, source), values_of(channels)
    taps = tuple(kind(n, t) for n, t in zip(source, target, strict=True))
    expected = restore(load("reference"), method, ring, taps, values)
    assert min(channels, ring[0].size // 100 + 1) == 1 or len(np.unique(expected)) > 1
    assert np.array_equal(restore(kernels, method, ring, taps, values), expected)


@pytest.mark.parametrize("method", METHODS)
def test_without_rounding_to_half(kernels: Kernels, method: str) -> None:
    """Logits that differ by less than half a unit of float16: the first wins where they are rounded, the larger where not."""
    ring = (np.array([0.0, 8.0, 8.0], np.float16)[:, None, None, None] + np.zeros((3, 2, 4, 40), np.float16)).astype(np.float16)
    ring[2, 1] += np.float16(0.0078125)
    taps = tuple(linear_taps(n, t) for n, t in zip(ring.shape[1:], (7, 4, 40), strict=True))
    values, found = np.array([3, 4, 5], np.uint8), []
    for in_half in (True, False):
        got = restore(kernels, method, ring, taps, values, in_half)
        assert np.array_equal(got, restore(load("reference"), method, ring, taps, values, in_half))
        found.append(got)
    assert method == "restore_regions" or (found[0] != found[1]).any()


@pytest.mark.parametrize("method", METHODS)
def test_labels_of_16_bits(kernels: Kernels, method: str) -> None:
    ring, taps = smooth(300, (3, 9, 14)), tuple(linear_taps(n, t) for n, t in zip((3, 9, 14), (5, 13, 31), strict=True))
    values = np.random.default_rng(3).permutation(np.arange(1, 65536, dtype=np.uint16))[:300]
    values[:2] = 65535, 255
    places = restore(load("reference"), method, ring, taps, np.arange(300, dtype=np.uint16))
    expected = values[places] if method == "restore_argmax" else np.where(places > 0, values[places], 0)
    got = restore(kernels, method, ring, taps, values)
    there = slice(None) if method == "restore_argmax" else places > 0
    assert np.array_equal(got[there], expected[there])
    assert got.max() > 255


def test_pieces_of_labels_of_16_bits(kernels: Kernels) -> None:
    """Bounds, choice, components and removal; a label next to its lower byte, and one at either side of 8 bits."""
    labels = np.random.default_rng(5).choice(np.array([0, 7, 255, 256, 263, 65535], np.uint16), (5, 13, 70))
    labels[:2] = 0
    on_device = kernels.upload(labels)
    table = kernels.bounds(on_device, 65536)
    assert np.array_equal(table[:, 6], np.bincount(labels.ravel(), minlength=65536))
    for value in (7, 255, 256, 263, 65535):
        inside = np.argwhere(labels == value)
        assert table[value, :6].tolist() == [*inside.min(0), *(inside.max(0) + 1)]
    with pytest.raises(ValueError, match="got a label 65535, expected at most 299"):
        kernels.bounds(on_device, 300)
    assert np.array_equal(kernels.download(kernels.select_labels(on_device, np.arange(65536) == 263)), labels == 263)
    components = kernels.download(kernels.components(on_device))
    assert np.array_equal(components > 0, labels > 0)
    values = [np.unique(labels[components == number]) for number in range(1, components.max() + 1)]
    assert all(len(value) == 1 for value in values)
    kept = np.array([True, *(value[0] != 256 for value in values)])
    kernels.keep_pieces(on_device, kernels.upload(components), kept)
    assert np.array_equal(kernels.download(on_device), np.where(labels == 256, 0, labels))


@pytest.mark.parametrize("channels", [253, 254, 255, 256, 300])
@pytest.mark.parametrize("method", METHODS)
def test_more_channels_than_labels(kernels: Kernels, method: str, channels: int) -> None:
    ring = smooth(channels, (3, 7, 9))
    ring[-3:] += np.float16(6)
    values = (np.arange(channels) % 251).astype(np.uint8)
    taps = linear_taps(3, 4), linear_taps(7, 11), linear_taps(9, 19)
    expected = restore(load("reference"), method, ring, taps, values)
    assert np.array_equal(restore(kernels, method, ring, taps, values), expected)


def test_the_planes_of_a_ring_in_any_order(kernels: Kernels) -> None:
    ring, values, z = smooth(4, (6, 13, 21)), values_of(4), linear_taps(6, 9)
    taps = linear_taps(13, 29), linear_taps(21, 45)
    turned = type(z)((z.lower + 4) % 6, (z.upper + 4) % 6, z.weight)
    expected = restore(kernels, "restore_argmax", ring, (z, *taps), values)
    assert np.array_equal(restore(kernels, "restore_argmax", np.roll(ring, 4, axis=1), (turned, *taps), values), expected)


def above(half: float) -> float:
    """The next larger half."""
    return float(np.nextafter(np.float16(half), np.float16(np.inf)))


#: Logits of channels 0 and 1 at two corners. Channel 1 wins at both, and yet not everywhere between them.
BLURRED = [
    ([1.99, 7.98], [above(1.99), above(7.98)]),  # the gap is less than a unit in the last place at 4
    ([-7.98, -1.99], [above(-7.98), above(-1.99)]),
    ([510.0, 2043.0], [above(510.0), above(2043.0)]),
    ([-65504.0, 0.0], [-60000.0, 6e-8]),  # float32 loses the small corner beside the large one
]


@pytest.mark.parametrize("corners", BLURRED)
def test_a_winner_at_all_corners_may_lose_between_them(kernels: Kernels, corners: Any) -> None:
    ring = np.array(corners, np.float16).reshape(2, 1, 1, 2)
    along = Taps(np.zeros(4097, np.int32), np.ones(4097, np.int32), np.linspace(0, 1, 4097, dtype=np.float32))
    taps, values = (linear_taps(1, 1), linear_taps(1, 1), along), np.array([5, 9], np.uint8)
    expected = restore(load("reference"), "restore_argmax", ring, taps, values)
    assert expected[0, 0, 0] == 9
    assert 0 < (expected == 5).mean() < 0.5
    assert np.array_equal(restore(kernels, "restore_argmax", ring, taps, values), expected)


def test_a_region_at_all_corners_may_be_lost_between_them(kernels: Kernels) -> None:
    ring = np.array([65504.0, 6e-8], np.float16).reshape(1, 1, 1, 2)
    along = Taps(np.zeros(3, np.int32), np.ones(3, np.int32), np.array([0, 0.5, 1], np.float32))
    taps = linear_taps(1, 1), linear_taps(1, 1), along
    got = restore(kernels, "restore_regions", ring, taps, np.array([7], np.uint8))
    assert got.ravel().tolist() == [7, 7, 0]


#: Halves that lie as close as can be, of very different size, or out of range.
NEAR = [1.0, 1.001, 0.999, 1.002, -1.0, -1.001, 0.0, -0.0, 6e-8, -6e-8, 0.1249, 0.1251, -0.1249, -0.1251]
FAR = [65504.0, -65504.0, 2048.0, 2050.0, 8.0, 8.01, 7.99, float("inf"), float("-inf"), float("nan")]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    channels=st.integers(1, 5),
    pool=st.lists(st.sampled_from(NEAR + FAR), min_size=1, max_size=6),
    lift=st.sampled_from([0.0, 0.13, 0.25, 4.0]),
)
@pytest.mark.parametrize("method", METHODS)
def test_native_equals_the_reference_on_hostile_logits(
    method: str, seed: int, channels: int, pool: list[float], lift: float
) -> None:
    """Near ties, huge and infinite logits, and taps in no order: the same label at every voxel."""
    rng = np.random.default_rng(seed)
    ring = rng.choice(np.array(pool, np.float16), (channels, 3, 4, 9))
    ring[:, :, :2] = ring[:, :1, :1, :1]  # a region of equal corners
    ring[rng.integers(channels)] += np.float16(lift)
    taps = random_taps(3, 4, seed), random_taps(4, 7, seed + 1), random_taps(9, 21, seed + 2)
    values = values_of(channels)
    with np.errstate(all="ignore"):
        expected = restore(load("reference"), method, ring, taps, values)
    assert np.array_equal(restore(load("native"), method, ring, taps, values), expected)
