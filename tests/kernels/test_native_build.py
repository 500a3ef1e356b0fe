"""setup.py on a machine without a compiler: the install goes on and says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_a_compiler_the_build_goes_on(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path)
    for folder in ("kernels", "engine", "export", "benchmarks", "training"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    compilers = {"CC": "no-such-compiler", "CXX": "no-such-compiler"}
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **compilers}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "flare-trt: the native kernels were not built" in done.stderr
    assert "install a C++17 compiler" in done.stderr
    assert not list(tmp_path.rglob("*.so"))
