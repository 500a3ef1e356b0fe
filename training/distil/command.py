"""`flare-trt train distil`: make the teacher's views, train a student, continue where a run stopped."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

from flare_trt.training.run_folder import open_run_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    steps = parser.add_subparsers(dest="distil_step", required=True, metavar="STEP")
    views = steps.add_parser("views", help="let the teacher label random views of the CTs")
    train = steps.add_parser("train", help="train a student on the views and on phantoms")
    bundle = steps.add_parser("bundle", help="write two students as a model bundle with its card")
    for step in (views, train):
        step.add_argument("--config", type=Path, required=True, help="configuration, see training/runs/*.json")
        step.add_argument("--cache", type=Path, required=True, help="folder of the teacher's views")
    for step in (views, train, bundle):
        step.add_argument("--data", type=Path, default=Path(), help="folder that the configurations' paths start from")
        step.add_argument("--threads", type=int, default=1)
    views.add_argument("--network", type=Path, metavar="ONNX", help="network that labels, instead of the configuration's teacher")
    for name in ("coarse", "fine"):
        bundle.add_argument(f"--{name}", type=Path, required=True, metavar="CONFIG", help=f"configuration of the {name} student")
        bundle.add_argument(
            f"--{name}-checkpoint", type=Path, metavar="PT", help="best.pt of its run; default: the teacher's weights"
        )
    bundle.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    train.add_argument("--run", type=Path, required=True, help="folder of checkpoints and log", dest="run_folder")
    train.add_argument("--resume", action="store_true", help="continue the run that stands in the folder")
    train.add_argument("--minutes", type=float, default=math.inf, help="stop, resumable, after so long")


def run(arguments: argparse.Namespace) -> int:
    """Run one step of the distillation."""
    import torch

    torch.set_num_threads(arguments.threads)
    steps = {"views": _views, "train": _train, "bundle": _bundle}
    steps[arguments.distil_step](arguments)
    return 0


def _views(arguments: argparse.Namespace) -> None:
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.distil.views import make_views

    config = read_config(arguments.config, arguments.data)
    if arguments.network is not None:
        config = replace(config, teacher=replace(config.teacher, onnx=str(arguments.network)))
    make_views(config, arguments.cache, arguments.threads)


def _train(arguments: argparse.Namespace) -> None:
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.distil.loop import train
    from flare_trt.training.distil.views import open_views

    open_run_folder(arguments.run_folder, arguments.resume)
    config = read_config(arguments.config, arguments.data)
    train(config, open_views(arguments.cache), arguments.run_folder, time.monotonic() + 60 * arguments.minutes)


def _bundle(arguments: argparse.Namespace) -> None:
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.distil.default_model import write_default_model
    from flare_trt.training.distil.student import Student

    coarse = Student(read_config(arguments.coarse, arguments.data), arguments.coarse_checkpoint)
    fine = Student(read_config(arguments.fine, arguments.data), arguments.fine_checkpoint)
    write_default_model(coarse, fine, arguments.output, arguments.threads)
