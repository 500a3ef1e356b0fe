"""The contract of contract.Kernels, held by every device: the ring of logits, labels, boxes and values.

Oracles are independent where there is one: torch's half arithmetic (what nnU-Net runs on), SciPy, nnU-Net itself. The rest is
compared with the reference. resample_spline has test_contract_resample.py, restore_* test_contract_restore.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.kernels.kernel_cases import normal

from flare_trt.kernels import Box, Intensity, Kernels, load


def labels_of(shape: Any, count: int, seed: int = 0) -> Any:
    """Blocks of labels with single voxels strewn over them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for label in range(count):
        start = [rng.integers(0, n) for n in shape]
        labels[tuple(slice(s, s + rng.integers(1, 12)) for s in start)] = label
    strewn = rng.random(shape) < 0.02
    labels[strewn] = rng.integers(0, count, int(strewn.sum()))
    return labels


def test_arrays_go_to_the_device_and_back(kernels: Kernels) -> None:
    host = normal(4, 5, 6)
    assert np.array_equal(kernels.download(kernels.upload(host[:, ::2].transpose(2, 0, 1))), host[:, ::2].transpose(2, 0, 1))
    assert kernels.download(kernels.upload(host[:, ::2])).flags["C_CONTIGUOUS"]
    assert not kernels.download(kernels.zeros((2, 3), np.float16)).any()
    assert kernels.empty((2, 3, 4), np.int16).shape == (2, 3, 4)
    assert str(kernels.empty((2, 3, 4), np.int16).dtype) == "int16"


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_without_a_clip_normalise_only_shifts_and_divides(kernels: Kernels, dtype: Any) -> None:
    image = (normal(5, 7, 33) * 900).astype(dtype)
    got = kernels.download(kernels.normalise(kernels.upload(image), Intensity(-np.inf, np.inf, 3.25, 1.7)))
    assert np.array_equal(got, (image.astype(np.float32) - np.float32(3.25)) / np.float32(1.7))


@pytest.mark.peer
@pytest.mark.parametrize("std_hu", [141.3, 0.0])
def test_normalise_equals_nnunet(kernels: Kernels, std_hu: float) -> None:
    from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization

    image = np.random.default_rng(0).integers(-1024, 3000, (7, 33, 41)).astype(np.int16)
    properties = {"percentile_00_5": -973.0, "percentile_99_5": 295.5, "mean": 80.37, "std": std_hu}
    for typed in (image, image + np.float32(0.25)):
        got = kernels.download(kernels.normalise(kernels.upload(typed), Intensity(-973.0, 295.5, 80.37, std_hu)))
        assert got.dtype == np.float32
        assert np.array_equal(got, CTNormalization(False, properties).run(typed.astype(np.float32)))


def tile_case(channels: int, ring_planes: int) -> dict[str, Any]:
    """Tiles of (6, 11, 9) over a grid of 19 planes of (20, 23), in z order, and their Gaussian."""
    rng = np.random.default_rng(channels)
    corners = [(z, y, x) for z in (0, 4, 7, 13) for y in (0, 5, 9) for x in (0, 3, 14)]
    return {
        "logits": [(rng.standard_normal((channels, 6, 11, 9)) * 12).astype(np.float32) for _ in corners],
        "gaussian": rng.uniform(0.01, 10, (6, 11, 9)).astype(np.float16),
        "corners": corners,
        "ring_shape": (channels, ring_planes, 20, 23),
    }


def blended_by_torch(case: dict[str, Any]) -> Any:
    """predict_from_raw_data.py: predictions and weights in torch.half, then divided."""
    import torch

    channels, _, height, width = case["ring_shape"]
    total, weights = (
        torch.zeros((channels, 19, height, width), dtype=torch.half),
        torch.zeros((19, height, width), dtype=torch.half),
    )
    gaussian = torch.from_numpy(case["gaussian"])
    for logits, (z, y, x) in zip(case["logits"], case["corners"], strict=True):
        prediction = torch.from_numpy(logits.copy())
        prediction *= gaussian
        total[:, z : z + 6, y : y + 11, x : x + 9] += prediction
        weights[z : z + 6, y : y + 11, x : x + 9] += gaussian
    total /= weights
    return total.numpy()


@pytest.mark.parametrize("ring_planes", [19, 8, 6])
@pytest.mark.parametrize("channels", [1, 14])
def test_blend_and_finish_equal_torch_half(kernels: Kernels, channels: int, ring_planes: int) -> None:
    """A ring as small as a tile is high wraps round, and holds the same logits bit for bit."""
    case = tile_case(channels, ring_planes)
    ring, weights = kernels.zeros(case["ring_shape"], np.float16), kernels.zeros(case["ring_shape"][1:], np.float16)
    gaussian, result = kernels.upload(case["gaussian"]), np.empty((channels, 19, 20, 23), np.float16)
    for index, (logits, corner) in enumerate(zip(case["logits"], case["corners"], strict=True)):
        kernels.blend(ring, weights, kernels.upload(logits), gaussian, corner)
        final = [*(z for z, _, _ in case["corners"]), 19][index + 1]
        if final > corner[0]:
            with np.errstate(invalid="ignore"):
                kernels.finish(ring, weights, (corner[0], final))
            for z in range(corner[0], final):
                result[:, z] = kernels.download(ring)[:, z % ring_planes]
            kernels.clear(ring, weights, (corner[0], final))
    expected = blended_by_torch(case)
    assert np.isnan(expected).any()  # the strips that no tile covers
    assert np.array_equal(result, expected, equal_nan=True)


