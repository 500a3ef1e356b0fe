"""Engines on disk: used again, built again with a warning where they are damaged or out of date, renamed into place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tests.engine.networks.test_backends import PATCH, conv_net
from tests.fakes import fake_trt_build

from flare_trt.engine.networks.tensorrt_.cache import EngineKey, GpuFacts, cache_folder, read_engine, timing_file, write_engine
from flare_trt.engine.networks.tensorrt_.engine import gpu_facts, load_engine

GPU = GpuFacts("NVIDIA GeForce RTX 4090", "89", 13020, "11.4.0.106")
KEY = EngineKey("ab" * 32, "fp16", GPU)


@pytest.fixture
def builds(tensorrt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The timing cache that each build started from."""
    started: list[bytes] = []
    plain = fake_trt_build.IBuilderConfig.create_timing_cache

    def counted(config: fake_trt_build.IBuilderConfig, serialized_timing_cache: bytes) -> fake_trt_build.ITimingCache:
        started.append(serialized_timing_cache)
        return plain(config, serialized_timing_cache)

    monkeypatch.setattr(fake_trt_build.IBuilderConfig, "create_timing_cache", counted)
    return started


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])


def entry() -> Path:
    (file,) = cache_folder().glob("*.engine")
    return file


def test_an_engine_is_built_once(builds: list[bytes], net: Path) -> None:
    assert [load_engine(net, "fp32", 0).was_cached for _ in range(3)] == [False, True, True]
    assert len(builds) == 1
    assert load_engine(net, "fp16", 0).was_cached is False
    names = sorted(file.name for file in cache_folder().glob("*.engine"))
    digest = hashlib.sha256(net.read_bytes()).hexdigest()[:24]
    assert names == [f"{digest}-fp16-Fake-GPU-sm86.engine", f"{digest}-fp32-Fake-GPU-sm86.engine"]
    assert [file.name for file in cache_folder().iterdir() if file.name.startswith(".")] == []


def damaged_head(content: bytes) -> bytes:
    return b"{" + content


def damaged_engine(content: bytes) -> bytes:
    return content[:-3] + b"xyz"


def older_driver(content: bytes) -> bytes:
    return content.replace(b'"driver": 13020', b'"driver": 12080', 1)


def older_tensorrt(content: bytes) -> bytes:
    return content.replace(b'"tensorrt": "11.4.0.106"', b'"tensorrt": "10.13.2.6"', 1)


def cut_off(content: bytes) -> bytes:
    return content[:40]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damaged_head, "its first line is damaged"),
        (damaged_engine, "its checksum does not match"),
        (older_driver, "it was built for"),
        (older_tensorrt, "10.13.2.6"),
        (cut_off, "its first line is damaged"),
        (lambda content: b"", "its first line is damaged"),
        (lambda content: b"[1, 2]\n", "its first line is damaged"),
    ],
)
def test_an_unusable_entry_is_built_again_with_a_warning(
    builds: list[bytes], net: Path, damage: Callable[[bytes], bytes], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    load_engine(net, "fp32", 0)
    good = entry().read_bytes()
    entry().write_bytes(damage(good))
    assert load_engine(net, "fp32", 0).was_cached is False
    assert "is built again" in caplog.text
    assert reason in caplog.text
    assert entry().read_bytes() == good


def test_what_tensorrt_cannot_open_is_built_again(builds: list[bytes], net: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_engine(net, "fp32", 0)
    write_engine(EngineKey(hashlib.sha256(net.read_bytes()).hexdigest(), "fp32", gpu_facts(0)), b"of another kind\n")
    assert load_engine(net, "fp32", 0).was_cached is False
    assert "TensorRT cannot open it" in caplog.text


def test_a_changed_network_has_an_engine_of_its_own(builds: list[bytes], net: Path) -> None:
    load_engine(net, "fp32", 0)
    net.write_bytes(net.read_bytes().replace(b"net", b"nex", 1))
    assert load_engine(net, "fp32", 0).was_cached is False
    assert len([*cache_folder().glob("*.engine")]) == 2


def test_builds_start_from_the_timings_of_earlier_ones(builds: list[bytes], net: Path) -> None:
    load_engine(net, "fp32", 0)
    load_engine(net, "fp16", 0)
    assert builds == [b"", b"+"]
    assert timing_file(gpu_facts(0)).read_bytes() == b"++"


def test_foreign_timings_are_thrown_away(builds: list[bytes], net: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = timing_file(gpu_facts(0))
    file.parent.mkdir(parents=True)
    file.write_bytes(b"foreign")
    load_engine(net, "fp32", 0)
    assert builds == [b"foreign", b""]
    assert "TensorRT refused it" in caplog.text


def test_a_folder_that_cannot_be_written_is_told(
    builds: list[bytes], net: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert load_engine(net, "fp32", 0).was_cached is False
    assert "is not kept, so the next run builds it again" in caplog.text


def test_entries_round_trip(tensorrt: ModuleType) -> None:
    engine = bytes(range(256)) * 3
    assert read_engine(KEY) is None
    assert write_engine(KEY, engine).name == f"{'ab' * 12}-fp16-NVIDIA-GeForce-RTX-4090-sm89.engine"
    assert read_engine(KEY) == engine
