"""`flare-trt segment`: label maps for one scan, several, or a folder of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.apps.cli.cohort_files import add_cohort_options, require_cohort_files, write_cohort_files
from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.teller import Teller
from flare_trt.engine.apps.cli.values import SCAN_FILE, TILT_HELP, add_run_options, run_options, series_rules
from flare_trt.engine.base.errors import FlareError, InputError
from flare_trt.engine.batch.case_numbers import LabelFiles, measured
from flare_trt.engine.batch.channel_files import named_channels, require_one_channel
from flare_trt.engine.batch.jobs import Destination, Job, is_finished, make_folders, plan_jobs, plan_named
from flare_trt.engine.batch.overlap import first_read_early, run_in_turn, run_overlapped
from flare_trt.engine.batch.scan_steps import Scan, SegmentsScans, ct_reader, job_reader, scan_steps
from flare_trt.engine.model.bundle import open_bundle, read_spec
from flare_trt.engine.model.default_model import MODEL_HELP, default_model, named_model
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.cohort import CaseNumbers
from flare_trt.engine.scans.dicom.choice import SeriesChoice

if TYPE_CHECKING:  # at run time they load while the first scan is read
    from flare_trt.engine.batch.ensemble import Ensemble
    from flare_trt.engine.segmenter import Segmenter, StageProgress

CT_HELP = f"{SCAN_FILE}, a folder of them, or a DICOM series (a folder or .zip); one or several"
OUT_HELP = (
    ".nii.gz, .nii, .nrrd, .mha or .dcm (DICOM-SEG) for one scan; a folder, or a name with {case}, {parent}, {study} or {series} "
    "in it, for any number"
)
CHANNEL_HELP = "one channel of the one scan, for models of several, in place of CT; once for each"
#: How long a thread of Python runs before another may.
_TURN_S = 0.0005
PICK_HELP = "choose the series by rules, in order: thinnest, original-axial, soft-kernel, portal-venous, separated by commas"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scans", nargs="*", type=Path, metavar="CT", help=CT_HELP)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help=OUT_HELP)
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--model", type=named_model, metavar="BUNDLE", help=MODEL_HELP)
    models.add_argument(
        "--ensemble", type=Path, nargs="+", metavar="BUNDLE", help="bundles of the same classes: their probabilities are averaged"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="report on each scan: a .json or .html file, or a folder for JSON"
    )
    parser.add_argument("--preview", type=Path, metavar="PNG", help="pictures, a .png file for one scan, or a folder")
    parser.add_argument(
        "--probabilities", type=Path, metavar="NPZ", help="those of all classes, as nnU-Net saves them: an .npz file, or a folder"
    )
    parser.add_argument("--rtstruct", type=Path, metavar="DCM", help="contours too, a .dcm file for one DICOM scan, or a folder")
    parser.add_argument("--sr", type=Path, metavar="DCM", help="a DICOM SR of what was measured, tied to the DICOM-SEG of -o")
    parser.add_argument(
        "--seg-type",
        choices=("binary", "labelmap"),
        default="binary",
        help="how a DICOM-SEG stores its segments; labelmap is smaller, and read by few viewers so far (%(default)s)",
    )
    parser.add_argument("--channel", action="append", default=[], metavar="NAME=FILE", help=CHANNEL_HELP)
    parser.add_argument("--series", metavar="UID", help="the DICOM series to take, where a folder or zip holds several")
    parser.add_argument("--pick", type=series_rules, default=(), metavar="RULES", help=PICK_HELP)
    add_cohort_options(parser)
    parser.add_argument("--acquisition", type=int, metavar="N", help="the acquisition (phase) to take, if a series holds several")
    parser.add_argument("--correct-tilt", action="store_true", help=TILT_HELP)
    parser.add_argument("--resume", action="store_true", help="skip scans whose results are complete")
    parser.add_argument("--ray", metavar="ADDRESS", help="use the workers of a Ray cluster: auto, or HOST:PORT of its head")
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment what the arguments name. Returns 0, or 1 where a scan failed."""
    require_cohort_files(arguments)
    destination = Destination(
        arguments.output,
        arguments.report,
        arguments.preview,
        arguments.rtstruct,
        arguments.sr,
        arguments.seg_type,
        arguments.hash_uids,
        arguments.probabilities,
    )
    planned = _planned(arguments, destination)
    console = Console()
    jobs = _unfinished(planned, console) if arguments.resume else planned
    teller = Teller.of(planned, console)
    code = _segment(jobs, arguments, teller) if jobs else 0
    if arguments.csv is not None or arguments.summary is not None:
        teller.cases += _finished_cases([job for job in planned if job not in jobs], arguments, teller)
        write_cohort_files(teller.cases, arguments, console)
    return code


