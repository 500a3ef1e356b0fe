"""`flare-trt bench body`: write the whole-body case that the other benchmarks segment."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.benchmarks.inputs.whole_body import write_whole_body


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("torso", type=Path, help="a real CT of chest and abdomen (.nii, .nii.gz)")
    parser.add_argument("out", type=Path, help="the whole-body scan to write")
    parser.add_argument("--slices", type=int, default=700, help="slices in all (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Make the case and write it."""
    first, stop = write_whole_body(arguments.torso, arguments.slices, arguments.out)
    print(f"{arguments.out}: the real torso lies on the slices {first} to {stop - 1} (--slices {first} {stop} for bench cascade)")
    return 0
