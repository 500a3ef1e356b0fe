"""The commands of the experiment and the tables of its figures, without any training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import FlareError, InputError, OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.segmenter import Segmenter
from flare_trt.training import cli
from flare_trt.training.reproduce import command, experiment
from flare_trt.training.reproduce.experiment import Effort, Experiment, run_experiment
from flare_trt.training.reproduce.figures import Figures, Score, Step, as_markdown, over_seeds, score
from flare_trt.training.reproduce.miniature import MiniatureSize
from tests.engine.tiny_bundle import write_tiny_bundle


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """Every command line is parsed, none is run."""
    seen: list[argparse.Namespace] = []

    def parser(chosen: str) -> argparse.ArgumentParser:
        made = real(chosen)
        made.set_defaults(run=None)
        for action in made._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr]
            action.set_defaults(run=lambda arguments: seen.append(arguments) or 0)
        return made

    real = experiment.build_parser
    monkeypatch.setattr(experiment, "build_parser", parser)
    monkeypatch.setattr(experiment, "make_miniature", lambda *_: 0)
    monkeypatch.setattr(experiment, "held_out", lambda *_: [])
    monkeypatch.setattr(experiment, "score", lambda name, bundle, scans: Score(f"{name} {bundle.name}", 0.5, None, 1.0, 2.0))
    return seen


def test_the_steps_follow_one_another(recorded: list[argparse.Namespace], tmp_path: Path) -> None:
    figures = over_seeds([run_experiment(tmp_path, MiniatureSize(), Effort(9, 4), [])])
    assert [line.train_step if "train_step" in line else line.kind for line in recorded] == [
        *("prepare", "plan", "fit", "fit", "nnunet", "pseudo-label", "plan", "fit", "finetune"),
        *("nnunet",) * 3,
    ]
    fits = [(line.dataset_id, line.network, line.epochs) for line in recorded if getattr(line, "train_step", "") == "fit"]
    assert fits == [(501, "coarse_mini", 9), (501, "fine_mini", 9), (511, "fine_mini", 9)]
    labelled, pseudo, tuning = recorded[4], recorded[5], recorded[8]
    results = tmp_path / "results"
    assert labelled.coarse == results / "Dataset502_FLARECoarse/FlareMiniTrainer__FLAREPlans__coarse_mini"
    assert labelled.fine == results / "Dataset501_FLAREFine/FlareMiniTrainer__FLAREPlans__fine_mini"
    assert pseudo.teacher == pseudo.tumour_teacher == labelled.output == tmp_path / "bundles/labelled"
    assert (pseudo.least_dice, pseudo.most_pieces, pseudo.most_ignored) == (0.3, 20, 1.0)
    student = results / "Dataset511_FLAREFine/FlareMiniTrainer__FLAREPlans__fine_mini"
    assert tuning.start == student / "fold_0/checkpoint_lowest_loss.pth"
    tuned = results / "Dataset511_FLAREFine/FlareMiniFinetuneTrainer__FLAREPlans__fine_mini"
    assert [line.fine or line.folder for line in recorded[9:]] == [student, tuned, student]
    assert (tuning.dataset_id, tuning.epochs, tuning.fold) == (511, 3, "all")
    assert [row["name"] for row in figures["pseudo_labels"]] == [
        *("labelled only labelled", "+ pseudo-labels pseudo", "+ fine-tuning tuned"),
    ]
    assert [row["name"] for row in figures["coarse_to_fine"]] == ["without coarse alone", "with coarse pseudo"]
    assert len(figures["steps"]) == 12
    json.dumps(figures, allow_nan=False)
    page = as_markdown(figures)
    assert "| labelled only labelled" in page
    assert "wall s a scan" in page


def test_a_step_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parser(chosen: str) -> argparse.ArgumentParser:
        made = argparse.ArgumentParser()
        made.add_argument("words", nargs="*")
        made.set_defaults(run=lambda _: 1)
        return made

    monkeypatch.setattr(experiment, "build_parser", parser)
    with pytest.raises(FlareError, match="the step 'x' failed: flare-trt train fit"):
        Experiment(tmp_path, Effort()).command("x", "train", "fit")


def test_scores_are_those_of_the_labels(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    hu = np.random.default_rng(0).normal(0, 200, (17, 25, 23)).astype(np.int16)
    ct = Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0)))
    with Segmenter.open(bundle) as segmenter:
        labels = segmenter.segment(ct).labels
    perfect = score("a", bundle, [(ct, labels)])
    assert (perfect.organ_dsc, perfect.tumour_dsc) == (1.0, None)
    changed = labels.array.copy()
    changed[labels.array == 1] = 14
    worse = score("b", bundle, [(ct, Volume(changed, ct.grid))])
    assert (worse.organ_dsc, worse.tumour_dsc) == (1.0, 0.0)


def test_the_command_prints_the_tables_and_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(folder: Path, size: MiniatureSize, effort: Effort, real: list[Path], seed: int) -> Figures:
        folder.mkdir(parents=True)
        assert (size, effort, real) == (MiniatureSize(1, 2, 4), Effort(5, 50), [])
        tumour = (0.125, None, 0.25)[seed]
        labels = [Score("labelled only", 0.25 + seed / 8, tumour, 1, 2)]
        return Figures(labels, [Score("with coarse", 0.5, None, 3, 4)], [Step("fit", 5 + seed, 6)])

    monkeypatch.setattr(experiment, "run_experiment", measured)
    parser, out = argparse.ArgumentParser(), tmp_path / "out"
    command.configure(parser)
    assert command.run(parser.parse_args(["--out", str(out), "--phantoms", "7", "--epochs", "5"])) == 0
    page = (out / "reproduction.md").read_text("utf-8")
    lines = {" ".join(line.split()) for line in page.splitlines()}
    assert "| labelled only | 0.375 (0.250 to 0.500) | 0.188 (0.125 to 0.250) |" in lines
    assert "| with coarse | 0.500 (0.500 to 0.500) | - | 3.0 (3.0 to 3.0) | 4.0 (4.0 to 4.0) |" in lines
    assert "| all | 6.0 (5.0 to 7.0) | 6.0 (6.0 to 6.0) |" in lines
    assert sorted(folder.name for folder in out.iterdir() if folder.is_dir()) == ["seed_0", "seed_1", "seed_2"]
    assert capsys.readouterr().out == page
    assert json.loads((out / "reproduction.json").read_text("utf-8"))["coarse_to_fine"][0]["organ_dsc"] == [0.5] * 3


def test_the_command_refuses_what_cannot_be_run(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    with pytest.raises(InputError, match="expected at least 5"):
        command.run(parser.parse_args(["--out", str(tmp_path / "x"), "--phantoms", "4"]))
    with pytest.raises(InputError, match="--seeds: got 0"):
        command.run(parser.parse_args(["--out", str(tmp_path / "x"), "--seeds", "0"]))
    with pytest.raises(OutputError, match="name a new folder"):
        command.run(parser.parse_args(["--out", str(tmp_path)]))
    with pytest.raises(InputError, match=r"holds no ct\.nii\.gz"):
        command.run(parser.parse_args(["--out", str(tmp_path / "x"), "--real", str(tmp_path)]))
    assert "reproduce" in cli.STEPS
