"""`flare-trt bench half`: what half precision changes in the default model's labels, and in nnU-Net's own; resumable."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.base.result_file import load_result, new_result, save_result
from flare_trt.benchmarks.inputs.turned_scan import turned_scan
from flare_trt.benchmarks.measure.measure import measured
from flare_trt.benchmarks.peers.compare import Labels, mean_dice
from flare_trt.benchmarks.peers.peers_cli import tell_checks
from flare_trt.benchmarks.studies.real_size import LEAST_VOXELS, agreement
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct

OURS, NNUNET = "flare-trt, mode half beside exact", "nnU-Net, autocast beside fp32"
_LEAST = f"least DSC from {LEAST_VOXELS} voxels on"
COLUMNS = ("what", "CT", "voxels", "differ", "equal (%)", "mean DSC", _LEAST, "CPU (s), full", "CPU (s), half")
#: The promise of mode=half: at least 99.95 % of the voxels are mode=exact's. nnU-Net promises nothing.
DIFFERING_LIMIT = 5e-4


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cts", type=Path, nargs="+", metavar="CT", help="CTs (.nii.gz), each in a folder of its name")
    parser.add_argument("--out", type=Path, required=True, help="result as JSON; rows that it holds are not run again")
    parser.add_argument("--work", type=Path, required=True, help="folder for labels and logs")
    parser.add_argument("--nnunet", type=Path, help="nnU-Net folder of the default model's fine weights: its own difference too")


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing. Returns 1 where mode=half did not keep its promise."""
    rows: list[dict[str, Any]] = load_result(arguments.out).data["rows"] if arguments.out.exists() else []
    result = None
    for what in (OURS, NNUNET) if arguments.nnunet else (OURS,):
        for ct in arguments.cts:
            if any((row["what"], row["case"]) == (what, ct.parent.name) for row in rows):
                continue
            print(f"running {what}, {ct.parent.name}", file=sys.stderr)
            rows.append(_row(what, ct, arguments.nnunet, arguments.work / ct.parent.name))
            result = new_result("half", checks_of(rows), {"rows": rows})
            save_result(arguments.out, result)
    print(half_table(rows))
    return 0 if result is None else tell_checks(result)


def half_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, ours first."""
    return markdown_table(COLUMNS, [_cells(row) for row in sorted(rows, key=lambda row: (row["what"], row["voxels"]))])


def checks_of(rows: Sequence[dict[str, Any]]) -> list[Check]:
    """What has to hold: mode=half keeps its promise on each CT."""
    return [
        Check(f"{row['case']}: share of voxels in which mode=half differs", row["differing"] / row["voxels"], DIFFERING_LIMIT)
        for row in rows
        if row["what"] == OURS
    ]


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    equal = 100 * (1 - row["differing"] / row["voxels"])
    scores = f"{row['mean_dice']:.4f}", None if row["least_dice"] is None else f"{row['least_dice']:.4f}"
    times = (f"{row[key]:.1f}" for key in ("full_cpu_s", "half_cpu_s"))
    return row["what"], row["case"], row["voxels"], row["differing"], f"{equal:.4f}", *scores, *times


def _row(what: str, ct: Path, model_folder: Path | None, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    scan = folder / "ct.nii.gz"
    if not scan.exists():
        write_ct(scan, turned_scan(ct))
    full, half = folder / "full.nii.gz", folder / "half.nii.gz"
    if what == OURS:
        commands = [_segment(scan, full, "exact"), _segment(scan, half, "half")]
    else:
        runner = [sys.executable, "-m", "flare_trt.benchmarks.peers.peer_nnunet", str(model_folder), str(scan)]
        commands = [[*runner, str(full)], [*runner, str(half), "--autocast"]]
    spent = [measured(command, folder / "log.txt").cpu_s for command in commands]
    row = {"what": what, "case": ct.parent.name, **_difference(read_labels(half).array, read_labels(full).array)}
    shutil.rmtree(folder)
    return row | {"full_cpu_s": spent[0], "half_cpu_s": spent[1]}


def _difference(half: Labels, full: Labels) -> dict[str, Any]:
    counted = {"voxels": full.size, "mean_dice": mean_dice(half, full)}
    return agreement(half, full) | counted | {"differing": int(np.count_nonzero(half != full))}


def _segment(scan: Path, out: Path, mode: str) -> list[str]:
    return [sys.executable, "-m", "flare_trt.engine", "segment", str(scan), "-o", str(out), "--mode", mode, "--device", "cpu"]
