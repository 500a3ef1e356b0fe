"""A network's kernels in bfloat16, laid out for processors that multiply pairs of such values and add them up (separable.h)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.networks.native_.separable import LANES, Block, Kernel, SeparableNet, Source

Bf16 = NDArray[np.uint16]


def in_bf16(net: SeparableNet) -> SeparableNet:
    """The same network with its kernels rounded and laid out; norms, biases and the first convolution stay fp32."""
    kernel = net.kernel.transpose(0, 2, 1).reshape(-1, net.kernel.shape[1])[: net.logits]
    return replace(net, blocks=(net.blocks[0], *map(_block, net.blocks[1:])), kernel=rounded(kernel))


def rounded(values: Kernel) -> Bf16:
    """To the nearest, to the even one of two."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    upper: Bf16 = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return upper


def _block(block: Block) -> Block:
    sources = tuple(Source(s.index, s.up and (_side_by_side(s.up[0]), s.up[1])) for s in block.sources)
    return replace(block, sources=sources, depthwise=_depthwise(block.depthwise), pointwise=_side_by_side(block.pointwise))


def _side_by_side(kernel: Kernel) -> Bf16:
    """(.., in, 16) as (.., in / 2, 16, 2)."""
    *front, entering, lanes = kernel.shape
    return rounded(kernel.reshape(*front, entering // 2, 2, lanes).swapaxes(-1, -2))


def _depthwise(kernel: Kernel) -> Bf16:
    """(27, channels) as (9, channels / 16, 4, 16, 2), see separable_bf16_loops.h."""
    channels = kernel.shape[1]
    left, middle, right = kernel.reshape(9, 3, channels // LANES, LANES).swapaxes(0, 1)
    nothing = np.zeros_like(left)
    pairs = ((nothing, left), (middle, right), (left, middle), (right, nothing))
    return rounded(np.stack([np.stack(pair, axis=-1) for pair in pairs], axis=2))
