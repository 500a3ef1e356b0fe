"""Draws the documentation's picture of the viewer: a phantom with its organs in a headless Chromium.

PYTHONPATH=build/typing python -m tests.golden.make_viewer_picture docs/img/viewer.jpg
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from tests.browser import chromium, wait_for

from flare_trt.engine.apps.viewer.server import ViewerServer
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.results.viewer.page import page_resources
from flare_trt.engine.results.viewer.scene import read_scene
from flare_trt.engine.scans.nifti import write_ct, write_labels


def main(target: Path) -> None:
    """Write the picture as JPEG, which keeps it small and its colours true."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ct, labels = make_phantom(7, (110, 160, 160), (4.0, 2.4, 2.4), PhantomOptions(lesions=True))
        write_ct(folder / "phantom.nii.gz", ct)
        write_labels(folder / "labels.nii.gz", labels)
        paths = folder / "phantom.nii.gz", folder / "labels.nii.gz"
        with ViewerServer(page_resources(read_scene(*paths), *paths), print) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with chromium(folder / "profile") as browser:
                browser.get(server.url)
                body = browser.find_element("tag name", "body")
                wait_for(lambda: body.get_attribute("data-state") == "ready")
                shot = browser.get_screenshot_as_png()
            server.shutdown()
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").save(target, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
