"""`flare-trt bench export`: networks of real size, exported and compared with nnU-Net on a CT; goes on where it was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.result_file import load_result, new_result, save_result
from flare_trt.benchmarks.inputs.real_networks import NETWORKS
from flare_trt.benchmarks.studies.real_size import BACKENDS, Job, checks_of, run_job
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import markdown_table

_COLUMNS = (
    *("network", "million parameters", "patch", "export CPU s", "export peak MB", "nnU-Net CPU s", "exact / nnU-Net, CPU"),
    *(f"{backend}: voxels that differ" for backend in BACKENDS),
    *(f"{backend}: least DSC" for backend in BACKENDS),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    names = [network.name for network in NETWORKS]
    parser.add_argument("ct", type=Path, help="a CT (.nii.gz)")
    parser.add_argument("--out", type=Path, required=True, help="result as JSON; rows that it holds are not run again")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and logs; each model's is removed when done")
    parser.add_argument("--networks", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)} (all)")
    parser.add_argument("--mirror", action="store_true", help="both engines average over mirrored inputs")


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing, cheapest first. Returns 1 where a row does not keep the promise."""
    if not arguments.ct.is_file():
        raise InputError(f"{arguments.ct}: is no file, expected a CT as .nii.gz")
    rows: list[dict[str, Any]] = load_result(arguments.out).data["rows"] if arguments.out.exists() else []
    for network in NETWORKS:
        job = Job(network, arguments.ct, arguments.mirror, arguments.work)
        if network.name not in arguments.networks or job.key in {_key(row) for row in rows}:
            continue
        print(f"running {job.key}", file=sys.stderr)
        rows.append(run_job(job))
        result = new_result("export", [check for row in rows for check in checks_of(row)], {"rows": rows})
        save_result(arguments.out, result)
    print(real_size_table(rows))
    broken = [check for row in rows for check in checks_of(row) if not check.measured <= check.limit]
    for check in broken:
        print(f"{check.name}: {check.measured:.3g}, limit {check.limit:g}", file=sys.stderr)
    return int(bool(broken))


def real_size_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    return markdown_table(_COLUMNS, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        _key(row),
        row["parameters"] / 1e6,
        " x ".join(map(str, row["patch_zyx"])),
        row["export"]["cpu_s"],
        row["export"]["peak_mb"],
        row["nnU-Net"]["cpu_s"],
        row["openvino"]["cpu_s"] / row["nnU-Net"]["cpu_s"],
        *(f"{row[backend]['differing']:.1e}" for backend in BACKENDS),
        *(f"{row[backend]['least_dice'] or float('nan'):.5f}" for backend in BACKENDS),
    )


def _key(row: dict[str, Any]) -> str:
    return f"{row['network']}, {row['ct']}{', mirrored' if row['mirrored'] else ''}"
