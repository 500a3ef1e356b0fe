"""Builds the CUDA sources with g++ through the shim, once for each text and set of flags, under build/shim."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.fakes.nvrtc import toolkit

from flare_trt.kernels.cuda.loader import source_names

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(__file__).with_name("shim")
KERNELS = ROOT / "kernels" / "cuda"

#: The rounding of each operation is kept as it is written; two builds in one process share no variables.
COMMON = ("-std=c++20", "-ffp-contract=off", "-fno-gnu-unique", "-g", "-pthread")
LIBRARY = (*COMMON, "-O2", "-fPIC", "-shared")
ADDRESS = (*COMMON, "-O1", "-fPIC", "-shared", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
RACE = (*COMMON, "-O1", "-fsanitize=thread")


def build(program: str, flags: tuple[str, ...], changed: Mapping[str, str] | None = None) -> Path:
    """Compile a .cpp of the shim over all CUDA sources. `changed` replaces files of kernels/cuda by name, to seed a fault."""
    texts = {path.name: path.read_text() for path in sorted([*KERNELS.glob("*.cu*"), *SHIM.glob("*")])}
    texts |= changed or {}
    texts["all_sources.h"] = "".join(f'#include "{name}"\n' for name in source_names())
    key = hashlib.sha256("\n".join([program, *flags, *texts, *texts.values()]).encode()).hexdigest()[:20]
    result = ROOT / "build" / "shim" / f"{Path(program).stem}-{key}"
    if not result.exists():
        result.parent.mkdir(parents=True, exist_ok=True)
        _compile(program, flags, texts, result)
    return result


def _compile(program: str, flags: tuple[str, ...], texts: Mapping[str, str], result: Path) -> None:
    folder = Path(tempfile.mkdtemp(dir=result.parent))
    try:
        for name, text in texts.items():
            (folder / name).write_text(text)
        command = ["g++", *flags, f"-I{folder}", str(folder / program), "-o", str(folder / "result")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"g++ failed on {program}:\n{done.stderr}")
        (folder / "result").replace(result)
    finally:
        shutil.rmtree(folder)


def edited(source: str, old: str, new: str) -> dict[str, str]:
    """A copy of one CUDA source with one piece of text replaced, for `build(changed=...)`."""
    text = (KERNELS / source).read_text()
    if old not in text:
        raise ValueError(f"{source}: the text to replace is not there: {old!r}")
    return {source: text.replace(old, new)}


def sanitizer_environment() -> dict[str, str]:
    """The environment in which a Python process can load a library built with the ADDRESS flags."""
    names = ("libasan.so", "libubsan.so", "libstdc++.so.6")
    found = [subprocess.run(["g++", f"-print-file-name={n}"], capture_output=True, text=True).stdout.strip() for n in names]
    # under the sanitizer's dlopen NVRTC no longer finds its own second library by itself
    libraries = str(toolkit() / "lib")
    return {**os.environ, "LD_PRELOAD": " ".join(found), "LD_LIBRARY_PATH": libraries, "ASAN_OPTIONS": "detect_leaks=0"}
