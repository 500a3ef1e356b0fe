"""`flare-trt bench`: the table of its sub-commands. `python -m flare_trt.benchmarks` is the same."""

from __future__ import annotations

import argparse
from importlib import import_module

#: Sub-command -> (module with `configure` and `run`, one-line help). The modules load their heavy parts when they run.
COMMANDS = {
    "measure": ("flare_trt.benchmarks.measure.measure_cli", "run any command and measure its time, memory and memory-time areas"),
    "metrics": ("flare_trt.benchmarks.score.metrics_cli", "compare the speed of the surface Dice with surface-distance"),
    "kernels": ("flare_trt.benchmarks.kernels.kernels_cli", "compare the CPU kernels with NumPy, SciPy and scikit-image"),
    "peers": ("flare_trt.benchmarks.peers.peers_cli", "compare with nnU-Net and MONAI on one CT with the same weights"),
    "nnunet": ("flare_trt.benchmarks.peers.nnunet_cli", "compare mode=exact with nnU-Net alone, as ratios"),
    "export": ("flare_trt.benchmarks.studies.export_cli", "networks of real size: export them, compare with nnU-Net; resumable"),
    "half": ("flare_trt.benchmarks.studies.half_cli", "what half precision changes in our labels, and in nnU-Net's own; resumable"),
    "speed": ("flare_trt.benchmarks.studies.speed_cli", "networks of real size beside nnU-Net: time, memory, areas; resumable"),
    "scaling": (
        "flare_trt.benchmarks.studies.scaling_cli",
        "time and memory against slices, classes, cores and region size",
    ),
    "floor": ("flare_trt.benchmarks.kernels.floor_cli", "how near a bundle's networks come to what this CPU can do"),
    "budget": ("flare_trt.benchmarks.studies.budget_cli", "is --max-memory kept, for long scans and for many classes?"),
    "body": ("flare_trt.benchmarks.inputs.body_cli", "write a whole-body scan: a real torso between phantom legs and head"),
    "cascade": ("flare_trt.benchmarks.studies.cascade_cli", "the paper's Table 6: nnU-Net, without coarse, cascade exact and fast"),
    "roofline": (
        "flare_trt.benchmarks.gpu_plan.roofline_cli",
        "the least time of the paper's scans on some GPUs, by plan",
    ),
    "endurance": ("flare_trt.benchmarks.studies.endurance_cli", "many scans in one process: are memory, handles and threads flat?"),
    "service": ("flare_trt.benchmarks.studies.service_load_cli", "a server under load: is every request answered or refused?"),
    "tricks": ("flare_trt.benchmarks.studies.tricks_cli", "what each trick of mode=fast saves, and what it does to the labels"),
    "against": ("flare_trt.benchmarks.against.against_cli", "this checkout beside another commit: time and memory as ratios"),
    "report": ("flare_trt.benchmarks.report.report_cli", "write docs/benchmarks.md and its plots from the result files"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments."""
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        loaded = import_module(module)
        loaded.configure(command)
        command.set_defaults(run_benchmark=loaded.run)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen sub-command."""
    return int(arguments.run_benchmark(arguments))
