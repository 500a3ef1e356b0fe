"""A trained nnU-Net v2 model folder: plans.json, dataset.json and one checkpoint a fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.json_file import JsonObject, read_object

CheckpointKind = Literal["final", "best", "latest"]


@dataclass(frozen=True)
class ModelFolder:
    """`checkpoints` are those of the chosen folds, in that order; `folds` are their names ("0", "1" or "all")."""

    plans: JsonObject
    dataset: JsonObject
    folds: tuple[str, ...]
    checkpoints: tuple[Path, ...]


def checkpoint_file(kind: CheckpointKind) -> str:
    """The file's name in each fold's folder."""
    return f"checkpoint_{kind}.pth"


def open_model_folder(folder: Path, folds: tuple[str, ...], checkpoint: CheckpointKind) -> ModelFolder:
    """Find the files of a model folder. No folds means all numbered ones, as in nnUNetPredictor, and fold_all where it is alone."""
    require_model_folder(folder)
    files = checkpoints_of(folder, folds, checkpoint)
    for file in files:
        require_checkpoint(file)
    names = tuple(file.parent.name.removeprefix("fold_") for file in files)
    return ModelFolder(read_object(folder / "plans.json"), read_object(folder / "dataset.json"), names, files)


def require_model_folder(folder: Path) -> Path:
    """The folder, where it is one by its plans.json. Raises ExportError."""
    if (folder / "bundle.json").is_file():
        raise ExportError(f"{folder}: is a bundle already, expected a trained nnU-Net folder; use it with --model {folder}")
    if not (folder / "plans.json").is_file():
        raise ExportError(
            f"{folder}: holds no plans.json, expected a trained model folder such as "
            "nnUNet_results/Dataset001_X/nnUNetTrainer__nnUNetPlans__3d_fullres"
        )
    return folder


def checkpoints_of(folder: Path, folds: tuple[str, ...], checkpoint: CheckpointKind) -> tuple[Path, ...]:
    """The chosen folds' files, there or not; no folds: those that are there. Raises ExportError where none is."""
    name = checkpoint_file(checkpoint)
    chosen = folds or _trained_folds(folder, name)
    if not chosen:
        raise ExportError(f"{folder}: neither a fold_N nor fold_all holds a {name}; train one, or choose another --checkpoint")
    return tuple(folder / f"fold_{fold}" / name for fold in chosen)


def require_checkpoint(file: Path) -> Path:
    """The file, where it is there. Raises ExportError."""
    if not file.is_file():
        raise ExportError(f"{file}: is not there, expected a checkpoint; choose other --folds or --checkpoint")
    return file


def _trained_folds(folder: Path, name: str) -> tuple[str, ...]:
    """Numbered fold folders with a checkpoint in nnU-Net's (alphabetical) order; "all" where only fold_all has one."""
    found = [path.parent.name.removeprefix("fold_") for path in sorted(folder.glob(f"fold_*/{name}"))]
    return tuple(fold for fold in found if fold.isdigit()) or tuple(fold for fold in found if fold == "all")
