"""`flare-trt train plan`: fingerprint, plans of both networks, and nnU-Net's preprocessing."""

from __future__ import annotations

import argparse

from flare_trt.engine.base.errors import InputError
from flare_trt.training.fit.arguments import add_dataset_arguments, folders_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_dataset_arguments(parser)
    small = parser.add_mutually_exclusive_group()
    for name, text in (("cpu", "the small networks for a CPU"), ("mini", "the networks of the reproduction in miniature")):
        small.add_argument(f"--{name}", dest="suffix", action="store_const", const=f"_{name}", help=f"preprocess for {text}")


def run(arguments: argparse.Namespace) -> int:
    """Plan and preprocess what both networks learn from."""
    from flare_trt.training.fit.any_dataset import plan_any_dataset
    from flare_trt.training.fit.datasets import OneDataset, find_datasets
    from flare_trt.training.fit.runs import plan_dataset

    folders, suffix = folders_of(arguments), arguments.suffix or ""
    names = find_datasets(arguments.dataset_id, folders.raw, folders.preprocessed)
    if isinstance(names, OneDataset):
        if suffix == "_mini":
            raise InputError(f"{names.name}: --mini is for the reproduction on phantoms; leave it out, or take --cpu")
        plan_any_dataset(folders, names, "_cpu" if suffix else "")
    else:
        plan_dataset(folders, names, "coarse", [f"coarse{suffix}"])
        plan_dataset(folders, names, "fine", [f"fine{suffix}"])
    return 0
