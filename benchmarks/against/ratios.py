"""What pairs of runs tell: a table of ratios, and whether the labels are still those of before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.against.pairs import Pair
from flare_trt.benchmarks.peers.compare import mean_dice
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.modes import MODES
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels

COLUMNS = (
    *("scan", "mode", "our caches", "wall (s) before", "after", "ratio", "CPU (s) before", "after", "ratio"),
    *("peak (MB) before", "after", "ratio", "DSC after to before", "before to its fp32", "after"),
    *("DSC to reference before", "after", "CPUs taken by others (%)"),
)
DICE = ("dice", "fp32_before", "fp32_after", "reference_before", "reference_after")
#: What labels in half precision may lose of the mean DSC to those of equal weights in fp32, or as much as those before lose: two
#: roundings are as far from each other as each is from fp32. fp32 on the whole scan's tiles (exact) changes no label but a tie
#: where the order of sums changed: two classes of one float's distance.
FAST_LIMIT, TIES = 0.002, 1e-6


def pair_row(pair: Pair, reference: Path | None) -> dict[str, Any]:
    """The numbers of a pair, JSON-ready. Raises InputError where labels and reference differ in size."""
    before, after = (read_labels(path).array for path in pair.labels)
    found: dict[str, Any] = dict.fromkeys(DICE)
    if pair.unrounded is not None:
        fp32 = read_labels(pair.unrounded).array
        found |= {"fp32_before": mean_dice(before, fp32), "fp32_after": mean_dice(after, fp32)}
    if reference is not None:
        expected = read_labels(reference).array
        if expected.shape != after.shape:
            raise InputError(f"{reference}: got {expected.shape} voxels, expected the {after.shape} of {pair.case.ct.name}")
        found |= {"reference_before": mean_dice(before, expected), "reference_after": mean_dice(after, expected)}
    return found | {
        "scan": pair.case.ct.name if pair.case.copies == 1 else f"{pair.case.copies} x {pair.case.ct.name}",
        "mode": pair.case.mode,
        "caches": pair.case.caches,
        "same_weights": pair.case.model is not None,
        **{name: list(pair.medians(f"{name}")) for name in ("wall_s", "cpu_s", "peak_mb")},
        "differing": float(np.mean(before != after)),
        "dice": mean_dice(after, before),
        "others_share": pair.others_share,
        "runs": [[spent.wall_s, spent.cpu_s, spent.peak_mb, spent.others_share] for spent in (*pair.before, *pair.after)],
    }


def ratio_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown. A ratio is the median of the pairs' ratios, so it need not be that of the two medians beside it."""
    return markdown_table(COLUMNS, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    numbers: list[str] = []
    for name, digits in (("wall_s", 2), ("cpu_s", 2), ("peak_mb", 0)):
        before, after, ratio = row[name]
        numbers += [f"{before:.{digits}f}", f"{after:.{digits}f}", f"{ratio:.2f}"]
    dice = [None if row.get(key) is None else f"{row[key]:.4f}" for key in DICE]
    return row["scan"], row["mode"], row["caches"], *numbers, *dice, f"{100 * row['others_share']:.0f}"


def label_checks(rows: Sequence[dict[str, Any]]) -> list[Check]:
    """What has to hold for the times of equal weights to count."""
    checks = []
    for row in rows:
        name = f"{row['scan']}, {row['mode']}, caches {row['caches']}"
        settings = MODES[row["mode"]]
        if row["same_weights"] and settings.raster == "scan" and not settings.precision:
            checks.append(Check(f"{name}: share of voxels that differ", row["differing"], TIES))
        elif row["same_weights"] and row["fp32_after"] is not None:
            limit = max(FAST_LIMIT, 1 - row["fp32_before"])
            checks.append(Check(f"{name}: 1 - mean DSC to the labels before in fp32", 1 - row["fp32_after"], limit))
        elif row["same_weights"]:
            checks.append(Check(f"{name}: 1 - mean DSC to the labels before", 1 - row["dice"], FAST_LIMIT))
    return checks
