"""Joins the CUDA sources of this folder into one program and has CuPy compile it, once for each GPU architecture."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

#: Options handed to NVRTC beside CuPy's own. No fast maths: the arithmetic is part of the contract.
COMPILE_OPTIONS = ("--std=c++17",)

_HEADER = "flare.cuh"


@cache
def source_names() -> tuple[str, ...]:
    """File names of the sources, without the header."""
    folder = resources.files("flare_trt.kernels.cuda")
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".cu")))


@cache
def program_text() -> str:
    """The header and every source as one text. CuPy's disk cache looks at this text alone, never at included files; one
    program also reads CUDA's float16 header once instead of once a source."""
    folder = resources.files("flare_trt.kernels.cuda")
    texts = {name: (folder / name).read_text() for name in (_HEADER, *source_names())}
    joined = "".join(f'#line 1 "{name}"\n{text}' for name, text in texts.items())
    return joined.replace(f'#include "{_HEADER}"', "").replace("#pragma once", "")


class KernelLoader:
    """The compiled program of one GPU."""

    def __init__(self) -> None:
        self._program: Any = None

    def function(self, kernel: str) -> Any:
        """The launchable kernel, its GPU being current. The first call compiles the program (CuPy keeps it on disk)."""
        if self._program is None:
            import cupy

            self._program = cupy.RawModule(code=program_text(), options=COMPILE_OPTIONS)
        return self._program.get_function(kernel)
