"""nnU-Net's postprocessing.json, as nnUNetv2_determine_postprocessing writes it, becomes rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.engine.passes.postprocess import remove_pieces
from flare_trt.export.postprocessing import read_postprocessing
from flare_trt.kernels import load

NAMES = {1: "liver", 2: "spleen", 3: "aorta"}
LARGEST = "remove_all_but_largest_component_from_segmentation"


def written(folder: Path, functions: list[Any], arguments: list[Any]) -> Path:
    file = folder / "postprocessing.json"
    content = {"input_folder": {}, "postprocessed": {}, "postprocessing_fns": functions, "postprocessing_kwargs": arguments}
    file.write_text(json.dumps(content))
    return file


def test_functions_become_rules_in_their_order(tmp_path: Path) -> None:
    kwargs = [{"labels_or_regions": [1, 2, 3]}, {"labels_or_regions": 2}, {"labels_or_regions": [[1, 2], 3]}]
    assert read_postprocessing(written(tmp_path, [LARGEST] * 3, kwargs), NAMES) == (
        ComponentRule((1, 2, 3), keep_largest=True),
        ComponentRule((2,), keep_largest=True),
        ComponentRule((1, 2, 3), keep_largest=True),
    )
    assert read_postprocessing(written(tmp_path, [], []), NAMES) == ()


@pytest.mark.parametrize(
    ("functions", "arguments", "message"),
    [
        ([LARGEST], [], "got 1 functions with 0 sets"),
        (["fill_holes"], [{"labels_or_regions": 1}], "got 'fill_holes'"),
        ([LARGEST], [{"labels_or_regions": 1, "threshold": 5}], "expected remove_all_but_largest"),
        ([LARGEST], [{"labels_or_regions": 1, "background_label": 2}], "background_label: got 2"),
        ([LARGEST], [{"labels_or_regions": [1, 9]}], r"got \[1, 9\], expected labels of the model out of \[1, 2, 3\]"),
        ([LARGEST], [{"labels_or_regions": "liver"}], "got 'liver', expected a label"),
        ([LARGEST], [{}], "got None, expected a label"),
    ],
)
def test_what_nnunet_does_not_write_is_refused(tmp_path: Path, functions: list[Any], arguments: list[Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read_postprocessing(written(tmp_path, functions, arguments), NAMES)


@pytest.mark.peer
def test_nnunets_own_file_gives_nnunets_own_labels(tmp_path: Path) -> None:
    """What nnU-Net determines on a small set is read, and does to a label map what nnUNetv2_apply_postprocessing does."""
    peer = pytest.importorskip("nnunetv2.postprocessing.remove_connected_components")
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    rng = np.random.default_rng(1)
    properties = {
        "sitk_stuff": {"spacing": (1, 1, 1), "origin": (0, 0, 0), "direction": (1, 0, 0, 0, 1, 0, 0, 0, 1)},
        "spacing": [1, 1, 1],
    }
    for folder in ("found", "truth"):
        (tmp_path / folder).mkdir()
    for case in ("a", "b"):
        truth = np.zeros((9, 16, 21), np.uint8)
        truth[2:7, 2:9, 2:9], truth[2:7, 10:14, 4:9], truth[3:6, 4:9, 12:18] = 1, 2, 3
        found = np.where(rng.random(truth.shape) < 0.02, 1, truth).astype(np.uint8)
        for name, labels in (("truth", truth), ("found", found)):
            SimpleITKIO().write_seg(labels, str(tmp_path / name / f"{case}.nii.gz"), properties)
    dataset = {
        "labels": {"background": 0, "liver": 1, "spleen": 2, "aorta": 3},
        "file_ending": ".nii.gz",
        "channel_names": {"0": "CT"},
    }
    plans = {"image_reader_writer": "SimpleITKIO", "plans_name": "p", "dataset_name": "d", "configurations": {}}
    folders = str(tmp_path / "found"), str(tmp_path / "truth")
    functions, kwargs = peer.determine_postprocessing(*folders, plans, dataset, 1, keep_postprocessed_files=False)
    assert functions
    rules = read_postprocessing(tmp_path / "found" / "postprocessing.json", NAMES)
    labels = SimpleITKIO().read_seg(str(tmp_path / "found" / "a.nii.gz"))[0][0].astype(np.uint8)
    expected = peer.apply_postprocessing(labels, functions, kwargs)
    remove_pieces(labels, rules, NAMES, (1.0, 1.0, 1.0), load("native"))
    np.testing.assert_array_equal(labels, expected)
