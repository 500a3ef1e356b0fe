"""Make the golden nnU-Net folders under tests/golden/models with nnunetv2's own planner, preprocessor and trainer classes.

    python -m tests.golden.make_models --data ../shared/data --work build/golden

takes about 20 minutes on an idle core. Only the training loop is ours (patch_training.py): nnU-Net's would take days. The
networks are small and coarse so that a test runs them in seconds; see models/README.txt for what they learned from.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tests.golden.patch_training import Case, label_loss, region_loss, train
from tests.golden.raw_dataset import CASES, write_dataset_json, write_raw_dataset

MODELS = Path(__file__).parent / "models"
PATCH = (32, 48, 40)
SPACING_MM = (4.0, 3.0, 3.0)
STRIDES = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]]
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]]
# Region -> labels of the teacher that are merged into one value, then the regions made of these values.
MERGED = {1: (4, 9, 10, 11, 12), 2: (2, 13), 3: (1,), 4: (5, 6)}
REGIONS = {"background": 0, "organs": [1, 2, 3], "liver": [3], "kidneys": 2, "vessels": 4}
REGIONS_CLASS_ORDER = [1, 3, 2, 4]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(arguments.work / name)
    plain = arguments.work / "raw" / "Dataset901_GoldenPlain"
    if not plain.exists():
        write_raw_dataset(arguments.data, plain)
    residual = _sibling(plain, "Dataset902_GoldenResidual")
    write_dataset_json(
        residual, json.loads((plain / "dataset.json").read_text())["labels"], overwrite_image_reader_writer="NibabelIOWithReorient"
    )
    regions = _sibling(plain, "Dataset903_GoldenRegions")
    _merge_labels(regions)
    write_dataset_json(regions, REGIONS, regions_class_order=REGIONS_CLASS_ORDER)
    make_folder(plain, "plain", _plain_architecture(), folds=(0, 1))
    make_folder(residual, "residual", _residual_architecture(), folds=(0,))
    make_folder(regions, "regions", _plain_architecture(), folds=(0,))


def make_folder(raw: Path, name: str, architecture: dict[str, Any], folds: tuple[int, ...]) -> None:
    """Plan, preprocess, train and save one model folder."""
    plans, dataset_json = _plan(raw, architecture)
    destination = MODELS / name
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)
    _write_json(destination / "plans.json", plans)
    _write_json(destination / "dataset.json", dataset_json)
    preprocessed = _preprocessed(raw)
    shutil.copy(preprocessed / "dataset_fingerprint.json", destination)
    cases = _preprocessed_cases(raw, plans, dataset_json)
    values = [v if isinstance(v, list) else [v] for v in dataset_json["labels"].values() if v != 0]
    regions = "regions_class_order" in dataset_json
    loss = region_loss(cases, values) if regions else label_loss(cases, len(values) + 1)
    for fold in folds:
        trainer = _trainer(plans, dataset_json, fold)
        kept = [case for index, case in enumerate(cases) if index % 5 != fold]
        train(trainer.network, kept, PATCH, loss, steps=700, seed=fold)
        _save(trainer, destination / f"fold_{fold}" / "checkpoint_final.pth")


def _plan(raw: Path, architecture: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """nnU-Net's own plans for the dataset with a small patch and network put in."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    DatasetFingerprintExtractor(raw.name, 2).run()
    planner = ExperimentPlanner(raw.name, overwrite_target_spacing=SPACING_MM)
    planner.plan_experiment()
    file = _preprocessed(raw) / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    fullres = plans["configurations"]["3d_fullres"]
    fullres.update(patch_size=list(PATCH), batch_size=2, architecture=architecture)
    plans["configurations"] = {"3d_fullres": fullres}
    return plans, json.loads((raw / "dataset.json").read_text())


def _preprocessed_cases(raw: Path, plans: dict[str, Any], dataset_json: dict[str, Any]) -> list[Case]:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    preprocessor = configuration.preprocessor_class(verbose=False)
    cases = []
    for name in CASES:
        files = [str(raw / "imagesTr" / f"{name}_0000.nii.gz")], str(raw / "labelsTr" / f"{name}.nii.gz")
        data, labels, _ = preprocessor.run_case(*files, manager, configuration, dataset_json)
        cases.append((np.asarray(data[0], np.float32), np.maximum(labels[0], 0).astype(np.int64)))
    return cases


def _trainer(plans: dict[str, Any], dataset_json: dict[str, Any], fold: int) -> Any:
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(fold)
    torch.set_num_threads(1)  # layers this small gain nothing from more
    trainer = nnUNetTrainer({**plans, "continue_training": False}, "3d_fullres", fold, dataset_json, torch.device("cpu"))
    heads = trainer.label_manager.num_segmentation_heads
    trainer.network = trainer.build_network_architecture(trainer.plans_manager, trainer.configuration_manager, 1, heads, False)
    trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
    trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    return trainer


def _save(trainer: Any, file: Path) -> None:
    """nnU-Net's own checkpoint, less the optimizer's moments, which are two thirds of it."""
    import torch

    file.parent.mkdir(parents=True)
    for key in ("train_losses", "val_losses", "mean_fg_dice"):
        trainer.logger.log(key, np.float32(0.5) if "loss" in key else np.float64(0.5), 0)
    trainer._best_ema = trainer.logger.get_value("ema_fg_dice", step=-1)
    trainer.save_checkpoint(str(file))
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["optimizer_state"] = {"state": {}, "param_groups": []}
    torch.save(checkpoint, file)


def _preprocessed(raw: Path) -> Path:
    """Where nnU-Net puts what it makes of a raw dataset."""
    return raw.parents[1] / "preprocessed" / raw.name


def _sibling(raw: Path, name: str) -> Path:
    target = raw.with_name(name)
    if not target.exists():
        shutil.copytree(raw, target)
    return target


def _merge_labels(raw: Path) -> None:
    import SimpleITK

    for case in CASES:
        image = SimpleITK.ReadImage(str(raw.with_name("Dataset901_GoldenPlain") / "labelsTr" / f"{case}.nii.gz"))
        labels = SimpleITK.GetArrayFromImage(image)
        merged = np.zeros_like(labels)
        for value, old in MERGED.items():
            merged[np.isin(labels, old)] = value
        result = SimpleITK.GetImageFromArray(merged)
        result.CopyInformation(image)
        SimpleITK.WriteImage(result, str(raw / "labelsTr" / f"{case}.nii.gz"))


def _plain_architecture() -> dict[str, Any]:
    convolutions = {"n_conv_per_stage": [2, 2, 2, 1], "n_conv_per_stage_decoder": [1, 1, 1]}
    return _architecture("PlainConvUNet", [8, 16, 16, 16], convolutions)


def _residual_architecture() -> dict[str, Any]:
    depth = {"n_blocks_per_stage": [1, 1, 1, 1], "n_conv_per_stage_decoder": [1, 1, 1]}
    return _architecture("ResidualEncoderUNet", [8, 12, 16, 16], depth)


def _architecture(name: str, features: list[int], depth: dict[str, list[int]]) -> dict[str, Any]:
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": {
            "n_stages": len(features),
            "features_per_stage": features,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": KERNELS,
            "strides": STRIDES,
            **depth,
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=4) + "\n")


if __name__ == "__main__":
    main()
