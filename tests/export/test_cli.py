"""flare-trt export on the command line."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.tiny_bundle import write_network
from tests.export.test_bare_onnx import description

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import Check
from flare_trt.export import cli

pytest.importorskip("torch")
pytest.importorskip("onnx")
Golden = Callable[[str], Path]


def test_one_folder(golden: Golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    words = ["export", "nnunet", str(golden("plain")), "-o", str(bundle), "--folds", "1,0", "--orientation", "SPL"]
    assert main([*words, "--name", "two folds", "--licence", "Apache-2.0"]) == 0
    with open_bundle(bundle) as opened:
        assert [network.file for network in opened.spec.fine.networks] == ["fine_fold_1.onnx", "fine_fold_0.onnx"]
        assert (opened.spec.name, opened.spec.fine.orientation) == ("two folds", "SPL")
    told = capsys.readouterr()
    number = r"[0-9.e-]+ \(limit [0-9.e-]+\)"
    lines = told.out.splitlines()
    assert len(lines) == 3
    for fold, line in zip("10", lines, strict=False):
        kinds = rf"largest difference / standard deviation {number}, share of voxels with another label {number}"
        assert re.fullmatch(rf"fine_fold_{fold}\.onnx: {kinds}", line)
    assert told.out.endswith(f"wrote {bundle}\n")
    assert told.err.splitlines()[0] == "fine: fold_1: exporting to ONNX, then comparing with torch"


def test_two_folders(golden: Golden, tmp_path: Path) -> None:
    words = ["--coarse", str(golden("residual")), "--fine", str(golden("transposed")), "-o", str(tmp_path / "b.zip")]
    assert main(["export", "nnunet", *words]) == 0
    with open_bundle(tmp_path / "b.zip") as opened:
        assert opened.spec.coarse is not None
        assert opened.spec.fine.transpose_forward == (2, 0, 1)
        assert opened.spec.provenance.licence == "not stated"


def test_onnx_files(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(description()))
    network = write_network(tmp_path / "net.onnx")
    assert main(["export", "onnx", str(network), "--spec", str(tmp_path / "spec.json"), "-o", str(tmp_path / "bundle")]) == 0
    open_bundle(tmp_path / "bundle").close()


@pytest.mark.parametrize("words", [[], ["a", "--coarse", "b"], ["--fine", "b"], ["a", "--coarse", "b", "--fine", "c"]])
def test_one_folder_or_two_are_wanted(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nnunet", *words, "-o", str(tmp_path / "bundle")]) == 1
    assert "give either one model folder, or --coarse FOLDER with --fine FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--folds", "0;1"],
        ["--folds", "0,all"],
        ["--folds", "4-0"],
        ["--folds", "0-"],
        ["--checkpoint", "newest"],
        ["--checkpoint", "checkpoint_final.pt"],
        ["--orientation", "SPR2"],
        ["--orientation", "SSL"],
    ],
)
def test_wrong_words_are_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", "nnunet", "folder", "-o", "bundle", *words])
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.configure(parser)
    return parser.parse_args(["nnunet", "folder", "-o", "bundle", *words])


@pytest.mark.parametrize(("words", "folds"), [("0 1 2", "012"), ("0-4", "01234"), ("0,2-3 5", "0235"), ("3-3", "3"), ("1,0", "10")])
def test_folds_as_nnunet_takes_them_and_as_ranges(words: str, folds: str) -> None:
    found = parsed("--folds", *words.split()).folds
    assert [fold for part in found for fold in part] == list(folds)


@pytest.mark.parametrize("words", ["0 0", "0-2 1", "0 all", "all all"])
def test_folds_that_exclude_each_other_are_refused(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nnunet", str(tmp_path), "-o", str(tmp_path / "bundle"), "--folds", *words.split()]) == 1
    assert "expected each number once, or the word all alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "kind"), [("latest", "latest"), ("checkpoint_latest.pth", "latest"), ("checkpoint_best", "best"), ("final", "final")]
)
def test_checkpoints_by_kind_or_file_name(word: str, kind: str) -> None:
    assert parsed("--checkpoint", word).checkpoint == kind


def test_a_summary_takes_the_worst_of_each_kind() -> None:
    checks = [
        Check("a.onnx, noise, openvino against torch: difference", 0.002, 0.1),
        Check("a.onnx, noise, onnxruntime against torch: difference", 0.0015, 0.01),
        Check("a.onnx, noise, openvino against torch: labels", 0.0, 1e-4),
        Check("b.onnx, noise, openvino against torch: labels", 2e-5, 1e-4),
    ]
    assert cli.summaries(checks) == [
        "a.onnx: difference 0.0015 (limit 0.01), labels 0 (limit 0.0001)",
        "b.onnx: labels 2e-05 (limit 0.0001)",
    ]
