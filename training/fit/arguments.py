"""Command-line arguments that the steps on nnU-Net datasets share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flare_trt.training.fit.plans import NETWORKS
from flare_trt.training.nnunet_folders import add_nnunet_folder

if TYPE_CHECKING:
    from flare_trt.training.fit.runs import FitRun, NnUNetFolders


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset and nnU-Net's folders."""
    parser.add_argument("--dataset-id", type=int, required=True, help="id of a prepared fine dataset, or of any of nnU-Net's")
    add_nnunet_folder(parser, "--raw", "raw")
    add_nnunet_folder(parser, "--preprocessed", "preprocessed")
    add_nnunet_folder(parser, "--results", "results")


def add_run_arguments(parser: argparse.ArgumentParser, default_fold: str) -> None:
    """What is trained, and on what."""
    add_dataset_arguments(parser)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--fold", default=default_fold, help="0 (80/20 by case), another one of the dataset's splits, or all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs of this machine (nnU-Net's own DDP)")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--resume", action="store_true", help="continue the run that stands there")


def folders_of(arguments: argparse.Namespace) -> NnUNetFolders:
    """The folders that were named."""
    from flare_trt.training.fit.runs import NnUNetFolders

    return NnUNetFolders(arguments.raw, arguments.preprocessed, arguments.results)


def run_of(arguments: argparse.Namespace) -> FitRun:
    """The run that was asked for."""
    from flare_trt.training.fit.datasets import find_datasets
    from flare_trt.training.fit.runs import FitRun

    return FitRun(
        find_datasets(arguments.dataset_id, arguments.raw, arguments.preprocessed),
        arguments.network,
        arguments.fold,
        arguments.device,
        arguments.gpus,
        arguments.resume,
        arguments.epochs,
    )
