"""`flare-trt view` prints an address that works, ends with Ctrl-C, and refuses bad files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.nifti_files import AXIAL, write_raw
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.cli import view as command
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.results.viewer.niivue import require_niivue


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    hu = np.random.default_rng(1).integers(-900, 900, (9, 11, 13)).astype("<i2")
    ct = write_raw(tmp_path / "ct.nii.gz", hu, AXIAL)
    return ct, write_raw(tmp_path / "seg.nii.gz", (hu > 0).astype("u1"), AXIAL)


def test_it_serves_until_it_is_interrupted(files: tuple[Path, Path], tmp_path: Path) -> None:
    try:
        require_niivue()
    except InputError as error:
        pytest.skip(str(error))
    bundle = write_tiny_bundle(tmp_path / "tiny")
    words = [sys.executable, "-m", "flare_trt.engine", "view", *map(str, files), "--no-browser", "--labels", str(bundle)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # a job in the background starts with interrupts ignored
    listening = {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL), "env": environment}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **listening) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32,}/", url)
        assert "Research software, not a medical device" in process.stdout.readline()
        with urllib.request.urlopen(f"{url}scene.json", timeout=30) as answer:  # noqa: S310  # our own server
            organs = json.load(answer)["organs"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert [organ["name"] for organ in organs] == ["liver", "spleen", "aorta"]
    assert [organ["place_ras_mm"] is None for organ in organs] == [False, True, True]
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("which", [0, 1])
def test_a_bad_file_is_told(
    files: tuple[Path, Path], which: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "require_niivue", lambda: b"")
    files[which].write_bytes(files[which].read_bytes()[:-20])
    assert main(["view", *map(str, files)]) == 1
    printed = capsys.readouterr()
    assert files[which].name in printed.err
    assert "copy it again" in printed.err
    assert printed.out == ""


def test_without_niivue_it_says_what_to_run(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flare_trt.engine.results.viewer import niivue

    monkeypatch.setattr(niivue, "FILE", tmp_path / "none.js")
    assert main(["view", *map(str, files)]) == 1
    assert "run 'make viewer' in a checkout" in capsys.readouterr().err
