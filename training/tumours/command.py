"""`flare-trt train tumours`: views of two networks, a pool of patches with planted lesions, the branch that learns from it."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError
from flare_trt.training.run_folder import open_run_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    steps = parser.add_subparsers(dest="tumours_step", required=True, metavar="STEP")
    agree = steps.add_parser("agree", help="mark where two networks label the same views differently")
    for name, text in (("teacher", "views whose labels stand"), ("other", "the same views, labelled by another network")):
        agree.add_argument(f"--{name}", type=Path, required=True, metavar="CACHE", help=text)
    pool = steps.add_parser("pool", help="draw patches with lesions and with what only looks like one")
    prepare, train = _add_training(steps, pool)
    bundle = steps.add_parser("bundle", help="write the network as a bundle, with a model card that says what it finds")
    bundle.add_argument(
        "--checkpoint", type=Path, nargs="+", required=True, metavar="PT", help="checkpoint of its run; of several, the mean"
    )
    bundle.add_argument("--organs", type=Path, metavar="BUNDLE", help="bundle that the network grew from (the default model)")
    bundle.add_argument("--held-out", type=Path, nargs="+", default=[], metavar="CT", help="CTs to plant lesions in and measure")
    bundle.add_argument("--name", default="flare-trt-tumours", help="name of the bundle (%(default)s)")
    bundle.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    sheet = steps.add_parser("sheet", help="draw examples of the pool as one PNG")
    sheet.add_argument("--count", type=int, default=20, help="patches that show a lesion (%(default)s)")
    sheet.add_argument("--columns", type=int, default=4, help="examples a row, each without and with its outline (%(default)s)")
    sheet.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="file to write")
    found = steps.add_parser("found", help="draw what a bundle takes for tumour in real CTs as one PNG, and count it")
    found.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="bundle that looks for tumours")
    found.add_argument("cts", type=Path, nargs="+", metavar="CT", help="CTs, each in a folder that bears its name")
    found.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="file to write")
    for step in (pool, prepare, train, bundle):
        step.add_argument("--config", type=Path, required=True, help="configuration, see training/runs/tumours_fine.json")
    for step in (pool, train, bundle):
        step.add_argument("--data", type=Path, default=Path(), help="folder that the configuration's paths start from")
    for step in (pool, train, bundle, found):
        step.add_argument("--threads", type=int, default=1)
    for step in (pool, train, sheet):
        step.add_argument("--pool", type=Path, required=True, help="folder of the patches")
    for step in (agree, pool, prepare):
        step.add_argument("--cache", type=Path, required=True, help="folder of the agreed views")
    pool.add_argument("--first", type=int, default=0, metavar="N", help="number of the first patch, which seeds it")
    pool.add_argument("--last", type=int, required=True, metavar="N", help="draw up to this number")
    pool.add_argument("--slots", type=int, default=3000, metavar="N", help="patches that are kept; later ones replace the first")
    train.add_argument("--minutes", type=float, default=math.inf, help="stop, resumable, after so long")


def _add_training(steps: Any, pool: argparse.ArgumentParser) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The steps that make and use a prepared file, and the one that uses a pool; returns `prepare` and `train`."""
    prepare = steps.add_parser("prepare", help="write all that a training on another machine needs as one file")
    prepare.add_argument("-o", "--output", type=Path, required=True, metavar="NPZ", help="file to write, at most 60 MiB")
    train = steps.add_parser("train", help="train a branch for tumours beside a bundle's fine network, on the pool")
    once = steps.add_parser("train-prepared", help="the same on a machine that has this file, PyTorch and NumPy; for a GPU")
    once.add_argument("prepared", type=Path, metavar="NPZ", help="file of 'prepare'")
    once.add_argument("--device", default="cuda", help="PyTorch's device (%(default)s)")
    once.add_argument("--workers", type=int, default=12, help="processes that draw patches (%(default)s)")
    once.add_argument("--finish-in", type=float, required=True, metavar="MINUTES", help="the schedule lasts so long")
    for step in (pool, prepare, train):
        step.add_argument(
            "--organs", type=Path, metavar="BUNDLE", help="bundle whose fine network finds the organs (the default model)"
        )
    for step in (train, once):
        step.add_argument("--run", type=Path, required=True, help="folder of checkpoints and log", dest="run_folder")
        step.add_argument("--resume", action="store_true", help="continue the run that stands in the folder")
    return prepare, train


