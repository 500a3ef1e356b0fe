from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.training.pseudo.doubt import DoubtLimits, disagreement, doubtful, entropy, margin
from flare_trt.training.pseudo.gates import GateLimits, agreement, judge

SHARES = np.array([[0.98, 0.5, 0.4, 1 / 3], [0.01, 0.45, 0.3, 1 / 3], [0.01, 0.05, 0.3, 1 / 3]], np.float32).reshape(3, 1, 1, 4)


def test_margin_and_entropy() -> None:
    np.testing.assert_allclose(margin(SHARES)[0, 0], [0.97, 0.05, 0.1, 0], atol=1e-6)
    got = entropy(SHARES)[0, 0]
    assert got[3] == pytest.approx(1, abs=1e-6)
    assert got[0] < 0.15
    assert entropy(np.array([1, 0], np.float32).reshape(2, 1, 1, 1)).item() == pytest.approx(0, abs=1e-6)


def test_a_voxel_is_doubtful_by_either() -> None:
    assert doubtful(SHARES, DoubtLimits(0.06, 0.995))[0, 0].tolist() == [False, True, False, True]
    assert doubtful(SHARES, DoubtLimits(0.0, 0.9))[0, 0].tolist() == [False, False, True, True]


def test_maps_disagree_where_any_differs() -> None:
    maps = [np.array([[[1, 2, 3, 0]]], np.uint8), np.array([[[1, 2, 0, 0]]], np.uint8), np.array([[[1, 1, 3, 0]]], np.uint8)]
    assert disagreement(maps)[0, 0].tolist() == [False, True, True, False]
    assert not disagreement(maps[:1]).any()


def body() -> np.ndarray:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:12, 2:12, 2:12] = 1
    labels[2:8, 14:18, 2:8] = 2
    return labels


def volume(labels: np.ndarray) -> Volume:
    return Volume(labels, Grid(labels.shape, (10.0, 10.0, 10.0)))


def test_a_good_case_passes() -> None:
    result = judge(volume(body()), {"expert": {1: 0.95}}, GateLimits())
    assert result.passed
    assert result.findings == ()
    assert result.agreement == 0.95
    assert result.volumes_ml == {"liver": 1000.0, "right kidney": 144.0}


def test_each_gate_can_fail() -> None:
    limits = GateLimits()
    poor = judge(volume(body()), {"expert": {1: 0.95}, "the round before": {2: 0.4}}, limits)
    assert poor.findings == ("right kidney: Dice 0.40 with the round before, at least 0.70 wanted",)
    doubt = body()
    doubt[12:, :, :10] = 15
    assert "% ignored" in judge(volume(doubt), {}, limits).findings[0]
    giant = body()
    giant[12:, :, :] = 2
    assert "right kidney: 3" in judge(volume(giant), {}, limits).findings[0]
    scattered = body()
    for x in (12, 14, 16, 18):
        scattered[15, 2, x] = 2
    assert judge(volume(scattered), {}, limits).findings == ("right kidney: 5 pieces, at most 3 allowed",)


def test_agreement_leaves_ignored_voxels_out() -> None:
    first, second = body(), body()
    second[2:12, 2:12, 2:7] = 15
    second[2:5, 14:18, 2:8] = 0
    scores = agreement(first, second, frozenset({1, 2, 3}))
    assert scores == {1: 1.0, 2: pytest.approx(2 / 3)}
