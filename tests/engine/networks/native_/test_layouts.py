"""Which layout a precision takes, by what the processor and the system offer."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from flare_trt.engine.networks.native_.backend import has_bf16
from flare_trt.engine.networks.native_.layouts import FLOATS, PAIRS, TILES, layout_of
from flare_trt.kernels.native import COMPILED

pytestmark = pytest.mark.skipif(not has_bf16(), reason="this processor has no AVX512_BF16, or the native kernels are not built")
#: A signal stack of this thread that has no room for tiles: Linux refuses them to the process then.
REFUSED = """
import ctypes
from importlib import import_module
from flare_trt.engine.networks.native_.layouts import PAIRS, layout_of
from flare_trt.kernels.native import COMPILED

class Stack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

memory = ctypes.create_string_buffer(8192)
if ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(memory), 0, 8192)), None):
    raise OSError("no signal stack")
print(import_module(COMPILED).separable_tiles(), layout_of("bf16") is PAIRS)
"""


def test_bf16_is_tiles_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout_of("fp32") is FLOATS
    for there, expected in ((True, TILES), (False, PAIRS)):
        monkeypatch.setattr(import_module(COMPILED), "separable_tiles", lambda there=there: there)
        assert layout_of("bf16") is expected


def test_rows_are_stored_as_whole_multiples() -> None:
    assert [layout.width(33) for layout in (FLOATS, PAIRS, TILES)] == [33, 34, 64]


@pytest.mark.skipif(not has_bf16() or not import_module(COMPILED).separable_tiles(), reason="this process has no tiles")
def test_where_the_system_refuses_tiles_pairs_run() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
