"""A headless Chromium for tests, drawing WebGL in software; skips the calling test, with a word, where there is none."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

#: No sandbox, as containers have none; and none of the browser's own talk to the network.
_FLAGS = (
    *("headless", "no-sandbox", "disable-dev-shm-usage", "use-gl=angle", "use-angle=swiftshader", "enable-unsafe-swiftshader"),
    *("disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"),
    *("window-size=1200,800", "hide-scrollbars"),
)


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A started browser (selenium's WebDriver) with an empty profile folder."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(120)
    try:
        yield started
    finally:
        started.quit()


def wait_for(what: Callable[[], Any], seconds: float = 180) -> Any:
    """What the function gives as soon as it gives something true; fails where it never does."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "the page did not get there"
        time.sleep(0.1)
    return found


def pixels(element: Any) -> np.ndarray:
    """What an element of the page looks like, (height, width, 3) as int."""
    with Image.open(io.BytesIO(element.screenshot_as_png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)