def _planned(arguments: argparse.Namespace, destination: Destination) -> tuple[Job, ...]:
    model: Path | None = arguments.ensemble[0] if arguments.ensemble else arguments.model
    channels = read_spec(model).input_names if model is not None and model.exists() else ("CT",)  # opening one complains
    choice = SeriesChoice(arguments.series, arguments.pick, arguments.acquisition, arguments.correct_tilt)
    if bool(arguments.channel) == bool(arguments.scans):
        raise InputError("segment: expected scans, or --channel NAME=FILE for each channel of one scan, and not both")
    if arguments.scans:
        return plan_jobs(arguments.scans, destination, choice, channels)
    return plan_named(named_channels(arguments.channel, channels), destination, choice)


def _segment(jobs: Sequence[Job], arguments: argparse.Namespace, teller: Teller) -> int:
    teller.jobs = len(jobs)
    make_folders(jobs)
    options = replace(run_options(arguments), probabilities=arguments.probabilities is not None)
    if arguments.ray is not None:
        if arguments.ensemble:
            raise InputError("--ray runs one bundle on each worker, got --ensemble; leave one of them out")
        return _on_cluster(jobs, arguments, options, teller)
    read_whole = job_reader(ct_reader(options))
    early = nullcontext() if options.one_step_at_a_time else first_read_early(jobs, read_whole)
    with early as read, _short_turns(), _opened(arguments, options, teller.console) as segmenter:
        return segment_jobs(jobs, segmenter, options, teller, read)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Python's threads take turns every 0.5 ms, not 5: the one that unpacks the first scan would wait that long, after each part of
    it, for the one that loads modules and networks (0.1 s of a large scan)."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


def _finished_cases(jobs: Sequence[Job], arguments: argparse.Namespace, teller: Teller) -> list[CaseNumbers]:
    """The rows of scans that an earlier run has finished, measured on what it wrote."""
    if not jobs:
        return []
    with open_bundle(arguments.ensemble[0] if arguments.ensemble else arguments.model or default_model()) as bundle:
        spec = bundle.spec
    read, cases = ct_reader(run_options(arguments)), []
    for job in jobs:
        files = LabelFiles(job.labels, names=spec.looked_for, model=spec.name)
        case = teller.names[job.scan]
        try:
            cases.append(measured(case, job.open(), read, files, job.hash_uids))
        except FlareError as error:
            cases.append(CaseNumbers(case, error=str(error)))
    return cases


def _opened(arguments: argparse.Namespace, options: RunOptions, console: Console) -> Segmenter | Ensemble:
    if not arguments.ensemble:
        return open_segmenter(arguments.model, options, console)
    from flare_trt.engine.batch.ensemble import Ensemble

    ensemble = Ensemble(arguments.ensemble, options)
    console.line(f"models {ensemble.spec.name}")
    return ensemble


def open_segmenter(model: Path | None, options: RunOptions, console: Console) -> Segmenter:
    """Open the named bundle, or the default model, and say which. Raises BundleError, DeviceError."""
    from flare_trt.engine.segmenter import Segmenter

    bundle = model or default_model()
    segmenter = Segmenter.open(bundle, options)
    console.line(f"model  {segmenter.spec.name} ({'the default model' if model is None else bundle})")
    return segmenter


def open_for_one_channel(model: Path | None, options: RunOptions, console: Console, command: str) -> Segmenter:
    """As `open_segmenter`, for a command whose scans have one channel. Raises InputError for a model of several, too."""
    require_one_channel(read_spec(model or default_model()), command)
    return open_segmenter(model, options, console)


def segment_jobs(
    jobs: Sequence[Job],
    segmenter: SegmentsScans,
    options: RunOptions,
    teller: Teller,
    read: Callable[[Job], Scan] | None = None,
) -> int:
    """Run the jobs and tell what became of each; one by one under a memory budget or with one thread. Returns the exit code.

    `read` is given where the first scan's reading has begun already.
    """
    reader = ct_reader(options, len(segmenter.spec.input_names))
    steps = scan_steps(segmenter, reader, _progress_of(jobs, teller.console))
    if read is not None:
        steps = replace(steps, read=read)
    run_jobs = run_in_turn if options.one_step_at_a_time else run_overlapped
    run_jobs(jobs, steps, teller.tell)
    return teller.sum_up()


def _on_cluster(jobs: Sequence[Job], arguments: argparse.Namespace, options: RunOptions, teller: Teller) -> int:
    from flare_trt.engine.apps.cluster.ray_pool import segment_on_ray

    segment_on_ray(jobs, arguments.ray, arguments.model, options, teller.tell)
    return teller.sum_up()


def _unfinished(jobs: Sequence[Job], console: Console) -> tuple[Job, ...]:
    left = tuple(job for job in jobs if not is_finished(job))
    console.line(f"{len(jobs) - len(left)} of {len(jobs)} scans are finished already")
    return left


def _progress_of(jobs: Sequence[Job], console: Console) -> Callable[[Job], StageProgress]:
    place = {job: number for number, job in enumerate(jobs, 1)}

    def progress_of(job: Job) -> StageProgress:
        def progress(stage: str, done: int, total: int) -> None:
            console.progress(f"{place[job]}/{len(jobs)} {job.scan.name} {stage}", done, total)

        return progress

    return progress_of
