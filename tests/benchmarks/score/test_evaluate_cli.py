from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.phantoms import label_map, save_labels

from flare_trt.benchmarks.score import evaluate_cli

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
