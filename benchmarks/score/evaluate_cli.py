"""`flare-trt evaluate`: DSC and NSD of predicted label maps, as a table, CSV and JSON."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.score.evaluate import CaseScores, Mean, evaluate_pair, mean_scores, organ_mean, pair_files
from flare_trt.benchmarks.score.protocol import LABEL_SETS, PROTOCOLS
from flare_trt.engine.base.files import write_json, write_text
from flare_trt.engine.base.organs import Structure
from flare_trt.engine.base.text_tables import aligned_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("prediction", type=Path, help="label map (.nii, .nii.gz) or a folder of them")
    parser.add_argument("reference", type=Path, help="reference of the same kind; folders are paired by file name")
    parser.add_argument("--labels", choices=LABEL_SETS, default="flare23", help="structures to score (default: %(default)s)")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="flare23",
        help="flare23: the official rules with their special cases; plain: definitions alone (default: %(default)s)",
    )
    parser.add_argument("--csv", type=Path, help="write the cases' scores with the official column names")
    parser.add_argument("--json", type=Path, help="write cases, means and deviations")


def run(arguments: argparse.Namespace) -> int:
    """Score every pair and report."""
    structures, protocol = LABEL_SETS[arguments.labels], PROTOCOLS[arguments.protocol]
    pairs, unpaired = pair_files(arguments.prediction, arguments.reference)
    cases = [evaluate_pair(pair, structures, protocol) for pair in pairs]
    means = [mean_scores(cases, index, protocol) for index in range(len(structures))]
    organs = organ_mean(means, structures, protocol)
    if arguments.csv:
        write_text(arguments.csv, csv_text(cases, structures))
    if arguments.json:
        settings = {"labels": arguments.labels, "protocol": arguments.protocol, "predictions_without_reference": unpaired}
        write_json(arguments.json, settings | _report(cases, structures, means, organs))
    print(table_text(structures, means, organs))
    print(f"{len(cases)} case(s), labels {arguments.labels}, protocol {arguments.protocol}")
    if unpaired:
        print(f"not scored, since they have no reference: {', '.join(unpaired)}")
    return 0


def csv_text(cases: Sequence[CaseScores], structures: Sequence[Structure]) -> str:
    """One row a case, with the columns of FLARE's own tables: Name, Liver_DSC, ..., Liver_NSD, ...; no score: empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    shorts = [structure.short for structure in structures]
    writer.writerow(["Name", *(f"{short}_DSC" for short in shorts), *(f"{short}_NSD" for short in shorts)])
    for case in cases:
        values = [score.dsc for score in case.scores] + [score.nsd for score in case.scores]
        writer.writerow([case.case, *("" if value != value else value for value in values)])  # NaN differs from itself
    return text.getvalue()


def table_text(structures: Sequence[Structure], means: Sequence[Mean], organs: Mean) -> str:
    """The means as a table for people."""
    rows = [["structure", "DSC", "std", "NSD", "std", "tolerance", "cases"]]
    for structure, mean in zip(structures, means, strict=True):
        rows.append([structure.name, *_cells(mean), f"{structure.tolerance_mm:g} mm", str(mean.count)])
    return aligned_table([*rows, ["mean of the organs", *_cells(organs), "", ""]])


def _cells(mean: Mean) -> list[str]:
    return [f"{value:.4f}" for value in (mean.dsc, mean.dsc_std, mean.nsd, mean.nsd_std)]


def _report(cases: Sequence[CaseScores], structures: Sequence[Structure], means: Sequence[Mean], organs: Mean) -> dict[str, Any]:
    names = [structure.name for structure in structures]
    return {
        "tolerance_mm": {structure.name: structure.tolerance_mm for structure in structures},
        "cases": {case.case: {name: asdict(score) for name, score in zip(names, case.scores, strict=True)} for case in cases},
        "means": {name: asdict(mean) for name, mean in zip(names, means, strict=True)},
        "organ_mean": asdict(organs),
    }
