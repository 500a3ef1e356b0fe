"""The experiment: the project's own commands, from a download to bundles, each timed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.cli.commands import build_parser
from flare_trt.engine.base.errors import FlareError
from flare_trt.training.fit.runs import FitRun, NnUNetFolders
from flare_trt.training.prepare.raw_dataset import DatasetNames
from flare_trt.training.reproduce.figures import Figures, Step, over_seeds, score
from flare_trt.training.reproduce.miniature import MiniatureSize, held_out, make_miniature

#: What is asked of a pseudo-labelled case: a small network that was trained briefly is no better teacher.
GATES = ("--least-dice", 0.3, "--most-pieces", 20, "--most-ignored", 1.0)
LABELLED, PSEUDO = DatasetNames(501), DatasetNames(511)


@dataclass(frozen=True)
class Effort:
    """How long each network is trained: nnU-Net's epochs and the steps of one; fine-tuning takes a third of the epochs."""

    epochs: int = 12
    iterations: int = 50


@dataclass
class Experiment:
    """Commands run in `folder`; `steps` grows with each."""

    folder: Path
    effort: Effort
    steps: list[Step] = field(default_factory=list)

    def command(self, name: str, *words: object) -> None:
        """Run a flare-trt command line as a step. Raises FlareError where it fails."""
        line = [str(word) for word in words]
        arguments = build_parser(line[0]).parse_args(line)
        wall_s, before = time.perf_counter(), os.times()
        if arguments.run(arguments) != 0:
            raise FlareError(f"reproduce: the step {name!r} failed: flare-trt {' '.join(line)}")
        after = os.times()
        cpu_s = sum(after[:4]) - sum(before[:4])  # with the processes that nnU-Net starts
        self.steps.append(Step(name, time.perf_counter() - wall_s, cpu_s))

    def plan(self, names: DatasetNames) -> None:
        """Plans and preprocessing of one pair of datasets."""
        self.command(f"plan {names.dataset_id}", "train", "plan", *self._nnunet(names), "--mini")

    def fit(self, names: DatasetNames, network: str) -> Path:
        """Train; returns the model folder."""
        words = ("--network", network, "--device", "cpu", "--epochs", self.effort.epochs)
        self.command(f"fit {names.dataset_id} {network}", "train", "fit", *self._nnunet(names), *words)
        return FitRun(names, network, "0", "cpu").folder(self._folders).parent

    def pseudo_label(self, teacher: Path) -> None:
        """Complete the labels by a bundle that learned from the labelled cases alone."""
        words = ("--teacher", teacher, "--tumour-teacher", teacher, "--device", "cpu", *GATES)
        source = self.folder / "raw" / LABELLED.fine
        self.command("pseudo-label", "train", "pseudo-label", source, "--out-id", PSEUDO.dataset_id, *words)

    def finetune(self, names: DatasetNames, start: Path) -> Path:
        """Fine-tune the fine network on all cases; returns the model folder."""
        words = ("--network", "fine_mini", "--device", "cpu", "--epochs", max(1, self.effort.epochs // 3), "--start", start)
        self.command(f"finetune {names.dataset_id} fine_mini", "train", "finetune", *self._nnunet(names), *words)
        return FitRun(names, "fine_mini", "all", "cpu").folder(self._folders, "finetune").parent

    def export(self, name: str, *words: object) -> Path:
        """Export to a bundle of this name; returns its folder."""
        bundle = self.folder / "bundles" / name
        self.command(f"export {name}", "export", "nnunet", *words, "-o", bundle)
        return bundle

    def export_cascade(self, name: str, coarse: Path, fine: Path) -> Path:
        """Export two model folders to one bundle; returns its folder."""
        return self.export(name, "--coarse", coarse, "--fine", fine)

    @property
    def _folders(self) -> NnUNetFolders:
        return NnUNetFolders(self.folder / "raw", self.folder / "preprocessed", self.folder / "results")

    def _nnunet(self, names: DatasetNames) -> tuple[object, ...]:
        places = [(f"--{part}", place) for part, place in asdict(self._folders).items()]
        return ("--dataset-id", names.dataset_id, *(word for pair in places for word in pair))


def run_experiments(folder: Path, size: MiniatureSize, effort: Effort, real: Sequence[Path], seeds: int) -> dict[str, Any]:
    """The experiment once a seed, each in a folder of its own, with other phantoms to train on; means and spread over them."""
    return over_seeds([run_experiment(folder / f"seed_{seed}", size, effort, real, seed) for seed in range(seeds)])


def run_experiment(folder: Path, size: MiniatureSize, effort: Effort, real: Sequence[Path], seed: int = 0) -> Figures:
    """prepare -> fit -> export -> pseudo-label -> fit -> finetune -> export, and the bundles' figures on held-out phantoms."""
    os.environ["FLARE_TRT_ITERATIONS"] = str(effort.iterations)
    os.environ.setdefault("nnUNet_n_proc_DA", "0")  # augment in this process: there is no core to spare
    make_miniature(folder / "flare", size, real, seed)
    run = Experiment(folder, effort)
    run.command("prepare", "train", "prepare", folder / "flare", "--out", folder / "raw", "--dataset-id", LABELLED.dataset_id)
    run.plan(LABELLED)
    coarse = run.fit(LABELLED, "coarse_mini")
    labelled = run.export_cascade("labelled", coarse, run.fit(LABELLED, "fine_mini"))
    run.pseudo_label(labelled)
    run.plan(PSEUDO)
    student = run.fit(PSEUDO, "fine_mini")
    tuned = run.finetune(PSEUDO, student / "fold_0" / "checkpoint_lowest_loss.pth")
    bundles = {
        "labelled only": labelled,
        "+ pseudo-labels": run.export_cascade("pseudo", coarse, student),
        "+ fine-tuning": run.export_cascade("tuned", coarse, tuned),
    }
    alone = run.export("alone", student)
    scans = held_out(size)
    labels = [score(name, bundle, scans) for name, bundle in bundles.items()]
    both = [score("without coarse", alone, scans), score("with coarse", bundles["+ pseudo-labels"], scans)]
    return Figures(labels, both, run.steps)
