"""What happens without a GPU: one clear line, and nothing of CUDA is touched beyond the question whether it is there."""

from __future__ import annotations

import subprocess
import sys
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
    assert done.stdout.startswith("kernel device 'cuda': CuPy finds no NVIDIA GPU")
