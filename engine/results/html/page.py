"""The page: pictures, tables, the ROI's story and the memory plot in one file."""

from __future__ import annotations

from importlib.resources import files

from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.html.markup import Markup, join, tag
from flare_trt.engine.results.html.memory_plot import memory_plot
from flare_trt.engine.results.html.picture_sections import cut_pictures, slice_pictures
from flare_trt.engine.results.html.story import roi_sentences
from flare_trt.engine.results.html.tables import about_table, organ_table, stage_table, tumour_section
from flare_trt.engine.results.preview import Pictures
from flare_trt.engine.results.scan_report import ScanReport

DISCLAIMER = "Research software, not a medical device. Not for diagnosis or treatment."
#: The browser may load nothing from anywhere, whatever the page says.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_page(report: ScanReport, colours: tuple[LabelSpec, ...], pictures: Pictures | None) -> str:
    """The whole document; without pictures where there are none."""
    body = tag("body", _header(report), _main(report, colours, pictures), tag("footer", tag("p", DISCLAIMER)))
    return f"<!DOCTYPE html>\n{tag('html', page_head(f'{report.scan}: segmentation report'), body, lang='en').text}\n"


def page_head(title: str) -> Markup:
    """The head of a page of this project: its policy, its title and its style."""
    style = (files("flare_trt.engine.results.html") / "report.css").read_text(encoding="utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )


def _header(report: ScanReport) -> Markup:
    found = sum(organ.voxels > 0 for organ in report.organs)
    cut = sum(bool(organ.touches_edge) for organ in report.organs)
    lesions = sum(len(tumour.lesions) for tumour in report.tumours)
    facts = {
        "structures found": f"{found} of {len(report.organs)}",
        "cut by the scan's edge": str(cut),
        "lesions": str(lesions) if report.tumours else "–",
        "contrast phase, by its HU": report.phase.phase,
        "seconds": f"{sum(report.run.stages.values()):.1f}",
        "MB at the peak": f"{report.memory.peak_mb:.0f}",
    }
    cards = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    words = [f"{report.run.model} on {report.run.device}, mode {report.run.mode}"]
    words += [f"Series {report.series_uid}"] if report.series_uid else []
    lines = [tag("p", text, class_="quiet") for text in words]
    return tag("header", tag("p", DISCLAIMER, class_="notice"), tag("h1", report.scan), *lines, tag("dl", *cards, class_="cards"))


def _main(report: ScanReport, colours: tuple[LabelSpec, ...], pictures: Pictures | None) -> Markup:
    by_value = {label.value: label.colour for label in colours}
    strip = () if pictures is None else pictures.strip
    linked = frozenset(one.index for one in strip)
    peak = f"Resident memory of the whole process on the host, networks included. Peak {report.memory.peak_mb:.0f} MB."
    return tag(
        "main",
        _warnings(report.warnings),
        "" if pictures is None else cut_pictures(report, pictures),
        slice_pictures(report, strip),
        tag("h2", "Structures"),
        organ_table(report, by_value, linked),
        tumour_section(report, linked),
        tag("h2", "Where the network looked"),
        _story(report),
        tag("h2", "Time and memory"),
        tag("figure", memory_plot(report.memory), tag("figcaption", peak)),
        stage_table(report),
        tag("h2", "About this report"),
        about_table(report),
    )


def _warnings(warnings: tuple[str, ...]) -> Markup:
    if not warnings:
        return Markup("")
    return tag("section", tag("h2", "Warnings"), tag("ul", *(tag("li", text) for text in warnings)), class_="warnings")


def _story(report: ScanReport) -> Markup:
    decision, *details = roi_sentences(report.run.roi, report.spacing_mm, report.orientation)
    return join([tag("p", decision), tag("ul", *(tag("li", text) for text in details)) if details else ""])
