"""What a user's options make of a stage, and the modes that there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import FastSpec


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="got 'quick', expected 'exact' or 'half' or 'fast'"):
        RunOptions(mode="quick")  # type: ignore[arg-type]


def test_options_change_a_stage() -> None:
    stage = replace(fake_spec().fine, fast=FastSpec(spacing_mm=(3.0, 3.5, 4.0)), mirror_axes=(0,))
    fast = RunOptions(mode="fast").stage_as_run(stage, "fine")
    assert (fast.spacing_mm, fast.mirror_axes) == ((3.0, 3.5, 4.0), ())
    assert RunOptions(mirror=True).stage_as_run(stage, "fine") == stage


def test_a_bundle_without_fast_settings_runs_fast_at_its_own_spacing() -> None:
    stage = replace(fake_spec().fine, mirror_axes=(0, 2))
    fast = RunOptions(mode="fast", mirror=True).stage_as_run(stage, "fine")
    assert (fast.spacing_mm, fast.mirror_axes) == (stage.spacing_mm, (0, 2))
    cheaper = replace(stage, fast=FastSpec(spacing_mm=(3.0, 3.5, 4.0)))
    assert RunOptions(mode="half").stage_as_run(cheaper, "fine").spacing_mm == stage.spacing_mm


def test_the_step_is_that_of_the_network_that_gives_the_labels() -> None:
    stage = replace(fake_spec().fine, tile_step=0.7)
    assert RunOptions(tile_step=0.25).stage_as_run(stage, "fine").tile_step == 0.25
    assert RunOptions(tile_step=0.25).stage_as_run(stage, "coarse").tile_step == 0.7
    assert RunOptions().stage_as_run(stage, "fine").tile_step == 0.7
    for step in (0, -0.5, 1.01, float("nan")):
        with pytest.raises(InputError, match=r"tile step: got .*, expected a share of the patch"):
            RunOptions(tile_step=step)
