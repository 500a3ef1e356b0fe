"""What faults are injected into: small scans, a fake bundle, and the command as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.nifti_files import Forms, affine, write_raw

from flare_trt.engine.scans.image_files import read_labels

ROOT = Path(__file__).resolve().parents[2]
_PLACE = Forms(sform=affine(np.diag([-1, -1, 1]), (2.0, 2.1, 3.0), (50, 60, 70)), sform_code=1)


def make_scans(folder: Path, count: int, shape: tuple[int, int, int] = (21, 31, 29)) -> Path:
    """A folder of CT-like scans case00.nii.gz, case01.nii.gz, ..."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        hu = random.normal(0, 150, shape)
        hu[:, :5] = -1000
        write_raw(folder / f"case{number:02}.nii.gz", hu.astype("<i2"), _PLACE)
    return folder


def make_bundle(folder: Path, patch_zyx: tuple[int, int, int] = (16, 24, 20)) -> Path:
    """A bundle for `--backend fake`; a large scan takes large patches, or thousands of tiles."""
    spec = fake_spec()
    return fake_bundle(folder, replace(spec, fine=replace(spec.fine, patch_zyx=patch_zyx)))


def command(*words: str | Path) -> subprocess.Popen[str]:
    """`flare-trt segment ... --backend fake` as a process."""
    line = "import sys; from flare_trt.engine.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    fixed = ("--device", "cpu", "--backend", "fake", "--threads", "1")
    return subprocess.Popen(
        [sys.executable, "-c", line, "segment", *map(str, words), *fixed],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build" / "typing"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Label files of a folder that are whole: name -> (time of writing in ns, bytes). Raises where one is not."""
    found = {}
    for path in sorted(folder.glob("[!.]*.nii.gz")):
        read_labels(path)
        found[path.name] = path.stat().st_mtime_ns, path.read_bytes()
    return found


def temporary(folder: Path) -> list[str]:
    """Names of half-written files."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".part"))
