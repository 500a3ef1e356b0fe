"""The default weights' command with two tiny students: bundle, card and figures, whatever the weights are worth."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.nifti import write_ct, write_labels
from flare_trt.training.distil import bundle_figures
from flare_trt.training.distil.command import configure, run
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.model_card import data_sources
from tests.training.distil.distil_fixtures import tiny_config

SOURCE = "source: a phantom @ seed {seed} (copied from ../elsewhere)\nlicence: CC0-1.0, 'no rights | reserved'\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two data sets, one to learn from and one to measure on, each with its source."""
    folder = tmp_path / "data"
    for seed, name in enumerate(("seen", "kept_out")):
        (folder / name).mkdir(parents=True)
        ct, labels = make_phantom(seed, (31, 37, 43), (11.0, 10.0, 9.0), PhantomOptions(centre_mm=20.0))
        write_ct(folder / name / "ct.nii.gz", ct)
        write_labels(folder / name / "seg.nii.gz", labels)
        (folder / name / "SOURCE.txt").write_text(SOURCE.format(seed=seed))
    (folder / "SOURCE.txt").write_text("source: the teacher's page\nlicence: Apache-2.0\n")
    return folder


@pytest.fixture
def words(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line on two students of three steps."""
    monkeypatch.setattr(bundle_figures, "BODY", (5, (41, 33, 37), 0.0))
    monkeypatch.setattr(bundle_figures, "HEAD", (6, (21, 33, 37), 480.0))
    monkeypatch.setattr(bundle_figures, "PHANTOM_MM", (12.0, 11.0, 10.0))
    own = tiny_config().data
    sets = replace(own, cts=("seen/ct.nii.gz",), validation_cts=("kept_out/ct.nii.gz",), validation_labels=("kept_out/seg.nii.gz",))
    line = ["bundle", "--data", str(data), "-o", str(tmp_path / "default")]
    for name, seed in (("coarse", 1), ("fine", 2)):
        config = tiny_config(name=name, seed=seed, data=sets)
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.json").write_text(strict_json.dump(config))
        state = new_state(config)
        state.step, state.seconds = 3, 5400.0
        state.save(tmp_path / name / "best.pt")
        log = [{"step": 3, "seconds": 5400, "loss": 1.25}, {"step": 4, "seconds": 5500, "loss": 0.5}]
        (tmp_path / name / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
        line += [f"--{name}", str(tmp_path / f"{name}.json"), f"--{name}-checkpoint", str(tmp_path / name / "best.pt")]
    return line


def bundle(line: list[str]) -> int:
    parser = argparse.ArgumentParser()
    configure(parser)
    return run(parser.parse_args(line))


def test_bundle_and_card_are_written_and_replaced(words: list[str], tmp_path: Path) -> None:
    default = tmp_path / "default"
    assert bundle(words) == 0
    assert sorted(path.name for path in default.iterdir()) == ["MODEL_CARD.md", "bundle.json", "coarse.onnx", "fine.onnx"]
    with open_bundle(default) as opened:
        assert (
            opened.spec.provenance.source
            == "coarse: random weights, distilled for 3 steps; fine: random weights, distilled for 3 steps"
        )
        assert opened.spec.fine.tile_step == 0.5
    card = re.sub(" +", " ", (default / "MODEL_CARD.md").read_text())  # tables are padded
    assert "not for clinical use" in card.lower()
    assert "| seen | training (CT only) | a phantom @ seed 0 | CC0-1.0, 'no rights / reserved' |" in card
    assert "| kept_out | validation | a phantom @ seed 1 |" in card
    assert "| data | teacher and first weights | the teacher's page | Apache-2.0 |" in card
    assert "| hours of training | 1.5 | 1.5 |" in card
    assert "| loss at the end | 1.250 | 1.250 |" in card, "the log ends where the checkpoint was taken"
    assert f"| file, bytes | {(default / 'coarse.onnx').stat().st_size} |" in card
    assert "liver 250 to 5000 ml" in card
    for mode in ("exact", "fast"):
        assert f"| kept_out | {mode} |" in card
        assert f"| phantom, head alone | {mode} |" in card
    assert "../" not in card
    before = (default / "bundle.json").read_bytes()
    assert bundle(words) == 0
    assert (default / "bundle.json").read_bytes() == before


def test_what_would_be_lost_is_refused(words: list[str], tmp_path: Path) -> None:
    assert bundle(words) == 0
    (tmp_path / "default" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"also holds notes\.txt"):
        bundle(words)


def test_a_set_without_a_source_is_refused(words: list[str], data: Path, tmp_path: Path) -> None:
    (data / "seen" / "SOURCE.txt").write_text("licence: unknown\n")
    with pytest.raises(InputError, match=r"got lines \['licence'\]"):
        bundle(words)
    (data / "seen" / "SOURCE.txt").unlink()
    with pytest.raises(InputError, match="origin and licence of all data"):
        bundle(words)
    assert not (tmp_path / "default").exists()


def test_a_run_on_phantoms_alone_has_no_sources() -> None:
    assert data_sources([tiny_config()]) == []
    assert asdict(tiny_config())["start_from_teacher"] is False
