"""HTML and SVG elements that cannot be written unescaped: plain text is escaped wherever it goes, only `Markup` passes as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

#: Elements of HTML that have no end tag (https://html.spec.whatwg.org/#void-elements).
_VOID = frozenset({"img", "meta", "br"})


@dataclass(frozen=True)
class Markup:
    """Text that is markup already."""

    text: str


Content = str | Markup


def tag(name: str, /, *content: Content, **attributes: str | int) -> Markup:
    """An element. An attribute's underscores become hyphens, and one at its end falls off.

    >>> tag("p", "a < b", tag("b", "c"), class_="note", aria_label='"x"').text
    '<p class="note" aria-label="&quot;x&quot;">a &lt; b<b>c</b></p>'
    """
    pairs = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    inside = join(content).text
    return Markup(f"<{name}{pairs}>" if name in _VOID else f"<{name}{pairs}>{inside}</{name}>")


def join(parts: Iterable[Content]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(part.text if isinstance(part, Markup) else escape(part) for part in parts))


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[Content]]) -> Markup:
    """A table whose first column names its rows. It scrolls sideways by itself where the page is narrow."""
    head = tag("thead", tag("tr", *(tag("th", text, scope="col") for text in heads)))
    body = []
    for row in rows:
        first, *rest = row
        body.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)))
    whole = tag("table", tag("caption", caption), head, tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)
