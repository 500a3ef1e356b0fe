"""The reader under the real pynvml, on a stand-in for the driver's library (fake_nvml.c)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks.measure.fake_nvml import build_fake_nvml

from flare_trt.benchmarks.base.gpu_memory import GpuMemory, GpuReading

pytest.importorskip("pynvml")
NOT_AVAILABLE = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE

READ = """
import json, os, sys
from flare_trt.benchmarks.base.gpu_memory import GpuMemory
gpu = GpuMemory(int(sys.argv[1]))
readings = [gpu.read({os.getppid()}) for _ in range(3)]
print(json.dumps([gpu.name, gpu.problem, [[r.device_mb, r.tree_mb] for r in readings]]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return build_fake_nvml(tmp_path_factory.mktemp("nvml"))


def read(environment: dict[str, str], state: str, fail: str = "", index: int = 0) -> Any:
    """[name, problem, three readings] in a fresh process; this process plays the measured one."""
    Path(environment["FAKE_NVML_STATE"]).write_text(state)
    command = [sys.executable, "-c", READ, str(index)]
    done = subprocess.run(command, env=environment | {"FAKE_NVML_FAIL": fail}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_device_and_own_processes(environment: dict[str, str]) -> None:
    state = f"{5 << 30} {os.getpid()} {3 << 30} 1 {1 << 30}"
    assert read(environment, state) == ["Fake GPU", None, [[5120.0, 3072.0]] * 3]


def test_no_process_on_the_device(environment: dict[str, str]) -> None:
    assert read(environment, str(200 << 20))[2] == [[200.0, 0.0]] * 3


def test_memory_that_the_driver_does_not_tell_is_unknown_and_not_zero(environment: dict[str, str]) -> None:
    assert read(environment, f"{1 << 30} {os.getpid()} {NOT_AVAILABLE}")[2] == [[1024.0, None]] * 3


def test_process_ids_of_another_namespace_are_unknown_and_not_zero(environment: dict[str, str]) -> None:
    assert read(environment, f"{1 << 30} 4194303 {1 << 30}")[2] == [[1024.0, None]] * 3


def test_a_process_list_that_fails_leaves_the_device(environment: dict[str, str]) -> None:
    _, problem, readings = read(environment, str(1 << 30), fail="nvmlDeviceGetComputeRunningProcesses:3")
    assert (problem, readings) == (None, [[1024.0, None]] * 3)


def test_a_gpu_that_is_lost_in_between_is_not_asked_again(environment: dict[str, str]) -> None:
    name, problem, readings = read(environment, str(1 << 30), fail="nvmlDeviceGetMemoryInfo:15:1")
    assert name == "Fake GPU"
    assert "failed while sampling" in problem
    assert readings == [[1024.0, 0.0], [None, None], [None, None]]


@pytest.mark.parametrize(("fail", "index"), [("nvmlInit:9", 0), ("nvmlDeviceGetHandleByIndex:15", 0), ("", 7)])
def test_no_device_is_said_and_is_no_failure(environment: dict[str, str], fail: str, index: int) -> None:
    name, problem, readings = read(environment, str(1 << 30), fail, index)
    assert name is None
    assert f"no NVML device {index}" in problem
    assert readings == [[None, None]] * 3


def test_no_nvml_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gpu = GpuMemory()
    assert gpu.problem == "no NVML: the package nvidia-ml-py is not installed"
    assert gpu.read({1}) == GpuReading(None, None)
