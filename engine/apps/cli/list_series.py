"""`flare-trt list`: the series of a DICOM study, what each is, and why one cannot be segmented."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.scans.dicom.dicomdir import described_folder, is_dicomdir
from flare_trt.engine.scans.dicom.facts import SeriesFacts, study_facts
from flare_trt.engine.scans.open_scan import is_dicom

_HEADS = ("no.", "series", "description", "kernel", "phase", "plane", "source", "slices", "mm (z, y, x)")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="a folder, a .zip or a DICOMDIR")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print the table. Returns 0, or 1 where no series can be segmented. Raises InputError."""
    named: Path = arguments.study
    path = described_folder(named) if is_dicomdir(named) else named
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if not is_dicom(path):
        raise InputError(f"{path}: got a file, expected a DICOM study; name the folder it lies in, a .zip or a DICOMDIR")
    facts = study_facts(path)
    if not facts:
        raise InputError(f"{path}: holds no DICOM series; name a folder, a .zip or a DICOMDIR of a study")
    print(json.dumps([one.as_json() for one in facts], indent=2) if arguments.json else _text(facts))
    return 0 if any(one.problem is None for one in facts) else 1


def _text(facts: tuple[SeriesFacts, ...]) -> str:
    problems = [f"{one.uid or '(no UID)'} cannot be segmented: {one.problem}" for one in facts if one.problem is not None]
    return "\n".join([aligned_table([_HEADS, *map(_row, facts)]), *([""] if problems else []), *problems])


def _row(one: SeriesFacts) -> tuple[str, ...]:
    phase = one.phase or ("contrast" if one.contrast else "-")
    spacing = "-" if one.spacing_mm is None else " x ".join(f"{mm:.4g}" for mm in one.spacing_mm)
    source = {True: "original", False: "derived", None: "-"}[one.original]
    plane = one.orientation or one.modality or "-"
    words = "".join(letter if letter.isprintable() else "?" for letter in one.description)
    return (one.number, one.uid or "-", words or "-", one.kernel or "-", phase, plane, source, str(one.slices), spacing)
