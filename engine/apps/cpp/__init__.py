"""The engine for C++ programs: where the header flare_trt.hpp and its CMake package lie.

`find_package(flare_trt)` finds the package with `-Dflare_trt_DIR="$(python -m flare_trt.engine.apps.cpp --cmake-dir)"`.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def cmake_dir() -> Path:
    """Folder of flare_trt-config.cmake."""
    return _HERE / "cmake"


def include_dir() -> Path:
    """Folder of flare_trt.hpp."""
    return _HERE / "include"
