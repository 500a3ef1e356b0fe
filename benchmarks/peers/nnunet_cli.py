"""`flare-trt bench nnunet`: nnU-Net and mode=exact in turn on one CT, as ratios."""

from __future__ import annotations

import argparse

from flare_trt.benchmarks.peers.peers_cli import add_task_arguments, compare_task, tell_checks
from flare_trt.benchmarks.peers.peers_report import peer_table, ratio_lines, stage_table
from flare_trt.benchmarks.peers.roster import EXACT, NNUNET
from flare_trt.engine.base.errors import FlareError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_task_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare the two. Returns 1 where mode=exact did not keep its promise."""
    result = compare_task(arguments, (NNUNET, EXACT), "nnunet", None)
    nnunet, exact = result.data["rows"]
    for row in (nnunet, exact):
        if row["problem"]:
            raise FlareError(f"{row['name']} did not run: {row['problem']}")
    print(peer_table([nnunet, exact]))
    print()
    print(stage_table([nnunet, exact]))
    print("\nflare-trt exact / nnU-Net")
    for line in ratio_lines(exact, nnunet):
        print(f"  {line}")
    return tell_checks(result)
