"""The TensorRT session on strict fakes: the Session contract, shared scratch memory, CUDA graphs, errors."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.engine.networks.test_backends import PATCH, conv_net, one_node_net
from tests.fakes import device_memory, device_streams, fake_cupy, fake_tensorrt, fake_trt_runtime

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.session import Session, SessionOptions, open_session
from flare_trt.engine.networks.tensorrt_ import backend as trt
from flare_trt.engine.networks.tensorrt_.workspace import address_of

Tensorrt = ModuleType


def open_on_gpu(onnx: Path, precision: Precision = "fp32") -> Session:
    return open_session("tensorrt", onnx, SessionOptions("cuda:0", precision))


def on_device(host: np.ndarray) -> Any:
    array = device_memory.empty(host.shape, host.dtype)
    array.set(host)
    return array


def tile(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 1, *PATCH)).astype(np.float32)


def expected(onnx: Path, host: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": host})[0][0])


@pytest.mark.parametrize("batch", [1, "n"])
def test_contract(tensorrt: Tensorrt, tmp_path: Path, batch: int | str) -> None:
    onnx = conv_net(tmp_path / "net.onnx", [batch, 1, *PATCH])
    session = open_on_gpu(onnx)
    assert (session.backend, session.device, session.precision) == ("tensorrt", "cuda:0", "fp32")
    assert (session.input_shape, session.channels) == ((1, 1, *PATCH), 3)
    for seed in (0, 1, 2, 0):  # the first run is plain, the others replay the graph
        logits = session.run(on_device(tile(seed)))
        assert np.array_equal(logits.get(), expected(onnx, tile(seed)))
    for bad in (tile()[:, :, :-1], tile().astype(np.float64)):
        with pytest.raises(ValueError, match="tile"):
            session.run(on_device(bad))
    session.close()
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.run(on_device(tile()))


def test_fp16_keeps_a_float32_interface(tensorrt: Tensorrt, tmp_path: Path) -> None:
    onnx = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    logits = open_on_gpu(onnx, "fp16").run(on_device(tile()))
    assert logits.dtype == np.float32
    difference = np.abs(logits.get() - expected(onnx, tile())).max()
    assert 0 < difference < 0.05


def test_later_runs_replay_a_graph(tensorrt: Tensorrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = fake_trt_runtime.IExecutionContext.execute_async_v3

    def counted(context: Any, stream_handle: int) -> bool:
        calls.append(stream_handle)
        return plain(context, stream_handle)

    monkeypatch.setattr(fake_trt_runtime.IExecutionContext, "execute_async_v3", counted)
    session = open_on_gpu(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]))
    for seed in range(4):
        session.run(on_device(tile(seed)))
    assert len(calls) == 2  # once plainly, once captured
    assert 0 not in calls


def test_what_cannot_be_captured_runs_without_a_graph(
    tensorrt: Tensorrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(stream: Any) -> None:
        raise device_streams.CUDARuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(device_streams.Stream, "end_capture", refuse)
    monkeypatch.setattr(device_streams.Stream, "begin_capture", lambda stream: None)
    onnx = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    session = open_on_gpu(onnx)
    for seed in (0, 1):
        assert np.array_equal(session.run(on_device(tile(seed))).get(), expected(onnx, tile(seed)))
    assert "CUDA graph: operation not permitted" in caplog.text


def test_sessions_share_scratch_memory_that_grows(tensorrt: Tensorrt, tmp_path: Path) -> None:
    small = conv_net(tmp_path / "small.onnx", [1, 1, *PATCH])
    large_shape = (1, 1, 16, 24, 40)
    large = conv_net(tmp_path / "large.onnx", [*large_shape])
    first = open_on_gpu(small)
    assert np.array_equal(first.run(on_device(tile(1))).get(), expected(small, tile(1)))
    before = device_memory.POOL.used_bytes()
    second = open_on_gpu(large)
    big = np.random.default_rng(5).normal(size=large_shape).astype(np.float32)
    buffers = 4 * (1 + 3) * 16 * 24 * 40
    grown = fake_trt_runtime.SCRATCH_BYTES + 8 * 3 * (16 * 24 * 40 - 8 * 12 * 20) - fake_trt_runtime.SCRATCH_BYTES
    assert device_memory.POOL.used_bytes() - before <= buffers + grown + 2048
    for seed in (2, 3):  # the small network's graph held the old address
        assert np.array_equal(first.run(on_device(tile(seed))).get(), expected(small, tile(seed)))
        assert np.array_equal(second.run(on_device(big)).get(), expected(large, big))


def test_a_closed_session_gives_its_memory_back(tensorrt: Tensorrt, tmp_path: Path) -> None:
    onnx = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    before = device_memory.POOL.used_bytes()
    session = open_on_gpu(onnx)
    session.run(on_device(tile()))
    assert device_memory.POOL.used_bytes() > before
    session.close()
    del session
    assert device_memory.POOL.used_bytes() == before


def test_work_waits_for_the_caller_and_the_caller_for_it(tensorrt: Tensorrt, tmp_path: Path) -> None:
    session = open_on_gpu(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]))
    with device_streams.Stream(non_blocking=True) as caller:
        session.run(on_device(tile()))
    own = session._workspace.stream  # type: ignore[attr-defined]  # the order of streams cannot be seen from outside
    assert own.ptr not in (0, caller.ptr)
    assert own.waited_for[-1].recorded_on is caller
    assert caller.waited_for[-1].recorded_on is own


def test_an_engine_has_no_tf32_and_a_bounded_workspace(tensorrt: Tensorrt, tmp_path: Path) -> None:
    session = open_on_gpu(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]))
    facts = session._network._loaded.engine._facts  # type: ignore[attr-defined]  # what the fake was built with
    assert facts == {"tf32": False, "limits": {"WORKSPACE": 1 << 30}, "profiles": []}


def test_misaligned_addresses_are_refused(tensorrt: Tensorrt) -> None:
    whole = device_memory.empty((100,), np.float32)
    assert address_of(whole) % 256 == 0
    with pytest.raises(DeviceError, match="multiple of 256"):
        address_of(whole[1:])


@pytest.mark.parametrize(
    ("shape", "outputs", "message"), [([1, 1, "z", 12, 20], 1, "fixed sizes"), ([1, 1, *PATCH], 2, "deep supervision")]
)
def test_other_networks_are_refused(tensorrt: Tensorrt, tmp_path: Path, shape: Any, outputs: int, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        open_on_gpu(conv_net(tmp_path / "net.onnx", shape, outputs))


@pytest.mark.parametrize("operator", ["Flatten", "GlobalAveragePool"])
def test_logits_have_to_lie_on_the_input_s_voxels(tensorrt: Tensorrt, tmp_path: Path, operator: str) -> None:
    with pytest.raises(BundleError, match=r"other\.onnx: got an output of shape \[.*expected logits \(1, classes, z, y, x\)"):
        open_on_gpu(one_node_net(tmp_path / "other.onnx", operator))


def test_rubbish_is_refused(tensorrt: Tensorrt, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"this is no network")
    with pytest.raises(BundleError, match=r"rubbish\.onnx: TensorRT 11\.4\.0\.106 cannot read it"):
        open_on_gpu(rubbish)


def test_no_room_on_the_gpu_is_a_device_error(tensorrt: Tensorrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise device_memory.OutOfMemoryError("Out of memory allocating 7,680 bytes")

    monkeypatch.setattr(sys.modules["cupy"], "empty", full)
    with pytest.raises(DeviceError, match="Out of memory allocating"):
        open_on_gpu(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]))


@pytest.mark.parametrize("options", [SessionOptions("cpu"), SessionOptions("cuda:0", "bf16"), SessionOptions("cuda:1")])
def test_wrong_options_are_refused(tensorrt: Tensorrt, tmp_path: Path, options: SessionOptions) -> None:
    with pytest.raises(DeviceError, match="expected"):
        open_session("tensorrt", tmp_path / "net.onnx", options)


def test_an_old_version_is_refused(tmp_path: Path) -> None:
    with fake_cupy.installed(), fake_tensorrt.installed("10.9.0.34"):
        assert trt.problem() == "got TensorRT 10.9.0.34, expected at least 10.12"


def test_without_a_gpu_no_tensorrt_object_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Watched(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"tensorrt.{name} was used on a machine without a GPU")

    with fake_cupy.installed():
        monkeypatch.setattr(sys.modules["cupy"], "is_available", lambda: False)
        monkeypatch.setitem(sys.modules, "tensorrt", Watched("tensorrt"))
        with pytest.raises(DeviceError, match="CuPy finds no NVIDIA GPU") as caught:
            open_on_gpu(conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]))
    assert caught.value.exit_code == 3


def test_messages_go_to_the_log(tensorrt: Tensorrt, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from flare_trt.engine.networks.tensorrt_.logger import make_logger

    errors: list[str] = []
    logger = make_logger(errors)
    with caplog.at_level(logging.DEBUG, "flare_trt"):
        for severity in tensorrt.ILogger.Severity:
            logger.log(severity, f"a message of {severity.name}")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING", "DEBUG", "DEBUG"]
    assert errors == ["a message of INTERNAL_ERROR", "a message of ERROR"]
