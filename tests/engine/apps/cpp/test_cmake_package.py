"""The CMake package: its version, what an installed copy holds, and the command that says where it lies."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

from tests.engine.apps.cpp.hosts import ROOT, environment

from flare_trt.engine.apps.cpp import cmake_dir, include_dir
from flare_trt.engine.model.options import RunOptions


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (cmake_dir() / "flare_trt-config-version.cmake").read_text(encoding="utf-8")
    assert re.findall(r'PACKAGE_VERSION "(.*)"', text) == [project["version"]]


def test_the_command_prints_the_folders() -> None:
    for option, folder, file in [
        ("--cmake-dir", cmake_dir(), "flare_trt-config.cmake"),
        ("--include-dir", include_dir(), "flare_trt.hpp"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "flare_trt.engine.apps.cpp", option],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert Path(done.stdout.strip()).samefile(folder)
        assert (folder / file).is_file()


def test_a_built_package_holds_the_header(tmp_path: Path) -> None:
    """What setuptools puts into a wheel, without building the kernels."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", tmp_path, "build_py", "-d", tmp_path / "lib"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    installed = tmp_path / "lib" / "flare_trt" / "engine" / "apps" / "cpp"
    sources = [path for path in (ROOT / "engine" / "apps" / "cpp").rglob("*") if path.suffix in (".hpp", ".cmake")]
    assert len(sources) >= 6
    assert [path for path in sources if not (installed / path.relative_to(ROOT / "engine" / "apps" / "cpp")).is_file()] == []


def test_options_mirror_the_engine_s() -> None:
    header = (include_dir() / "flare_trt.hpp").read_text(encoding="utf-8")
    (body,) = re.findall(r"struct Options \{\n(.*?)\};", header, re.DOTALL)
    mirrored = [field.name for field in fields(RunOptions) if field.name != "probabilities"]  # no probabilities come back to C++
    assert re.findall(r"(\w+)(?: = [^;]+)?;", body) == mirrored
