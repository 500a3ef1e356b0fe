"""What each mode is, and that the table of modes is the one place that says so."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.sources import parsed, python_files, shown

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.modes import MODES
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import FastSpec


def test_exact_is_nnunet_and_fast_takes_the_box_s_own_tiles() -> None:
    exact, fast = RunOptions().settings, RunOptions(mode="fast").settings
    assert (exact.raster, exact.search, exact.uses_fast_spec) == ("scan", "scan", False)
    assert (fast.raster, fast.search, fast.uses_fast_spec) == ("box", "body", True)
    backends = ("openvino", "native", "onnxruntime", "tensorrt", "onnxruntime-tensorrt", "fake")
    assert [exact.precision_of(backend) for backend in backends] == ["fp32"] * 6
    assert [fast.precision_of(backend) for backend in backends] == ["bf16", "bf16", "fp32", "fp16", "fp32", "fp32"]


def test_half_is_exact_in_half_precision() -> None:
    exact, half = RunOptions().settings, RunOptions(mode="half").settings
    assert (half.raster, half.search, half.uses_fast_spec) == (exact.raster, exact.search, exact.uses_fast_spec)
    assert (half.precision_of("openvino"), half.precision_of("tensorrt")) == ("bf16", "fp16")


def test_only_the_table_asks_which_mode_it_is() -> None:
    asked = [
        f"{shown(path)}:{node.lineno}"
        for path in python_files("kernels", "engine", "export", "benchmarks")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and side.value in MODES
    ]
    assert asked == []


def test_the_retired_settings_of_older_bundles_are_read_past(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "b", fake_spec())
    document = json.loads((bundle / "bundle.json").read_text())
    document["fine"]["fast"] = {"tile_step": 0.75, "image_order": 1, "spacing_mm": None}
    (bundle / "bundle.json").write_text(json.dumps(document))
    with open_bundle(bundle) as opened:
        assert opened.spec.fine.fast == FastSpec()
    document["fine"]["fast"] = {"tile_stepp": 0.75}
    (bundle / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match="unknown key 'tile_stepp'"):
        open_bundle(bundle)
