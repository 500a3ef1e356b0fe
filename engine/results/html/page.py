"""The page: pictures, tables, the ROI's story and the memory plot in one file."""

from __future__ import annotations

import base64
from importlib.resources import files

from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.html.markup import Markup, join, tag
from flare_trt.engine.results.html.memory_plot import memory_plot
from flare_trt.engine.results.html.story import listed, roi_sentences
from flare_trt.engine.results.html.tables import about_table, organ_table, stage_table, tumour_section
from flare_trt.engine.results.png import png_bytes
from flare_trt.engine.results.preview import WINDOW_HU, Pictures
from flare_trt.engine.results.scan_report import ScanReport

DISCLAIMER = "Research software, not a medical device. Not for diagnosis or treatment."
#: The browser may load nothing from anywhere, whatever the page says.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_page(report: ScanReport, colours: tuple[LabelSpec, ...], pictures: Pictures) -> str:
    """The whole document."""
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
        "seconds": f"{sum(report.run.stages.values()):.1f}",
        "MB at the peak": f"{report.memory.peak_mb:.0f}",
    }
    cards = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    words = tag("p", f"{report.run.model} on {report.run.device}, mode {report.run.mode}", class_="quiet")
    return tag("header", tag("p", DISCLAIMER, class_="notice"), tag("h1", report.scan), words, tag("dl", *cards, class_="cards"))


def _main(report: ScanReport, colours: tuple[LabelSpec, ...], pictures: Pictures) -> Markup:
    by_value = {label.value: label.colour for label in colours}
    peak = f"Resident memory of the whole process on the host, networks included. Peak {report.memory.peak_mb:.0f} MB."
    return tag(
        "main",
        _warnings(report.warnings),
        _pictures(report, pictures),
        tag("h2", "Structures"),
        organ_table(report, by_value),
        tumour_section(report),
        tag("h2", "Where the network looked"),
        _story(report.run.roi),
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


def _story(roi: RoiStory | None) -> Markup:
    decision, *details = roi_sentences(roi)
    return join([tag("p", decision), tag("ul", *(tag("li", text) for text in details)) if details else ""])


def _pictures(report: ScanReport, pictures: Pictures) -> Markup:
    """Each cut with its words. Cuts go through the labels' centre."""
    seen = [organ.name for organ in report.organs if organ.voxels]
    inside = f"organs coloured over the CT: {listed(seen)}" if seen else "nothing was labelled"
    level, width = WINDOW_HU
    figures = []
    for name, image in (("Coronal", pictures.coronal), ("Axial", pictures.axial), ("Sagittal", pictures.sagittal)):
        source = "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()
        alt = f"{name} cut through the centre of the labels; {inside}."
        shown = tag("img", src=source, alt=alt, width=image.shape[1], height=image.shape[0])
        figures.append(tag("figure", shown, tag("figcaption", name)))
    words = f"Cuts through the labels' centre, window {level:g}/{width:g} HU; the patient's right is on the left, anterior is left "
    caption = tag("p", words + "in the sagittal cut. The table below is the legend.", class_="quiet")
    return join([tag("h2", "Pictures"), tag("div", *figures, class_="pictures"), caption])
