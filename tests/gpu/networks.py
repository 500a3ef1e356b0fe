"""The network backend that the gate takes, segmenters on it and on the CPU, and the step that opens every network."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tests.gpu import torch_session
from tests.gpu.findings import CouldNotDoError, Findings
from tests.gpu.native_build import cpu_kernels

from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.model.modes import Mode, Precision
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.device_choice import Placement
from flare_trt.engine.networks.session import BACKENDS, SessionOptions, backend_problem, open_session
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import load

DEVICE = "cuda:0"
BACKENDS.setdefault(torch_session.NAME, torch_session.__name__)
#: In the order of preference; which of them compute `fast` in fp16.
CANDIDATES = ("tensorrt", "onnxruntime", torch_session.NAME)
HALF = ("tensorrt", torch_session.NAME)


def choose_backend(findings: Findings) -> str:
    """The first backend that opens a network on the GPU; why not an earlier one is noted. Raises CouldNotDoError without any.

    TensorRT where it is installed is taken without a trial: that it then fails is what the gate is there to find.
    """
    for name in CANDIDATES:
        problem = backend_problem(name, DEVICE)
        if problem is None and name == "onnxruntime":
            problem = _trial(name)
        if problem is None:
            findings.data["backend"] = name
            return name
        findings.notes.append(f"backend {name}: {problem}")
    raise CouldNotDoError("no network backend can use the GPU, so no network was run on it")


def on_gpu(bundle: Path, mode: Mode, backend: str) -> Segmenter:
    """A segmenter on the first GPU."""
    session = SessionOptions(DEVICE, _precision(mode, backend))
    placement = Placement(DEVICE, "cuda", backend, session, "asked for by the gate")
    return Segmenter(open_bundle(bundle), RunOptions(mode=mode, device=DEVICE), placement, load(DEVICE))


def on_cpu(bundle: Path, mode: Mode, findings: Findings) -> Segmenter:
    """A segmenter on the CPU, its networks in fp32 in both modes."""
    kernels = cpu_kernels(findings)
    backend = "openvino" if find_spec("openvino") else "onnxruntime"
    placement = Placement("cpu", kernels.name, backend, SessionOptions("cpu"), "asked for by the gate")
    return Segmenter(open_bundle(bundle), RunOptions(mode=mode, device="cpu"), placement, kernels)


def open_all(findings: Findings, bundle: Path | None = None) -> None:
    """Open each network of the default model in each precision; TensorRT builds its engines here. Hold one tile to the CPU's."""
    backend = choose_backend(findings)
    findings.keep()
    model = open_bundle(bundle or default_model())
    stages = {"fine": model.spec.fine, "coarse": model.spec.coarse}
    files = {name: model.network_files(stage)[0] for name, stage in stages.items() if stage is not None}
    findings.data["networks"] = []
    precisions: tuple[Precision, ...] = ("fp32", "fp16") if backend in HALF else ("fp32",)
    for precision in precisions:
        for name, file in files.items():
            with findings.part(f"{name} in {precision} by {backend}"):
                findings.data["networks"].append({"network": name, "precision": precision} | _try(file, backend, precision))


def _try(file: Path, backend: str, precision: Precision) -> dict[str, float]:
    """Seconds to open (a build, where TensorRT has none kept) and to run, and the error against ONNX Runtime's CPU."""
    kernels = load(DEVICE)
    start = time.perf_counter()
    with kernels.active():
        session = open_session(backend, file, SessionOptions(DEVICE, precision))
        open_s = time.perf_counter() - start
        host = np.random.default_rng(0).standard_normal(session.input_shape).astype(np.float32)
        tile = kernels.upload(host)
        for _ in range(2):  # a first run allocates, chooses algorithms and captures
            found = kernels.download(session.run(tile))
        start = time.perf_counter()
        repeats = 5
        for _ in range(repeats):
            session.run(tile)
        kernels.download(kernels.zeros((1,), np.float32))  # waits for all that was queued
        run_ms = (time.perf_counter() - start) / repeats * 1000
        session.close()
    reference = open_session("onnxruntime", file, SessionOptions()).run(host)
    error = float(np.abs(found - reference).max() / reference.std())
    agreeing = float((found.argmax(0) == reference.argmax(0)).mean())
    return {"open_s": open_s, "run_ms": run_ms, "largest_error_std": error, "equal_argmax": agreeing}


def _precision(mode: Mode, backend: str) -> Precision:
    return "fp16" if mode == "fast" and backend in HALF else "fp32"


def _trial(backend: str) -> str | None:
    """Why a backend that seems to be there does not open a network."""
    model = open_bundle(default_model())
    try:
        open_session(backend, model.network_files(model.spec.fine)[0], SessionOptions(DEVICE)).close()
    except FlareError as error:
        return str(error)
    return None
