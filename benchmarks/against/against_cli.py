"""`flare-trt bench against COMMIT`: this checkout beside another commit of it, as ratios of time and memory.

Both are installed alike in environments of their own, with the same packages, and run as whole processes in pairs. One table has
the same weights on both sides, so that labels can be compared; the other each side's own default weights.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.against.builds import Build, build, default_builds, named_commit, working_tree
from flare_trt.benchmarks.against.pairs import EMPTY, FILLED, Case, run_with_caches
from flare_trt.benchmarks.against.ratios import label_checks, pair_row, ratio_table
from flare_trt.benchmarks.base.result_file import new_result, save_result
from flare_trt.benchmarks.peers.peers_cli import tell_checks


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("commit", help="the other commit: what git takes for one")
    parser.add_argument("cts", nargs="+", type=Path, metavar="CT", help="scans to segment (.nii, .nii.gz)")
    parser.add_argument("--mode", action="append", help="a mode to run, may be repeated (default: fast and exact)")
    parser.add_argument("--model", type=Path, help="the bundle of the table of equal weights (default: the other commit's own)")
    parser.add_argument("--reference", type=Path, help="reference labels of the scan, where one is named")
    parser.add_argument("--extras", default="", help="extras that both sides are installed with, e.g. dicom,gpu (default: none)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="the scan N times as one batch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="--threads of both sides (default: all cores)")
    parser.add_argument("--caches", choices=(EMPTY, FILLED), action="append", help="our own caches (default: empty and filled)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of each (default: %(default)s)")
    parser.add_argument("--builds", type=Path, default=default_builds(), help="where builds are kept (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Build both, run the pairs, print the tables. Returns 1 where equal weights gave other labels than they may."""
    other = build(named_commit(arguments.commit), arguments.extras, arguments.builds)
    own = build(working_tree(), arguments.extras, arguments.builds, like=other)
    for package in sorted(set(own.packages) ^ set(other.packages)):
        print(f"only {'before' if package in other.packages else 'after'}: {package}")
    rows = _rows(arguments, (other, own), arguments.model or other.default_model)
    print(f"\nEqual weights, {other.commit[:12]} before, {own.commit[:12]} after:\n\n{ratio_table(rows)}\n")
    if _files(other.default_model) == _files(own.default_model):
        print("The default weights are the same on both sides.\n")
    else:
        defaults = _rows(arguments, (other, own), None)
        print(f"Each side's default weights:\n\n{ratio_table(defaults)}\n")
        rows += defaults
    data = {"before": other.commit, "after": own.commit, "extras": arguments.extras, "packages": list(own.packages), "rows": rows}
    result = new_result("against", label_checks(rows), data)
    if arguments.out:
        save_result(arguments.out, result)
    return tell_checks(result)


def _rows(arguments: argparse.Namespace, sides: tuple[Build, Build], model: Path | None) -> list[dict[str, Any]]:
    rows = []
    for ct in arguments.cts:
        for mode in arguments.mode or ("fast", "exact"):
            case = Case(ct, mode, model, EMPTY, arguments.batch, arguments.threads)
            with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
                pairs = run_with_caches(sides, case, arguments.caches or (EMPTY, FILLED), arguments.repeats, Path(folder))
                rows += [pair_row(pair, arguments.reference) for pair in pairs]
    return rows


def _files(model: Path) -> dict[str, bytes]:
    """The networks of a bundle."""
    return {path.name: path.read_bytes() for path in model.glob("*.onnx")}
