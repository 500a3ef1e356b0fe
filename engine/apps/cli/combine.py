"""`flare-trt combine`: several models on one scan, merged into one label map."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.values import SCAN_FILE, add_run_options, run_options
from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import has_ending, require_place, write_json
from flare_trt.engine.batch.combine import combine, combined_names
from flare_trt.engine.batch.scan_steps import ct_reader
from flare_trt.engine.scans.ct_checks import ct_warnings
from flare_trt.engine.scans.image_files import ENDINGS, ending_of, write_labels
from flare_trt.engine.scans.label_source import read_names
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import varied
from flare_trt.engine.segmenter import StageProgress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scan", type=Path, metavar="CT", help=f"{SCAN_FILE}, or a DICOM series (a folder or .zip)")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help=".nii.gz, .nii, .nrrd or .mha to write, with .json beside"
    )
    parser.add_argument("--models", required=True, nargs="+", type=Path, metavar="BUNDLE", help="in order: later ones paint over")
    parser.add_argument(
        "--labels", type=Path, metavar="NAMES", help="JSON of {value: name} for the merged map; default: numbered as they come"
    )
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment and write. Raises FlareError."""
    out: Path = arguments.output
    if not has_ending(out, ENDINGS):
        raise OutputError(f"{out}: expected a name that ends in {' or '.join(ENDINGS)}")
    named = out.with_name(out.name[: -len(ending_of(out))] + ".json")
    for path in (out, named):
        require_place(path)
    wanted = None if arguments.labels is None else read_names(arguments.labels)
    names, options, console = combined_names(arguments.models, wanted), run_options(arguments), Console()
    source = open_scan(arguments.scan)
    ct = varied(ct_reader(options)(source), source)

    def progress(model: str) -> StageProgress:
        return lambda stage, done, total: console.progress(f"{model}, {stage}", done, total)

    found = combine(ct, arguments.models, names, options, progress)
    for warning in (*source.warnings, *ct_warnings(ct), *found.warnings):
        console.complain(f"flare-trt: {arguments.scan.name}: {warning}")
    write_labels(out, found.labels, source)
    write_json(named, {str(value): name for value, name in sorted(found.names.items())})
    console.line(f"wrote {out} and {named.name}: {len(found.names)} labels of {len(arguments.models)} models")
    return 0
