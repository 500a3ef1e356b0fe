"""ONNX Runtime with GPU providers: the real one on the CPU, behind the interface of a session that is bound to a GPU's arrays.

`installed(runs_on)` says which providers really load, as ONNX Runtime tells it by `get_providers`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from tests.fakes import device_memory

PROVIDERS = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


class _Binding:
    def __init__(self) -> None:
        self.places: dict[str, tuple[int, tuple[int, ...]]] = {}

    def _bind(self, name: str, kind: str, device: int, dtype: Any, shape: Sequence[int], pointer: int) -> None:
        if kind != "cuda" or device != device_memory.Device().id or dtype is not np.float32:
            raise RuntimeError(f"fake: {name} bound to {kind}:{device} as {dtype}")
        device_memory.require_live(pointer, int(np.prod(shape)) * 4, name)
        self.places[name] = pointer, tuple(shape)

    bind_input = bind_output = _bind

    def synchronize_outputs(self) -> None:
        """Work is done at once."""


def _make(real: Any, runs_on: Sequence[str], asked: list[dict[str, Any]]) -> type:
    class InferenceSession:
        def __init__(self, path: str, settings: Any, providers: Sequence[Any], enable_fallback: int) -> None:
            fallback = settings.get_session_config_entry("session.disable_cpu_ep_fallback")
            asked.append({"providers": [*providers], "enable_fallback": enable_fallback, "disable_cpu": fallback})
            self._session = real.InferenceSession(path, providers=["CPUExecutionProvider"])
            self.get_inputs, self.get_outputs = self._session.get_inputs, self._session.get_outputs

        def get_providers(self) -> list[str]:
            return [*runs_on]

        def io_binding(self) -> _Binding:
            return _Binding()

        def run_with_iobinding(self, binding: _Binding) -> None:
            (source, shape), (target, result_shape) = (
                binding.places[ends[0].name] for ends in (self.get_inputs(), self.get_outputs())
            )
            result = self._session.run(None, {self.get_inputs()[0].name: _view(source, shape)})[0]
            _view(target, result_shape)[...] = result

    return InferenceSession


def _view(pointer: int, shape: tuple[int, ...]) -> Any:
    block = next(block for start, block in device_memory._live.items() if start <= pointer < start + block.host.nbytes)
    offset = pointer - block.host.ctypes.data
    return block.host[offset : offset + int(np.prod(shape)) * 4].view(np.float32).reshape(shape)


@contextmanager
def installed(runs_on: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Put the fake in ONNX Runtime's place; gives what each session was opened with."""
    import onnxruntime as real

    asked: list[dict[str, Any]] = []
    fake = SimpleNamespace(
        SessionOptions=real.SessionOptions,
        InferenceSession=_make(real, runs_on, asked),
        get_available_providers=lambda: PROVIDERS,
    )
    with mock.patch.dict(sys.modules, {"onnxruntime": fake}):
        yield asked
