"""`flare-trt segment`: label maps for one scan, several, or a folder of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console, organ_table, stage_table, where_it_ran
from flare_trt.engine.apps.cli.values import add_run_options, run_options, series_rules
from flare_trt.engine.batch.jobs import Destination, Job, is_finished, make_folders, plan_jobs
from flare_trt.engine.batch.overlap import Outcome, first_read_early, run_in_turn, run_overlapped
from flare_trt.engine.batch.scan_steps import Scan, SegmentsScans, ct_reader, job_reader, scan_steps
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.scans.dicom.choice import SeriesChoice
from flare_trt.engine.segmenter import Segmenter, StageProgress

CT_HELP = "a .nii or .nii.gz file, a folder of them, or a DICOM series (a folder or .zip); one or several"
OUT_HELP = (
    ".nii.gz, .nii or .dcm (DICOM-SEG) for one scan; a folder, or a name with {case}, {parent}, {study} or {series} in it, for any "
    "number"
)
PICK_HELP = "choose the series by rules, in order: thinnest, original-axial, soft-kernel, portal-venous, split by commas"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scans", nargs="+", type=Path, metavar="CT", help=CT_HELP)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help=OUT_HELP)
    parser.add_argument(
        "--model", type=Path, metavar="BUNDLE", help="a model bundle: a folder or a .zip; default: what comes with the package"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="what was found and how: .json or .html, or a folder for JSON")
    parser.add_argument("--preview", type=Path, metavar="PNG", help="pictures, a .png file for one scan, or a folder")
    parser.add_argument("--rtstruct", type=Path, metavar="DCM", help="contours too, a .dcm file for one DICOM scan, or a folder")
    parser.add_argument("--series", metavar="UID", help="the DICOM series to take, where a folder or zip holds several")
    parser.add_argument("--pick", type=series_rules, default=(), metavar="RULES", help=PICK_HELP)
    parser.add_argument("--resume", action="store_true", help="leave out scans whose results are there and whole")
    parser.add_argument("--ray", metavar="ADDRESS", help="use the workers of a Ray cluster: auto, or HOST:PORT of its head")
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment what the arguments name. Returns 0, or 1 where a scan failed."""
    destination = Destination(arguments.output, arguments.report, arguments.preview, arguments.rtstruct)
    jobs = plan_jobs(arguments.scans, destination, SeriesChoice(arguments.series, arguments.pick))
    console = Console()
    if arguments.resume:
        jobs = _unfinished(jobs, console)
        if not jobs:
            return 0
    make_folders(jobs)
    options = run_options(arguments)
    if arguments.ray is not None:
        return _on_cluster(jobs, arguments, options, console)
    # under a budget nothing is read early: the networks' own memory is measured while they are opened
    early = first_read_early(jobs, job_reader(ct_reader(None))) if options.max_memory_mb is None else nullcontext()
    with early as read, open_segmenter(arguments.model, options, console) as segmenter:
        return segment_jobs(jobs, segmenter, options, console, read)


def open_segmenter(model: Path | None, options: RunOptions, console: Console) -> Segmenter:
    """Open the named bundle, or the default model, and say which. Raises BundleError, DeviceError."""
    bundle = model or default_model()
    segmenter = Segmenter.open(bundle, options)
    console.line(f"model  {segmenter.spec.name} ({'the default model' if model is None else bundle})")
    return segmenter


def segment_jobs(
    jobs: Sequence[Job],
    segmenter: SegmentsScans,
    options: RunOptions,
    console: Console,
    read: Callable[[Job], Scan] | None = None,
) -> int:
    """Run the jobs and tell what became of each; one by one under a memory budget. Returns the exit code.

    `read` is given where the first scan's reading has begun already.
    """
    steps = scan_steps(segmenter, ct_reader(options.max_memory_mb), _progress_of(jobs, console))
    if read is not None:
        steps = replace(steps, read=read)
    teller = _Teller(console, len(jobs))
    run_jobs = run_overlapped if options.max_memory_mb is None else run_in_turn
    run_jobs(jobs, steps, teller.tell)
    return teller.sum_up()


def _on_cluster(jobs: Sequence[Job], arguments: argparse.Namespace, options: RunOptions, console: Console) -> int:
    from flare_trt.engine.apps.cluster.ray_pool import segment_on_ray

    teller = _Teller(console, len(jobs))
    segment_on_ray(jobs, arguments.ray, arguments.model, options, teller.tell)
    return teller.sum_up()


@dataclass
class _Teller:
    """Prints each outcome and counts the failures."""

    console: Console
    jobs: int
    failed: int = field(default=0, init=False)

    def tell(self, outcome: Outcome[Job, ScanReport]) -> None:
        if outcome.written is None:
            self.failed += 1
            self.console.complain(f"flare-trt: {outcome.job.scan.name} failed: {outcome.error or type(outcome.error).__name__}")
            return
        report = outcome.written
        for warning in report.warnings:
            self.console.complain(f"flare-trt: {outcome.job.scan.name}: {warning}")
        if self.jobs == 1:
            self.console.line(f"{where_it_ran(report)}\n\n{organ_table(report)}\n\n{stage_table(report)}\n")
        found = sum(organ.voxels > 0 for organ in report.organs)
        seconds = sum(report.run.stages.values())
        self.console.line(f"{outcome.job.labels}: {found} of {len(report.organs)} structures in {seconds:.1f} s")

    def sum_up(self) -> int:
        """Print the last line of a batch. Returns the exit code."""
        if self.jobs > 1:
            self.console.line(f"{self.jobs - self.failed} of {self.jobs} scans segmented, {self.failed} failed")
        return 1 if self.failed else 0


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
