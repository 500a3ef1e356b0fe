"""A bundle of each schema there has been still opens, means the same and gives the same labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import LABELS

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import SCHEMA
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Intensity

BUNDLES = Path(__file__).resolve().parents[2] / "golden" / "bundles"
#: SHA-256 of the file, which must never be written again.
KEPT = {
    1: "bbf1cc713a124696aa308cea30063379b29cc5e843cb225d8e07801756279d5b",
    2: "f58bad5ad0fde5c05ccd49ec0d0bc0347e24ca197de254a26347e3d6ddab7ab4",
}


def test_every_schema_has_its_bundle() -> None:
    assert sorted(path.name for path in BUNDLES.glob("*.zip")) == [f"schema{number}.zip" for number in range(1, SCHEMA + 1)]


@pytest.mark.parametrize("schema", KEPT)
def test_yesterdays_bundle_opens_and_segments(schema: int) -> None:
    file = BUNDLES / f"schema{schema}.zip"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == KEPT[schema]
    ramp = np.linspace(-300, 405, 15 * 21 * 19).reshape(15, 21, 19).astype(np.int16)
    with Segmenter.open(file, RunOptions(device="cpu", threads=1)) as segmenter:
        assert segmenter.spec.schema == schema
        assert segmenter.spec.labels == LABELS
        assert segmenter.spec.fine.intensity == Intensity(-200.0, 300.0, 40.0, 120.0)
        found = segmenter.segment(Volume(ramp, Grid(ramp.shape, (3.0, 2.0, 2.0)))).labels.array
    steps = np.bincount(found.ravel(), minlength=4).tolist()
    assert np.all(np.diff(found.ravel().astype(int)) >= 0)  # the network bands the intensities
    assert [abs(count - expected) < 60 for count, expected in zip(steps, COUNTS, strict=True)] == [True] * 4


def test_schema_2_bars_a_backend_and_names_the_reader() -> None:
    file = BUNDLES / "schema2.zip"
    with Segmenter.open(file, RunOptions(device="cpu", threads=1)) as segmenter:
        assert segmenter.placement.backend == "openvino"
        assert (segmenter.spec.fine.reader, segmenter.spec.fine.orientation) == ("NibabelIOWithReorient", "SAR")
        assert (segmenter.spec.provenance.checked, segmenter.spec.provenance.network_from) == ("quick", "plans")
    with pytest.raises(
        DeviceError, match=r"backend onnxruntime: barred by this bundle: .* got 0.2, expected at most 0.1; use openvino"
    ):
        Segmenter.open(file, RunOptions(device="cpu", backend="onnxruntime"))


#: Bands of the normalised intensity at -1, 0 and 1 (-80, 40 and 160 HU) of the ramp.
COUNTS = [1867, 1019, 1019, 2080]
