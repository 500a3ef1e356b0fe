"""A scan's channels, normalised as nnU-Net's own classes do, and the mask as its own function finds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.golden.made import head_mask, organ_image

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.spec import NetworkFile, StageSpec
from flare_trt.engine.passes import normalised
from flare_trt.engine.passes.nonzero_mask import NonzeroMask
from flare_trt.engine.passes.normalised import normal_channels
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, load

KERNELS = load("reference")
SHAPE = (21, 34, 29)


def view_of(image: Any, scheme: Any = "zscore", masked: bool = False, transpose: Any = (0, 1, 2)) -> tuple[ScanView, StageSpec]:
    channel = ChannelSpec("T1", scheme, None, masked)
    stage = StageSpec((NetworkFile("a.onnx"),), (2.0, 2.0, 2.0), (8, 8, 8), None, (0, 1), (channel,), transpose_forward=transpose)
    return ScanView.of(Volume(image, Grid(image.shape, (1.0, 2.0, 3.0))), stage), stage


def spiral(shape: Any) -> Any:
    """A wall that winds: the way out of its middle leads up, down and up again."""
    image = np.ones(shape, np.float32)
    for step, column in enumerate(range(3, 24, 4)):
        image[2:-2, 5, column] = 0
        image[-3 if step % 2 else 2, 5, column : column + 4] = 0
    image[2 if image[2, 5, 23] == 0 else -3, 5, 23:] = 0
    image[10, 20:23, 9:14] = 0  # closed
    return image


@pytest.mark.peer
@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("make", [spiral, lambda shape: np.where(head_mask(shape), 5, 0), lambda shape: np.ones(shape)])
def test_the_mask_is_nnunets(make: Any, transpose: Any) -> None:
    cropping = pytest.importorskip("nnunetv2.preprocessing.cropping.cropping")
    image = make(SHAPE).astype(np.float32)
    view, _ = view_of(image, transpose=transpose)
    filled = cropping.create_nonzero_mask(image[None])
    expected = view.turn.apply(filled)[view.crop.slices]
    mask = NonzeroMask(view)
    assert np.array_equal(mask.inside(view.whole), expected)
    part = Box((2, 3, 1), (9, 14, 17))
    assert np.array_equal(mask.inside(part), expected[part.slices])
    assert filled.sum() > (image != 0).sum() or (image != 0).all(), "no hole was filled"


@pytest.mark.peer
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("scheme", "theirs"),
    [
        ("zscore", "ZScoreNormalization"),
        ("none", "NoNormalization"),
        ("range_0_1", "RescaleTo01Normalization"),
        ("rgb_0_1", "RGBTo01Normalization"),
    ],
)
def test_values_are_nnunets(scheme: Any, theirs: str, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    schemes = pytest.importorskip("nnunetv2.preprocessing.normalization.default_normalization_schemes")
    from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

    monkeypatch.setattr(normalised, "_SLAB_VOXELS", 5000)  # several slabs
    image = np.where(head_mask(SHAPE), np.clip(120 + 40 * organ_image(SHAPE), 0.5, 255), 0).astype(np.float32)
    data, seg, _ = crop_to_nonzero(image[None].copy())
    expected = getattr(schemes, theirs)(masked, {}).run(data[0], seg[0])
    view, stage = view_of(image, scheme, masked and scheme == "zscore")
    (normal,) = normal_channels(view, stage.inputs, KERNELS)
    got = KERNELS.normalise(KERNELS.upload(view.read(view.whole)), normal.intensity)
    if normal.mask is not None:
        KERNELS.zero_outside(got, normal.mask.inside(view.whole))
    assert np.abs(got - expected).max() < 2e-6 * max(1, np.abs(expected).max())
    assert normal.clamp == (float(got.min()), float(got.max()))


def test_rgb_of_other_values_is_refused() -> None:
    view, stage = view_of(np.full(SHAPE, 300, np.int16), "rgb_0_1")
    with pytest.raises(InputError, match="T1: got values from 300 to 300, expected 0 to 255"):
        normal_channels(view, stage.inputs, KERNELS)


@pytest.mark.peer
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("value", [300.7, 0.1, -3.3333, 117.0, 32767.0])
@pytest.mark.parametrize("shape", [SHAPE, (7, 9, 11), (40, 33, 90)])
def test_a_channel_of_one_value_is_nnunets_to_the_bit(value: float, shape: Any, masked: bool) -> None:
    schemes = pytest.importorskip("nnunetv2.preprocessing.normalization.default_normalization_schemes")
    image = np.full(shape, value, np.float32)
    expected = schemes.ZScoreNormalization(masked, {}).run(image.copy(), np.zeros(shape, np.int8))
    view, stage = view_of(image, masked=masked)
    (normal,) = normal_channels(view, stage.inputs, KERNELS)
    assert np.array_equal(KERNELS.normalise(view.read(view.whole), normal.intensity), expected)
    assert normal.clamp[0] <= expected.min() <= expected.max() <= normal.clamp[1]


def test_a_constant_channel_becomes_0() -> None:
    view, stage = view_of(np.full(SHAPE, 7, np.int16))
    (normal,) = normal_channels(view, stage.inputs, KERNELS)
    assert normal.clamp == (0.0, 0.0)
