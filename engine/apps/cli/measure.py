"""`flare-trt measure`: the numbers of labels of any origin, and how far two sources of labels agree."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from flare_trt.engine.apps.cli.cohort_files import add_cohort_options, require_cohort_files, write_cohort_files
from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.values import TILT_HELP, series_rules
from flare_trt.engine.base.errors import FlareError, InputError
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.organs import canonical
from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.batch.case_numbers import LabelFiles, measured
from flare_trt.engine.batch.jobs import named_scans
from flare_trt.engine.batch.names import ScanNames, is_pattern, unique_names
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.results.agreement import OrganAgreement
from flare_trt.engine.results.cohort import CaseNumbers, completeness
from flare_trt.engine.results.label_files import LABEL_ENDINGS
from flare_trt.engine.scans.dicom.choice import SeriesChoice
from flare_trt.engine.scans.label_source import read_names
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import whole_ct

_LABELS_HELP = (
    "their labels: a NIfTI file or DICOM-SEG; for several scans a folder that holds CASE.nii.gz or the like, or a name with "
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scans", nargs="+", type=Path, metavar="CT", help="as for segment: NIfTI files, folders, DICOM series")
    parser.add_argument("labels", type=Path, metavar="LABELS", help=_LABELS_HELP + "{case} or {parent} in it")
    parser.add_argument("--against", type=Path, metavar="LABELS", help="a second source of labels, to compare organ by organ")
    parser.add_argument(
        "--labels",
        dest="names",
        type=Path,
        metavar="NAMES",
        help="a bundle, a dataset.json or JSON of {value: name}; default: FLARE's",
    )
    parser.add_argument("--series", metavar="UID", help="the DICOM series to take, where a folder or zip holds several")
    parser.add_argument("--pick", type=series_rules, default=(), metavar="RULES", help="choose the series by rules, as for segment")
    parser.add_argument("--correct-tilt", action="store_true", help=TILT_HELP)
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured, for programs")
    add_cohort_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure each scan. Returns 0, or 1 where one failed. Raises InputError or OutputError."""
    console = Console()
    require_cohort_files(arguments)
    names = None if arguments.names is None else _names(arguments.names)
    scans = named_scans(arguments.scans)
    called = unique_names(scans)
    cases = [replace(_case(scan, len(scans), arguments, names), case=called[scan]) for scan in scans]
    for case in cases:
        if case.error:
            console.complain(f"flare-trt: {case.case} failed: {case.error}")
        else:
            console.line(_text(case))
            for warning in case.warnings:
                console.complain(f"flare-trt: {case.case}: {warning}")
    if arguments.json is not None:
        write_json(arguments.json, [asdict(case) for case in cases])
    write_cohort_files(cases, arguments, console)
    return 1 if any(case.error for case in cases) else 0


def _case(scan: Path, scans: int, arguments: argparse.Namespace, names: Mapping[int, str] | None) -> CaseNumbers:
    called = ScanNames.of(scan)
    try:
        other = None if arguments.against is None else _labels_of(arguments.against, called, scans)
        files = LabelFiles(_labels_of(arguments.labels, called, scans), other, names)
        source = open_scan(scan, SeriesChoice(arguments.series, arguments.pick, correct_tilt=arguments.correct_tilt))
        return measured(called.case, source, whole_ct, files, arguments.hash_uids)
    except FlareError as error:
        if scans == 1:
            raise
        return CaseNumbers(called.case, error=str(error))


def _labels_of(given: Path, called: ScanNames, scans: int) -> Path:
    """The label file of one scan. Raises InputError where there is none."""
    if is_pattern(given):
        given = called.filled(given)
    elif given.is_dir():
        found = [given / (called.case + ending) for ending in LABEL_ENDINGS]
        return next((path for path in found if path.is_file()), found[0])
    elif scans > 1:
        raise InputError(f"{given}: this names the labels of one scan, got {scans} scans; name a folder, or {{case}} in the name")
    if not given.is_file():
        raise InputError(f"{given}: there is no such label file")
    return given


def _names(path: Path) -> dict[int, str]:
    if path.suffix.lower() == ".json" and path.name != "bundle.json":
        return read_names(path)
    with open_bundle(path) as bundle:
        return bundle.spec.label_names


def _text(case: CaseNumbers) -> str:
    rows = [["organ", "ml", "mean HU", "median", "p10", "p90", "in the scan", *(["DSC"] if case.agreement else [])]]
    agreement = {one.name: one for one in case.agreement}
    for organ in case.organs:
        hu = [organ.mean_hu, organ.median_hu, organ.p10_hu, organ.p90_hu]
        row = [
            organ.name,
            f"{organ.volume_ml:.1f}",
            *("-" if value is None else f"{value:.0f}" for value in hu),
            completeness(organ),
        ]
        rows.append([*row, *([_dsc(agreement, organ.name)] if case.agreement else [])])
    phase = case.phase
    values = [("aorta", phase.aorta_hu), ("vena cava", phase.cava_hu), ("liver", phase.liver_hu)]
    seen = ", ".join(f"{name} {value:.0f} HU" for name, value in values if value is not None)
    lesions = [f"{tumour.name}: {len(tumour.lesions)} lesions" for tumour in case.tumours]
    return "\n".join(
        [case.case, aligned_table(rows), *lesions, f"contrast phase, by its HU: {phase.phase} ({seen or 'no vessel'})", ""]
    )


def _dsc(agreement: Mapping[str, OrganAgreement], name: str) -> str:
    found = agreement.get(canonical(name))
    return "-" if found is None or found.dsc is None else f"{found.dsc:.4f}"
