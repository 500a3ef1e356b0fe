"""A batch on one page: what became of each scan, each organ's spread over the scans, and what stands out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.results.cohort import CaseNumbers, Outlier, outliers
from flare_trt.engine.results.html.markup import Markup, join, table, tag
from flare_trt.engine.results.html.page import DISCLAIMER, page_head
from flare_trt.engine.results.measures import UNSEEN, OrganMeasure

_NONE = "–"
_WIDTH, _HEIGHT, _EDGE, _DOT = 240, 22, 6, 3
_QUANTITIES = {"volume_ml": "volume (ml)", "median_hu": "median HU"}


def write_cohort_page(path: Path, cases: Sequence[CaseNumbers]) -> None:
    """Write the page, whole or not at all. Raises OutputError."""
    with atomic_file(path) as file:
        file.write(cohort_page(cases).encode())


def cohort_page(cases: Sequence[CaseNumbers]) -> str:
    """The whole document: one file without scripts that refers to nothing outside itself."""
    found = outliers(cases)
    body = tag("body", _header(cases, found), tag("main", *_sections(cases, found)), tag("footer", tag("p", DISCLAIMER)))
    return f"<!DOCTYPE html>\n{tag('html', page_head('Batch summary'), body, lang='en').text}\n"


def _header(cases: Sequence[CaseNumbers], found: Sequence[Outlier]) -> Markup:
    failed = sum(bool(case.error) for case in cases)
    facts = {
        "scans": str(len(cases)),
        "failed": str(failed),
        "with warnings": str(sum(bool(case.warnings) for case in cases)),
        "values that stand out": str(len(found)),
    }
    cards = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    models = sorted({case.model for case in cases if case.model})
    words = tag("p", ", ".join(models) or "Labels of unknown origin", class_="quiet")
    return tag(
        "header", tag("p", DISCLAIMER, class_="notice"), tag("h1", "Batch summary"), words, tag("dl", *cards, class_="cards")
    )


def _sections(cases: Sequence[CaseNumbers], found: Sequence[Outlier]) -> Iterable[Markup]:
    yield tag("h2", "What stands out")
    yield _outlier_table(found)
    yield tag("h2", "Organs")
    yield _organ_table(cases, found)
    yield tag("h2", "Scans")
    yield _case_table(cases)


def _outlier_table(found: Sequence[Outlier]) -> Markup:
    if not found:
        return tag("p", "No whole organ lies far from the others, and no volume is implausible.")
    rows = [(one.case, one.organ, _QUANTITIES[one.quantity], f"{one.value:.4g}", one.why) for one in found]
    words = (
        "Organs that the scan cuts are left out. A value stands out by a modified z-score over 3.5 among 5 scans or more "
        "(volumes as logarithms), or by a volume that no body has. Look at these scans first: it may be disease, or a wrong label."
    )
    return table(words, ("Scan", "Organ", "What", "Value", "Why"), rows)


def _organ_table(cases: Sequence[CaseNumbers], found: Sequence[Outlier]) -> Markup:
    names = list(dict.fromkeys(organ.name for case in cases for organ in case.organs))
    far = {(one.case, one.organ) for one in found}
    rows: list[list[str | Markup]] = []
    for name in names:
        looked = sum(not case.error and case.looked for case in cases)
        measured = [(case.case, organ) for case in cases for organ in case.organs if organ.name == name and organ.voxels]
        whole = [(case, organ) for case, organ in measured if not organ.touches_edge]
        dots = _dots([organ.volume_ml for _, organ in whole], [(case, name) in far for case, _ in whole])
        cells = [_spread(whole, "volume_ml", ".1f"), _spread(whole, "median_hu", ".0f")]
        rows.append([name, f"{len(measured)} of {looked}", str(len(whole)), *cells, dots])
    heads = ("Organ", "Found in", "Whole in", "Volume (ml)", "Median HU", "Volumes")
    return table("Median and range of whole organs; a dot is a scan, from the smallest to the largest volume.", heads, rows)


def _spread(measured: Sequence[tuple[str, OrganMeasure]], quantity: str, form: str) -> str:
    values = [getattr(organ, quantity) for _, organ in measured]
    if not values:
        return _NONE
    low, middle, high = (format(float(value), form) for value in (min(values), np.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def _dots(values: Sequence[float], far: Sequence[bool]) -> Markup:
    """A strip of dots between the smallest and the largest value; those that stand out are hollow."""
    if not values:
        return Markup(_NONE)
    low, span = min(values), max(values) - min(values) or 1.0
    dots = [
        tag(
            "circle",
            cx=f"{_EDGE + (_WIDTH - 2 * _EDGE) * (value - low) / span:.1f}",
            cy=_HEIGHT // 2,
            r=_DOT,
            class_="far" if is_far else "near",
        )
        for value, is_far in zip(values, far, strict=True)
    ]
    words = f"{len(values)} volumes from {min(values):.1f} to {max(values):.1f} ml"
    return tag(
        "svg", *dots, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH, height=_HEIGHT, role="img", aria_label=words, class_="strip"
    )


def _case_table(cases: Sequence[CaseNumbers]) -> Markup:
    phases = Counter(case.phase.phase for case in cases if not case.error)
    words = "Contrast phases, estimated from HU: " + (", ".join(f"{name} {count}" for name, count in phases.most_common()) or _NONE)
    return table(words, ("Scan", "Phase", "Found", "Cut", "Lesions", "Agreement (mean DSC)", "Remarks"), map(_case_row, cases))


def _case_row(case: CaseNumbers) -> list[str | Markup]:
    if case.error:
        return [case.case, _NONE, _NONE, _NONE, _NONE, _NONE, f"failed: {case.error}"]
    scores = [one.dsc for one in case.agreement if one.dsc is not None]
    return [
        case.case,
        case.phase.phase,
        f"{sum(organ.voxels > 0 for organ in case.organs)} of {len(case.organs)}" if case.looked else UNSEEN,
        str(sum(bool(organ.touches_edge) for organ in case.organs)),
        str(sum(len(tumour.lesions) for tumour in case.tumours)) if case.tumours and case.looked else _NONE,
        f"{np.mean(scores):.3f}" if scores else _NONE,
        join([" · ".join(case.warnings)]) if case.warnings else _NONE,
    ]
