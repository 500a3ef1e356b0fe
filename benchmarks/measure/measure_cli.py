"""`flare-trt bench measure -- COMMAND`: time, memory and memory-time areas of any command."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.benchmarks.measure.measure import Measurement, MeasureOptions, measure
from flare_trt.benchmarks.measure.phases import VARIABLE, phase_seconds
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.text_tables import markdown_table

#: The columns of the paper's Table 4, with whose memory it is said in the row.
_COLUMNS = ("case", "size", "memory of", "running time (s)", "max (MB)", "area (MB s)", "above 4 GB (MB s)")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between samples (default and FLARE's: %(default)s)")
    parser.add_argument("--gpu", type=int, default=0, help="NVML index of the GPU to watch (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write everything, samples included, as JSON")
    parser.add_argument("--plot", type=Path, help="draw the memory curves (.png or .svg)")
    parser.add_argument("--case", type=Path, help="the scan that the command works on: names the row and gives its size")
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND ...",
        help=f"what to run; it may append its stages, as JSON lines, to the file that {VARIABLE} names",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, report, and return the command's own exit code."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    measurement = measure(words, MeasureOptions(arguments.interval, arguments.gpu))
    case, shape = Path(words[0]).name, None
    if arguments.case:
        from flare_trt.engine.scans.nifti import NiftiReader

        case, shape = arguments.case.name, NiftiReader(arguments.case).grid.shape_zyx
    if arguments.out:
        write_json(arguments.out, measurement.document())
    if arguments.plot:
        from flare_trt.benchmarks.measure.memory_plot import draw_memory

        draw_memory(measurement, case, arguments.plot)
    print(markdown_table(_COLUMNS, _rows(case, shape, measurement)))
    for name, seconds in phase_seconds(measurement.stages).items():
        print(f"  {name}: {seconds:.2f} s")
    print(f"exit code {measurement.exit_code}, {measurement.cpu_s:.2f} s of CPU, {len(measurement.samples['time_s'])} samples")
    print(f"other programs took {100 * measurement.others_share:.0f} % of the CPUs meanwhile")
    for problem in measurement.problems:
        print(f"not measured: {problem}")
    if measurement.left_running:
        print(f"left running: {measurement.left_running} process(es)")
    return measurement.exit_code


def _rows(case: str, shape_zyx: tuple[int, int, int] | None, measurement: Measurement) -> list[tuple[object, ...]]:
    """One row for each curve that was read."""
    size = None if shape_zyx is None else " x ".join(map(str, shape_zyx[::-1]))
    wall = f"{measurement.wall_s:.2f}"
    return [
        (
            case,
            size,
            name if found.complete else f"{name} (incomplete)",
            wall,
            round(found.peak_mb),
            round(found.true_mb_s),
            round(found.above_tolerance_mb_s),
        )
        for name, found in measurement.memory.items()
    ]
