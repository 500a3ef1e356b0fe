"""What the bf16 kernels compute, in NumPy and float64: rounded where they round, and laid out as they lay out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flare_trt.engine.networks.native_.half import rounded
from flare_trt.engine.networks.native_.separable import Block, SeparableNet

Rounding = Callable[[np.ndarray], np.ndarray]


def to_bf16(values: np.ndarray) -> np.ndarray:
    """The nearest values of bfloat16."""
    return from_bits(rounded(values.astype(np.float32)))


def exact(values: np.ndarray) -> np.ndarray:
    """No rounding."""
    return values


def from_bits(bits: np.ndarray) -> np.ndarray:
    """What upper halves of floats stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def as_stored(values: np.ndarray, together: int) -> np.ndarray:
    """A map (z, y, x, channels) as the kernels store it: (z, y, x / 2, channels / 16, 16, 2) where two voxels lie together, else
    (z, y, channels, x). The shape stays that of a map, with x rounded up; what lies behind its last voxel is never read."""
    z, y, x, channels = values.shape
    whole = np.pad(values, ((0, 0), (0, 0), (0, -x % together), (0, 0)), constant_values=7)
    if together == 2:
        stored = whole.reshape(z, y, -1, 2, channels // 16, 16).transpose(0, 1, 2, 4, 5, 3)
    else:
        stored = whole.transpose(0, 1, 3, 2)
    return rounded(stored.astype(np.float32)).reshape(whole.shape)


def as_read(stored: np.ndarray, voxels_x: int, together: int) -> np.ndarray:
    """The other way."""
    z, y, x, channels = stored.shape
    if together == 2:
        values = stored.reshape(z, y, x // 2, channels // 16, 16, 2).transpose(0, 1, 2, 5, 3, 4)
    else:
        values = stored.reshape(z, y, channels, x).transpose(0, 1, 3, 2)
    return from_bits(values.reshape(stored.shape))[:, :, :voxels_x]


def lrelu(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.01 * values)


def depthwise(values: np.ndarray, kernel: np.ndarray, stride_zyx: tuple[int, int, int]) -> np.ndarray:
    """3^3 over (z, y, x, channels), padding 1; `kernel` (27, channels)."""
    padded, total = np.pad(values, ((1, 1), (1, 1), (1, 1), (0, 0))), np.float64(0)
    for tap, weights in enumerate(kernel):
        at = (tap // 9, tap // 3 % 3, tap % 3)
        window = tuple(slice(low, low + size, step) for low, size, step in zip(at, values.shape, stride_zyx, strict=False))
        total = total + padded[window] * weights
    return np.asarray(total)


def upsampled(values: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A transposed convolution; `kernel` (stride z, y, x, channels / 16, in, 16)."""
    by_z, by_y, by_x, blocks, _, lanes = kernel.shape
    z, y, x, _ = values.shape
    found = np.einsum("zyxk,abcokl->zaybxcol", values, kernel, optimize=True)
    return found.reshape(z * by_z, y * by_y, x * by_x, blocks * lanes) + bias


def mixed(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Channels mixed; `kernel` (out / 16, in, 16)."""
    found = np.einsum("...k,okl->...ol", values, kernel, optimize=True)
    return found.reshape(*values.shape[:-1], -1)


def logits(net: SeparableNet, image: np.ndarray, rounding: Rounding) -> np.ndarray:
    """Of an image (z, y, x): (logits, z, y, x)."""
    first = net.blocks[0]
    alone = depthwise(image[..., None].astype(np.float64), first.depthwise[:, :1], (1, 1, 1))
    activated = [rounding(_normalised(alone * first.pointwise, alone * first.pointwise, first))]
    for block in net.blocks[1:]:
        joined = np.concatenate([_read(activated[s.index], s.up, rounding) for s in block.sources], axis=-1)
        convolved = rounding(depthwise(joined, rounding(block.depthwise), block.stride_zyx))
        values = mixed(convolved, rounding(block.pointwise))
        activated.append(rounding(_normalised(values, rounding(values), block)))
    found = mixed(activated[net.last], rounding(net.kernel)) + net.bias
    return found[..., : net.logits].transpose(3, 0, 1, 2)


def _read(values: np.ndarray, up: tuple[np.ndarray, np.ndarray] | None, rounding: Rounding) -> np.ndarray:
    return values if up is None else rounding(upsampled(values, rounding(up[0]), up[1]))


def _normalised(values: np.ndarray, stored: np.ndarray, block: Block) -> np.ndarray:
    """Moments come from the values before they are stored."""
    mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
    return lrelu((stored - mean) / np.sqrt(variance + block.norm.epsilon) * block.norm.gamma + block.norm.beta)
