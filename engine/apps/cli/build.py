"""`flare-trt build`: the TensorRT engines of a bundle for one GPU ahead of time, so that no scan waits for them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from flare_trt.engine.apps.cli.values import device
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.modes import MODES
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.device_choice import place
from flare_trt.engine.networks.tensorrt_.backend import build_ahead


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a model bundle: a folder or a .zip")
    parser.add_argument("--mode", choices=tuple(MODES), default="exact", help="the mode to build for: fp32 or fp16 engines")
    parser.add_argument("--device", type=device, default="cuda:0", metavar="cuda:N", help="default: cuda:0")


def run(arguments: argparse.Namespace) -> int:
    """Build what is not in the cache yet. Raises DeviceError where there is no GPU, BundleError for a wrong bundle."""
    run_options = RunOptions(mode=arguments.mode, device=arguments.device, backend="tensorrt")
    options = place(run_options).session
    with open_bundle(arguments.bundle) as bundle:
        stages = bundle.spec.with_stages(run_options.stage_as_run).stages.values()
        for file in dict.fromkeys(network.file for stage in stages for network in stage.networks):
            start_s = time.perf_counter()
            was_built = build_ahead(bundle.folder / file, options)
            what = f"built in {time.perf_counter() - start_s:.0f} s" if was_built else "is in the cache already"
            print(f"{file} {options.precision} for {options.device}: {what}")
    return 0
