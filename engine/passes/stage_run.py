"""One stage over one scan: what runs on what, within how many bytes, and the pass that each box comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from flare_trt.engine.base.probabilities import Probabilities
from flare_trt.engine.model.modes import Raster
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.class_rows import ClassRows
from flare_trt.engine.passes.input_planes import ImageSource
from flare_trt.engine.passes.pass_memory import Footprint, choose_layout
from flare_trt.engine.passes.pass_plan import PassPlan, plan_pass
from flare_trt.engine.passes.predict import LabelSink, Pass, Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box
from flare_trt.kernels.contract import Array


@dataclass(frozen=True)
class StageRun:
    """A stage as it is run over its view of a scan; `budget_bytes` is what a pass may take (None: as much as is quickest).

    `probabilities` are filled beside the labels, None where they are not wanted.
    """

    stage: StageSpec
    view: ScanView
    runner: Runner
    raster: Raster = "scan"
    budget_bytes: int | None = None
    probabilities: Probabilities | None = None

    @cached_property
    def whole(self) -> Pass:
        """The pass over the whole view, the largest there is. Raises BudgetError."""
        return self.laid_out(plan_pass(self.stage, self.view, self.view.whole, self.raster))

    def pass_over(self, box: Box) -> Pass:
        """The pass over a box of the view. Raises BudgetError."""
        return self.whole if box == self.view.whole else self.laid_out(plan_pass(self.stage, self.view, box, self.raster))

    def laid_out(self, plan: PassPlan) -> Pass:
        """A pass of this plan in the quickest layout that fits. Raises BudgetError."""
        layout = choose_layout(plan, self.footprint, self.budget_bytes).layout
        return Pass(self.stage, self.image, plan, layout)

    @cached_property
    def image(self) -> ImageSource:
        """What every pass reads."""
        with self.runner.watch.phase("preprocess"):
            return ImageSource.of(self.view, self.stage.inputs, self.runner.kernels, self.stage.previous)

    def behind(self, labels: Array) -> StageRun:
        """This run with the labels of the stage before, on the scan; what was measured of the scan is kept where it stays."""
        run = replace(self)
        with self.runner.watch.phase("preprocess"):  # a cached value, set before it is asked for
            vars(run)["image"] = self.image.behind(labels, self.stage.inputs, self.runner.kernels)
        return run

    @cached_property
    def footprint(self) -> Footprint:
        """What every pass takes memory for."""
        sessions, inputs = self.runner.sessions, self.stage.inputs
        return Footprint(
            folds=len(sessions),
            inputs=len(inputs),
            channels=sessions[0].channels,
            scan_voxels=self.view.ct.grid.voxels,
            source_itemsize=max(channel.array.dtype.itemsize for channel in self.view.ct.channels),
            mirrored=bool(self.stage.mirror_axes),
            masked=any(channel.masked for channel in inputs) or self.stage.previous is not None,
            label_bytes=self.stage.label_dtype.itemsize,
            label_inputs=0 if self.stage.previous is None else len(self.stage.previous.values),
            keeps_probabilities=self.probabilities is not None,
        )

    def sink(self, plan: PassPlan, kept: Box) -> LabelSink:
        """Labels of the plan's target, and the probabilities of a box in it, in voxels of the view."""
        if self.probabilities is None:
            return LabelSink.source(plan)
        return LabelSink.source(plan, ClassRows(self.probabilities, kept, plan.target.start_zyx, self.stage.half_logits))

    def tiles(self, work: Pass) -> int:
        """Forward passes of a pass over all folds."""
        return work.tile_count * len(self.runner.sessions)
