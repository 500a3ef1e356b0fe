"""Channels that a network joins to the logits of a U-Net that the kernels know: ONNX Runtime's, and what is no such network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.native_ import backend
from flare_trt.engine.networks.native_.added import find_added
from flare_trt.engine.networks.native_.backend import fits, has_bf16, problem
from flare_trt.engine.networks.native_.onnx_graph import Node, OnnxGraph, read_graph
from flare_trt.engine.networks.session import SessionOptions, open_session
from tests.engine.networks.separable_net import net_that_adds, separable_net

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))
ALL, FLAT, DOWN = (1, 1, 1), (1, 2, 2), (2, 2, 2)


def tile(patch_zyx: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.2, (1, 1, *patch_zyx)).astype(np.float32)


@pytest.mark.parametrize(
    ("patch", "strides"), [((6, 10, 14), (ALL, DOWN)), ((5, 6, 38), (ALL, FLAT)), ((12, 20, 44), (ALL, DOWN, DOWN))]
)
@pytest.mark.parametrize("channels", [3, 16])
def test_logits_are_onnx_runtime_s(patch, strides, channels: int, tmp_path: Path) -> None:
    file = net_that_adds(tmp_path / "net.onnx", patch, strides, channels)
    assert fits(file)
    ours, theirs = (open_session(name, file, SessionOptions()) for name in ("native", "onnxruntime"))
    assert (ours.channels, ours.input_shape) == (channels + 3, (1, 1, *patch))
    for seed in range(3):  # the later ones find what the others left
        image = tile(patch, seed)
        image.flags.writeable = seed != 1
        expected = theirs.run(image)
        np.testing.assert_allclose(ours.run(image), expected, atol=2e-4 * expected.std())
    ours.close()
    with pytest.raises(ValueError, match="closed"):
        ours.run(tile(patch))


@pytest.mark.skipif(not has_bf16(), reason="no bf16 arithmetic")
def test_in_bf16_both_parts_are(tmp_path: Path) -> None:
    patch = (12, 20, 44)
    file = net_that_adds(tmp_path / "net.onnx", patch, (ALL, DOWN, DOWN))
    rounded, exact = (open_session("native", file, SessionOptions(precision=name)).run(tile(patch)) for name in ("bf16", "fp32"))
    for part in (slice(0, 14), slice(14, 17)):
        error = np.abs(rounded[part] - exact[part]).max() / exact[part].std()
        assert 1e-4 < error < 0.2


def test_the_parts_of_a_graph(tmp_path: Path) -> None:
    graph = read_graph(net_that_adds(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN)))
    found = find_added(graph)
    assert found is not None
    assert found.unet.outputs == (found.part.given,)
    assert [node.op for node in found.unet.nodes if node.op == "Softmax"] == []
    assert len(found.part.wanted) == 2
    plain = read_graph(separable_net(tmp_path / "plain.onnx", (6, 10, 14), (ALL, DOWN)))
    assert find_added(plain) is None


def changed(graph: OnnxGraph, node: Node, **changes: object) -> OnnxGraph:
    """A node is another one."""
    other = replace(node, **changes)  # type: ignore[arg-type]
    return replace(graph, nodes=tuple(other if it is node else it for it in graph.nodes))


def test_what_reads_inside_of_the_unet_or_joins_along_another_axis_is_no_such_network(tmp_path: Path) -> None:
    graph = read_graph(net_that_adds(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN)))
    inner, *_ = (node for node in graph.nodes if node.op == "LeakyRelu")
    (softmax,) = (node for node in graph.nodes if node.op == "Softmax")
    assert find_added(changed(graph, softmax, inputs=inner.outputs)) is None
    (join,) = (node for node in graph.nodes if node.outputs == graph.nodes[-1].inputs[:1])
    assert find_added(changed(graph, join, numbers={"axis": (2,)})) is None


def test_another_unet_is_not_known_whatever_it_is_joined_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = net_that_adds(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))
    graph = read_graph(file)
    steep = changed(graph, next(node for node in graph.nodes if node.op == "LeakyRelu"), numbers={"alpha": 0.2})
    monkeypatch.setattr(backend, "read_graph", lambda file: steep)
    assert not fits(file)
    with pytest.raises(BundleError, match=r"net\.onnx: .*a leaky ReLU of slope 0\.2"):
        open_session("native", file, SessionOptions())


def test_without_openvino_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = net_that_adds(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))
    monkeypatch.setattr(backend, "backend_problem", lambda *_: "the package openvino cannot be imported")
    assert not fits(file)
    assert fits(separable_net(tmp_path / "plain.onnx", (6, 10, 14), (ALL, DOWN)))
