"""A 2-D network over volumes of one slice gives its own numbers."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.lifted import lifted

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
@pytest.mark.parametrize("norm", ["InstanceNorm2d", "BatchNorm2d"])
def test_the_same_numbers(name: str, norm: str) -> None:
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    torch.manual_seed(0)
    depth = {"n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": [2, 1, 1]}
    network = getattr(unet, name)(
        input_channels=2,
        n_stages=3,
        features_per_stage=[6, 10, 12],
        conv_op=torch.nn.Conv2d,
        kernel_sizes=[[3, 3], [5, 3], [3, 1]],
        strides=[[1, 1], [2, 2], [2, 1]],
        **depth,
        num_classes=3,
        n_conv_per_stage_decoder=[1, 1],
        conv_bias=True,
        norm_op=getattr(torch.nn, norm),
        norm_op_kwargs={"eps": 1e-3, "affine": True},
        dropout_op=torch.nn.Dropout2d,
        dropout_op_kwargs={"p": 0.5},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={},
        deep_supervision=False,
    )
    image = torch.randn(3, 2, 20, 14)
    with torch.inference_mode():
        network.train()(image)  # running statistics that are not 0 and 1
        expected = network.eval()(image[:1])
        found = lifted(network)(image[:1, :, None])
    assert found.shape == (1, 3, 1, 20, 14)
    assert torch.allclose(found[:, :, 0], expected, atol=1e-5)


def test_a_layer_without_a_counterpart_is_refused() -> None:
    with pytest.raises(ExportError, match="got a layer LPPool2d, which has no counterpart"):
        lifted(torch.nn.Sequential(torch.nn.LPPool2d(2, 2)))
