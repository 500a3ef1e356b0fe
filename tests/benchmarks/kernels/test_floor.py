from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.inputs.synthetic import write_convolutions
from flare_trt.benchmarks.kernels.floor import best_seconds, network_seconds

onnx = pytest.importorskip("onnx")


def test_operations_of_convolutions(tmp_path: Path) -> None:
    write_convolutions(tmp_path / "a.onnx", (1, 4, 6), (3, 1), (5, 6, 7))
    assert network_facts(tmp_path / "a.onnx").flops == 2 * (27 * 1 * 4 + 4 * 6) * 5 * 6 * 7


def test_operations_of_strided_and_transposed_convolutions(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    down = torch.nn.Conv3d(1, 4, 3, stride=2, padding=1)
    network = torch.nn.Sequential(down, torch.nn.ConvTranspose3d(4, 2, 2, stride=2))
    file = tmp_path / "b.onnx"
    torch.onnx.export(network, (torch.zeros(1, 1, 8, 10, 12),), str(file), dynamo=False)
    small = 4 * 5 * 6
    assert network_facts(file).flops == 2 * small * (27 * 1 * 4 + 4 * 2 * 8)


def test_a_network_runs_and_the_best_time_counts(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    write_convolutions(tmp_path / "a.onnx", (1, 4, 3), (3, 1), (8, 8, 8))
    assert network_seconds(tmp_path / "a.onnx", 2) > 0
    calls: list[int] = []
    assert best_seconds(lambda: calls.append(1), 3) >= 0
    assert len(calls) == 3
