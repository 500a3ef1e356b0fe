"""int8 forms of a bundle's networks for mode fast, calibrated on CTs and kept where the labels stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import Check, ModelSpec, NetworkFile, StageSpec
from flare_trt.engine.networks.device_choice import Placement, place
from flare_trt.export.calibration_scans import calibration_scans, patches_of
from flare_trt.export.int8_gate import Judge, Tell, write_int8_form
from flare_trt.export.int8_onnx import require_quantiser
from flare_trt.export.verify import verify_graph

_AS_FAST = RunOptions(mode="fast", device="cpu")


def without_int8(stage: StageSpec, _: str) -> StageSpec:
    """The stage without int8 networks, for `ModelSpec.with_stages`."""
    return replace(stage, fast=replace(stage.fast, networks=None))


class Calibration:
    """The CTs of a folder. Raises ExportError at once where there are none, one is no CT, or a package is missing."""

    def __init__(self, folder: Path) -> None:
        require_quantiser()
        self._scans = calibration_scans(folder)

    def applied(self, spec: ModelSpec, files: Mapping[str, Path], folder: Path, tell: Tell) -> tuple[ModelSpec, dict[str, Path]]:
        """The bundle with int8 networks among its fast settings, and all its files; new ones lie in `folder`. Raises ExportError.

        A network without an int8 form runs in mode fast as before, and `provenance.int8` says why.
        """
        if not spec.takes_ct or len(spec.input_names) != 1:
            raise ExportError(
                f"--calibrate: got a model of {', '.join(spec.input_names)}, expected one of a CT alone; leave it out"
            )
        placement = place(_AS_FAST, {bar.backend: bar.reason for bar in spec.barred})
        work = _Work(self._scans, spec.label_names, placement, dict(files), folder, tell)
        changed = spec.with_stages(work.with_forms)
        source = spec.provenance
        return replace(
            changed, provenance=replace(source, checks=(*source.checks, *work.checks), int8=tuple(work.lines))
        ), work.files


@dataclass
class _Work:
    """One bundle's calibration: what it works on, and what has come of it so far."""

    scans: list[Path]
    names: Mapping[int, str]
    placement: Placement
    files: dict[str, Path]
    folder: Path
    tell: Tell
    checks: list[Check] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def with_forms(self, stage: StageSpec, name: str) -> StageSpec:
        """The stage with int8 networks among its fast settings; one that has none stays itself."""
        stage = without_int8(stage, name)
        if stage.previous is not None:
            self.lines.append(f"{name}: no int8: it sees the labels of another network")
            return stage
        as_fast = _AS_FAST.stage_as_run(stage, name)
        patches = patches_of(self.scans, as_fast, self.tell)
        found = []
        for network in stage.networks:
            target = self.folder / f"{network.file.removesuffix('.onnx')}.int8.onnx"
            self.tell(f"{network.file}: calibrated on {len(patches.calibration)} patches, compared on {len(patches.held_out)}")
            judge = Judge(self.files[network.file], as_fast, patches, self.placement)
            form = write_int8_form(self.files[network.file], target, judge, self.tell)
            self.lines.append(f"{network.file}: {form.told(stage, self.names)}")
            if form.exists:
                verify_graph(target, stage)
                self.files[target.name] = target
                self.checks.append(form.check(target.name, stage, self.names))
            found.append(NetworkFile(target.name) if form.exists else network)
        return replace(stage, fast=replace(stage.fast, networks=None if tuple(found) == stage.networks else tuple(found)))
