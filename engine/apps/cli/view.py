"""`flare-trt view`: a scan and its labels in the browser, served to this machine alone until Ctrl-C."""

from __future__ import annotations

import argparse
import webbrowser
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.values import SCAN_FILE, TILT_HELP
from flare_trt.engine.apps.viewer.from_dicom import ViewFiles, as_nifti
from flare_trt.engine.apps.viewer.server import ViewerServer
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.viewer.niivue import require_niivue
from flare_trt.engine.results.viewer.page import page_resources
from flare_trt.engine.results.viewer.scene import read_scene
from flare_trt.engine.scans.dicom.choice import SeriesChoice


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("ct", type=Path, metavar="CT", help=f"{SCAN_FILE}, or a DICOM series (a folder or .zip)")
    parser.add_argument("labels", type=Path, metavar="SEG", help="its label map or DICOM-SEG, on the same grid")
    parser.add_argument(
        "--labels",
        dest="bundle",
        type=Path,
        metavar="BUNDLE",
        help="the model that made the labels: its names, colours and classes; default: FLARE's",
    )
    parser.add_argument("--series", metavar="UID", help="the DICOM series to take, where a folder or zip holds several")
    parser.add_argument("--correct-tilt", action="store_true", help=TILT_HELP)
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted. Raises InputError for a bad file, or where niivue is missing."""
    console = Console()
    require_niivue()
    with TemporaryDirectory(prefix="flare-trt-view-") as folder:
        choice = SeriesChoice(arguments.series, correct_tilt=arguments.correct_tilt)
        return _serve(as_nifti(arguments.ct, arguments.labels, Path(folder), choice), arguments, console)


def _serve(files: ViewFiles, arguments: argparse.Namespace, console: Console) -> int:
    scene = read_scene(files.ct, files.labels, _model(arguments.bundle), files.names)
    resources = page_resources(scene, files.ct, files.labels)
    with ViewerServer(resources, lambda words: console.complain(f"flare-trt: {words}")) as server:
        console.line(f"{server.url}\nOnly this machine can open it. Ctrl-C ends it. Research software, not a medical device.")
        if not arguments.no_browser:
            webbrowser.open(server.url)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _model(bundle: Path | None) -> ModelSpec | None:
    if bundle is None:
        return None
    with open_bundle(bundle) as opened:
        return opened.spec
