"""Compiled programs of the fake CuPy: NVRTC reads the signatures from the text, the g++ build of the sources does the work."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.fakes import nvrtc
from tests.fakes.device_memory import ndarray, require_current
from tests.fakes.device_streams import get_current_stream

#: Limits of a launch on every architecture.
_BLOCK_LIMIT, _THREADS_LIMIT, _GRID_LIMIT = (1024, 1024, 64), 1024, (2**31 - 1, 65535, 65535)


@dataclass
class HostBuild:
    """Which build of the sources runs, and in which order of blocks and threads."""

    library: Path | None = None
    reversed_order: bool = False


BUILD = HostBuild()


@cache
def signatures(code: str, options: tuple[str, ...]) -> dict[str, nvrtc.Entry]:
    """The kernels of a text as NVRTC declares them in PTX."""
    return nvrtc.entries(nvrtc.compile_ptx(code, "86", (*options, *nvrtc.CUPY_OPTIONS)))


class RawModule:
    """Only what our code asks of it: text, options and `get_function`."""

    def __init__(self, code: str, *, options: tuple[str, ...] = ()) -> None:
        self._entries = signatures(code, options)

    def get_function(self, name: str) -> Function:
        if name not in self._entries:
            raise RuntimeError(f"no kernel {name!r} in the program")
        return Function(name, self._entries[name])


class Function:
    """A kernel. Each argument must be as wide, and of the kind, that the kernel declares."""

    def __init__(self, name: str, entry: nvrtc.Entry) -> None:
        self.name, self._entry = name, entry

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any]) -> None:
        self._check_size(grid, block)
        if len(args) != len(self._entry.parameters):
            raise TypeError(f"{self.name}: {len(args)} arguments for {len(self._entry.parameters)} parameters")
        packed = [self._packed(i, *pair) for i, pair in enumerate(zip(args, self._entry.parameters, strict=True))]
        require_current(*(argument for argument in args if isinstance(argument, ndarray)))
        get_current_stream()._do(lambda: self._launch(grid, block, packed))

    def _check_size(self, grid: Sequence[int], block: Sequence[int]) -> None:
        if any(not 1 <= b <= most for b, most in zip(block, _BLOCK_LIMIT, strict=True)) or np.prod(block) > _THREADS_LIMIT:
            raise ValueError(f"{self.name}: block {block} is not within the device's limits")
        if any(not 1 <= g <= most for g, most in zip(grid, _GRID_LIMIT, strict=True)):
            raise ValueError(f"{self.name}: grid {grid} is not within the device's limits")

    def _packed(self, place: int, argument: Any, kind: str) -> bytes:
        where = f"{self.name}, argument {place}"
        if isinstance(argument, ndarray):
            if kind != "u64":
                raise TypeError(f"{where}: an array for a .{kind} parameter")
            return np.uint64(argument.data.ptr).tobytes()
        if type(argument) in (int, float):  # as CuPy packs them (cupy/cuda/function.pyx)
            argument = np.int64(argument) if type(argument) is int else np.float64(argument)
        if not isinstance(argument, np.generic):
            raise TypeError(f"{where}: {type(argument).__name__} cannot be handed to a kernel")
        is_float = argument.dtype.kind == "f"
        if argument.dtype.itemsize * 8 != int(kind[1:]) or is_float != (kind[0] == "f"):
            raise TypeError(f"{where}: {argument.dtype} for a .{kind} parameter")
        return argument.tobytes()

    def _launch(self, grid: Sequence[int], block: Sequence[int], packed: list[bytes]) -> None:
        buffers = [ctypes.create_string_buffer(value, len(value)) for value in packed]
        pointers = (ctypes.c_void_p * len(buffers))(*[ctypes.addressof(buffer) for buffer in buffers])
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        library = ctypes.CDLL(str(BUILD.library))
        fibres, reverse = int(self._entry.has_barrier), int(BUILD.reversed_order)
        status = library.flare_launch(self.name.encode(), *sizes, pointers, fibres, reverse)
        if status:
            problem = {1: "the host build has no such kernel", 2: "not all threads of a block reached a barrier"}[status]
            raise RuntimeError(f"{self.name}: {problem}")
