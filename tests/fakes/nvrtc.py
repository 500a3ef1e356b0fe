"""Compiles CUDA source by NVRTC from its PyPI wheel, with no GPU and no driver, and reads what came out."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: What CuPy adds to the options of a RawModule (cupy/cuda/compiler.py).
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")


class CompileError(Exception):
    """NVRTC refused a source; the message is its log."""


@dataclass(frozen=True)
class Resources:
    """What one compiled kernel takes of a multiprocessor; sizes in bytes."""

    registers: int
    stack: int
    local: int
    shared: int


@cache
def toolkit() -> Path:
    """Folder of the CUDA packages from PyPI (headers under include/, tools under bin/)."""
    spec = find_spec("nvidia.cu13")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the nvidia-cuda-* packages of tests/requirements-gpu-gates.txt are not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def compile_cubin(text: str, architecture: str, options: tuple[str, ...]) -> bytes:
    """Machine code of a program for one architecture ("86"). Raises CompileError."""
    return _compile(text, (f"--gpu-architecture=sm_{architecture}", *options), "CUBIN")


def compile_ptx(text: str, architecture: str, options: tuple[str, ...]) -> str:
    """PTX of a program. Raises CompileError."""
    return _compile(text, (f"--gpu-architecture=compute_{architecture}", *options), "PTX").rstrip(b"\0").decode()


def _compile(text: str, options: tuple[str, ...], kind: str) -> bytes:
    from cuda.bindings import nvrtc

    every = [option.encode() for option in (*options, f"-I{toolkit() / 'include'}")]
    program = _checked(nvrtc.nvrtcCreateProgram(text.encode(), b"flare.cu", 0, [], []))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(every), every)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
            nvrtc.nvrtcGetProgramLog(program, log)
            raise CompileError(log.decode())
        code = b" " * _checked(getattr(nvrtc, f"nvrtcGet{kind}Size")(program))
        getattr(nvrtc, f"nvrtcGet{kind}")(program, code)
        return code
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _checked(answer: tuple[Any, ...]) -> Any:
    if int(answer[0]) != 0:
        raise CompileError(f"NVRTC call failed: {answer[0]}")
    return answer[1]


def resources(cubin: bytes) -> dict[str, Resources]:
    """Registers, stack, local and shared memory of each kernel, as cuobjdump reads them from a cubin."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(toolkit() / "bin" / "cuobjdump"), "--dump-resource-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pattern = re.compile(r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
    return {name: Resources(int(reg), int(stack), int(local), int(sh)) for name, reg, stack, sh, local in pattern.findall(text)}


@dataclass(frozen=True)
class Entry:
    """A kernel in PTX: the type of each parameter ("u64", "s32", "f32") and whether it waits at barriers."""

    parameters: tuple[str, ...]
    has_barrier: bool


def entries(ptx: str) -> dict[str, Entry]:
    """The kernels of a PTX text."""
    found = {}
    for match in re.finditer(r"\.visible \.entry (\w+)\((.*?)\)(.*?)^\}", ptx, re.DOTALL | re.MULTILINE):
        types = re.findall(r"\.param\s+(?:\.align \d+\s+)?\.(\w+)", match[2])
        found[match[1]] = Entry(tuple(types), "bar.sync" in match[3] or "barrier.sync" in match[3])
    return found
