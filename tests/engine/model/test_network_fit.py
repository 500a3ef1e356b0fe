"""A network that is not the one that bundle.json describes is refused when the bundle is opened, not in the middle of a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter


@pytest.mark.parametrize("change", [{"channel_values": (0, 1, 2, 3)}, {"patch_zyx": (16, 24, 21)}])
def test_a_network_of_another_shape(tmp_path: Path, change: dict[str, tuple[int, ...]]) -> None:
    bundle = fake_bundle(tmp_path / "fake", fake_spec())
    with open_bundle(bundle) as opened:
        spec = replace(opened.spec, fine=replace(opened.spec.fine, **change))  # type: ignore[arg-type]
    (bundle / "bundle.json").write_text(strict_json.dump(spec))
    with pytest.raises(BundleError, match=r"fine\.onnx: got a network of 5 channels and input \(1, 16, 24, 20\), bundle.json says"):
        Segmenter.open(bundle, RunOptions(device="cpu", backend="fake"))
