"""An upsampling joined with the convolution behind it gives what torch gives for both, and is joined only where it can and pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.networks.openvino_.upsampling import join_upsampling
from flare_trt.engine.networks.silent_import import load_openvino

pytest.importorskip("openvino")
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Decoder:
    """One step of a decoder: features of `small_zyx` voxels are doubled and convolved together with the encoder's."""

    small_zyx: Triple = (3, 4, 5)
    strides: Triple = (2, 2, 2)
    taps: Triple = (3, 3, 3)
    entering: int = 6
    middle: int = 4
    leaving: int = 5
    encoder: int = 3
    bias: bool = True
    doubled_first: bool = True
    doubling_taps: Triple | None = None
    read_twice: bool = False

    @property
    def large_zyx(self) -> Triple:
        z, y, x = (n * stride for n, stride in zip(self.small_zyx, self.strides, strict=True))
        return z, y, x

    def weights(self) -> dict[str, Any]:
        random = np.random.default_rng(3)
        shapes = {
            "doubling": (self.entering, self.middle, *(self.doubling_taps or self.strides)),
            "bias": (1, self.middle, 1, 1, 1),
            "kernel": (self.leaving, self.middle + self.encoder, *self.taps),
        }
        return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}

    def images(self) -> list[Any]:
        random = np.random.default_rng(4)
        sizes = (self.entering, *self.small_zyx), (self.encoder, *self.large_zyx)
        return [random.standard_normal((1, *size)).astype(np.float32) for size in sizes]


def model_of(decoder: Decoder) -> Any:
    openvino = load_openvino()
    from openvino import opset13 as ops

    weights = decoder.weights()
    small, encoder = (ops.parameter(image.shape, np.float32) for image in decoder.images())
    cut = [(n - stride) // 2 for n, stride in zip(weights["doubling"].shape[2:], decoder.strides, strict=True)]
    doubled = ops.convolution_backprop_data(small, weights["doubling"], list(decoder.strides), pads_begin=cut, pads_end=cut)
    if decoder.bias:
        doubled = ops.add(doubled, weights["bias"])
    both = ops.concat([doubled, encoder] if decoder.doubled_first else [encoder, doubled], 1)
    half = [n // 2 for n in decoder.taps]
    results = [ops.convolution(both, weights["kernel"], [1] * 3, half, half, [1] * 3)]
    results += [ops.relu(doubled)] if decoder.read_twice else []
    return openvino.Model([ops.result(result) for result in results], [small, encoder], "decoder")


def run(model: Any, decoder: Decoder) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return load_openvino().Core().compile_model(model, "CPU", settings)(decoder.images())[0]


def by_torch(decoder: Decoder) -> Any:
    torch = pytest.importorskip("torch")
    weights = {name: torch.from_numpy(array).double() for name, array in decoder.weights().items()}
    small, encoder = (torch.from_numpy(image).double() for image in decoder.images())
    bias = weights["bias"].ravel() if decoder.bias else None
    doubled = torch.nn.functional.conv_transpose3d(small, weights["doubling"], bias, stride=decoder.strides)
    both = torch.cat((doubled, encoder) if decoder.doubled_first else (encoder, doubled), 1)
    return torch.nn.functional.conv3d(both, weights["kernel"], padding=tuple(n // 2 for n in decoder.taps)).numpy()


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(),
        Decoder(bias=False),
        Decoder(doubled_first=False, small_zyx=(2, 5, 3)),
        Decoder(strides=(1, 2, 2), taps=(1, 3, 3), small_zyx=(5, 3, 4)),
        Decoder(strides=(1, 2, 2), small_zyx=(3, 4, 5)),
        Decoder(strides=(2, 2, 1), taps=(5, 3, 3), small_zyx=(3, 4, 3)),
    ],
)
def test_what_is_joined_equals_torch_at_borders_too(decoder: Decoder) -> None:
    model = model_of(decoder)
    assert join_upsampling(model) == 1
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    assert "Concat" not in kinds
    wanted = by_torch(decoder)
    np.testing.assert_allclose(run(model, decoder), wanted, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(doubling_taps=(4, 4, 4)),  # doubled voxels overlap
        Decoder(read_twice=True),
        Decoder(entering=40, leaving=2, middle=2),  # joined, it takes more multiplications
        Decoder(taps=(1, 1, 1), leaving=1),
        Decoder(small_zyx=(1, 2, 3)),  # to join the kernels takes longer than it saves
        Decoder(taps=(2, 3, 3)),  # not centred
    ],
)
def test_what_cannot_be_joined_or_would_not_pay_stays(decoder: Decoder) -> None:
    model, same = model_of(decoder), model_of(decoder)
    assert join_upsampling(model) == 0
    np.testing.assert_array_equal(run(model, decoder), run(same, decoder))
