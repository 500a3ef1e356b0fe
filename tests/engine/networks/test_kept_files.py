"""Where made networks are kept, and the format of a file there; damaged files are in the tests of both caches."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from flare_trt.engine.networks.kept_files import cache_folder, read_kept, write_kept


def test_the_folder_follows_xdg_and_else_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder("openvino") == tmp_path / "x" / "flare-trt" / "openvino"
    at_home = tmp_path / "home" / ".cache" / "flare-trt" / "tensorrt"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder("tensorrt") == at_home
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("tensorrt") == at_home


def test_a_file_is_a_line_of_json_and_the_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, key, content = tmp_path / "a" / "n.blob", {"gpu": "sm86", "driver": 1}, b"two\nlines\n\x00"
    assert read_kept(file, key) is None
    assert write_kept(file, key, content) == file
    head, _, rest = file.read_bytes().partition(b"\n")
    assert json.loads(head) == {"key": key, "sha256": hashlib.sha256(content).hexdigest()}
    assert rest == content
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert read_kept(file, key) == content
    assert caplog.text == ""
    assert read_kept(file, {"gpu": "sm90", "driver": 1}) is None
    assert "it was built for {'driver': 1, 'gpu': 'sm86'}, expected {'gpu': 'sm90', 'driver': 1}" in caplog.text
