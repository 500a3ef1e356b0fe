"""Argument checks shared by the kernel devices: got, expected, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def require_array(name: str, array: Any, dtypes: Sequence[str], ndim: int) -> None:
    """Raise TypeError for a wrong dtype, ValueError for a wrong rank or an array that is not C-contiguous."""
    dtype = str(getattr(array, "dtype", type(array).__name__))
    if dtype not in dtypes:
        raise TypeError(f"{name}: got dtype {dtype}, expected {' or '.join(dtypes)}")
    if array.ndim != ndim:
        raise ValueError(f"{name}: got {array.ndim} axes, expected {ndim}")
    if not array.flags["C_CONTIGUOUS"]:
        raise ValueError(f"{name}: got a strided view, expected a C-contiguous array (copy it first)")


def require_shape(name: str, array: Any, shape: Sequence[int]) -> None:
    """Raise ValueError unless the array has exactly this shape."""
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name}: got shape {tuple(array.shape)}, expected {tuple(shape)}")


def require_tile(ring: Any, weights: Any, logits: Any, gaussian: Any, corner_zyx: Sequence[int]) -> None:
    """Check the arguments of `blend` (see contract.Kernels.blend)."""
    require_array("ring", ring, ("float16",), 4)
    require_array("weights", weights, ("float16",), 3)
    require_array("logits", logits, ("float32",), 4)
    require_array("gaussian", gaussian, ("float16",), 3)
    require_shape("weights", weights, ring.shape[1:])
    require_shape("gaussian", gaussian, logits.shape[1:])
    if logits.shape[0] != ring.shape[0] or logits.shape[1] > ring.shape[1]:
        raise ValueError(f"logits: got shape {tuple(logits.shape)}, which does not fit a ring of {tuple(ring.shape)}")
    if min(corner_zyx) < 0 or any(c + t > r for c, t, r in zip(corner_zyx[1:], logits.shape[2:], ring.shape[2:], strict=True)):
        raise ValueError(
            f"corner_zyx: got {tuple(corner_zyx)}, where a tile of {tuple(logits.shape[1:])} leaves {tuple(ring.shape[1:])}"
        )


def require_restore(ring: Any, taps_zyx: Sequence[Any], values: Any, labels: Any) -> None:
    """Check the arguments of `restore_argmax` and `restore_regions`."""
    require_array("ring", ring, ("float16",), 4)
    require_array("labels", labels, ("uint8",), 3)
    require_shape("labels", labels, [len(taps.lower) for taps in taps_zyx])
    require_shape("values", values, (ring.shape[0],))
    for axis, taps, size in zip("zyx", taps_zyx, ring.shape[1:], strict=True):
        for index in (taps.lower, taps.upper):
            if len(index) and (index.min() < 0 or index.max() >= size):
                raise ValueError(f"taps {axis}: got indices {index.min()}..{index.max()}, expected 0..{size - 1}")
