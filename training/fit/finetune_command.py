"""`flare-trt train finetune`: learning rate 1e-4, no augmentation, all pseudo-labels (paper, section 3.2)."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.training.fit.arguments import add_run_arguments, folders_of, run_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(parser, default_fold="all")
    parser.add_argument("--start", type=Path, required=True, help="checkpoint_lowest_loss.pth of the first training")


def run(arguments: argparse.Namespace) -> int:
    """Fine-tune."""
    from flare_trt.training.fit.runs import finetune

    finetune(folders_of(arguments), run_of(arguments), arguments.start)
    return 0
