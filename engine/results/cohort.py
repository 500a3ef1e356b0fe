"""The numbers of many scans as one table: a row an organ and scan, in CSV for statistics, and what stands out of it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.organs import CORE_ORGANS, canonical
from flare_trt.engine.results.agreement import OrganAgreement
from flare_trt.engine.results.contrast_phase import NO_PHASE, ContrastPhase
from flare_trt.engine.results.lesions import TumourMeasure
from flare_trt.engine.results.measures import ABSENT, UNSEEN, OrganMeasure

COLUMNS = (
    "case",
    "study_uid",
    "series_uid",
    "model",
    "phase",
    "label",
    "organ",
    "voxels",
    "volume_ml",
    "mean_hu",
    "std_hu",
    "median_hu",
    "p10_hu",
    "p90_hu",
    "completeness",
    "lesions",
    "longest_lesion_mm",
    "dsc",
    "other_volume_ml",
    "warnings",
    "error",
)
#: A modified z-score (0.6745 * distance from the median / MAD) beyond this stands out: Iglewicz and Hoaglin, 1993.
_OUTLIER_Z = 3.5
#: Fewer cases than this have no spread worth a word.
_LEAST_CASES = 5
#: What spreadsheets take for a formula.
_FORMULA = ("=", "+", "@", "\t", "\r")


@dataclass(frozen=True)
class CaseNumbers:
    """One scan in the table. A scan that failed has an `error` and no organs; UIDs are "" for NIfTI.

    `looked` as in RunReport: else an organ without a voxel has not been looked for.
    """

    case: str
    study_uid: str = ""
    series_uid: str = ""
    model: str = ""
    phase: ContrastPhase = NO_PHASE
    organs: tuple[OrganMeasure, ...] = ()
    tumours: tuple[TumourMeasure, ...] = ()
    agreement: tuple[OrganAgreement, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""
    looked: bool = True


@dataclass(frozen=True)
class Outlier:
    """One value that stands out: whose, which, and why."""

    case: str
    organ: str
    quantity: str
    value: float
    why: str


def hashed(uid: str) -> str:
    """A UID's stand-in: the first 32 hexadecimal digits of its SHA-256; "" stays "".

    >>> hashed("1.2.3"), hashed("")
    ('c47f5b18b8a430e698b9fe15e51f6119', '')
    """
    return hashlib.sha256(uid.encode()).hexdigest()[:32] if uid else ""


def write_cohort_csv(path: Path, cases: Iterable[CaseNumbers]) -> None:
    """Write the table as CSV (UTF-8, a point for decimals, RFC 4180), whole or not at all. Raises OutputError."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    table.writeheader()
    for case in cases:
        table.writerows({name: _safe(value) for name, value in row.items()} for row in _rows(case))
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())


def completeness(organ: OrganMeasure, looked: bool = True) -> str:
    """Whether an organ is whole, cut by the scan's edge (and at which sides), not found or not looked for, for statistics."""
    if organ.voxels == 0:
        return ABSENT if looked else UNSEEN
    return f"cut {''.join(organ.touches_edge)}" if organ.touches_edge else "whole"


def outliers(cases: Sequence[CaseNumbers]) -> tuple[Outlier, ...]:
    """Whole organs whose volume or median HU lies far from the other cases', and volumes that no body has."""
    found = list(_implausible(cases))
    by_organ: dict[str, list[tuple[str, OrganMeasure]]] = {}
    for case in cases:
        for organ in case.organs:
            if organ.voxels and not organ.touches_edge:
                by_organ.setdefault(organ.name, []).append((case.case, organ))
    for name, measured in by_organ.items():
        for quantity in ("volume_ml", "median_hu"):
            values = {case: getattr(organ, quantity) for case, organ in measured}
            found += [Outlier(case, name, quantity, values[case], why) for case, why in _far(values, quantity)]
    return tuple(found)


def _implausible(cases: Sequence[CaseNumbers]) -> Iterator[Outlier]:
    for case in cases:
        for organ in case.organs:
            limits = CORE_ORGANS.get(canonical(organ.name))
            if limits is None or organ.voxels == 0 or organ.touches_edge:
                continue
            if not limits.low_ml <= organ.volume_ml <= limits.high_ml:
                why = f"outside of {limits.low_ml:g} to {limits.high_ml:g} ml"
                yield Outlier(case.case, organ.name, "volume_ml", organ.volume_ml, why)


def _far(values: Mapping[str, float], quantity: str) -> Iterator[tuple[str, str]]:
    """Cases beyond _OUTLIER_Z. Volumes are compared as logarithms: twice the usual is as far as half of it."""
    if len(values) < _LEAST_CASES:
        return
    numbers = np.array(list(values.values()), float)
    scaled = np.log(numbers) if quantity == "volume_ml" else numbers
    away = scaled - np.median(scaled)
    spread = float(np.median(np.abs(away)))
    if spread == 0:
        return
    for case, z in zip(values, 0.6745 * away / spread, strict=True):
        if abs(z) > _OUTLIER_Z:
            yield case, f"{'above' if z > 0 else 'below'} the others (median {np.median(numbers):.4g}, modified z {z:.1f})"


def _rows(case: CaseNumbers) -> Iterator[dict[str, object]]:
    common: dict[str, object] = {
        "case": case.case,
        "study_uid": case.study_uid,
        "series_uid": case.series_uid,
        "model": case.model,
        "phase": "" if case.error else case.phase.phase,
        "warnings": " | ".join(case.warnings),
        "error": case.error,
    }
    if not case.organs:
        yield common
    tumours = {tumour.value: tumour for tumour in case.tumours if case.looked}
    agreement = {one.name: one for one in case.agreement}
    for organ in case.organs:
        yield {
            **common,
            **_organ_cells(organ, tumours.get(organ.value), agreement.get(canonical(organ.name))),
            "completeness": completeness(organ, case.looked),
        }


def _organ_cells(organ: OrganMeasure, tumour: TumourMeasure | None, agreement: OrganAgreement | None) -> dict[str, object]:
    cells: dict[str, object] = {
        "label": organ.value,
        "organ": organ.name,
        "voxels": organ.voxels,
        "volume_ml": organ.volume_ml,
        "mean_hu": organ.mean_hu,
        "std_hu": organ.std_hu,
        "median_hu": organ.median_hu,
        "p10_hu": organ.p10_hu,
        "p90_hu": organ.p90_hu,
    }
    if tumour is not None:
        cells["lesions"] = len(tumour.lesions)
        cells["longest_lesion_mm"] = max((lesion.longest_axial_mm for lesion in tumour.lesions), default=None)
    if agreement is not None:
        cells.update(dsc=agreement.dsc, other_volume_ml=agreement.other_ml)
    return cells


def _safe(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front; None is an empty cell."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
