"""Meaning of output channels, beside nnU-Net's own LabelManager."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.dataset_json import input_names, outputs_of
from flare_trt.export.json_file import JsonObject

LABELS: list[dict[str, Any]] = [
    {"labels": {"background": 0, "liver": 1, "spleen": 2}},
    {"labels": {"spleen": 2, "background": 0, "liver": 1, "ignore": 3}},
    {"labels": {"background": 0, "liver": [1], "spleen": 2}},
    {"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}, "regions_class_order": [1, 2, 3]},
    {"labels": {"background": 0, "part": [3], "whole": [1, 3], "rest": 2, "ignore": 4}, "regions_class_order": [2, 3, 1]},
]


@pytest.mark.peer
@pytest.mark.parametrize("data", LABELS)
def test_labels_as_nnunet_paints_them(data: dict[str, Any]) -> None:
    handling = pytest.importorskip("nnunetv2.utilities.label_handling.label_handling")
    manager = handling.LabelManager(data["labels"], data.get("regions_class_order"))
    ours = outputs_of(JsonObject(data, "dataset.json"))
    assert len(ours.channel_values) == manager.num_segmentation_heads
    logits = np.random.default_rng(3).normal(size=(manager.num_segmentation_heads, 5, 7, 9)).astype(np.float32)
    theirs = np.asarray(manager.convert_logits_to_segmentation(logits))
    if ours.activation == "argmax":
        painted = np.array(ours.channel_values)[logits.argmax(0)]
    else:
        painted = np.zeros(logits.shape[1:], int)
        for value, channel in zip(ours.channel_values, logits, strict=True):
            painted[channel > 0] = value
    np.testing.assert_array_equal(painted, theirs)
    assert set(ours.names) == set(np.unique(theirs)) - {0}


def test_names_of_regions_say_what_is_left_of_them() -> None:
    assert outputs_of(JsonObject(LABELS[3], "dataset.json")).names == {1: "whole (rest)", 2: "core (rest)", 3: "enhancing"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"labels": {"liver": 1}}, "labels.background: got None, expected 0"),
    ({"labels": {"background": 1, "liver": 0}}, "labels.background: got 1, expected 0"),
    ({"labels": {"background": 0, "liver": 1, "spleen": 3}}, r"got the values \[0, 1, 3\], expected 0, 1, 2, ... without gaps"),
    ({"labels": {"background": 0, "liver": 1, "spleen": 1}}, r"got the values \[0, 1, 1\]"),
    ({"labels": {"background": 0, "liver": "1"}}, "labels.liver: got '1', expected a label"),
    ({"labels": {"background": 0, "liver": -1}}, "labels.liver: got -1"),
    ({"labels": {"background": 0, "liver": True}}, "labels.liver: got True"),
    ({"labels": {"background": 0, "liver": 65536}}, "got a label 65536, expected at most 65535"),
    ({"labels": {"background": 0, "whole": [1, 2], "part": 2}}, "the key 'regions_class_order' is missing"),
    (
        {"labels": {"background": 0, "whole": [1, 2], "part": 2}, "regions_class_order": [1]},
        "got 1 values, expected 2, one a region",
    ),
    ({"labels": {"background": 0, "whole": [1, 2], "part": 2}, "regions_class_order": [1, 1]}, r"got \[1, 1\], expected different"),
    ({"labels": {"background": 0, "whole": [1, 2], "part": 2}, "regions_class_order": [0, 1]}, r"got \[0, 1\], expected different"),
]


@pytest.mark.parametrize(("data", "word"), REFUSED)
def test_unclear_labels_are_refused(data: dict[str, Any], word: str) -> None:
    with pytest.raises(ExportError, match=f"dataset.json: .*{word}|{word}"):
        outputs_of(JsonObject(data, "dataset.json"))


def test_all_255_labels_fit() -> None:
    labels = {str(value) if value else "background": value for value in range(256)}
    assert outputs_of(JsonObject({"labels": labels}, "dataset.json")).channel_values == tuple(range(256))


@pytest.mark.parametrize("key", ["channel_names", "modality"])
def test_input_channels_have_names(key: str) -> None:
    assert input_names(JsonObject({key: {"0": "T2"}}, "dataset.json")) == ("T2",)
    assert input_names(JsonObject({key: {"1": "PET", "0": "CT"}}, "dataset.json")) == ("CT", "PET")
    assert input_names(JsonObject({key: {"0": "MR", "1": "MR", "2": "T2"}}, "dataset.json")) == ("MR 0", "MR 1", "T2")
    with pytest.raises(ExportError, match=rf"{key}: got channels \['1'\], expected numbers from 0 up"):
        input_names(JsonObject({key: {"1": "CT"}}, "dataset.json"))
