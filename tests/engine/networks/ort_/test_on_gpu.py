"""ONNX Runtime's GPU providers on fakes: which provider runs is checked, and no tile goes over the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.networks.test_backends import PATCH, conv_net
from tests.fakes import fake_cupy, fake_onnxruntime
from tests.fakes.fake_onnxruntime import PROVIDERS

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.device_choice import place
from flare_trt.engine.networks.session import Session, SessionOptions, open_session
from flare_trt.kernels import load

BACKENDS = {"onnxruntime": PROVIDERS[1:], "onnxruntime-tensorrt": PROVIDERS}
GPU = SessionOptions("cuda:1")


@pytest.fixture(autouse=True)
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with fake_cupy.installed(devices=2):
        yield


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])


def logits(session: Session, tile: np.ndarray) -> np.ndarray:
    kernels = load(session.device if session.device != "cpu" else "reference")
    return kernels.download(session.run(kernels.upload(tile)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_equal_the_cpu_s_and_stay_on_the_gpu(backend: str, onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = np.random.default_rng(0).normal(size=(2, 1, 1, *PATCH)).astype(np.float32)
    on_cpu = open_session("onnxruntime", onnx, SessionOptions())
    expected = [logits(on_cpu, tile).copy() for tile in tiles]
    with fake_onnxruntime.installed(BACKENDS[backend]):
        session = open_session(backend, onnx, GPU)
        assert (session.backend, session.device, session.channels) == (backend, "cuda:1", 3)
        for tile, wanted in zip(tiles, expected, strict=True):
            # TensorRT is given the normalisations as they are, CUDA ones with split means, as the CPU
            np.testing.assert_allclose(logits(session, tile), wanted, atol=0 if backend == "onnxruntime" else 1e-5)
        kernels = load("cuda:1")
        array = kernels.upload(tiles[0])
        monkeypatch.setattr("tests.fakes.device_memory.ndarray.get", None)  # a copy to the host would fail
        assert session.run(array).device.id == 1
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.run(array)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_provider_that_does_not_load_is_an_error(backend: str, onnx: Path) -> None:
    loaded = BACKENDS[backend][1:]
    with (
        fake_onnxruntime.installed(loaded),
        pytest.raises(DeviceError, match=f"backend {backend}: asked for cuda:1, got {loaded[0]}"),
    ):
        open_session(backend, onnx, GPU)


def test_tensorrt_is_asked_for_with_its_caches_and_cuda_behind_it(onnx: Path, tmp_path: Path) -> None:
    with fake_onnxruntime.installed(PROVIDERS) as asked:
        open_session("onnxruntime-tensorrt", onnx, GPU)
    ((tensorrt, options), (cuda, cuda_options)) = asked[0]["providers"]
    assert (tensorrt, cuda) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    folder = tmp_path / "cache" / "flare-trt" / "tensorrt" / "onnxruntime"
    assert folder.is_dir()
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    assert (options["trt_engine_cache_enable"], options["trt_timing_cache_enable"]) == (True, True)
    assert (options["device_id"], cuda_options) == (1, {"device_id": 1, "use_tf32": 0})
    assert (asked[0]["enable_fallback"], asked[0]["disable_cpu"]) == (0, "1")


def test_tf32_is_refused(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with fake_onnxruntime.installed(PROVIDERS), pytest.raises(DeviceError, match="set NVIDIA_TF32_OVERRIDE=0"):
        open_session("onnxruntime-tensorrt", onnx, GPU)


def test_auto_takes_the_gpu_only_where_onnxruntime_is_built_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_onnxruntime.installed(PROVIDERS):
        placed = place(RunOptions())
        assert (placed.device, placed.backend) == ("cuda:0", "onnxruntime")
        assert place(RunOptions(device="cuda:1", backend="onnxruntime-tensorrt")).device == "cuda:1"
        monkeypatch.setattr(fake_onnxruntime, "PROVIDERS", ["CPUExecutionProvider"])
        placed = place(RunOptions())
        assert (placed.device, placed.backend) == ("cpu", "openvino")
        assert "no CUDAExecutionProvider" in placed.reason
        with pytest.raises(DeviceError, match="no TensorrtExecutionProvider"):
            place(RunOptions(device="cuda:0", backend="onnxruntime-tensorrt"))
        with pytest.raises(DeviceError, match="needs an NVIDIA GPU"):
            place(RunOptions(device="cpu", backend="onnxruntime-tensorrt"))
