"""`flare-trt plan`: what a scan will take of a GPU's memory and, at best, of its time, before anything is allocated."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.benchmarks.gpu_plan.cards import CARDS, Card, card_named
from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.gpu_plan.plan_table import area_mb_s, as_json, buffer_rows, least_seconds, stage_rows
from flare_trt.benchmarks.gpu_plan.scan_plan import PlannedModel, PlannedScan, ScanPlan, plan_scan
from flare_trt.engine.apps.cli.values import memory_mb, triple
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.organs import MAX_EXTENT_MM
from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.base.units import MB
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.modes import MODES
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.nifti import NiftiReader


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scan", nargs="?", type=Path, metavar="CT", help="a .nii or .nii.gz file; only its header is read")
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE", help="a model bundle: a folder or a .zip")
    cards = ", ".join(card.name for card in CARDS)
    parser.add_argument("--gpu", default="RTX 5000", metavar="NAME", help=f"part of a name of {cards} (default: %(default)s)")
    parser.add_argument("--shape", type=triple, metavar="Z,Y,X", help="voxels, in place of a CT")
    parser.add_argument("--spacing", type=triple, metavar="Z,Y,X", help="mm, in place of a CT")
    parser.add_argument("--mode", choices=tuple(MODES), default="exact", help="fp32 or fp16, and the bundle's own settings")
    parser.add_argument("--max-memory", type=memory_mb, metavar="SIZE", help="memory on the GPU beside CUDA's context, e.g. 3.5GB")
    parser.add_argument("--mirror", action="store_true", help="average over mirrored inputs")
    parser.add_argument(
        "--organs",
        type=triple,
        default=MAX_EXTENT_MM,
        metavar="HF,AP,LR",
        help="extent in mm of the organs in which the fine stage looks; default: the largest plausible",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every buffer and every step")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan. Raises InputError, BundleError, or BudgetError where the budget is too little."""
    card, (grid, dtype) = card_named(arguments.gpu), _scan(arguments)
    with open_bundle(arguments.model) as bundle:
        stages = {"coarse": bundle.spec.coarse, "fine": bundle.spec.fine}
        networks = {name: tuple(map(network_facts, bundle.network_files(stage))) for name, stage in stages.items() if stage}
        model = PlannedModel(bundle.spec, networks)
    options = RunOptions(mode=arguments.mode, mirror=arguments.mirror, max_memory_mb=arguments.max_memory)
    plan = plan_scan(model, PlannedScan.of(grid, dtype, arguments.organs), options)
    if arguments.json:
        write_json(arguments.json, as_json(plan, card))
    print(plan_text(plan, card))
    return 0


def plan_text(plan: ScanPlan, card: Card) -> str:
    """Buffers, stages, totals and what is assumed."""
    buffers = [("pass", "buffer", "arrays", "largest (MB)", "steps")]
    for row in buffer_rows(plan):
        buffers.append((row.part, row.name, str(row.count), f"{row.largest_bytes / MB:.3f}", f"{row.first}-{row.last}"))
    stages = [("stage", "steps", "least time (s)", "peak (MB)")]
    for stage in stage_rows(plan, card):
        if stage.stage != "networks":
            stages.append((stage.stage, str(stage.steps), f"{stage.seconds:.4f}", f"{stage.peak_bytes / MB:.0f}"))
    totals = (
        f"On a {card.name}, {plan.precision}: peak {plan.peak_bytes / MB:.0f} MB of {card.memory_gb * 1000:.0f} MB, at least "
        f"{least_seconds(plan, card):.3g} s, memory-time area {area_mb_s(plan, card):.3g} MB s at these times."
    )
    assumed = (
        "Counted: every array of the run. Estimated: activations, from the network's graph. Not in it: CUDA's context, reading "
        "and writing, an ROI that has to grow. Times are what the card's data sheet allows, not measurements."
    )
    return "\n\n".join([aligned_table(buffers), aligned_table(stages), totals, assumed])


def _scan(arguments: argparse.Namespace) -> tuple[Grid, str]:
    """The grid and the dtype of the voxels."""
    sizes = arguments.shape, arguments.spacing
    if (arguments.scan is None) == (None in sizes) or (arguments.scan is not None and sizes != (None, None)):
        raise InputError("plan: expected either a CT, or both --shape and --spacing")
    if arguments.scan is not None:
        reader = NiftiReader(arguments.scan)
        return reader.grid, str(reader.dtype)
    z, y, x = (int(size) for size in arguments.shape)
    return Grid((z, y, x), arguments.spacing), "int16"
