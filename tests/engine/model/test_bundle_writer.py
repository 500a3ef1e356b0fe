"""What a bundle is written as: checksums, the zip's entries, texts for people; and what stays where writing fails."""

from __future__ import annotations

import hashlib
import zipfile
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


def test_checksums_are_sha_256_of_the_files_whatever_the_spec_said(tmp_path: Path) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "tiny", coarse=True)) as opened:
        spec = opened.spec
    fine, coarse = tmp_path / "a.onnx", tmp_path / "b.onnx"
    fine.write_bytes((tmp_path / "tiny.source.onnx").read_bytes())
    coarse.write_bytes(fine.read_bytes() + b"\x32\x01x")  # a doc_string: another file, the same network
    written = write_bundle(spec, {"fine.onnx": fine, "coarse.onnx": coarse}, tmp_path / "new")
    assert written.coarse is not None
    found = [stage.networks[0].sha256 for stage in (written.fine, written.coarse)]
    assert found == [hashlib.sha256(file.read_bytes()).hexdigest() for file in (fine, coarse)]
    assert found[1] != found[0] == spec.fine.networks[0].sha256


def test_a_zip_is_stored_with_the_spec_first_and_no_date(tmp_path: Path) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "tiny")) as opened:
        write_bundle(opened.spec, {"fine.onnx": tmp_path / "tiny.source.onnx"}, tmp_path / "tiny.zip", {"A.md": "a"})
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["bundle.json", "A.md", "fine.onnx"]
    assert {(entry.compress_type, entry.date_time, entry.external_attr >> 16) for entry in entries} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o644)
    }


def test_a_folder_in_a_zip_s_place_is_refused(tmp_path: Path) -> None:
    with open_bundle(write_tiny_bundle(tmp_path / "tiny")) as opened:
        spec = opened.spec
    (tmp_path / "b.zip").mkdir()
    (tmp_path / "b.zip" / "mine").touch()
    with pytest.raises(OutputError, match=r"exists and is not a file, because the name ends in \.zip; choose another name"):
        write_bundle(spec, {"fine.onnx": tmp_path / "tiny.source.onnx"}, tmp_path / "b.zip")
    assert (tmp_path / "b.zip" / "mine").exists()


def test_a_rename_that_fails_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    with open_bundle(folder) as opened:
        spec = opened.spec
    (folder / "bundle.json").write_text(before := (folder / "bundle.json").read_text() + "\n")
    plain = Path.rename

    def full(path: Path, target: Path) -> Path:
        if path.name == "bundle":
            raise OSError("no space left")
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputError, match=r"tiny cannot be written: no space left"):
        write_bundle(spec, {"fine.onnx": tmp_path / "tiny.source.onnx"}, folder)
    assert (folder / "bundle.json").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny", "tiny.source.onnx"]
