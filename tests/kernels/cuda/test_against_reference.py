"""Every CUDA kernel against reference.py, at odd and different sizes, with threads in forward and in reversed order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flare_trt.kernels import Box, Intensity, Kernels, Span, load
from flare_trt.kernels.contract import Taps

REFERENCE = load("reference")
RNG = np.random.default_rng(20240601)


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_normalise_is_bit_exact(cuda: Kernels) -> None:
    intensity = Intensity(-973.0, 295.0, 80.5, 141.3)
    hu = RNG.integers(-1024, 3000, (5, 33, 41), np.int16)
    for image in (hu, hu.astype(np.float32) + np.float32(0.25)):
        got = cuda.download(cuda.normalise(cuda.upload(image), intensity))
        assert got.dtype == np.float32
        assert np.array_equal(got, REFERENCE.normalise(image, intensity))


@pytest.mark.parametrize("order", [(3, 3, 3), (1, 1, 1), (0, 0, 0), (0, 3, 3), (1, 3, 3), (0, 1, 1)])
@pytest.mark.parametrize("target", [(11, 51, 29), (7, 33, 41), (7, 20, 41), (19, 33, 70)])
def test_resample_whole_volumes(cuda: Kernels, order: tuple[int, int, int], target: tuple[int, int, int]) -> None:
    image = normal(7, 33, 41)
    spans = tuple(Span.whole(n, t) for n, t in zip(image.shape, target, strict=True))
    clamp = (float(image.min()) * 0.7, float(image.max()) * 0.8)
    expected = REFERENCE.resample_spline(image, spans, order, clamp)
    got = cuda.download(cuda.resample_spline(cuda.upload(image), spans, order, clamp))
    assert got.shape == target
    assert np.abs(got - expected).max() < 2e-6


def test_resample_of_a_slab_equals_the_whole(cuda: Kernels) -> None:
    image = normal(97, 21, 17)
    whole = [Span.whole(n, t) for n, t in zip(image.shape, (64, 31, 17), strict=True)]
    cut = Span(97, 64, 23, 37)
    first, last = cut.source_needed(3)
    spans = (Span(97, 64, 23, 37, first), whole[1], whole[2])
    expected = REFERENCE.resample_spline(image, tuple(whole), (3, 3, 3), (-9.0, 9.0))[23:37]
    got = cuda.download(cuda.resample_spline(cuda.upload(image[first:last]), spans, (3, 3, 3), (-9.0, 9.0)))
    assert 0 < first < last < 97
    assert np.abs(got - expected).max() < 2e-6


def tile_case(seed: int) -> dict[str, Any]:
    """A ring half filled by a first tile, and a second tile that wraps round its end."""
    rng = np.random.default_rng(seed)
    return {
        "ring": rng.standard_normal((3, 7, 19, 37)).astype(np.float16),
        "weights": rng.uniform(0.1, 9, (7, 19, 37)).astype(np.float16),
        "logits": (rng.standard_normal((3, 5, 11, 33)) * 8).astype(np.float32),
        "gaussian": rng.uniform(0.001, 10, (5, 11, 33)).astype(np.float16),
    }


def test_blend_is_bit_exact(cuda: Kernels) -> None:
    case = tile_case(3)
    device = {name: cuda.upload(array) for name, array in case.items()}
    for corner in [(4, 7, 2), (11, 8, 4), (0, 0, 0)]:
        REFERENCE.blend(**case, corner_zyx=corner)
        cuda.blend(**device, corner_zyx=corner)
    assert np.array_equal(cuda.download(device["ring"]), case["ring"])
    assert np.array_equal(cuda.download(device["weights"]), case["weights"])


@pytest.mark.parametrize("planes", [(5, 9), (13, 20), (6, 6)])
def test_finish_and_clear_are_bit_exact(cuda: Kernels, planes: tuple[int, int]) -> None:
    case = tile_case(5)
    ring, weights = cuda.upload(case["ring"]), cuda.upload(case["weights"])
    REFERENCE.finish(case["ring"], case["weights"], planes)
    cuda.finish(ring, weights, planes)
    assert np.array_equal(cuda.download(ring), case["ring"])
    REFERENCE.clear(case["ring"], case["weights"], planes)
    cuda.clear(ring, weights, planes)
    assert np.array_equal(cuda.download(ring), case["ring"])
    assert np.array_equal(cuda.download(weights), case["weights"])


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_average_is_bit_exact(cuda: Kernels, folds: int) -> None:
    rings = [tile_case(seed)["ring"] for seed in range(folds)]
    device = [cuda.upload(ring) for ring in rings]
    REFERENCE.average(rings, (5, 10))
    cuda.average(device, (5, 10))
    for got, expected in zip(device, rings, strict=True):
        assert np.array_equal(cuda.download(got), expected)


def linear_taps(size: int, target: int) -> Taps:
    position = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    lower = np.floor(position).astype(np.int32)
    return Taps(lower, np.minimum(lower + 1, size - 1).astype(np.int32), (position - lower).astype(np.float32))


def restore_case() -> tuple[Any, tuple[Taps, Taps, Taps], Any]:
    ring = RNG.standard_normal((5, 6, 13, 21)).astype(np.float16)
    ring[3] = ring[1]  # ties: the first largest has to win
    ring[:, 0] = np.float16(-np.inf)
    z = linear_taps(6, 9)
    turned = Taps((z.lower + 4) % 6, (z.upper + 4) % 6, z.weight)  # a ring's planes in another order
    return ring, (turned, linear_taps(13, 29), linear_taps(21, 45)), np.array([0, 7, 9, 3, 200], np.uint8)


@pytest.mark.parametrize("method", ["restore_argmax", "restore_regions"])
def test_restore_is_exact(cuda: Kernels, method: str) -> None:
    ring, taps, values = restore_case()
    expected = np.full((9, 29, 45), 77, np.uint8)
    with np.errstate(invalid="ignore"):  # minus infinity minus itself, on both sides
        getattr(REFERENCE, method)(ring, taps, values, expected)
    labels = cuda.upload(np.full((9, 29, 45), 77, np.uint8))
    getattr(cuda, method)(cuda.upload(ring), taps, values, labels)
    assert len(np.unique(expected)) > 3
    assert np.array_equal(cuda.download(labels), expected)


def test_bounds_of_labels(cuda: Kernels) -> None:
    labels = np.zeros((131, 9, 35), np.uint8)
    labels[3:70, 2:5, 30:] = 4
    labels[66:, 7:, :2] = 1
    labels[64, 4, 17] = 2
    labels[:, 0, 0] = np.arange(131) % 3 * 2
    for count in (5, 9, 256):
        assert np.array_equal(cuda.bounds(cuda.upload(labels), count), REFERENCE.bounds(labels, count))
    with pytest.raises(ValueError, match="got a label 4, expected at most 3"):
        cuda.bounds(cuda.upload(labels), 4)


def test_value_range(cuda: Kernels) -> None:
    floats = normal(3, 517, 29)
    for image in (floats, -np.abs(floats), (floats * 1000).astype(np.int16), np.full((1, 1, 1), -3.5, np.float32)):
        assert cuda.value_range(cuda.upload(image)) == REFERENCE.value_range(image)


def test_boxes(cuda: Kernels) -> None:
    image = np.full((130, 11, 37), -1000, np.int16)
    image[66:129, 3:9, 5:36] = -499
    image[67, 9, 4] = 12
    for typed in (image, image.astype(np.float32)):
        for threshold in (-500.0, -499.5, -499.0, 11.99999999, 12.0, -2000.0):
            assert cuda.box_above(cuda.upload(typed), threshold) == REFERENCE.box_above(typed, threshold)
        shifted = typed + typed.dtype.type(1000)
        assert cuda.box_nonzero(cuda.upload(shifted)) == Box((66, 3, 4), (129, 10, 36))
    assert cuda.box_nonzero(cuda.upload(np.zeros((3, 4, 5), np.float32))) is None


def test_components(cuda: Kernels) -> None:
    labels = (np.random.default_rng(8).uniform(size=(11, 23, 37)) ** 3 * 4).astype(np.uint8)
    got, expected = cuda.download(cuda.components(cuda.upload(labels))), REFERENCE.components(labels)
    assert got.dtype == np.int32
    pairs = np.unique(np.stack([got.ravel(), expected.ravel()]), axis=1).T
    assert len(pairs) == len(np.unique(got)) == len(np.unique(expected)) > 10
    assert pairs[0].tolist() == [0, 0]


def test_arguments_are_checked_before_anything_is_written(cuda: Kernels) -> None:
    case = tile_case(1)
    device = {name: cuda.upload(array) for name, array in case.items()}
    with pytest.raises(TypeError, match="float32"):
        cuda.blend(**{**device, "logits": cuda.upload(case["logits"].astype(np.float16))}, corner_zyx=(0, 0, 0))
    with pytest.raises(ValueError, match="leaves"):
        cuda.blend(**device, corner_zyx=(0, 9, 2))
    with pytest.raises(ValueError, match="strided"):
        cuda.value_range(cuda.upload(normal(3, 4, 5))[:, ::2])
    assert np.array_equal(cuda.download(device["ring"]), case["ring"])


def test_host_arrays_are_refused(cuda: Kernels) -> None:
    with pytest.raises(TypeError, match="host array"):
        cuda.value_range(normal(3, 4, 5))
