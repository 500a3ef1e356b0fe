"""Checks, plans and preprocesses a raw dataset of nnU-Net's for the coarse-to-fine recipe."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError, InputError
from flare_trt.engine.base.files import write_json
from flare_trt.engine.model.spec import NetworkFile
from flare_trt.export.configuration import configuration_of
from flare_trt.export.dataset_json import input_names, outputs_of
from flare_trt.export.json_file import JsonObject, read_object
from flare_trt.export.stage import stage_of
from flare_trt.training.fit.any_plans import Size, plan_any
from flare_trt.training.fit.datasets import OneDataset
from flare_trt.training.fit.plans import PLANS_NAME
from flare_trt.training.fit.runs import NnUNetFolders, processes
from flare_trt.training.prepare.raw_dataset import SPLITS_FILE
from flare_trt.training.prepare.splits import split_cases

#: nnU-Net's own cross-validation has five folds.
_NNUNET_FOLDS = 5


def plan_any_dataset(folders: NnUNetFolders, dataset: OneDataset, size: Size) -> None:
    """Check a dataset, write its plans, and preprocess it for the two networks of a size.

    Raises InputError where nnU-Net finds a fault in the dataset, and where what is trained on it could not become a bundle.
    """
    folders.enter()
    from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset

    source, target = folders.raw / dataset.name, folders.preprocessed / dataset.name
    described = _described(source)
    _checked_fingerprint(source, dataset.dataset_id)
    plans = plan_any(dataset.name)
    networks = [f"coarse{size}", f"fine{size}"]
    _require_exportable(plans, described, networks)
    write_json(target / f"{PLANS_NAME}.json", plans)
    shutil.copyfile(source / "dataset.json", target / "dataset.json")
    _write_split_of_few(target / SPLITS_FILE, source, described.data)
    preprocess_dataset(dataset.dataset_id, PLANS_NAME, networks, num_processes=[processes()])


def _described(source: Path) -> JsonObject:
    """dataset.json, whose labels and channels a bundle can hold."""
    if not (source / "dataset.json").exists():
        raise InputError(f"{source}: holds no dataset.json, expected a raw dataset of nnU-Net's with imagesTr and labelsTr")
    try:
        described = read_object(source / "dataset.json")
        outputs_of(described)
        input_names(described)
    except ExportError as error:
        raise InputError(f"{source}: no bundle can be made of what is trained on this: {error}") from error
    return described


def _checked_fingerprint(source: Path, dataset_id: int) -> None:
    """Let nnU-Net check every image and label map and write its fingerprint."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset

    try:
        extract_fingerprint_dataset(dataset_id, num_processes=processes(), check_dataset_integrity=True)
    except (AssertionError, RuntimeError, OSError) as error:  # its check asserts; what it found in which file is printed above
        raise InputError(f"{source}: nnU-Net's check of the dataset failed: {error}") from error


def _require_exportable(plans: dict[str, Any], described: JsonObject, networks: Collection[str]) -> None:
    """Refuse, before anything is trained, what `flare-trt export` would refuse after it."""
    source = JsonObject(plans, f"{PLANS_NAME}.json")
    for network in networks:
        try:
            stage_of(source, configuration_of(source, network), described, (NetworkFile(f"{network}.onnx"),), None)
        except ExportError as error:
            raise InputError(f"{plans['dataset_name']}: no bundle can be made of what is trained on this: {error}") from error


def _write_split_of_few(file: Path, source: Path, described: dict[str, Any]) -> None:
    """One split of 80 to 20 where there are no splits and too few cases for nnU-Net's five."""
    from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

    images, ending = str(source / "imagesTr"), described["file_ending"]
    cases = described.get("dataset") or get_identifiers_from_splitted_dataset_folder(images, ending).tolist()
    if not file.exists() and 1 < len(cases) < _NNUNET_FOLDS:
        write_json(file, [split_cases(cases)])
