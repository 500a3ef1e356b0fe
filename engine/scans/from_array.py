"""A CT from any array in memory: NumPy, CuPy, torch, and whatever speaks DLPack or __cuda_array_interface__.

Nothing is copied where the array is int16 or float32, C-contiguous, and on the device that runs. On the host other numbers are
converted as volume.channel_volume does; on a GPU they are refused, since a hidden copy there costs what the caller wants to save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Measured, Volume, channel_volume, require_varied
from flare_trt.kernels import Box, Kernels

#: DLPack's device types of memory that the GPU reads (dlpack.h: kDLCUDA, kDLCUDAManaged).
_DLPACK_CUDA = (2, 13)


def ct_from_array(array: Any, grid: Grid, kernels: Kernels) -> Volume:
    """A CT of HU (z, y, x) on its grid, or a scan of channels (c, z, y, x), without a copy where that can be.

    Raises InputError that says what was wrong with the array.
    """
    if not _is_on_gpu(array):
        return _joined([channel_volume(channel, grid) for channel in _channels(_host_array(array))])
    if kernels.name != "cuda":
        raise InputError("CT: got an array on a GPU, but this model runs on the CPU; open it with device cuda:N, or copy the array")
    with kernels.active():
        return _joined([_device_ct(channel, grid, kernels) for channel in _channels(_cupy_array(array))])


def _channels(array: Any) -> list[Any]:
    return [array[channel] for channel in range(array.shape[0])] if array.ndim == 4 and array.shape[0] else [array]


def _joined(channels: Sequence[Volume]) -> Volume:
    return require_varied(replace(channels[0], others=tuple(channels[1:])))


def _is_on_gpu(array: Any) -> bool:
    if hasattr(array, "__cuda_array_interface__"):
        return True
    return hasattr(array, "__dlpack_device__") and int(array.__dlpack_device__()[0]) in _DLPACK_CUDA


def _host_array(array: Any) -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    try:
        return np.from_dlpack(array) if hasattr(array, "__dlpack__") else np.asarray(array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:  # what exporters raise for what they cannot share
        raise InputError(f"CT: a {type(array).__name__} cannot be read as an array ({error}); expected HU in memory") from error


def _cupy_array(array: Any) -> Any:
    """The same memory as CuPy sees it."""
    import cupy

    try:
        return cupy.asarray(array) if hasattr(array, "__cuda_array_interface__") else cupy.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"CT: CuPy cannot use this {type(array).__name__} ({error}); hand over int16 or float32 HU") from error


def _device_ct(array: Any, grid: Grid, kernels: Kernels) -> Volume:
    """The caller's own array, never copied: only the slab in use is read."""
    ordinal = getattr(kernels, "ordinal", 0)
    if array.device.id != ordinal:
        raise InputError(f"CT: got an array on cuda:{array.device.id}, expected it on cuda:{ordinal}, where the model runs")
    if str(array.dtype) not in ("int16", "float32"):
        raise InputError(f"CT: got {array.dtype} on the GPU, expected int16 or float32; convert it there, e.g. ct.astype('int16')")
    if array.ndim != 3 or array.size == 0:
        raise InputError(f"CT: got an array of shape {tuple(array.shape)}, expected (z, y, x) with voxels in it")
    if not array.flags["C_CONTIGUOUS"]:
        raise InputError(
            f"CT: got strides {tuple(array.strides)} on the GPU, expected a C-contiguous array; e.g. cupy.ascontiguousarray(ct)"
        )
    lowest, highest = kernels.value_range(array)
    if not np.isfinite([lowest, highest]).all():
        raise InputError("CT: got NaN or infinite voxels, expected HU; replace them (air is -1000) and try again")
    z, y, x = array.shape
    nonzero_box = kernels.box_nonzero(array) or Box.whole((z, y, x))
    return Volume(array, grid, Measured((lowest, highest), nonzero_box), "cuda")
