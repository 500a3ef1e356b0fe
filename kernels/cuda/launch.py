"""How kernels are launched: grid and block for a volume or a flat array, and arguments of exactly the declared width.

CuPy hands a Python int over as 64 bits and a float as double, and checks neither against the kernel's parameters. Here a
signed whole number is int32 and a float is float32; a size_t is passed as numpy.uint64 by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Threads of a block over a flat array, the most that a kernel may have (`__launch_bounds__` in flare.cuh).
FLAT_BLOCK = 256
#: Threads of a block over a volume in (x, y, z): a warp reads 32 neighbours of a row.
VOLUME_BLOCK = (32, 8, 1)
#: The most blocks of a grid in (x, y, z), for every architecture.
GRID_LIMIT = (2**31 - 1, 65535, 65535)


@dataclass(frozen=True)
class Launch:
    """Blocks of a grid and threads of a block, both in (x, y, z)."""

    grid_xyz: tuple[int, int, int]
    block_xyz: tuple[int, int, int]

    @staticmethod
    def over_volume(shape_zyx: Sequence[int]) -> Launch:
        """One thread a voxel."""
        z, y, x = shape_zyx
        return Launch((_blocks(x, VOLUME_BLOCK[0]), _blocks(y, VOLUME_BLOCK[1]), _blocks(z, VOLUME_BLOCK[2])), VOLUME_BLOCK)

    @staticmethod
    def over_elements(count: int, rows: int = 1, most_blocks: int = GRID_LIMIT[0]) -> Launch:
        """One thread an element in each of `rows` rows; above `most_blocks` blocks a row the kernel takes strides."""
        return Launch((min(_blocks(count, FLAT_BLOCK), most_blocks), rows, 1), (FLAT_BLOCK, 1, 1))


def run(function: Any, launch: Launch, *arguments: Any) -> None:
    """Queue a kernel on CuPy's current stream. A launch over nothing does nothing."""
    if 0 in launch.grid_xyz:
        return
    if any(size > limit for size, limit in zip(launch.grid_xyz, GRID_LIMIT, strict=True)):
        raise ValueError(f"launch: got a grid of {launch.grid_xyz} blocks, expected at most {GRID_LIMIT}: cut the array")
    function(launch.grid_xyz, launch.block_xyz, tuple(_packed(argument) for argument in arguments))


def _packed(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        raise TypeError("kernel argument: got a host array, expected an array of the device (upload it first)")
    if isinstance(argument, bool):
        raise TypeError("kernel argument: got a bool, expected an int, a float, a numpy scalar or a device array")
    if isinstance(argument, (int, np.signedinteger)):
        return np.int32(int(argument))  # from a Python int NumPy checks the range
    if isinstance(argument, float):
        return np.float32(argument)
    return argument


def _blocks(size: int, block: int) -> int:
    return -(-size // block)
