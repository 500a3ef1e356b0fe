"""`flare-trt train fit`: train the coarse or the fine network with nnunetv2."""

from __future__ import annotations

import argparse

from flare_trt.training.fit.arguments import add_run_arguments, folders_of, run_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(parser, default_fold="0")


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    from flare_trt.training.fit.runs import train

    train(folders_of(arguments), run_of(arguments))
    return 0
