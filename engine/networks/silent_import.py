"""Imports of libraries that would send usage statistics to their vendors, made so that they do not.

Both OpenVINO and ONNX Runtime report by default, and leave a client's id in the home folder. A hospital's scans are nobody's
statistics, so every import of the two goes through here; tests/engine/test_privacy.py watches the sockets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

#: Read by ONNX Runtime from 1.29 on when its library is loaded (onnxruntime/core/platform/posix/telemetry_1ds.cc).
_ONNXRUNTIME_OFF = "ORT_DISABLE_TELEMETRY"
_TELEMETRY, _CONVERTER = "openvino_telemetry", "openvino.tools.ovc"


def load_onnxruntime() -> ModuleType:
    """ONNX Runtime with its telemetry off, unless the user's environment says otherwise. Raises ImportError."""
    os.environ.setdefault(_ONNXRUNTIME_OFF, "1")
    return import_module("onnxruntime")


def load_quantiser() -> ModuleType:
    """ONNX Runtime's quantisation, which also imports the package onnx, as silent. Raises ImportError."""
    load_onnxruntime()
    return import_module("onnxruntime.quantization")


def load_openvino() -> ModuleType:
    """OpenVINO, its telemetry missing and its model converter not loaded yet. Raises ImportError.

    Its __init__ imports the model converter, which reports each import unless the package openvino_telemetry cannot be
    imported (openvino/tools/ovc/telemetry_utils.py), and takes a sixth of a second. Both are hidden meanwhile;
    whoever wants `openvino.convert_model` gets it at its first use.
    """
    if "openvino" in sys.modules or "openvino_telemetry" in sys.modules:
        return import_module("openvino")
    with _hidden(_TELEMETRY), _hidden(_CONVERTER):
        openvino = import_module("openvino")
    openvino.__getattr__ = _converter  # type: ignore[method-assign]  # a module's own (PEP 562)
    return openvino


def _converter(name: str) -> Any:
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    with _hidden(_TELEMETRY):
        return import_module(_CONVERTER).convert_model


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """The module cannot be imported meanwhile; one that is loaded already stays."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's way to say: cannot be imported
    try:
        yield
    finally:
        del sys.modules[module]
