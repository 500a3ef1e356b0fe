from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flare_trt.training.distil.config import DataConfig, MixConfig
from flare_trt.training.distil.patches import draw_patch
from flare_trt.training.distil.warp import WarpRange
from tests.training.distil.distil_fixtures import INTENSITY, phantom_view, tiny_config

PLAIN = MixConfig(phantom=0, extended=0, short=0, circle=0, intensity=0)


@pytest.fixture(scope="module")
def views():
    return [phantom_view()]


def centres(target: torch.Tensor) -> dict[int, np.ndarray]:
    labels = target.argmax(0).numpy()
    return {int(label): np.argwhere(labels == label).mean(0) for label in np.unique(labels) if label}


@pytest.mark.parametrize(
    "mix",
    [
        PLAIN,
        replace(PLAIN, phantom=1),
        replace(PLAIN, extended=1),
        replace(PLAIN, short=1),
        replace(PLAIN, circle=1),
        replace(PLAIN, intensity=1),
    ],
)
def test_each_kind_of_patch_is_an_image_with_shares_that_sum_to_one(views, mix: MixConfig) -> None:
    config = tiny_config(mix=mix)
    shown = 0
    for seed in range(4):
        patch = draw_patch(views, config, np.random.default_rng(seed))
        assert patch.image.shape == config.train_patch_zyx
        assert patch.image.dtype == patch.target.dtype == torch.float32
        torch.testing.assert_close(patch.target.sum(0), torch.ones(config.train_patch_zyx), atol=1e-4, rtol=0)
        assert patch.target.min() >= 0
        assert bool(torch.isfinite(patch.image).all())
        shown += int((patch.target.argmax(0) > 0).sum())
    assert shown > 100


def test_the_same_seed_gives_the_same_patch(views) -> None:
    first, second = (draw_patch(views, tiny_config(), np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target, second.target)


def test_image_and_target_stay_together_and_right_stays_right(views) -> None:
    config = tiny_config(mix=PLAIN, data=DataConfig((), 1, (), (), patch_warp=WarpRange((10.0, 5.0, 5.0), 0.2, 0.1)))
    for seed in range(6):
        patch = draw_patch(views, config, np.random.default_rng(seed))
        labels, found = patch.target.argmax(0), centres(patch.target)
        if {2, 13} <= found.keys():
            assert found[2][2] < found[13][2]
        for label in (1, 13):
            if int((labels == label).sum()) > 30:
                hu = patch.image[labels == label] * INTENSITY.std_hu + INTENSITY.mean_hu
                truth = views[0].image_hu[views[0].labels.classes[0] == label]
                assert abs(float(hu.median()) - float(np.median(truth))) < 30


def test_half_labels_and_full_ones_agree(views) -> None:
    coarse = tiny_config(mix=PLAIN, data=DataConfig((), 1, (), (), patch_warp=WarpRange((0.0, 0.0, 0.0), 0.0, 0.0)))
    fine = replace(coarse, spacing_mm=(6.0, 5.5, 5.0), train_patch_zyx=(32, 40, 48))
    big, small = (draw_patch(views, config, np.random.default_rng(1)).target for config in (fine, coarse))
    pooled = torch.nn.functional.avg_pool3d(big[None], 2)[0]
    for label, place in centres(small).items():
        if int((small.argmax(0) == label).sum()) > 20:
            assert np.abs(place - centres(pooled)[label]).max() < 0.6


def test_a_short_scan_is_padded_with_zeros_about_its_centre(views) -> None:
    shown = []
    for seed in range(6):
        patch = draw_patch(views, tiny_config(mix=replace(PLAIN, short=1)), np.random.default_rng(seed))
        empty = patch.image == 0
        shown.append([])
        for axis in range(3):
            filled = torch.nonzero(~empty.all(dim=2 if axis < 2 else 1).all(dim=1 if axis < 1 else 0))[:, 0]
            size = empty.shape[axis]
            assert int(filled[0]) == (size - len(filled)) // 2
            shown[-1].append(len(filled) / size)
        assert bool((patch.target[0][empty] == 1).all())
    shares = np.array(shown)
    assert shares[:, 0].min() < 0.8
    assert (shares[:, 1:] == 1).all(axis=1).any(), "some are slabs"
    assert (shares[:, 1:] < 1).all(axis=1).any(), "some are narrow"
