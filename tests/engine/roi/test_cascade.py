"""The fine pass after the ROI: an organ that the box cuts is seen, and the box gives way, once and then wholly."""

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import MakeStage
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec, StageSpec
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.roi.cascade import Segmented, coarse_labels, locate_abdomen, segment_roi, segment_whole
from flare_trt.engine.roi.roi_box import Located
from flare_trt.kernels import Box, load, native_problem

KERNELS = load("reference" if native_problem() else "native")
GRID = Grid((80, 60, 70), (4.0, 3.0, 3.0))
NAMES = {1: "liver", 2: "aorta", 3: "spleen", 4: "stomach"}


def scan(*blocks: tuple[Box, int]) -> Volume:
    """Air with blocks of HU. The fake network with 5 channels answers band k for about -200 + k * 120 HU and up."""
    array = np.full(GRID.shape_zyx, -300, np.int16)
    for box, hu in blocks:
        array[box.slices] = hu
    return Volume(array, GRID)


def fine_run(stage: StageSpec, ct: Volume) -> StageRun:
    session = FakeSession((1, 1, *stage.patch_zyx), len(stage.channel_values))
    return StageRun(stage, ScanView.of(ct, stage), Runner([session], KERNELS, Stopwatch(), lambda done, total: None))


def cascade(coarse: StageSpec, fine: StageSpec, ct: Volume, spec: ModelSpec) -> Segmented:
    run = fine_run(coarse, ct)
    located = locate_abdomen(run, coarse_labels(run, ct.grid.whole), spec)
    return segment_roi(fine_run(fine, ct), located, spec.label_names)


def at(box: Box) -> Located:
    return Located(box, RoiStory("roi", box.start_zyx, box.stop_zyx, 0.1))


LIVER_HU, AORTA_HU = -80, 40
ORGAN = Box((30, 20, 25), (50, 40, 45))


def test_a_box_that_holds_its_organ_is_enough(make_stage: MakeStage) -> None:
    found = segment_roi(fine_run(make_stage(), scan((ORGAN, LIVER_HU))), at(Box((25, 15, 20), (55, 45, 50))), NAMES)
    assert found.roi is not None
    assert found.roi.decision == "roi"
    assert found.roi.findings == ()
    assert (found.labels == 1).sum() == pytest.approx(np.prod(ORGAN.shape_zyx), rel=0.1)


def test_a_box_that_cuts_an_organ_grows_on_that_side(make_stage: MakeStage) -> None:
    cut = Box((35, 15, 20), (55, 45, 50))
    found = segment_roi(fine_run(make_stage(), scan((ORGAN, LIVER_HU))), at(cut), NAMES)
    assert found.roi is not None
    assert found.roi.decision == "enlarged"
    assert found.roi.findings == ("liver reaches the box's I face",)
    assert (found.roi.start_zyx, found.roi.stop_zyx) == ((25, 15, 20), (55, 45, 50))
    assert (found.labels == 1).sum() == pytest.approx(np.prod(ORGAN.shape_zyx), rel=0.1)


def test_an_organ_that_still_is_cut_takes_the_whole_scan(make_stage: MakeStage) -> None:
    long = Box((5, 20, 25), (75, 40, 45))
    found = segment_roi(fine_run(make_stage(), scan((long, LIVER_HU))), at(Box((35, 15, 20), (45, 45, 50))), NAMES)
    assert found.roi is not None
    assert found.roi.decision == "whole"
    assert found.roi.stop_zyx == GRID.whole.stop_zyx
    assert (found.labels == 1).sum() == pytest.approx(np.prod(long.shape_zyx), rel=0.1)


def test_a_vessel_is_followed_and_never_costs_the_whole_scan(make_stage: MakeStage) -> None:
    long = Box((5, 20, 25), (75, 40, 45))
    found = segment_roi(fine_run(make_stage(), scan((long, AORTA_HU))), at(Box((35, 15, 20), (45, 45, 50))), NAMES)
    assert found.roi is not None
    assert found.roi.decision == "enlarged"
    assert (found.labels == 2).sum() == pytest.approx(np.prod(long.shape_zyx), rel=0.1)
    endless = segment_roi(fine_run(make_stage(), scan((long, AORTA_HU))), at(Box((5, 15, 28), (75, 45, 32))), NAMES)
    assert endless.roi is not None
    assert endless.roi.decision == "enlarged"


def test_a_vessel_that_is_followed_upwards_costs_no_more_tiles_than_the_whole_scan(make_stage: MakeStage) -> None:
    ct = scan((Box((0, 20, 25), (75, 40, 45)), AORTA_HU))
    found = segment_roi(fine_run(make_stage(), ct), at(Box((0, 3, 3), (20, 57, 67))), NAMES)
    whole = segment_whole(fine_run(make_stage(), ct), ct.grid.whole)
    assert found.roi is not None
    box = Box(found.roi.start_zyx, found.roi.stop_zyx)
    assert box.stop_zyx[0] > 60
    assert found.tiles <= whole.tiles
    np.testing.assert_array_equal(found.labels[box.slices], whole.labels[box.slices])


def test_labels_lie_in_the_box_alone(make_stage: MakeStage) -> None:
    box = Box((25, 15, 20), (55, 45, 50))
    beside = Box((58, 20, 25), (64, 40, 45))  # the box's tiles see it
    found = segment_roi(fine_run(make_stage(), scan((ORGAN, LIVER_HU), (beside, LIVER_HU))), at(box), NAMES)
    assert found.labels[box.slices].any()
    assert not found.labels[beside.slices].any()


def test_labels_that_the_tiles_settle_beyond_the_box_are_not_given(make_stage: MakeStage) -> None:
    box, beside = Box((3, 3, 3), (74, 57, 67)), Box((77, 20, 25), (80, 40, 45))  # the box takes all tiles of the scan
    ct = scan((ORGAN, LIVER_HU), (beside, LIVER_HU))
    assert segment_whole(fine_run(make_stage(), ct), ct.grid.whole).labels[beside.slices].any()
    found = segment_roi(fine_run(make_stage(), ct), at(box), NAMES)
    assert found.roi is not None
    assert found.roi.decision == "roi"
    assert found.labels[box.slices].any()
    assert not found.labels[beside.slices].any()


def test_a_scan_without_an_abdomen_has_no_labels_and_says_so(make_stage: MakeStage) -> None:
    spec: ModelSpec = fake_spec(coarse=True)
    assert spec.coarse is not None
    coarse = replace(spec.coarse, channel_values=(0, 1, 2, 3, 4))
    found = cascade(coarse, make_stage(), scan((Box((0, 0, 0), (1, 1, 1)), -310)), spec)
    assert found.roi is not None
    assert found.roi.decision == "empty"
    assert not found.labels.any()
    assert found.tiles == 0


def test_coarse_and_fine_together(make_stage: MakeStage) -> None:
    spec = fake_spec(coarse=True)
    assert spec.coarse is not None
    organs = [(ORGAN, LIVER_HU), (Box((30, 20, 50), (45, 35, 60)), 40), (Box((20, 30, 10), (35, 45, 20)), 160)]
    found = cascade(spec.coarse, spec.fine, scan(*organs), spec)
    assert found.roi is not None
    assert found.roi.share_of_scan < 1
    for value, (box, _) in zip((1, 2, 3), organs, strict=True):
        assert (found.labels[box.slices] == value).mean() > 0.9
