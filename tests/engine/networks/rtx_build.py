"""Builds a network by our own trt_build.py with TensorRT-RTX in TensorRT's place: the same parser, and a builder without a GPU.

Usage: python -m tests.engine.networks.rtx_build ONNX PRECISION SM80,SM86. Run as a process of its own, since
NVIDIA's libraries may end it. Prints the engine's size in bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tensorrt_rtx

from flare_trt.engine.networks.tensorrt_.build import build_engine
from flare_trt.engine.networks.tensorrt_.fp16 import to_fp16
from flare_trt.engine.networks.tensorrt_.logger import make_logger


class BuilderFor(tensorrt_rtx.Builder):  # type: ignore[misc]  # it has no types
    """A builder for named architectures instead of the GPU at hand."""

    architectures: tuple[str, ...] = ()

    def create_builder_config(self) -> Any:
        config = super().create_builder_config()
        config.num_compute_capabilities = len(self.architectures)
        for place, name in enumerate(self.architectures):
            config.set_compute_capability(getattr(tensorrt_rtx.ComputeCapability, name), place)
        return config


def main(onnx: str, precision: str, architectures: str) -> int:
    """Build and print the size."""
    sys.modules["tensorrt"] = tensorrt_rtx
    BuilderFor.architectures = tuple(architectures.split(","))
    tensorrt_rtx.Builder = BuilderFor
    model = Path(onnx).read_bytes()
    wanted = to_fp16(model, onnx) if precision == "fp16" else model
    with TemporaryDirectory() as folder:
        print(len(build_engine(Path(onnx).name, wanted, Path(folder) / "timing.cache", make_logger([]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
