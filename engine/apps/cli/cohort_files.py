"""What `segment` and `measure` write of a whole batch: one CSV and one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.results.cohort import CaseNumbers, write_cohort_csv

HASH_HELP = "put SHA-256 hashes of study and series UIDs into tables and reports, not the UIDs"


def add_cohort_options(parser: argparse.ArgumentParser) -> None:
    """Add --csv, --summary and --hash-uids."""
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="numbers of all scans in one table, one row for each organ of each scan"
    )
    parser.add_argument("--summary", type=Path, metavar="HTML", help="a page on all scans, with what stands out")
    parser.add_argument("--hash-uids", action="store_true", help=HASH_HELP)


def require_cohort_files(arguments: argparse.Namespace) -> None:
    """Refuse, before work begins, names that the table and the page cannot be written under. Raises OutputError."""
    for path, ending in ((arguments.csv, ".csv"), (arguments.summary, ".html")):
        if path is not None and path.suffix.lower() != ending:
            raise OutputError(f"{path}: expected a name that ends in {ending}")
        if path is not None and not path.parent.is_dir():
            raise OutputError(f"{path}: the folder {path.parent} is not there; make it first")


def write_cohort_files(cases: Sequence[CaseNumbers], arguments: argparse.Namespace, console: Console) -> None:
    """Write what was asked for, in the order of the cases' names. Raises OutputError."""
    from flare_trt.engine.results.html.cohort_page import write_cohort_page

    ordered = sorted(cases, key=lambda case: case.case)
    if arguments.csv is not None:
        write_cohort_csv(arguments.csv, ordered)
        console.line(f"table   {arguments.csv}")
    if arguments.summary is not None:
        write_cohort_page(arguments.summary, ordered)
        console.line(f"summary {arguments.summary}")
