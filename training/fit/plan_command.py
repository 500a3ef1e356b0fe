"""`flare-trt train plan`: fingerprint, plans at the paper's spacings, and nnU-Net's preprocessing."""

from __future__ import annotations

import argparse

from flare_trt.training.fit.arguments import add_dataset_arguments, folders_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_dataset_arguments(parser)
    small = parser.add_mutually_exclusive_group()
    for name, text in (("cpu", "the small networks for a CPU"), ("mini", "the networks of the reproduction in miniature")):
        small.add_argument(f"--{name}", dest="suffix", action="store_const", const=f"_{name}", help=f"preprocess for {text}")


def run(arguments: argparse.Namespace) -> int:
    """Plan and preprocess both datasets."""
    from flare_trt.training.fit.runs import plan_dataset
    from flare_trt.training.prepare.raw_dataset import DatasetNames

    names, folders = DatasetNames(arguments.dataset_id), folders_of(arguments)
    suffix = arguments.suffix or ""
    plan_dataset(folders, names, "coarse", [f"coarse{suffix}"])
    plan_dataset(folders, names, "fine", [f"fine{suffix}"])
    return 0
