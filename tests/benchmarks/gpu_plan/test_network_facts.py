"""Counts of a network against counts made by hand and against torch's own network."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_bundle import PATCH_ZYX, write_network

from flare_trt.benchmarks.gpu_plan.network_facts import Layer, network_facts
from flare_trt.benchmarks.gpu_plan.paper import COARSE, FINE
from flare_trt.benchmarks.gpu_plan.paper import PATCH_ZYX as PAPER_PATCH_ZYX
from flare_trt.benchmarks.gpu_plan.unet_graph import UNet, write_unet
from flare_trt.engine.model.default_model import DEFAULT_MODEL


def test_one_convolution_by_hand(tmp_path: Path) -> None:
    facts = network_facts(write_network(tmp_path / "net.onnx"))
    voxels = 16 * 24 * 20
    assert facts.input_shape == (1, 1, *PATCH_ZYX)
    assert (facts.channels, facts.weights, facts.activations) == (4, 8, 0)
    assert facts.layers == (Layer(2 * 4 * voxels, voxels * (1 + 4) + 4),)
    assert (facts.weights_bytes("fp32"), facts.weights_bytes("fp16")) == (32, 16)
    (cost,) = facts.costs("fp16")
    assert (cost.bytes_moved, cost.flops) == (2 * (voxels * 5 + 4), 8 * voxels)


def test_activations_live_until_they_are_read_for_the_last_time(tmp_path: Path) -> None:
    """Two stages of one convolution: at the decoder's concatenation both parts and the result are there."""
    write_unet(tmp_path / "net.onnx", UNet((2, 4), 1, (8, 8, 8), heads=3))
    facts = network_facts(tmp_path / "net.onnx")
    assert facts.activations == 8**3 * (2 + 2 + 4)
    assert facts.weights == (2 * 27 + 2 + 4) + (4 * 2 * 27 + 4 + 8) + (4 * 2 * 8 + 2) + (2 * 4 * 27 + 2 + 4) + (3 * 2 + 3)


@pytest.mark.parametrize("unet", [UNet((4, 8, 8), 2, (16, 8, 24), 5), UNet((3, 6), 3, (8, 12, 8), 2)])
def test_the_graph_costs_what_nnunets_network_costs(tmp_path: Path, unet: UNet) -> None:
    torch = pytest.importorskip("torch")
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    from flare_trt.export.to_onnx import write_onnx

    stages = len(unet.features)
    network = PlainConvUNet(
        1, stages, list(unet.features), torch.nn.Conv3d, 3, [1] + [2] * (stages - 1), unet.convs, unet.heads, unet.convs,
        conv_bias=True, norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"affine": True},
        nonlin=torch.nn.LeakyReLU, deep_supervision=False,
    )  # fmt: skip
    write_onnx(network.eval(), unet.patch_zyx, tmp_path / "torch.onnx")
    write_unet(tmp_path / "graph.onnx", unet)
    theirs, ours = network_facts(tmp_path / "torch.onnx"), network_facts(tmp_path / "graph.onnx")
    unused = network.decoder.seg_layers[:-1].parameters()  # deep supervision's
    assert ours.weights == sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in unused)
    assert (ours.layers, ours.activations, ours.input_shape) == (theirs.layers, theirs.activations, theirs.input_shape)


def test_the_papers_networks_are_those_of_the_training_plans() -> None:
    from flare_trt.training.fit.plans import NETWORKS

    for unet, name in ((COARSE, "coarse"), (FINE, "fine")):
        plan = NETWORKS[name]
        assert (list(unet.features), unet.convs, unet.patch_zyx) == (plan.features_per_stage, plan.convs, plan.patch_zyx)
        assert len(plan.strides_zyx) == 6
    assert NETWORKS["fine"].patch_zyx == PAPER_PATCH_ZYX


def test_weights_stored_in_half_precision_count_as_weights() -> None:
    """The default model keeps kernels as float16 behind a Cast."""
    facts = network_facts(DEFAULT_MODEL / "fine.onnx")
    assert facts.weights == 357_882
    assert facts.input_shape == (1, 1, 96, 160, 160)
    assert facts.flops > 1e10
