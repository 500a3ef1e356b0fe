"""A network's kernels in bfloat16, laid out for processors that multiply tiles of such values (separable_tile_rows.h)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flare_trt.engine.networks.native_.half import Bf16, rounded
from flare_trt.engine.networks.native_.separable import Block, Kernel, SeparableNet, Source, Triple

#: Channels that a tile holds, and rows of one channel that it holds twice.
PAIRED, WINDOW_ROWS = 32, 8


def in_tiles(net: SeparableNet) -> SeparableNet:
    """The same network with its kernels rounded and laid out; norms, biases and the first convolution stay fp32."""
    return replace(net, blocks=(net.blocks[0], *map(_block, net.blocks[1:])), kernel=_by_rows(net.kernel))


def _block(block: Block) -> Block:
    sources = tuple(Source(s.index, s.up and (_by_rows(s.up[0]), s.up[1])) for s in block.sources)
    depthwise, pointwise = _depthwise(block.depthwise, block.stride_zyx), _by_rows(block.pointwise)
    return replace(block, sources=sources, depthwise=depthwise, pointwise=pointwise)


def _by_rows(kernel: Kernel) -> Bf16:
    """(.., out / 16, in, 16) as (.., out, in), zeros behind to a multiple of 32."""
    *front, blocks, entering, lanes = kernel.shape
    rows = np.zeros((*front, blocks * lanes, entering + -entering % PAIRED), np.float32)
    rows[..., :entering] = kernel.swapaxes(-1, -2).reshape(*front, blocks * lanes, entering)
    return rounded(rows)


def _depthwise(kernel: Kernel, stride_zyx: Triple) -> Bf16:
    """(27, channels) as (channels, 3, rows of the result x voxels, 8 rows, 2 copies, 2).

    A row of the result meets three of eight rows that are read; its voxels 2n and 2n + 1, or n with a stride of 2, meet three of
    the voxels 2n - 1 to 2n + 2, which are two of one copy and two of the other.
    """
    _, step_y, step_x = stride_zyx
    rows, voxels = (WINDOW_ROWS - 3) // step_y + 1, 2 // step_x
    taps = kernel.reshape(3, 3, 3, -1).transpose(3, 0, 1, 2)
    laid = np.zeros((taps.shape[0], 3, rows, voxels, WINDOW_ROWS, 4), np.float32)
    for row in range(rows):
        for voxel in range(voxels):
            laid[:, :, row, voxel, row * step_y : row * step_y + 3, voxel : voxel + 3] = taps
    return rounded(laid.reshape(*laid.shape[:2], rows * voxels, WINDOW_ROWS, 2, 2))
