"""The door of the engine: open a bundle once, segment many scans."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import BundleError, InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.memory_left import obtainable_bytes
from flare_trt.engine.base.probabilities import Probabilities
from flare_trt.engine.base.run_report import RemovedPieces, RoiStory, RunReport
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.units import MB
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import Bundle, open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec, StageSpec
from flare_trt.engine.networks.device_choice import Placement, place
from flare_trt.engine.networks.native_.backend import fits as own_kernels_fit
from flare_trt.engine.networks.session import RunsPairs, Session, SessionOptions, open_session
from flare_trt.engine.passes.lesion_gates import Gating, gate_lesions
from flare_trt.engine.passes.postprocess import remove_pieces
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import storage_warning
from flare_trt.engine.roi.cascade import coarse_labels, locate_abdomen, segment_roi, segment_whole
from flare_trt.engine.roi.scan_run import ScanRun
from flare_trt.engine.scans.ct_checks import require_body_size
from flare_trt.engine.scans.from_array import ct_from_array
from flare_trt.kernels import Kernels, limit_threads, load

#: The least budget for two tiles at once, a voxel of the patch: twice what two tiles of a network of 32 channels take.
_PAIR_BYTES_A_VOXEL = 2000
#: Called with (stage "coarse" or "fine", tiles done, tiles in all).
StageProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Segmentation:
    """Labels on the scan's own grid, a NumPy array (a CuPy one where the scan was on a GPU), and what happened.

    They are uint8, or uint16 where the model has one above 255.

    `probabilities` where the options ask for them: one channel a class or region of the network that gives the labels.
    """

    labels: Volume
    report: RunReport
    probabilities: Probabilities | None = None


class Segmenter:
    """An open model. Networks are loaded once. Threads may share it: scans run one after another."""

    def __init__(self, bundle: Bundle, options: RunOptions, placement: Placement, kernels: Kernels) -> None:
        self.spec: ModelSpec = bundle.spec
        self.options, self.placement = options, placement
        self._kernels, self._bundle = kernels, bundle
        self._lock, self._closed = threading.Lock(), False
        as_run = bundle.spec.with_stages(options.stage_as_run)
        self._runs_int8 = any(stage.networks != bundle.spec.stages[name].networks for name, stage in as_run.stages.items())
        with kernels.active():
            idle = kernels.used_bytes() if options.max_memory_mb else 0
            session = replace(placement.session, pairs=placement.session.pairs and _has_room_for_pairs(bundle.spec, options))
            self._sessions = {name: _open_stage(bundle, stage, placement.backend, session) for name, stage in as_run.stages.items()}
            self._network_bytes = _warm_up(self._sessions, kernels, idle) if options.max_memory_mb else 0

    @staticmethod
    def open(bundle_path: str | Path, options: RunOptions | None = None) -> Segmenter:
        """Open a bundle folder or zip. Raises BundleError, or DeviceError where what was asked for is not there."""
        options = options or RunOptions()
        with ExitStack() as undo:
            bundle = undo.enter_context(open_bundle(Path(bundle_path)))
            barred = {barred.backend: barred.reason for barred in bundle.spec.barred}
            placement = place(options, barred, partial(_own_kernels_fit, bundle, options))
            kernels = load(placement.device if placement.kernels == "cuda" else placement.kernels)
            limit_threads(placement.kernels, options.threads)
            segmenter = Segmenter(bundle, options, placement, kernels)
            undo.pop_all()
        return segmenter

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        """Segment one CT (HU on its grid, see volume.ct_volume). The labels lie on the same grid.

        The story of one scan: plan, coarse labels, locate the abdomen, fine labels there, restore, report. Who calls this has read
        the scan (scans/open_scan) and writes the results (batch/scan_steps does both).

        `progress` may raise to stop between two tiles; the error passes through and the next scan is not harmed. Raises InputError
        for a grid larger than any body and for what is no Volume, BudgetError if the budget is too small, BundleError once closed.
        """
        self._require_open_and_scan(ct)
        require_body_size(ct.grid)
        watch, tiles = Stopwatch(), {}
        with self._lock, self._kernels.active():
            scan = self._plan(ct, watch, progress or _silent)
            if scan.coarse is None:
                fine = segment_whole(scan.fine, scan.search_box)
            elif self.spec.fine.previous is not None:
                first = segment_whole(scan.coarse, scan.search_box)
                tiles["coarse"] = first.tiles
                fine = segment_whole(scan.fine.behind(first.labels), scan.search_box)
                del first
            else:
                coarse = coarse_labels(scan.coarse, scan.search_box)
                located = locate_abdomen(scan.coarse, coarse, self.spec)
                tiles["coarse"] = coarse.tiles
                del coarse  # its memory is the fine stage's
                fine = segment_roi(scan.fine, located, self.spec.label_names)
            tiles["fine"] = fine.tiles
            removed, gating = self._postprocess(fine.labels, ct, watch)
            with watch.phase("restore"):
                bring = self._kernels.upload if ct.device == "cuda" else self._kernels.download  # to where the scan lies
                labels = Volume(bring(fine.labels), ct.grid, device=ct.device)
            report = self._report(watch, tiles, fine.roi, ct.grid)
            report = replace(report, postprocessing=removed, gated=gating.stopped, kept=gating.kept)
            probabilities = scan.fine.probabilities
            del fine, scan
            self._kernels.trim()
        return Segmentation(labels, report, probabilities)

    def _postprocess(self, labels: Any, ct: Volume, watch: Stopwatch) -> tuple[tuple[RemovedPieces, ...], Gating]:
        """Apply, in place, the bundle's rules and gates; nothing where it has none."""
        rules, gates, names = self.spec.postprocessing, self.spec.lesion_gates, self.spec.label_names
        if not rules and gates is None:
            return (), Gating()
        with watch.phase("postprocess"):
            removed = remove_pieces(labels, rules, names, ct.grid.spacing_mm, self._kernels)
            if gates is None:
                return removed, Gating()
            strong = self.spec.fine.strong_value
            return removed, gate_lesions(ct.array, labels, gates, strong, (names, ct.grid.spacing_mm), self._kernels)

    def segment_array(self, array: Any, grid: Grid, progress: StageProgress | None = None) -> Segmentation:
        """Segment HU (z, y, x) in memory: NumPy, CuPy, torch, DLPack or __cuda_array_interface__; see arrays.ct_from_array.

        A model of several channels takes (c, z, y, x).

        Labels come back where the array lies. On a GPU they are ready for work on CuPy's current stream.
        """
        return self.segment(ct_from_array(array, grid, self._kernels), progress)

    def close(self) -> None:
        """Free the networks; nothing can be segmented afterwards."""
        with self._lock:
            self._closed = True
            for sessions in self._sessions.values():
                for session in sessions:
                    session.close()
            self._bundle.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _require_open_and_scan(self, ct: Volume) -> None:
        if self._closed:
            raise BundleError(f"{self.spec.name}: the model has been closed, expected an open one; call Segmenter.open again")
        if not isinstance(ct, Volume):
            raise InputError(
                f"got a {type(ct).__name__}, expected a Volume (HU on a grid); give arrays to segment_array with their grid"
            )
        names = self.spec.input_names
        if len(ct.channels) != len(names):
            raise InputError(
                f"{self.spec.name}: got a scan of {len(ct.channels)} channels, expected {len(names)}: {', '.join(names)}; give "
                "each a file (case_0000.nii.gz, case_0001.nii.gz, ... or --channel NAME=FILE), or an array (c, z, y, x)"
            )

    def _budget_bytes(self, ct: Volume) -> int | None:
        """What is left for a pass: the budget without the networks and the scan, if that lies on the device that runs.

        With no budget given, what this process can still get on a CPU.
        """
        if self.options.max_memory_mb is None:
            return obtainable_bytes() if self.placement.device == "cpu" else None
        held = ct.held_bytes if self.placement.device.startswith(ct.device) else 0
        return self.options.max_memory_mb * MB - self._network_bytes - held

    def _plan(self, ct: Volume, watch: Stopwatch, progress: StageProgress) -> ScanRun:
        """All that is decided before the first tile, once: the budget, and each stage's largest pass."""
        runners = {
            name: Runner(sessions, self._kernels, watch, partial(progress, name)) for name, sessions in self._sessions.items()
        }
        return ScanRun.of(ct, self.spec, self.options, runners, self._budget_bytes(ct))

    def _report(self, watch: Stopwatch, tiles: dict[str, int], story: RoiStory | None, grid: Grid) -> RunReport:
        told = self.placement.warning, storage_warning(grid, self.spec.fine)
        warnings = [warning for warning in told if warning]
        if story is not None and story.decision != "roi":
            warnings.append(f"ROI {story.decision}: {'; '.join(story.findings)}")
        return RunReport(
            version=VERSION,
            model=self.spec.name,
            mode=self.options.mode,
            device=self.placement.device,
            device_reason=self.placement.reason,
            kernels=self.placement.kernels,
            backend=self.placement.backend,
            precision=f"{'int8 and ' if self._runs_int8 else ''}{self.placement.session.precision}",
            stages={name: round(seconds, 4) for name, seconds in watch.seconds.items()},
            tiles=tiles,
            roi=story,
            warnings=tuple(warnings),
            mirror=self.options.mirror,
            tile_step=self.options.tile_step,
        )


