"""What happens without a GPU: one clear line, and nothing of CUDA is touched beyond the question whether it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flare_trt.kernels import KernelsUnavailableError, load


class WatchedCupy(ModuleType):
    """A CuPy that finds no GPU and fails the test for any other use."""

    def __init__(self) -> None:
        super().__init__("cupy")
        self.asked: list[str] = []

    def is_available(self) -> bool:
        self.asked.append("is_available")
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AssertionError(f"cupy.{name} was used on a machine without a GPU")


def test_only_availability_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = WatchedCupy()
    monkeypatch.setitem(sys.modules, "cupy", watched)
    with pytest.raises(KernelsUnavailableError, match="no NVIDIA GPU with a working driver") as caught:
        load("cuda")
    assert watched.asked == ["is_available"]
    assert "\n" not in str(caught.value)


def test_without_cupy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(KernelsUnavailableError, match=r"pip install 'flare-trt\[gpu\]'"):
        load("cuda")


def test_the_real_cupy_says_no_and_the_process_ends_well() -> None:
    cupy = pytest.importorskip("cupy", reason="tests/requirements-gpu-gates.txt is not installed")
    if cupy.is_available():
        pytest.skip("this machine has a GPU")
    program = (
        "from flare_trt.kernels import KernelsUnavailableError, load\n"
        "try:\n    load('cuda')\n"
        "except KernelsUnavailableError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kernel device 'cuda': ")
    assert "no NVIDIA GPU with a working driver" in done.stdout


PROGRAM = """
import sys
from flare_trt.kernels import cuda_problem
problem = cuda_problem()
print(problem, "cupy" in sys.modules, sep=";")
"""


@pytest.mark.parametrize(
    ("code", "gpus", "answer"),
    [
        (None, 0, "there is no NVIDIA GPU with a working driver: libcuda.so.1 cannot be loaded;False"),
        (100, 1, "there is no NVIDIA GPU with a working driver: libcuda.so.1 answers 100, 0 GPUs;False"),
        (0, 0, "there is no NVIDIA GPU with a working driver: libcuda.so.1 answers 0, 0 GPUs;False"),
        (0, 1, "CuPy finds no NVIDIA GPU with a working driver;True"),
    ],
)
def test_the_driver_is_asked_before_cupy_is_imported(tmp_path: Path, code: int | None, gpus: int, answer: str) -> None:
    """A driver in the loader's path that gives a set answer; where it sees a GPU, the real CuPy has the last word."""
    if pytest.importorskip("cupy", reason="tests/requirements-gpu-gates.txt is not installed").is_available():
        pytest.skip("this machine has a GPU")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "FAKE_DRIVER_CODE": str(code), "FAKE_DRIVER_GPUS": str(gpus)}
    if code is not None:
        source = Path(__file__).with_name("fake_driver.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", source], check=True)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == (answer, 0), done.stderr
