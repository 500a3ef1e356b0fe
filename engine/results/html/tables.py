"""The report's tables: organs, tumours, stages, and how the run was made."""

from __future__ import annotations

from collections.abc import Container, Mapping

from flare_trt.engine.results.contrast_phase import ContrastPhase
from flare_trt.engine.results.html.markup import Markup, join, table, tag
from flare_trt.engine.results.html.story import WORLD, listed, patient_axes, sizes_mm
from flare_trt.engine.results.lesions import SPECK_ML, TumourMeasure
from flare_trt.engine.results.measures import ABSENT, UNSEEN, OrganMeasure
from flare_trt.engine.results.scan_report import ScanReport

#: Rows of the table of lesions; the JSON report has them all.
_MOST_LESIONS = 25

_NONE = "–"


def organ_table(report: ScanReport, colours: Mapping[int, str], linked: Container[int] = ()) -> Markup:
    """A row an organ, with the colour that it has in the pictures; `linked` are the slices, from 0, that the page shows."""
    absent = ABSENT if report.run.looked else UNSEEN
    hu = ("Mean HU", "SD HU", "Median HU", "10–90 % HU")
    heads = ("Structure", "Volume (ml)", *hu, "Size (mm)", "Slices", "Largest in", "In the scan")
    rows: list[list[str | Markup]] = [
        [_named(organ, colours[organ.value]), *_organ_cells(organ, report.orientation, linked, absent)] for organ in report.organs
    ]
    return table(
        "Sizes are head to foot × front to back × side to side; slices count from 1 along the scan's axial axis. What the "
        "scan's edge cuts is larger than what is measured here.",
        heads,
        rows,
    )


def _organ_cells(organ: OrganMeasure, orientation: str, linked: Container[int], absent: str) -> list[str | Markup]:
    """`orientation` says which array axis is which in the patient, so that sizes come in the patient's order."""
    if organ.start_zyx is None or organ.stop_zyx is None or organ.extent_mm is None:
        return [*[_NONE] * 8, absent]
    axial = patient_axes(orientation)[0]
    size = sizes_mm(organ.extent_mm, orientation)
    slices = f"{organ.start_zyx[axial] + 1}–{organ.stop_zyx[axial]}"
    hu = [_NONE if value is None else f"{value:.0f}" for value in (organ.mean_hu, organ.std_hu, organ.median_hu)]
    spread = _NONE if organ.p10_hu is None or organ.p90_hu is None else f"{organ.p10_hu:.0f} to {organ.p90_hu:.0f}"
    largest = _slice(organ.slice_index, linked)
    return [f"{organ.volume_ml:.1f}", *hu, spread, size, slices, largest, completeness(organ.touches_edge)]


def slice_id(index: int) -> str:
    """What the picture of a slice, counted from 0, is called in the page."""
    return f"slice-{index + 1}"


def _slice(index: int | None, linked: Container[int]) -> str | Markup:
    """A slice's number, which leads to its picture where the page has one."""
    if index is None:
        return _NONE
    number = str(index + 1)
    return tag("a", number, href=f"#{slice_id(index)}") if index in linked else number


def completeness(touches_edge: tuple[str, ...]) -> str:
    """Whether the scan's edge cuts a structure.

    >>> completeness(()), completeness(("S", "L"))
    ('whole', 'cut: superior and left')
    """
    return f"cut: {listed([WORLD[side] for side in touches_edge])}" if touches_edge else "whole"


def tumour_section(report: ScanReport, linked: Container[int] = ()) -> Markup:
    """A table of lesions for each tumour label; empty where the model has none. `linked` as in `organ_table`."""
    if report.tumours and not report.run.looked:
        return join([tag("h2", "Lesions"), tag("p", "Not looked for: no abdomen was found.")])
    return join(_tumour(tumour, linked) for tumour in report.tumours)


def _tumour(tumour: TumourMeasure, linked: Container[int]) -> Markup:
    specks = f" Pieces under {SPECK_ML:g} ml, not measured: {tumour.specks}." if tumour.specks else ""
    count = len(tumour.lesions)
    heading = tag("h2", f"Lesions: {tumour.name}")
    if not count:
        return join([heading, tag("p", f"No lesion was found.{specks}")])
    more = f" The {_MOST_LESIONS} largest are listed." if count > _MOST_LESIONS else ""
    known = any(lesion.certainty is not None for lesion in tumour.lesions)
    heads = (
        "No.",
        "Organ",
        "Mean HU",
        "Over the organ",
        "Volume (ml)",
        "Longest axial (mm)",
        "Perpendicular (mm)",
        "Longest in 3-D (mm)",
        "Certainty",
        "Axial slice",
        "In the scan",
    )
    rows: list[list[str | Markup]] = [
        [
            str(number),
            lesion.organ or "none near",
            *("-" if hu is None else f"{hu:.0f}" for hu in (lesion.mean_hu, lesion.over_organ_hu)),
            f"{lesion.volume_ml:.2f}",
            *(f"{mm:.1f}" for mm in (lesion.longest_axial_mm, lesion.perpendicular_mm, lesion.longest_3d_mm)),
            "-" if lesion.certainty is None else f"{lesion.certainty:.2f}",
            _slice(lesion.slice_index, linked),
            completeness(lesion.touches_edge),
        ]
        for number, lesion in enumerate(tumour.lesions[:_MOST_LESIONS], start=1)
    ]
    sure = " Certainty: the share of voxels of which the network was surest." if known else ""
    words = (
        f"Found: {count}.{more}{specks} Longest axial diameter and its perpendicular as RECIST 1.1 takes them, on the labels.{sure}"
    )
    return join([heading, tag("p", words), table("Each lesion, the largest first", heads, rows)])


def stage_table(report: ScanReport) -> Markup:
    """Seconds of each stage and of all."""
    stages = report.run.stages
    rows = [(name, f"{seconds:.2f}") for name, seconds in stages.items()]
    return table("Time by stage", ("Stage", "Seconds"), [*rows, ("all", f"{sum(stages.values()):.2f}")])


def about_table(report: ScanReport) -> Markup:
    """What made the labels, of what."""
    run = report.run
    rows = {
        "Scan file": report.scan,
        "Labels file": report.labels,
        "Series UID": report.series_uid or _NONE,
        "Contrast phase, by its HU": _phase_words(report.phase),
        "Voxels (z × y × x)": " × ".join(map(str, report.shape_zyx)),
        "Spacing (mm, z × y × x)": " × ".join(f"{mm:g}" for mm in report.spacing_mm),
        "Orientation (z, y, x)": report.orientation,
        "Model": run.model,
        "Licence of its weights": report.licence,
        "Software": f"flare-trt {run.version}",
        "Mode": run.mode,
        "Device": f"{run.device} ({run.device_reason})",
        "Backend": f"{run.backend}, {run.precision}; {run.kernels} kernels",
        "Tiles": ", ".join(f"{count} {stage}" for stage, count in run.tiles.items()),
    }
    return table("How it was made", ("Item", "Value"), rows.items())


def _phase_words(phase: ContrastPhase) -> str:
    values = {"aorta": phase.aorta_hu, "vena cava": phase.cava_hu, "liver": phase.liver_hu}
    seen = ", ".join(f"{name} {hu:.0f}" for name, hu in values.items() if hu is not None)
    return f"{phase.phase} (median HU: {seen})" if seen else phase.phase


def _named(organ: OrganMeasure, colour: str) -> Markup:
    return join([tag("span", class_="swatch", style=f"background:{colour}"), organ.name])
