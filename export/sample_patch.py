"""Deterministic inputs that an exported network is tried on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.spec import StageSpec

_SEED = 20230805


def noise_patch(stage: StageSpec) -> NDArray[np.float32]:
    """Unit normal noise, (1, c, z, y, x): every voxel its own, which no scan is."""
    noise = np.random.default_rng(_SEED).standard_normal((1, stage.input_channels, *stage.patch_zyx), np.float32)
    noise[0, len(stage.inputs) :] = noise[0, len(stage.inputs) :] > 1  # what stands for labels is 0 or 1
    return noise


def scan_patch(stage: StageSpec) -> NDArray[np.float32]:
    """A body of smooth organs in air as the network sees it: normalised, (1, c, z, y, x) float32."""
    rng = np.random.default_rng(_SEED)
    channels = [_channel(channel, stage.patch_zyx, rng) for channel in stage.inputs]
    if stage.previous is not None:
        channels += _labels(len(stage.previous.values), channels[0])
    return np.ascontiguousarray(np.stack(channels)[None], np.float32)


def _labels(count: int, image: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """One-hot labels: the background and each label is a range of an image's values."""
    limits = np.quantile(image, np.linspace(0.5, 1, count + 1))
    bands = np.digitize(image, limits[:-1])
    return [(bands == label).astype(np.float64) for label in range(1, count + 1)]


def _channel(channel: ChannelSpec, patch_zyx: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    from scipy import ndimage

    organs = ndimage.gaussian_filter(rng.standard_normal(patch_zyx), [max(1.0, size / 16) for size in patch_zyx])
    texture = ndimage.gaussian_filter(rng.standard_normal(patch_zyx), 0.7)
    scaled = organs / organs.std() + 0.2 * texture / texture.std()
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in patch_zyx[1:]), indexing="ij")
    air = (y / 0.8) ** 2 + (x / 0.9) ** 2 > 1
    if (ct := channel.intensity) is not None:
        hu = ct.mean_hu + ct.std_hu * scaled
        hu[:, air] = -1000
        return np.asarray((np.clip(hu, ct.low_hu, ct.high_hu) - ct.mean_hu) / max(ct.std_hu, 1e-8))
    if channel.scheme in ("range_0_1", "rgb_0_1"):
        scaled = np.clip(0.5 + scaled / 8, 0, 1)
    scaled[:, air] = -1 if channel.scheme == "zscore" and not channel.masked else 0
    return np.asarray(scaled)
