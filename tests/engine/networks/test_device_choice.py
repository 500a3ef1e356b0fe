"""Which precision a mode gets, and that one which needs half precision never runs without."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks import device_choice

NO_BF16 = "mode half: this CPU has no bf16 arithmetic; use --mode exact"


@pytest.mark.parametrize(("has_bf16", "precisions"), [(True, ["fp32", "bf16", "bf16"]), (False, ["fp32", NO_BF16, "fp32"])])
def test_precision_on_a_cpu(monkeypatch: pytest.MonkeyPatch, has_bf16: bool, precisions: list[str]) -> None:
    monkeypatch.setattr(device_choice, "_cpu_has_bf16", lambda: has_bf16)
    found = []
    modes: tuple[Mode, ...] = ("exact", "half", "fast")
    for mode in modes:
        try:
            found.append(device_choice.place(RunOptions(mode=mode, device="cpu")).session.precision)
        except DeviceError as error:
            found.append(str(error))
    assert found == precisions


def test_half_refuses_a_backend_that_computes_in_fp32_alone() -> None:
    with pytest.raises(DeviceError, match="mode half: the backend onnxruntime computes in fp32 alone; use --mode exact"):
        device_choice.place(RunOptions(mode="half", device="cpu", backend="onnxruntime"))


@pytest.mark.usefixtures("tensorrt")
def test_half_on_a_gpu_is_float16_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_choice, "backend_problem", lambda name, device: None)
    assert device_choice.place(RunOptions(mode="half", device="cuda:0", backend="tensorrt")).session.precision == "fp16"
    for backend in ("onnxruntime", "onnxruntime-tensorrt"):
        with pytest.raises(DeviceError, match=f"mode half: the backend {backend} has no half precision here"):
            device_choice.place(RunOptions(mode="half", device="cuda:0", backend=backend))
    assert device_choice.place(RunOptions(mode="fast", device="cuda:0", backend="onnxruntime")).session.precision == "fp32"
