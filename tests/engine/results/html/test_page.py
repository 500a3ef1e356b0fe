"""The page opens offline, escapes whatever it is given, says what was measured, and can be read by everybody."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from flare_trt.engine.base.run_report import DroppedComponent, RoiStory, RunReport
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.html.page import report_page
from flare_trt.engine.results.lesions import Lesion, TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.engine.results.memory_curve import MemoryCurve, Phase
from flare_trt.engine.results.preview import Pictures, StripSlice
from flare_trt.engine.results.scan_report import ScanReport

EVIL = "\"'><script src=//x.test/a.js></script><img src=x onerror=alert(1)>&amp;"
COLOURS = (LabelSpec(1, "liver", "#b5523b"), LabelSpec(2, "spleen", "#7a5fb0"), LabelSpec(14, "tumour", "#ffffff"))


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator[Element]:
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    @property
    def words(self) -> str:
        return " ".join([self.text, *(child.words for child in self.children if child.name != "style")])


class Tree(HTMLParser):
    """The page as a tree. Fails on a tag that is closed wrongly or never."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open = [Element("#document", {})]
        self.feed(page)
        self.close()
        assert len(self.open) == 1, f"never closed: {[element.name for element in self.open]}"
        self.root = self.open[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in ("img", "meta"):
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def report(name: str = "case_0000.nii.gz") -> ScanReport:
    liver = OrganMeasure(
        1, "liver", 9000, 1500.25, 61.4, 20.6, (3, 4, 5), (30, 40, 50), (67.5, 36.0, 45.0), touches_edge=("S", "L"), slice_index=11
    )
    tumour = OrganMeasure(14, "tumour", 300, 12.5, 40.0, 9.0, (10, 10, 10), (12, 20, 20), (5.0, 10.0, 10.0), slice_index=10)
    lesion = Lesion(12.5, 41.7, 32.5, 41.8, 11, (10, 10, 10), (12, 20, 20), ())
    roi = RoiStory(
        "enlarged", (1, 2, 3), (31, 42, 53), 0.314, (name,), ("spleen",), (DroppedComponent(name, 3.5, 200.0, "far"),), 2, ("S",)
    )
    run = RunReport(
        "0.1.0", name, "exact", "cpu", name, "native", "openvino", "fp32", {"read": 0.5, name: 1.25}, {"fine": 8}, roi, ()
    )
    memory = MemoryCurve((0.0, 0.5, 1.0, 2.0), (100.0, 300.0, 700.0, 200.0), (Phase("read", 0.0, 0.1), Phase(name, 0.1, 2.0)))
    return ScanReport(
        name, name, (40, 50, 60), (2.5, 1.0, 1.0), "SPL", (liver, replace(OrganMeasure(2, "spleen", 0, 0.0), name=name), tumour),
        (TumourMeasure(14, "tumour", (lesion,), 3),), name, run, memory, (name,),
    )  # fmt: skip


def hostile() -> ScanReport:
    given = report(EVIL)
    return replace(given, organs=tuple(replace(organ, name=EVIL) for organ in given.organs))


def pictures() -> Pictures:
    random = np.random.default_rng(4)
    coronal, axial, sagittal = (random.integers(0, 256, (48, width, 3)).astype(np.uint8) for width in (31, 41, 21))
    strip = tuple(StripSlice(index, axial[:24], values) for index, values in ((39, (1,)), (11, (1, 14)), (0, ())))
    return Pictures(coronal, axial, sagittal, strip)


@pytest.fixture(params=[report, hostile])
def page(request: pytest.FixtureRequest) -> str:
    return report_page(request.param(), COLOURS, pictures())


def elements(page: str) -> list[Element]:
    root = Tree(page).root
    names = {match.lower() for match in re.findall(r"<([a-zA-Z]+)", page)}
    return [element for name in names for element in root.all(name)]


def test_nothing_outside_the_file_is_referred_to(page: str) -> None:
    for element in elements(page):
        assert element.name not in {"script", "link", "iframe", "object", "embed", "base", "use", "form", "video", "audio"}
        for name, value in element.attributes.items():
            assert not name.startswith("on"), (element.name, name)
            if name == "href":
                assert re.fullmatch("#slice-[0-9]+", value)
            elif name in {"src", "srcset", "data", "action", "poster", "background", "xlink:href"}:
                assert value.startswith("data:image/png;base64,")
            if name == "style":
                assert re.fullmatch("background:#[0-9a-f]{6}", value)
    (style,) = Tree(page).root.all("style")
    assert not re.search(r"url\(|@import|://|expression", style.text)
    without_values = page.replace(report(EVIL).scan, "")
    assert "http:" not in without_values
    assert "https:" not in without_values
    (policy,) = [m for m in Tree(page).root.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_hostile_values_stand_there_as_text() -> None:
    root = Tree(report_page(hostile(), COLOURS, pictures())).root
    assert next(root.all("title")).text == f"{EVIL}: segmentation report"
    assert next(root.all("h1")).text == EVIL
    assert root.words.count(EVIL) >= 12
    assert [image.attributes["alt"].count(EVIL) for image in root.all("img")] == [2, 2, 2, 1, 2, 0]


def test_it_says_what_was_measured_and_that_it_is_no_medical_device() -> None:
    root = Tree(report_page(report(), COLOURS, pictures())).root
    words = " ".join(root.words.split())
    assert words.count("Research software, not a medical device") == 2
    for wanted in (
        *("1500.2", "61", "21", "68 × 36 × 45", "4–30", "Contrast phase, by its HU unknown", "cut: superior and left", "not found"),
        *("12.50", "41.7", "32.5", "41.8", "Pieces under 0.03 ml, not measured: 3"),
        *(
            "31.4% of the scan",
            "75 × 40 × 50 mm",
            "axial slices 2 to 31",
            "did not find: spleen",
            "3.5 ml of case",
            "Specks left out as noise: 2",
        ),
        *("read 0.50", "all 1.75", "Peak 700 MB", "Software flare-trt 0.1.0", "cpu (case_0000.nii.gz)", "SPL"),
    ):
        assert wanted in words, wanted


def test_the_pictures_are_those_given() -> None:
    root, given = Tree(report_page(report(), COLOURS, pictures())).root, pictures()
    shown = [image.attributes for image in root.all("img")]
    strip = [one.image for one in given.strip]
    for attributes, wanted in zip(shown, (given.coronal, given.axial, given.sagittal, *strip), strict=True):
        raw = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(raw)) as image:
            np.testing.assert_array_equal(np.asarray(image), wanted)
    assert [attributes["alt"].split()[0] for attributes in shown] == ["Coronal", "Axial", "Sagittal", *["Slice"] * 3]
    assert "liver and tumour" in shown[0]["alt"]


def test_tables_lead_to_slices_that_are_there(page: str) -> None:
    root = Tree(page).root
    places = [figure.attributes["id"] for figure in root.all("figure") if "id" in figure.attributes]
    assert places == ["slice-40", "slice-12", "slice-1"]
    assert [link.attributes["href"] for link in root.all("a")] == ["#slice-12"] * 2  # of the liver, and of the lesion


def test_captions_name_what_is_outlined() -> None:
    root = Tree(report_page(report(), COLOURS, pictures())).root
    captions = [sorted(figure.words.split()) for figure in root.all("figure") if "id" in figure.attributes]
    assert captions == [["40", "Slice", "liver"], ["12", "Slice", "and", "liver", "tumour"], ["1", "Slice"]]


def test_a_page_without_pictures_has_the_numbers() -> None:
    root = Tree(report_page(report(), COLOURS, None)).root
    assert list(root.all("img")) == list(root.all("a")) == []
    assert "1500.2" in root.words
    assert "Pictures" not in root.words


def test_everybody_can_read_it(page: str) -> None:
    root = Tree(page).root
    assert next(root.all("html")).attributes["lang"] == "en"
    assert all(len(image.attributes["alt"]) > 20 for image in root.all("img"))
    for table in root.all("table"):
        assert table.children[0].name == "caption"
        assert table.children[0].words.strip()
        rows = list(table.all("tr"))
        assert all(head.attributes["scope"] == "col" for head in rows[0].children)
        assert {len(row.children) for row in rows} == {len(rows[0].children)}
        assert all(row.children[0].attributes.get("scope") == "row" for row in rows[1:])
    (plot,) = root.all("svg")
    assert plot.attributes["role"] == "img"
    assert "peak of 700 MB within 2.0 s" in plot.attributes["aria-label"]
    assert len(list(root.all("h1"))) == 1
    (style,) = root.all("style")
    assert "prefers-color-scheme: dark" in style.text
    assert "@media print" in style.text


def test_the_plot_is_highest_at_the_peak() -> None:
    root = Tree(report_page(report(), COLOURS, pictures())).root
    (line,) = root.all("polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attributes["points"].split()]
    heights = [-y for _, y in points]
    steps = np.diff([100.0, 300.0, 700.0, 200.0])
    np.testing.assert_allclose(np.diff(heights) / np.diff(heights)[0], steps / steps[0], atol=0.01)
    across = np.diff([x for x, _ in points])
    np.testing.assert_allclose(across / across[0], [1, 1, 2], atol=0.01)
    bands = [float(rect.attributes["width"]) for rect in root.all("rect")]
    assert bands[1] / bands[0] == pytest.approx(19, rel=0.01)


def test_a_run_without_roi_labels_or_tumours() -> None:
    bare = report()
    empty = replace(bare, organs=(OrganMeasure(1, "liver", 0, 0.0),), tumours=(), warnings=(), run=replace(bare.run, roi=None))
    words = Tree(report_page(empty, COLOURS, pictures())).root.words
    assert "The model has one network" in words
    assert "Warnings" not in words
    assert "Lesions" not in words
    none = replace(bare, tumours=(TumourMeasure(14, "tumour", (), 0),))
    assert "No lesion was found." in Tree(report_page(none, COLOURS, pictures())).root.words


def test_where_the_fine_network_never_ran_nothing_was_looked_for() -> None:
    seen = report()
    roi = replace(seen.run.roi, decision="empty") if seen.run.roi else None
    absent = tuple(OrganMeasure(organ.value, organ.name, 0, 0.0) for organ in seen.organs)
    words = Tree(report_page(replace(seen, organs=absent, run=replace(seen.run, roi=roi)), COLOURS, pictures())).root.words
    assert "not looked for" in words
    assert "not found" not in words
    assert "No lesion was found" not in words
