"""`flare-trt bench service`: a server under load on loopback; every request is answered or refused, nothing is lost."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from flare_trt.benchmarks.inputs.small_scans import write_small_scans
from flare_trt.benchmarks.studies.service_load import ServiceLoad, load_service
from flare_trt.engine.base.files import write_json

#: What a loaded server may answer: labels, a full queue, or that it is going down.
ALLOWED = {200, 429, 503}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE", help="a model bundle, best a tiny one")
    parser.add_argument("--clients", type=int, default=64, help="threads that post scans (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures")


def run(arguments: argparse.Namespace) -> int:
    """Load a server. Returns 0, or 1 where a request was lost, a code is not allowed, or labels were wrong."""
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        scans = write_small_scans(Path(folder), 4)
        found = load_service(arguments.model, scans, arguments.clients, arguments.seconds)
    if arguments.json:
        write_json(arguments.json, asdict(found))
    print(table(found))
    return 0 if is_sound(found) else 1


def is_sound(found: ServiceLoad) -> bool:
    """Whether every request was answered or refused, labels were given at all, and all were right."""
    return not (found.lost or found.wrong or set(found.answers) - ALLOWED) and found.answers.get(200, 0) > 0


def table(found: ServiceLoad) -> str:
    """The figures as Markdown."""
    rows = [
        ("clients, for how long", f"{found.clients}, {found.seconds:.0f} s"),
        *((f"answered {status}", str(count)) for status, count in found.answers.items()),
        ("wrong labels", str(found.wrong)),
        ("requests without an answer", str(found.lost)),
        ("wait for labels: median, longest", f"{found.median_s:.2f} s, {found.slowest_s:.2f} s"),
        ("RSS of the server before and after, MB", f"{found.rss_mb[0]:.0f}, {found.rss_mb[1]:.0f}"),
    ]
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)])
