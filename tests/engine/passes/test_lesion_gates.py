"""Each gate stops what it is for, and nothing else; what it stops gets the label of the organ around it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.run_report import GatedLesion, KeptLesion
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.afterwards_spec import ComponentRule, LesionGates
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.passes.lesion_gates import Gating, gate_lesions
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import load

SPACING_MM = (3.0, 1.5, 2.0)
ML = 9.0 / 1000
NAMES = {1: "liver", 14: "tumour"}
#: A label with a second channel for its surest voxels.
TWICE: dict[str, Any] = {"channel_values": (0, 1, 2, 2), "strong_label": 2}
GATES = LesionGates(14, least_ml=8 * ML, over_organ_hu=(-80.0, 60.0), mean_hu=(35.0, 1e6), least_filled=0.1, farthest_mm=12.0)

#: Where pieces lie, their HU, and the gate that stops them. The liver (110 HU) fills y < 30.
PIECES = {
    "lesion": (np.s_[4:9, 8:18, 8:16], 60, None),
    "speck": (np.s_[14, 4:6, 4:6], 60, "volume"),
    "bright": (np.s_[14:18, 10:18, 18:24], 180, "hu"),
    "cyst": (np.s_[14:18, 10:18, 8:14], 33, "hu"),
    "plate": (np.s_[20, 4:28, 4:30], 70, "shape"),
    "far": (np.s_[4:9, 42:52, 8:16], 60, "position"),
    "bulging": (np.s_[10:14, 27:35, 24:30], 60, None),
}


def scan(*names: str) -> tuple[np.ndarray, np.ndarray]:
    hu, labels = np.full((24, 55, 34), -100, np.int16), np.zeros((24, 55, 34), np.uint8)
    hu[:, :30], labels[:, :30] = 110, 1
    for name in names or PIECES:
        place, value, _ = PIECES[name]
        hu[place], labels[place] = value, 14
    return hu, labels


@pytest.mark.parametrize("name", PIECES)
def test_each_piece_meets_its_gate(name: str) -> None:
    hu, labels = scan(name)
    place, value, gate = PIECES[name]
    told = gate_lesions(hu, labels, GATES, None, (NAMES, SPACING_MM), load("native")).stopped
    if gate is None:
        assert told == ()
        assert np.all(labels[place] == 14)
        return
    (found,) = told
    organ = "" if name == "far" else "liver"
    assert (found.gate, found.organ, found.mean_hu) == (gate, organ, float(value))
    assert labels[found.centre_zyx] == (1 if organ else 0)
    assert not np.any(labels == 14)
    assert np.all(labels[place] == (1 if organ else 0))


def test_fluid_that_only_touches_an_organ_is_none_and_becomes_background() -> None:
    hu, labels = scan("lesion")
    fluid = np.s_[2:22, 30:50, 2:30]
    hu[fluid], labels[fluid] = 20, 14
    gates = LesionGates(14, least_beside=0.3)
    (found,) = gate_lesions(hu, labels, gates, None, (NAMES, SPACING_MM), load("native")).stopped
    assert (found.gate, found.organ) == ("position", "")
    assert np.all(labels[fluid] == 0)
    assert np.all(labels[PIECES["lesion"][0]] == 14)


def test_all_pieces_of_a_scan_are_judged() -> None:
    hu, labels = scan()
    told = gate_lesions(hu, labels, GATES, None, (NAMES, SPACING_MM), load("reference")).stopped
    assert sorted(lesion.gate for lesion in told) == ["hu", "hu", "position", "shape", "volume"]
    kept = np.zeros(labels.shape, bool)
    for name in ("lesion", "bulging"):
        kept[PIECES[name][0]] = True
    np.testing.assert_array_equal(labels == 14, kept)


@pytest.mark.parametrize("device", ["native", "reference"])
def test_labels_of_a_turned_scan_are_a_view(device: str) -> None:
    """In a scan whose axes run elsewhere than the network's, the labels are a strided view of what the network saw."""
    hu, labels = scan()
    turned = np.ascontiguousarray(labels[::-1].transpose(2, 0, 1))
    view = turned.transpose(1, 2, 0)[::-1]
    assert not view.flags.c_contiguous
    told = gate_lesions(hu, view, GATES, None, (NAMES, SPACING_MM), load(device))
    assert told == gate_lesions(hu, labels, GATES, None, (NAMES, SPACING_MM), load(device))
    np.testing.assert_array_equal(view, labels)


def test_open_gates_and_healthy_scans_change_nothing() -> None:
    hu, labels = scan()
    before = labels.copy()
    assert gate_lesions(hu, labels, LesionGates(14), None, (NAMES, SPACING_MM), load("native")) == Gating()
    np.testing.assert_array_equal(labels, before)
    labels[labels == 14] = 1
    assert gate_lesions(hu, labels, GATES, None, (NAMES, SPACING_MM), load("native")) == Gating()


