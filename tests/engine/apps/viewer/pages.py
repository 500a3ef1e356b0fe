"""What tests of the viewer's page do with it: serve it, open it, look at its planes and surfaces."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tests.browser import pixels, wait_for

from flare_trt.engine.apps.viewer.server import ViewerServer
from flare_trt.engine.model.spec import FLARE_LABELS
from flare_trt.engine.results.viewer.page import Resource

COLOURS = {label.name: tuple(int(label.colour[at : at + 2], 16) for at in (1, 3, 5)) for label in FLARE_LABELS}


@contextmanager
def served(resources: dict[str, Resource], told: list[str]) -> Iterator[str]:
    with ViewerServer(resources, told.append) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()


def opened(browser: Any, url: str) -> str:
    """Open the page; how it ended: ready or failed."""
    browser.get(url)
    return str(
        wait_for(lambda: (state := browser.find_element("tag name", "body").get_attribute("data-state")) != "loading" and state)
    )


def drawn(browser: Any) -> np.ndarray:
    """The planes, without the surfaces in their fourth quarter."""
    show = "document.getElementById('surface').style.visibility = arguments[0]"
    browser.execute_script(show, "hidden")
    image = pixels(browser.find_element("id", "canvas"))
    browser.execute_script(show, "")
    return image


def count(image: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((np.abs(image - colour).max(axis=2) <= 6).sum())


def set_opacity(browser: Any, value: float) -> None:
    script = "const o = document.getElementById('opacity'); o.value = arguments[0]; o.dispatchEvent(new Event('input'));"
    browser.execute_script(script, value)


def row(browser: Any, name: str) -> Any:
    return browser.find_element("xpath", f"//tbody/tr[td/button[normalize-space()='{name}']]")


def shaded(canvas: Any) -> np.ndarray:
    """The surfaces, without the ring around a canvas that has the keys."""
    return pixels(canvas)[4:-4, 4:-4]


def tinted(image: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Where a picture has a colour, however bright."""
    length = np.linalg.norm(image, axis=2) * np.linalg.norm(colour)
    return (image @ np.array(colour) > 0.998 * length) & (image.max(axis=2) > 40)


def marks_in_bodies(image: np.ndarray, colour: tuple[int, ...]) -> list[tuple[float, float]]:
    """Where the mark's middle lies in each body's picture, as a share of it from the left and from the top."""
    from scipy import ndimage

    pieces, count = ndimage.label(image.max(axis=2) > 60)
    found = []
    for piece in range(1, count + 1):
        rows, columns = np.nonzero(pieces == piece)
        marked = np.abs(image[rows, columns] - colour).max(axis=1) <= 6
        if len(rows) > 5000 and marked.sum() > 50:
            box = [(low.min(), low.max()) for low in (columns, rows)]
            middle = [float(np.mean(axis[marked])) for axis in (columns, rows)]
            found.append(tuple((at - low) / (high - low) for at, (low, high) in zip(middle, box, strict=True)))
    return found
