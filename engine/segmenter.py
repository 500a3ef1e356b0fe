"""The door of the engine: open a bundle once, segment many scans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.backends.session import Session, open_session
from flare_trt.engine.bundle import Bundle, open_bundle
from flare_trt.engine.cascade import StageRun, find_roi, segment_roi, segment_stage
from flare_trt.engine.options import RunOptions, stage_as_run
from flare_trt.engine.placement import Placement, place
from flare_trt.engine.predict import Runner
from flare_trt.engine.report import RoiStory, RunReport
from flare_trt.engine.roi import whole_scan
from flare_trt.engine.spec import ModelSpec, StageSpec
from flare_trt.engine.stopwatch import Stopwatch
from flare_trt.engine.volume import Volume
from flare_trt.kernels import Kernels, load

#: Called with (stage "coarse" or "fine", tiles done, tiles in all).
StageProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Segmentation:
    """uint8 labels on the scan's own grid, and what happened."""

    labels: Volume
    report: RunReport


class Segmenter:
    """An open model. Networks are loaded once. Threads may share it: scans run one after another."""

    def __init__(self, bundle: Bundle, options: RunOptions, placement: Placement, kernels: Kernels) -> None:
        self.spec: ModelSpec = bundle.spec
        self.options, self.placement = options, placement
        self._kernels, self._bundle = kernels, bundle
        self._lock = threading.Lock()
        self._sessions = {
            name: _open_stage(bundle, stage, placement) for name, stage in _stages(bundle.spec).items() if stage is not None
        }

    @staticmethod
    def open(bundle_path: str | Path, options: RunOptions | None = None) -> Segmenter:
        """Open a bundle folder or zip. Raises BundleError, or DeviceError where what was asked for is not there."""
        options = options or RunOptions()
        placement = place(options)
        kernels = load(placement.kernels)
        bundle = open_bundle(Path(bundle_path))
        return Segmenter(bundle, options, placement, kernels)

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        """Segment one CT (HU on its grid, see volume.ct_volume). The labels lie on the same grid."""
        with self._lock:
            watch = Stopwatch()
            labels, story, tiles = self._run(ct, watch, progress or _silent)
        return Segmentation(Volume(labels, ct.grid), self._report(watch, story, tiles))

    def close(self) -> None:
        """Free the networks."""
        with self._lock:
            for sessions in self._sessions.values():
                for session in sessions:
                    session.close()
            self._bundle.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(
        self, ct: Volume, watch: Stopwatch, progress: StageProgress
    ) -> tuple[NDArray[np.uint8], RoiStory | None, dict[str, int]]:
        fine = self._stage_run("fine", self.spec.fine, watch, progress)
        if self.spec.coarse is None:
            labels = np.zeros(ct.grid.shape_zyx, np.uint8)
            tiles = segment_stage(fine, ct, whole_scan(ct.grid), labels)
            return labels, None, {"fine": tiles}
        coarse = self._stage_run("coarse", self.spec.coarse, watch, progress)
        located, coarse_tiles = find_roi(coarse, ct, self.spec)
        labels, story, fine_tiles = segment_roi(fine, ct, located, self.spec.label_names)
        return labels, story, {"coarse": coarse_tiles, "fine": fine_tiles}

    def _stage_run(self, name: str, stage: StageSpec, watch: Stopwatch, progress: StageProgress) -> StageRun:
        def report_tiles(done: int, total: int) -> None:
            progress(name, done, total)

        return StageRun(stage_as_run(stage, self.options), Runner(self._sessions[name], self._kernels, watch, report_tiles))

    def _report(self, watch: Stopwatch, story: RoiStory | None, tiles: dict[str, int]) -> RunReport:
        warnings = [self.placement.warning] if self.placement.warning else []
        if story is not None and story.decision != "roi":
            warnings.append(f"ROI {story.decision}: {'; '.join(story.findings)}")
        return RunReport(
            version=version("flare-trt"),
            model=self.spec.name,
            mode=self.options.mode,
            device=self.placement.device,
            device_reason=self.placement.reason,
            kernels=self.placement.kernels,
            backend=self.placement.backend,
            precision=self.placement.session.precision,
            stages={name: round(seconds, 4) for name, seconds in watch.seconds.items()},
            tiles=tiles,
            roi=story,
            warnings=tuple(warnings),
        )


def _stages(spec: ModelSpec) -> dict[str, StageSpec | None]:
    return {"coarse": spec.coarse, "fine": spec.fine}


def _open_stage(bundle: Bundle, stage: StageSpec, placement: Placement) -> Sequence[Session]:
    return [open_session(placement.backend, file, placement.session) for file in bundle.network_files(stage)]


def _silent(stage: str, done: int, total: int) -> None:
    """No progress is wanted."""
