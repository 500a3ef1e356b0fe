"""Texts for people beside a bundle's networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle


def test_texts_are_written_with_the_networks_and_replaced_with_them(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    network = tmp_path / "tiny.source.onnx"
    with open_bundle(folder) as opened:
        spec = opened.spec
    (folder / "CARD.md").write_text("mine")
    with pytest.raises(OutputError, match=r"also holds CARD\.md"):
        write_bundle(spec, {"fine.onnx": network}, folder)
    write_bundle(spec, {"fine.onnx": network}, folder, {"CARD.md": "a card"})
    assert (folder / "CARD.md").read_text() == "a card"
    assert sorted(path.name for path in folder.iterdir()) == ["CARD.md", "bundle.json", "fine.onnx"]
    open_bundle(folder).close()


def test_a_zip_holds_them_too(tmp_path: Path) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "tiny")) as opened:
        write_bundle(opened.spec, {"fine.onnx": tmp_path / "tiny.source.onnx"}, tmp_path / "tiny.zip", {"CARD.md": "a card"})
    with open_bundle(tmp_path / "tiny.zip") as opened:
        assert [path.name for path in opened.folder.iterdir()] == ["fine.onnx"], "nobody reads it but people"
