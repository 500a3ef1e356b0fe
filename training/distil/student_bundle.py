"""Two students become a model bundle: averaged weights -> ONNX -> checked by both CPU backends -> bundle."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from flare_trt.engine.bundle_writer import write_bundle
from flare_trt.engine.errors import InputError
from flare_trt.engine.flare_labels import FLARE_LABELS
from flare_trt.engine.spec import SCHEMA, Check, FastSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.export.to_onnx import write_onnx
from flare_trt.export.verify import torch_reference, verify_graph, verify_logits
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.network import SeparableUNet, network_from_onnx
from flare_trt.training.distil.scans import ORIENTATION
from flare_trt.training.prepare.vouching import ORGANS

#: What a student may do faster: fewer overlaps, linear resampling.
FAST_STEP = {"coarse": 1.0, "fine": 0.75}


@dataclass(frozen=True)
class Student:
    """A configuration and a checkpoint of its run; without one, the teacher's own weights at the student's spacing."""

    config: DistilConfig
    checkpoint: Path | None


def write_student_bundle(coarse: Student, fine: Student, destination: Path) -> ModelSpec:
    """Export both, hold both CPU backends to torch, and bundle them.

    Raises ExportError where a backend's logits differ, InputError for a missing checkpoint.
    """
    spec = student_spec(coarse, fine)
    checks: tuple[Check, ...] = ()
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        files = {f"{name}.onnx": Path(temporary) / f"{name}.onnx" for name in ("coarse", "fine")}
        for student, file in zip((coarse, fine), files.values(), strict=True):
            network, stage = student_network(student), _stage(file.stem, student.config)
            write_onnx(network, student.config.patch_zyx, file)
            verify_graph(file, stage)
            checks += verify_logits(file, stage, torch_reference(network))
        provenance = replace(spec.provenance, exported_by=f"flare-trt {version('flare-trt')}", checks=checks)
        return write_bundle(replace(spec, provenance=provenance), files, destination)


def student_network(student: Student) -> SeparableUNet:
    """The student's averaged weights in evaluation mode."""
    if student.checkpoint is None:
        network = network_from_onnx(Path(student.config.teacher.onnx), student.config.network)
    else:
        if not student.checkpoint.exists():
            raise InputError(f"{student.checkpoint}: no such checkpoint; train the student first")
        network = SeparableUNet(student.config.network)
        network.load_state_dict(torch.load(student.checkpoint, weights_only=True)["averaged"])
    network.eval()
    return network


def student_spec(coarse: Student, fine: Student) -> ModelSpec:
    """What the bundle says of the pair."""
    source = "; ".join(f"{name}: {_origin(student)}" for name, student in (("coarse", coarse), ("fine", fine)))
    return ModelSpec(
        schema=SCHEMA,
        name="flare-trt-default",
        labels=tuple(label for label in FLARE_LABELS if label.value in ORGANS),
        fine=_stage("fine", fine.config),
        coarse=_stage("coarse", coarse.config),
        provenance=Provenance(source=source, licence="Apache-2.0"),
    )


def _origin(student: Student) -> str:
    start = "the weights of the FLARE25 teacher" if student.config.start_from_teacher else "random weights"
    if student.checkpoint is None:
        return f"{start}, unchanged"
    return f"{start}, distilled for {torch.load(student.checkpoint, weights_only=True)['step']} steps"


def _stage(name: str, config: DistilConfig) -> StageSpec:
    return StageSpec(
        networks=(NetworkFile(f"{name}.onnx"),),
        spacing_mm=config.spacing_mm,
        patch_zyx=config.patch_zyx,
        intensity=config.teacher.intensity,
        channel_values=tuple(range(config.network.channels)),
        orientation=ORIENTATION,
        separate_z=False,  # the students learn from images that are resampled along all axes at once
        fast=FastSpec(tile_step=FAST_STEP[name], image_order=1),
    )
