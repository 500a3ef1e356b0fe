from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.training.distil.intensity import vary_intensity
from flare_trt.training.distil.scans import labels_on, network_image
from flare_trt.training.distil.validate import dice_by_label
from tests.training.distil.distil_fixtures import INTENSITY


@pytest.mark.peer
def test_the_network_s_image_is_nnunet_s() -> None:
    from skimage.transform import resize

    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 900, (9, 14, 11)).astype(np.int16)
    got = network_image(Volume(hu, Grid(hu.shape, (3.0, 1.0, 1.5))), (2.0, 1.4, 1.1), INTENSITY)
    normal = (np.clip(hu.astype(np.float32), -973, 295) - 80) / 141
    expected = resize(normal.astype(float), (14, 10, 15), 3, mode="edge", anti_aliasing=False)
    assert got.shape == (14, 10, 15)
    assert np.abs(got - expected).max() < 1e-4


def test_labels_come_back_on_the_scan() -> None:
    labels = np.zeros((8, 10, 12), np.uint8)
    labels[2:6, 2:8, 3:9] = 2
    shares = np.ascontiguousarray(np.moveaxis(np.eye(3, dtype=np.float32)[labels], -1, 0))
    assert np.array_equal(labels_on(shares, (8, 10, 12)), labels)
    doubled = labels_on(shares, (16, 20, 24))
    assert dice_by_label(doubled, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))[2] > 0.98


def test_dice_counts_what_the_truth_shows() -> None:
    truth, mine = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    truth[:2] = 1
    truth[3] = 2
    mine[:1] = 1
    mine[2] = 3
    assert dice_by_label(mine, truth) == {1: pytest.approx(2 * 16 / (16 + 32)), 2: 0.0}
    assert dice_by_label(mine, truth, known=[5]) == {5: 1.0}


def test_intensities_vary_but_tissues_keep_their_order() -> None:
    import torch

    hu = torch.tensor([-1000.0, -100.0, 50.0, 200.0, 900.0]).repeat(4, 200, 1).permute(0, 1, 2).contiguous()
    changed = 0
    for seed in range(12):
        got = vary_intensity(hu, np.random.default_rng(seed))
        assert got.shape == hu.shape
        assert bool(torch.isfinite(got).all())
        changed += not torch.equal(got, hu)
    assert changed >= 9
