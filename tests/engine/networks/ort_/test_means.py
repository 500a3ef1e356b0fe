"""The normalisation that the ONNX Runtime backend puts in, against float64, and the files that come of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.networks.instance_norm import SHAPE, norm_in_double, norm_weights, write_norm_network
from tests.engine.networks.int8_net import int8_net

from flare_trt.engine.networks.ort_.means import split_means
from flare_trt.engine.networks.session import SessionOptions, open_session

onnx = pytest.importorskip("onnx")
WRITTEN_OUT = ["ReduceMean"] * 3 + ["Sub", "Mul"] + ["ReduceMean"] * 3 + ["Reshape", "Reshape", "BatchNormalization"]


def rewritten(file: Path) -> Any:
    """The rewritten model, checked by the package onnx."""
    model = onnx.load_from_string(b"".join(split_means(memoryview(file.read_bytes()))))
    onnx.checker.check_model(model, full_check=True)
    return model


def nodes_of(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("opset", [17, 18, 21])
def test_normalisation_is_exact_to_float32(opset: int, tmp_path: Path) -> None:
    """ReduceMean takes its axes as an attribute up to opset 17 and as an input after it."""
    weights = norm_weights()
    image = np.random.default_rng(6).normal(0.5, 1.0, (1, 1, *SHAPE)).astype(np.float32)
    network = write_norm_network(tmp_path / "norm.onnx", weights, opset)
    assert nodes_of(rewritten(network)) == ["Conv", *WRITTEN_OUT]
    session = open_session("onnxruntime", network, SessionOptions(threads=1))
    assert np.abs(session.run(image) - norm_in_double(image, weights)).max() < 1e-5


def test_a_norm_behind_an_int8_convolution_is_exact_too(tmp_path: Path) -> None:
    assert nodes_of(rewritten(int8_net(tmp_path / "net.onnx"))).count("BatchNormalization") == 1


def test_all_else_is_copied(tmp_path: Path) -> None:
    network = write_norm_network(tmp_path / "norm.onnx", norm_weights())
    before = onnx.load(str(network))
    after = rewritten(network)
    weights = {tensor.name: tensor for tensor in after.graph.initializer}
    assert [weights[tensor.name] for tensor in before.graph.initializer] == list(before.graph.initializer)
    assert (after.graph.input, after.graph.output, after.graph.node[0]) == (
        before.graph.input,
        before.graph.output,
        before.graph.node[0],
    )
    assert (after.opset_import, after.ir_version) == (before.opset_import, before.ir_version)
    assert nodes_of(rewritten_again(after, tmp_path)) == nodes_of(after), "nothing is left to exchange"


def rewritten_again(model: Any, folder: Path) -> Any:
    onnx.save(model, str(folder / "again.onnx"))
    return rewritten(folder / "again.onnx")


def test_norms_of_other_ranks_stay(tmp_path: Path) -> None:
    """torch writes GroupNorm as Reshape and InstanceNormalization; its axes are not the volume's."""
    from torch import nn

    from flare_trt.export.to_onnx import write_onnx

    network = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4, affine=True), nn.ReLU(), nn.Conv3d(4, 4, 1), nn.GroupNorm(2, 4)
    )
    write_onnx(network.eval(), (6, 10, 14), tmp_path / "mixed.onnx")
    kinds = Counter(nodes_of(rewritten(tmp_path / "mixed.onnx")))
    assert (kinds["InstanceNormalization"], kinds["BatchNormalization"]) == (1, 1)
    image = np.random.default_rng(0).normal(size=(1, 1, 6, 10, 14)).astype(np.float32)
    a, b = (open_session(name, tmp_path / "mixed.onnx", SessionOptions()).run(image) for name in ("onnxruntime", "openvino"))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_kernels_stored_half_are_followed_to_their_rank(tmp_path: Path) -> None:
    from torch import nn

    from flare_trt.export.half_weights import round_kernels, store_kernels_half
    from flare_trt.export.to_onnx import write_onnx

    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4, affine=True), nn.LeakyReLU())
    round_kernels(network)
    write_onnx(network.eval(), (6, 10, 14), tmp_path / "half.onnx")
    store_kernels_half(tmp_path / "half.onnx")
    assert "InstanceNormalization" not in nodes_of(rewritten(tmp_path / "half.onnx"))
