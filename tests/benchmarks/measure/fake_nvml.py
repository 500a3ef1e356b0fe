"""Builds fake_nvml.c and gives the environment in which pynvml loads it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def build_fake_nvml(folder: Path) -> dict[str, str]:
    """Compile the library into a folder; returns an environment that puts it before any real one."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for NVML")
    library = folder / "libnvidia-ml.so.1"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "FAKE_NVML_STATE": str(folder / "state")}
