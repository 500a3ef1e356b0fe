"""Class probabilities beside the labels: of one stage and two, in any mode and layout, within the memory that is planned."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import MakeStage
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.passes.test_predict import make_pass, runner
from tests.engine.roi.test_cascade import AORTA_HU, GRID, LIVER_HU, NAMES, at, fine_run, scan

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.probabilities import Probabilities, StoredAxes
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import Raster
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.passes.class_rows import ClassRows, probabilities_of, rows_bytes
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import plan_pass
from flare_trt.engine.passes.predict import predict
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.roi.cascade import segment_roi
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Box, load
from flare_trt.kernels.contract import Taps

OPTIONS = RunOptions(device="cpu", backend="fake", probabilities=True)


def read_all(kept: Probabilities | None) -> np.ndarray:
    assert kept is not None
    return np.stack([kept.read(channel, kept.axes.grid.whole) for channel in range(kept.channels)])


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("coarse", [False, True])
def test_the_likeliest_class_is_the_label(coarse: bool, mode: str, tmp_path: Path, ct: Volume) -> None:
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec(coarse)), replace(OPTIONS, mode=mode)) as segmenter:  # type: ignore[arg-type]
        found = segmenter.segment(ct)
        values = np.array(segmenter.spec.fine.channel_values)
    probabilities = read_all(found.probabilities)
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(values[probabilities.argmax(0)], found.labels.array)
    assert len(np.unique(found.labels.array)) > 2


@pytest.mark.parametrize("raster", ["scan", "box"])
@pytest.mark.parametrize(
    ("organ", "hu", "start", "decision"),
    [
        (Box((30, 20, 25), (50, 40, 45)), LIVER_HU, Box((25, 15, 20), (55, 45, 50)), "roi"),
        (Box((30, 20, 25), (50, 40, 45)), LIVER_HU, Box((35, 15, 20), (55, 45, 50)), "enlarged"),
        (Box((5, 20, 25), (75, 40, 45)), AORTA_HU, Box((35, 15, 20), (45, 45, 50)), "enlarged"),
        (Box((0, 20, 25), (75, 40, 45)), AORTA_HU, Box((0, 3, 3), (20, 57, 67)), "enlarged"),
        (Box((5, 20, 25), (75, 40, 45)), LIVER_HU, Box((35, 15, 20), (45, 45, 50)), "whole"),
    ],
)
def test_a_box_that_grows(organ: Box, hu: int, start: Box, decision: str, raster: Raster, make_stage: MakeStage) -> None:
    """Slabs of labels are put together; their probabilities are, too, and beyond the last box all is background."""
    stage = make_stage()
    run = replace(fine_run(stage, scan((organ, hu))), raster=raster)
    run = replace(run, probabilities=probabilities_of(run.view, stage))
    found = segment_roi(run, at(start), NAMES)
    assert found.roi is not None
    assert found.roi.decision == decision
    probabilities = read_all(run.probabilities)
    np.testing.assert_array_equal(probabilities.argmax(0), found.labels)
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    beyond = np.ones(GRID.shape_zyx, bool)
    beyond[Box(found.roi.start_zyx, found.roi.stop_zyx).slices] = False
    assert (probabilities[0][beyond] == 1).all()
    assert (probabilities[0][~beyond] < 1).any()


def test_regions_are_sigmoids(tmp_path: Path, ct: Volume) -> None:
    spec = fake_spec()
    spec = replace(spec, fine=replace(spec.fine, activation="regions", channel_values=(4, 3, 2, 1, 1)))
    with Segmenter.open(fake_bundle(tmp_path / "b", spec), OPTIONS) as segmenter:
        found = segmenter.segment(ct)
    expected = np.zeros(ct.grid.shape_zyx, np.uint8)
    for value, probability in zip((4, 3, 2, 1, 1), read_all(found.probabilities), strict=True):
        expected[probability > 0.5] = value
    np.testing.assert_array_equal(found.labels.array, expected)


@pytest.mark.parametrize("changes", [{}, {"transpose_forward": (2, 0, 1)}, {"spacing_mm": (9.0, 1.5, 1.5)}])
def test_a_pass_in_blocks_gives_the_same(changes: dict[str, object], make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(**changes)
    view, found = ScanView.of(ct, stage), []
    plan = plan_pass(stage, view, view.whole)
    for splits in ((1, 1), (2, 3)):
        run = StageRun(stage, view, runner(stage), probabilities=probabilities_of(view, stage))
        work = replace(make_pass(stage, view, plan), layout=Layout(plan.padded_shape[0], 99, splits))
        predict(work, run.runner, run.sink(plan, plan.target))
        found.append(read_all(run.probabilities))
    np.testing.assert_array_equal(*found)
    assert 0.2 < found[0].max() <= 1


def test_nothing_is_kept_unless_wanted(tmp_path: Path, ct: Volume) -> None:
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), replace(OPTIONS, probabilities=False)) as segmenter:
        assert segmenter.segment(ct).probabilities is None


@pytest.mark.parametrize("shape_zyx", [(3, 301, 283), (2, 13, 90_001)])
def test_the_planned_memory_is_kept(shape_zyx: tuple[int, int, int]) -> None:
    channels, kernels, grid = 14, load("reference"), Grid(shape_zyx, (1, 1, 1))
    ring = np.random.default_rng(0).normal(size=(channels, 4, 61, 57)).astype(np.float16)
    taps = tuple(_stretched(target, source) for target, source in zip(shape_zyx, (4, 61, 57), strict=True))
    rows = ClassRows(Probabilities(StoredAxes.plain(grid), channels, True), grid.whole, (0, 0, 0))
    tracemalloc.start()
    rows.write(ring, taps, (0, 0, 0), kernels)  # type: ignore[arg-type]  # three taps, known
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    promised = rows_bytes(channels, (61, 57), shape_zyx[2])
    assert 0.3 * promised < taken <= promised


def _stretched(target: int, source: int) -> Taps:
    place = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
    lower = np.floor(place)
    weight = (place - lower).astype(np.float32)
    return Taps(lower.astype(np.int32), np.minimum(lower + 1, source - 1).astype(np.int32), weight)
