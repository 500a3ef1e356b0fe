"""`flare-trt bench tricks`: what each trick of mode=fast saves on one scan, and what it does to the labels."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.base.tables import percent
from flare_trt.benchmarks.peers.compare import Compared, Labels, agreement, compare, mean_dice
from flare_trt.benchmarks.peers.peers_cli import tell_checks
from flare_trt.benchmarks.peers.peers_report import peer_rows, tile_counts
from flare_trt.benchmarks.peers.roster import Task, own_peer
from flare_trt.benchmarks.studies.tricks import write_variants
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import NiftiReader

EXACT, FAST = "exact", "fast, as the bundle has it"
COLUMNS = (
    "variant",
    "seconds",
    "of exact (%)",
    "CPU seconds",
    "tiles coarse, fine",
    "DSC to exact",
    "equal voxels (%)",
    "DSC to reference",
    "CPUs taken by others (%)",
)
#: What mode=fast may lose of the DSC to the reference that mode=exact has; without a reference, of the DSC to mode=exact.
LOSS_LIMIT = 0.010


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("ct", type=Path, help="the scan")
    parser.add_argument("bundle", type=Path, help="folder of the model")
    parser.add_argument("--reference", type=Path, help="label map of the scan, for the check of mode=fast")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare the tricks. Returns 1 where mode=fast changes the labels by more than its limit."""
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        folder = Path(temporary)
        variants = write_variants(arguments.bundle, folder)
        peers = [own_peer(EXACT, arguments.bundle, "exact"), *(own_peer(name, bundle, "fast") for name, bundle in variants.items())]
        peers.append(own_peer(FAST, arguments.bundle, "fast"))
        found = compare(Task(arguments.ct, Path(), arguments.bundle), peers, arguments.repeats, folder / "runs")
        rows = _rows(found, read_labels(arguments.reference).array if arguments.reference else None)
    print(tricks_table(rows))
    scan = {"case": arguments.ct.parent.name, "shape_zyx": NiftiReader(arguments.ct).grid.shape_zyx}
    result = new_result("tricks", [_check(rows)], {"scan": scan, "rows": rows})
    if arguments.out:
        save_result(arguments.out, result)
    return tell_checks(result)


def _check(rows: list[dict[str, Any]]) -> Check:
    exact, fast = rows[0], rows[-1]
    if fast["problem"] is not None or exact["problem"] is not None:
        return Check(f"{FAST}: ran", float("inf"), LOSS_LIMIT)
    if exact["dice"] is None:
        return Check(f"{FAST}: 1 - mean DSC to exact", 1 - fast["dice_to_exact"], LOSS_LIMIT)
    return Check(f"{FAST}: mean DSC to the reference, less than exact's", exact["dice"] - fast["dice"], LOSS_LIMIT)


def tricks_table(rows: list[dict[str, Any]]) -> str:
    """The variants as a table; one that did not run has dashes."""
    exact_s = rows[0]["wall_s"] if rows[0]["problem"] is None else float("nan")
    cells: list[tuple[Any, ...]] = []
    for row in rows:
        if row["problem"] is not None:
            cells.append((row["name"], *[None] * (len(COLUMNS) - 1)))
            continue
        times = f"{row['wall_s']:.1f}", f"{100 * row['wall_s'] / exact_s:.0f}", f"{row['cpu_s']:.1f}"
        labels = f"{row['dice_to_exact']:.4f}", f"{100 * row['equal_to_exact']:.3f}"
        dice = None if row.get("dice") is None else f"{row['dice']:.4f}"
        cells.append((row["name"], *times, tile_counts(row), *labels, dice, percent(row.get("others_share"))))
    return markdown_table(COLUMNS, cells)


def _rows(found: list[Compared], reference: Labels | None) -> list[dict[str, Any]]:
    """Numbers of each variant, with its labels against those of mode=exact and against the reference."""
    exact = found[0].labels
    rows = peer_rows(found, reference)
    for row, compared in zip(rows, found, strict=True):
        if exact is not None and compared.labels is not None:
            row["dice_to_exact"] = mean_dice(compared.labels, exact)
            row["equal_to_exact"] = 1 - agreement(compared.labels, exact).differing
    return rows
