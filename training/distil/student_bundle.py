"""Two students become a model bundle: averaged weights -> half-precision ONNX -> checked by both CPU backends -> bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.organs import ORGANS
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import FLARE_LABELS, SCHEMA, Check, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.export.half_weights import round_kernels, store_kernels_half
from flare_trt.export.to_onnx import write_onnx
from flare_trt.export.verify import torch_reference, verify_change, verify_graph, verify_logits
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.scans import ORIENTATION
from flare_trt.training.distil.student import Student

#: Tiles of the coarse stage lie side by side (paper, section 2.2).
TILE_STEP = {"coarse": 1.0, "fine": 0.5}
#: The repository and the wheel carry the networks.
MOST_BYTES = 2 << 20


def write_student_bundle(coarse: Student, fine: Student, destination: Path) -> ModelSpec:
    """Export both, hold both CPU backends to torch, and bundle them.

    Raises ExportError where a backend's logits differ or a file is too large, InputError for a missing checkpoint.
    """
    spec = student_spec(coarse, fine)
    checks: tuple[Check, ...] = ()
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        files = {f"{name}.onnx": Path(temporary) / f"{name}.onnx" for name in ("coarse", "fine")}
        for student, file in zip((coarse, fine), files.values(), strict=True):
            checks += export_student(student, file)
        provenance = replace(spec.provenance, exported_by=f"flare-trt {VERSION}", checks=checks)
        return write_bundle(replace(spec, provenance=provenance), files, destination)


def export_student(student: Student, file: Path) -> tuple[Check, ...]:
    """Write `file`, NAME.onnx, with kernels in half precision, and check it against torch. Raises ExportError."""
    return export_network(student.network, stage_of(file.stem, student.config), file, MOST_BYTES)


def export_network(build: Callable[[], Any], stage: StageSpec, file: Path, most_bytes: int) -> tuple[Check, ...]:
    """Write a torch network, as `build` makes it, with kernels in half precision, and check it. Raises ExportError."""
    network = build()
    round_kernels(network)
    write_onnx(network, stage.patch_zyx, file)
    store_kernels_half(file)
    if file.stat().st_size > most_bytes:
        raise ExportError(f"{file.name}: got {file.stat().st_size} bytes, expected at most {most_bytes}; train a smaller network")
    verify_graph(file, stage)
    rounding = verify_change(f"{file.name}, kernels rounded to half precision", build(), network, stage)
    verified = verify_logits(file, stage, torch_reference(network))
    if verified.barred:  # the default weights have to run on every backend
        raise ExportError(verified.barred[0].reason)
    return (rounding, *verified.checks)


def student_spec(coarse: Student, fine: Student) -> ModelSpec:
    """What the bundle says of the pair."""
    return ModelSpec(
        schema=SCHEMA,
        name="flare-trt-default",
        labels=tuple(label for label in FLARE_LABELS if label.value in ORGANS),
        fine=stage_of("fine", fine.config),
        coarse=stage_of("coarse", coarse.config),
        provenance=Provenance(source=f"coarse: {coarse.origin}; fine: {fine.origin}", licence="Apache-2.0"),
    )


def stage_of(name: str, config: DistilConfig) -> StageSpec:
    """The stage ("coarse" or "fine") of a network with this configuration."""
    return StageSpec(
        networks=(NetworkFile(f"{name}.onnx"),),
        spacing_mm=config.spacing_mm,
        patch_zyx=config.patch_zyx,
        intensity=config.teacher.intensity,
        channel_values=tuple(range(config.network.channels)),
        orientation=ORIENTATION,
        separate_z=False,  # the students learn from images that are resampled along all axes at once
        tile_step=TILE_STEP[name],
    )
