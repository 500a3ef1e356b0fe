"""`flare-trt evaluate`: DSC and NSD of predicted label maps, as a table, CSV and JSON."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.score.evaluate import CaseScores, Mean, evaluate_pair, mean_scores, organ_mean, pair_files
from flare_trt.benchmarks.score.protocol import PROTOCOLS
from flare_trt.benchmarks.score.sides import looks_swapped, sides_of
from flare_trt.benchmarks.score.targets import LABEL_SETS, LabelSet, Target, label_set, with_tolerances
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import write_json, write_text
from flare_trt.engine.base.text_tables import aligned_table

_MOST_MM = 100.0  # steps within the tolerance are held as a list


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("places", type=Path, nargs="*", metavar="PREDICTION REFERENCE", help="the two in this order, without names")
    parser.add_argument("--prediction", type=Path, metavar="P", help="label map (.nii, .nii.gz) or a folder of them")
    parser.add_argument("--reference", type=Path, metavar="R", help="reference of the same kind; folders are paired by file name")
    parser.add_argument(
        "--labels",
        default="flare23",
        help=f"what to score: {', '.join(LABEL_SETS)}, a bundle, a dataset.json or JSON of {{value: name}} (default: %(default)s)",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="flare23: the official rules with their special cases; plain: definitions alone (default: flare23 for its labels, "
        "plain for others)",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        action="append",
        default=[],
        metavar="[NAME=]MM",
        help="of the plain NSD, for all labels or for one; may be repeated (default: FLARE's for the names it knows)",
    )
    parser.add_argument("--csv", type=Path, help="write the cases' scores with the official column names")
    parser.add_argument("--json", type=Path, help="write cases, means and deviations")


def run(arguments: argparse.Namespace) -> int:
    """Score every pair and report."""
    prediction, reference = sides_of(arguments.places, arguments.prediction, arguments.reference)
    if arguments.places and (why := looks_swapped(prediction, reference)):
        print(f"flare-trt: warning: {why}; the prediction comes first, or use --prediction and --reference", file=sys.stderr)
    labels, rules = _what(arguments)
    targets, protocol = labels.targets, PROTOCOLS[rules]
    pairs, unpaired = pair_files(prediction, reference)
    cases = [evaluate_pair(pair, labels, protocol) for pair in pairs]
    means = [mean_scores(cases, index, protocol) for index in range(len(targets))]
    mean = organ_mean(means, targets, protocol)
    if arguments.csv:
        write_text(arguments.csv, csv_text(cases, targets))
    if arguments.json:
        settings = {"labels": arguments.labels, "protocol": rules, "predictions_without_reference": unpaired}
        key = "organ_mean" if labels.official else "label_mean"
        write_json(arguments.json, settings | _report(cases, targets, means) | {key: asdict(mean)})
    print(table_text(labels, means, mean))
    print(f"{len(cases)} case(s), labels {arguments.labels}, protocol {rules}")
    if unmeasured := [target.name for target in targets if target.tolerance_mm is None]:
        print(f"no NSD, since no --tolerance is given: {', '.join(unmeasured)}")
    if unpaired:
        print(f"not scored, since they have no reference: {', '.join(unpaired)}")
    return 0


def _what(arguments: argparse.Namespace) -> tuple[LabelSet, str]:
    """Labels with their tolerances, and the protocol's name. Raises InputError where the two do not go together."""
    labels = label_set(arguments.labels)
    rules: str = arguments.protocol or ("flare23" if labels.official else "plain")
    if rules == "flare23" and (not labels.official or arguments.tolerance):
        wrong = "--tolerance" if labels.official else f"--labels {arguments.labels}"
        raise InputError(f"--protocol flare23: got {wrong}, expected FLARE's own labels and tolerances; use --protocol plain")
    return with_tolerances(labels, dict(arguments.tolerance)), rules


def _tolerance(text: str) -> tuple[str, float]:
    """A name and mm; no name: all labels."""
    name, _, number = text.rpartition("=")
    try:
        mm = float(number)
    except ValueError:
        mm = -1.0
    if not 0 <= mm <= _MOST_MM:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 0 to {_MOST_MM:g} mm, such as 2 or liver=5")
    return name, mm


def csv_text(cases: Sequence[CaseScores], targets: Sequence[Target]) -> str:
    """One row a case, with the columns of FLARE's own tables: Name, Liver_DSC, ..., Liver_NSD, ...; no score: empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    shorts = [target.short for target in targets]
    writer.writerow(["Name", *(f"{short}_DSC" for short in shorts), *(f"{short}_NSD" for short in shorts)])
    for case in cases:
        values = [score.dsc for score in case.scores] + [score.nsd for score in case.scores]
        writer.writerow([case.case, *("" if value != value else value for value in values)])  # NaN differs from itself
    return text.getvalue()


def table_text(labels: LabelSet, means: Sequence[Mean], mean_of_all: Mean) -> str:
    """The means as a table for people."""
    rows = [["structure", "DSC", "std", "NSD", "std", "tolerance", "cases"]]
    for target, mean in zip(labels.targets, means, strict=True):
        tolerance = "-" if target.tolerance_mm is None else f"{target.tolerance_mm:g} mm"
        rows.append([target.name, *_cells(mean), tolerance, str(mean.count)])
    return aligned_table([*rows, [f"mean of the {'organs' if labels.official else 'labels'}", *_cells(mean_of_all), "", ""]])


def _cells(mean: Mean) -> list[str]:
    return [f"{value:.4f}" for value in (mean.dsc, mean.dsc_std, mean.nsd, mean.nsd_std)]


def _report(cases: Sequence[CaseScores], targets: Sequence[Target], means: Sequence[Mean]) -> dict[str, Any]:
    names = [target.name for target in targets]
    return {
        "tolerance_mm": {target.name: target.tolerance_mm for target in targets},
        "cases": {case.case: {name: asdict(score) for name, score in zip(names, case.scores, strict=True)} for case in cases},
        "means": {name: asdict(mean) for name, mean in zip(names, means, strict=True)},
    }
