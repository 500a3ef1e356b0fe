"""From ONNX files of any origin and a description of them to a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError, reason_of
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle_writer import require_replaceable, write_bundle
from flare_trt.engine.model.spec import SCHEMA, Check, ModelSpec
from flare_trt.export.calibrate import Calibration, without_int8
from flare_trt.export.verify import FULL, CheckPlan, session_reference, verify_graph, verify_logits


def export_onnx(
    networks: Sequence[Path], spec_file: Path, destination: Path, plan: CheckPlan = FULL, calibrate: Path | None = None
) -> ModelSpec:
    """Verify ONNX files and bundle them. Raises ExportError, BundleError, OutputError.

    `spec_file` is a bundle.json without checksums; it names the files by their last part. There is no torch network to compare
    with, so ONNX Runtime is compared with OpenVINO; where they differ, nothing says which is right, and nothing is written.
    `calibrate` is a folder of CTs that int8 networks are made on; without it there are none.
    """
    require_replaceable(destination)
    calibration = None if calibrate is None else Calibration(calibrate)
    try:
        text = spec_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{spec_file}: cannot be read: {reason_of(error)}; expected a bundle.json without checksums") from error
    spec = strict_json.parse(text, ModelSpec, spec_file.name)
    given = {path.name: path for path in networks}
    checks: tuple[Check, ...] = ()
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        files = {}
        for stage in [spec.fine] if spec.coarse is None else [spec.coarse, spec.fine]:
            for network in stage.networks:
                if network.file not in given:
                    raise ExportError(f"{spec_file.name}: names {network.file!r}, got the files {', '.join(sorted(given))}")
                files[network.file] = Path(temporary) / network.file
                _write_self_contained(given[network.file], files[network.file])
                verify_graph(files[network.file], stage)
                checks += verify_logits(files[network.file], stage, session_reference(files[network.file], "openvino"), plan).checks
        exported_by = f"flare-trt {VERSION}"
        provenance = replace(spec.provenance, exported_by=exported_by, checks=checks, checked=plan.depth)
        spec = replace(spec, schema=SCHEMA, provenance=provenance).with_stages(without_int8)
        if calibration is not None:
            spec, files = calibration.applied(spec, files, Path(temporary), plan.tell)
        return write_bundle(spec, files, destination)


def _write_self_contained(source: Path, target: Path) -> None:
    """Copy an ONNX file with its weights embedded and a free batch size fixed to 1."""
    import onnx

    try:
        model = onnx.load(str(source))
        for value in [*model.graph.input, *model.graph.output]:
            _fix_batch(value)
        del model.graph.value_info[:]  # shapes in between still have the free batch size; they are inferred anew
        onnx.save(onnx.shape_inference.infer_shapes(model), str(target))
    except Exception as error:  # onnx raises its own classes, protobuf's and OSError
        raise ExportError(f"{source}: cannot be read as ONNX: {reason_of(error)}") from error


def _fix_batch(value: Any) -> None:
    shape = value.type.tensor_type.shape
    if len(shape.dim) == 5 and not shape.dim[0].HasField("dim_value"):
        shape.dim[0].dim_value = 1
