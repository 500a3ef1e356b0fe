"""Where a run happens, for each choice that a user may make and each machine that it may meet."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks import device_choice
from flare_trt.engine.networks.device_choice import place

ON_CPU = "CuPy finds no NVIDIA GPU"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with two GPUs, TensorRT, native kernels and a CPU with bf16; the tests take parts of it away."""
    monkeypatch.setattr(device_choice, "cuda_problem", lambda n=0: None if n < 2 else f"got cuda:{n}, expected cuda:0 to cuda:1")
    monkeypatch.setattr(device_choice, "native_problem", lambda: None)
    monkeypatch.setattr(device_choice, "backend_problem", lambda name, device: None)
    monkeypatch.setattr(device_choice, "_cpu_has_bf16", lambda: True)
    return monkeypatch


def without_gpu(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "cuda_problem", lambda n=0: ON_CPU)


def test_auto_takes_a_gpu_that_a_backend_can_use_and_says_why(machine: pytest.MonkeyPatch) -> None:
    found = place(RunOptions())
    assert (found.device, found.kernels, found.backend, found.session.precision) == ("cuda:0", "cuda", "tensorrt", "fp32")
    without_gpu(machine)
    found = place(RunOptions())
    assert (found.device, found.kernels, found.backend) == ("cpu", "native", "openvino")
    assert ON_CPU in found.reason


def test_auto_takes_the_cpu_where_no_backend_can_use_the_gpu(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "backend_problem", lambda name, device: "not installed" if device != "cpu" else None)
    found = place(RunOptions())
    assert found.device == "cpu"
    assert "tensorrt: not installed; onnxruntime: not installed" in found.reason


def test_the_next_backend_is_taken_where_the_first_is_missing(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "backend_problem", lambda name, device: "not there" if name == "tensorrt" else None)
    assert place(RunOptions(device="cuda:1")).backend == "onnxruntime"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RunOptions(device="cuda:2"), "expected cuda:0 to cuda:1"),
        (RunOptions(device="cuda"), "expected auto, cpu or cuda:N"),
        (RunOptions(device="cuda:-1"), "expected auto, cpu or cuda:N"),
        (RunOptions(device="gpu"), "expected auto, cpu or cuda:N"),
        (RunOptions(backend="torch"), "got 'torch', expected one of openvino"),
        (RunOptions(device="cuda:0", backend="openvino"), "runs on the CPU only"),
        (RunOptions(device="cpu", backend="tensorrt"), "needs an NVIDIA GPU"),
    ],
)
def test_what_is_named_is_used_or_refused(machine: pytest.MonkeyPatch, options: RunOptions, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        place(options)


def test_fast_takes_half_precision_where_the_device_has_it(machine: pytest.MonkeyPatch) -> None:
    def precision(backend: str, device: str) -> str:
        return place(RunOptions("fast", device, backend)).session.precision

    cases = [("openvino", "cpu"), ("onnxruntime", "cpu"), ("tensorrt", "cuda:1"), ("onnxruntime", "cuda:1")]
    assert [precision(*case) for case in cases] == ["bf16", "fp32", "fp16", "fp32"]
    machine.setattr(device_choice, "_cpu_has_bf16", lambda: False)
    assert precision("openvino", "cpu") == "fp32"


def test_half_stops_where_there_is_no_half_precision(machine: pytest.MonkeyPatch) -> None:
    assert place(RunOptions("half", "cpu")).session.precision == "bf16"
    machine.setattr(device_choice, "_cpu_has_bf16", lambda: False)
    with pytest.raises(DeviceError, match="half"):
        place(RunOptions("half", "cpu"))
    with pytest.raises(DeviceError, match="half"):
        place(RunOptions("half", "cpu", "onnxruntime"))


def test_slow_kernels_are_told(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "native_problem", lambda: "the native kernels are not built")
    found = place(RunOptions(device="cpu", threads=3))
    assert (found.kernels, found.session.threads) == ("reference", 3)
    assert "the native kernels are not built" in str(found.warning)


def test_our_own_kernels_come_first_for_the_networks_that_they_know(machine: pytest.MonkeyPatch) -> None:
    found = place(RunOptions(device="cpu"), own_fits=lambda: True)
    assert (found.backend, found.session.precision, found.session.pairs, found.warning) == ("native", "fp32", False, None)
    for mode in ("half", "fast"):
        found = place(RunOptions(device="cpu", mode=mode), own_fits=lambda: True)
        assert (found.backend, found.session.precision) == ("openvino", "bf16"), "which is as fast, where the CPU has it"
    assert place(RunOptions(device="cpu", backend="openvino"), own_fits=lambda: True).backend == "openvino"
    assert place(RunOptions(device="cpu"), {"native": "it missed"}, lambda: True).backend == "openvino"
    assert place(RunOptions(device="cpu"), own_fits=lambda: False).backend == "openvino"
    assert place(RunOptions(), own_fits=lambda: True).backend == "tensorrt", "a GPU goes before"
    machine.setattr(device_choice, "_cpu_has_bf16", lambda: False)
    assert place(RunOptions(device="cpu", mode="fast"), own_fits=lambda: True).backend == "native"
    with pytest.raises(DeviceError, match="this CPU has no bf16 arithmetic"):
        place(RunOptions(device="cpu", mode="half"), own_fits=lambda: True)
