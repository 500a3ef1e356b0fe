"""The default weights as they are shipped: two students' bundle, measured by the engine, with its model card."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flare_trt.engine.model.bundle import named_networks
from flare_trt.engine.model.bundle_writer import require_replaceable, write_bundle
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.training.distil.bundle_figures import measure_bundle
from flare_trt.training.distil.model_card import CARD_FILE, data_sources, model_card
from flare_trt.training.distil.student import Student
from flare_trt.training.distil.student_bundle import write_student_bundle


def write_default_model(coarse: Student, fine: Student, destination: Path, threads: int = 1) -> ModelSpec:
    """Write bundle and card to a folder or a .zip. Measures on the fine student's validation CTs, which takes minutes.

    Raises ExportError where a backend's logits differ or a file is too large, InputError for a missing checkpoint or source.
    """
    require_replaceable(destination, (CARD_FILE,))
    sources = data_sources((coarse.config, fine.config))
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        bundle = Path(temporary) / "bundle"
        spec = write_student_bundle(coarse, fine, bundle)
        files = {network.file: bundle / network.file for _, network in named_networks(spec)}
        figures = measure_bundle(bundle, fine.config.data, threads)
        sizes = {name: file.stat().st_size for name, file in files.items()}
        card = model_card(spec, {"coarse": coarse, "fine": fine}, sources, figures, sizes)
        return write_bundle(spec, files, destination, {CARD_FILE: card})
