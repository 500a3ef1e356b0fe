"""Elements as Python's own parser of HTML reads them back."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from tests.engine.results.html.test_page import Tree

from flare_trt.engine.results.html.markup import Markup, join, table, tag

EVIL = "\"'><b onclick=x>&amp;"


def test_text_and_attributes_come_back_as_they_were() -> None:
    (element,) = Tree(tag("p", EVIL, title=EVIL).text).root.children
    assert (element.name, element.text, element.attributes, element.children) == ("p", EVIL, {"title": EVIL}, [])


def test_markup_passes_and_text_beside_it_does_not() -> None:
    assert join(["<", Markup("<br>"), tag("i", "&")]).text == "&lt;<br><i>&amp;</i>"
    assert join([]).text == ""


@pytest.mark.parametrize("name", ["img", "meta", "br"])
def test_void_elements_have_no_end(name: str) -> None:
    ends: list[str] = []
    reader = HTMLParser()
    reader.handle_endtag = ends.append  # type: ignore[method-assign, assignment]
    reader.feed(tag(name, alt="a").text)
    assert (tag(name, alt="a").text, ends) == (f'<{name} alt="a">', [])


def test_an_empty_element_that_is_not_void_is_closed() -> None:
    assert tag("span", class_="swatch", data_a_b=3).text == '<span class="swatch" data-a-b="3"></span>'


def test_a_table_s_first_column_names_its_rows() -> None:
    root = Tree(table("C < D", ("a", "b", "c"), [("r", "1", tag("b", "2")), ("s", "3", "4")]).text).root
    (scroll,) = root.children
    assert scroll.attributes == {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "C < D"}
    cells = [[(cell.name, cell.attributes.get("scope"), cell.words.strip()) for cell in row.children] for row in root.all("tr")]
    assert cells == [
        [("th", "col", "a"), ("th", "col", "b"), ("th", "col", "c")],
        [("th", "row", "r"), ("td", None, "1"), ("td", None, "2")],
        [("th", "row", "s"), ("td", None, "3"), ("td", None, "4")],
    ]
