"""`flare-trt bench kernels`: the CPU kernels against NumPy, SciPy and scikit-image, each checked before it is timed."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.base.extra import require
from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.kernels import kernel_cases
from flare_trt.benchmarks.kernels.kernel_cases import KernelCase
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check
from flare_trt.kernels import limit_threads, load

COLUMNS = ("kernel", "ours (ms)", "peer", "peer (ms)", "wall ratio", "CPU ratio", "GB/s", "difference")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--threads", type=int, default=0, help="threads of our kernels (default: one a core; peers take one)")
    parser.add_argument("--repeats", type=int, default=7, help="times that ours is run; the peer runs once (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare. Returns 1 where a kernel's result is wrong; such a kernel is not timed."""
    require("skimage")
    limit_threads("native", arguments.threads)
    rows = [time_case(case, arguments.repeats) for case in full_size_cases()]
    checks = [Check(f"{row['name']} against {row['peer']}", row["difference"], row["limit"]) for row in rows]
    result = new_result("kernels", checks, {"threads": arguments.threads, "rows": rows})
    if arguments.out:
        save_result(arguments.out, result)
    print(kernel_table(rows))
    for line in result.broken:
        print(f"WRONG, not timed: {line}")
    return 1 if result.broken else 0


def full_size_cases() -> Iterator[KernelCase]:
    """All cases, made group by group so that no more than one group's arrays are held."""
    kernels = load("native")
    for group in (
        kernel_cases.pixel_cases,
        kernel_cases.label_cases,
        kernel_cases.ring_cases,
        kernel_cases.resample_cases,
        kernel_cases.restore_cases,
    ):
        yield from group(kernels)


def time_case(case: KernelCase, repeats: int) -> dict[str, Any]:
    """Compare, then time: the least wall and CPU seconds of ours in `repeats` runs, and the peer's in one."""
    ours = case.ours()
    peer_s, peer_cpu_s, theirs = _timed(case.theirs)
    difference = case.difference(ours, theirs)
    row: dict[str, Any] = {"name": case.name, "peer": case.peer, "difference": difference, "limit": case.limit}
    if not difference <= case.limit:
        return row
    del ours, theirs
    times = np.array([_timed(case.ours)[:2] for _ in range(repeats)])
    wall_s, cpu_s = (float(value) for value in times.min(axis=0))
    figures = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peer_s": peer_s,
        "peer_cpu_s": peer_cpu_s,
        "gb_s": case.moved_bytes / wall_s / 1e9,
    }
    return row | figures


def kernel_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows that were timed, as Markdown."""
    return markdown_table(COLUMNS, [_cells(row) for row in rows if "wall_s" in row])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    wall, cpu = row["peer_s"] / row["wall_s"], row["peer_cpu_s"] / row["cpu_s"]
    ours, theirs = f"{row['wall_s'] * 1000:.1f}", f"{row['peer_s'] * 1000:.0f}"
    return row["name"], ours, row["peer"], theirs, wall, cpu, row["gb_s"], row["difference"]


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result
