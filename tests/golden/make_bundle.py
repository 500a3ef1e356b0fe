"""Makes tests/golden/bundles/schema1.zip, a bundle as the version of today writes it. Never run again for an old schema.

python -m tests.golden.make_bundle
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.model.spec import SCHEMA

BUNDLES = Path(__file__).parent / "bundles"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        written = write_tiny_bundle(Path(folder) / "tiny.zip")
        BUNDLES.mkdir(exist_ok=True)
        shutil.copyfile(written, BUNDLES / f"schema{SCHEMA}.zip")
