"""The network's input plane by plane: rolling or at once, padded, and cut where the ring wraps round."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.passes.input_planes import ImageSource, InputPlanes, runs
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import plan_pass
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, load

KERNELS = load("reference")


def test_rolling_planes_equal_planes_made_at_once(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(patch_zyx=(8, 24, 20))
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    source = ImageSource.of(view, stage.inputs, KERNELS)
    whole = InputPlanes(source, plan, KERNELS, Layout(plan.padded_shape[0], 13))
    rolling = InputPlanes(source, plan, KERNELS, Layout(8, 3))
    for z in plan.starts_zyx[0]:
        whole.ensure(z + 8)
        rolling.ensure(z + 8)
        np.testing.assert_allclose(rolling.tile((z, 3, 5)), whole.tile((z, 3, 5)), atol=2e-6)


def test_padding_is_zero_and_the_scan_lies_in_its_middle(make_stage: MakeStage) -> None:
    hu = np.full((5, 9, 7), 100, np.int16)
    hu[0, 0, 0] = -900
    ct = Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0)))
    stage = make_stage(patch_zyx=(16, 24, 20), spacing_mm=(3.0, 2.0, 2.0))
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    planes = InputPlanes(ImageSource.of(view, stage.inputs, KERNELS), plan, KERNELS, Layout(16, 5))
    planes.ensure(16)
    tile = planes.tile((0, 0, 0))[0, 0]
    inside = Box((5, 7, 6), (10, 16, 13))
    np.testing.assert_array_equal(tile[inside.slices], KERNELS.normalise(hu, stage.of_one_ct))
    tile[inside.slices] = 0
    assert not tile.any()


def test_the_clamp_is_the_range_of_the_whole_normalised_scan(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    normal = KERNELS.normalise(ct.array, stage.of_one_ct)
    assert ImageSource.of(ScanView.of(ct, stage), stage.inputs, KERNELS).channels[0].clamp == (
        float(normal.min()),
        float(normal.max()),
    )


def test_a_ring_is_cut_where_it_wraps_round() -> None:
    assert runs(3, 4, 8) == [(3, 4)]
    assert runs(6, 4, 8) == [(6, 2), (8, 2)]
    assert runs(8, 8, 8) == [(8, 8)]
    with pytest.raises(ValueError, match="got 9 at once"):
        runs(0, 9, 8)
