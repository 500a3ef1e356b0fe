"""TensorRT's real Python bindings without its libraries: three empty libraries let them be imported, and a type stub be made.

The wheels lie unpacked under build/tensorrt-bindings/VERSION (`make gates` puts them there). Nothing in them may be called: the
empty libraries answer every question with null.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "build" / "tensorrt-bindings"

#: Library -> the symbols that the bindings import from it (nm -D on the bindings).
_SYMBOLS = {
    "nvinfer": [
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ],
    "nvonnxparser": ["createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getNvOnnxParserVersion"],
    "nvinfer_plugin": ["initLibNvInferPlugins"],
}


def versions() -> list[str]:
    """Versions of the bindings that are here."""
    return sorted(folder.name for folder in WHEELS.glob("[0-9]*[0-9]"))


def environment(version: str) -> dict[str, str]:
    """The environment of a process that can import `tensorrt_bindings` of this version."""
    libraries = _empty_libraries(version.partition(".")[0])
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(WHEELS / version)}


def _empty_libraries(major: str) -> Path:
    folder = WHEELS / f"empty-{major}"
    folder.mkdir(exist_ok=True)
    for library, symbols in _SYMBOLS.items():
        target = folder / f"lib{library}.so.{major}"
        if not target.exists():
            code = "\n".join(f"void *{symbol}(void) {{ return 0; }}" for symbol in symbols)
            command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{target.name}", "-o", str(target)]
            subprocess.run(command, input=code, text=True, check=True)
    return folder


def typed_package(version: str) -> Path:
    """A folder with a package `tensorrt` of type stubs, made from the bindings themselves."""
    folder = WHEELS / f"stubs-{version}"
    stub = folder / "tensorrt" / "__init__.pyi"
    if not stub.exists():
        command = [sys.executable, "-m", "pybind11_stubgen", "tensorrt_bindings.tensorrt", "-o", str(folder), "--ignore-all-errors"]
        subprocess.run(command, env=environment(version), capture_output=True, check=True)
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(_mended((folder / "tensorrt_bindings" / "tensorrt.pyi").read_text()))
    return folder


def _mended(text: str) -> str:
    """What the generator cannot express: a parameter called `in`, an order of defaults, and the protocols of two classes."""
    text = re.sub(r"(def \w+\([^)]*)\bin: ", r"\1in_: ", text)
    text = text.replace("power: Weights = None, channel_axis: typing.SupportsInt)", "power: Weights, channel_axis: int = ...)")
    text = text.replace(
        "shift: Weights = None, scale: Weights = None, power: Weights,", "shift: Weights, scale: Weights, power: Weights,"
    )
    # a buffer and a sequence in C, which a stub has to spell out
    text = text.replace("class IHostMemory:\n", "class IHostMemory:\n    def __buffer__(self, flags: int) -> memoryview: ...\n")
    text = text.replace("class Dims:\n", "class Dims:\n    def __iter__(self) -> collections.abc.Iterator[int]: ...\n")
    return f"{text}\n__version__: str\n"
