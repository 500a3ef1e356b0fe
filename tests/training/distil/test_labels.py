"""Soft labels and their mending."""

from __future__ import annotations

import numpy as np

from flare_trt.training.distil.clean import LIMIT_ML, clean_shares
from flare_trt.training.distil.soft_labels import halved, soft_labels


def one_hot(labels: np.ndarray, channels: int = 14) -> np.ndarray:
    return np.moveaxis(np.eye(channels, dtype=np.float32)[labels], -1, 0).copy()


def test_the_largest_shares_survive() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(6, 0.3), size=(4, 5, 7)).astype(np.float32)
    shares = np.ascontiguousarray(np.moveaxis(shares, -1, 0))
    dense = soft_labels(shares).dense(6).numpy()
    np.testing.assert_allclose(dense.sum(0), 1, atol=1e-5)
    assert np.array_equal(dense.argmax(0), shares.argmax(0))
    kept = dense > 0
    assert (kept.sum(0) <= 3).all()
    dropped = np.where(kept, 0, shares).sum(0)
    assert (np.abs(np.where(kept, dense - shares, 0)).max(0) <= dropped + 3 / 255 + 1e-6).all()


def test_a_cut_is_the_part() -> None:
    labels = soft_labels(one_hot(np.random.default_rng(0).integers(0, 14, (6, 5, 4))))
    place = (slice(1, 4), slice(0, 2), slice(2, 4))
    assert np.array_equal(labels.cut(place).dense(14).numpy(), labels.dense(14).numpy()[(slice(None), *place)])


def test_halving_is_a_mean_and_keeps_an_odd_end() -> None:
    shares = np.random.default_rng(0).random((2, 5, 4, 6)).astype(np.float32)
    got = halved(shares)
    assert got.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(got[:, 0, 1, 2], shares[:, 0:2, 2:4, 4:6].mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(got[:, 2, 0, 0], shares[:, 4:5, 0:2, 0:2].mean((1, 2, 3)), rtol=1e-6)


def test_strays_and_giants_become_background_and_real_pieces_stay() -> None:
    labels = np.zeros((20, 20, 30), np.int64)
    labels[2:12, 2:12, 2:12] = 1  # the liver: 1000 ml at 1 ml a voxel
    labels[15:17, 15:17, 2:4] = 1  # a stray of 8 ml
    labels[2:10, 2:10, 20:26] = 2  # a kidney of 384 ml
    labels[12:19, 2:10, 20:26] = 2  # a second piece of 336 ml: kept
    labels[0:20, 14:20, 8:18] = 13  # 1200 ml of left kidney: a mass
    shares = one_hot(labels)
    clean_shares(shares, 1.0)
    expected = labels.copy()
    expected[15:17, 15:17, 2:4] = 0
    expected[labels == 13] = 0
    assert np.array_equal(shares.argmax(0), expected)
    np.testing.assert_allclose(shares.sum(0), 1)
    assert len(LIMIT_ML) == 13
