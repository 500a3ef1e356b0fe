"""Where a run happens, for each choice that a user may make and each machine that it may meet."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks import device_choice
from flare_trt.engine.networks.device_choice import NOTHING_BARRED, OWN, OWN_BF16, Barred, place

ON_CPU = "CuPy finds no NVIDIA GPU"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with two GPUs, TensorRT, native kernels and a CPU with bf16; the tests take parts of it away."""
    monkeypatch.setattr(device_choice, "cuda_problem", lambda n=0: None if n < 2 else f"got cuda:{n}, expected cuda:0 to cuda:1")
    monkeypatch.setattr(device_choice, "native_problem", lambda: None)
    monkeypatch.setattr(device_choice, "backend_problem", lambda name, device: None)
    monkeypatch.setattr(device_choice, "_openvino_has_bf16", lambda: True)
    monkeypatch.setattr(device_choice, "has_own_bf16", lambda: True)
    return monkeypatch


def without_gpu(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "cuda_problem", lambda n=0: ON_CPU)


def without_bf16(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device_choice, "_openvino_has_bf16", lambda: False)
    machine.setattr(device_choice, "has_own_bf16", lambda: False)


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
        (RunOptions(backend="torch"), "got 'torch', expected one of openvino, native, onnxruntime, [a-z, -]+ tensorrt$"),
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
    machine.setattr(device_choice, "_openvino_has_bf16", lambda: False)
    assert precision("openvino", "cpu") == "fp32"


def test_half_stops_where_there_is_no_half_precision(machine: pytest.MonkeyPatch) -> None:
    assert place(RunOptions("half", "cpu")).session.precision == "bf16"
    without_bf16(machine)
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
    assert place(RunOptions(device="cpu", backend="openvino"), own_fits=lambda: True).backend == "openvino"
    assert place(RunOptions(device="cpu"), {"native": "it missed"}, lambda: True).backend == "openvino"
    assert place(RunOptions(device="cpu"), own_fits=lambda: False).backend == "openvino"
    assert place(RunOptions(), own_fits=lambda: True).backend == "tensorrt", "a GPU goes before"


@pytest.mark.parametrize("mode", ["half", "fast"])
def test_half_precision_is_our_own_kernels_where_the_processor_has_it(machine: pytest.MonkeyPatch, mode: Mode) -> None:
    def found(barred: Barred = NOTHING_BARRED, backend: str | None = None) -> tuple[str, str]:
        placement = place(RunOptions(mode, "cpu", backend), barred, lambda: True)
        return placement.backend, placement.session.precision

    assert found() == found(backend="native") == ("native", "bf16")
    assert found(backend="openvino") == ("openvino", "bf16")
    assert found({OWN: "it missed"}) == found({OWN_BF16: "it missed"}) == ("openvino", "bf16")
    machine.setattr(device_choice, "_openvino_has_bf16", lambda: False)
    assert found() == ("native", "bf16"), "OpenVINO is not asked"
    machine.setattr(device_choice, "has_own_bf16", lambda: False)
    machine.setattr(device_choice, "_openvino_has_bf16", lambda: True)
    assert found() == ("openvino", "bf16")


def test_without_half_precision_fast_runs_our_own_kernels_in_fp32_and_half_stops(machine: pytest.MonkeyPatch) -> None:
    def found(mode: Mode, barred: Barred = NOTHING_BARRED, backend: str | None = None) -> tuple[str, str]:
        placement = place(RunOptions(mode, "cpu", backend), barred, lambda: True)
        return placement.backend, placement.session.precision

    assert found("fast", {OWN_BF16: "it missed"}, "native") == ("native", "fp32")
    with pytest.raises(DeviceError, match="mode half: native in bf16 is barred by this bundle: it missed; use --mode exact"):
        found("half", {OWN_BF16: "it missed"}, "native")
    without_bf16(machine)
    assert found("fast") == found("fast", backend="native") == ("native", "fp32")
    for backend in (None, "native", "openvino"):
        with pytest.raises(DeviceError, match="mode half: this CPU has no bf16 arithmetic; use --mode exact"):
            found("half", backend=backend)
    with pytest.raises(DeviceError, match="mode half: the backend onnxruntime computes in fp32 alone"):
        found("half", backend="onnxruntime")
