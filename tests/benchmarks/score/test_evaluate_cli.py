from __future__ import annotations

import argparse
import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.phantoms import label_map, save_labels

from flare_trt.benchmarks.score import evaluate_cli
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.image_files import read_labels

SPACING = (3.0, 0.8, 0.7)


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    evaluate_cli.configure(parser)
    return evaluate_cli.run(parser.parse_args([str(word) for word in words]))


def test_scores_a_folder_and_writes_table_csv_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case, seed in (("one", 1), ("two", 2)):
        reference = label_map(seed, (9, 21, 17), (1, 2, 5, 14))
        prediction = np.where(reference == 2, 0, reference).astype(np.uint8)
        for folder, labels in (("p", prediction), ("r", reference)):
            (tmp_path / folder).mkdir(exist_ok=True)
            save_labels(tmp_path / folder / f"{case}.nii.gz", labels, SPACING)
    save_labels(tmp_path / "p" / "three.nii.gz", prediction, SPACING)
    assert run(tmp_path / "p", tmp_path / "r", "--csv", tmp_path / "o.csv", "--json", tmp_path / "o.json") == 0
    shown = capsys.readouterr().out
    assert "2 case(s), labels flare23, protocol flare23" in shown
    assert "no reference: three" in shown
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert [row["Name"] for row in rows] == ["one", "two"]
    assert float(rows[0]["Liver_DSC"]) == float(rows[0]["Lesion_NSD"]) == 1.0
    assert float(rows[0]["RK_DSC"]) == float(rows[0]["RK_NSD"]) == 0.0
    report = json.loads((tmp_path / "o.json").read_text())
    assert report["predictions_without_reference"] == ["three"]
    assert report["means"]["right kidney"]["dsc"] == 0.0
    assert report["cases"]["two"]["liver"] == {"dsc": 1.0, "nsd": 1.0}
    assert report["organ_mean"]["dsc"] == pytest.approx(12 / 13, abs=1e-4)
    assert report["tolerance_mm"]["duodenum"] == 7


def test_plain_scores_of_absent_structures_are_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_labels(tmp_path / "a.nii", label_map(3, (5, 11, 13), (1,)), SPACING)
    arguments = path, path, "--protocol", "plain", "--labels", "flare22", "--csv", tmp_path / "o.csv", "--json", tmp_path / "o.json"
    assert run(*arguments) == 0
    assert "Lesion" not in (tmp_path / "o.csv").read_text()
    row = next(csv.DictReader((tmp_path / "o.csv").open()))
    assert (row["Liver_DSC"], row["Spleen_DSC"], row["Spleen_NSD"]) == ("1.0", "", "")
    assert json.loads((tmp_path / "o.json").read_text())["means"]["spleen"]["dsc"] is None
    assert "nan" in capsys.readouterr().out


LABELS = {"background": 0, "whole kidney": [1, 2], "cyst": [2], "rib": [3], "absent": [4], "ignore": 5}


def nnunet_folders(folder: Path, labels: dict[str, Any]) -> tuple[Path, Path, Path]:
    """Predictions, references with some voxels to ignore, and their dataset.json."""
    places = folder / "labelsTs", folder / "predicted", folder / "dataset.json"
    places[2].write_text(
        json.dumps({"labels": labels, "regions_class_order": [1, 2, 3, 4], "file_ending": ".nii.gz", "channel_names": {"0": "CT"}})
    )
    for seed in (1, 2, 3):
        reference = label_map(seed, (9, 21, 17), (1, 2, 3) if seed < 3 else (1, 3))
        prediction = np.roll(reference, (1, -1, 2), (0, 1, 2))
        prediction[prediction == 2] = 2 if seed < 2 else 1
        if "ignore" in labels:
            reference[2:5, 3:14, 4:9] = 5
        for place, array in zip(places[:2], (reference, prediction), strict=True):
            place.mkdir(exist_ok=True)
            save_labels(place / f"case{seed}.nii.gz", array, SPACING)
    return places[1], places[0], places[2]


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["regions and ignore", "labels"])
def test_dice_equals_nnunets(tmp_path: Path, kind: str) -> None:
    evaluation = pytest.importorskip("nnunetv2.evaluation.evaluate_predictions")
    labels = LABELS if kind != "labels" else {"background": 0, "kidney": 1, "cyst": 2, "rib": 3, "absent": 4}
    predicted, references, dataset = nnunet_folders(tmp_path, labels)
    plans = Path(__file__).parents[2] / "golden" / "models" / "plain" / "plans.json"
    summary, ours = tmp_path / "summary.json", tmp_path / "ours.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of a label that is nowhere
        evaluation.compute_metrics_on_folder2(str(references), str(predicted), str(dataset), str(plans), str(summary), 1)
    assert run("--prediction", predicted, "--reference", references, "--labels", dataset, "--json", ours) == 0
    theirs, report = json.loads(summary.read_text()), json.loads(ours.read_text())
    keys = [
        str(tuple(value)) if isinstance(value, list) else str(value)
        for name, value in labels.items()
        if name not in ("background", "ignore")
    ]
    names = [name for name in labels if name not in ("background", "ignore")]
    assert report["protocol"] == "plain"
    for case in theirs["metric_per_case"]:
        own = report["cases"][Path(case["prediction_file"]).name.removesuffix(".nii.gz")]
        for name, key in zip(names, keys, strict=True):
            expected = case["metrics"][key]["Dice"]
            assert own[name]["dsc"] is None if np.isnan(expected) else own[name]["dsc"] == pytest.approx(expected, abs=1e-15)
    for name, key in zip(names[:-1], keys[:-1], strict=True):
        assert 0 < report["means"][name]["dsc"] < 1
        assert report["means"][name]["dsc"] == pytest.approx(theirs["mean"][key]["Dice"], abs=1e-15)


