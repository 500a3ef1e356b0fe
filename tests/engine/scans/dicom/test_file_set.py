"""Zips that are hostile, damaged or too large are refused before they are read; folders are bounded."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom import file_set
from flare_trt.engine.scans.dicom.file_set import FolderFiles, ZipFiles, open_files
from flare_trt.engine.scans.dicom.series import find_series


def make_zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"leads out of it.*do not trust it"):
        open_files(make_zip(tmp_path / "x.zip", **{name: b"x"}))
    assert list(tmp_path.iterdir()) == [tmp_path / "x.zip"]


def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip(tmp_path / "x.zip", a=bytes(5000), b=bytes(5000))
    monkeypatch.setattr(file_set, "MAX_ZIP_BYTES", 9999)
    with pytest.raises(InputError, match="claims 10000 bytes uncompressed, more than the limit"):
        open_files(path)
    monkeypatch.setattr(file_set, "MAX_ZIP_BYTES", 10000)
    monkeypatch.setattr(file_set, "MAX_MEMBER_BYTES", 4999)
    with pytest.raises(InputError, match="a file in the zip claims 5000 bytes uncompressed, more than the limit"):
        open_files(path)
    monkeypatch.setattr(file_set, "MAX_FILES", 1)
    with pytest.raises(InputError, match="holds 2 files, more than the limit of 1"):
        open_files(path)
    (tmp_path / "y").touch()
    with pytest.raises(InputError, match="holds more than 1 files"):
        open_files(tmp_path)


def test_a_member_that_inflates_beyond_its_claim(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", a=bytes(1 << 20))
    raw = path.read_bytes()
    path.write_bytes(raw.replace((1 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    files = ZipFiles(path)
    with pytest.raises(OSError, match="the zip is damaged"), files.open(0):
        pass


def test_damaged_and_encrypted(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", a=b"hello" * 50)
    raw = path.read_bytes()
    for content in (b"", b"PK", raw[: len(raw) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a zip that can be read"):
            open_files(path)
    at = raw.index(b"PK\x01\x02") + 8
    path.write_bytes(raw[:at] + b"\x01" + raw[at + 1 :])
    with pytest.raises(InputError, match="is encrypted"):
        open_files(path)


def test_a_folder_by_number(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "loop").symlink_to(tmp_path)
    files = open_files(tmp_path)
    read = []
    for number in range(len(files)):
        with files.open(number) as file:
            read.append(file.read())
    assert read == [b"a", b"b/1", b"b/2"]


@pytest.mark.parametrize("target", ["nowhere", "slice"])
def test_a_link_to_nothing_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "slice").symlink_to(target)
    for read in (open_files, find_series):
        with pytest.raises(InputError, match="holds a link to a file that is not there; fetch that file or remove the link"):
            read(tmp_path)


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    """A pipe without a writer would be waited for; a read of /dev/zero would not end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "linked").symlink_to("pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    assert len(open_files(tmp_path)) == 0
    (tmp_path / "zlinked").symlink_to(__file__)
    assert len(open_files(tmp_path)) == 1
    with pytest.raises(InputError, match="and no DICOM"):
        find_series(tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setattr(file_set, "BoundedFile", lambda file: (tmp_path / "gone").open("rb"))
    with pytest.raises(
        InputError, match=r"file 1 of 1 \(in name order\) cannot be opened or read \(No such file or directory\); give access"
    ):
        find_series(tmp_path)


def test_a_read_of_more_than_a_file_holds_takes_no_room_for_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(200)))
    files = FolderFiles(tmp_path)
    with files.open(0) as stream:
        stream.read(10)
        tracemalloc.start()
        try:
            assert stream.read(1 << 30) == bytes(range(10, 200))
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
        assert stream.read(1 << 30) == b""


def test_a_member_without_a_name_is_read_like_any_other(tmp_path: Path) -> None:
    """Found by guided fuzzing: zipfile's own is_dir() fails on it."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"hello")
    files = open_files(path)
    with files.open(0) as file:
        assert (len(files), file.read()) == (1, b"hello")


def test_a_zip_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """Found by guided fuzzing."""
    path = make_zip(tmp_path / "x.zip", a=b"hello")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 6] = 255  # version needed, of the directory
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"not a zip that can be read \(NotImplementedError\)"):
        open_files(path)
