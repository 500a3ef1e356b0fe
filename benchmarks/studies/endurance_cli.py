"""`flare-trt bench endurance`: many scans in one process, and whether memory, file handles and threads stay flat."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from flare_trt.benchmarks.inputs.small_scans import write_small_scans
from flare_trt.benchmarks.studies.endurance import Endurance, endure
from flare_trt.engine.base.files import write_json

#: Flat means within this share.
DRIFT = 0.02


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE", help="a model bundle, best a tiny one")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="scans (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures")


def run(arguments: argparse.Namespace) -> int:
    """Segment phantoms over and over. Returns 0, or 1 where something grew, stayed open or failed."""
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        scans = write_small_scans(Path(folder), 10)
        found = endure(arguments.model, scans, Path(folder), arguments.count)
    if arguments.json:
        write_json(arguments.json, asdict(found))
    print(table(found))
    return 0 if is_flat(found) else 1


def is_flat(found: Endurance) -> bool:
    """Whether nothing grew by more than DRIFT, stayed open or failed."""
    return abs(found.drift) <= DRIFT and not (found.handles_left or found.threads_left or found.failed)


def table(found: Endurance) -> str:
    """The figures as Markdown."""
    rows = [
        ("scans", str(found.scans)),
        ("failed", str(found.failed)),
        ("RSS behind each tenth, MB", ", ".join(f"{mb:.1f}" for mb in found.rss_mb)),
        ("last against first", f"{found.drift:+.2%} (allowed: {DRIFT:.0%})"),
        ("file handles left open", str(found.handles_left)),
        ("threads left", str(found.threads_left)),
    ]
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)])
