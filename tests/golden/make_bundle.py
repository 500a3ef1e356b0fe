"""Makes tests/golden/bundles/schemaN.zip, a bundle as the version of today writes it. Never run again for an old schema.

python -m tests.golden.make_bundle
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import SCHEMA, BarredBackend

BUNDLES = Path(__file__).parent / "bundles"

#: What schema 2 can say and schema 1 could not.
BARRED = BarredBackend("onnxruntime", "fine.onnx, noise: got 0.2, expected at most 0.1")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, open_bundle(write_tiny_bundle(Path(folder) / "tiny")) as tiny:
        spec = replace(
            tiny.spec,
            fine=replace(tiny.spec.fine, reader="NibabelIOWithReorient", orientation="SAR"),
            provenance=replace(tiny.spec.provenance, checked="quick", network_from="plans"),
            barred=(BARRED,),
        )
        BUNDLES.mkdir(exist_ok=True)
        write_bundle(spec, {"fine.onnx": tiny.folder / "fine.onnx"}, BUNDLES / f"schema{SCHEMA}.zip")