def test_infinite_logits_stay_infinite(kernels: Kernels) -> None:
    ring, weights = kernels.zeros((1, 2, 3, 5), np.float16), kernels.zeros((2, 3, 5), np.float16)
    logits = np.full((1, 1, 1, 4), [np.inf, -1e9, 65519.0, 65520.0], np.float32)
    kernels.blend(ring, weights, kernels.upload(logits), kernels.upload(np.ones((1, 1, 4), np.float16)), (3, 1, 1))
    assert kernels.download(ring)[0, 1, 1].tolist() == [0.0, np.inf, -np.inf, 65504.0, np.inf]
    assert not kernels.download(ring)[0, 0].any()


@pytest.mark.parametrize("folds", [1, 2, 3, 5])
def test_average_equals_torch_half(kernels: Kernels, folds: int) -> None:
    import torch

    hosts = [(normal(3, 7, 11, 13, seed=fold) * 30).astype(np.float16) for fold in range(folds)]
    rings = [kernels.upload(host.copy()) for host in hosts]
    kernels.average(rings, (5, 9))
    total = torch.from_numpy(hosts[0].copy())
    for host in hosts[1:]:
        total += torch.from_numpy(host)
    total /= folds
    averaged = [z % 7 for z in range(5, 9)]
    expected = hosts[0].copy()
    expected[:, averaged] = total.numpy()[:, averaged]
    for ring, host in zip(rings, [expected, *hosts[1:]], strict=True):
        assert np.array_equal(kernels.download(ring), host)


def test_clear_zeroes_these_planes_alone(kernels: Kernels) -> None:
    ring, weights = (kernels.upload(np.ones(shape, np.float16)) for shape in ((3, 5, 7, 9), (5, 7, 9)))
    kernels.clear(ring, weights, (9, 12))
    expected = np.array([0, 0, 1, 1, 0])
    assert np.array_equal(kernels.download(ring), np.broadcast_to(expected[:, None, None], (3, 5, 7, 9)))
    assert np.array_equal(kernels.download(weights), np.broadcast_to(expected[:, None, None], (5, 7, 9)))


@pytest.mark.parametrize("shape", [(13, 29, 37), (1, 1, 70), (40, 1, 1), (3, 17, 2)])
@pytest.mark.parametrize("count", [1, 2, 15, 119, 256])
def test_bounds_equal_scipy(kernels: Kernels, shape: Any, count: int) -> None:
    from scipy import ndimage

    labels = labels_of(shape, count)
    table = kernels.bounds(kernels.upload(labels), count)
    assert (table.shape, table.dtype) == ((count, 7), np.int64)
    places = ndimage.find_objects(labels.astype(np.int32) + 1, count)
    for row, place, voxels in zip(table, places, np.bincount(labels.ravel(), minlength=count), strict=True):
        corners = [0] * 6 if place is None else [*(p.start for p in place), *(p.stop for p in place)]
        assert row.tolist() == [*corners, voxels]


def test_bounds_refuses_labels_beyond_the_count(kernels: Kernels) -> None:
    labels = kernels.upload(labels_of((5, 9, 11), 9))
    with pytest.raises(ValueError, match="got a label 8, expected at most 7"):
        kernels.bounds(labels, 8)
    assert not kernels.bounds(kernels.upload(np.zeros((0, 3, 4), np.uint8)), 3).any()


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("shape", [(3, 5, 1), (7, 33, 41), (65_537,), (1,)])
def test_value_range(kernels: Kernels, dtype: Any, shape: Any) -> None:
    image = (normal(*shape) * 900 - 50).astype(dtype)
    for flat in (image, -np.abs(image)):
        assert kernels.value_range(kernels.upload(flat)) == (float(flat.min()), float(flat.max()))
    with pytest.raises(ValueError, match="no voxels"):
        kernels.value_range(kernels.upload(image[:0]))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("shape", [(3, 5, 1), (7, 133, 141), (1,)])
def test_moments_are_float64_sums(kernels: Kernels, dtype: Any, shape: Any) -> None:
    """Far from 0 the variance is a small difference of large sums: float32 would lose it."""
    image = (normal(*shape) * 9 + 20000).astype(dtype)
    total, squares = kernels.moments(kernels.upload(image))
    exact = [int(value) if dtype == np.int16 else float(value) for value in image.ravel()]
    assert total == pytest.approx(math.fsum(exact), rel=1e-13)
    assert squares == pytest.approx(math.fsum(value * value for value in exact), rel=1e-13)
    with pytest.raises(ValueError, match="no voxels"):
        kernels.moments(kernels.upload(image[:0]))


