"""What is scored where --labels names a file or a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.benchmarks.score.targets import LABEL_SETS, Target, label_set, with_tolerances
from flare_trt.engine.base.errors import BundleError, InputError


def written(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_labels_regions_and_ignore_of_a_dataset_json(tmp_path: Path) -> None:
    labels = {"background": 0, "whole_kidney": [1, 2, 3], "tumor": [2], "Liver": 4, "ignore": 5}
    found = label_set(written(tmp_path / "dataset.json", {"labels": labels, "file_ending": ".nii.gz"}))
    assert found.targets == (
        Target("whole_kidney", "whole_kidney", (1, 2, 3), None),
        Target("tumor", "tumor", (2,), 2.0),
        Target("Liver", "Liver", (4,), 5.0),
    )
    assert (found.ignore, found.official) == (5, False)


@pytest.mark.parametrize(
    "table", [{"1": "rib 3", "7": "liver"}, {"rib 3": 1, "liver": 7}, {"labels": {"0": "background", "1": "rib 3", "7": "liver"}}]
)
def test_tables_of_names(tmp_path: Path, table: Any) -> None:
    found = label_set(written(tmp_path / "names.json", table))
    assert [(one.name, one.short, one.values, one.tolerance_mm) for one in found.targets] == [
        ("rib 3", "rib_3", (1,), None),
        ("liver", "liver", (7,), 5.0),
    ]


def test_a_bundle_names_its_labels(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    found = label_set(str(write_tiny_bundle(tmp_path / "bundle")))
    assert [(one.name, one.values) for one in found.targets] == [("liver", (1,)), ("spleen", (2,)), ("aorta", (3,))]
    assert not any(one.tubular for one in found.targets)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {},
        {"background": 0},
        {"a": 1, "b": 1},
        {"a": 65536},
        {"a": -1},
        {"a": True},
        {"a": []},
        {"a": "x"},
        {"a": None},
        {"1": "a", "a": 2},
    ],
)
def test_what_names_no_labels_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        label_set(written(tmp_path / "dataset.json", content))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 'flare21', expected flare22, flare23 or a file: a bundle"):
        label_set("flare21")
    (tmp_path / "no.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        label_set(str(tmp_path / "no.json"))
    with pytest.raises(BundleError):
        label_set(str(tmp_path))


def test_tolerances_by_name_and_for_the_rest(tmp_path: Path) -> None:
    labels = label_set(written(tmp_path / "names.json", {"rib": 1, "liver": 2, "spleen": 3}))
    assert [one.tolerance_mm for one in with_tolerances(labels, {}).targets] == [None, 5, 3]
    assert [one.tolerance_mm for one in with_tolerances(labels, {"rib": 1.5}).targets] == [1.5, 5, 3]
    assert [one.tolerance_mm for one in with_tolerances(labels, {"": 2, "liver": 0}).targets] == [2, 0, 2]
    with pytest.raises(InputError, match="got the names ribs, expected names out of rib, liver, spleen"):
        with_tolerances(labels, {"ribs": 1})
    assert with_tolerances(LABEL_SETS["flare23"], {}) == LABEL_SETS["flare23"]
