"""Builds and runs C++ programs that use the header, and says why a machine cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from flare_trt.engine.apps.cpp import cmake_dir

ROOT = Path(__file__).resolve().parents[4]
LINK = ROOT / "build" / "typing"  # `make typing` makes it


def require_build_tools() -> None:
    """Skip, with a word, where a C++ program with Python inside cannot be built."""
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    library = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("LDLIBRARY"))
    if not library.is_file():
        pytest.skip(f"this Python has no library to link a program with ({library.name})")


def environment() -> dict[str, str]:
    """Of a host program: its Python finds the checkout, installed or not."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(LINK), str(ROOT)])}


def build(source: Path, folder: Path, *settings: str) -> Path:
    """Configure and build a CMake project in `folder`; skips where CMake says that ITK is missing."""
    require_build_tools()
    configure = ["cmake", "-S", source, "-B", folder, f"-Dflare_trt_DIR={cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"]
    done = subprocess.run([*configure, *settings], env=environment(), capture_output=True, text=True, check=False)
    if "FindITK.cmake" in done.stderr or "ITKConfig.cmake" in done.stderr:
        pytest.skip("ITK 5 is not on this machine (Debian's libinsighttoolkit5-dev)")
    assert done.returncode == 0, done.stderr
    made = subprocess.run(
        ["cmake", "--build", folder, "--parallel", "2"], env=environment(), capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a host program, whatever it returns."""
    environ = {**environment(), **variables}
    return subprocess.run([str(word) for word in words], env=environ, capture_output=True, text=True, check=False, timeout=300)
