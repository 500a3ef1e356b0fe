"""`flare-trt bench floor`: how near a bundle's networks come to what this CPU can do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.kernels.floor import Peak, measure_peak, network_seconds
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.bundle import open_bundle

COLUMNS = ("network", "GFLOP a tile", "floor (s)", "measured (s)", "share of the peak")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("bundle", type=Path, help="a model bundle")
    parser.add_argument("--repeats", type=int, default=5, help="the best of so many runs counts (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure the peak and each network's forward pass."""
    peak = measure_peak(arguments.repeats)
    with open_bundle(arguments.bundle) as bundle:
        stages = {"coarse": bundle.spec.coarse, "fine": bundle.spec.fine}
        files = [(name, file) for name, stage in stages.items() if stage for file in bundle.network_files(stage)]
        rows = [_row(name, file, peak, arguments.repeats) for name, file in files]
    data = {
        "model": bundle.spec.name,
        "matmul_gflops": peak.matmul_gflops,
        "convolution_gflops": peak.convolution_gflops,
        "rows": rows,
    }
    if arguments.out:
        save_result(arguments.out, new_result("floor", [], data))
    print(f"matrix product {peak.matmul_gflops:.0f} GFLOP/s, convolution {peak.convolution_gflops:.0f} GFLOP/s, fp32")
    print(floor_table(rows))
    return 0


def floor_table(rows: Sequence[dict[str, Any]]) -> str:
    """The networks as a table."""
    cells = [(row["network"], row["gflop"], row["floor_s"], row["measured_s"], row["floor_s"] / row["measured_s"]) for row in rows]
    return markdown_table(COLUMNS, cells)


def _row(stage: str, onnx_file: Path, peak: Peak, repeats: int) -> dict[str, Any]:
    gflop = network_facts(onnx_file).flops / 1e9
    seconds = network_seconds(onnx_file, repeats)
    return {"network": stage, "gflop": gflop, "floor_s": gflop / peak.convolution_gflops, "measured_s": seconds}