def test_a_bundle_s_gates_are_in_the_report(tmp_path: Path) -> None:
    """The tiny network bands intensities: its label 3 stands for tumours here."""
    hu = np.full((19, 25, 27), -300, np.int16)
    hu[3:15, 4:20, 4:20], hu[6:8, 8:10, 8:10] = 100, 300
    ct, gates = Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0))), LesionGates(3, least_ml=1.0)
    bundle = write_tiny_bundle(tmp_path / "gated.zip", lesion_gates=gates)
    with Segmenter.open(bundle, RunOptions(device="cpu", threads=1)) as segmenter:
        found = segmenter.segment(ct)
    assert found.report.gated == (GatedLesion("volume", round(8 * 0.012, 3), "spleen", 300.0, (7, 9, 9)),)
    assert not np.any(found.labels.array == 3)
    assert replace(gates, least_ml=0.0).least_ml == 0


@pytest.mark.parametrize("device", ["native", "reference"])
def test_a_piece_needs_voxels_that_are_surely_tumour(device: str) -> None:
    hu, labels = scan("lesion", "bulging")
    labels[5:7, 10:14, 9:14] = 15
    gates = replace(GATES, least_strong_ml=40 * ML)
    gating = gate_lesions(hu, labels, gates, 15, (NAMES, SPACING_MM), load(device))
    (found,) = gating.stopped
    assert gating.kept == (KeptLesion((4, 8, 8), (9, 18, 16), 0.1),)
    assert (found.gate, found.volume_ml) == ("certainty", round(192 * ML, 3))
    expected = np.zeros(labels.shape, bool)
    expected[PIECES["lesion"][0]] = True
    np.testing.assert_array_equal(labels == 14, expected)
    assert not np.any(labels == 15)


def test_surest_voxels_alone_are_tumour_too_and_none_stays_marked() -> None:
    hu, labels = scan("lesion")
    labels[labels == 14] = 15
    gating = gate_lesions(hu, labels, replace(GATES, least_strong_ml=0.1), 15, (NAMES, SPACING_MM), load("native"))
    assert gating == Gating((), (KeptLesion((4, 8, 8), (9, 18, 16), 1.0),))
    assert np.all(labels[PIECES["lesion"][0]] == 14)
    assert not np.any(labels == 15)


def test_a_network_with_two_channels_of_a_label(tmp_path: Path) -> None:
    """The tiny network bands intensities: 250 HU is in the band of its third channel, 300 HU in that of its fourth."""
    hu = np.full((19, 25, 43), -300, np.int16)
    hu[3:15, 4:20, 4:40], hu[5:10, 8:13, 8:13], hu[5:10, 8:13, 24:29] = 40, 130, 130
    hu[6:8, 9:11, 9:11] = 300
    gates = LesionGates(2, least_strong_ml=0.05)
    bundle = write_tiny_bundle(tmp_path / "two.zip", lesion_gates=gates, channel_values=(0, 1, 2, 2), strong_label=2)
    with Segmenter.open(bundle, RunOptions(device="cpu", threads=1)) as segmenter:
        found = segmenter.segment(Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0))))
    (stopped,) = found.report.gated
    assert (stopped.gate, stopped.centre_zyx) == ("certainty", (7, 10, 26))
    expected = np.zeros(hu.shape, bool)
    expected[5:10, 8:13, 8:13] = True
    np.testing.assert_array_equal(found.labels.array == 2, expected)
    assert set(np.unique(found.labels.array)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strong_label": 2, "lesion_gates": LesionGates(2)}, "strong_label"),
        ({**TWICE}, "strong_label"),
        ({**TWICE, "lesion_gates": LesionGates(1)}, "strong_label"),
        (
            {**TWICE, "lesion_gates": LesionGates(2), "postprocessing": (ComponentRule((2,), keep_largest=True),)},
            "postprocessing.labels",
        ),
    ],
)
def test_a_second_channel_for_surest_voxels_needs_the_label_s_gates(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        write_tiny_bundle(tmp_path / "two.zip", **changes)


def test_channels_that_share_a_label_are_that_label(tmp_path: Path) -> None:
    hu = np.full((19, 25, 27), -300, np.int16)
    hu[3:15, 4:20, 4:20], hu[6:8, 8:12, 8:12] = 130, 300
    bundle = write_tiny_bundle(tmp_path / "merged.zip", channel_values=(0, 1, 2, 2))
    with Segmenter.open(bundle, RunOptions(device="cpu", threads=1)) as segmenter:
        labels = segmenter.segment(Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0)))).labels.array
    assert np.all(labels[5:9, 7:13, 7:13] == 2)
    assert set(np.unique(labels)) <= {0, 1, 2}
