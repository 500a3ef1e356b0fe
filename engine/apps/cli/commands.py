"""The table of commands. Only the chosen command's module is imported, so `--version` stays quick.

A command's module has `configure(parser)`, which adds its arguments, and `run(arguments) -> int`, which returns the exit
code. Naming modules as text also keeps the import arrows: the engine never imports export, benchmarks or training.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from flare_trt.engine.base.version import VERSION

#: Command -> (module, one-line help).
COMMANDS = {
    "segment": ("flare_trt.engine.apps.cli.segment", "segment CT scans with a model bundle"),
    "combine": ("flare_trt.engine.apps.cli.combine", "segment a CT with several models and merge their labels"),
    "list": ("flare_trt.engine.apps.cli.list_series", "list the series of a DICOM study, and why one cannot be segmented"),
    "plan": ("flare_trt.benchmarks.gpu_plan.plan_cli", "plan a scan's memory on a GPU, before anything is allocated"),
    "measure": ("flare_trt.engine.apps.cli.measure", "measure labels of any origin, and compare two sources of them"),
    "serve": ("flare_trt.engine.apps.cli.serve", "segment scans that are sent over HTTP"),
    "pacs": ("flare_trt.engine.apps.cli.pacs", "segment studies that a PACS sends, and send the results back"),
    "view": ("flare_trt.engine.apps.cli.view", "look at a scan and its labels in the browser"),
    "build": ("flare_trt.engine.apps.cli.build", "build a bundle's TensorRT engines for a GPU ahead of time"),
    "info": ("flare_trt.engine.apps.cli.info", "show devices, backends, versions and what a bundle holds"),
    "demo": ("flare_trt.engine.apps.cli.demo", "segment an example scan and show the result"),
    "export": ("flare_trt.export.cli", "make a bundle from an nnU-Net v2 folder or an ONNX file"),
    "evaluate": ("flare_trt.benchmarks.score.evaluate_cli", "score label maps against references: DSC and NSD"),
    "bench": ("flare_trt.benchmarks.cli", "measure time, memory and the memory-time area"),
    "train": ("flare_trt.training.cli", "prepare data, pseudo-label, train and fine-tune"),
}


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The argument parser, with the arguments of the chosen command filled in."""
    parser = argparse.ArgumentParser(
        prog="flare-trt",
        description="From a CT scan to its abdominal organs and tumours. Research software, not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"flare-trt {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == chosen:
            loaded = import_module(module)
            loaded.configure(command)
            command.set_defaults(run=loaded.run)
    return parser
