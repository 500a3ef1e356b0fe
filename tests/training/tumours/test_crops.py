"""What the branch is shown: drawn tiles with their trust, and crops of them that carry what was seen of the whole tile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import MixConfig
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.tumours import crops as crops_module
from flare_trt.training.tumours.crops import (
    CROP_ZYX,
    CROPS,
    CROPS_ABOUT_LESIONS,
    CROPS_ABOUT_LOOK_ALIKES,
    crop_places,
    crops_of_steps,
    cut_crops,
)
from flare_trt.training.tumours.examples import Example, FromPool
from flare_trt.training.tumours.measures import levels_of, shares_of
from flare_trt.training.tumours.network import TumourConfig, TumourUNet
from flare_trt.training.tumours.partial import lesions_not_asked_for
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL
from tests.training.tumours.tumour_fixtures import tumour_config

SMALL = TumourConfig(NetworkConfig(), branch=(8, 16))


def test_an_example_s_target_is_that_of_its_patch_and_no_tumour_beyond_the_scan(pool: Path) -> None:
    plain = tumour_config(mix=MixConfig(short=0, circle=0, intensity=0))
    examples = FromPool(plain, pool)
    number = next(number for number in range(40) if float(examples.example(number).share.sum()) > 100)
    example = examples.example(number)
    rng = np.random.default_rng([plain.seed, number])
    stored = read_patch(pool_files(pool)[int(rng.integers(4))])
    np.testing.assert_allclose(example.share.numpy(), stored.tumour / 255, atol=1e-6)
    np.testing.assert_array_equal(stored.labels == TUMOUR, stored.tumour > 127)
    assert not (stored.trust == FULL)[lesions_not_asked_for(stored.hu, stored.labels, stored.lesions)].any()
    np.testing.assert_array_equal(example.known.numpy(), stored.trust == FULL)
    np.testing.assert_array_equal(example.classes.numpy(), stored.labels)
    np.testing.assert_array_equal(example.lesions.numpy(), stored.lesions)
    cut = FromPool(tumour_config(mix=MixConfig(short=1, circle=0, intensity=0)), pool).example(number)
    ends = cut.image[0, 0] == 0
    assert float(ends.float().mean()) > 0.05
    assert float((cut.share[ends] == 0).float().mean()) > 0.98  # the rest is tissue of 80 HU, which is 0 too
    assert float(cut.known[ends].float().mean()) > 0.98


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
    assert all(bool(part.any()) for part in (*crops.share[:CROPS_ABOUT_LESIONS], *crops.share[CROPS : CROPS + CROPS_ABOUT_LESIONS]))
    about_look_alikes = [crop_places(example, np.random.default_rng(seed))[-CROPS_ABOUT_LOOK_ALIKES:] for seed in range(9)]
    assert any(bool((classes[place] == 9).any()) for places in about_look_alikes for place in places)
    place = crop_places(example, np.random.default_rng(0))[0]
    assert all(part.start % 2 == 0 for part in place)
    z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
    with torch.no_grad():
        organs = shares_of(network.organs(image))
    mirrored = [(), (-1,), (-2,), (-3,), (-1, -2), (-1, -3), (-2, -3), (-1, -2, -3)]
    axes = next(axes for axes in mirrored if torch.equal(crops.image[0, 0], image[0, 0][place].flip(axes)))
    torch.testing.assert_close(crops.organs[0], organs[0, :, z, y, x].flip(axes))
    torch.testing.assert_close(crops.share[0, 0], share[place].flip(axes))
    torch.testing.assert_close(crops.some(3, 5).levels.mean, levels_of(image, organs).mean.expand(3, -1, -1, -1, -1))
    assert bool(crops.known.all())


def test_the_crops_of_a_step_hang_on_its_number(pool: Path) -> None:
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
