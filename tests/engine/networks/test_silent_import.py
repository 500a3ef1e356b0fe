"""What the silent imports hide and for how long, in processes of their own; test_privacy watches the sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def said(code: str, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    kept |= {"PYTHONPATH": str(ROOT / "build" / "typing"), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=kept, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_openvino_comes_without_its_converter_and_nothing_stays_hidden() -> None:
    code = """
import sys
from flare_trt.engine.networks.silent_import import load_openvino
openvino = load_openvino()
print(*[name in sys.modules for name in ("openvino.tools.ovc", "openvino_telemetry")])
try:
    openvino.no_such_name
except AttributeError as error:
    print(error)
print(load_openvino() is openvino, openvino.convert_model.__module__.startswith("openvino.tools.ovc"))
"""
    assert said(code) == ["False False", "module 'openvino' has no attribute 'no_such_name'", "True True"]


@pytest.mark.parametrize(("given", "value"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_onnxruntime_s_switch_is_set_unless_the_user_set_it(given: dict[str, str], value: str) -> None:
    code = """
import importlib, os
from flare_trt.engine.networks import silent_import
silent_import.import_module = lambda name: (name, os.environ["ORT_DISABLE_TELEMETRY"])  # at the moment of the import
print(*silent_import.load_onnxruntime())
"""
    assert said(code, **given) == [f"onnxruntime {value}"]