@pytest.mark.peer
def test_nsd_of_given_tolerances_equals_surface_distance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = pytest.importorskip("surface_distance.metrics")
    predicted, references, dataset = nnunet_folders(tmp_path, {"background": 0, "kidney": 1, "cyst": 2, "rib": 3, "absent": 4})
    words = "--labels", dataset, "--tolerance", "rib=1.5", "--tolerance", "kidney=0.9", "--json", tmp_path / "o.json"
    assert run(predicted, references, *words) == 0
    shown = capsys.readouterr()
    assert "no NSD, since no --tolerance is given: cyst, absent" in shown.out
    assert "mean of the labels" in shown.out
    assert shown.err == ""
    report = json.loads((tmp_path / "o.json").read_text())
    assert (report["tolerance_mm"]["rib"], report["tolerance_mm"]["cyst"], report["cases"]["case1"]["cyst"]["nsd"]) == (
        1.5,
        None,
        None,
    )
    assert report["label_mean"]["count"] == 3
    volumes = [read_labels(folder / "case1.nii.gz") for folder in (references, predicted)]
    for value, name, tolerance in ((1, "kidney", 0.9), (3, "rib", 1.5)):
        masks = [volume.array == value for volume in volumes]
        distances = metrics.compute_surface_distances(*masks, volumes[0].grid.spacing_mm)
        expected = metrics.compute_surface_dice_at_tolerance(distances, tolerance)
        assert report["cases"]["case1"][name]["nsd"] == pytest.approx(expected, abs=1e-12)


def test_a_swap_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, references, dataset = nnunet_folders(tmp_path, {"background": 0, "kidney": 1, "cyst": 2, "rib": 3})
    assert run(references, predicted, "--labels", dataset) == 0
    assert "labelsTs is called as references are" in capsys.readouterr().err
    assert run("--prediction", references, "--reference", predicted, "--labels", dataset) == 0
    assert capsys.readouterr().err == ""


def test_only_a_reference_may_hold_what_is_ignored(tmp_path: Path) -> None:
    predicted, references, dataset = nnunet_folders(tmp_path, LABELS)
    assert run(predicted, references, "--labels", dataset) == 0
    with pytest.raises(InputError, match=r"case1\.nii\.gz: holds the labels \[5\], expected"):
        run(references, predicted, "--labels", dataset)


@pytest.mark.parametrize(
    "words",
    [("--protocol", "flare23", "--labels", "DATASET"), ("--protocol", "flare23", "--tolerance", "2"), ("--tolerance", "liver=2")],
)
def test_the_official_rules_take_their_own_labels_and_tolerances(tmp_path: Path, words: tuple[str, ...]) -> None:
    predicted, references, dataset = nnunet_folders(tmp_path, {"background": 0, "kidney": 1, "cyst": 2, "rib": 3})
    with pytest.raises(InputError, match=r"--protocol flare23: got --.*; use --protocol plain"):
        run(predicted, references, *(dataset if word == "DATASET" else word for word in words))


@pytest.mark.parametrize("text", ["x", "liver=", "liver=-1", "nan", "inf", "1e9"])
def test_tolerances_are_numbers_of_mm(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("a", "b", "--tolerance", text)
    assert "expected 0 to 100 mm" in capsys.readouterr().err
