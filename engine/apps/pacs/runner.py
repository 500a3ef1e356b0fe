"""One study from images to results: the rules choose the series, the model runs, DICOM-SEG, SR and RTSTRUCT are written."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.apps.pacs.anonymous import told_problem
from flare_trt.engine.apps.pacs.metrics import Metrics, RunOutcome
from flare_trt.engine.apps.pacs.study_queue import MOST_ATTEMPTS, Study, StudyQueue
from flare_trt.engine.base.errors import InputError, without_frames
from flare_trt.engine.base.files import sync_folder
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import SCAN_ERRORS
from flare_trt.engine.batch.scan_steps import SegmentsScans, ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.dicom.stable import SegType
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice
from flare_trt.engine.segmenter import StageProgress

_LOG = logging.getLogger(__name__)
#: Results that can be sent, by the names of their files.
RESULTS = ("seg", "sr", "rtstruct")
#: Seconds before another attempt at a run that failed.
_PAUSE_S = 30.0


class DroppedError(Exception):
    """The study was dropped while it ran."""


class StoppedError(Exception):
    """The worker stops: for `progress` to raise between two tiles."""


@dataclass(frozen=True)
class Making:
    """What is made of each study: which results are sent, how the DICOM-SEG stores its segments, which series is taken."""

    results: tuple[str, ...] = RESULTS
    seg_type: SegType = "binary"
    choice: SeriesChoice = ONLY_SERIES


class Runner:
    """Runs studies of a queue, one at a time a call; `at_once` threads may share one."""

    def __init__(self, queue: StudyQueue, segmenter: SegmentsScans, options: RunOptions, making: Making, metrics: Metrics) -> None:
        """`options` are those that the segmenter was opened with."""
        self._queue, self._segmenter, self._making, self._metrics = queue, segmenter, making, metrics
        self._read = ct_reader(options)
        self.at_once = 1 if options.one_step_at_a_time else 2

    def run(self, study: Study, progress: StageProgress) -> None:
        """Run a study that was taken, and note what became of it. `progress` may raise StoppedError; then it waits again."""
        start_s = time.monotonic()
        outcome = self._outcome(study, progress)
        seconds = time.monotonic() - start_s
        self._metrics.run(outcome, seconds)
        if outcome == "segmented":
            _LOG.info("job %d: segmented in %.1f s", study.job, seconds)

    def _outcome(self, study: Study, progress: StageProgress) -> RunOutcome:
        try:
            self._make(study, progress)
        except StoppedError:
            self._queue.give_back(study.job)
            return "stopped"
        except DroppedError:
            shutil.rmtree(study.folder, ignore_errors=True)
            _LOG.info("job %d: dropped", study.job)
            return "dropped"
        except SCAN_ERRORS as error:
            return self._failed(study, without_frames(error))
        self._queue.finish_run(study.job)
        return "segmented"

    def files(self, study: Study) -> list[Path]:
        """The results of a study that are to be sent."""
        return [study.results / f"{name}.dcm" for name in self._making.results]

    def _make(self, study: Study, progress: StageProgress) -> None:
        def on_tile(stage: str, done: int, total: int) -> None:
            progress(stage, done, total)
            self._require_wanted(study)

        self._require_wanted(study)
        study.results.mkdir(exist_ok=True)
        job = self._job(study)
        steps = scan_steps(self._segmenter, self._read, lambda job: on_tile)
        scan = steps.read(job)
        found = steps.segment(job, scan)
        steps.write(job, scan, found)
        for folder in (study.results, study.folder):  # before the queue says that they are to be sent
            sync_folder(folder)

    def _job(self, study: Study) -> Job:
        sr, rtstruct = (study.results / f"{name}.dcm" if name in self._making.results else None for name in ("sr", "rtstruct"))
        return Job(
            study.images,
            study.results / "seg.dcm",
            study.results / "report.json",
            rtstruct=rtstruct,
            sr=sr,
            seg_type=self._making.seg_type,
            choice=self._making.choice,
            hash_uids=True,
        )

    def _failed(self, study: Study, error: BaseException) -> RunOutcome:
        problem = told_problem(error, study.folder)
        if not self._queue.has(study.job):
            shutil.rmtree(study.folder, ignore_errors=True)
            return "dropped"
        if isinstance(error, InputError):
            _LOG.warning("job %d: refused: %s", study.job, problem)
            self._queue.move(study, "refused", problem)
            return "refused"
        if study.attempts < MOST_ATTEMPTS:
            _LOG.warning("job %d: attempt %d of %d failed: %s", study.job, study.attempts, MOST_ATTEMPTS, problem)
            self._queue.move(study, "waiting", problem, time.time() + _PAUSE_S)
        else:
            _LOG.error("job %d: failed: %s", study.job, problem)
            self._queue.move(study, "failed", problem)
        return "failed"

    def _require_wanted(self, study: Study) -> None:
        if not self._queue.has(study.job):
            raise DroppedError
