"""`flare-trt measure`, and what `segment` writes of a batch: one table whose numbers agree, and the errors."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from tests.engine.scans.dicom.series_files import IDENTITY, Look, small_ct, write_series
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.results.cohort import hashed
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_labels

HU = small_ct((19, 27, 25))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two patients with series folders of one name, and a damaged one."""
    for number, who in enumerate(("anna", "bert"), 1):
        look = Look(spacing_mm=(3.0, 2.1, 2.0), series_uid=f"1.2.{number}", study_uid=f"1.9.{number}")
        write_series(tmp_path / who / "CT", HU + 10 * number, look)
    bad = tmp_path / "carl" / "CT"
    shutil.copytree(tmp_path / "bert" / "CT", bad)
    for file in bad.iterdir():
        file.write_bytes(file.read_bytes()[:500])
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def segment(study: Path, bundle: Path, *words: str | Path) -> int:
    scans = sorted(study.glob("*/CT"))
    out = ["-o", study / "out" / "{parent}_{case}.dcm", "--model", bundle, "--device", "cpu"]
    return main(["segment", *map(str, [*scans, *out, *words])])


def test_one_table_of_a_batch_fresh_resumed_and_measured(study: Path, bundle: Path) -> None:
    files = ("--csv", study / "a.csv", "--summary", study / "a.html", "--report", study / "r" / "{parent}.json")
    assert segment(study, bundle, *files) == 1
    fresh = rows(study / "a.csv")
    assert [row["case"] for row in fresh] == ["anna/CT"] * 3 + ["bert/CT"] * 3 + ["carl/CT"]
    assert {row["series_uid"] for row in fresh} == {"1.2.1", "1.2.2", ""}
    assert "carl/CT: " in fresh[-1]["error"]
    written = (study / "a.csv").read_text() + (study / "a.html").read_text()
    assert [word for word in IDENTITY.values() if len(word) > 4 and word in written] == []
    report = json.loads((study / "r" / "anna.json").read_text())
    assert (report["study_uid"], report["series_uid"]) == ("1.9.1", "1.2.1")
    assert [organ["median_hu"] for organ in report["organs"]] == [float(row["median_hu"]) for row in fresh[:3]]
    (study / "out" / "bert_CT.dcm").unlink()
    assert segment(study, bundle, "--csv", study / "b.csv", "--resume") == 1
    assert rows(study / "b.csv") == fresh
    labels = study / "out" / "{parent}_{case}.dcm"
    words = [*sorted(study.glob("*/CT"))[:2], labels, "--csv", study / "c.csv", "--labels", bundle]
    assert main(["measure", *map(str, words)]) == 0
    same = ("case", "series_uid", "phase", "label", "organ", "voxels", "volume_ml", "mean_hu", "p90_hu", "completeness")
    assert [[row[name] for name in same] for row in rows(study / "c.csv")] == [[row[name] for name in same] for row in fresh[:-1]]


def test_hashed_uids(study: Path, bundle: Path) -> None:
    scan, out = study / "anna" / "CT", study / "o.nii.gz"
    words = ["segment", scan, "-o", out, "--model", bundle, "--csv", study / "a.csv", "--report", study / "r.json", "--hash-uids"]
    assert main(list(map(str, words))) == 0
    assert rows(study / "a.csv")[0]["series_uid"] == hashed("1.2.1")
    assert json.loads((study / "r.json").read_text())["study_uid"] == hashed("1.9.1")
    assert "1.2.1" not in (study / "r.json").read_text()
    assert main(["measure", *map(str, (scan, out, "--labels", bundle, "--csv", study / "b.csv", "--hash-uids"))]) == 0
    assert [row["series_uid"] for row in rows(study / "b.csv")] == [row["series_uid"] for row in rows(study / "a.csv")]


def test_two_sources_are_compared(study: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, out = study / "anna" / "CT", study / "o.nii.gz"
    assert main(["segment", *map(str, (scan, "-o", out, "--model", bundle))]) == 0
    labels = read_labels(out)
    labels.array[labels.array == 1] = 0
    write_labels(study / "other.nii.gz", labels)
    words = (
        scan,
        out,
        "--against",
        study / "other.nii.gz",
        "--labels",
        bundle,
        "--json",
        study / "m.json",
        "--csv",
        study / "m.csv",
    )
    assert main(["measure", *map(str, words)]) == 0
    assert "contrast phase, by its HU:" in capsys.readouterr().out
    assert [float(row["dsc"]) for row in rows(study / "m.csv")] == [0.0, 1.0, 1.0]
    (case,) = json.loads((study / "m.json").read_text())
    assert case["agreement"][0]["other_ml"] == 0.0


def test_what_is_wrong_is_said(study: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, out = study / "anna" / "CT", study / "o.nii.gz"
    for words, message in (
        (("measure", scan, out), "there is no such label file"),
        (("measure", scan, study / "bert" / "CT", out), "this names the labels of one scan, got 2 scans"),
        (("measure", scan, out, "--csv", study / "a.txt"), "expected a name that ends in .csv"),
        (("segment", scan, "-o", out, "--csv", study / "none" / "a.csv"), "is not there; make it first"),
    ):
        assert main(list(map(str, words))) == 1
        assert message in capsys.readouterr().err
    assert not out.exists()
    other = write_series(study / "dora", HU[:, :, ::2], Look(spacing_mm=(3.0, 2.1, 4.0)))
    assert main(["segment", *map(str, (other, "-o", out, "--model", bundle))]) == 0
    capsys.readouterr()
    assert main(["measure", *map(str, (scan, out, "--labels", bundle))]) == 1
    assert "the labels lie on another grid (19 x 27 x 13 voxels of 3 x 2.1 x 4 mm" in capsys.readouterr().err
