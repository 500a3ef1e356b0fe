"""`flare-trt segment` from the words to the files, with a segmenter that bands the HU, and once with a real network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.apps.cli.banding import BODY, FakeSegmenter, bands, spoil
from tests.engine.scans.nifti_files import write_raw
from tests.engine.tiny_bundle import LABELS

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model import default_model
from flare_trt.engine.scans.image_files import read_ct, read_labels


@pytest.mark.usefixtures("fake")
def test_a_folder(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["segment", str(scans), "-o", str(out), "--model", "m", "--report", str(tmp_path / "reports"), "--preview", str(out)]
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"case{n}.{end}" for n in range(3) for end in ("nii.gz", "png")]
    for number in range(3):
        labels = read_labels(out / f"case{number}.nii.gz")
        np.testing.assert_array_equal(labels.array, bands(read_ct(scans / f"case{number}_0000.nii.gz").array))
        report = json.loads((tmp_path / "reports" / f"case{number}.json").read_text())
        assert (report["scan"], report["labels"]) == (f"case{number}_0000.nii.gz", f"case{number}.nii.gz")
        assert [organ["name"] for organ in report["organs"]] == [label.name for label in LABELS]
        assert list(report["run"]["stages"]) == ["read", "network", "write", "measure", "preview"]
        assert report["warnings"] == ["a warning"]
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "3 of 3 scans segmented, 0 failed"
    assert printed.err.count("a warning") == 3
    assert FakeSegmenter.opened == 1


@pytest.mark.parametrize("ending", ["json", "html"])
@pytest.mark.usefixtures("fake")
def test_a_report_of_one_scan_by_its_ending_and_nothing_of_the_patient(scans: Path, tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "DOE_JOHN_19500101"
    folder.mkdir()

    def name_the_patient(header: Any) -> None:
        for key in ("descrip", "aux_file", "intent_name", "db_name"):
            header[key] = b"DOE^JOHN"

    hu = read_ct(scans / "case0_0000.nii.gz").array
    scan = write_raw(folder / "case0_0000.nii.gz", hu, BODY, name_the_patient)
    out = tmp_path / "out"
    report = out / f"report.{ending}"
    words = ["segment", str(scan), "-o", str(out / "labels.nii.gz"), "--model", "m", "--report", str(report)]
    assert main([*words, "--preview", str(out / "p.png")]) == 0
    text = report.read_text()
    assert "case0_0000.nii.gz" in text
    assert "CC0-1.0" in text
    assert text.startswith("<!DOCTYPE html>" if ending == "html" else "{")
    for file in (report, out / "p.png"):
        assert b"DOE" not in file.read_bytes()
        assert bytes(tmp_path) not in file.read_bytes()
    if ending == "json":
        memory = json.loads(text)["memory"]
        assert [phase["name"] for phase in memory["phases"]] == ["read", "fine", "write", "measure", "preview"]
        assert len(memory["time_s"]) == len(memory["rss_mb"]) >= 2


@pytest.mark.usefixtures("fake")
def test_a_page_is_for_one_scan_or_named_by_it(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", str(scans), "-o", str(tmp_path / "out"), "--model", "m", "--report", str(tmp_path / "r.html")]
    assert main(words) == 1
    assert "this names one file" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "{case}.html")]) == 0
    assert [path.read_text()[:15] for path in sorted(tmp_path.glob("case?.html"))] == ["<!DOCTYPE html>"] * 3


@pytest.mark.parametrize("memory", [[], ["--max-memory", "2GB"]])
@pytest.mark.usefixtures("fake")
def test_one_bad_scan_is_reported_and_the_rest_go_on(
    scans: Path, tmp_path: Path, memory: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "case0_0000.nii.gz").write_bytes(b"junk")
    spoil(scans, "case2_0000.nii.gz", 666)
    out = tmp_path / "out"
    assert main(["segment", str(scans), "-o", str(out), "--model", "m", *memory]) == 1
    assert [path.name for path in out.iterdir()] == ["case1.nii.gz"]
    printed = capsys.readouterr()
    assert "1 of 3 scans segmented, 2 failed" in printed.out
    assert "case0_0000.nii.gz failed: " in printed.err
    assert "case2_0000.nii.gz failed: this scan needs more" in printed.err


@pytest.mark.usefixtures("fake")
def test_resume_does_what_is_missing_or_damaged(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["segment", str(scans), "-o", str(out), "--model", "m", "--resume"]
    assert main(words) == 0
    damaged, whole = out / "case1.nii.gz", out / "case2.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    before = whole.stat().st_mtime_ns
    assert main(words) == 0
    assert read_labels(damaged).array.any()
    assert whole.stat().st_mtime_ns == before
    assert main(words) == 0
    assert FakeSegmenter.opened == 2  # the third run found nothing to do and loaded no network
    assert "3 of 3 scans are finished already" in capsys.readouterr().out


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("threads", "ahead"), [("0", 3), ("1", 0)])
def test_one_thread_unpacks_nothing_ahead(
    scans: Path, bundle: Path, tmp_path: Path, unpacked_ahead: list[object], threads: str, ahead: int
) -> None:
    """Neither for the network nor, in the second run, for the table of scans that are finished."""
    words = ["segment", str(scans), "-o", str(tmp_path / "out"), "--model", str(bundle), "--resume", "--threads", threads]
    assert main(words) == 0
    assert len(unpacked_ahead) == ahead
    assert main([*words, "--csv", str(tmp_path / "all.csv")]) == 0
    assert len(unpacked_ahead) == 2 * ahead
    assert len((tmp_path / "all.csv").read_text().splitlines()) > 3


@pytest.mark.usefixtures("fake")
def test_an_interrupt_leaves_whole_files_only(scans: Path, tmp_path: Path) -> None:
    spoil(scans, "case1_0000.nii.gz", 667)
    out = tmp_path / "out"
    assert main(["segment", str(scans), "-o", str(out), "--model", "m"]) == 130
    assert [path.name for path in out.iterdir()] == ["case0.nii.gz"]
    assert read_labels(out / "case0.nii.gz").array.any()


@pytest.mark.usefixtures("fake")
def test_refused_before_a_network_is_loaded(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(scans), "-o", str(tmp_path / "x.nii.gz"), "--model", "m"]) == 1
    assert "expected a folder for the results of several scans" in capsys.readouterr().err
    assert FakeSegmenter.opened == 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("memory", [[], ["--max-memory", "4GB"]])
def test_a_real_network(bundle: Path, scans: Path, tmp_path: Path, memory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    scan, out = scans / "case0_0000.nii.gz", tmp_path / "out" / "labels.nii.gz"
    words = [*memory, "--report", str(tmp_path / "out" / "r.json"), "--preview", str(tmp_path / "out" / "p.png"), "--device", "cpu"]
    assert main(["segment", str(scan), "-o", str(out), "--model", str(bundle), *words]) == 0
    labels = read_labels(out)
    assert labels.grid == read_ct(scan).grid
    assert set(np.unique(labels.array)) == {0, 1, 2, 3}
    report = json.loads((tmp_path / "out" / "r.json").read_text())
    assert {"read", "preprocess", "network", "write"} <= set(report["run"]["stages"])
    assert [organ["voxels"] for organ in report["organs"]] == [int((labels.array == v).sum()) for v in (1, 2, 3)]
    printed = capsys.readouterr().out
    assert "tiny, mode exact, on cpu (asked for), openvino fp32" in printed
    assert "liver" in printed
    assert f"{out}: 3 of 3 structures in" in printed


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--backend", "nonsense"], 3, "backend: got 'nonsense'"),
        (["--device", "cuda:0"], 3, "device cuda:0"),
        (["--backend", "tensorrt", "--device", "cpu"], 3, "needs an NVIDIA GPU"),
    ],
)
def test_devices_that_are_not_there(
    bundle: Path, scans: Path, tmp_path: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from flare_trt.kernels import cuda_problem

    if words[-1] == "cuda:0" and cuda_problem() is None:
        pytest.skip("this machine has a GPU")
    assert main(["segment", str(scans), "-o", str(tmp_path / "out"), "--model", str(bundle), *words]) == code
    assert message in capsys.readouterr().err


def test_without_a_model_the_default_one_is_taken(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", str(scans / "case0_0000.nii.gz"), "-o", str(tmp_path / "x.nii.gz")]
    monkeypatch.setattr(default_model, "DEFAULT_MODEL", tmp_path / "none")
    assert main(words) == 1
    assert "brings no default model; name one with --model" in capsys.readouterr().err
    monkeypatch.setattr(default_model, "DEFAULT_MODEL", bundle)
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("model  tiny (the default model)\n")
    assert main([*words, "--model", str(bundle)]) == 0
    assert capsys.readouterr().out.startswith(f"model  tiny ({bundle})\n")


def test_a_model_that_is_not_there(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(scans), "-o", str(tmp_path / "out"), "--model", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