def test_zero_outside(kernels: Kernels) -> None:
    image, inside = normal(5, 7, 131), (normal(5, 7, 131, seed=1) > 0).astype(np.uint8)
    image[0, 0, 0], inside[0, 0, :2] = np.inf, 0
    cut = kernels.upload(image.copy())
    kernels.zero_outside(cut, kernels.upload(inside))
    assert np.array_equal(kernels.download(cut), np.where(inside, image, 0))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_box_nonzero(kernels: Kernels, dtype: Any) -> None:
    image = np.zeros((9, 11, 37), dtype)
    assert kernels.box_nonzero(kernels.upload(image)) is None
    image[4, 2, 36] = -1
    assert kernels.box_nonzero(kernels.upload(image)) == Box((4, 2, 36), (5, 3, 37))
    image[8, 0, 5] = 1
    assert kernels.box_nonzero(kernels.upload(image)) == Box((4, 0, 5), (9, 3, 37))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_components_equal_scipy(kernels: Kernels, count: int) -> None:
    """The same parts under other numbers: a pairing of both that is one to one."""
    labels = labels_of((11, 23, 37), count)
    expected = load("reference").components(labels)
    got = kernels.download(kernels.components(kernels.upload(labels)))
    assert (got.dtype, got.shape) == (np.int32, labels.shape)
    pairs = np.unique(np.stack([got.ravel(), expected.ravel()]), axis=1).T
    assert len(pairs) == len(np.unique(got)) == len(np.unique(expected)) == got.max() + 1
    assert pairs[0].tolist() == [0, 0]


def test_components_touch_by_corners_but_not_across_labels(kernels: Kernels) -> None:
    labels = np.zeros((3, 3, 5), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 4] = 1
    labels[2, 2, 2] = 2
    got = kernels.download(kernels.components(kernels.upload(labels)))
    assert got[0, 0, 0] == got[1, 1, 1]
    assert len({got[0, 0, 0], got[2, 2, 4], got[2, 2, 2], 0}) == 4


@pytest.mark.parametrize("count", [2, 7])
def test_piece_bounds_equal_scipy(kernels: Kernels, count: int) -> None:
    from scipy import ndimage

    components = kernels.components(kernels.upload(labels_of((13, 22, 35), count)))
    host = kernels.download(components)
    table = kernels.piece_bounds(components)
    assert table.dtype == np.int64
    assert table[:, 6].tolist() == [0, *np.bincount(host.ravel())[1:]]
    for number, box in enumerate(ndimage.find_objects(host), start=1):
        assert table[number, :6].tolist() == [*(part.start for part in box), *(part.stop for part in box)]
    assert not table[0].any()


def test_pieces_that_are_not_kept_become_background(kernels: Kernels) -> None:
    labels = labels_of((13, 22, 35), 5)
    components = kernels.components(kernels.upload(labels))
    host = kernels.download(components)
    kept = np.arange(host.max() + 1) % 3 == 1  # row 0 is background, which stays what it is
    changed = kernels.upload(labels.copy())
    kernels.keep_pieces(changed, components, kept)
    expected = np.where(kept[host] | (host == 0), labels, 0)
    assert np.array_equal(kernels.download(changed), expected)
    assert np.count_nonzero(expected) < np.count_nonzero(labels)
    unnamed = kernels.upload(labels.copy())
    kernels.keep_pieces(unnamed, components, np.zeros(1, bool))
    assert np.array_equal(kernels.download(unnamed), labels)


def test_noise_of_many_pieces_has_bounds(kernels: Kernels) -> None:
    labels = np.zeros((41, 42, 46), np.uint8)
    labels[::2, ::2, ::2] = 3
    components = kernels.components(kernels.upload(labels))
    table = kernels.piece_bounds(components)
    assert len(table) == 1 + np.count_nonzero(labels) > 4096
    assert np.all(table[1:, 6] == 1)
    assert np.array_equal(table[1:, 3:6], table[1:, :3] + 1)


def test_chosen_labels_are_selected(kernels: Kernels) -> None:
    labels, chosen = labels_of((11, 13, 37), 7), np.isin(np.arange(256), [2, 5, 255])
    labels[0, 0, 0] = 255
    got = kernels.download(kernels.select_labels(kernels.upload(labels), chosen))
    assert got.dtype == np.uint8
    assert np.array_equal(got, np.isin(labels, [2, 5, 255]))


def test_no_piece_has_no_bounds(kernels: Kernels) -> None:
    assert kernels.piece_bounds(kernels.zeros((3, 5, 7), np.int32)).tolist() == [[0] * 7]
