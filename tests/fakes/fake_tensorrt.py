"""A strict stand-in for the TensorRT names that flare-trt uses. An "engine" is the ONNX file, run by ONNX Runtime on the CPU.

It refuses what TensorRT leaves undefined: unaligned or freed addresses, the default stream, scratch memory that is missing or
too small, objects made where there is no GPU. `test_fake_tensorrt.py` holds its names to the real bindings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from tests.fakes import fake_trt_build, fake_trt_runtime

VERSION = "11.4.0.106"


def module(version: str = VERSION) -> ModuleType:
    """The fake package as it stands in sys.modules."""
    fake = ModuleType("tensorrt")
    for half in (fake_trt_build, fake_trt_runtime):
        fake.__dict__.update({name: value for name, value in vars(half).items() if isinstance(value, type) and _is_own(value)})
    fake.__dict__["__version__"] = version
    return fake


def _is_own(kind: type) -> bool:
    return kind.__module__ in (fake_trt_build.__name__, fake_trt_runtime.__name__)


@contextmanager
def installed(version: str = VERSION) -> Iterator[ModuleType]:
    """Put the fake in TensorRT's place."""
    fake, real = module(version), sys.modules.pop("tensorrt", None)
    sys.modules["tensorrt"] = fake
    try:
        yield fake
    finally:
        del sys.modules["tensorrt"]
        if real is not None:
            sys.modules["tensorrt"] = real
