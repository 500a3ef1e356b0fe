"""`flare-trt bench budget`: is --max-memory kept, for long scans and for many classes?

The scans are a real torso repeated to the wanted length, the networks synthetic, so that what is around them shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.inputs.synthetic import write_synthetic_bundle
from flare_trt.benchmarks.peers.peers_cli import tell_checks
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_ct

#: Longer scans than a body are refused, see engine/scans/ct_checks.py.
_MOST_LENGTH_MM = 2000.0
#: A budget may cut the scan into blocks; splines that end 18 samples beyond a block round a few voxels in ten million elsewhere.
_MOST_CHANGED = 1e-6
COLUMNS = ("slices", "classes", "budget (MB)", "peak above idle (MB)", "without a budget (MB)")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("torso", type=Path, help="a real CT that is repeated to the wanted length")
    parser.add_argument("--budget", type=int, default=1500, help="MB (default: %(default)s)")
    parser.add_argument("--slices", type=int, nargs="+", default=[100, 300, 700, 1400], help="lengths (default: %(default)s)")
    parser.add_argument("--classes", type=int, nargs="+", default=[15, 118], help="output channels (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run every combination with and without the budget. Returns 1 where the budget was passed or labels changed."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        torso = read_ct(arguments.torso)
        bundles = {classes: Path(folder) / f"classes{classes}" for classes in arguments.classes}
        for classes, bundle in bundles.items():
            write_synthetic_bundle(bundle, classes)
        for slices in arguments.slices:
            scan = Path(folder) / "scan.nii.gz"
            write_ct(scan, _repeated(torso, slices))
            rows += [_row(scan, bundle, slices, arguments.budget) | {"classes": classes} for classes, bundle in bundles.items()]
    print(budget_table(rows))
    checks = []
    for row in rows:
        about = f"{row['slices']} slices, {row['classes']} classes"
        checks.append(Check(f"{about}: peak above idle, MB", row["bounded_mb"], row["budget_mb"]))
        checks.append(Check(f"{about}: share of voxels that the budget changed", row["changed"], _MOST_CHANGED))
    result = new_result("budget", checks, {"rows": rows})
    if arguments.out:
        save_result(arguments.out, result)
    return tell_checks(result)


def budget_table(rows: list[dict[str, Any]]) -> str:
    """What each run took above the idle process, with the budget and without."""
    cells = [(row["slices"], row["classes"], row["budget_mb"], round(row["bounded_mb"]), round(row["free_mb"])) for row in rows]
    return markdown_table(COLUMNS, cells)


def _row(scan: Path, bundle: Path, slices: int, budget_mb: int) -> dict[str, Any]:
    bounded, free = scan.with_name("bounded.nii.gz"), scan.with_name("free.nii.gz")
    peaks = [_peak(bundle, scan, labels, budget) for labels, budget in ((bounded, budget_mb), (free, 0))]
    changed = float(np.mean(read_labels(bounded).array != read_labels(free).array))
    return {"slices": slices, "budget_mb": budget_mb, "bounded_mb": peaks[0], "free_mb": peaks[1], "changed": changed}


def _peak(bundle: Path, scan: Path, labels: Path, budget_mb: int) -> float:
    command = [
        sys.executable,
        "-m",
        "flare_trt.benchmarks.studies.budget_runner",
        str(bundle),
        str(scan),
        str(labels),
        str(budget_mb),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise FlareError(f"budget: a run ended with exit code {ran.returncode}: {ran.stderr.strip()[-300:]}")
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    if "refused" in told:
        raise FlareError(f"budget: {budget_mb} MB were refused: {told['refused']}")
    return float(told["above_idle_mb"])


def _repeated(torso: Volume, slices: int) -> Volume:
    """The torso over and over, its slices thinned where the scan would be longer than a body."""
    grid = torso.grid
    array = np.resize(torso.array, (slices, *grid.shape_zyx[1:]))
    spacing_mm = (min(grid.spacing_mm[0], _MOST_LENGTH_MM / slices), *grid.spacing_mm[1:])
    return Volume(array, Grid((slices, *grid.shape_zyx[1:]), spacing_mm, grid.origin_mm, grid.direction))
