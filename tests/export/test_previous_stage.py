"""nnU-Net's cascade out of its results folder: both stages in one bundle, and what is said where the first is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.engine.test_label_cascade import LOW

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import BundleError, ExportError
from flare_trt.engine.model.bundle import read_spec
from flare_trt.engine.model.channel_spec import LabelInput
from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

FIRST, SECOND = "nnUNetTrainer__nnUNetPlans__3d_lowres", "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set's folder in nnU-Net's results."""
    return LOW.write_cascade(tmp_path_factory.mktemp("results") / "Dataset901_GoldenPlain").parent


def refused(folder: Path, destination: Path, coarse: Path | None = None) -> str:
    first = None if coarse is None else TrainedModel(coarse)
    with pytest.raises(ExportError) as raised:
        export_nnunet(TrainedModel(folder), first, About("CC0-1.0"), destination, lambda line: None, "quick")
    assert not destination.exists()
    return str(raised.value)


def test_folder_zip_and_both_named_give_the_same(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zipped = shutil.make_archive(str(tmp_path / "model"), "zip", results.parent, results.name)
    ways = [
        [str(results / SECOND)],
        [f"{zipped}/{results.name}/{SECOND}"],
        ["--coarse", str(results / FIRST), "--fine", str(results / SECOND)],
    ]
    specs = []
    for number, words in enumerate(ways):
        assert main(["export", "nnunet", *words, "--dry-run"]) == 0, capsys.readouterr().out
        assert main(["export", "nnunet", *words, "-o", str(tmp_path / f"bundle{number}"), "--check", "quick"]) == 0
        specs.append(read_spec(tmp_path / f"bundle{number}"))
    assert specs[0] == specs[1] == specs[2]
    assert specs[0].coarse is not None
    assert specs[0].fine.previous == LabelInput((1, 2, 3, 4))
    assert (specs[0].fine.input_channels, specs[0].coarse.input_channels, specs[0].input_names) == (5, 1, ("CT",))
    assert (specs[0].coarse.patch_zyx, specs[0].fine.patch_zyx) == ((16, 24, 20), (24, 40, 32))
    assert ", 3d_lowres, fold 0" in specs[0].provenance.source
    capsys.readouterr()
    assert main(["info", str(tmp_path / "bundle0")]) == 0
    assert "divide by 109.683; labels 1, 2, 3, 4 of the stage before" in capsys.readouterr().out


def test_a_first_stage_that_is_missing(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = tmp_path / "alone" / SECOND
    shutil.copytree(results / SECOND, alone)
    expected = (
        f"takes the labels of 3d_lowres as input: got no trained folder {alone.with_name(FIRST)}, expected one there; copy it"
    )
    assert expected in refused(alone, tmp_path / "bundle")
    assert main(["export", "nnunet", str(alone), "--dry-run"]) == 1
    assert expected in capsys.readouterr().out
    zipped = Path(shutil.make_archive(str(tmp_path / "model"), "zip", tmp_path, "alone"))
    assert f"got no trained folder {zipped}/alone/{FIRST}" in refused(zipped / "alone" / SECOND, tmp_path / "bundle")


def test_a_first_stage_of_other_labels(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / FIRST
    shutil.copytree(results / FIRST, other)
    dataset = json.loads((other / "dataset.json").read_text())
    dataset["labels"] = dict(zip(["background", "part_2", "part_1", "part_3", "part_4"], range(5), strict=True))
    (other / "dataset.json").write_text(json.dumps(dataset))
    assert "cascade: got the labels {1: 'part_2'" in refused(results / SECOND, tmp_path / "bundle", other)
    assert main(["export", "nnunet", "--coarse", str(other), "--fine", str(results / SECOND), "--dry-run"]) == 1
    assert "cascade: got the labels {1: 'part_2'" in capsys.readouterr().out


def test_a_bundle_needs_both_stages(results: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    export_nnunet(TrainedModel(results / SECOND), None, About("CC0-1.0"), tmp_path / "bundle", lambda line: None, "quick")
    spec = read_spec(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"fine.previous.values: got \(1, 2, 3, 4\), expected the labels of a coarse stage: \(\)"):
        replace(spec, coarse=None)
    with pytest.raises(BundleError, match=r"previous.values: got \(0, 1\), expected 1 to 255 labels, without 0"):
        LabelInput((0, 1))
