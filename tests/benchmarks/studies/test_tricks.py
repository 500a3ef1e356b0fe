"""Bundles with one trick each, and the table of what a trick saves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec

from flare_trt.benchmarks.studies.tricks import write_variants
from flare_trt.benchmarks.studies.tricks_cli import tricks_table
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import FastSpec, NetworkFile


def test_each_variant_holds_one_trick(tmp_path: Path) -> None:
    model = fake_spec(coarse=True)
    assert model.coarse is not None
    exact = {"tile_step": 0.5, "image_order": 3}
    model = replace(model, coarse=replace(model.coarse, **exact), fine=replace(model.fine, **exact))  # type: ignore[arg-type]
    assert model.coarse is not None
    variants = write_variants(fake_bundle(tmp_path / "model", model), tmp_path / "variants")
    for name, path in variants.items():
        with open_bundle(path) as opened:
            spec = opened.spec
        assert spec.coarse is not None
        pairs = ((spec.coarse, model.coarse), (spec.fine, model.fine))
        changed = [found for found, was in pairs if (found.tile_step, found.image_order) != (was.tile_step, was.image_order)]
        assert len(changed) == (0 if name == "body box, the box's own tiles" else 1)
    assert "coarse: tile step 1" in variants


def test_a_model_of_one_stage_has_no_coarse_tricks(tmp_path: Path) -> None:
    variants = write_variants(fake_bundle(tmp_path / "model", fake_spec(coarse=False)), tmp_path / "variants")
    assert not [name for name in variants if name.startswith("coarse")]


def test_int8_networks_are_no_part_of_a_trick(tmp_path: Path) -> None:
    network = fake_bundle(tmp_path / "exact", fake_spec()) / "fine.onnx"
    model = fake_spec()
    model = replace(model, fine=replace(model.fine, fast=FastSpec(networks=(NetworkFile("fine.int8.onnx"),))))
    write_bundle(model, {"fine.onnx": network, "fine.int8.onnx": network}, tmp_path / "model")
    variants = write_variants(tmp_path / "model", tmp_path / "variants")
    assert variants
    assert {file.name for path in variants.values() for file in path.iterdir()} == {"bundle.json", "fine.onnx"}


def test_a_zip_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"")
    with pytest.raises(InputError, match="unzip it first"):
        write_variants(tmp_path / "model.zip", tmp_path / "variants")


def test_the_table_tells_times_as_shares_of_exact() -> None:
    row: dict[str, Any] = {"name": "exact", "problem": None, "wall_s": 20.0, "cpu_s": 30.0, "tiles": {"fine": 8}}
    row |= {"dice_to_exact": 1.0, "equal_to_exact": 1.0, "others_share": 0.0}
    table = tricks_table([row, row | {"name": "half", "wall_s": 10.0, "dice_to_exact": 0.995}, {"name": "none", "problem": "x"}])
    assert [line.split("|")[3].strip() for line in table.splitlines()[2:]] == ["100", "50", "-"]
    assert "-, 8" in table
    assert "0.9950" in table
