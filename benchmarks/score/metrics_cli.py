"""`flare-trt bench metrics`: the speed of the surface Dice against DeepMind's surface-distance."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import asdict
from pathlib import Path

from flare_trt.benchmarks.base.extra import require
from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.score.metrics_speed import compare_speed
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_labels


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("reference", type=Path, help="label map with FLARE's labels")
    parser.add_argument("--repeats", type=int, default=5, help="times that each is run, in turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare. Returns 1 where the scores differ."""
    require("surface_distance")
    volume = read_labels(arguments.reference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # surface-distance calls old names of SciPy
        speed = compare_speed(volume.array, volume.grid.spacing_mm, arguments.repeats)
    data = {"shape_zyx": volume.grid.shape_zyx, "ratio": speed.ratio, **asdict(speed)}
    result = new_result("metrics", [Check("largest difference of any NSD to surface-distance", speed.difference, 1e-6)], data)
    if arguments.out:
        save_result(arguments.out, result)
    print(f"{speed.structures} structures of {' x '.join(map(str, volume.grid.shape_zyx[::-1]))}, medians of {arguments.repeats}")
    print(f"flare-trt {sorted(speed.ours_s)[len(speed.ours_s) // 2]:.3f} s")
    print(f"surface-distance {sorted(speed.theirs_s)[len(speed.theirs_s) // 2]:.3f} s")
    print(f"{speed.ratio:.1f} times faster; largest difference of any NSD {speed.difference:.2g}")
    return 1 if result.broken else 0
