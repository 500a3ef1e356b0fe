"""Rules of a bundle on random label maps: beside nnU-Net's own functions, beside a definition, on every device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.run_report import RemovedPieces
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.passes.postprocess import remove_pieces
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import load

SPACING_MM = (3.0, 1.5, 2.0)
ML = 9.0 / 1000
NAMES = {1: "liver", 2: "spleen", 3: "pancreas"}


def strewn(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros((17, 26, 31), np.uint8)
    for label in (1, 2, 3, 1, 2, 3, 1):
        start = [rng.integers(0, n - 4) for n in labels.shape]
        labels[tuple(slice(s, s + rng.integers(2, 9)) for s in start)] = label
    specks = rng.random(labels.shape) < 0.01
    labels[specks] = rng.integers(1, 4, int(specks.sum()))
    return labels


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labels", [(1, 2, 3), (2,), (1, 3)])
def test_keep_largest_equals_nnunet(seed: int, labels: tuple[int, ...]) -> None:
    peer = pytest.importorskip("nnunetv2.postprocessing.remove_connected_components")
    found = strewn(seed)
    expected = peer.remove_all_but_largest_component_from_segmentation(found, [*labels])
    assert np.count_nonzero(expected) < np.count_nonzero(found)
    remove_pieces(found, [ComponentRule(labels, keep_largest=True)], NAMES, SPACING_MM, load("native"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.peer
def test_rules_in_a_row_equal_nnunet() -> None:
    """All foreground first, then each class, as nnUNetv2_determine_postprocessing tries them."""
    peer = pytest.importorskip("nnunetv2.postprocessing.remove_connected_components")
    rules = [(1, 2, 3), (1,), (3,)]
    found = strewn(7)
    function = peer.remove_all_but_largest_component_from_segmentation
    expected = peer.apply_postprocessing(found, [function] * 3, [{"labels_or_regions": list(rule)} for rule in rules])
    remove_pieces(found, [ComponentRule(rule, keep_largest=True) for rule in rules], NAMES, SPACING_MM, load("native"))
    np.testing.assert_array_equal(found, expected)


def test_equals_of_the_largest_stay() -> None:
    labels = np.zeros((5, 9, 11), np.uint8)
    labels[1, 1:3, 1:3] = labels[3, 5:7, 7:9] = 2
    labels[1, 8, 8] = 2
    removed = remove_pieces(labels, [ComponentRule((2,), keep_largest=True)], NAMES, SPACING_MM, load("reference"))
    assert np.count_nonzero(labels) == 8
    assert removed == (RemovedPieces("spleen", 1, round(ML, 3)),)


def test_small_and_far_pieces_go_by_volume_and_distance() -> None:
    labels = np.zeros((21, 16, 33), np.uint8)
    labels[2:8, 2:8, 2:8] = 1  # the main piece, 216 voxels
    labels[2:5, 2:5, 10:13] = 1  # 27 voxels, 2 voxels = 4 mm to the right
    labels[14:17, 2:5, 2:5] = 1  # 27 voxels, 6 voxels = 18 mm up
    labels[2, 12, 2] = 1  # a speck
    labels[2:5, 12:15, 28:31] = 2  # of another label: untouched
    rule = ComponentRule((1,), least_ml=20 * ML, farthest_mm=17.9)
    removed = remove_pieces(labels, [rule], NAMES, SPACING_MM, load("native"))
    assert removed == (RemovedPieces("liver", 2, round(28 * ML, 3)),)
    assert np.count_nonzero(labels == 1) == 216 + 27
    assert np.count_nonzero(labels == 2) == 27


@pytest.mark.parametrize("device", ["native", "reference"])
def test_labels_of_a_turned_scan_are_a_view(device: str) -> None:
    labels = strewn(3)
    view = np.ascontiguousarray(labels.transpose(2, 0, 1)[:, ::-1])[:, ::-1].transpose(1, 2, 0)
    assert not view.flags.c_contiguous
    rules = [ComponentRule((1, 2, 3), least_ml=5 * ML), ComponentRule((1,), keep_largest=True)]
    removed = remove_pieces(view, rules, NAMES, SPACING_MM, load(device))
    assert removed == remove_pieces(labels, rules, NAMES, SPACING_MM, load(device))
    assert removed
    np.testing.assert_array_equal(view, labels)


def test_labels_that_are_absent_or_whole_stay_as_they_are() -> None:
    labels = np.zeros((6, 7, 9), np.uint8)
    labels[2:4, 2:4, 2:4] = 1
    before = labels.copy()
    rules = [ComponentRule((3,), keep_largest=True), ComponentRule((1,), keep_largest=True)]
    assert remove_pieces(labels, rules, NAMES, SPACING_MM, load("native")) == ()
    np.testing.assert_array_equal(labels, before)


def test_the_gpu_removes_what_the_host_does() -> None:
    """On the CPU stand-in of a GPU."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    from tests.fakes import fake_cupy, shim_build

    rules = [ComponentRule((1, 2, 3), least_ml=5 * ML), ComponentRule((1,), keep_largest=True), ComponentRule((2,), farthest_mm=6)]
    expected = strewn(3)
    told = remove_pieces(expected, rules, NAMES, SPACING_MM, load("native"))
    assert len(told) == 3
    with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY)):
        kernels = load("cuda")
        with kernels.active():
            labels = kernels.upload(strewn(3))
            assert remove_pieces(labels, rules, NAMES, SPACING_MM, kernels) == told
            np.testing.assert_array_equal(kernels.download(labels), expected)


def test_a_bundle_s_rules_are_applied_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    hu = rng.normal(-140, 30, (19, 25, 27)).astype(np.int16)
    hu[4:12, 5:15, 5:15] = 250
    ct = Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0)))
    options = RunOptions(device="cpu", threads=1)
    plain = write_tiny_bundle(tmp_path / "plain.zip")
    ruled = write_tiny_bundle(tmp_path / "ruled.zip", postprocessing=(ComponentRule((1,), keep_largest=True),))
    with Segmenter.open(plain, options) as segmenter:
        before = segmenter.segment(ct)
    with Segmenter.open(ruled, options) as segmenter:
        after = segmenter.segment(ct)
    expected = np.array(before.labels.array)
    told = remove_pieces(
        expected, [ComponentRule((1,), keep_largest=True)], segmenter.spec.label_names, (3.0, 2.0, 2.0), load("reference")
    )
    assert told[0].pieces > 1
    np.testing.assert_array_equal(after.labels.array, expected)
    assert before.report.postprocessing == ()
    assert after.report.postprocessing == told
    assert "postprocess" in after.report.stages
    assert "postprocess" not in before.report.stages
