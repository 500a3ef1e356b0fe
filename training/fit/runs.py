"""Runs nnunetv2 on prepared datasets: fingerprint, plans and preprocessing, then training and fine-tuning."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.torchvision_import import mend_torchvision
from flare_trt.training.fit.datasets import OneDataset
from flare_trt.training.fit.plans import NETWORKS, PLANS_NAME, make_plans
from flare_trt.training.prepare.raw_dataset import SPLITS_FILE, VOUCHED_FILE, DatasetNames

Step = Literal["fit", "finetune"]


@dataclass(frozen=True)
class NnUNetFolders:
    """nnU-Net's three folders."""

    raw: Path
    preprocessed: Path
    results: Path

    def enter(self) -> None:
        """Tell nnunetv2 of the folders and of our trainers (it reads the environment, also in the processes of DDP)."""
        os.environ["nnUNet_raw"] = str(self.raw.resolve())  # noqa: SIM112  # nnU-Net's spelling
        os.environ["nnUNet_preprocessed"] = str(self.preprocessed.resolve())  # noqa: SIM112
        os.environ["nnUNet_results"] = str(self.results.resolve())  # noqa: SIM112
        announce_trainers()
        self.preprocessed.mkdir(parents=True, exist_ok=True)
        self.results.mkdir(parents=True, exist_ok=True)


def announce_trainers() -> None:
    """Let nnunetv2 find our trainers by name, also where it only loads a model that one of them trained.

    Processes of DDP search the folder of the environment. This one finds them beside nnU-Net's own: that search ends in an error
    where another thread imports something meanwhile (findings/nnunet_trainer_search_and_imports.sh).
    """
    mend_torchvision()
    os.environ["nnUNet_extTrainer"] = str(Path(__file__).parent / "trainers")  # noqa: SIM112  # nnU-Net's spelling
    from flare_trt.training.fit.trainers import flare_trainers, miniature_trainers

    beside = import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    ours = flare_trainers.FlareTrainer, flare_trainers.FlareFinetuneTrainer
    for trainer in (*ours, miniature_trainers.FlareMiniTrainer, miniature_trainers.FlareMiniFinetuneTrainer):
        setattr(beside, trainer.__name__, trainer)


@dataclass(frozen=True)
class FitRun:
    """One training: `network` is a key of plans.NETWORKS, `fold` a number (0: the 80/20 split) or "all"."""

    names: DatasetNames | OneDataset
    network: str
    fold: str
    device: str
    gpus: int = 1
    resume: bool = False
    epochs: int | None = None

    @property
    def dataset(self) -> str:
        """The dataset that this network learns from."""
        if self.network not in NETWORKS:
            raise InputError(f"network: got {self.network!r}, expected one of {', '.join(NETWORKS)}")
        return self.names.fine if self.network.startswith("fine") else self.names.coarse

    def trainer(self, step: Step) -> str:
        """The class in fit/trainers that runs a step; the `_mini` networks have their own."""
        size = "Mini" if self.network.endswith("_mini") else ""
        return f"Flare{size}{'Finetune' if step == 'finetune' else ''}Trainer"

    def folder(self, folders: NnUNetFolders, step: Step = "fit") -> Path:
        """Where nnunetv2 writes this run's checkpoints."""
        return folders.results / self.dataset / f"{self.trainer(step)}__{PLANS_NAME}__{self.network}" / f"fold_{self.fold}"


def plan_dataset(folders: NnUNetFolders, names: DatasetNames, kind: Literal["coarse", "fine"], networks: list[str]) -> None:
    """Fingerprint a prepared dataset, write its plans, and preprocess it for these networks (nnU-Net's preprocessor)."""
    folders.enter()
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    dataset = names.fine if kind == "fine" else names.coarse
    dataset_id = names.dataset_id + (kind == "coarse")
    source, target = folders.raw / dataset, folders.preprocessed / dataset
    if not (source / VOUCHED_FILE).exists():
        raise InputError(f"{source}: no prepared dataset; run 'flare-trt train prepare' or 'pseudo-label' first")
    fingerprint = extract_fingerprint_dataset(dataset_id, num_processes=processes())
    write_json(target / f"{PLANS_NAME}.json", make_plans(fingerprint, dataset, kind))
    for name in ("dataset.json", VOUCHED_FILE, SPLITS_FILE):
        shutil.copyfile(source / name, target / name)
    preprocess_dataset(dataset_id, PLANS_NAME, networks, num_processes=[processes()])


def train(folders: NnUNetFolders, run: FitRun) -> Path:
    """Train a network, or go on with `resume`; returns its folder."""
    _run(folders, run, "fit")
    return run.folder(folders)


def finetune(folders: NnUNetFolders, run: FitRun, start: Path) -> Path:
    """Fine-tune on a dataset from a checkpoint of the first training; returns the folder."""
    if not start.exists():
        raise InputError(f"{start}: no such checkpoint; train first, or name another with --start")
    os.environ["FLARE_TRT_START"] = str(start.resolve())
    _run(folders, run, "finetune")
    return run.folder(folders, "finetune")


def _run(folders: NnUNetFolders, run: FitRun, step: Step) -> None:
    folders.enter()
    if run.epochs is not None:
        os.environ["FLARE_TRT_EPOCHS"] = str(run.epochs)
    plans = folders.preprocessed / run.dataset / f"{PLANS_NAME}.json"
    if not plans.exists():
        raise InputError(f"{plans}: the dataset is not planned; run 'flare-trt train plan' first")
    _require_fresh_or_resumed(run, run.folder(folders, step))
    import torch
    from nnunetv2.run.run_training import run_training

    run_training(
        run.dataset,
        run.network,
        run.fold,
        trainer_class_name=run.trainer(step),
        plans_identifier=PLANS_NAME,
        num_gpus=run.gpus,
        continue_training=run.resume,
        device=torch.device(run.device),
    )


def _require_fresh_or_resumed(run: FitRun, folder: Path) -> None:
    started = any(folder.glob("checkpoint_*.pth"))
    if started and not run.resume:
        raise InputError(f"{folder}: a run stands here; add --resume to continue it, or remove it")


def processes() -> int:
    """How many processes prepare a dataset."""
    return max(1, min(8, (os.cpu_count() or 1) - 1))
