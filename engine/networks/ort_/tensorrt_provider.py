"""ONNX Runtime's TensorRT provider: engines without TensorRT's Python package, built on first use and cached beside ours.

The provider builds with TF32 and has no option against it, so NVIDIA's own switch for the process has to be set.
"""

from __future__ import annotations

import os
from pathlib import Path

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.networks.ort_.backend import TENSORRT, OnnxRuntimeSession, cuda_provider, provider_problem
from flare_trt.engine.networks.session import Session, SessionOptions
from flare_trt.engine.networks.tensorrt_.build import WORKSPACE_BYTES
from flare_trt.engine.networks.tensorrt_.cache import cache_folder


def problem(device: str = "cpu") -> str | None:
    """Why this backend cannot be used on a device, or None."""
    if device == "cpu":
        return "it runs on a GPU only"
    missing = provider_problem(TENSORRT)
    if missing is None and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0":
        return "it would compute in TF32; set NVIDIA_TF32_OVERRIDE=0 in the environment before the start"
    return missing


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Load an ONNX file; the first time for a network and a GPU this builds its engine, which takes minutes."""
    missing = problem(options.device)
    if missing:
        raise DeviceError(f"backend onnxruntime-tensorrt: {missing}")
    folder = cache_folder() / "onnxruntime"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "device_id": options.ordinal,
        "trt_max_workspace_size": WORKSPACE_BYTES,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
    }
    # nodes that TensorRT does not know go to CUDA, never to the CPU
    return OnnxRuntimeSession("onnxruntime-tensorrt", onnx, options, [(TENSORRT, settings), cuda_provider(options)])
