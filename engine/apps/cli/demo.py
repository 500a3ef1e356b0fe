"""`flare-trt demo`: one scan through the whole pipeline, with labels, report and picture to look at.

Without arguments it needs nothing but the package: the default model segments a synthetic whole-body CT, in mode=fast.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.segment import open_segmenter, segment_jobs
from flare_trt.engine.apps.cli.teller import Teller
from flare_trt.engine.base.files import case_name
from flare_trt.engine.batch.jobs import Job, make_folders
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.nifti import write_ct

#: The phantom: a whole body, 1.75 m high.
_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM = 7, (350, 160, 220), (5.0, 2.5, 2.5)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scan", nargs="?", type=Path, metavar="CT", help="a .nii or .nii.gz file; default: a synthetic body")
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="a model bundle; default: what comes with the package")
    parser.add_argument("--output", type=Path, default=Path("out/demo"), metavar="DIR", help="default: out/demo")


def run(arguments: argparse.Namespace) -> int:
    """Segment the example and say where its results lie. Raises BundleError where there is no model."""
    console = Console()
    output: Path = arguments.output
    make_folders([Job(output, output / "any")])
    options = RunOptions(mode="fast")
    with open_segmenter(arguments.model, options, console) as segmenter:
        scan = arguments.scan or _phantom_scan(output, console)
        case = case_name(scan)
        job = Job(scan, output / f"{case}_labels.nii.gz", output / f"{case}_report.json", output / f"{case}_preview.png")
        console.line(f"scan   {scan}\n")
        code = segment_jobs([job], segmenter, options, Teller.of([job], console))
    if code == 0:
        console.line(f"report  {job.report}\npicture {job.preview}\nResearch software, not a medical device.")
    return code


def _phantom_scan(output: Path, console: Console) -> Path:
    console.line("No CT was named: a synthetic whole body is segmented. It is not anatomy, so its figures say nothing of patients.")
    phantom = output / "phantom.nii.gz"
    write_ct(phantom, make_phantom(_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM)[0])
    return phantom
