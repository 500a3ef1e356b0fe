"""`flare-trt bench cascade`: the paper's Table 6 on one scan: nnU-Net, ours without the coarse stage, with it, and fast.

All run the same fine weights. Labels are compared with those of the fine network over the whole scan in mode=exact. Inside of its
box the cascade in mode=exact must not change them (outside it leaves out false organs in the chest, say); mode=fast, whose tiles
lie elsewhere, must be as near to reference labels as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.base.tables import percent
from flare_trt.benchmarks.peers.compare import Compared, Labels, compare, mean_dice
from flare_trt.benchmarks.peers.nnunet_share import whole_seconds, without_tiles
from flare_trt.benchmarks.peers.peers_cli import tell_checks
from flare_trt.benchmarks.peers.peers_report import peer_rows, stage_table, tile_counts
from flare_trt.benchmarks.peers.roster import NNUNET, NNUNET_DEFAULT, Task, own_peer
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.kernels import Box

WHOLE, EXACT, FAST = "without coarse", "cascade, exact", "cascade, fast"
COLUMNS = (
    "variant",
    "seconds",
    "times faster than nnU-Net's default",
    "times faster than nnU-Net without mirroring",
    "DSC to whole volume",
    "the same in the box",
    "DSC to reference",
    "network share",
    "peak (MB)",
    "ROI",
    "tiles coarse, fine",
    "CPUs taken by others (%)",
)
#: What mode=exact may lose of the DSC to the whole volume's labels, and mode=fast of the DSC to the reference that those have.
EXACT_LIMIT, FAST_LIMIT = 0.002, 0.010


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("ct", type=Path, help="the scan, e.g. of `flare-trt bench body`")
    parser.add_argument("--single", type=Path, required=True, help="bundle of the fine stage alone")
    parser.add_argument("--cascade", type=Path, required=True, help="bundle of both stages, same fine weights")
    parser.add_argument("--nnunet", type=Path, help="nnU-Net folder of the same fine weights; without it no row for nnU-Net")
    parser.add_argument(
        "--slices",
        type=int,
        nargs=2,
        metavar=("FIRST", "STOP"),
        help="compare labels on these slices alone: the real torso of `flare-trt bench body`, which tells them; what a network "
        "sees in the phantom around it means nothing",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        help="label map of the compared slices, for the check of mode=fast",
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare the variants. Returns 1 where the cascade changed the labels by more than its limit."""
    peers = [
        own_peer(WHOLE, arguments.single, "exact"),
        own_peer(EXACT, arguments.cascade, "exact"),
        own_peer(FAST, arguments.cascade, "fast"),
    ]
    if arguments.nnunet:
        peers = [NNUNET_DEFAULT, NNUNET, *peers]
    task = Task(arguments.ct, arguments.nnunet or Path(), arguments.single)
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        found = compare(task, peers, arguments.repeats, Path(folder))
    part = slice(*arguments.slices) if arguments.slices else slice(None)
    rows = _with_losses(found, part)
    if arguments.reference:
        _add_reference(rows, found, part, read_labels(arguments.reference).array)
    print(cascade_table(rows))
    print()
    print(stage_table(rows))
    data = {"scan": {"shape_zyx": NiftiReader(arguments.ct).grid.shape_zyx}, "slices": arguments.slices, "rows": rows}
    result = new_result("cascade", _checks(rows), data)
    if arguments.out:
        save_result(arguments.out, result)
    return tell_checks(result)


def cascade_table(rows: list[dict[str, Any]]) -> str:
    """The variants as a table; a variant that did not run has dashes."""
    walls = {row["name"]: row["wall_s"] for row in rows if row["problem"] is None}
    cells = []
    for row in rows:
        if row["problem"] is not None:
            cells.append((row["name"], *[None] * (len(COLUMNS) - 1)))
            continue
        faster = [f"{walls[peer.name] / row['wall_s']:.1f}" if peer.name in walls else None for peer in (NNUNET_DEFAULT, NNUNET)]
        dice = [None if row.get(key) is None else f"{row[key]:.4f}" for key in ("dice_to_whole", "dice_in_box", "dice")]
        share = f"{row['stages'].get('network', 0.0) / row['wall_s']:.2f}"
        tiles = row["tiles_run"] or tile_counts(row)
        rest = round(row["memory"]["tree_rss"]["peak_mb"]), row["roi"], tiles, percent(row.get("others_share"))
        cells.append((row["name"], f"{row['wall_s']:.1f}", *faster, *dice, share, *rest))
    return markdown_table(COLUMNS, cells)


def _with_losses(found: list[Compared], part: slice) -> list[dict[str, Any]]:
    """Numbers of each variant, with the mean DSC of its labels to those of the whole volume, on some slices."""
    whole = next((compared.labels for compared in found if compared.peer.name == WHOLE), None)
    rows = peer_rows(found, None)
    for row, compared in zip(rows, found, strict=True):
        if compared.labels is None:
            continue
        measured_s = row["wall_s"]
        row["wall_s"], row["tiles_run"] = whole_seconds(measured_s, row["stages"])
        row["stages"] = without_tiles(row["stages"])
        if row["tiles_run"]:
            row["stages"]["network"] += row["wall_s"] - measured_s
        row["dice_to_whole"] = row["dice_in_box"] = None
        if whole is not None and not row["tiles_run"]:
            row["dice_to_whole"] = row["dice_in_box"] = mean_dice(compared.labels[part], whole[part])
            if compared.box is not None:
                row["dice_in_box"] = mean_dice(_only(compared.box, compared.labels)[part], _only(compared.box, whole)[part])
    return rows


def _only(box: Box, labels: Labels) -> Labels:
    inside = np.zeros_like(labels)
    inside[box.slices] = labels[box.slices]
    return inside


def _add_reference(rows: list[dict[str, Any]], found: list[Compared], part: slice, reference: Labels) -> None:
    """Put each variant's mean DSC to the reference into its row. Raises InputError where that is of another size."""
    for row, compared in zip(rows, found, strict=True):
        if compared.labels is None or row["tiles_run"]:
            continue
        shape = compared.labels[part].shape
        if shape != reference.shape:
            raise InputError(f"--reference: got {reference.shape} voxels, expected the {shape} of the compared slices")
        row["dice"] = mean_dice(compared.labels[part], reference)


def _checks(rows: list[dict[str, Any]]) -> list[Check]:
    by_name = {row["name"]: row for row in rows if row["problem"] is None}
    whole, exact, fast = (by_name.get(name, {}) for name in (WHOLE, EXACT, FAST))
    lost = 1 - exact["dice_in_box"] if exact.get("dice_in_box") is not None else np.inf
    checks = [Check(f"{EXACT}: 1 - mean DSC to the whole volume in the box", lost, EXACT_LIMIT)]
    if whole.get("dice") is not None:
        lost = whole["dice"] - fast["dice"] if fast.get("dice") is not None else np.inf
        checks.append(Check(f"{FAST}: mean DSC to the reference, less than the whole volume's", lost, FAST_LIMIT))
    return checks
