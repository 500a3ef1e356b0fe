"""`flare-trt bench report`: docs/benchmarks.md and its plots from the result files."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.benchmarks.report.document import write_report


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder of results (default: %(default)s)")
    parser.add_argument("--document", type=Path, default=Path("docs/benchmarks.md"), help="what to write (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Write the document."""
    write_report(arguments.results, arguments.document)
    print(f"{arguments.document} written")
    return 0
