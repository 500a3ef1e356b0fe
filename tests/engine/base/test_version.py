"""The version is told in one place beside pyproject.toml, and is that of the installed package."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

from flare_trt.engine.base.version import VERSION

ROOT = Path(__file__).resolve().parents[3]


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == version("flare-trt") == VERSION
