"""`flare-trt train reproduce`: the paper's tables 5 and 6 in miniature, on a CPU."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.engine.base.errors import InputError, OutputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--out", type=Path, required=True, help="folder of datasets, networks, bundles and tables; must not exist")
    parser.add_argument(
        "--real", type=Path, nargs="*", default=[], help="folders with ct.nii.gz, seg_flare13.nii.gz where labelled"
    )
    parser.add_argument("--epochs", type=int, default=12, help="of each training (%(default)s)")
    parser.add_argument("--iterations", type=int, default=50, help="of an epoch (%(default)s)")
    parser.add_argument("--phantoms", type=int, default=20, help="a fifth fully labelled, the rest partly or not (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs, each with other phantoms to train on (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run all steps, write reproduction.json and reproduction.md, and print the tables."""
    from flare_trt.engine.apps.cli.console import Console
    from flare_trt.engine.base.files import atomic_file, write_json
    from flare_trt.training.reproduce.experiment import Effort, run_experiments
    from flare_trt.training.reproduce.figures import as_markdown
    from flare_trt.training.reproduce.miniature import MiniatureSize

    if arguments.phantoms < 5:
        raise InputError(f"--phantoms: got {arguments.phantoms}, expected at least 5")
    if arguments.seeds < 1:
        raise InputError(f"--seeds: got {arguments.seeds}, expected at least 1")
    if arguments.out.exists():
        raise OutputError(f"{arguments.out}: exists; name a new folder")
    for folder in arguments.real:
        if not (folder / "ct.nii.gz").is_file():
            raise InputError(f"{folder}: holds no ct.nii.gz")
    fifth = arguments.phantoms // 5
    size = MiniatureSize(fifth, 2 * fifth, arguments.phantoms - 3 * fifth)
    effort = Effort(arguments.epochs, arguments.iterations)
    figures = run_experiments(arguments.out, size, effort, arguments.real, arguments.seeds)
    write_json(arguments.out / "reproduction.json", figures)
    tables = as_markdown(figures)
    with atomic_file(arguments.out / "reproduction.md") as file:
        file.write((tables + "\n").encode())
    Console().line(tables)
    return 0
