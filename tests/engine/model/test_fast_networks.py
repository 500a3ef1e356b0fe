"""A bundle's int8 networks for mode fast: held and checked as the exact ones, and taken by that mode alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.model.test_bundle import network, spec, stage

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import FastSpec, NetworkFile


@pytest.mark.parametrize("name", ["model", "model.zip"])
def test_networks_of_mode_fast_are_held_and_checked_as_the_others(name: str, tmp_path: Path) -> None:
    """Here the second fold has no form of its own: its exact network stands in its place."""
    files = {file: network(tmp_path / file, weight) for file, weight in (("a.onnx", 1.5), ("b.onnx", 2.5), ("c.onnx", 3.5))}
    exact = spec("fine_0.onnx", "fine_1.onnx")
    named = FastSpec(networks=(NetworkFile("fine_0.int8.onnx"), NetworkFile("fine_1.onnx")))
    held = {"fine_0.onnx": files["a.onnx"], "fine_1.onnx": files["b.onnx"], "fine_0.int8.onnx": files["c.onnx"]}
    written = write_bundle(replace(exact, fine=replace(exact.fine, fast=named)), held, tmp_path / name)
    with open_bundle(tmp_path / name) as bundle:
        assert bundle.spec == written
        fast = RunOptions(mode="fast").stage_as_run(bundle.spec.fine, "fine")
        assert [path.name for path in bundle.network_files(fast)] == ["fine_0.int8.onnx", "fine_1.onnx"]
        assert bundle.network_files(fast)[0].read_bytes() == files["c.onnx"].read_bytes()
        assert [path.name for path in bundle.network_files(bundle.spec.fine)] == ["fine_0.onnx", "fine_1.onnx"]
    if name == "model":
        network(tmp_path / name / "fine_0.int8.onnx", 9.5)
        with pytest.raises(BundleError, match=r"bundle.json: fine.fast.networks\[0\].sha256: got"):
            open_bundle(tmp_path / name)


def test_mode_fast_needs_a_network_for_each_fold() -> None:
    fine = stage("fine_0.onnx", "fine_1.onnx")
    with pytest.raises(BundleError, match=r"fast\.networks: got 1, expected one a fold, 2"):
        replace(fine, fast=FastSpec(networks=(NetworkFile("fine_0.int8.onnx"),)))
