from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.config import MixConfig, ScheduleConfig
from flare_trt.training.distil.loop import read_log
from flare_trt.training.tumours.draw import draw_scene
from flare_trt.training.tumours.loop import train
from flare_trt.training.tumours.network import organs_of_bundle
from flare_trt.training.tumours.pool import FromPool, Pool
from flare_trt.training.tumours.recipe import TUMOUR
from tests.training.tumours.tumour_fixtures import abdomen_view, tumour_config

SCHEDULE = ScheduleConfig(steps=4, learning_rate=1e-3, warmup_steps=1, log_every=2, validate_every=2)


def weights(state) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in state.network.parameters()])


def test_a_scene_hangs_on_the_seed() -> None:
    config, views = tumour_config(mix=MixConfig(phantom=0)), [abdomen_view()]
    shown = 0
    for seed in range(6):
        first, again = (draw_scene(views, config, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first.hu, again.hu)
        assert first.shape == config.train_patch_zyx
        assert first.organs.max() < TUMOUR
        shown += bool((first.labels == TUMOUR).any())
    assert shown >= 2


def test_lesions_in_a_phantom_are_labelled() -> None:
    """They were once drawn by the phantom itself and then lost, as a class that the organs' network does not have."""
    config = tumour_config(mix=MixConfig(phantom=1))
    scenes = [draw_scene([], config, np.random.default_rng(seed)) for seed in range(8)]
    planted = [scene for scene in scenes if scene.lesions.any()]
    assert len(planted) >= 2
    for scene in planted:
        assert np.mean(scene.labels[scene.lesions > 0] == TUMOUR) > 0.95


def test_a_resumed_run_equals_one_that_was_never_stopped(pool: Pool, tmp_path: Path) -> None:
    config = tumour_config(schedule=SCHEDULE)
    config = replace(config, mix=MixConfig(short=0, circle=0))
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()
    organs, examples = organs_of_bundle(default_model(), config.network), FromPool(config, pool)
    straight = train(config, organs, examples, whole)
    lines = read_log(whole)
    assert [line["step"] for line in lines] == [2, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    (again / "last.pt").write_bytes((whole / "step_000002.pt").read_bytes())
    resumed = train(config, organs, examples, again)
    assert resumed.step == straight.step == 4
    torch.testing.assert_close(weights(resumed), weights(straight), atol=0, rtol=0)
    for name, weight in resumed.averaged.organs.state_dict().items():
        torch.testing.assert_close(weight, organs.state_dict()[name], atol=0, rtol=0)


def test_a_depth_whose_gradient_pytorch_gets_wrong_is_refused(pool: Pool, tmp_path: Path) -> None:
    config = tumour_config(schedule=SCHEDULE, train_patch_zyx=(32, 32, 48))
    organs = organs_of_bundle(default_model(), config.network)
    with pytest.raises(InputError, match="got 32 slices"):
        train(config, organs, FromPool(config, pool), tmp_path)
