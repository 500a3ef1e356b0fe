"""The gate's steps on the fake GPU, at small sizes: what they note, and that a fault shows. Their numbers mean nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.fakes import fake_cupy, fake_tensorrt, shim_build
from tests.gpu import kernel_times, machine, networks, parity, scans
from tests.gpu.findings import Findings

from flare_trt.benchmarks.gpu_plan.gpu_tables import gpu_tables
from flare_trt.kernels import Kernels

pytest.importorskip("onnx")


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Findings]:
    """Of a step on a fake GPU with a fake TensorRT."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY)), fake_tensorrt.installed():
        yield Findings(tmp_path / "found.json")


def table(name: str, findings: Findings) -> str:
    outcome = {"name": name, "status": "done", "seconds": 1.0, "error": "", "problems": findings.problems, "notes": findings.notes}
    return gpu_tables([outcome | {"data": findings.data}])


def test_machine(findings: Findings) -> None:
    machine.look(findings)
    assert findings.data["gpu"] == "Fake GPU"
    assert findings.data["inventory"]["kernels"]


def test_kernels(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake checks every launch against its signature; a kernel that fails costs its own row alone."""
    monkeypatch.setattr(kernel_times, "ROUNDS", 1)
    monkeypatch.setattr(kernel_times, "ROUND_S", 0.0)

    def broken(*_: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("flare_trt.kernels.cuda.device.CudaKernels.clear", broken)
    kernel_times.measure(findings, (15, 22, 27), 4096)
    names = [row["name"].partition(" ")[0] for row in findings.data["rows"]]
    methods = {name for name, value in vars(Kernels).items() if callable(value) and not name.startswith("_")}
    memory = {"active", "used_bytes", "trim", "upload", "download", "empty", "zeros"}
    assert set(names) == methods - memory - {"clear"}
    assert findings.problems == ["clear: RuntimeError: no such kernel"]
    assert all(row["us"] > 0 and row["bytes"] > 0 for row in findings.data["rows"])
    assert "| restore_argmax" in table("kernels", findings)


def test_networks(findings: Findings, tmp_path: Path) -> None:
    networks.open_all(findings, write_tiny_bundle(tmp_path / "two", coarse=True))
    assert findings.problems == []
    assert [(row["network"], row["precision"]) for row in findings.data["networks"]] == [
        *(("fine", "fp32"), ("coarse", "fp32"), ("fine", "fp16"), ("coarse", "fp16"))
    ]
    assert all(row["equal_argmax"] > 0.99 for row in findings.data["networks"])
    assert findings.data["networks"][0]["largest_error_std"] < 1e-4
    assert "network by tensorrt" in table("networks", findings)


def test_parity_and_a_fault_in_a_kernel(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "CASES", (("bands", "exact"),))
    monkeypatch.setattr(parity, "SCANS", {"bands": ((21, 45, 51), (4.5, 2.8, 2.5))})
    parity.compare(findings)
    assert findings.problems == []
    assert [check["measured"] <= check["limit"] for check in findings.checks] == [True, True]
    assert "| bands exact" in table("parity", findings)
    fault = shim_build.edited("ring.cu", "(start + voxel.z) % ring_z", "(start + voxel.z + 1) % ring_z")
    broken = Findings(findings.file)
    with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)):
        parity.compare(broken)
    assert broken.checks[0]["measured"] > broken.checks[0]["limit"]


def test_scans(findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write_tiny_bundle(tmp_path / "two", coarse=True)
    monkeypatch.setattr(scans, "default_model", lambda: bundle)
    monkeypatch.setattr(scans, "SHAPE_ZYX", (21, 45, 51))
    monkeypatch.setattr(scans, "SPACING_MM", (4.5, 2.8, 2.5))
    scans.measure(findings)
    assert findings.problems == []
    exact, fast = findings.data["rows"]
    assert (exact["mode"], exact["precision"], fast["mode"], fast["precision"]) == ("exact", "fp32", "fast", "fp16")
    assert exact["same_again"]
    assert exact["device_equal"] == 1.0
    assert fast["equal_to_exact"] > 0.99
    curve = exact["memory"]["cold"]
    assert curve["areas"]["peak_mb"] >= max(curve["device_mb"]) - 0.1 > 0
    assert len(curve["time_s"]) == len(curve["device_mb"]) <= 400
    assert "| exact" in table("scans", findings)
