"""`flare-trt bench peers`: one table in one run on the same CT and the same weights."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from flare_trt.benchmarks.base.result_file import Result, new_result, save_result
from flare_trt.benchmarks.peers.compare import compare
from flare_trt.benchmarks.peers.peers_report import peer_checks, peer_rows, peer_table, stage_table
from flare_trt.benchmarks.peers.roster import NOT_COMPARED, PEERS, Peer, Task
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import NiftiReader


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_task_arguments(parser)
    parser.add_argument("--reference", type=Path, help="label map of the CT, for the DSC column")


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every comparison."""
    parser.add_argument("model_folder", type=Path, help="nnU-Net v2 folder (plans.json, dataset.json, fold_*)")
    parser.add_argument("bundle", type=Path, help="the bundle that was exported from it")
    parser.add_argument("ct", type=Path, help="the CT to segment")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N, for everyone (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each peer, in turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare all peers. Returns 1 where mode=exact did not keep its promise."""
    result = compare_task(arguments, PEERS, "peers", arguments.reference)
    print(peer_table(result.data["rows"]))
    print()
    print(stage_table(result.data["rows"]))
    for row in result.data["rows"]:
        if row["problem"]:
            print(f"{row['name']} did not run: {row['problem']}")
    for name, reason in NOT_COMPARED.items():
        print(f"{name} is not compared: {reason}")
    return tell_checks(result)


def compare_task(arguments: argparse.Namespace, peers: Sequence[Peer], benchmark: str, reference: Path | None) -> Result:
    """Run the comparison that the arguments describe, and write its result where they say."""
    task = Task(arguments.ct, arguments.model_folder, arguments.bundle, arguments.device)
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        found = compare(task, peers, arguments.repeats, Path(folder))
    rows = peer_rows(found, None if reference is None else read_labels(reference).array)
    scan = {"case": arguments.ct.parent.name, "shape_zyx": NiftiReader(arguments.ct).grid.shape_zyx}
    result = new_result(benchmark, peer_checks(found), {"scan": scan, "device": arguments.device, "rows": rows})
    if arguments.out:
        save_result(arguments.out, result)
    return result


def tell_checks(result: Result) -> int:
    """Print whether the labels were right. Returns the exit code."""
    for check in result.checks:
        print(f"check: {check['name']}: {check['measured']:.3g} (limit {check['limit']:.3g})")
    for broken in result.broken:
        print(f"BROKEN, so the times above do not count: {broken}")
    return 1 if result.broken else 0
