"""The report's tables: organs, tumours, stages, and how the run was made."""

from __future__ import annotations

from collections.abc import Mapping

from flare_trt.engine.results.html.markup import Markup, join, table, tag
from flare_trt.engine.results.html.story import WORLD, listed
from flare_trt.engine.results.lesions import SPECK_ML, TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.engine.results.scan_report import ScanReport

#: Rows of the table of lesions; the JSON report has them all.
_MOST_LESIONS = 25

#: Where the coarse network saw no abdomen the fine one never ran.
_ABSENT, _UNSEEN = "not found", "not looked for"
_NONE = "–"


def organ_table(report: ScanReport, colours: Mapping[int, str]) -> Markup:
    """A row an organ, with the colour that it has in the pictures."""
    absent = _UNSEEN if nothing_seen(report) else _ABSENT
    heads = ("Structure", "Volume (ml)", "Mean HU", "SD HU", "Extent (mm)", "Box (voxels)", "In the scan")
    rows: list[list[str | Markup]] = [
        [_named(organ, colours[organ.value]), *_organ_cells(organ, absent)] for organ in report.organs
    ]
    return table(
        "Extents and boxes run along z, y, x. What the scan's edge cuts is larger than what is measured here.", heads, rows
    )


def nothing_seen(report: ScanReport) -> bool:
    """Whether the fine network looked nowhere."""
    return report.run.roi is not None and report.run.roi.decision == "empty"


def _organ_cells(organ: OrganMeasure, absent: str) -> list[str]:
    if organ.start_zyx is None or organ.stop_zyx is None or organ.extent_mm is None:
        return [_NONE, _NONE, _NONE, _NONE, _NONE, absent]
    box = ", ".join(f"{low}–{high - 1}" for low, high in zip(organ.start_zyx, organ.stop_zyx, strict=True))
    extent = " × ".join(f"{mm:.0f}" for mm in organ.extent_mm)
    hu = [_NONE if value is None else f"{value:.0f}" for value in (organ.mean_hu, organ.std_hu)]
    return [f"{organ.volume_ml:.1f}", *hu, extent, box, completeness(organ.touches_edge)]


def completeness(touches_edge: tuple[str, ...]) -> str:
    """Whether the scan's edge cuts a structure.

    >>> completeness(()), completeness(("S", "L"))
    ('whole', 'cut: superior and left')
    """
    return f"cut: {listed([WORLD[side] for side in touches_edge])}" if touches_edge else "whole"


def tumour_section(report: ScanReport) -> Markup:
    """A table of lesions for each tumour label; empty where the model has none."""
    if report.tumours and nothing_seen(report):
        return join([tag("h2", "Lesions"), tag("p", "Not looked for: no abdomen was found.")])
    return join(_tumour(tumour) for tumour in report.tumours)


def _tumour(tumour: TumourMeasure) -> Markup:
    specks = f" Pieces under {SPECK_ML:g} ml, not measured: {tumour.specks}." if tumour.specks else ""
    count = len(tumour.lesions)
    heading = tag("h2", f"Lesions: {tumour.name}")
    if not count:
        return join([heading, tag("p", f"No lesion was found.{specks}")])
    more = f" The {_MOST_LESIONS} largest are listed." if count > _MOST_LESIONS else ""
    heads = ("No.", "Volume (ml)", "Longest axial (mm)", "Perpendicular (mm)", "Longest in 3-D (mm)", "Axial slice", "In the scan")
    rows = [
        [
            str(number),
            f"{lesion.volume_ml:.2f}",
            *(f"{mm:.1f}" for mm in (lesion.longest_axial_mm, lesion.perpendicular_mm, lesion.longest_3d_mm)),
            str(lesion.slice_index),
            completeness(lesion.touches_edge),
        ]
        for number, lesion in enumerate(tumour.lesions[:_MOST_LESIONS], start=1)
    ]
    words = f"Found: {count}.{more}{specks} Longest axial diameter and its perpendicular as RECIST 1.1 takes them, on the labels."
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


def _named(organ: OrganMeasure, colour: str) -> Markup:
    return join([tag("span", class_="swatch", style=f"background:{colour}"), organ.name])
