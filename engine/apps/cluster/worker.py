"""What runs on a device of a cluster: one process that opens the model once and takes one scan after another."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import FlareError, ServiceError
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import Outcome, Steps, run_in_turn
from flare_trt.engine.batch.scan_steps import Scan, ct_reader, scan_steps
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.segmenter import Segmentation, Segmenter


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker needs alike. Paths hold on every node; relative ones start at `working_folder`.

    `bundle` None is the model that comes with the package. `folders` are those that scans are read from and results are
    written to; `program` is the version of flare-trt.
    """

    bundle: Path | None
    options: RunOptions
    working_folder: Path
    folders: tuple[Path, ...]
    program: str


class ScanWorker:
    """Lives in a process of its own. Several threads may call `run`: they read and write while one of them segments."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._steps: Steps[Job, Scan, Segmentation, ScanReport] | None = None

    def open(self) -> FlareError | None:
        """Open the model. Returns why this worker cannot be used, or None."""
        try:
            self._require_same_place()
            segmenter = Segmenter.open(self._setup.bundle or default_model(), self._setup.options)
        except FlareError as error:
            return error
        reader = ct_reader(self._setup.options, len(segmenter.spec.input_names))
        self._steps = scan_steps(segmenter, reader, lambda job: None)
        return None

    def run(self, job: Job) -> Outcome[Job, ScanReport]:
        """Read, segment and write one scan. Call `open` first."""
        if self._steps is None:
            raise RuntimeError("the worker has not been opened")
        outcomes: list[Outcome[Job, ScanReport]] = []
        run_in_turn((job,), self._steps, outcomes.append)
        return outcomes[0]

    def _require_same_place(self) -> None:
        """Check that this node has what the others have; without it every scan would fail here, and fast."""
        node, setup = socket.gethostname(), self._setup
        if setup.program != VERSION:
            raise ServiceError(f"node {node}: got flare-trt {VERSION}, expected {setup.program}; install that there")
        missing = [folder for folder in (setup.working_folder, *setup.folders) if not (setup.working_folder / folder).is_dir()]
        if missing:
            raise ServiceError(
                f"node {node}: the folder {missing[0]} is not there; keep scans and results where every node sees them"
            )
        os.chdir(setup.working_folder)
