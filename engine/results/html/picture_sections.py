"""The pictures of a page: three cuts through the labels, and the strip of axial slices that the tables lead to."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.results.html.markup import Markup, join, tag
from flare_trt.engine.results.html.story import listed
from flare_trt.engine.results.html.tables import slice_id
from flare_trt.engine.results.png import png_bytes
from flare_trt.engine.results.preview import WINDOW_HU, Pictures, StripSlice
from flare_trt.engine.results.scan_report import ScanReport


def cut_pictures(report: ScanReport, pictures: Pictures) -> Markup:
    """Each cut with its words. Cuts go through the labels' centre."""
    seen = [organ.name for organ in report.organs if organ.voxels]
    inside = f"organs coloured over the CT: {listed(seen)}" if seen else "nothing was labelled"
    level, width = WINDOW_HU
    figures = []
    for name, image in (("Coronal", pictures.coronal), ("Axial", pictures.axial), ("Sagittal", pictures.sagittal)):
        shown = _image(image, f"{name} cut through the centre of the labels; {inside}.")
        figures.append(tag("figure", shown, tag("figcaption", name)))
    words = f"Cuts through the labels' centre, window {level:g}/{width:g} HU; the patient's right is on the left, anterior is left "
    caption = tag("p", words + "in the sagittal cut. The table below is the legend.", class_="quiet")
    return join([tag("h2", "Pictures"), tag("div", *figures, class_="pictures"), caption])


def slice_pictures(report: ScanReport, strip: Sequence[StripSlice]) -> Markup:
    """The strip of axial slices, each with its number and what is outlined in it; nothing where there is none."""
    if not strip:
        return Markup("")
    names = {organ.value: organ.name for organ in report.organs}
    figures = []
    for one in strip:
        seen = listed([names[value] for value in one.values if value in names])
        number = f"Slice {one.index + 1}"
        shown = _image(one.image, f"{number}, axial; {f'outlined: {seen}' if seen else 'nothing was labelled here'}.")
        figures.append(tag("figure", shown, tag("figcaption", tag("b", number), f" {seen}"), id=slice_id(one.index)))
    words = "Axial slices from head to foot with the structures' outlines, among them the one in which each structure is largest."
    row = tag("div", *figures, class_="slices", tabindex=0, role="region", aria_label="Axial slices from head to foot")
    return join([tag("h2", "Slices"), row, tag("p", words, class_="quiet")])


def _image(image: NDArray[np.uint8], alt: str) -> Markup:
    source = "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()
    return tag("img", src=source, alt=alt, width=image.shape[1], height=image.shape[0])