def _has_room_for_pairs(spec: ModelSpec, options: RunOptions) -> bool:
    """Whether the budget lets every stage run two tiles at once: the stages share it, so the largest decides for all."""
    largest = max(math.prod(stage.patch_zyx) for stage in spec.stages.values())
    return options.max_memory_mb is not None and options.max_memory_mb * MB >= _PAIR_BYTES_A_VOXEL * largest


def _own_kernels_fit(bundle: Bundle, options: RunOptions) -> bool:
    """Whether the kernels of networks/native_ know every network of the bundle as it is run."""
    stages = bundle.spec.with_stages(options.stage_as_run).stages.values()
    return all(own_kernels_fit(file) for stage in stages for file in bundle.network_files(stage))


def _open_stage(bundle: Bundle, stage: StageSpec, backend: str, options: SessionOptions) -> Sequence[Session]:
    sessions = []
    for file in bundle.network_files(stage):
        session = open_session(backend, file, options)
        got = (session.channels, session.input_shape[1:])
        expected = (len(stage.channel_values), (stage.input_channels, *stage.patch_zyx))
        if got != expected:
            raise BundleError(
                f"{file.name}: got a network of {got[0]} channels and input {got[1]}, bundle.json says {expected[0]} "
                f"(channel_values) and {expected[1]} (channels, previous, patch_zyx); export it again"
            )
        sessions.append(session)
    return sessions


def _warm_up(sessions: dict[str, Sequence[Session]], kernels: Kernels, idle_bytes: int) -> int:
    """Run each network once, so that it takes the memory it needs, and measure that."""
    for session in [session for stage in sessions.values() for session in stage]:
        tile = kernels.zeros(session.input_shape, np.float32)
        if isinstance(session, RunsPairs):
            session.run_together([tile, tile])
        else:
            session.run(tile)
    return max(0, kernels.used_bytes() - idle_bytes)


def _silent(stage: str, done: int, total: int) -> None:
    """No progress is wanted."""
