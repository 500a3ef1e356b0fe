"""One scan's run, made once before anything is computed: its stages, their memory and where they look first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.passes.class_rows import probabilities_of
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView, at_spacing_of
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.roi.body_box import body_box
from flare_trt.kernels import Box


@dataclass(frozen=True)
class ScanRun:
    """The stages over one scan; `search_box` is where the first of them looks, in voxels of the scan."""

    fine: StageRun
    coarse: StageRun | None
    search_box: Box

    @staticmethod
    def of(ct: Volume, spec: ModelSpec, options: RunOptions, runners: Mapping[str, Runner], budget_bytes: int | None) -> ScanRun:
        """Plan a scan; `runners` are what each stage of the bundle runs on, `budget_bytes` what one pass may take.

        Raises BudgetError where not even the whole scan could be segmented (the box of an ROI may have to grow to it), and
        OutputError where the disk has no room for probabilities.
        """
        runs = {}
        for name, stage in spec.stages.items():
            view = ScanView.of(ct, stage)
            as_run = at_spacing_of(view, options.stage_as_run(stage, name))
            kept = probabilities_of(view, as_run) if options.probabilities and name == "fine" else None
            runs[name] = StageRun(as_run, view, runners[name], options.settings.raster, budget_bytes, kept)
            _ = runs[name].whole
        search_box = body_box(ct) if options.settings.search == "body" and spec.takes_ct else ct.grid.whole
        return ScanRun(runs["fine"], runs.get("coarse"), search_box)
