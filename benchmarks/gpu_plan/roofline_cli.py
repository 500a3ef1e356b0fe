"""`flare-trt bench roofline`: the least time of the paper's scans on some GPUs beside what the paper measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.gpu_plan.roofline import ORGANS_MM, SPACING_MM, roofline_rows, roofline_stage_table, total_table
from flare_trt.engine.model.spec import Check

#: FLARE's tolerance, without what a driver's context takes (an assumption).
_LIMIT_MB = 4096 - 500


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Plan and print. Nothing is measured, so the machine does not matter."""
    rows = roofline_rows()
    if arguments.out:
        highest = max(row["peak_mb"] for row in rows)
        checks = [Check("highest planned peak, MB", highest, _LIMIT_MB)]
        save_result(arguments.out, new_result("roofline", checks, {"spacing_mm": SPACING_MM, "organs_mm": ORGANS_MM, "rows": rows}))
    print("fp16 (mode=fast)", total_table(rows, "fp16"), "fp32 (mode=exact)", total_table(rows, "fp32"), sep="\n\n")
    print(f"\nstages of {rows[-1]['case']}, {rows[-1]['precision']}\n\n{roofline_stage_table(rows[-1])}")
    return 0
