"""What is no file is refused before it is opened: to open a pipe without a writer, or to read a device, would not end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.scans.dicom.dicomdir import described_folder
from flare_trt.engine.scans.dicom.seg_reader import read_segmentation
from flare_trt.engine.scans.dicom.series import find_series
from flare_trt.engine.scans.image_files import read_ct, read_labels


@pytest.fixture(autouse=True)
def no_waiting_for_ever() -> Iterator[None]:
    """Fails a test that is still opening its pipe after a minute."""

    def too_long(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


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
    ("read", "name"),
    [(read_ct, "ct.nii.gz"), (read_ct, "ct.nii"), (read_labels, "l.nii"), (read_ct, "ct.mha"), (find_series, "study.zip")],
)
def test_each_reader_refuses_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, read, name: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    other = make_other(Path(name), kind)
    with pytest.raises(InputError, match=f"^{name}: got {kind}, expected a file, which .*; save it to a file and name that"):
        read(other)


@pytest.mark.parametrize("name", ["ct.nii.gz", "study.zip"])
def test_the_command_refuses_a_pipe(tmp_path: Path, name: str) -> None:
    """In a process of its own, which can be ended: a thread that waits for a pipe cannot."""
    scan, out = make_other(tmp_path / name, "a pipe"), tmp_path / "out" / "labels.nii.gz"
    bundle = fake_bundle(tmp_path / "bundle", fake_spec())
    words = ["segment", scan, "-o", out, "--model", bundle, "--device", "cpu", "--backend", "fake"]
    command = [sys.executable, "-m", "flare_trt.engine", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert done.stderr.count("got a pipe, expected a file") == 1
    assert done.stderr.count(str(scan)) == 1
    assert not out.exists()


@pytest.mark.parametrize("read", [read_ct, read_labels, find_series, described_folder, read_segmentation])
@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "study.zip"])
def test_what_is_not_there_is_named_once(tmp_path: Path, read: Callable[[Path], object], name: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: cannot be read: No such file or directory"


def test_files_and_links_to_them_pass(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        require_regular(tmp_path / name)