def run(arguments: argparse.Namespace) -> int:
    """Run one step."""
    import torch

    torch.set_num_threads(getattr(arguments, "threads", 1))
    steps = {
        "agree": _agree,
        "pool": _pool,
        "prepare": _prepare,
        "train": _train,
        "train-prepared": _train_prepared,
        "bundle": _bundle,
        "found": _found,
        "sheet": _sheet,
    }
    steps[arguments.tumours_step](arguments)
    return 0


def _agree(arguments: argparse.Namespace) -> None:
    from flare_trt.training.tumours.agreement import agreed_views

    agreed_views(arguments.teacher, arguments.other, arguments.cache)


def _pool(arguments: argparse.Namespace) -> None:
    from flare_trt.engine.model.default_model import default_model
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.tumours.draw import named_views
    from flare_trt.training.tumours.organs import organs_found
    from flare_trt.training.tumours.pool import Pool

    views = named_views(arguments.cache)
    config = read_config(arguments.config, arguments.data)
    with organs_found(arguments.organs or default_model(), arguments.threads) as organs:
        Pool(arguments.pool).fill(views, config, organs, range(arguments.first, arguments.last), arguments.slots)


def _prepare(arguments: argparse.Namespace) -> None:
    from flare_trt.engine.model.default_model import default_model
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.tumours.draw import named_views
    from flare_trt.training.tumours.network import organs_of_bundle
    from flare_trt.training.tumours.prepared import Prepared, write_prepared

    config = read_config(arguments.config, Path())
    organs = organs_of_bundle(arguments.organs or default_model(), config.network)
    write_prepared(Prepared(config, named_views(arguments.cache), organs), arguments.output)


def _train(arguments: argparse.Namespace) -> None:
    from flare_trt.engine.model.default_model import default_model
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.tumours.loop import Pace, train
    from flare_trt.training.tumours.network import organs_of_bundle
    from flare_trt.training.tumours.pool import FromPool, Pool

    open_run_folder(arguments.run_folder, arguments.resume)
    config = read_config(arguments.config, arguments.data)
    organs = organs_of_bundle(arguments.organs or default_model(), config.network)
    pace = Pace(stop_at=time.monotonic() + 60 * arguments.minutes)
    train(config, organs, FromPool(config, Pool(arguments.pool)), arguments.run_folder, pace)


def _train_prepared(arguments: argparse.Namespace) -> None:
    import torch

    from flare_trt.training.tumours.examples import Drawn
    from flare_trt.training.tumours.loop import Pace, train
    from flare_trt.training.tumours.prepared import read_prepared

    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device: got {arguments.device}, but PyTorch finds no NVIDIA GPU here; --device cpu is slow, but works")
    prepared = read_prepared(arguments.prepared)
    open_run_folder(arguments.run_folder, arguments.resume)
    examples = Drawn(prepared.config, prepared.views, arguments.workers)
    pace = Pace(arguments.device, finish_s=60 * arguments.finish_in)
    train(prepared.config, prepared.organs, examples, arguments.run_folder, pace)


def _bundle(arguments: argparse.Namespace) -> None:
    from flare_trt.engine.model.default_model import default_model
    from flare_trt.training.distil.config import read_config
    from flare_trt.training.tumours.bundle import TrainedTumours, write_tumour_bundle

    trained = TrainedTumours(read_config(arguments.config, arguments.data), arguments.checkpoint)
    organs = arguments.organs or default_model()
    write_tumour_bundle(trained, organs, arguments.name, arguments.output, arguments.held_out)


def _found(arguments: argparse.Namespace) -> None:
    from flare_trt.engine.apps.cli.console import Console
    from flare_trt.engine.base.text_tables import aligned_table
    from flare_trt.training.tumours.found_sheet import write_found_sheet

    found = write_found_sheet(arguments.model, arguments.cts, arguments.output, arguments.threads)
    rows = [
        (each.ct, " ".join(map(str, each.pieces_ml)) or "-", str(each.elsewhere), f"{each.places_found} of {each.places}")
        for each in found
    ]
    Console().line(aligned_table([("CT", "pieces (ml)", "in no place", "places with some"), *rows]))


def _sheet(arguments: argparse.Namespace) -> None:
    from flare_trt.training.tumours.pool import Pool
    from flare_trt.training.tumours.sheet import write_sheet

    if not write_sheet(Pool(arguments.pool).files(), arguments.count, arguments.columns, arguments.output):
        raise InputError(f"{arguments.pool}: got no patch that shows a lesion; fill the pool first")
