"""When ONNX Runtime's TensorRT provider is offered; its runs on a GPU are in test_on_gpu.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.networks.ort_ import tensorrt_provider
from flare_trt.engine.networks.ort_.tensorrt_provider import open_session, problem
from flare_trt.engine.networks.session import SessionOptions


@pytest.mark.parametrize(
    ("switch", "wanted"),
    [("0", None), ("1", "it would compute in TF32; set NVIDIA_TF32_OVERRIDE=0"), ("", "it would"), (None, "it would")],
)
def test_tf32_has_to_be_off_for_the_process(monkeypatch: pytest.MonkeyPatch, switch: str | None, wanted: str | None) -> None:
    monkeypatch.setattr(tensorrt_provider, "provider_problem", lambda provider: None)  # as where the provider is there
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    if switch is not None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", switch)
    found = problem("cuda:0")
    assert found is None if wanted is None else str(found).startswith(wanted)


def test_it_is_refused_with_the_reason_before_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="backend onnxruntime-tensorrt: it runs on a GPU only"):
        open_session(tmp_path / "none.onnx", SessionOptions("cpu"))
    monkeypatch.setattr(tensorrt_provider, "provider_problem", lambda provider: f"no {provider}")
    with pytest.raises(DeviceError, match="backend onnxruntime-tensorrt: no TensorrtExecutionProvider"):
        open_session(tmp_path / "none.onnx", SessionOptions("cuda:0"))
