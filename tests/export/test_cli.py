"""flare-trt export on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.tiny_bundle import write_network
from tests.export.test_bare_onnx import description

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.bundle import open_bundle

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
    measured = [line for line in told.out.splitlines() if re.search(r": [0-9.e-]+ \(limit 0\.[0-9]+\)$", line)]
    assert len(measured) == 16
    assert measured[-1].startswith("fine_fold_0.onnx, noise, onnxruntime against torch: share of voxels with another label: ")
    assert told.out.endswith(f"wrote {bundle}\n")
    assert told.err.splitlines()[0] == "fine: fold_1: exporting and comparing with torch"


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


@pytest.mark.parametrize("words", [["--folds", "0;1"], ["--folds", "0,all"], ["--orientation", "SPR2"], ["--orientation", "SSL"]])
def test_wrong_words_are_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", "nnunet", "folder", "-o", "bundle", *words])
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
