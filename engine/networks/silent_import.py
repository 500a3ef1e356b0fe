"""Imports of libraries that would send usage statistics to their vendors, made so that they do not.

Both OpenVINO and ONNX Runtime report by default, and leave a client's id in the home folder. A hospital's scans are nobody's
statistics, so every import of the two goes through here; tests/engine/test_privacy.py watches the sockets.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

#: Read by ONNX Runtime from 1.29 on when its library is loaded (onnxruntime/core/platform/posix/telemetry_1ds.cc).
_ONNXRUNTIME_OFF = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> ModuleType:
    """ONNX Runtime with its telemetry off, unless the user's environment says otherwise. Raises ImportError."""
    os.environ.setdefault(_ONNXRUNTIME_OFF, "1")
    return import_module("onnxruntime")


def load_openvino() -> ModuleType:
    """OpenVINO, its telemetry missing. Raises ImportError.

    Its __init__ imports the model converter, which reports each import unless the package openvino_telemetry cannot be
    imported (openvino/tools/ovc/telemetry_utils.py); so that package is hidden for as long as the import takes.
    """
    if "openvino" in sys.modules or "openvino_telemetry" in sys.modules:
        return import_module("openvino")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's way to say: cannot be imported
    try:
        return import_module("openvino")
    finally:
        del sys.modules["openvino_telemetry"]
