"""The engine's door on bundles of fake networks: one stage, two stages, options, budgets, threads."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BudgetError, BundleError, DeviceError, InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import MODES, Mode, Raster
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.pass_plan import PassPlan, plan_pass
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Box
from tests.engine.fake_bundle import fake_bundle, fake_spec

FAKE = RunOptions(device="cpu", backend="fake")


def test_labels_lie_on_the_scan(tmp_path: Path, ct: Volume) -> None:
    seen: list[tuple[str, int, int]] = []
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), FAKE) as segmenter:
        result = segmenter.segment(ct, lambda *step: seen.append(step))
    assert result.labels.grid == ct.grid
    assert result.labels.array.dtype == np.uint8
    assert set(np.unique(result.labels.array)) == {0, 1, 2, 3, 4}
    assert result.report.roi is None
    assert seen[-1] == ("fine", result.report.tiles["fine"], result.report.tiles["fine"])
    assert set(result.report.stages) >= {"preprocess", "network", "blend", "restore"}


def test_brighter_means_a_higher_label(tmp_path: Path, ct: Volume) -> None:
    """The fake network bands the image, so labels must rise with the intensity of their own voxels."""
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), FAKE) as segmenter:
        labels = segmenter.segment(ct).labels.array
    means = [ct.array[labels == value].mean() for value in range(5)]
    assert means == sorted(means)


def test_every_way_of_storing_a_scan_gives_the_same_labels(tmp_path: Path, ct: Volume) -> None:
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), FAKE) as segmenter:
        expected = segmenter.segment(ct).labels.array
        for code in ("ILA", "RSP", "PLI"):
            turn = Reorientation.to(ct.grid, code)
            turned = Volume(np.ascontiguousarray(turn.apply(ct.array)), turn.grid(ct.grid))
            np.testing.assert_array_equal(turn.undo(segmenter.segment(turned).labels.array), expected)


def test_a_spooled_scan_gives_the_same_labels(tmp_path: Path, ct: Volume) -> None:
    slabs = [(z, ct.array[z : z + 5]) for z in range(0, ct.grid.shape_zyx[0], 5)]
    on_disk = DiskArray(ct.grid.shape_zyx, ct.array.dtype, slabs)
    spooled = Volume(on_disk, ct.grid, on_disk.measured)
    for coarse in (False, True):
        with Segmenter.open(fake_bundle(tmp_path / f"b{coarse}", fake_spec(coarse)), FAKE) as segmenter:
            np.testing.assert_array_equal(segmenter.segment(spooled).labels.array, segmenter.segment(ct).labels.array)


def test_threads_may_share_a_segmenter(tmp_path: Path, ct: Volume) -> None:
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), FAKE) as segmenter:
        expected, found = segmenter.segment(ct).labels.array, []
        threads = [threading.Thread(target=lambda: found.append(segmenter.segment(ct).labels.array)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    for labels in found:
        np.testing.assert_array_equal(labels, expected)


def test_a_budget_gives_the_same_labels_or_is_refused_before_work_begins(tmp_path: Path, ct: Volume) -> None:
    bundle = fake_bundle(tmp_path / "b", fake_spec(coarse=True))
    with Segmenter.open(bundle, FAKE) as free:
        expected = free.segment(ct).labels.array
    with Segmenter.open(bundle, replace(FAKE, max_memory_mb=100)) as bounded:
        np.testing.assert_array_equal(bounded.segment(ct).labels.array, expected)
    calls: list[object] = []
    with Segmenter.open(bundle, replace(FAKE, max_memory_mb=1)) as starved, pytest.raises(BudgetError, match="at least"):
        starved.segment(ct, lambda *step: calls.append(step))
    assert calls == []


def test_what_is_asked_for_by_name_runs_or_fails(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "b", fake_spec())
    for options, word in [
        (replace(FAKE, backend="nonesuch"), "nonesuch"),
        (RunOptions(device="gpu"), "auto, cpu or cuda:N"),
        (RunOptions(device="cpu", backend="tensorrt"), "NVIDIA GPU"),
    ]:
        with pytest.raises(DeviceError, match=word):
            Segmenter.open(bundle, options)


def test_a_scan_smaller_than_a_patch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Volume(rng.integers(-200, 300, (3, 5, 1)).astype(np.int16), Grid((3, 5, 1), (5.0, 0.7, 0.9)))
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec(coarse=True)), FAKE) as segmenter:
        assert segmenter.segment(small).labels.array.shape == (3, 5, 1)


def test_the_number_of_threads_changes_no_label(tmp_path: Path, ct: Volume) -> None:
    bundle = fake_bundle(tmp_path / "b", fake_spec(coarse=True))
    found = []
    for threads in (1, 2, 3):
        with Segmenter.open(bundle, replace(FAKE, threads=threads)) as segmenter:
            assert segmenter.placement.session.threads == threads
            found.append(segmenter.segment(ct).labels.array)
    for labels in found[1:]:
        np.testing.assert_array_equal(labels, found[0])


@pytest.mark.parametrize("mode", [mode for mode, settings in MODES.items() if not settings.never_fp32])  # the fake is fp32
@pytest.mark.parametrize("coarse", [True, False])
def test_the_budget_is_read_once_and_nothing_is_planned_twice(
    tmp_path: Path, ct: Volume, monkeypatch: pytest.MonkeyPatch, mode: Mode, coarse: bool
) -> None:
    reads, plans = [], []

    def counted(stage: StageSpec, view: ScanView, box: Box, raster: Raster = "scan") -> PassPlan:
        plans.append((stage, box, raster))
        return plan_pass(stage, view, box, raster)

    monkeypatch.setattr("flare_trt.engine.segmenter.obtainable_bytes", lambda: reads.append(1) or 1 << 30)
    monkeypatch.setattr("flare_trt.engine.passes.stage_run.plan_pass", counted)
    monkeypatch.setattr("flare_trt.engine.passes.growing_box.plan_pass", counted)
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec(coarse=coarse)), replace(FAKE, mode=mode)) as segmenter:
        found = segmenter.segment(ct)
    assert len(reads) == 1
    assert len(plans) == len(set(plans)) >= (2 if coarse else 1)
    assert found.labels.array.any()


def test_a_budget_that_the_machine_has_lost_since_does_not_split_check_and_run(
    tmp_path: Path, ct: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([1 << 30])  # a second look would find nothing at all
    monkeypatch.setattr("flare_trt.engine.segmenter.obtainable_bytes", lambda: next(left, 0))
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec(coarse=True)), FAKE) as segmenter:
        assert segmenter.segment(ct).labels.array.any()


def test_what_is_no_volume_and_a_closed_model_are_our_errors(tmp_path: Path, ct: Volume) -> None:
    segmenter = Segmenter.open(fake_bundle(tmp_path / "b", fake_spec()), FAKE)
    with pytest.raises(InputError, match=r"got a ndarray, expected a Volume .*; give arrays to segment_array"):
        segmenter.segment(ct.array)  # type: ignore[arg-type]
    segmenter.close()
    segmenter.close()
    for segment in (lambda: segmenter.segment(ct), lambda: segmenter.segment_array(ct.array, ct.grid)):
        with pytest.raises(BundleError, match="the model has been closed"):
            segment()
