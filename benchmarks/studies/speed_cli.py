"""`flare-trt bench speed`: nnU-Net and ours side by side, on networks of real size and the default model; resumable."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.result_file import load_result, new_result, save_result
from flare_trt.benchmarks.base.tables import percent
from flare_trt.benchmarks.peers.peers_cli import tell_checks
from flare_trt.benchmarks.studies.real_size import DICE_LIMIT, DIFFERING_LIMIT
from flare_trt.benchmarks.studies.speed import (
    DEFAULT_MODEL,
    ENGINES,
    EXACT,
    NNUNET,
    SPACINGS_MM,
    Case,
    catalogue_case,
    default_case,
    run_engine,
)
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check

MODELS = (*SPACINGS_MM, DEFAULT_MODEL)
#: Where others took more of the CPUs than this, walls cannot be compared.
_BUSY = 0.25
COLUMNS = (
    *("model", "engine", "wall (s)", "CPU (s)", "peak (MB)", "area (MB s)"),
    *("wall / nnU-Net", "CPU / nnU-Net", "peak / nnU-Net", "voxels that differ", "tiles run", "CPUs taken by others (%)"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "ct", type=Path, help="a CT of chest and abdomen (.nii.gz); large networks get its middle, about eight tiles"
    )
    parser.add_argument("--out", type=Path, required=True, help="result as JSON; rows that it holds are not run again")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for models, labels and logs; kept, so that more rows can follow"
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="NAME", help=f"of {', '.join(MODELS)} (all)")
    parser.add_argument(
        "--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES), metavar="NAME", help="of those in the table (all)"
    )
    parser.add_argument("--nnunet", type=Path, help="nnU-Net folder of the default model's fine weights")
    parser.add_argument("--single", type=Path, help="bundle of the same weights")


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing. Returns 1 where mode=exact did not keep its promise."""
    rows: list[dict[str, Any]] = load_result(arguments.out).data["rows"] if arguments.out.exists() else []
    result = None
    for model in arguments.models:
        folder = arguments.work / model.replace(" ", "-")
        for engine in arguments.engines:
            if any((row["model"], row["engine"]) == (model, engine) for row in rows):
                continue
            print(f"running {model}, {engine}", file=sys.stderr)
            rows.append({"model": model, **run_engine(engine, _case(arguments, model, folder), folder)})
            result = new_result(
                "speed", [check for row in rows for check in checks_of(row)], {"ct": arguments.ct.parent.name, "rows": rows}
            )
            save_result(arguments.out, result)
    print(speed_table(rows))
    return 0 if result is None else tell_checks(result)


def speed_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, in the order of models and engines."""
    ordered = sorted(rows, key=lambda row: (MODELS.index(row["model"]), list(ENGINES).index(row["engine"])))
    base = {row["model"]: row for row in rows if row["engine"] == NNUNET}
    return markdown_table(COLUMNS, [_cells(row, base.get(row["model"])) for row in ordered])


def _cells(row: dict[str, Any], base: dict[str, Any] | None) -> tuple[object, ...]:
    keys = ("wall_s", "cpu_s", "peak_mb", "area_mb_s")
    ratios = [f"{row[key] / base[key]:.3f}" if base else None for key in keys[:3]]
    if base and max(row["others"], base["others"]) > _BUSY:
        ratios[0] = None
    differing = f"{row['differing']:.1e}" if "differing" in row else None
    numbers = f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}", round(row["peak_mb"]), round(row["area_mb_s"])
    return row["model"], row["engine"], *numbers, *ratios, differing, row["tiles"] or "all", percent(row["others"])


def checks_of(row: dict[str, Any]) -> list[Check]:
    """What has to hold of a row: mode=exact gives nnU-Net's labels."""
    if not row["engine"].startswith(EXACT):
        return []
    about = f"{row['model']}, {row['engine']}"
    checks = [Check(f"{about}: share of voxels that differ from nnU-Net's", row.get("differing", 1.0), DIFFERING_LIMIT)]
    if row.get("least_dice") is not None:
        checks.append(Check(f"{about}: 1 - least DSC", 1 - row["least_dice"], 1 - DICE_LIMIT))
    return checks


def _case(arguments: argparse.Namespace, model: str, folder: Path) -> Case:
    if model != DEFAULT_MODEL:
        return catalogue_case(model, arguments.ct, folder)
    if arguments.nnunet is None or arguments.single is None:
        raise InputError(
            f"--nnunet and --single: got one or none of them, expected both for the {DEFAULT_MODEL}; or leave it out by --models"
        )
    return default_case(arguments.ct, arguments.nnunet, arguments.single, folder)
