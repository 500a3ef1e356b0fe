"""`flare-trt train plan`: fingerprint, plans at the paper's spacings, and nnU-Net's preprocessing."""

from __future__ import annotations

import argparse

from flare_trt.training.fit.arguments import add_dataset_arguments, folders_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_dataset_arguments(parser)
    parser.add_argument("--cpu", action="store_true", help="preprocess for the small CPU networks instead of the paper's")


def run(arguments: argparse.Namespace) -> int:
    """Plan and preprocess both datasets."""
    from flare_trt.training.fit.runs import plan_dataset
    from flare_trt.training.prepare.raw_dataset import DatasetNames

    names, folders = DatasetNames(arguments.dataset_id), folders_of(arguments)
    suffix = "_cpu" if arguments.cpu else ""
    plan_dataset(folders, names, "coarse", [f"coarse{suffix}"])
    plan_dataset(folders, names, "fine", [f"fine{suffix}"])
    return 0
