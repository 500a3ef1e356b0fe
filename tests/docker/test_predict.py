"""The challenge's entry script, run without Docker: a stand-in for flare-trt is on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "predict.sh"
STAND_IN = """#!/bin/sh
echo "$@" >> calls
case "$2" in *bad*) exit 1 ;; esac
cp "$2" "$4"
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work space"
    for name in ("inputs", "outputs", "bin"):
        (folder / name).mkdir(parents=True)
    shutil.copy(SCRIPT, folder)
    stand_in = folder / "bin" / "flare-trt"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    return folder


def predict(workspace: Path, scans: tuple[str, ...], **environment: str) -> subprocess.CompletedProcess[str]:
    for scan in scans:
        (workspace / "inputs" / scan).write_text(f"voxels of {scan}")
    path = f"{workspace / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(workspace / "predict.sh")],
        env={**os.environ, "PATH": path, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_case_is_segmented_alone_and_named_without_its_channel(workspace: Path) -> None:
    done = predict(workspace, ("FLARETs_0001_0000.nii.gz", "b c_0000.nii.gz", "notes.txt"))
    assert done.returncode == 0
    assert sorted(path.name for path in (workspace / "outputs").iterdir()) == ["FLARETs_0001.nii.gz", "b c.nii.gz"]
    assert (workspace / "outputs" / "b c.nii.gz").read_text() == "voxels of b c_0000.nii.gz"
    first = "segment inputs/FLARETs_0001_0000.nii.gz -o outputs/FLARETs_0001.nii.gz --model bundle --mode fast"
    assert (workspace / "calls").read_text().splitlines()[0] == first
    assert len((workspace / "calls").read_text().splitlines()) == 2


def test_a_case_that_fails_leaves_the_others_and_is_said(workspace: Path) -> None:
    done = predict(workspace, ("a_0000.nii.gz", "bad_0000.nii.gz", "c_0000.nii.gz"))
    assert done.returncode == 1
    assert done.stderr == "predict.sh: bad failed\n"
    assert sorted(path.name for path in (workspace / "outputs").iterdir()) == ["a.nii.gz", "c.nii.gz"]


def test_no_case_is_an_error(workspace: Path) -> None:
    done = predict(workspace, ("a.nii.gz",))
    assert done.returncode == 1
    assert "no inputs/*_0000.nii.gz" in done.stderr
    assert not (workspace / "calls").exists()


def test_the_mode_can_be_chosen(workspace: Path) -> None:
    assert predict(workspace, ("a_0000.nii.gz",), FLARE_TRT_MODE="exact").returncode == 0
    assert (workspace / "calls").read_text().endswith("--mode exact\n")
