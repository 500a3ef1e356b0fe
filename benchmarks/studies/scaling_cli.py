"""`flare-trt bench scaling`: how time and memory grow, as tables with the fitted exponents."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.base.tables import percent
from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.kernels.floor import measure_peak
from flare_trt.benchmarks.peers.compare import agreement
from flare_trt.benchmarks.studies.scaling import Bench, Case, cases, exponent, work_seconds
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels

COLUMNS = (
    "wall (s)",
    "stages (s)",
    "network (s)",
    "network's floor (s)",
    "CPU (s)",
    "peak (MB)",
    "tiles",
    "CPUs taken by others (%)",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--most", type=int, default=1400, help="leave out points above this value (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run every point. Returns 1 where labels were wrong."""
    chosen = [case for case in cases(len(os.sched_getaffinity(0))) if case.value <= arguments.most]
    peak = measure_peak()
    series: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        bench = Bench(Path(folder))
        for case in chosen:
            point = bench.run(case)
            flop = network_facts(bench.bundle(case) / "fine.onnx").flops * point["tiles"]
            point["floor_s"] = flop / peak.convolution_gflops / 1e9
            series.setdefault(case.series, []).append(point)
        checks = _checks(bench, chosen)
    result = new_result("scaling", checks, {"convolution_gflops": peak.convolution_gflops, "series": series})
    if arguments.out:
        save_result(arguments.out, result)
    for name, points in series.items():
        print(f"{series_table(name, points)}\n{exponent_line(points)}\n")
    for broken in result.broken:
        print(f"BROKEN, so the times above do not count: {broken}")
    return 1 if result.broken else 0


def series_table(name: str, points: list[dict[str, Any]]) -> str:
    """One series as a table."""
    cells = []
    for point in points:
        times = point["wall_s"], work_seconds(point), point["stages"]["network"], point["floor_s"], point["cpu_s"]
        rest = round(point["peak_mb"]), point["tiles"], percent(point.get("others_share"))
        cells.append((point["value"], *(f"{seconds:.2f}" for seconds in times), *rest))
    return markdown_table((name, *COLUMNS), cells)


def exponent_line(points: list[dict[str, Any]]) -> str:
    """The fitted exponents in words."""
    rows = [point | {"work_s": work_seconds(point)} for point in points]
    found = {what: exponent(rows, key) for what, key in (("stages", "work_s"), ("peak memory", "peak_mb"))}
    return ", ".join(f"{what}: {'-' if slope is None else f'exponent {slope:.2f}'}" for what, slope in found.items())


def _checks(bench: Bench, chosen: list[Case]) -> list[Check]:
    """The first case against the reference kernels, and all cores against one."""
    checks = [Check("share of voxels that differ from the reference kernels", bench.differing_from_reference(chosen[0]), 1e-4)]
    by_cores = [read_labels(bench.labels(case)).array for case in chosen if case.series == "cores"]
    differing = max((agreement(labels, by_cores[0]).differing for labels in by_cores[1:]), default=0.0)
    checks.append(Check("share of voxels that differ between numbers of cores", differing, 1e-4))
    return checks
