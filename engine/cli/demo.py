"""`flare-trt demo`: one scan through the whole pipeline, with labels, report and picture to look at.

Without arguments it takes what is at hand: the default model, else the FLARE 2025 teacher network beside the checkout; the
example CT beside the checkout, else a synthetic phantom.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from flare_trt.engine import strict_json
from flare_trt.engine.bundle import SPEC_FILE
from flare_trt.engine.bundle_writer import write_bundle
from flare_trt.engine.cli.console import Console
from flare_trt.engine.cli.segment import segment_jobs
from flare_trt.engine.errors import InputError
from flare_trt.engine.jobs import Job, case_name, make_folders
from flare_trt.engine.nifti import write_ct
from flare_trt.engine.options import RunOptions
from flare_trt.engine.phantom import make_phantom
from flare_trt.engine.segmenter import Segmenter
from flare_trt.engine.spec import ModelSpec

_ENGINE = Path(__file__).resolve().parents[1]
_MODELS = _ENGINE / "models"
_TEACHER = "teacher_flare25"
#: A phantom of the abdomen: 500 x 384 x 384 mm.
_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM = 7, (200, 256, 256), (2.5, 1.5, 1.5)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scan", nargs="?", type=Path, metavar="CT", help="a .nii or .nii.gz file; default: an example")
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="a model bundle; default: what comes with the package")
    parser.add_argument("--output", type=Path, default=Path("out/demo"), metavar="DIR", help="default: out/demo")


def run(arguments: argparse.Namespace) -> int:
    """Segment the example and say where its results lie. Raises InputError where there is no model."""
    console = Console()
    output: Path = arguments.output
    make_folders([Job(output, output / "any")])
    model = arguments.model or _model_at_hand(output)
    scan = arguments.scan or _scan_at_hand(output, console)
    case = case_name(scan)
    job = Job(scan, output / f"{case}_labels.nii.gz", output / f"{case}_report.json", output / f"{case}_preview.png")
    console.line(f"scan   {scan}\nmodel  {model}\n")
    options = RunOptions()
    with Segmenter.open(model, options) as segmenter:
        code = segment_jobs([job], segmenter, options, console)
    if code == 0:
        console.line(f"report  {job.report}\npicture {job.preview}\nResearch software, not a medical device.")
    return code


def _shared_data() -> Path:
    """Example data beside the checkout, or where FLARE_TRT_SHARED says; may be absent."""
    return Path(os.environ.get("FLARE_TRT_SHARED", _ENGINE.parents[1] / "shared")) / "data"


def _model_at_hand(output: Path) -> Path:
    default = _MODELS / "default"
    if (default / SPEC_FILE).is_file():
        return default
    network = _shared_data() / _TEACHER / "exported_model.onnx"
    if not network.is_file():
        raise InputError(
            f"demo: this build brings no default model, and there is no example network at {network}; name a model and a scan: "
            "flare-trt demo CT --model BUNDLE (flare-trt export makes a bundle from an nnU-Net v2 folder)"
        )
    bundle = output / _TEACHER
    spec = strict_json.parse((_MODELS / f"{_TEACHER}.json").read_text(encoding="utf-8"), ModelSpec, f"{_TEACHER}.json")
    write_bundle(spec, {spec.fine.networks[0].file: network}, bundle)
    return bundle


def _scan_at_hand(output: Path, console: Console) -> Path:
    example = _shared_data() / "ts_example" / "ct.nii.gz"
    if example.is_file():
        return example
    console.line("There is no example CT beside the checkout: a synthetic phantom is segmented, whose figures mean nothing.")
    phantom = output / "phantom.nii.gz"
    write_ct(phantom, make_phantom(_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM)[0])
    return phantom
