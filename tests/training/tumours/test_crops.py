"""What the branch is shown: drawn tiles with their trust, and crops of them that carry what was seen of the whole tile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import MixConfig
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.tumours import crops as crops_module
from flare_trt.training.tumours.crops import CROP_ZYX, CROPS, crop_places, crops_of_steps, cut_crops
from flare_trt.training.tumours.examples import Example, example_of
from flare_trt.training.tumours.measures import levels_of, shares_of
from flare_trt.training.tumours.network import TumourConfig, TumourUNet
from flare_trt.training.tumours.partial import lesions_not_asked_for
from flare_trt.training.tumours.patch import drawn_patch
from flare_trt.training.tumours.pool import FromPool, Pool
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL
from tests.training.tumours.tumour_fixtures import abdomen_view, tumour_config

SMALL = TumourConfig(NetworkConfig(), branch=(8, 16))


def test_an_example_s_target_is_that_of_its_patch_and_no_tumour_beyond_the_scan() -> None:
    plain = tumour_config(mix=MixConfig(short=0, circle=0, intensity=0))
    patches = (drawn_patch([abdomen_view()], plain, number) for number in range(40))
    patch = next(patch for patch in patches if patch.tumour.sum(dtype=int) > 255 * 100)
    example = example_of(patch, plain, np.random.default_rng(0))
    np.testing.assert_allclose(example.share.numpy(), patch.tumour / 255, atol=1e-6)
    np.testing.assert_array_equal(patch.labels == TUMOUR, patch.tumour > 127)
    assert not (patch.trust == FULL)[lesions_not_asked_for(patch.hu, patch.labels, patch.lesions)].any()
    np.testing.assert_array_equal(example.known.numpy(), patch.trust == FULL)
    np.testing.assert_array_equal(example.classes.numpy(), patch.labels)
    np.testing.assert_array_equal(example.lesions.numpy(), patch.lesions)
    cut = example_of(patch, tumour_config(mix=MixConfig(short=1, circle=0, intensity=0)), np.random.default_rng(0))
    ends = cut.image[0, 0] == 0
    assert float(ends.float().mean()) > 0.05
    assert float((cut.share[ends] == 0).float().mean()) > 0.98  # the rest is tissue of 80 HU, which is 0 too
    assert float(cut.known[ends].float().mean()) > 0.98


def test_half_of_the_crops_lie_about_a_known_lesion_and_some_about_each_organ() -> None:
    shape = (60, 250, 260)
    classes, lesions = (torch.zeros(shape, dtype=torch.uint8) for _ in range(2))
    lesions[10:14, 20:30, 20:30], lesions[50:, 200:, 20:80] = 1, 2  # a small one, and one that is not known
    classes[:4, 230:, 240:] = 9
    example = Example(torch.ones(1, 1, *shape), (lesions == 1).float(), lesions != 2, classes, lesions)
    places = [place for seed in range(60) for place in crop_places(example, np.random.default_rng(seed))]
    assert len(places) == 60 * CROPS
    assert all(part.start % 2 == 0 and part.stop <= size for place in places for part, size in zip(place, shape, strict=True))
    about_the_lesion, about_the_gallbladder = (
        np.mean([bool((where[place] == number).any()) for place in places]) for where, number in ((lesions, 1), (classes, 9))
    )
    assert 0.5 < about_the_lesion < 0.75
    assert 0.03 < about_the_gallbladder < 0.3
    plain = replace(example, lesions=torch.zeros(shape, dtype=torch.uint8))
    places = [place for seed in range(60) for place in crop_places(plain, np.random.default_rng(seed))]
    assert np.mean([bool((lesions[place] == 1).any()) for place in places]) < 0.3


def test_crops_lie_about_lesions_and_carry_the_organs_of_the_whole_tile() -> None:
    torch.manual_seed(3)
    network = TumourUNet(SMALL).eval()
    share = torch.zeros(48, 96, 112)
    share[40:44, 80:90, 20:30] = 1
    lesions = (share > 0).byte()
    image = torch.randn(1, 1, 48, 96, 112)
    classes = torch.zeros(48, 96, 112, dtype=torch.uint8)
    classes[:4, :6, 100:] = 9  # a gallbladder in a corner
    example = Example(image, share, torch.ones(48, 96, 112, dtype=torch.bool), classes, lesions)
    crops = cut_crops(network, [example, example], np.random.default_rng(0))
    assert crops.image.shape == crops.share.shape == (2 * CROPS, 1, *CROP_ZYX)
    assert crops.organs.shape == (2 * CROPS, 14, *(size // 2 for size in CROP_ZYX))
    place = crop_places(example, np.random.default_rng(0))[0]
    assert all(part.start % 2 == 0 for part in place)
    z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
    with torch.no_grad():
        organs = shares_of(network.organs(image))
    mirrored = [(), (-1,), (-2,), (-3,), (-1, -2), (-1, -3), (-2, -3), (-1, -2, -3)]
    axes = next(axes for axes in mirrored if torch.equal(crops.image[0, 0], image[0, 0][place].flip(axes)))
    torch.testing.assert_close(crops.organs[0], organs[0, :, z, y, x].flip(axes))
    torch.testing.assert_close(crops.share[0, 0], share[place].flip(axes))
    torch.testing.assert_close(crops.some(3, 5).levels.mean, levels_of(image, organs).mean.expand(2, -1, -1, -1, -1))
    assert bool(crops.known.all())
    kept = cut_crops(network, [replace(example, organs=organs[0] / 2)], np.random.default_rng(0))
    torch.testing.assert_close(kept.organs, crops.organs[:CROPS] / 2)


def test_the_crops_of_a_step_hang_on_its_number(pool: Pool) -> None:
    config, network = tumour_config(), TumourUNet(SMALL)
    examples = FromPool(config, pool)
    first, second = islice(crops_of_steps(network, examples(0), 0, config.seed), 2)
    again = next(crops_of_steps(network, examples(1), 1, config.seed))
    assert torch.equal(second.image, again.image)
    assert torch.equal(second.share, again.share)
    assert not torch.equal(first.image, again.image)
    assert len(list(crops_of_steps(network, islice(examples(0), 2), 0, config.seed))) == 2, "the end is the examples' end"


def test_two_steps_are_cut_ahead_on_a_thread_that_ends_with_the_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = list[int]()

    def draws() -> Iterator[list[Example]]:
        yield from ([] for _ in range(9))
        raise InputError("the last tile is damaged")

    def cut_one(network: TumourUNet, examples: list[Example], rng: np.random.Generator) -> int:
        assert threading.current_thread() is not threading.main_thread()
        cut.append(int(rng.integers(1 << 30)))
        return len(cut)

    monkeypatch.setattr(crops_module, "cut_crops", cut_one)
    network, before = TumourUNet(SMALL), threading.active_count()
    with closing(crops_of_steps(network, draws(), 7, 5)) as crops:
        assert next(crops) == 1
    assert threading.active_count() == before
    assert len(cut) <= 3, "the one that was taken, and two ahead"
    assert cut[0] == int(np.random.default_rng([5, 3, 7]).integers(1 << 30))
    crops = crops_of_steps(network, draws(), 7, 5)
    assert len(list(islice(crops, 9))) == 9
    with pytest.raises(InputError, match="the last tile is damaged"):
        next(crops)
