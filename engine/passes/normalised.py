"""How each channel of one scan is normalised: nnU-Net's schemes, and what two of them take from the scan, come to an Intensity.

Source: nnunetv2/preprocessing/normalization/default_normalization_schemes.py, run on the cropped scan before it is resampled
(preprocessors/default_preprocessor.py). Means and variances are summed in float64; nnU-Net's float32 sums differ by up to 1e-5.
Where all voxels are equal that rounding is all there is (findings/nnunet_zscore_of_one_value.sh), so there it is followed, but for
a fraction inside a border of zeros that was cropped, without a mask: NumPy sums a cropped array in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.passes.nonzero_mask import NonzeroMask
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Intensity, Kernels

#: Voxels of a scan that are looked at together: 8 MB as float32.
_SLAB_VOXELS = 2_000_000


@dataclass(frozen=True)
class NormalChannel:
    """A channel's normalisation and the range that it has after it (skimage.transform.resize, clip=True).

    Where there is a mask, voxels outside of it are 0 once normalised.
    """

    intensity: Intensity
    clamp: tuple[float, float]
    mask: NonzeroMask | None = None


def normal_channels(
    view: ScanView, inputs: Sequence[ChannelSpec], kernels: Kernels, mask: NonzeroMask | None = None
) -> tuple[NormalChannel, ...]:
    """The channels of a scan. Reads it, slab by slab, where a channel is no CT; makes a `mask` where needed. Raises InputError."""
    if mask is None and any(channel.masked for channel in inputs):
        mask = NonzeroMask(view)
    return tuple(
        NormalChannel(channel.intensity, _clamp(channel.intensity, view.ct.channels[number].value_range))
        if channel.intensity is not None
        else _of_scan(channel, _measured(view, number, mask if channel.masked else None, kernels), mask if channel.masked else None)
        for number, channel in enumerate(inputs)
    )


def _of_scan(channel: ChannelSpec, seen: _Measured, mask: NonzeroMask | None) -> NormalChannel:
    low, high = seen.value_range
    shift, divisor = 0.0, 1.0
    if channel.scheme == "zscore":
        shift, divisor = seen.mean, seen.std
    elif channel.scheme == "range_0_1":
        shift, divisor = low, float(np.float32(high) - np.float32(low))
    elif channel.scheme == "rgb_0_1":
        divisor = 255.0
        if low < 0 or high > 255:
            raise InputError(f"{channel.name}: got values from {low:g} to {high:g}, expected 0 to 255 for this model's RGB images")
    intensity = Intensity(-math.inf, math.inf, shift, divisor)
    ends = _clamp(intensity, seen.value_range)
    return NormalChannel(intensity, ends if mask is None else (min(ends[0], 0.0), max(ends[1], 0.0)), mask)


def _clamp(intensity: Intensity, value_range: tuple[float, float]) -> tuple[float, float]:
    limits = np.float32(intensity.low_hu), np.float32(intensity.high_hu)
    clipped = np.clip(np.array(value_range, np.float32), *limits)
    low, high = (clipped - np.float32(intensity.mean_hu)) / np.float32(max(intensity.std_hu, 1e-8))
    return float(low), float(high)


class _Measured(NamedTuple):
    """Of the voxels of a view, or of those inside a mask."""

    value_range: tuple[float, float]
    mean: float
    std: float


def _measured(view: ScanView, number: int, mask: NonzeroMask | None, kernels: Kernels) -> _Measured:
    voxels, total, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
    for box in view.whole.slabs(max(1, _SLAB_VOXELS // math.prod(view.shape_zyx[1:]))):
        image = view.read(box, number) if mask is None else view.on_host(box, number)[mask.inside(box).astype(bool)]
        if not image.size:
            continue
        values = kernels.upload(image)
        ends, sums = kernels.value_range(values), kernels.moments(values)
        low, high = min(low, ends[0]), max(high, ends[1])
        voxels, total, squares = voxels + values.size, total + sums[0], squares + sums[1]
    if low == high:
        return _Measured((low, high), *_of_equal_numbers(low, voxels))
    mean = total / max(1, voxels)
    return _Measured((low, high), mean, math.sqrt(max(0.0, squares / max(1, voxels) - mean * mean)))


def _of_equal_numbers(value: float, count: int) -> tuple[float, float]:
    """Mean and standard deviation as NumPy sums float32: both miss by what rounding leaves."""
    mean = np.broadcast_to(np.float32(value), count).mean()
    return float(mean), float(np.sqrt(np.broadcast_to(np.square(np.float32(value) - mean), count).mean()))
