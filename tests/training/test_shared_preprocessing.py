"""Training and inference see the same voxels: what the engine hands to a network is what the network learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import NetworkFile, StageSpec
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.segmenter import Segmenter
from flare_trt.export.configuration import configuration_of
from flare_trt.export.json_file import JsonObject
from flare_trt.export.stage import stage_of
from flare_trt.training.distil.scans import network_image
from flare_trt.training.distil.student import Student
from flare_trt.training.distil.student_bundle import student_spec
from flare_trt.training.fit.plans import make_plans
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.training.distil.distil_fixtures import tiny_config
from tests.training.fit.test_plans import FINGERPRINT

PATCH = (24, 40, 44)


class Recorder:
    """A session that keeps the tiles and finds nothing."""

    backend, device, precision = "recorder", "cpu", "fp32"
    input_shape, channels = (1, 1, *PATCH), 4

    def __init__(self) -> None:
        self.tiles: list[np.ndarray] = []

    def run(self, tile: Any) -> Any:
        self.tiles.append(np.array(tile[0, 0]))
        return np.zeros((self.channels, *PATCH), np.float32)

    def close(self) -> None: ...


def seen_by_a_network(stage: StageSpec, ct: Volume, folder: Path) -> np.ndarray:
    """The only tile of a scan that fits into the patch, without its padding."""
    stage = replace(stage, patch_zyx=PATCH, channel_values=(0, 1, 2, 3), crop_nonzero=False)
    recorder = Recorder()
    with Segmenter.open(write_tiny_bundle(folder / "tiny"), RunOptions(device="cpu")) as segmenter:
        segmenter.spec = replace(segmenter.spec, fine=replace(stage, networks=segmenter.spec.fine.networks))
        segmenter._sessions["fine"] = [recorder]  # type: ignore[assignment]
        segmenter.segment(ct)
    (tile,) = recorder.tiles
    return tile


def unpadded(tile: np.ndarray, shape_zyx: tuple[int, ...]) -> np.ndarray:
    low = [(whole - size) // 2 for whole, size in zip(tile.shape, shape_zyx, strict=True)]
    return tile[tuple(slice(a, a + size) for a, size in zip(low, shape_zyx, strict=True))]


@pytest.fixture
def ct() -> Volume:
    volume, _ = make_phantom(6, (31, 37, 41), (7.0, 6.5, 6.0), PhantomOptions(centre_mm=20.0))
    return volume


def test_a_student_learns_from_what_the_engine_shows_it(ct: Volume, tmp_path: Path) -> None:
    config = tiny_config(spacing_mm=(10.0, 7.0, 6.5))
    pair = Student(config, None)
    tile = seen_by_a_network(student_spec(pair, pair).fine, ct, tmp_path)
    expected = network_image(ct, config.spacing_mm, config.teacher.intensity)
    assert expected.shape == (22, 34, 38)
    assert np.abs(unpadded(tile, expected.shape) - expected).max() < 1e-4


@pytest.mark.peer
@pytest.mark.parametrize("network", ["fine", "fine_cpu", "coarse_mini"])
def test_nnunet_trains_on_what_the_engine_shows_the_exported_network(network: str, ct: Volume, tmp_path: Path) -> None:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = make_plans(FINGERPRINT, "Dataset501_FLAREFine", "fine" if network.startswith("fine") else "coarse")
    spacing = plans["configurations"][network]["spacing"]
    scan = Volume(ct.array, Grid(ct.array.shape, tuple(mm * f for mm, f in zip(spacing, (0.7, 1.05, 0.9), strict=True))))
    manager = PlansManager(plans)
    preprocessor = DefaultPreprocessor(verbose=False)
    image, _, _ = preprocessor.run_case_npy(
        scan.array[None].astype(np.float32),
        None,
        {"spacing": list(scan.grid.spacing_mm)},
        manager,
        manager.get_configuration(network),
        {"labels": {"background": 0, "liver": 1}, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"},
    )
    expected = np.asarray(image[0], np.float32)
    source = JsonObject(plans, "plans.json")
    labels = {"background": 0, "liver": 1, "spleen": 2, "aorta": 3}
    dataset = JsonObject({"labels": labels, "channel_names": {"0": "CT"}}, "dataset.json")
    stage = stage_of(source, configuration_of(source, network), dataset, (NetworkFile("fine.onnx"),), None)
    tile = seen_by_a_network(stage, scan, tmp_path)
    assert np.abs(unpadded(tile, expected.shape) - expected).max() < 1e-4
