"""What is no file is refused before it is opened: to open a pipe without a writer, or to read a device, would not end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from flare_trt.engine.cli import main
from flare_trt.engine.dicom.series import find_series
from flare_trt.engine.errors import InputError
from flare_trt.engine.nifti import read_ct, read_labels
from flare_trt.engine.regular_file import require_regular
from tests.engine.fake_bundle import fake_bundle, fake_spec


def make_other(path: Path, kind: str) -> Path:
    """A pipe, a socket or a device, or a link to one."""
    if kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path)
    return path


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device"])
@pytest.mark.parametrize(
    ("read", "name"), [(read_ct, "ct.nii.gz"), (read_ct, "ct.nii"), (read_labels, "l.nii"), (find_series, "study.zip")]
)
def test_each_reader_refuses_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, read, name: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    other = make_other(Path(name), kind)
    with pytest.raises(InputError, match=f"{name}: got {kind}, expected a file, which .*; save it to a file and name that"):
        read(other)


@pytest.mark.parametrize("name", ["ct.nii.gz", "study.zip"])
def test_the_commands_refuse_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    scan, out = make_other(tmp_path / name, "a pipe"), tmp_path / "out"
    bundle = fake_bundle(tmp_path / "bundle", fake_spec())
    words = ["segment", str(scan), "-o", str(out / "labels.nii.gz"), "--model", str(bundle), "--device", "cpu", "--backend", "fake"]
    assert main(words) == 1
    assert f"{name}: got a pipe, expected a file" in capsys.readouterr().err
    assert not (out / "labels.nii.gz").exists()


def test_files_and_links_to_them_pass(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        require_regular(tmp_path / name)
