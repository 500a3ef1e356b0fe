"""Readers and checkers of other projects, for what is written in DICOM; where one is not installed its tests are skipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """A program of Debian (dicom3tools, plastimatch) or of this environment (dcmqi). Skips the test where it is missing."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install dicom3tools plastimatch, pip install dcmqi)")
    return found


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error in a file: against the definition of its kind of object."""
    done = subprocess.run([tool("dciodvfy"), path], capture_output=True, text=True, errors="replace", check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert said
    return sorted({line for line in said if line.startswith("Error")})


def disagreements(paths: list[Path]) -> list[str]:
    """What dcentvfy calls an error between files: patient, study, series and frame of reference have to agree."""
    done = subprocess.run([tool("dcentvfy"), *paths], capture_output=True, text=True, errors="replace", check=False)
    return sorted({line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")})
